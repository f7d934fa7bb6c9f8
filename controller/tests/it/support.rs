//! What several tests need.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a test waits for what must happen; far longer than it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request as it stands and reads the answer to its end.
pub(crate) fn raw(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("something listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Reply { status: status.expect("a status"), head: head.to_owned(), body: body.to_owned() }
}

/// Asks for a path.
pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    raw(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
}

/// The same from within a test that runs a controller.
pub(crate) async fn fetch(address: SocketAddr, path: &str) -> Reply {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || get(address, &path)).await.unwrap()
}

/// Envoy, from `CONTOUR_ENVOY`, the workspace's private environment, or `PATH`.
pub(crate) fn envoy() -> PathBuf {
    let named = std::env::var_os("CONTOUR_ENVOY").map(PathBuf::from);
    let installed = || {
        let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/envoy/lib");
        std::fs::read_dir(lib)
            .ok()?
            .filter_map(Result::ok)
            .map(|entry| entry.path().join("site-packages/envoy/_bin/envoy"))
            .find(|path| path.is_file())
    };
    let on_path = || {
        std::env::split_paths(&std::env::var_os("PATH")?)
            .map(|directory| directory.join("envoy"))
            .find(|path| path.is_file())
    };
    named
        .or_else(installed)
        .or_else(on_path)
        .expect("no Envoy: run `make tools`, set CONTOUR_ENVOY, or put envoy on PATH")
}

/// A Service as a manifest.
pub(crate) fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: demo}}\n\
         spec: {{ports: [{{port: {port}}}]}}\n"
    )
}

/// An IngressRoute as a manifest.
pub(crate) fn route(name: &str, service: &str) -> String {
    format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata:\n  name: {name}\n  namespace: demo\n\
         spec:\n  virtualhost:\n    fqdn: {name}.example.com\n  routes:\n  - match: /\n    services:\n    - name: {service}\n      port: 80\n"
    )
}
