//! Serves plain HTTP/1.1, GET alone: the administration, and the shutdown manager beside Envoy.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that a listener serves at a time; more wait.
const CONNECTIONS: usize = 128;

/// How long a client may take for the head of its request.
const HEAD: Duration = Duration::from_secs(10);

/// How long we wait before accepting again when the system refuses to, for instance for want of
/// file descriptors.
const RETRY: Duration = Duration::from_millis(100);

/// What is answered.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What answers requests.
pub(crate) trait Site: Send + Sync + 'static {
    /// Answers a GET.
    fn answer(&self, request: &Request<Incoming>) -> impl Future<Output = Answer> + Send;
}

/// Serves until `stop` is cancelled, and then until the requests under way are answered.
pub(crate) async fn serve(site: Arc<impl Site>, listener: TcpListener, stop: CancellationToken) {
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
        let (site, stop) = (Arc::clone(&site), stop.clone());
        connections.spawn(async move {
            connection(&*site, stream, stop).await;
            drop(permit);
        });
    }
    connections.close();
    connections.wait().await;
}

async fn connection(site: &impl Site, stream: TcpStream, stop: CancellationToken) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(if request.method() == Method::GET {
            site.answer(&request).await
        } else {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            answer
        })
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
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// What the future comes to, unless `stop` is cancelled first.
async fn or_stop<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    stop.run_until_cancelled(future).await
}

/// An answer in words.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    respond(status, "text/plain; charset=utf-8", body)
}

/// The answer to a path that is not served.
pub(crate) fn nothing_here() -> Answer {
    text(StatusCode::NOT_FOUND, "there is nothing here\n")
}

/// An answer that nobody may cache.
pub(crate) fn respond(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = streamed(media_type, Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

/// An answer that comes as it is made, and that nobody may cache.
pub(crate) fn streamed(
    media_type: &'static str,
    body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Answer {
    let mut answer = Response::new(body.boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
