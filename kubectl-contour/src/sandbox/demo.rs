//! The demo services: they listen where `EndpointSlices` of the directory say.

mod answer;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use contour_core::api::{EndpointSlice, Object};
use contour_core::manifest::Manifest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use answer::{Behaviour, HEADER};

use super::port;
use crate::failure::Failure;

/// The label of an `EndpointSlice` whose loopback addresses the sandbox answers at, and under which
/// name.
pub const LABEL: &str = "sandbox/answers-as";

/// An address at which a demo service is to answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where.
    pub address: SocketAddr,
    /// As whom.
    pub name: Arc<str>,
}

/// Where the `EndpointSlices` of manifests ask for demo services. Addresses of other machines are
/// not ours to answer at.
pub fn places<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> Vec<Place> {
    let mut places: Vec<Place> = manifests
        .into_iter()
        .flat_map(|manifest| &manifest.documents)
        .filter_map(|document| match &document.object {
            Some(Object::EndpointSlice(slice)) => Some(slice),
            Some(_) | None => None,
        })
        .flat_map(places_of)
        .collect();
    places.sort();
    places.dedup_by(|a, b| a.address == b.address);
    places
}

fn places_of(slice: &EndpointSlice) -> Vec<Place> {
    let Some(name) = slice.metadata.labels.get(LABEL) else {
        return Vec::new();
    };
    let ports = || {
        slice
            .ports
            .iter()
            .filter_map(|port| u16::try_from(port.port?).ok())
            .filter(|port| *port != 0)
    };
    slice
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.addresses.first()?.parse::<IpAddr>().ok())
        .filter(IpAddr::is_loopback)
        .flat_map(|ip| ports().map(move |port| SocketAddr::from((ip, port))))
        .map(|address| Place { address, name: Arc::clone(name) })
        .collect()
}

/// The running demo services. Dropping it stops them.
#[derive(Debug, Default)]
pub struct Services {
    running: BTreeMap<SocketAddr, Running>,
    behaviours: BTreeMap<Arc<str>, Arc<Behaviour>>,
    connections: TaskTracker,
}

#[derive(Debug)]
struct Running {
    name: Arc<str>,
    stop: tokio_util::sync::DropGuard,
}

impl Services {
    /// No service yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the services of that name behave, wherever they listen.
    pub fn behaviour(&mut self, name: &str) -> &Arc<Behaviour> {
        self.behaviours.entry(name.into()).or_insert_with(|| Arc::new(Behaviour::new(name)))
    }

    /// Where services listen.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.running
            .iter()
            .map(|(address, running)| Place { address: *address, name: Arc::clone(&running.name) })
    }

    /// Listens at these places and no others; what already listens there is left alone. Returns
    /// what could not be done; everything else is done.
    pub async fn reconcile(&mut self, wanted: &[Place]) -> Vec<Failure> {
        self.running.retain(|address, running| {
            wanted.iter().any(|place| place.address == *address && place.name == running.name)
        });
        let mut failures = Vec::new();
        for place in wanted {
            if self.running.contains_key(&place.address) {
                continue;
            }
            match bind(place.address).await {
                Ok(listener) => self.start(place, listener),
                Err(error) => failures.push(port::taken(
                    place.address,
                    &format!("the demo service {}", place.name),
                    &error,
                    "stop what listens there, or change the port in the EndpointSlice that names it",
                )),
            }
        }
        failures
    }

    fn start(&mut self, place: &Place, listener: TcpListener) {
        let stop = CancellationToken::new();
        let behaviour = Arc::clone(self.behaviour(&place.name));
        let tasks = self.connections.clone();
        self.connections.spawn(accept(
            listener,
            Served { behaviour, address: place.address, stop: stop.clone() },
            tasks,
        ));
        self.running.insert(
            place.address,
            Running { name: Arc::clone(&place.name), stop: stop.drop_guard() },
        );
    }

    /// Stops listening, lets the requests that are being answered end, and waits for that a
    /// moment.
    pub async fn stop(mut self) {
        for (_, running) in std::mem::take(&mut self.running) {
            drop(running.stop);
        }
        self.connections.close();
        // Whoever is still busy then is cut off when the process ends.
        drop(tokio::time::timeout(Duration::from_secs(1), self.connections.wait()).await);
    }
}

/// Listens, with another try where a service that was just stopped has not let go yet.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let mut last = TcpListener::bind(address).await;
    for _ in 0..20 {
        match &last {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                last = TcpListener::bind(address).await;
            }
            Ok(_) | Err(_) => break,
        }
    }
    last
}

/// What the connections of one listener share.
#[derive(Clone)]
struct Served {
    behaviour: Arc<Behaviour>,
    address: SocketAddr,
    stop: CancellationToken,
}

async fn accept(listener: TcpListener, served: Served, tasks: TaskTracker) {
    loop {
        let stream = tokio::select! {
            () = served.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            // Out of file descriptors, or a client that left early: the next one may do.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Small answers must not wait for acknowledgements of earlier ones.
        drop(stream.set_nodelay(true));
        let served = served.clone();
        tasks.spawn(async move {
            let stop = served.stop.clone();
            let service = service_fn(move |request| {
                let served = served.clone();
                async move { served.behaviour.answer(&request, served.address).await }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                // A client that breaks off is its own business.
                ended = connection.as_mut() => drop(ended),
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    drop(connection.await);
                }
            }
        });
    }
}
