//! The open streams, for those who ask about Envoys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use contour_core::xds::{ResourceKey, ResourceType, Version};

use super::catalog::Catalog;
use super::node::Node;
use super::session::STEP;
use super::{EnvoyView, HeldState, Holder, Protocol, RejectedView, TypeView};

/// A session that can be asked about its Envoy.
pub(super) trait Observe: Send + Sync {
    fn in_sync(&self) -> u64;
    fn types(&self) -> Vec<(ResourceType, TypeView)>;
    fn rejections(&self, catalog: &Catalog) -> Vec<RejectedView>;
    fn state_of(
        &self,
        key: &ResourceKey,
        catalog: &Catalog,
    ) -> Option<(HeldState, Option<Version>)>;
    fn held_since(&self, key: &ResourceKey) -> Option<Instant>;
}

/// An open stream.
pub(super) struct Peer {
    pub(super) node: Arc<Node>,
    pub(super) address: Option<SocketAddr>,
    pub(super) connected: SystemTime,
    /// The same by the clock that nobody sets.
    pub(super) opened: Instant,
    pub(super) protocol: Protocol,
    pub(super) session: Arc<dyn Observe>,
}

/// The open streams.
#[derive(Default)]
pub(super) struct Registry {
    peers: Mutex<Peers>,
}

#[derive(Default)]
struct Peers {
    last: u64,
    open: BTreeMap<u64, Arc<Peer>>,
    /// When one that has gone was last behind on something.
    departed: Option<Instant>,
}

impl Peer {
    /// When it was last behind on something, as far as is known.
    fn was_behind(&self, catalog: &Catalog) -> Instant {
        let is_behind = self.session.in_sync() < catalog.position().revision
            || !self.session.rejections(catalog).is_empty();
        if is_behind {
            return Instant::now();
        }
        let types = self.session.types();
        let last = types.iter().filter_map(|(_, view)| view.acknowledged).max();
        // Not before what was told of it while it was there, which was rounded up.
        last.map_or(self.opened, |at| at.max(self.opened)) + STEP
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a stream; returns its number.
    pub(super) fn add(&self, peer: Peer) -> u64 {
        let mut peers = self.lock();
        peers.last += 1;
        let number = peers.last;
        peers.open.insert(number, Arc::new(peer));
        number
    }

    /// Removes a stream.
    pub(super) fn remove(&self, number: u64, catalog: &Catalog) {
        let Some(peer) = self.lock().open.get(&number).cloned() else { return };
        let behind = peer.node.version.is_some().then(|| peer.was_behind(catalog));
        let mut peers = self.lock();
        peers.open.remove(&number);
        peers.departed = peers.departed.max(behind);
    }

    /// When an Envoy that has gone was last behind on something.
    pub(super) fn departed(&self) -> Option<Instant> {
        self.lock().departed
    }

    pub(super) fn open(&self) -> Vec<Arc<Peer>> {
        self.lock().open.values().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().open.len()
    }

    pub(super) fn envoys(&self, catalog: &Catalog) -> Vec<EnvoyView> {
        let view = |peer: Arc<Peer>| EnvoyView {
            node: Arc::clone(&peer.node.id),
            cluster: Arc::clone(&peer.node.cluster),
            version: peer.node.version,
            address: peer.address,
            connected: peer.connected,
            protocol: peer.protocol,
            in_sync: peer.session.in_sync(),
            types: peer.session.types(),
            rejections: peer.session.rejections(catalog),
        };
        self.open().into_iter().map(view).collect()
    }

    /// By node id, the newest revision that each Envoy has dealt with on each of its streams.
    pub(super) fn progress(&self) -> BTreeMap<Arc<str>, u64> {
        let mut progress = BTreeMap::new();
        for peer in self.open().into_iter().filter(|peer| peer.node.version.is_some()) {
            let at = peer.session.in_sync();
            let slowest = progress.entry(Arc::clone(&peer.node.id)).or_insert(at);
            *slowest = at.min(*slowest);
        }
        progress
    }

    pub(super) fn holders(&self, key: &ResourceKey, catalog: &Catalog) -> Vec<Holder> {
        let holder = |peer: Arc<Peer>| {
            let (state, version) = peer.session.state_of(key, catalog)?;
            Some(Holder { node: Arc::clone(&peer.node.id), state, version })
        };
        self.open().into_iter().filter_map(holder).collect()
    }
}
