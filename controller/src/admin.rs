//! Health, readiness, metrics and `/debug`, over plain HTTP/1.1, GET alone.

mod debug;
mod decode;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ads::Ads;
use crate::engine::query::Inquiry;
use crate::metrics::{
    CONTENT_TYPE as METRICS_TYPE, Metrics, OfBuild, OfKind, OfSeverity, OfState, OfType,
};

/// Connections that a listener serves at a time; more wait.
const CONNECTIONS: usize = 128;

/// How long a client may take for the head of its request.
const HEAD: Duration = Duration::from_secs(10);

/// How long we wait before accepting again when the system refuses to, for instance for want of
/// file descriptors.
const RETRY: Duration = Duration::from_millis(100);

type Answer = Response<Full<Bytes>>;

/// Which paths a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// `/healthz`, `/health`, `/readyz` and `/metrics`.
    HealthAndMetrics,
    /// `/healthz`, `/health` and `/readyz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// `/debug`.
    Debug,
}

/// What is missing until the controller is of use.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) synced: watch::Receiver<bool>,
    pub(crate) serving: watch::Sender<bool>,
    pub(crate) stopping: AtomicBool,
}

impl Readiness {
    /// What is missing; nothing if the controller is ready.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let synced = *self.synced.borrow();
        [
            (!synced, "the source is not in sync yet"),
            (!*self.serving.borrow(), "the xDS server is not listening"),
            (self.stopping.load(Ordering::Acquire), "the controller is stopping"),
        ]
        .into_iter()
        .filter_map(|(missing, what)| missing.then_some(what))
        .collect()
    }
}

/// What the listeners show.
pub(crate) struct Admin {
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inquiry: Inquiry,
    pub(crate) ads: Ads,
}

impl Admin {
    /// Serves until `stop` is cancelled, and then until the requests under way are answered.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        paths: Paths,
        stop: CancellationToken,
    ) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let connections = TaskTracker::new();
        while let Some(Ok(permit)) = or_stop(&stop, Arc::clone(&permits).acquire_owned()).await {
            let stream = match or_stop(&stop, listener.accept()).await {
                None => break,
                Some(Ok((stream, _))) => stream,
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    if or_stop(&stop, tokio::time::sleep(RETRY)).await.is_none() {
                        break;
                    }
                    continue;
                }
            };
            let (admin, stop) = (Arc::clone(&self), stop.clone());
            connections.spawn(async move {
                admin.connection(stream, paths, stop).await;
                drop(permit);
            });
        }
        connections.close();
        connections.wait().await;
    }

    async fn connection(&self, stream: TcpStream, paths: Paths, stop: CancellationToken) {
        let service = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, Infallible>(self.answer(&request, paths).await)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection to the administration ended early");
        }
    }

    async fn answer(&self, request: &Request<Incoming>, paths: Paths) -> Answer {
        if request.method() != Method::GET {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served\n");
            let allow = http::HeaderValue::from_static("GET");
            answer.headers_mut().insert(ALLOW, allow);
            return answer;
        }
        let health = matches!(paths, Paths::Health | Paths::HealthAndMetrics);
        let metrics = matches!(paths, Paths::Metrics | Paths::HealthAndMetrics);
        match request.uri().path() {
            "/healthz" | "/health" if health => text(StatusCode::OK, "ok\n"),
            "/readyz" if health => self.ready(),
            "/metrics" if metrics => self.metrics().await,
            _ if paths == Paths::Debug => debug::answer(self, request).await,
            _ => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
        }
    }

    fn ready(&self) -> Answer {
        let missing = self.readiness.missing();
        if missing.is_empty() {
            return text(StatusCode::OK, "ready\n");
        }
        let body = format!("not ready: {}\n", missing.join("; "));
        text(StatusCode::SERVICE_UNAVAILABLE, body)
    }

    async fn metrics(&self) -> Answer {
        let Some(counts) = self.inquiry.counts().await else {
            return ended();
        };
        let metrics = &self.metrics;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let build = OfBuild { version: env!("CARGO_PKG_VERSION") };
        metrics.build_info.get_or_create(&build).set(1);
        metrics.in_sync.set(i64::from(*self.readiness.synced.borrow()));
        metrics.revision.set(i64::try_from(counts.revision).unwrap_or(i64::MAX));
        for (kind, count) in counts.objects {
            let label = OfKind { kind: kind.as_str() };
            metrics.objects.get_or_create(&label).set(number(count));
        }
        metrics.object_states.clear();
        for ((kind, state), count) in counts.states {
            let label = OfState { kind: kind.as_str(), state: debug::state(state) };
            metrics.object_states.get_or_create(&label).set(number(count));
        }
        for (severity, count) in counts.diagnostics {
            let label = OfSeverity { severity: severity.as_str() };
            metrics.diagnostics.get_or_create(&label).set(number(count));
        }
        for (kind, count) in counts.resources {
            let label = OfType { r#type: kind.short() };
            metrics.resources.get_or_create(&label).set(number(count));
        }
        metrics.rejected_resources.set(number(counts.rejected));
        metrics.source_problems.set(number(counts.source_problems));
        metrics.envoys.set(number(self.ads.envoys().len()));
        respond(StatusCode::OK, METRICS_TYPE, metrics.encode())
    }
}

/// What the future comes to, unless `stop` is cancelled first.
async fn or_stop<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    stop.run_until_cancelled(future).await
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    respond(status, "text/plain; charset=utf-8", body)
}

fn ended() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, "the controller is stopping\n")
}

fn respond(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let media_type = http::HeaderValue::from_static(media_type);
    headers.insert(CONTENT_TYPE, media_type);
    let no_store = http::HeaderValue::from_static("no-store");
    headers.insert(CACHE_CONTROL, no_store);
    answer
}
