//! A controller in this process that reads a real API server, and real Envoys that it programs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contour::config::{Access, Config, Election, Kubernetes, StatusAddresses};
use contour::event::ControllerEvent;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::name::ObjectName;
use contour_core::pipeline::Options;
use contour_core::xds::{Resource, ResourceType};
use envoy_types::pb::envoy::config::core::v3::address;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, lb_endpoint::HostIdentifier,
};
use prost::Message as _;
use serde_json::{Value, json};

use super::Objects;
use crate::backend::Backend;
use crate::client::Target;
use crate::envoy::{Envoy, eventually};
use crate::stage::{acknowledged, connect, options};

/// The address in EndpointSlices of backends of this process. The API server takes no loopback
/// address; the controller's last step puts 127.0.0.1 in its place (RFC 5737: nobody has it).
const STAND_IN: &str = "203.0.113.7";

/// The namespace of the controller.
pub const NAMESPACE: &str = "projectcontour";

/// A controller that reads an API server.
pub struct KubernetesStage {
    /// The controller.
    pub controller: Controller,
}

/// Settings of a controller that reads an API server: an election that takes seconds, status for
/// Envoy's Service in [`NAMESPACE`].
pub fn settings(kubeconfig: PathBuf) -> Kubernetes {
    Kubernetes {
        access: Access::Kubeconfig(kubeconfig),
        qps: 1000.0,
        burst: 1000,
        namespace: NAMESPACE.into(),
        election: Some(Election {
            lease_duration: Duration::from_secs(3),
            renew_deadline: Duration::from_secs(2),
            retry_period: Duration::from_millis(200),
            name: "leader-elect".into(),
            namespace: NAMESPACE.into(),
        }),
        addresses: StatusAddresses::Service(ObjectName::new(NAMESPACE, "envoy")),
        ..Kubernetes::default()
    }
}

impl KubernetesStage {
    /// Starts a controller; it may not be ready yet.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(settings: Kubernetes) -> Self {
        Self::with(settings, Options { allow_loopback_endpoints: false, ..options() }, None).await
    }

    /// The same with other settings of the translation, and with what a test would have an Envoy
    /// reject.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn with(
        settings: Kubernetes,
        options: Options,
        rewrite: Option<contour::serve::Rewrite>,
    ) -> Self {
        Self::at(0, settings, options, rewrite).await
    }

    /// The same, with Envoys served on this port of 127.0.0.1.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn at(
        xds: u16,
        settings: Kubernetes,
        options: Options,
        rewrite: Option<contour::serve::Rewrite>,
    ) -> Self {
        let mut config = Config::local(Source::Kubernetes(Box::new(settings)));
        config.options = options;
        config.listen.xds.set_port(xds);
        let hooks = Hooks {
            rewrite: Some(Arc::new(move |resource: &Resource| {
                rewrite.as_ref().and_then(|rewrite| rewrite(resource)).or_else(|| at_home(resource))
            })),
        };
        let controller = Controller::start(config, hooks).await.expect("the controller starts");
        Self { controller }
    }

    /// Starts an Envoy and waits until it serves.
    pub async fn envoy(&self, node: &str) -> Envoy {
        self.controller.ready().await;
        let mut events = self.controller.events();
        let envoy = connect(&self.controller, node);
        acknowledged(&mut events, node, 0).await;
        envoy.ready().await;
        envoy
    }

    /// A metric of the controller, by its name with labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let target = Target::plain(self.controller.bound().metrics);
        let text = target.get("localhost", "/metrics").await.ok()?;
        let text = String::from_utf8_lossy(&text.body).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }
}

/// Where an Envoy serves plain HTTP.
pub async fn http(envoy: &Envoy) -> Target {
    Target::plain(envoy.listener("ingress_http").await)
}

/// A backend of this process behind [`STAND_IN`] is at home.
fn at_home(resource: &Resource) -> Option<Resource> {
    if resource.key.kind != ResourceType::Endpoint {
        return None;
    }
    let mut assignment = ClusterLoadAssignment::decode(resource.body.as_ref()).ok()?;
    let endpoints = assignment.endpoints.iter_mut().flat_map(|l| &mut l.lb_endpoints);
    let mut is_changed = false;
    for endpoint in endpoints {
        if let Some(HostIdentifier::Endpoint(endpoint)) = &mut endpoint.host_identifier
            && let Some(address) = &mut endpoint.address
            && let Some(address::Address::SocketAddress(address)) = &mut address.address
            && address.address == STAND_IN
        {
            "127.0.0.1".clone_into(&mut address.address);
            is_changed = true;
        }
    }
    is_changed.then(|| {
        let body = assignment.encode_to_vec();
        Resource::new(resource.key.clone(), body, resource.requires.to_vec())
    })
}

