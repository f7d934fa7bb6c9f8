//! Which requests are shown.

use std::str::FromStr;

use super::args::WantFlags;
use super::entry::Entry;

/// A range of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses(u16, u16);

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no status such as 404, 5xx or 400-499");
        let number = |text: &str| text.parse::<u16>().ok().filter(|n| *n < 1_000).ok_or_else(wrong);
        if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
            let class = number(class).ok().filter(|class| (1..=5).contains(class));
            let class = class.ok_or_else(wrong)?;
            return Ok(Self(class * 100, class * 100 + 99));
        }
        match text.split_once('-') {
            Some((first, last)) => match (number(first)?, number(last)?) {
                (first, last) if first <= last => Ok(Self(first, last)),
                _ => Err(wrong()),
            },
            None => number(text).map(|number| Self(number, number)),
        }
    }
}

impl WantFlags {
    /// Whether a request is one of those that are asked for.
    pub fn wants(&self, entry: &Entry) -> bool {
        let text = |value: &Option<String>| value.as_deref().unwrap_or_default().to_owned();
        let part = |part: &Option<String>, of: &[&str]| {
            part.as_deref().is_none_or(|part| of.iter().any(|text| text.contains(part)))
        };
        let one_of = |wanted: &[String], found: &str| {
            wanted.is_empty() || wanted.iter().any(|one| one.eq_ignore_ascii_case(found))
        };
        let status = entry.status.unwrap_or(0);
        let statuses = &self.status;
        let flags = &self.flag;
        let (upstream, cluster) = (text(&entry.upstream), text(&entry.upstream_cluster));
        self.host.as_deref().is_none_or(|host| is_host(host, &text(&entry.host)))
            && self.path.as_deref().is_none_or(|path| text(&entry.path).starts_with(path))
            && one_of(&self.method, &text(&entry.method))
            && (statuses.is_empty() || statuses.iter().any(|s| (s.0..=s.1).contains(&status)))
            && part(&self.upstream, &[&upstream, &cluster])
            && part(&self.envoy, &[&entry.envoy])
            && (flags.is_empty() || entry.flags.iter().any(|flag| one_of(flags, flag)))
    }
}

/// Whether a host, with its port or without, is meant.
fn is_host(wanted: &str, found: &str) -> bool {
    let found = found.to_ascii_lowercase();
    let wanted = wanted.to_ascii_lowercase();
    let bare = match found.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => &found,
    };
    match wanted.strip_prefix('*') {
        Some(end) => bare.len() > end.len() && bare.ends_with(end),
        None => bare == wanted || found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            envoy: "envoy-x".to_owned(),
            host: Some("Shop.example.com:8080".to_owned()),
            method: Some("GET".to_owned()),
            path: Some("/cart/1".to_owned()),
            status: Some(503),
            flags: vec!["UF".to_owned(), "URX".to_owned()],
            upstream: Some("10.0.0.1:80".to_owned()),
            upstream_cluster: Some("demo_blue_80".to_owned()),
            ..Entry::default()
        }
    }

    #[test]
    fn each_flag_is_a_condition() {
        let some = |text: &str| Some(text.to_owned());
        let none = WantFlags::default;
        for (flags, expected) in [
            (none(), true),
            (WantFlags { host: some("shop.example.com"), ..none() }, true),
            (WantFlags { host: some("*.example.com"), ..none() }, true),
            (WantFlags { host: some("*.shop.example.com"), ..none() }, false),
            (WantFlags { host: some("shop.example.org"), ..none() }, false),
            (WantFlags { path: some("/cart"), ..none() }, true),
            (WantFlags { path: some("/car/"), ..none() }, false),
            (WantFlags { method: vec!["post".to_owned(), "get".to_owned()], ..none() }, true),
            (WantFlags { method: vec!["post".to_owned()], ..none() }, false),
            (
                WantFlags {
                    status: vec!["2xx".parse().unwrap(), "503".parse().unwrap()],
                    ..none()
                },
                true,
            ),
            (WantFlags { status: vec!["400-499".parse().unwrap()], ..none() }, false),
            (WantFlags { upstream: some("blue"), ..none() }, true),
            (WantFlags { upstream: some("10.0.0.1"), ..none() }, true),
            (WantFlags { upstream: some("green"), ..none() }, false),
            (WantFlags { envoy: some("-x"), ..none() }, true),
            (WantFlags { envoy: some("-y"), ..none() }, false),
            (WantFlags { flag: vec!["urx".to_owned()], ..none() }, true),
            (WantFlags { flag: vec!["NR".to_owned()], ..none() }, false),
        ] {
            assert_eq!(flags.wants(&entry()), expected, "{flags:?}");
        }
        let unanswered = Entry { status: None, ..entry() };
        assert!(WantFlags { status: vec!["0".parse().unwrap()], ..none() }.wants(&unanswered));
    }

    #[test]
    fn statuses_are_ranges() {
        let read = |text: &str| text.parse::<Statuses>();
        assert_eq!(read("5xx"), Ok(Statuses(500, 599)));
        assert_eq!(read("4XX"), Ok(Statuses(400, 499)));
        assert_eq!(read("404"), Ok(Statuses(404, 404)));
        assert_eq!(read("500-503"), Ok(Statuses(500, 503)));
        for bad in ["", "xx", "9xx", "503-500", "5000", "-1", "abc"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
