//! The xDS server: brings what is published to every Envoy, and reports what Envoy makes of it.
//!
//! ```text
//! engine ── publish ─► Catalog (newest versions, last good ones, journal)
//!                         │ bell            ▲ acknowledged, refused
//!                         ▼                 │
//! Envoy ◄── stream ◄── Session (delta) or Sotw: pure state machines, one for each stream
//!                         └── events, envoys(), holders()
//! ```
//!
//! A resource has a version that is the hash of its bytes, so an Envoy that reconnects, to whatever
//! replica, is sent only what differs from what it holds.

mod cache;
mod catalog;
pub(crate) mod client_status;
mod connection;
mod fleet;
mod kinds;
mod message;
mod node;
mod registry;
mod secret;
mod server;
mod services;
mod session;
#[cfg(test)]
mod simulation;
mod sotw;
mod stream;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use contour_core::xds::{Resource, ResourceKey, ResourceType, Version};
use tokio::sync::broadcast;

use crate::config::Shrink;
use catalog::Catalog;
use fleet::Clock;
use registry::Registry;

pub(crate) use fleet::Whereabouts;
pub use node::EnvoyVersion;
pub use server::{Security, ServeError, TlsProvider};

/// Events that a slow subscriber may fall behind by before it loses the oldest.
const EVENTS: usize = 4_096;

/// What can be set about the server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The oldest Envoy (major, minor) that accepts the published resources. Older ones are refused
    /// with a message: half of the configuration would be worse than none.
    pub tls_layout_minimum_envoy: (u32, u32),
    /// Resources in one response, when many are pending.
    pub batch_resources: usize,
    /// Bytes of resources in one response, when many are pending.
    pub batch_bytes: usize,
    /// When an Envoy that comes back keeps for a while what is not published.
    pub shrink: Option<Shrink>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // The certificate selector `on_demand_secret` came with Envoy 1.37.
            tls_layout_minimum_envoy: (1, 37),
            batch_resources: 1_024,
            batch_bytes: 1_536 * 1_024,
            shrink: None,
        }
    }
}

/// The xDS server. Clones share it.
#[derive(Clone)]
pub struct Ads {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    catalog: Catalog,
    registry: Registry,
    events: broadcast::Sender<Event>,
    clock: Clock,
}

/// Something an Envoy did; `node` is its `node.id`. Elapsed times count from the publish (or the connection, if that was
/// later) to the last acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stream was opened.
    Connected {
        /// By whom.
        node: Arc<str>,
    },
    /// A stream ended.
    Disconnected {
        /// Whose.
        node: Arc<str>,
    },
    /// An Envoy is too old and was turned away.
    Refused {
        /// Which.
        node: Arc<str>,
        /// Which version it is, which is needed, what to do.
        message: Arc<str>,
    },
    /// An Envoy has acknowledged everything of a publish that it asks for. Not emitted if it
    /// refused a part, or if the part was overtaken by a later publish before it was sent.
    Acknowledged {
        /// Which.
        node: Arc<str>,
        /// The revision given to [`Ads::publish`].
        revision: u64,
        /// How long it took.
        elapsed: Duration,
    },
    /// An Envoy refused the newest version of a resource, or is not sent it because one of the
    /// same release refused it before. It keeps the last good version.
    Rejected {
        /// Which.
        node: Arc<str>,
        /// The resource.
        key: ResourceKey,
        /// The version refused.
        version: Version,
        /// What Envoy says about it.
        message: Arc<str>,
    },
    /// An Envoy has come back with hosts of which a large share is not published; it keeps them for
    /// a while.
    Shrunk {
        /// Which.
        node: Arc<str>,
        /// How many scopes it has; a host has one for HTTP and one for HTTPS.
        hosts: usize,
        /// How many of these are not published.
        gone: usize,
        /// How long it keeps them.
        hold: Duration,
    },
    /// An Envoy that had refused a resource holds its newest version now (or it is gone).
    Recovered {
        /// Which.
        node: Arc<str>,
        /// The resource.
        key: ResourceKey,
    },
}

/// A variant of the xDS protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Incremental.
    Delta,
    /// State of the world.
    Sotw,
}

/// A connected Envoy. One with several streams appears once for each.
#[derive(Clone, Debug)]
pub struct EnvoyView {
    /// `node.id` of its bootstrap.
    pub node: Arc<str>,
    /// `node.cluster` of its bootstrap.
    pub cluster: Arc<str>,
    /// The release it reports; `None` for clients that are no Envoy.
    pub version: Option<EnvoyVersion>,
    /// Where it connects from, if known.
    pub address: Option<SocketAddr>,
    /// Since when.
    pub connected: SystemTime,
    /// In which protocol.
    pub protocol: Protocol,
    /// The newest revision that it has dealt with, together with all before it.
    pub in_sync: u64,
    /// By type, for the types it asks for.
    pub types: Vec<(ResourceType, TypeView)>,
    /// The resources of which it does not have the newest version because that was refused.
    pub rejections: Vec<RejectedView>,
}

