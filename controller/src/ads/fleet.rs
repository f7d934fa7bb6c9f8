//! What the connected Envoys have of several resources together, and since when all have had it.
//!
//! Time that others count is based on it, so it errs only towards later: an Envoy that reconnects
//! begins anew, and one that went away counts up to when it was last behind on anything.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use contour_core::observe::Fleet;
use contour_core::xds::{ResourceKey, ResourceType};

use super::catalog::Catalog;
use super::registry::Peer;
use super::{Ads, HeldState};
use crate::bootstrap::Admin;

/// Tells the time of day by a clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
    unix_millis: u64,
}

impl Clock {
    pub(super) fn new() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), unix_millis: u64::try_from(unix.as_millis()).unwrap_or(0) }
    }

    fn unix_millis(self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.began).as_millis();
        self.unix_millis.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// Where to find an Envoy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whereabouts {
    /// Where it connects from, if known.
    pub(crate) address: Option<SocketAddr>,
    /// Its administration, if it is on this machine: whoever is elsewhere must not make us connect
    /// to something here.
    pub(crate) admin: Option<Admin>,
}

impl Ads {
    /// Milliseconds since the Unix epoch.
    pub(crate) fn unix_millis(&self) -> u64 {
        self.shared.clock.unix_millis(Instant::now())
    }

    /// What the connected Envoys have of all of these resources. `taken` is when what they are
    /// made of became what it is.
    pub(crate) fn fleet(&self, keys: &[ResourceKey], taken: Option<Instant>) -> Fleet {
        let catalog = &self.shared.catalog;
        let mut since = self.shared.registry.departed().max(taken);
        let mut fleet = Fleet::default();
        for (node, streams) in self.nodes() {
            fleet.connected += 1;
            match standing(&streams, keys, catalog) {
                Ok(at) => {
                    fleet.acknowledged += 1;
                    since = since.max(Some(at));
                }
                Err(why) => {
                    fleet.waiting.insert(node, why.into());
                }
            }
        }
        if fleet.connected > 0 && fleet.waiting.is_empty() {
            let since = since.map(|at| self.shared.clock.unix_millis(at.min(Instant::now())));
            fleet.since_unix_millis = since;
        }
        fleet
    }

    /// Where each connected Envoy is, by node id.
    pub(crate) fn whereabouts(&self) -> BTreeMap<Arc<str>, Whereabouts> {
        let whereabouts = |streams: Vec<Arc<Peer>>| {
            let Some(last) = streams.last() else { return Whereabouts::default() };
            let is_here = last.address.is_some_and(|a| a.ip().to_canonical().is_loopback());
            let admin = last.node.admin.clone().filter(|_| is_here);
            Whereabouts { address: last.address, admin }
        };
        self.nodes().into_iter().map(|(node, streams)| (node, whereabouts(streams))).collect()
    }

    /// The streams of each Envoy, in the order of opening. Clients that are no Envoy are left out.
    fn nodes(&self) -> BTreeMap<Arc<str>, Vec<Arc<Peer>>> {
        let mut nodes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for peer in self.shared.registry.open() {
            if peer.node.version.is_some() {
                nodes.entry(Arc::clone(&peer.node.id)).or_default().push(peer);
            }
        }
        nodes
    }
}

/// Since when an Envoy has had all of these resources, or why it does not have them.
fn standing(
    streams: &[Arc<Peer>],
    keys: &[ResourceKey],
    catalog: &Catalog,
) -> Result<Instant, String> {
    if keys.is_empty() {
        return Err("nothing was made of the object".to_owned());
    }
    let mut since = streams.iter().map(|peer| peer.opened).max();
    let mut lacks = Vec::new();
    for key in keys {
        let mut is_asked_for = false;
        for peer in streams {
            let Some((state, _)) = peer.session.state_of(key, catalog) else { continue };
            is_asked_for = true;
            match state {
                HeldState::Acknowledged => since = since.max(peer.session.held_since(key)),
                HeldState::Pending => lacks.push(format!("pending: {key}")),
                HeldState::Sent => lacks.push(format!("sent: {key}")),
                // Nothing that comes will change this.
                HeldState::Rejected { message } => {
                    return Err(format!("rejected: {key}: {message}"));
                }
            }
        }
        // Certificates are asked for when a client shows up with their name.
        if !is_asked_for && key.kind != ResourceType::Secret {
            lacks.push(format!("not asked for yet: {key}"));
        }
    }
    match lacks.first() {
        Some(lack) => Err(lack.clone()),
        None => since.ok_or_else(|| "it has no stream".to_owned()),
    }
}
