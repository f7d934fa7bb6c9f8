//! Requests that become something else than HTTP, such as the forwarding of a port.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kube::client::Body;

/// Whether a request wants to become something else.
pub(super) fn is_wanted<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(UPGRADE)
}

/// Asks the API server for the same, and then passes on what either side says.
pub(super) async fn dig(
    mut request: Request<Incoming>,
    client: kube::Client,
) -> Result<Response<UnsyncBoxBody<Bytes, kube::Error>>, kube::Error> {
    let near = hyper::upgrade::on(&mut request);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut onward = Request::builder().method(request.method()).uri(path);
    for (name, value) in request.headers().iter().filter(|(name, _)| **name != HOST) {
        onward = onward.header(name, value);
    }
    let onward = onward.body(Body::empty()).map_err(kube::Error::HttpError)?;
    let mut answer = client.send(onward).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(answer.map(UnsyncBoxBody::new));
    }
    let far = hyper::upgrade::on(&mut answer);
    tokio::spawn(async move {
        if let (Ok(near), Ok(far)) = tokio::join!(near, far) {
            let (mut near, mut far) = (TokioIo::new(near), TokioIo::new(far));
            // Either may leave without a word.
            drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
        }
    });
    let mut agreed = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in answer.headers().iter().filter(|(name, _)| **name != CONNECTION) {
        agreed = agreed.header(name, value);
    }
    let agreed = agreed.header(CONNECTION, "Upgrade");
    let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
    agreed.body(nothing).map_err(kube::Error::HttpError)
}
