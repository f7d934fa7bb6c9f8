//! What a demo service answers, and how it can be told to be slow or to fail.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use crate::{cli, duration};

/// The header that says which service answered.
pub const HEADER: &str = "x-demo-service";

/// The path at which a service is told how to behave.
const CONTROL: &str = "/_demo";

/// How the services of one name behave; it can be changed while they answer.
#[derive(Debug)]
pub struct Behaviour {
    name: String,
    settings: Mutex<Settings>,
    requests: AtomicU64,
}

#[derive(Clone, Debug, PartialEq)]
struct Settings {
    version: String,
    delay: Duration,
    fail_percent: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { version: "v1".to_owned(), delay: Duration::ZERO, fail_percent: 0.0 }
    }
}

impl Behaviour {
    /// A service that answers at once and does not fail.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            settings: Mutex::new(Settings::default()),
            requests: AtomicU64::new(0),
        }
    }

    /// Waits so long before each answer.
    pub fn set_delay(&self, delay: Duration) {
        self.change(|settings| settings.delay = delay);
    }

    /// Answers so large a share of requests with 500.
    pub fn set_fail_percent(&self, percent: f64) {
        self.change(|settings| settings.fail_percent = percent);
    }

    fn settings(&self) -> Settings {
        self.settings
            .lock()
            .map_or_else(|poisoned| poisoned.into_inner().clone(), |held| held.clone())
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) {
        match self.settings.lock() {
            Ok(mut settings) => change(&mut settings),
            Err(poisoned) => change(&mut poisoned.into_inner()),
        }
    }

    /// Answers a request that arrived at `address`.
    ///
    /// # Errors
    /// None.
    pub async fn answer<B>(
        &self,
        request: &Request<B>,
        address: SocketAddr,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == CONTROL && asked_directly(request) {
            return Ok(self.control(request));
        }
        let settings = self.settings();
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if !settings.delay.is_zero() {
            tokio::time::sleep(settings.delay).await;
        }
        let status = if falls_on(number, settings.fail_percent) {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        };
        Ok(self.reply(request, address, &settings, status))
    }

    fn reply<B>(
        &self,
        request: &Request<B>,
        address: SocketAddr,
        settings: &Settings,
        status: StatusCode,
    ) -> Response<Full<Bytes>> {
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
            .unwrap_or("-");
        let path = request.uri().path();
        if wants_json(request) {
            let body = json!({
                "service": self.name,
                "version": settings.version,
                "status": status.as_u16(),
                "method": request.method().as_str(),
                "host": host,
                "path": path,
                "address": address.to_string(),
            });
            return self.response(status, "application/json", format!("{body}\n"));
        }
        let failed = if status.is_success() {
            String::new()
        } else {
            format!(" failed, as told ({} % do)", settings.fail_percent)
        };
        let text = format!(
            "{} {}{failed}: {} {host}{path}, answered at {address}\n",
            self.name,
            settings.version,
            request.method(),
        );
        self.response(status, "text/plain; charset=utf-8", text)
    }

    /// Changes what the query names and answers how the service behaves now.
    fn control<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::POST | Method::HEAD) {
            let text = format!("{CONTROL} takes GET and POST\n");
            return self.response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", text);
        }
        let wanted = match self.settings().with(request.uri().query().unwrap_or_default()) {
            Ok(wanted) => wanted,
            Err(reason) => {
                let text = format!(
                    "{reason}\ntry {CONTROL}?delay=200ms&fail=5% or {CONTROL}?version=v2 or {CONTROL}?reset\n"
                );
                return self.response(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", text);
            }
        };
        self.change(|settings| *settings = wanted.clone());
        let body = json!({
            "service": self.name,
            "version": wanted.version,
            "delay": duration::show(wanted.delay),
            "fail": format!("{}%", wanted.fail_percent),
            "requests": self.requests.load(Ordering::Relaxed),
        });
        self.response(StatusCode::OK, "application/json", format!("{body}\n"))
    }

    fn response(&self, status: StatusCode, kind: &str, text: String) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Ok(kind) = kind.parse() {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if let Ok(name) = self.name.parse() {
            headers.insert(HEADER, name);
        }
        response
    }
}

impl Settings {
    /// The settings with what a query such as `delay=200ms&fail=5%` changes.
    fn with(mut self, query: &str) -> Result<Self, String> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // The only character of these values that may arrive escaped.
            let value = value.replace("%25", "%");
            match key {
                "delay" if value == "0" => self.delay = Duration::ZERO,
                "delay" => self.delay = duration::parse(&value)?,
                "fail" => self.fail_percent = cli::percent(&value)?,
                "version" if is_version(&value) => self.version = value,
                "version" => return Err("a version is 1 to 32 letters, digits, '.' or '-'".into()),
                "reset" => self = Self::default(),
                _ => return Err(format!("{key:?} is nothing that can be set")),
            }
        }
        Ok(self)
    }
}

fn is_version(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// Whether a request came to the service's own port rather than through a proxy for some host, or
/// from a page in a browser that resolves its own name to this machine.
fn asked_directly<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name))
        .is_some_and(|name| {
            name == "localhost"
                || name
                    .trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback())
        })
}

fn wants_json<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"))
}

/// Whether request `number` is one of the `percent` of a hundred, spread evenly: five per cent is
/// every twentieth, not five in a row.
fn falls_on(number: u64, percent: f64) -> bool {
    // Over ten thousand requests every hundredth of a per cent counts, and no digit is lost.
    let position = u32::try_from(number % 10_000).unwrap_or_default();
    let share = percent / 100.0;
    let before = (f64::from(position) * share).floor();
    let after = (f64::from(position + 1) * share).floor();
    after > before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_spread_evenly_and_as_many_as_told() {
        for (percent, expected) in [(0.0, 0), (5.0, 500), (12.5, 1250), (100.0, 10_000)] {
            let failed = (0..10_000).filter(|n| falls_on(*n, percent)).count();
            assert_eq!(failed, expected, "{percent}");
        }
        let hits: Vec<u64> = (0..60).filter(|n| falls_on(*n, 5.0)).collect();
        assert_eq!(hits, [19, 39, 59]);
    }

    #[test]
    fn a_query_changes_what_it_names_and_nothing_else() {
        let settings = Settings::default().with("delay=200ms&fail=5%").unwrap();
        assert_eq!(settings.delay, Duration::from_millis(200));
        assert!((settings.fail_percent - 5.0).abs() < f64::EPSILON);
        let settings = settings.with("fail=7%25&version=v2").unwrap();
        assert_eq!(settings.delay, Duration::from_millis(200));
        assert_eq!(settings.version, "v2");
        assert_eq!(settings.with("reset").unwrap(), Settings::default());
        for bad in ["delay=fast", "fail=200%", "colour=red", "version="] {
            assert!(Settings::default().with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_service_own_port_takes_orders() {
        let request = |host: &str| Request::builder().header("host", host).body(()).unwrap();
        for own in ["127.0.0.1:9081", "localhost:9081", "127.0.0.1", "[::1]:9081"] {
            assert!(asked_directly(&request(own)), "{own}");
        }
        for other in ["shop.example.com", "shop.example.com:8080", "10.0.0.1:9081"] {
            assert!(!asked_directly(&request(other)), "{other}");
        }
        assert!(!asked_directly(&Request::new(())));
    }
}
