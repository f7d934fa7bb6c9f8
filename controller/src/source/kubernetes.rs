//! A Kubernetes API server as the source of objects.

mod unread;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use contour_cluster::driver::{self, Asked, Update};
use contour_cluster::scope::Scope;
use contour_cluster::watch::Health;
use contour_core::api::{EndpointSlice, Metadata, Object};
use contour_core::name::{Kind, ObjectRef};
use contour_core::pipeline::Change;
use contour_core::status::Address;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Batch;
use crate::config::{Kubernetes, StatusAddresses};
use crate::kubernetes::peers::Addresses;
use crate::metrics::{Metrics, OfKind, OfRequest};
pub(crate) use unread::Unread;

/// Updates that may wait to be taken in; then the connections to the API server wait.
const UPDATES: usize = 64;

/// Where what the API server says goes.
pub(crate) struct Output {
    pub(crate) batches: mpsc::Sender<Batch>,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the replicas of the controller listen.
    pub(crate) peers: Arc<Addresses>,
}

/// The Service of the controller, in its own namespace, and the name of its port for Envoys.
const SERVICE: (&str, &str) = ("contour", "xds");

/// Reads the API server until `stop` is cancelled; what it says comes out as batches.
pub(crate) async fn run(
    client: kube::Client,
    settings: Kubernetes,
    output: Output,
    stop: CancellationToken,
) {
    let (service, fixed) = match &settings.addresses {
        StatusAddresses::Service(service) => (Some(service), None),
        StatusAddresses::Fixed(texts) => {
            (None, Some(texts.iter().map(|text| Address::of(text)).collect()))
        }
    };
    let mut scopes = Scope::all(&settings.watch_namespaces, service);
    if !settings.watch_namespaces.is_empty()
        && !settings.watch_namespaces.contains(&settings.namespace)
    {
        let namespace = Some(Arc::clone(&settings.namespace));
        scopes.push(Scope::Objects { kind: Kind::EndpointSlice, namespace });
    }
    let (sender, mut updates) = mpsc::channel(UPDATES);
    let reading = driver::run(client, scopes.clone(), settings.watch, sender, stop.clone());
    let telling = async {
        let mut told = Teller {
            output,
            namespace: Arc::clone(&settings.namespace),
            replicas: BTreeMap::new(),
            failing: BTreeMap::new(),
            unread: Unread::default(),
        };
        if fixed.is_some() {
            told.send(Batch { addresses: fixed, ..Batch::default() }).await;
        }
        for scope in &scopes {
            told.watching(scope, false);
        }
        while let Some(update) = updates.recv().await {
            told.take_in(update).await;
        }
        // What is in force stays in force while everything else stops.
        stop.cancelled().await;
    };
    tokio::join!(reading, telling);
}

struct Teller {
    output: Output,
    namespace: Arc<str>,
    /// Addresses of the controller's replicas, by EndpointSlice.
    replicas: BTreeMap<ObjectRef, BTreeSet<SocketAddr>>,
    /// Scopes of each kind that are not being watched.
    failing: BTreeMap<Kind, BTreeSet<String>>,
    unread: Unread,
}

impl Teller {
    /// The engine has ended, if nobody takes batches; then so will we.
    async fn send(&self, batch: Batch) {
        let _unheard = self.output.batches.send(batch).await;
    }

    async fn take_in(&mut self, update: Update) {
        match update {
            Update::Synced => {
                self.unread.synced();
                self.send(Batch { synced: true, ..Batch::default() }).await;
            }
            Update::Asked { scope, asked } => {
                let request = match asked {
                    Asked::List => "list",
                    Asked::Watch => "watch",
                    Asked::Failure => "failure",
                };
                let label = OfRequest { kind: scope.kind().as_str(), request };
                self.output.metrics.kubernetes_requests.get_or_create(&label).inc();
            }
            Update::Heard { scope, output } => {
                self.output.metrics.unreadable_objects.inc_by(output.unreadable);
                self.output.metrics.healed_objects.inc_by(output.healed);
                if output.healed > 0 {
                    let (scope, objects) = (scope.to_string(), output.healed);
                    tracing::warn!(scope, objects, "events of the API server had been lost");
                }
                if let Some(health) = &output.health {
                    self.tell_health(&scope, health);
                }
                self.unread.heard(&scope, &output);
                if scope.kind() == Kind::EndpointSlice {
                    self.find_replicas(&output.changes);
                }
                let batch = Batch {
                    changes: output.changes,
                    seen: output.seen,
                    addresses: output.addresses,
                    unread: self.unread.take(),
                    ..Batch::default()
                };
                if !batch.is_empty() {
                    self.send(batch).await;
                }
            }
        }
    }

    /// Notes where the controller's replicas are.
    fn find_replicas(&mut self, changes: &[Change]) {
        let mut is_changed = false;
        for change in changes {
            is_changed |= match change {
                Change::Apply(object, _) => {
                    if let Object::EndpointSlice(slice) = &**object
                        && self.is_ours(&slice.metadata)
                    {
                        let found = addresses(slice);
                        self.replicas.insert(object.reference(), found.clone()) != Some(found)
                    } else {
                        false
                    }
                }
                Change::Delete(object) => self.replicas.remove(object).is_some(),
                Change::Undecodable(..) | Change::Clock(_) => false,
            };
        }
        if is_changed {
            self.output.peers.set(self.replicas.values().flatten().copied().collect());
        }
    }

    fn is_ours(&self, metadata: &Metadata) -> bool {
        let service = metadata.labels.get("kubernetes.io/service-name");
        metadata.namespace == self.namespace && service.is_some_and(|name| &**name == SERVICE.0)
    }

    fn tell_health(&mut self, scope: &Scope, health: &Health) {
        let name = scope.to_string();
        match health {
            Health::Watching => {
                tracing::info!(scope = name, "watching");
            }
            Health::Absent => tracing::warn!(
                scope = name,
                "the API server does not know the kind, so there are no objects of it; install its CustomResourceDefinition (deploy/chart/files/crds), it will be noticed"
            ),
            Health::Forbidden(message) => tracing::warn!(
                scope = name,
                "not permitted, so what is known of it stays as it is; grant get, list and watch, it will be noticed: {message}"
            ),
            Health::Failing(message) => tracing::warn!(
                scope = name,
                "the API server cannot be read; what is known stays in force, and it is tried again: {message}"
            ),
        }
        self.watching(scope, *health == Health::Watching);
    }

    fn watching(&mut self, scope: &Scope, is_watching: bool) {
        let kind = scope.kind();
        let failing = self.failing.entry(kind).or_default();
        if is_watching {
            failing.remove(&scope.to_string());
        } else {
            failing.insert(scope.to_string());
        }
        let label = OfKind { kind: kind.as_str() };
        self.output.metrics.watching.get_or_create(&label).set(i64::from(failing.is_empty()));
    }
}

/// Where an EndpointSlice of the controller's Service says that Envoys are served.
fn addresses(slice: &EndpointSlice) -> BTreeSet<SocketAddr> {
    let ports: Vec<u16> = slice
        .ports
        .iter()
        .filter(|port| slice.ports.len() == 1 || &*port.name == SERVICE.1)
        .filter_map(|port| u16::try_from(port.port?).ok())
        .collect();
    let ready = slice.endpoints.iter().filter(|e| e.conditions.ready.unwrap_or(true));
    let addresses = ready.filter_map(|endpoint| endpoint.addresses.first()?.parse().ok());
    addresses
        .flat_map(|address: IpAddr| ports.iter().map(move |port| SocketAddr::new(address, *port)))
        .collect()
}
