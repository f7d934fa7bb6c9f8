//! A controller on this machine, and what it tells.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use contour_core::name::ObjectRef;
use contour_core::observe::{Report, SCHEMA};
use http::StatusCode;
use tokio::net::TcpStream;

use crate::failure::{Failure, Kind};
use crate::request::{self, RequestError};
use crate::sandbox::note;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
    request::get(stream, &at.to_string(), path).await.map_err(|error| match error {
        RequestError::Status(StatusCode::NOT_FOUND) => "it knows no such object".to_owned(),
        other @ (RequestError::Status(_) | RequestError::Failed(_)) => other.to_string(),
    })
}
