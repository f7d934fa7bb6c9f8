//! A request on a line.

use contour_core::api::Timestamp;

use super::entry::Entry;
use crate::failure::Failure;
use crate::output::{Format, Palette};
use crate::top::show::plain;

/// What stands above the lines.
pub const HEADING: &str = "TIME          STATUS        TIME     BYTES  METHOD   REQUEST";

/// A request in one of the forms.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn line(entry: &Entry, format: Format, palette: Palette) -> Result<String, Failure> {
    match format {
        Format::Json => Ok(serde_json::to_string(entry)?),
        Format::Text => Ok(text(entry, palette)),
    }
}

fn text(entry: &Entry, palette: Palette) -> String {
    let or_dash = |text: &Option<String>| plain(text.as_deref().unwrap_or("-")).into_owned();
    let status = entry.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let status = format!("{status:<6}");
    let status = match entry.status {
        Some(200..=399) => palette.good(&status),
        Some(400..=499) => palette.warning(&status),
        Some(_) => palette.bad(&status),
        None => palette.faint(&status),
    };
    let took = entry.duration_millis.map_or_else(|| "-".to_owned(), |millis| format!("{millis}ms"));
    let bytes = entry.bytes_sent.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    let (host, path) = (or_dash(&entry.host), or_dash(&entry.path));
    let target = if entry.path.is_some() { format!("{host}{path}") } else { host };
    let method = or_dash(&entry.method);
    let time = of_day(&entry.time);
    let to = palette.faint(&format!("-> {} by {}", or_dash(&entry.upstream), plain(&entry.envoy)));
    let mut line =
        format!("{time:<12}  {status}  {took:>8}  {bytes:>8}  {method:<7}  {target}  {to}");
    if !entry.flags.is_empty() {
        let known = entry.flags.iter().map(|flag| match super::flags::words(flag) {
            Some(words) => format!("{flag}: {words}"),
            None => plain(flag).into_owned(),
        });
        let known = known.collect::<Vec<_>>().join("; ");
        line.push_str("  ");
        line.push_str(&palette.warning(&known));
    }
    line
}

/// The time of day of a time of RFC 3339 in UTC, or all of it if it is none.
fn of_day(time: &str) -> String {
    let day = time.split_once('T').filter(|_| Timestamp::parse(time).is_some());
    day.map_or_else(|| plain(time).into_owned(), |(_, day)| day.trim_end_matches('Z').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            time: "2026-01-01T00:00:00.310Z".to_owned(),
            envoy: "envoy-x".to_owned(),
            host: Some("shop.example.com".to_owned()),
            method: Some("GET".to_owned()),
            path: Some("/a\x1b[2J".to_owned()),
            status: Some(503),
            flags: vec!["UF".to_owned(), "NEW".to_owned()],
            bytes_sent: Some(19),
            duration_millis: Some(7),
            ..Entry::default()
        }
    }

    #[test]
    fn a_line_has_no_characters_that_a_terminal_obeys() {
        let line = line(&entry(), Format::Text, Palette::new(false)).unwrap();
        assert_eq!(
            line,
            "00:00:00.310  503          7ms        19  GET      shop.example.com/a\\u{1b}[2J  \
             -> - by envoy-x  UF: the connection to the upstream failed; NEW"
        );
    }

    #[test]
    fn json_says_all_of_it() {
        let line = line(&entry(), Format::Json, Palette::new(false)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["status"], &value["path"]), (&503.into(), &"/a\x1b[2J".into()));
        assert_eq!(value["upstream"], serde_json::Value::Null);
        assert!(!line.contains('\x1b'), "{line}");
    }

    #[test]
    fn a_request_without_a_path_or_a_time_is_shown_too() {
        let entry = Entry { time: "1767225600.5".to_owned(), ..Entry::default() };
        let line = line(&entry, Format::Text, Palette::new(false)).unwrap();
        assert_eq!(line, "1767225600.5  -              -         -  -        -  -> - by ");
    }
}
