//! What time it is: here, and at the API server.

use http::Request;
use http::header::DATE;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::fmt::rfc2822;
use kube::client::Body;

use super::Cluster;

/// Seconds since 1970, by the clock of this machine.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Milliseconds since 1970, by the clock of this machine.
pub fn now_millis() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// Reads a time as objects have it, such as `2026-11-25T14:25:36Z`; in seconds since 1970.
pub fn parse(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

impl Cluster {
    /// By how many seconds the clock of the API server is ahead of ours, as far as an answer's
    /// whole seconds tell; `None` if it does not say.
    pub async fn clock_ahead(&self) -> Option<i64> {
        let request = Request::get("/version").body(Body::empty()).ok()?;
        let before = now();
        let response = self.client.send(request).await.ok()?;
        let middle = i64::midpoint(before, now());
        let date = response.headers().get(DATE)?.to_str().ok()?;
        let there = rfc2822::parse(date).ok()?.timestamp().as_second();
        Some(there - middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_kubernetes_writes_them() {
        assert_eq!(parse("1970-01-02T00:00:00Z"), Some(86_400));
        assert_eq!(parse("1970-01-02T00:00:00.123456Z"), Some(86_400));
        assert_eq!(parse("yesterday"), None);
        let date = rfc2822::parse("Fri, 02 Jan 1970 00:00:00 GMT").unwrap();
        assert_eq!(date.timestamp().as_second(), 86_400);
    }
}
