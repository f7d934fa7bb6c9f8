//! GET over a stream that leads to a controller: a whole answer, or lines as they come.

use bytes::{Buf as _, Bytes, BytesMut};
use contour_cluster::access::reason;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

/// The longest answer, or line of one, that is read.
const MAX_BYTES: usize = 64 * 1_024 * 1_024;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It did not come about, or broke off.
    #[error("{0}")]
    Failed(String),
    /// The answer has another status than 200.
    #[error("it answers {0}")]
    Status(StatusCode),
}

/// An answer that goes on and on, a line at a time.
#[derive(Debug)]
pub struct Lines<B = Incoming> {
    body: B,
    buffer: BytesMut,
    /// How far the buffer has been looked through.
    searched: usize,
    _connection: Option<AbortOnDropHandle<()>>,
}

/// What a server answers to GET, as a whole.
///
/// # Errors
/// If nobody answers, or with another status than 200.
pub async fn get<S>(stream: S, host: &str, path: &str) -> Result<Bytes, RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (status, body, connection) = send(stream, host, path).await?;
    let body = Limited::new(body, MAX_BYTES).collect().await;
    let body = body.map_err(|error| RequestError::Failed(error.to_string()))?.to_bytes();
    drop(connection);
    if status == StatusCode::OK { Ok(body) } else { Err(RequestError::Status(status)) }
}

/// The same where the answer is lines that come as there is news.
///
/// # Errors
/// If nobody answers, or with another status than 200.
pub async fn lines<S>(stream: S, host: &str, path: &str) -> Result<Lines, RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (status, body, connection) = send(stream, host, path).await?;
    if status != StatusCode::OK {
        return Err(RequestError::Status(status));
    }
    Ok(Lines { _connection: Some(connection), ..Lines::of(body) })
}

async fn send<S>(
    stream: S,
    host: &str,
    path: &str,
) -> Result<(StatusCode, Incoming, AbortOnDropHandle<()>), RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(failed)?;
    // What goes wrong with it is told by the exchange.
    let connection = tokio::spawn(async move { connection.await.unwrap_or_default() });
    let connection = AbortOnDropHandle::new(connection);
    let request = Request::get(path)
        .header(http::header::HOST, host)
        .header(http::header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| RequestError::Failed(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    Ok((response.status(), response.into_body(), connection))
}

fn failed(error: impl std::error::Error) -> RequestError {
    RequestError::Failed(reason(&error))
}

impl<B> Lines<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error,
{
    /// The lines of a body.
    pub fn of(body: B) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, _connection: None }
    }

    /// The next line that is not empty, without its end; `None` at the end of the answer. What
    /// comes after the last line feed is no line: it broke off.
    ///
    /// # Errors
    /// If the answer breaks off, or the line is too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RequestError> {
        loop {
            let found = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n');
            if let Some(at) = found.map(|position| position + self.searched) {
                let line = self.buffer.split_to(at).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_BYTES {
                let why = format!("a line has more than {MAX_BYTES} bytes");
                return Err(RequestError::Failed(why));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(failed)?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// A server that has read a request.
    async fn asked(mut far: DuplexStream) -> (String, DuplexStream) {
        let mut request = vec![0; 4_096];
        let read = far.read(&mut request).await.unwrap();
        (String::from_utf8_lossy(&request[..read]).into_owned(), far)
    }

    async fn answered(answer: &'static str) -> (String, Result<Bytes, RequestError>) {
        let (near, far) = tokio::io::duplex(4_096);
        let server = tokio::spawn(async move {
            let (request, mut far) = asked(far).await;
            far.write_all(answer.as_bytes()).await.unwrap();
            request
        });
        let result = get(near, "127.0.0.1:6060", "/debug/envoys").await;
        (server.await.unwrap(), result)
    }

    #[tokio::test]
    async fn an_answer_is_read_as_a_whole() {
        let (request, result) = answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        assert!(request.starts_with("GET /debug/envoys HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("host: 127.0.0.1:6060\r\n"), "{request}");
        assert_eq!(result, Ok(Bytes::from_static(b"{}")));
    }

    #[tokio::test]
    async fn another_status_and_an_answer_that_breaks_off_are_troubles() {
        let (_, result) = answered("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(result, Err(RequestError::Status(StatusCode::NOT_FOUND)));
        let (_, result) = answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").await;
        assert!(matches!(result, Err(RequestError::Failed(_))), "{result:?}");
    }

    #[tokio::test]
    async fn lines_come_as_they_are_written_however_they_are_cut() {
        let (near, far) = tokio::io::duplex(4_096);
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let server = tokio::spawn(async move {
            let (_request, mut far) = asked(far).await;
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            far.write_all(head.as_bytes()).await.unwrap();
            for part in ["{\"a\"", ":1}\n\n{\"b\":2}\n{\"c", "\":3"] {
                far.write_all(chunk(part).as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            far.write_all(b"0\r\n\r\n").await.unwrap();
        });
        let mut lines = lines(near, "127.0.0.1:6060", "/debug/observe").await.unwrap();
        assert_eq!(lines.next().await, Ok(Some(Bytes::from_static(b"{\"a\":1}"))));
        assert_eq!(lines.next().await, Ok(Some(Bytes::from_static(b"{\"b\":2}"))));
        assert_eq!(lines.next().await, Ok(None), "half a line is none");
        server.await.unwrap();
    }
}
