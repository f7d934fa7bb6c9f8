//! The events of a watch on their way, and what may happen to them there.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::json;
use tokio::sync::{mpsc, watch};

/// What all streams are told to do; they look at what is new since they began.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    pub(super) cuts: usize,
    pub(super) hushes: usize,
    /// By resource, with the code of the error.
    pub(super) spoilt: Vec<(String, u16)>,
}

type Frames = mpsc::Sender<Result<Frame<Bytes>, kube::Error>>;

/// The body of a stream, subject to orders that are given from when `orders` was subscribed.
pub(super) fn flow(
    body: Body,
    resource: String,
    mut orders: watch::Receiver<Orders>,
) -> UnsyncBoxBody<Bytes, kube::Error> {
    let (frames, received) = mpsc::channel(1);
    let before = orders.borrow_and_update().clone();
    tokio::spawn(async move { pump(body, &resource, (before, orders), frames).await });
    let stream = futures_util::stream::unfold(received, async |mut received| {
        received.recv().await.map(|frame| (frame, received))
    });
    UnsyncBoxBody::new(StreamBody::new(stream))
}

async fn pump(
    mut body: Body,
    resource: &str,
    (before, mut orders): (Orders, watch::Receiver<Orders>),
    frames: Frames,
) {
    let mut is_hushed = false;
    loop {
        let frame = tokio::select! {
            () = frames.closed() => return,
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = orders.borrow_and_update().clone();
                is_hushed |= now.hushes > before.hushes;
                if now.cuts > before.cuts {
                    let error = std::io::Error::other("cut by the test");
                    drop(frames.send(Err(kube::Error::ReadEvents(error))).await);
                    return;
                }
                let new = now.spoilt.get(before.spoilt.len()..).unwrap_or_default();
                if let Some((_, code)) = new.iter().find(|(spoilt, _)| spoilt == resource) {
                    drop(frames.send(Ok(error(*code))).await);
                    return;
                }
                continue;
            }
            frame = body.frame(), if !is_hushed => frame,
        };
        let Some(frame) = frame else { return };
        if frames.send(frame).await.is_err() {
            return;
        }
    }
}

fn error(code: u16) -> Frame<Bytes> {
    let event = json!({"type": "ERROR", "object": {
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
        "message": format!("broken off with {code} by the test"),
    }});
    Frame::data(Bytes::from(format!("{event}\n")))
}