/// Puts backends into a namespace of an API server, each behind a Service of its name on port 80.
///
/// # Panics
/// If an object is refused.
pub async fn serve(objects: &Objects, namespace: &str, backends: &[&Backend]) {
    for backend in backends {
        for object in behind(namespace, &backend.name, &[backend.address]) {
            objects.apply_value(&object).await.expect("the object is taken");
        }
    }
}

/// A Service on port 80 and its EndpointSlice, as an API server takes them.
pub fn behind(namespace: &str, service: &str, addresses: &[SocketAddr]) -> Vec<Value> {
    let mut all = vec![json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": service},
        "spec": {"clusterIP": "None", "ports": [{"port": 80, "name": "http"}]},
    })];
    for (index, address) in addresses.iter().enumerate() {
        all.push(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "namespace": namespace, "name": format!("{service}-{index}"),
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [STAND_IN], "conditions": {"ready": true}}],
            "ports": [{"name": "http", "port": address.port(), "protocol": "TCP"}],
        }));
    }
    all
}

/// An IngressRoute of a host with services by weight.
pub fn shop(namespace: &str, name: &str, host: &str, services: &[(&str, u32)]) -> Value {
    let services: Vec<_> = services
        .iter()
        .map(|(name, weight)| json!({"name": name, "port": 80, "weight": weight}))
        .collect();
    json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"virtualhost": {"fqdn": host}, "routes": [{"match": "/", "services": services}]},
    })
}

/// The path of an IngressRoute.
pub fn path(namespace: &str, name: &str) -> String {
    format!("/apis/contour.heptio.com/v1beta1/namespaces/{namespace}/ingressroutes/{name}")
}

/// The status of an IngressRoute once it is about its newest generation and as wanted.
///
/// # Panics
/// If it never is.
pub async fn status(
    objects: &Objects,
    path: &str,
    what: &str,
    wanted: impl Fn(&Status) -> bool,
) -> Status {
    eventually(what, async || {
        let object = objects.get(path).await.ok()?;
        let status = Status::of(&object)?;
        let is_current =
            status.value.get("observedGeneration") == object.pointer("/metadata/generation");
        (is_current && wanted(&status)).then_some(status)
    })
    .await
}

/// The status of an object.
#[derive(Clone, Debug)]
pub struct Status {
    /// All of it.
    pub value: Value,
    conditions: BTreeMap<String, (String, String, String)>,
}

impl Status {
    fn of(object: &Value) -> Option<Self> {
        let value = object.get("status")?.clone();
        let conditions = value.get("conditions")?.as_array()?.iter().map(|condition| {
            let text = |field: &str| {
                condition.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            (text("type"), (text("status"), text("reason"), text("message")))
        });
        let conditions = conditions.collect();
        Some(Self { value, conditions })
    }

    /// Status and reason of a condition, such as `True Programmed`.
    pub fn condition(&self, kind: &str) -> String {
        self.conditions.get(kind).map(|(s, r, _)| format!("{s} {r}")).unwrap_or_default()
    }

    /// The message of a condition.
    pub fn message(&self, kind: &str) -> &str {
        self.conditions.get(kind).map_or("", |(_, _, message)| message)
    }

    /// `currentStatus`.
    pub fn current(&self) -> &str {
        self.value.get("currentStatus").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether all Envoys have it.
    pub fn is_programmed(&self) -> bool {
        self.condition("Programmed") == "True Programmed"
    }
}

/// Waits until a controller says that it has applied something about an object.
pub async fn applied(stage: &KubernetesStage, name: &str) {
    let mut events = stage.controller.events();
    crate::stage::heard(&mut events, "the controller takes up the change", |event| {
        let ControllerEvent::Applied { objects, .. } = event else { return None };
        objects.iter().any(|o| &*o.name.name == name).then_some(())
    })
    .await;
}
