//! A line of Envoy's access log, in its own form or as JSON with the usual names of fields.

use serde::Serialize;
use serde_json::{Map, Value};

use super::flags;

/// A request, as Envoy has logged it. What it does not say is unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When it began, as RFC 3339 has it.
    pub time: String,
    /// The Envoy that served it.
    pub envoy: String,
    /// The host that was asked for.
    pub host: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The path, as the client asked for it.
    pub path: Option<String>,
    /// The protocol.
    pub protocol: Option<String>,
    /// The status of the answer; unset if there was none.
    pub status: Option<u16>,
    /// Envoy's response flags.
    pub flags: Vec<String>,
    /// These in words.
    pub reasons: Vec<&'static str>,
    /// Bytes of the request's body.
    pub bytes_received: Option<u64>,
    /// Bytes of the answer's body.
    pub bytes_sent: Option<u64>,
    /// How long it took, in milliseconds.
    pub duration_millis: Option<u64>,
    /// The address that it went to.
    pub upstream: Option<String>,
    /// The cluster that it went to; not in Envoy's own form.
    pub upstream_cluster: Option<String>,
    /// `X-Forwarded-For`.
    pub client: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A request.
    Entry(Box<Entry>),
    /// A line of Envoy's own log, which is none of the access log.
    Other,
    /// A form that is not known.
    Unknown,
}

/// Reads a line that an Envoy has logged.
pub fn read(line: &str, envoy: &str) -> Line {
    let line = line.trim();
    let entry = if line.starts_with('{') { of_json(line) } else { of_text(line) };
    match entry {
        Some(entry) => Line::Entry(Box::new(finished(entry, envoy))),
        None if line.is_empty() || is_of_envoy(line) => Line::Other,
        None => Line::Unknown,
    }
}

fn finished(entry: Entry, envoy: &str) -> Entry {
    let reasons = entry.flags.iter().filter_map(|flag| flags::words(flag)).collect();
    Entry { envoy: envoy.to_owned(), reasons, ..entry }
}

/// Whether it has the form of what Envoy says of itself: `[2026-01-01 00:00:00.000][1][warning]…`.
fn is_of_envoy(line: &str) -> bool {
    line.strip_prefix('[').and_then(|rest| rest.split_once(']')).is_some_and(|(time, rest)| {
        time.starts_with(|c: char| c.is_ascii_digit()) && rest.starts_with('[')
    })
}

/// Envoy's own form (envoyproxy.io, "Default Format String"). Texts stand in it as they are, so what
/// a client sends may look like the end of a field; the parts around are taken for what they are.
fn of_text(line: &str) -> Option<Entry> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] \"")?;
    let (request, numbers, texts) = split(rest)?;
    let (method, rest) = request.split_once(' ')?;
    let (path, protocol) = rest.rsplit_once(' ')?;
    let [status, flags, received, sent, duration, ..] = numbers;
    let texts: Vec<_> = texts.strip_prefix('"')?.strip_suffix('"')?.split("\" \"").collect();
    let [client, agent @ .., id, host, upstream] = texts.as_slice() else { return None };
    Some(Entry {
        time: time.to_owned(),
        host: known(host),
        method: known(method),
        path: known(path),
        protocol: known(protocol),
        status: status.parse().ok().filter(|status| *status > 0),
        flags: flags.split(',').filter_map(known).collect(),
        bytes_received: received.parse().ok(),
        bytes_sent: sent.parse().ok(),
        duration_millis: duration.parse().ok(),
        upstream: known(upstream.strip_prefix("tcp://").unwrap_or(upstream)),
        client: known(client),
        user_agent: known(&agent.join("\" \"")),
        request_id: known(id),
        ..Entry::default()
    })
}

/// The request, the six words behind it, and the texts in quotes behind them.
fn split(rest: &str) -> Option<(&str, [&str; 6], &str)> {
    rest.match_indices("\" ").find_map(|(at, quote)| {
        let request = rest.get(..at)?;
        let mut words = rest.get(at + quote.len()..)?.splitn(7, ' ');
        let numbers: [&str; 6] = std::array::from_fn(|_| words.next().unwrap_or_default());
        let [status, _, received, sent, duration, _] = numbers;
        let is_number = |word: &str| word == "-" || word.parse::<u64>().is_ok();
        let numeric = [status, received, sent, duration].into_iter().all(is_number);
        let texts = words.next()?;
        (numeric && texts.starts_with('"')).then_some((request, numbers, texts))
    })
}

