//! Asks an Envoy's administration, over a unix socket or TCP.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::bootstrap::Admin;

/// The longest answer that is read: the latencies of some 50,000 routes.
const BYTES: usize = 128 << 20;

/// Why the administration did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// There is no socket, or nobody listens on it.
    #[error("{0}")]
    Connect(std::io::Error),
    /// The exchange broke off.
    #[error("it broke off: {0}")]
    Exchange(String),
    /// It took too long.
    #[error("it does not answer within {0:?}")]
    Slow(Duration),
    /// It refuses.
    #[error("it answers {0}: {1}")]
    Status(u16, String),
}

impl AskError {
    /// Whether nobody is there any more, as after Envoy has ended.
    pub(crate) fn nobody_listens(&self) -> bool {
        matches!(self, Self::Connect(error) if error.kind() == ErrorKind::ConnectionRefused)
    }

    /// Whether there is no socket at all.
    pub(crate) fn no_socket(&self) -> bool {
        matches!(self, Self::Connect(error) if error.kind() == ErrorKind::NotFound)
    }
}

/// Sends a request without body and returns the text of the answer. Envoy answers from its main
/// thread, which a large change of configuration can keep busy for a while.
///
/// # Errors
/// If there is no answer or it is not a success.
pub(crate) async fn ask(
    admin: &Admin,
    (method, path): (Method, &str),
    limit: Duration,
) -> Result<String, AskError> {
    let exchange = async {
        match admin {
            Admin::Socket(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(AskError::Connect)?;
                exchange(stream, method, path).await
            }
            Admin::Address(address, port) => {
                let stream =
                    TcpStream::connect((*address, *port)).await.map_err(AskError::Connect)?;
                exchange(stream, method, path).await
            }
        }
    };
    tokio::time::timeout(limit, exchange).await.unwrap_or(Err(AskError::Slow(limit)))
}

async fn exchange<S>(stream: S, method: Method, path: &str) -> Result<String, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| AskError::Exchange(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "envoy-admin")
        .body(Empty::<Bytes>::new())
        .map_err(|error| AskError::Exchange(error.to_string()))?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BYTES).collect().await;
        let body = body.map_err(|error| AskError::Exchange(error.to_string()))?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            Ok(text)
        } else {
            Err(AskError::Status(status.as_u16(), text.trim().to_owned()))
        }
    };
    let mut answer = std::pin::pin!(answer);
    // The connection does its work while somebody waits for it, and ends with this function.
    tokio::select! {
        answer = answer.as_mut() => answer,
        outcome = connection => match outcome {
            Ok(()) => answer.await,
            Err(error) => Err(broken(error)),
        },
    }
}
