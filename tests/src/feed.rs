//! Somebody who watches everything that a controller observes.

use std::net::SocketAddr;

use bytes::Bytes;
use contour_core::observe::feed::Increment;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A feed that is followed; nobody watches any more once it is dropped.
pub struct Feed {
    body: Incoming,
    read: Vec<u8>,
    /// The bytes of the last line.
    pub bytes: usize,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Feed {
    /// Follows the feed of a controller, whose `/debug` is there. `query` begins with `?`, or is
    /// empty.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn follow(debug: SocketAddr, query: &str) -> Self {
        let stream = TcpStream::connect(debug).await.expect("the controller listens");
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
        let connection = tokio::spawn(connection);
        let request = http::Request::get(format!("/debug/observe{query}"))
            .header(http::header::HOST, debug.to_string())
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[http::header::CONTENT_TYPE], "application/x-ndjson");
        Self { body: answer.into_body(), read: Vec::new(), bytes: 0, connection }
    }

    /// The next line; `None` at the end.
    ///
    /// # Panics
    /// If it is no increment, or the connection breaks.
    pub async fn next(&mut self) -> Option<Increment> {
        let mut searched = 0;
        let end = loop {
            let new = self.read.get(searched..).unwrap_or_default();
            if let Some(end) = new.iter().position(|byte| *byte == b'\n') {
                break searched + end;
            }
            searched = self.read.len();
            let frame = self.body.frame().await?.expect("the connection holds");
            self.read.extend_from_slice(&frame.into_data().unwrap_or_default());
        };
        let line: Vec<u8> = self.read.drain(..=end).collect();
        self.bytes = line.len();
        Some(serde_json::from_slice(&line).expect("an increment"))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
