//! The backend of the tests as a program, for a Pod: HTTP/1.1 and HTTP/2 on `BACKEND_PORT` (8080)
//! of every address, under the name `BACKEND_NAME` (or `HOSTNAME`, which is the Pod's). It answers
//! after `BACKEND_DELAY` milliseconds (0).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use contour_tests::backend::Backend;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() {
    let variable = |name: &str| std::env::var(name).ok();
    let name = variable("BACKEND_NAME").or_else(|| variable("HOSTNAME")).unwrap_or_default();
    let port = variable("BACKEND_PORT").map_or(8080, |port| port.parse().expect("a port"));
    // The first process of a container ends at no signal that it does not handle.
    let mut end = signal(SignalKind::terminate()).expect("signals can be received");
    let address = SocketAddr::from((IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    let backend = Backend::http_at(&name, address).await;
    let delay = variable("BACKEND_DELAY").map_or(0, |delay| delay.parse().expect("milliseconds"));
    backend.delay(Duration::from_millis(delay));
    end.recv().await;
    drop(backend);
}
