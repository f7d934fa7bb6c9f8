//! What can go wrong between a controller and its API server, at will.
//!
//! A [`Proxy`] forwards to the real API server and answers itself only what a test tells it to
//! refuse.

mod traffic;
mod tunnel;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use traffic::{Orders, flow};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A list, or a page of one.
    List,
    /// A list as a stream of events, and then what changes.
    Stream,
    /// What changes from a version on.
    Watch,
    /// Anything else that is only read.
    Get,
    /// What changes something.
    Write,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this HTTP status.
    Refused(u16),
    /// It is refused with this HTTP status and the wish to be asked again after so many seconds.
    Later(u16, u64),
    /// It is answered by the API server, so much later.
    Slow(Duration),
}

/// When a request is held up for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Before the API server has heard of it.
    Before,
    /// When the API server has done it, and nobody has been told.
    After,
}

/// A request that has come.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What it is for.
    pub class: Class,
    /// The plural name of what it is about; empty for other paths.
    pub resource: String,
    /// When it came.
    pub at: Instant,
}

struct Rule {
    classes: Vec<Class>,
    resource: Option<String>,
    fault: Fault,
    /// How often it is still to be applied.
    left: usize,
}

#[derive(Default)]
struct State {
    asked: Mutex<Vec<Asked>>,
    rules: Mutex<Vec<Rule>>,
    /// Lists and streams of lists that wait for their beginning now, and the most that ever did.
    at_once: Mutex<BTreeMap<String, (usize, usize)>>,
    orders: watch::Sender<Orders>,
    /// Which request is to be held up, counted from now.
    hold: Mutex<Option<(usize, Held)>>,
    /// Whether it is.
    held: watch::Sender<bool>,
}

/// A proxy on 127.0.0.1 that speaks HTTP without TLS and asks the API server as one of its users;
/// ended when dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
    directory: TempDir,
}

type Answer = Response<UnsyncBoxBody<Bytes, kube::Error>>;

