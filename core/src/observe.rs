//! What a controller tells of one object: who has it, what traffic it gets, and who answers.
//!
//! A report is what Envoys have counted since they started. What happened in a time is the
//! difference of two reports, which [`meter`] takes; so a controller keeps nothing for those who
//! watch, and each may look as often as it likes.

mod counted;
pub mod feed;
pub mod survey;
pub mod collection;
pub mod meter;
pub mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use counted::{Subject, UnreadableError};

use self::feed::ServicePort;
use crate::ir;
use crate::lower::{IngressRoute, RouteAction, Services, TcpAction};
use crate::shift::weights::{Place, Service, Weights};
use crate::xds::stats;

/// The version of the form of a [`Report`].
pub const SCHEMA: u32 = 1;

/// An object at one time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was collected, by the controller's clock, in milliseconds since the Unix epoch.
    pub unix_millis: u64,
    /// The version of the controller.
    pub controller: Arc<str>,
    /// The UID of the object; unset if it stands in a file.
    pub uid: Option<Arc<str>>,
    /// The generation of its spec; unset if it stands in a file.
    pub generation: Option<i64>,
    /// What became of it, as its status says: `valid`, `invalid`, `orphaned`; unset if none is known.
    pub state: Option<Arc<str>>,
    /// What is wrong with it, in words.
    pub errors: Vec<Arc<str>>,
    /// The weights of all its places, as the controller has them; those of unsound ones are absent.
    pub weights: Vec<Weights>,
    /// Which Envoys have what was made of it.
    pub fleet: Fleet,
    /// What each Envoy that is connected has counted, by node id.
    pub envoys: Vec<Envoy>,
}

/// Which Envoys have what was made of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// How many are connected.
    pub connected: u32,
    /// How many of these acknowledged all that was made of the object as it is now.
    pub acknowledged: u32,
    /// Since when all that are connected have had it, in milliseconds since the Unix epoch; unset
    /// if not all have it, or none is connected.
    pub since_unix_millis: Option<u64>,
    /// Those that have not, by node id.
    pub waiting: BTreeMap<Arc<str>, Arc<str>>,
}

/// What one Envoy has counted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envoy {
    /// Its node id.
    pub node: Arc<str>,
    /// Why it could not be asked; all else is empty then.
    pub trouble: Option<Arc<str>>,
    /// Traffic by the object's routes.
    pub routes: Vec<Traffic>,
    /// The services that the object names.
    pub services: Vec<Upstream>,
}

/// Requests of one place that went to one service, since Envoy started, or has had the route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Where in the object.
    pub place: Place,
    /// To which service.
    pub service: Service,
    /// Answers by the class of their status, from 1xx to 5xx, each request once.
    pub classes: [u64; 5],
    /// Tries that were repeated.
    pub retries: u64,
    /// How long answers took: the exclusive upper bound of a bucket in microseconds, and how many.
    pub latency: Vec<(u64, u64)>,
}

/// The endpoints of a service, and what they are doing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Which.
    pub service: Service,
    /// Endpoints; unset if Envoy knows nothing of the service yet.
    pub members: Option<u32>,
    /// Those that traffic is sent to.
    pub healthy: Option<u32>,
    /// Those that outlier detection took out.
    pub ejected: u32,
    /// Requests under way, of whatever route.
    pub active: u64,
}

/// The weights of all places of an object, as they were written; those of unsound ones are absent.
pub fn weights(route: &IngressRoute) -> Vec<Weights> {
    let all = places(route).filter(|(_, services)| services.are_whole);
    let weights = all.filter_map(|(place, services)| {
        let written = services.sound.iter().map(|s| {
            let service = Service { name: Arc::clone(&s.name.name), port: s.port.into() };
            (service, s.weight.map(i64::from))
        });
        Weights::new(place, written).ok()
    });
    weights.collect()
}

/// Where requests of an object go: the place, the service, and, where Envoys count by route, the
/// name under which they do.
pub fn destinations(route: &IngressRoute) -> Vec<(Place, ServicePort, Option<String>)> {
    let mut destinations = Vec::new();
    for (place, services) in places(route) {
        for written in &services.sound {
            let (service, port) = (&written.name, written.port);
            let name = match &place {
                Place::Route(prefix) => {
                    let name = ir::Route::name_of(&route.name, prefix);
                    Some(stats::route(&name, service, port))
                }
                Place::Tcp => None,
            };
            let service = ServicePort { service: service.clone(), port };
            destinations.push((place.clone(), service, name));
        }
    }
    destinations
}

/// Where services stand in an object.
fn places(route: &IngressRoute) -> impl Iterator<Item = (Place, &Services)> {
    let routes = route.routes.iter().filter_map(|route| match &route.action {
        RouteAction::Services(services) => {
            Some((Place::Route(route.prefix.as_str().into()), services))
        }
        RouteAction::Delegate(_) | RouteAction::Unavailable => None,
    });
    let tcp = route.tcp.iter().filter_map(|tcp| match tcp {
        TcpAction::Services(services) => Some((Place::Tcp, services)),
        TcpAction::Delegate(_) => None,
    });
    routes.chain(tcp)
}