/// A resource whose newest version an Envoy refused, or is spared because one of its release did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedView {
    /// The resource.
    pub key: ResourceKey,
    /// The version refused.
    pub version: Version,
    /// What Envoy says about it.
    pub message: Arc<str>,
}

/// What an Envoy has of one resource type; numbers are of resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeView {
    /// Acknowledged.
    pub held: usize,
    /// Sent and unanswered.
    pub outstanding: usize,
    /// To be sent: changed, and not on the way yet.
    pub pending: usize,
    /// Refused in their newest version.
    pub rejected: usize,
    /// The hash of the names and versions of all that it has acknowledged; equal for Envoys that
    /// hold the same. `None` if it holds nothing.
    pub digest: Option<Version>,
    /// When it last acknowledged something; `None` if it has not on this stream.
    pub acknowledged: Option<Instant>,
}

impl TypeView {
    /// When it last acknowledged something, by the time of day.
    pub(crate) fn acknowledged_at(&self) -> Option<SystemTime> {
        SystemTime::now().checked_sub(self.acknowledged?.elapsed())
    }
}

/// The hash of names and versions, in whatever order; `None` of none.
fn digest<'a>(held: impl Iterator<Item = (&'a str, Version)>) -> Option<Version> {
    let mut held: Vec<_> = held.collect();
    held.sort_unstable();
    let lines = held.iter().map(|(name, version)| format!("{name}\n{version}\n"));
    (!held.is_empty()).then(|| Version::of(lines.collect::<String>().as_bytes()))
}

/// What one Envoy has of one resource.
#[derive(Clone, Debug)]
pub struct Holder {
    /// `node.id` of the Envoy.
    pub node: Arc<str>,
    /// How far it has come.
    pub state: HeldState,
    /// The newest version of the resource; `None` if it was withdrawn.
    pub version: Option<Version>,
}

/// How far an Envoy has come with the newest version of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldState {
    /// It will be sent.
    Pending,
    /// Sent, unanswered.
    Sent,
    /// In use. Of a withdrawn resource: gone.
    Acknowledged,
    /// Refused by this Envoy or one of the same version; the last good one is in use, if any.
    Rejected {
        /// What Envoy says about it.
        message: Arc<str>,
    },
}

impl Ads {
    /// A server that has nothing to serve yet: streams are accepted, but nothing is sent before
    /// the first [`Self::publish`].
    pub fn new(settings: Settings) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                catalog: Catalog::default(),
                registry: Registry::default(),
                events: broadcast::Sender::new(EVENTS),
                clock: Clock::new(),
            }),
        }
    }

    /// Makes `changed` known to every Envoy that asks for it; `None` withdraws a resource.
    ///
    /// The caller is the only one; `revision` grows with every call. The first call should bring
    /// everything, as it opens the gate; it may be empty.
    pub fn publish(&self, revision: u64, changed: &BTreeMap<ResourceKey, Option<Arc<Resource>>>) {
        self.shared.catalog.publish(revision, changed, Instant::now());
    }

    /// The same while a part of the source cannot be read: an Envoy keeps the version that it has
    /// of a resource in `doubtful`, and what it has of resources that are not published, until
    /// [`Self::release`]. What it does not have it gets, and what is withdrawn without doubt goes.
    pub fn publish_partly(
        &self,
        revision: u64,
        changed: &BTreeMap<ResourceKey, Option<Arc<Resource>>>,
        doubtful: &BTreeSet<ResourceKey>,
    ) {
        self.shared.catalog.publish_partly(revision, changed, doubtful, Instant::now());
    }

    /// What Envoys kept by [`Self::publish_partly`] is in doubt no more: they get what differs,
    /// and lose what is not published.
    pub fn release(&self) {
        self.shared.catalog.release();
    }

    /// What Envoys do from now on. A subscriber that falls far behind loses the oldest events.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Every connected Envoy, in the order of connecting.
    pub fn envoys(&self) -> Vec<EnvoyView> {
        self.shared.registry.envoys(&self.shared.catalog)
    }

    /// How many Envoys are connected; one with several streams counts once for each.
    pub fn connected(&self) -> usize {
        self.shared.registry.count()
    }

    /// The newest revision published; 0 before the first.
    pub fn revision(&self) -> u64 {
        self.shared.catalog.position().revision
    }

    /// By node id, the newest revision that each connected Envoy has dealt with, together with all
    /// before it. Clients that are no Envoy are left out.
    pub fn progress(&self) -> BTreeMap<Arc<str>, u64> {
        self.shared.registry.progress()
    }

    /// What the connected Envoys that ask for `key` have of it. Certificates are asked for when a
    /// client shows up with their name, so there an Envoy may well be missing.
    pub fn holders(&self, key: &ResourceKey) -> Vec<Holder> {
        self.shared.registry.holders(key, &self.shared.catalog)
    }

    fn emit(&self, event: Event) {
        // Without a subscriber nobody wants to know.
        drop(self.shared.events.send(event));
    }
}