impl Proxy {
    /// Starts one before the API server of a kubeconfig's current context.
    ///
    /// # Panics
    /// If the kubeconfig cannot be used.
    pub async fn start(upstream: &Path) -> Self {
        Self::start_at(upstream, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at an address that was given out before.
    ///
    /// # Panics
    /// If the kubeconfig cannot be used, or the address is taken.
    pub async fn start_at(upstream: &Path, address: SocketAddr) -> Self {
        let config = Kubeconfig::read_from(upstream).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(config, &options).await;
        let mut config = config.expect("a good kubeconfig");
        config.proxy_url = None;
        config.read_timeout = None;
        config.default_retry = false;
        let client = kube::Client::try_from(config).expect("a client can be made");
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State::default());
        let task = tokio::spawn(accept(listener, client, Arc::clone(&state)));
        let directory = tempfile::tempdir().expect("a directory can be made");
        write_kubeconfig(directory.path(), address);
        Self { address, state, task, directory }
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next `times` requests of these classes (any, if none is named) about a resource (any, if
    /// `None`) meet with a fault.
    pub fn fail(&self, classes: &[Class], resource: Option<&str>, fault: Fault, times: usize) {
        let (classes, resource) = (classes.to_vec(), resource.map(str::to_owned));
        lock(&self.state.rules).push(Rule { classes, resource, fault, left: times });
    }

    /// Every further request is treated well.
    pub fn heal(&self) {
        lock(&self.state.rules).clear();
        *lock(&self.state.hold) = None;
    }

    /// Holds up the request that comes after so many others.
    pub fn hold(&self, after: usize, when: Held) {
        self.state.held.send_replace(false);
        *lock(&self.state.hold) = Some((after, when));
    }

    /// Resolves once a request is held up.
    pub async fn held(&self) {
        // The sender lives as long as this does.
        drop(self.state.held.subscribe().wait_for(|held| *held).await);
    }

    /// Breaks off every watch and every stream of a list that is open.
    pub fn cut(&self) {
        self.state.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Keeps every watch and every stream of a list that is open, and never sends anything there
    /// any more.
    pub fn hush(&self) {
        self.state.orders.send_modify(|orders| orders.hushes += 1);
    }

    /// Puts an `ERROR` event with this code into every watch of a resource that is open, and ends
    /// it, as the API server does.
    pub fn spoil(&self, resource: &str, code: u16) {
        self.state.orders.send_modify(|orders| orders.spoilt.push((resource.to_owned(), code)));
    }

    /// Every request that has come.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// How many requests of a class have come about a resource.
    pub fn count(&self, class: Class, resource: &str) -> usize {
        let asked = lock(&self.state.asked);
        asked.iter().filter(|a| a.class == class && a.resource == resource).count()
    }

    /// How many lists there have been by resource, whole or as streams.
    pub fn lists(&self) -> BTreeMap<String, usize> {
        let mut lists = BTreeMap::new();
        for asked in lock(&self.state.asked).iter() {
            if matches!(asked.class, Class::List | Class::Stream) {
                *lists.entry(asked.resource.clone()).or_default() += 1;
            }
        }
        lists
    }

    /// How many reads of a resource were ever unanswered at a time, the most of all resources.
    pub fn most_at_once(&self) -> usize {
        lock(&self.state.at_once).values().map(|(_, most)| *most).max().unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// Whether the request that has come is the one to be held up.
    fn is_held(&self) -> Option<Held> {
        let mut hold = lock(&self.hold);
        let (left, when) = hold.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let when = *when;
        *hold = None;
        Some(when)
    }

    async fn hang(&self) -> ! {
        self.held.send_replace(true);
        std::future::pending().await
    }

    /// What becomes of a request, if anything is to.
    fn fault(&self, class: Class, resource: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| {
            rule.left > 0
                && (rule.classes.is_empty() || rule.classes.contains(&class))
                && rule.resource.as_deref().is_none_or(|r| r == resource)
        })?;
        rule.left -= 1;
        Some(rule.fault)
    }
}

/// Counts a read that is unanswered, for as long as it lives.
struct Unanswered(Arc<State>, String);

impl Unanswered {
    fn new(state: &Arc<State>, resource: &str) -> Self {
        let mut all = lock(&state.at_once);
        let (now, most) = all.entry(resource.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        drop(all);
        Self(Arc::clone(state), resource.to_owned())
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some((now, _)) = lock(&self.0.at_once).get_mut(&self.1) {
            *now -= 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections live in a set that ends with this task.
async fn accept(listener: TcpListener, client: kube::Client, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (client, state) = (client.clone(), Arc::clone(&state));
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (client, state) = (client.clone(), Arc::clone(&state));
                async move { Ok::<_, Infallible>(answer(request, client, state).await) }
            });
            // A stream that is cut ends its connection with it.
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(connection.with_upgrades().await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, client: kube::Client, state: Arc<State>) -> Answer {
    let (class, resource) = classify(&request);
    let asked = Asked { class, resource: resource.clone(), at: Instant::now() };
    lock(&state.asked).push(asked);
    let reads = matches!(class, Class::List | Class::Stream | Class::Watch);
    let unanswered = reads.then(|| Unanswered::new(&state, &resource));
    match state.fault(class, &resource) {
        Some(Fault::Refused(code)) => return refusal(code, None),
        Some(Fault::Later(code, seconds)) => return refusal(code, Some(seconds)),
        Some(Fault::Slow(delay)) => tokio::time::sleep(delay).await,
        None => {}
    }
    let held = state.is_held();
    if held == Some(Held::Before) {
        state.hang().await;
    }
    // Orders that are given from here on are about this stream too.
    let orders = state.orders.subscribe();
    if tunnel::is_wanted(&request) {
        let answer = tunnel::dig(request, client).await;
        if held == Some(Held::After) {
            state.hang().await;
        }
        return answer.unwrap_or_else(|error| failed(&error));
    }
    let answer = forward(request, client).await;
    if held == Some(Held::After) {
        state.hang().await;
    }
    drop(unanswered);
    match answer {
        Ok(answer) if matches!(class, Class::Stream | Class::Watch) => {
            answer.map(|body| flow(body, resource, orders))
        }
        Ok(answer) => answer.map(UnsyncBoxBody::new),
        Err(error) => failed(&error),
    }
}

/// What is answered where the API server does not answer.
fn failed(error: &kube::Error) -> Answer {
    let mut answer = refusal(502, None);
    *answer.body_mut() = whole(error.to_string());
    answer
}

async fn forward(
    request: Request<Incoming>,
    client: kube::Client,
) -> Result<Response<Body>, kube::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(kube::Error::HyperError)?.to_bytes();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = Request::builder().method(parts.method).uri(path);
    for name in [http::header::CONTENT_TYPE, http::header::ACCEPT] {
        if let Some(value) = parts.headers.get(&name) {
            onward = onward.header(name, value);
        }
    }
    let onward = onward.body(Body::from(body)).map_err(kube::Error::HttpError)?;
    let mut answer = client.send(onward).await?;
    // The server here frames bodies by itself.
    for name in [http::header::TRANSFER_ENCODING, http::header::CONTENT_LENGTH] {
        answer.headers_mut().remove(name);
    }
    *answer.version_mut() = http::Version::HTTP_11;
    Ok(answer)
}

/// As the API server refuses: with a `Status`.
fn refusal(code: u16, retry_after: Option<u64>) -> Answer {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
        "message": format!("refused with {code} by the test"),
    });
    let mut answer = Response::new(whole(status.to_string()));
    *answer.status_mut() = StatusCode::from_u16(code).expect("the status exists");
    let json = http::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, json);
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn whole(text: String) -> UnsyncBoxBody<Bytes, kube::Error> {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

/// What a request is for, and the plural name of what it is about.
fn classify<B>(request: &Request<B>) -> (Class, String) {
    let path: Vec<_> = request.uri().path().split('/').filter(|s| !s.is_empty()).collect();
    let beyond = match path.as_slice() {
        ["api", _version, rest @ ..] | ["apis", _, _version, rest @ ..] => rest,
        _ => &[],
    };
    let (resource, is_named) = match beyond {
        ["namespaces", _, resource, rest @ ..] | [resource, rest @ ..] => {
            (*resource, !rest.is_empty())
        }
        [] => ("", true),
    };
    let query = request.uri().query().unwrap_or_default();
    let class = if request.method() != Method::GET {
        Class::Write
    } else if query.contains("sendInitialEvents=true") {
        Class::Stream
    } else if query.contains("watch=true") {
        Class::Watch
    } else if is_named {
        Class::Get
    } else {
        Class::List
    };
    (class, resource.to_owned())
}

fn write_kubeconfig(directory: &Path, address: SocketAddr) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": ""}}],
        "current-context": "proxy",
    });
    let path = directory.join("kubeconfig");
    std::fs::write(&path, config.to_string()).expect("a file can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let of = |method: &str, uri: &str| {
            classify(&Request::builder().method(method).uri(uri).body(()).unwrap())
        };
        for (method, uri, class, resource) in [
            ("GET", "/api/v1/secrets?limit=500", Class::List, "secrets"),
            ("GET", "/api/v1/namespaces/a/services?watch=true", Class::Watch, "services"),
            ("GET", "/apis/g/v1/things?watch=true&sendInitialEvents=true", Class::Stream, "things"),
            ("GET", "/apis/g/v1/namespaces/a/things/x", Class::Get, "things"),
            ("PATCH", "/apis/g/v1/namespaces/a/things/x/status?a=b", Class::Write, "things"),
            ("GET", "/version", Class::Get, ""),
        ] {
            assert_eq!(of(method, uri), (class, resource.to_owned()), "{method} {uri}");
        }
    }
}
