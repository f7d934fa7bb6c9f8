//! What goes wrong around the controller, and what must go on meanwhile.

#[path = "fault/continuity.rs"]
mod continuity;
#[path = "fault/envoys.rs"]
mod envoys;
#[path = "fault/handshakes.rs"]
mod handshakes;
#[path = "fault/input.rs"]
mod input;
#[path = "fault/limits.rs"]
mod limits;
#[path = "fault/overload.rs"]
mod overload;
#[path = "fault/peers.rs"]
mod peers;
#[path = "fault/rejection.rs"]
mod rejection;
#[path = "fault/restart.rs"]
pub(crate) mod restart;
#[path = "fault/rotation.rs"]
mod rotation;
#[path = "fault/shutdown.rs"]
mod shutdown;
#[path = "fault/shrink.rs"]
mod shrink;
#[path = "fault/start.rs"]
mod start;
#[path = "fault/turns.rs"]
mod turns;
#[path = "fault/values.rs"]
mod values;

use contour_tests::stage::ingress_route;

/// An IngressRoute of `demo` for a host `NAME.test`, all of it answered by one Service.
fn host(name: &str, service: &str) -> String {
    ingress_route(
        &format!("demo/{name}"),
        &format!(
            "virtualhost: {{fqdn: {name}.test}}\nroutes:\n\
             - {{match: /, services: [{{name: {service}, port: 80}}]}}"
        ),
    )
}