fn of_json(line: &str) -> Option<Entry> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let text = |name: &str| match fields.get(name)? {
        Value::String(text) => known(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    let status = number("response_code").and_then(|status| u16::try_from(status).ok());
    let entry = Entry {
        time: text("@timestamp").or_else(|| text("ts")).unwrap_or_default(),
        host: text("authority"),
        method: text("method"),
        path: text("path"),
        protocol: text("protocol"),
        status: status.filter(|status| *status > 0),
        flags: text("response_flags").iter().flat_map(|f| f.split(',')).filter_map(known).collect(),
        bytes_received: number("bytes_received"),
        bytes_sent: number("bytes_sent"),
        duration_millis: number("duration"),
        upstream: text("upstream_host").map(|to| to.trim_start_matches("tcp://").to_owned()),
        upstream_cluster: text("upstream_cluster"),
        client: text("x_forwarded_for"),
        user_agent: text("user_agent"),
        request_id: text("request_id"),
        ..Entry::default()
    };
    // One of other fields only says nothing that could be shown.
    let says = entry.path.is_some() || entry.host.is_some() || fields.contains_key("response_code");
    says.then_some(entry)
}

/// A text, unless it says that there is none.
fn known(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty() && *text != "-").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"[2026-01-01T00:00:00.310Z] "POST /cart?a=1 HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "curl/8" "cc21d9b0" "shop.example.com" "10.0.2.1:80""#;

    fn entry(line: &str) -> Entry {
        match read(line, "envoy-x") {
            Line::Entry(entry) => *entry,
            other @ (Line::Other | Line::Unknown) => panic!("{other:?}: {line}"),
        }
    }

    #[test]
    fn a_line_of_envoys_own_form_is_read() {
        let entry = entry(LINE);
        assert_eq!(entry.time, "2026-01-01T00:00:00.310Z");
        assert_eq!(entry.envoy, "envoy-x");
        assert_eq!(entry.host.as_deref(), Some("shop.example.com"));
        assert_eq!(
            (entry.method.as_deref(), entry.path.as_deref()),
            (Some("POST"), Some("/cart?a=1"))
        );
        assert_eq!((entry.status, entry.duration_millis), (Some(204), Some(226)));
        assert_eq!((entry.bytes_received, entry.bytes_sent), (Some(154), Some(0)));
        assert_eq!(entry.upstream.as_deref(), Some("10.0.2.1:80"));
        assert_eq!(entry.user_agent.as_deref(), Some("curl/8"));
        assert!(entry.flags.is_empty());
    }

    #[test]
    fn flags_are_told_in_words() {
        let line = LINE.replace("204 -", "503 UF,URX").replace("\"10.0.2.1:80\"", "\"-\"");
        let entry = entry(&line);
        assert_eq!(entry.flags, ["UF", "URX"]);
        assert_eq!(
            entry.reasons,
            ["the connection to the upstream failed", "tried again as often as allowed"]
        );
        assert_eq!(entry.upstream, None);
    }

    #[test]
    fn json_says_the_same_with_numbers_or_texts() {
        let line = r#"{"@timestamp":"2026-01-01T00:00:00.310Z","authority":"shop.example.com","method":"GET",
            "path":"/","response_code":503,"response_flags":"UH","duration":"7","bytes_sent":19,
            "upstream_cluster":"demo_blue_80","upstream_host":null}"#;
        let entry = entry(line);
        assert_eq!(
            (entry.status, entry.duration_millis, entry.bytes_sent),
            (Some(503), Some(7), Some(19))
        );
        assert_eq!(entry.reasons, ["no endpoint is healthy"]);
        assert_eq!(entry.upstream_cluster.as_deref(), Some("demo_blue_80"));
    }

    #[test]
    fn a_tcp_proxy_has_no_request() {
        let line =
            r#"[2026-01-01T00:00:00.310Z] "- - -" 0 - 154 99 226 - "-" "-" "-" "-" "10.0.2.1:80""#;
        let entry = entry(line);
        assert_eq!((entry.status, entry.method, entry.path), (None, None, None));
        assert_eq!(entry.upstream.as_deref(), Some("10.0.2.1:80"));
    }

    #[test]
    fn what_clients_send_does_not_move_the_fields_behind() {
        let line = LINE.replace("curl/8", "a\" \"b").replace("/cart?a=1", "/a\" b");
        let entry = entry(&line);
        assert_eq!(entry.user_agent.as_deref(), Some("a\" \"b"));
        assert_eq!(entry.path.as_deref(), Some("/a\" b"));
        assert_eq!(entry.host.as_deref(), Some("shop.example.com"));
    }

    #[test]
    fn other_lines_are_told_apart() {
        assert_eq!(read("[2026-01-01 00:00:00.000][1][warning][config] x", "e"), Line::Other);
        assert_eq!(read("", "e"), Line::Other);
        for line in ["200 GET /", "{\"a\": 1}", "{", "[x] \"GET / HTTP/1.1\" 200"] {
            assert_eq!(read(line, "e"), Line::Unknown, "{line}");
        }
    }
}
