//! A controller on this machine, and what it tells.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use contour_cluster::access::reason;
use contour_core::name::ObjectRef;
use contour_core::observe::{Report, SCHEMA};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::failure::{Failure, Kind};
use crate::sandbox::note;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const MAX_BYTES: usize = 64 * 1_024 * 1_024;

/// The path that an object is asked for at.
pub fn path(object: &ObjectRef) -> String {
    let (namespace, name) = (&object.name.namespace, &object.name.name);
    format!("/debug/observe/{}/{namespace}/{name}", object.kind.as_str())
}

/// Where the controller answers that serves some files: as was said, or as its sandbox has noted.
///
/// # Errors
/// If none is known.
pub fn locate(files: &Path, said: Option<SocketAddr>) -> Result<SocketAddr, Failure> {
    let noted = || note::read(files);
    said.or_else(noted).ok_or_else(|| {
        let message = format!("no controller is known that serves {}", files.display());
        Failure::new(Kind::Shift(7), message).with_hint(format!(
            "start one with: kubectl contour sandbox {}\nor say where one answers: --controller 127.0.0.1:6060",
            files.display()
        ))
    })
}

/// Reads what a controller tells.
///
/// # Errors
/// If it is no report of a form that is known.
pub fn read(body: &[u8]) -> Result<Report, String> {
    let report: Report = serde_json::from_slice(body)
        .map_err(|error| format!("what it tells is no report: {error}"))?;
    if report.schema != SCHEMA {
        let (theirs, ours) = (report.schema, SCHEMA);
        return Err(format!(
            "it tells schema {theirs}, and this program knows {ours}: use the same version of both"
        ));
    }
    Ok(report)
}

/// Asks the controller at an address.
///
/// # Errors
/// Why it does not tell.
pub async fn ask(at: SocketAddr, object: &ObjectRef) -> Result<Report, String> {
    let asked = tokio::time::timeout(PATIENCE, get(at, &path(object))).await;
    let body = asked.map_err(|_late| format!("no answer within {PATIENCE:?}")).flatten();
    body.and_then(|body| read(&body)).map_err(|why| format!("controller at {at}: {why}"))
}

async fn get(at: SocketAddr, path: &str) -> Result<Bytes, String> {
    let failed = |error: hyper::Error| reason(&error);
    let stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header(http::header::HOST, at.to_string())
        .header(http::header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    connection.abort();
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::NOT_FOUND => Err("it knows no such object".to_owned()),
        other => Err(format!("it answers {other}")),
    }
}
