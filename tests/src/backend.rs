//! Backends in this process that say who they are and what they were asked.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Pair;

/// The path that health checks ask for; counted apart from requests.
pub const HEALTH_PATH: &str = "/healthz";

/// A server on 127.0.0.1, ended when dropped.
pub struct Backend {
    /// The name that it puts into every answer.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    name: String,
    requests: AtomicU64,
    connections: AtomicU64,
    health_checks: AtomicU64,
    unhealthy: AtomicBool,
    plan: Mutex<Plan>,
}

/// What to do with the next requests.
#[derive(Default)]
struct Plan {
    statuses: VecDeque<u16>,
    delay: Duration,
}

/// What a connection carries.
#[derive(Clone)]
enum Speech {
    Http,
    Banner,
}

impl Backend {
    /// HTTP/1.1 and HTTP/2 without TLS, as the client begins.
    pub async fn http(name: &str) -> Self {
        Self::start(name, None, Speech::Http).await
    }

    /// The same at an address of the caller's choice, which others can reach.
    pub async fn http_at(name: &str, address: SocketAddr) -> Self {
        Self::listen(name, address, None, Speech::Http).await
    }

    /// HTTP/1.1 and HTTP/2 behind TLS, by ALPN.
    pub async fn tls(name: &str, pair: &Pair) -> Self {
        let acceptor = acceptor(pair, &[b"h2", b"http/1.1"]);
        Self::start(name, Some(acceptor), Speech::Http).await
    }

    /// TCP: sends `name` and a line feed, then echoes.
    pub async fn tcp(name: &str) -> Self {
        Self::start(name, None, Speech::Banner).await
    }

    /// The same behind TLS.
    pub async fn tls_tcp(name: &str, pair: &Pair) -> Self {
        Self::start(name, Some(acceptor(pair, &[])), Speech::Banner).await
    }

    /// How many requests were answered, health checks left out.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many health checks were answered.
    pub fn health_checks(&self) -> u64 {
        self.state.health_checks.load(Ordering::SeqCst)
    }

    /// Answers the next `times` requests with `status`.
    pub fn fail_next(&self, times: usize, status: u16) {
        let mut plan = self.state.plan();
        plan.statuses.extend(std::iter::repeat_n(status, times));
    }

    /// Waits so long before each answer from now on.
    pub fn delay(&self, delay: Duration) {
        self.state.plan().delay = delay;
    }

    /// What health checks are told from now on.
    pub fn set_healthy(&self, healthy: bool) {
        self.state.unhealthy.store(!healthy, Ordering::SeqCst);
    }

    async fn start(name: &str, tls: Option<TlsAcceptor>, speech: Speech) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::listen(name, any, tls, speech).await
    }

    async fn listen(
        name: &str,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        speech: Speech,
    ) -> Self {
        let listener = TcpListener::bind(address).await;
        let listener = listener.unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State { name: name.to_owned(), ..State::default() });
        let task = tokio::spawn(accept(listener, tls, speech, Arc::clone(&state)));
        Self { name: name.to_owned(), address, state, task }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> (StatusCode, Duration) {
        let mut plan = self.plan();
        let status = plan.statuses.pop_front().unwrap_or(200);
        let status = StatusCode::from_u16(status).expect("tests plan statuses that exist");
        (status, plan.delay)
    }
}

/// A TLS acceptor with this certificate.
fn acceptor(pair: &Pair, protocols: &[&[u8]]) -> TlsAcceptor {
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(pair.chain(), pair.private_key())
        .expect("the certificate fits its key");
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Connections live in a set that ends with this task.
async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    speech: Speech,
    state: Arc<State>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, speech, state) = (tls.clone(), speech.clone(), Arc::clone(&state));
        state.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(converse(stream, tls, speech, state));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, tls: Option<TlsAcceptor>, speech: Speech, state: Arc<State>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = tls else {
        return speak(stream, None, speech, state).await;
    };
    // A client may break off its handshake; that is its test's business.
    if let Ok(stream) = tls.accept(stream).await {
        let sni = stream.get_ref().1.server_name().map(str::to_owned);
        speak(stream, sni, speech, state).await;
    }
}

async fn speak<S>(stream: S, sni: Option<String>, speech: Speech, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match speech {
        Speech::Banner => echo_bytes(stream, &state.name).await,
        Speech::Http => {
            let service = service_fn(move |request| {
                let (state, sni) = (Arc::clone(&state), sni.clone());
                async move { Ok::<_, Infallible>(answer(request, &state, sni).await) }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            // Clients go away as they like.
            drop(server.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
        }
    }
}

async fn echo_bytes<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, name: &str) {
    let mut buffer = [0; 4096];
    if stream.write_all(format!("{name}\n").as_bytes()).await.is_err() {
        return;
    }
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let read = buffer.get(..length).unwrap_or_default();
        if stream.write_all(read).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

async fn answer(
    mut request: Request<Incoming>,
    state: &State,
    sni: Option<String>,
) -> Response<Full<Bytes>> {
    if request.uri().path() == HEALTH_PATH {
        state.health_checks.fetch_add(1, Ordering::SeqCst);
        let healthy = !state.unhealthy.load(Ordering::SeqCst);
        return plain(if healthy { 200 } else { 503 }, Bytes::new());
    }
    state.requests.fetch_add(1, Ordering::SeqCst);
    if request.headers().contains_key("upgrade") {
        return upgrade(&mut request);
    }
    let (status, delay) = state.next();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut headers = BTreeMap::<&str, Vec<String>>::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(value);
    }
    let echo = json!({
        "backend": state.name,
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map_or("", |p| p.as_str()),
        "authority": request.uri().authority().map(http::uri::Authority::as_str),
        "protocol": format!("{:?}", request.version()),
        "sni": sni,
        "headers": headers,
    });
    // The body is read to its end, so that the connection can be used again.
    drop(request.into_body().collect().await);
    plain(status.as_u16(), Bytes::from(echo.to_string()))
}

fn plain(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("the status exists");
    response
}

/// Switches protocols and echoes whatever bytes come.
fn upgrade(request: &mut Request<Incoming>) -> Response<Full<Bytes>> {
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(io) = upgraded.await {
            echo_bytes(TokioIo::new(io), "upgraded").await;
        }
    });
    let mut response = plain(101, Bytes::new());
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket")] {
        let value = http::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
