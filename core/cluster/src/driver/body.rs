//! Bodies of answers: whole, or line by line.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;

/// Bytes of a line that are read at most; an object has 1.5 MiB in etcd, more as JSON.
const LINE: usize = 16 << 20;

/// A body of up to `limit` bytes.
pub(super) async fn whole(body: Body, limit: usize) -> Result<Bytes, String> {
    let collected = Limited::new(body, limit).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
}

/// A body whose lines arrive over time.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Where to look for the end of the line: before it there is none.
    looked: usize,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), looked: 0 }
    }

    /// Waits for more to arrive; `false` at the end.
    pub(super) async fn more(&mut self) -> Result<bool, String> {
        match self.body.frame().await {
            None => Ok(false),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.buffer.extend_from_slice(&data);
                }
                if self.buffer.len() > LINE && !self.buffer.contains(&b'\n') {
                    return Err("an event is larger than is read".to_owned());
                }
                Ok(true)
            }
        }
    }

    /// The next line that has arrived, without its end.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let unseen = self.buffer.get(self.looked..)?;
        let Some(at) = unseen.iter().position(|byte| *byte == b'\n') else {
            self.looked = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.looked + at + 1).freeze();
        self.looked = 0;
        Some(line.slice(..line.len() - 1))
    }
}
