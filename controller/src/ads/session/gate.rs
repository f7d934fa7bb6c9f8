//! The gate: no certificate reaches a client of Envoy before Envoy has accepted it.
//!
//! A certificate is first sent under a name that no client can ask for ([`gate`]), alone, and under
//! the name of its host once that was acknowledged. Verdicts hold for this stream: an Envoy that
//! connects anew may be another one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use contour_core::xds::{Resource, ResourceKey, ResourceType, Version, gate};

use super::holding::{Entry, Parked, Place, Purpose, Sent};
use super::waiting::PATIENCE;
use super::{Response, Session, View, source};
use crate::ads::catalog::Catalog;
use crate::ads::secret;

/// Certificates that may be at the gate at a time. Envoy answers one in half a millisecond.
const AT_GATE: usize = 16;

/// Whether a request is about the gate.
pub(super) fn is_gate(kind: ResourceType, name: &str) -> bool {
    kind == ResourceType::Secret && name == gate::SECRET
}

/// Whether a certificate may be sent under the name of its host.
pub(super) enum Passage {
    /// Envoy has accepted it.
    Free,
    /// That is not known yet.
    Unknown,
    /// Envoy has not opened its gate in time.
    Closed,
}

/// What is known of the certificates of hosts.
#[derive(Default)]
pub(super) struct Gate {
    /// Envoy asks for what is shown there.
    is_open: bool,
    /// Our own certificate is to be shown first, or after a refusal: what Envoy has refused must
    /// not be what it holds.
    is_soiled: bool,
    /// How often something was shown.
    count: u64,
    /// The version that Envoy accepted last, by host.
    accepted: HashMap<Arc<str>, Version>,
    /// Hosts whose certificates are to be shown.
    queue: VecDeque<Arc<str>>,
    /// Names that wait for a verdict, as they were asked for, by host.
    waiting: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Responses without an answer.
    outstanding: usize,
    /// Since when something waits for the gate to open.
    closed_since: Option<Instant>,
}

impl Gate {
    /// Envoy has no gate any more.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    /// `name` waits for the verdict on the certificate of `host`.
    pub(super) fn wait(&mut self, host: Arc<str>, name: &Arc<str>, now: Instant) {
        if !self.is_open {
            self.closed_since.get_or_insert(now);
        }
        let names = self.waiting.entry(Arc::clone(&host)).or_default();
        if names.is_empty() {
            self.queue.push_back(host);
        }
        if !names.contains(name) {
            names.push(Arc::clone(name));
        }
    }

    /// Envoy no longer asks for `name`.
    pub(super) fn forget(&mut self, name: &str) {
        self.accepted.remove(name);
    }

    /// Names that have waited long enough for a gate that does not open.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Arc<str>> {
        if self.is_open || !self.is_overdue(now) {
            return Vec::new();
        }
        self.queue.clear();
        self.waiting.drain().flat_map(|(_, names)| names).collect()
    }

    fn is_overdue(&self, now: Instant) -> bool {
        self.closed_since.is_some_and(|since| since + PATIENCE <= now)
    }

    /// When [`Self::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = !self.is_open && !self.waiting.is_empty();
        self.closed_since.filter(|_| waits).map(|since| since + PATIENCE)
    }
}

impl Session {
    /// Envoy asks for what is shown at the gate.
    pub(super) fn open_gate(&mut self, view: View<'_>) {
        self.gate.is_open = true;
        self.gate.is_soiled = true;
        if self.gate.closed_since.take().is_some() {
            // What was withheld meanwhile.
            let revision = self.ledger.revision_of_requests();
            self.compare(ResourceType::Secret, revision, view.catalog, view.now);
        }
    }

    /// Whether `resource` may be sent under the name of its host.
    pub(super) fn at_gate(&self, resource: &Resource, entry: &Entry, view: View<'_>) -> Passage {
        // Clients that are no Envoy have no gate, and no handshakes either.
        let is_free = resource.key.kind != ResourceType::Secret
            || self.node.version.is_none()
            || entry.acked == Some(resource.version)
            || self.gate.accepted.get(&resource.key.name) == Some(&resource.version)
            || !view.catalog.has_gate();
        if is_free {
            Passage::Free
        } else if !self.gate.is_open && self.gate.is_overdue(view.now) {
            Passage::Closed
        } else {
            Passage::Unknown
        }
    }

    /// The next certificate at the gate.
    pub(super) fn probe(&mut self, catalog: &Catalog, now: Instant) -> Option<Response> {
        if !self.gate.is_open || self.gate.outstanding >= AT_GATE {
            return None;
        }
        if std::mem::take(&mut self.gate.is_soiled)
            && let Some(own) = catalog.first_at_gate()
        {
            return Some(self.show(own, Vec::new(), now));
        }
        while let Some(host) = self.gate.queue.pop_front() {
            let key = ResourceKey::new(ResourceType::Secret, Arc::clone(&host));
            let Some(resource) = catalog.desired(&key, self.group).resource else {
                self.wake(&host);
                continue;
            };
            let item = (host, Some(resource.version));
            return Some(self.show(&resource, vec![item], now));
        }
        None
    }

    fn show(
        &mut self,
        resource: &Resource,
        items: Vec<(Arc<str>, Option<Version>)>,
        now: Instant,
    ) -> Response {
        self.gate.count += 1;
        self.gate.outstanding += 1;
        let shown = secret::at_gate(resource, self.gate.count);
        let nonce = self.next_nonce();
        let sent = Sent { nonce, purpose: Purpose::Probe, items, at: now, bulk: false };
        let mut response = self.dispatch(ResourceType::Secret, sent);
        response.resources = vec![(Arc::clone(&shown.key.name), shown)];
        response
    }

    /// Takes Envoy's verdict on what was shown.
    pub(super) fn probed(&mut self, sent: &Sent, error: Option<&str>, view: View<'_>) {
        self.gate.outstanding = self.gate.outstanding.saturating_sub(1);
        let item = sent.items.first();
        let Some((host, version)) = item.and_then(|(host, version)| Some((host, (*version)?)))
        else {
            if let Some(message) = error {
                tracing::warn!(node = %self.node.id, message, "Envoy refused the gate's own certificate");
            }
            return;
        };
        match error {
            None => {
                self.gate.accepted.insert(Arc::clone(host), version);
            }
            Some(message) => {
                self.gate.is_soiled = true;
                let parked = Parked { version, message: message.into(), own: true };
                self.park(ResourceType::Secret, host, parked, view);
            }
        }
        self.wake(host);
    }

    /// Those that waited for the verdict on a host are looked at again.
    fn wake(&mut self, host: &Arc<str>) {
        let holding = self.types.get_mut(ResourceType::Secret);
        for name in self.gate.waiting.remove(host).unwrap_or_default() {
            holding.requeue_from(Place::Blocked, &name);
        }
    }

    /// Takes secrets out of Envoy's memory that it refused under the name of a host although it had
    /// accepted them at the gate: what it served before comes back, or nothing. It accepts without
    /// a look what it has refused once, so which of several it was cannot be found out.
    pub(super) fn withdraw_refused(&mut self, items: &[(Arc<str>, Option<Version>)]) {
        for (name, _) in items {
            self.gate.accepted.remove(&source(ResourceType::Secret, name).name);
            let holding = self.types.get_mut(ResourceType::Secret);
            let Some(entry) = holding.entries.get_mut(name) else { continue };
            if items.len() > 1 {
                entry.flight = None;
                holding.absent.push(Arc::clone(name));
            } else {
                entry.asked = true;
                holding.queue(name);
            }
        }
    }
}
