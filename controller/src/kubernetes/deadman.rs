//! Shifts whose client is gone: what was agreed for that case is done here, by the leader.
//!
//! The client of a shift renews a Lease. One that is not renewed and names somebody is looked at:
//! if its route says what is to become of the shift, and the time for it has come, the Lease is
//! taken as it was read, so that nobody else does the same, and the shift is driven to its end as
//! its client would. What is not brought to an end keeps its Lease, which expires, so that the next
//! leader goes on. Routes cost nothing: the Leases are listed, those of shifts alone.

mod api;
mod decision;
mod drive;
mod lease;
mod sight;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::shift::machine::{Command, Live, Machine, Outcome};
use contour_core::shift::sent;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::api::Api;
use self::decision::Decision;
use self::drive::{Clock, Driver, Held};
use self::lease::{Key, ShiftLease, release};
use self::sight::Lookout;
use super::notes::Note;
use super::pace::Pace;
use super::peers::Asker;
use super::{Fault, Leading, begun, lost};
use crate::engine::query::Inquiry;
use crate::metrics::{Metrics, OfWrite};

/// Shifts that are driven at a time.
const AT_ONCE: usize = 8;

/// How often a shift is begun with that a late write of its client has changed.
const TRIES: usize = 3;

/// How long after a client was last heard of its writes may still arrive.
const LATE: i64 = 600;

/// What the deadman works with.
pub(crate) struct Parts {
    pub(crate) client: kube::Client,
    pub(crate) pace: Arc<Pace>,
    pub(crate) identity: String,
    pub(crate) leading: Leading,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) notes: mpsc::Sender<Note>,
    /// Where to ask what is in force and what our own Envoys have.
    pub(crate) inquiry: Inquiry,
    /// By which other replicas are asked.
    pub(crate) asker: Asker,
    /// Namespaces that are looked at; empty for all.
    pub(crate) namespaces: Vec<Arc<str>>,
    /// How often they are.
    pub(crate) period: Duration,
}

/// What it takes to drive shifts.
struct Work {
    api: Api,
    lookout: Lookout,
    identity: String,
    notes: mpsc::Sender<Note>,
    metrics: Arc<Metrics>,
}

/// See the module.
pub(crate) struct Deadman {
    work: Arc<Work>,
    leading: Leading,
    /// `None` for all namespaces.
    scopes: Vec<Option<Arc<str>>>,
    period: Duration,
}

/// What is known for as long as this replica leads.
#[derive(Default)]
struct Term {
    /// Where Leases may not be listed.
    off: BTreeSet<Option<Arc<str>>>,
    /// What was last complained of, so that it is said once.
    complaint: Option<String>,
    /// Leases of which nothing is to be done, in this version.
    settled: BTreeMap<Key, String>,
    /// Shifts that are looked at or driven; each ends with the version that settles its Lease.
    tasks: JoinSet<(Key, Option<String>)>,
    under_way: BTreeMap<Key, AbortHandle>,
}

impl Deadman {
    pub(crate) fn new(parts: Parts) -> Self {
        let scopes = match parts.namespaces.as_slice() {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        let work = Work {
            api: Api { client: parts.client, pace: parts.pace },
            lookout: Lookout { inquiry: parts.inquiry, asker: Mutex::new(parts.asker) },
            identity: parts.identity,
            notes: parts.notes,
            metrics: parts.metrics,
        };
        Self { work: Arc::new(work), leading: parts.leading, scopes, period: parts.period }
    }

    /// Watches over shifts while this replica leads, until `stop` is cancelled. What is under way
    /// then is left to the next leader.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(())) = stop.run_until_cancelled(begun(&mut self.leading)).await {
            let lost = lost(self.leading.clone());
            tokio::select! {
                () = stop.cancelled() => return,
                () = lost => {}
                () = self.watch() => {}
            }
        }
    }

    async fn watch(&self) {
        let mut term = Term::default();
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            for scope in &self.scopes {
                if !term.off.contains(scope) {
                    self.look(scope.as_ref(), &mut term, &permits).await;
                }
            }
            tokio::time::sleep(self.period.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
        }
    }

    /// Lists the Leases of shifts, and has those looked at whose holder is gone.
    async fn look(&self, scope: Option<&Arc<str>>, term: &mut Term, permits: &Arc<Semaphore>) {
        let namespace = scope.map(AsRef::as_ref);
        let (told, items) = match self.work.api.leases(namespace).await {
            Ok(listed) => listed,
            Err(fault) => return term.complain(scope, &fault),
        };
        term.complaint = None;
        let clock = Clock { told, at: Instant::now() };
        let leases: Vec<_> = items.iter().filter_map(ShiftLease::read).collect();
        term.keep(scope, &leases);
        for lease in leases {
            let Some(since) = lease.gone_since(&self.work.identity, told) else { continue };
            let key = lease.key.clone();
            let is_settled = term.settled.get(&key) == Some(&lease.version);
            if is_settled || term.under_way.contains_key(&key) {
                continue;
            }
            let (work, permits) = (Arc::clone(&self.work), Arc::clone(permits));
            let task = term.tasks.spawn(async move {
                let _permit = permits.acquire_owned().await;
                (lease.key.clone(), work.attend(&lease, since, clock).await)
            });
            term.under_way.insert(key, task);
        }
    }
}

impl Term {
    fn complain(&mut self, scope: Option<&Arc<str>>, fault: &Fault) {
        if let Fault::Refused { code: 403, message } = fault {
            self.off.insert(scope.cloned());
            tracing::warn!(
                "shifts whose client is gone are left alone, since leases may not be listed: {message}"
            );
            return;
        }
        let complaint = fault.to_string();
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::warn!("cannot look for shifts whose client is gone: {complaint}");
            self.complaint = Some(complaint);
        }
    }

    /// Notes what has ended, and forgets Leases that are no more.
    fn keep(&mut self, scope: Option<&Arc<str>>, leases: &[ShiftLease]) {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok((key, Some(version))) => drop(self.settled.insert(key, version)),
                Ok((_, None)) => {}
                Err(error) => tracing::error!("a shift without its client was left: {error}"),
            }
        }
        self.under_way.retain(|_, task| !task.is_finished());
        let there: BTreeSet<_> = leases.iter().map(|lease| &lease.key).collect();
        self.settled.retain(|key, _| {
            scope.is_some_and(|namespace| key.0 != *namespace) || there.contains(key)
        });
    }
}

impl ShiftLease {
    /// Nothing could be done. Returns the version of the Lease in which it need not be tried again.
    fn left(&self, fault: &Fault) -> Option<String> {
        let object = &self.route;
        if let Fault::Refused { code: 403, message } = fault {
            tracing::warn!(%object, "its client is gone, and it may not be driven: {message}");
            return Some(self.version.clone());
        }
        tracing::info!(%object, "its shift is not taken over: {fault}");
        None
    }
}

impl Work {
    /// Does what is to be done for the shift of a Lease that nobody has renewed since then. Returns
    /// the version of the Lease in which nothing more is to be done.
    async fn attend(&self, lease: &ShiftLease, since: Timestamp, clock: Clock) -> Option<String> {
        if !self.lookout.serves(&lease.route).await {
            return None;
        }
        let settled = || {
            let is_late = clock.now().unix().saturating_sub(since.unix()) > LATE;
            is_late.then(|| lease.version.clone())
        };
        let found = match self.api.route(&lease.route).await {
            Ok(found) => found,
            Err(fault) => return lease.left(&fault),
        };
        let Some((live, _)) = found.as_ref().and_then(sent::read) else { return settled() };
        let command = match Decision::of(&live, since, clock.now()) {
            Decision::Act(command) => command,
            Decision::NotYet => return None,
            Decision::Nothing => return settled(),
            Decision::Unreadable(error) => {
                let object = &lease.route;
                tracing::warn!(%object, "its client is gone, and it is left alone: {error}");
                return Some(lease.version.clone());
            }
        };
        let held = match Held::take(self, lease, clock).await {
            Ok(held) => held,
            Err(fault) => return lease.left(&fault),
        };
        self.tell_begun(lease, &live, &command, clock.now().unix().saturating_sub(since.unix()));
        let mut driver = Driver::new(self, clock, &lease.route, held);
        let outcome = drive(&mut driver, since).await;
        self.conclude(&driver, &live, outcome, lease).await
    }

    fn tell_begun(&self, lease: &ShiftLease, live: &Live, command: &Command, gone: i64) {
        // What was told already, when it was taken first.
        if lease.holder == self.identity {
            return;
        }
        let text = decision::begun(command, &lease.holder, gone);
        tracing::warn!(object = %lease.route, "{text}");
        self.note(lease, live, "ShiftAbandoned", text);
    }

    /// Tells how it ended, and lets the Lease go if it is ours and nothing is left to do.
    async fn conclude(
        &self,
        driver: &Driver<'_>,
        live: &Live,
        outcome: Option<Outcome>,
        lease: &ShiftLease,
    ) -> Option<String> {
        let object = &lease.route;
        if let Some(outcome) = &outcome {
            let told = decision::ended(outcome);
            let label = OfWrite { outcome: told.as_ref().map_or("moot", |told| told.outcome) };
            self.metrics.deadman.get_or_create(&label).inc();
            if let Some(told) = told {
                tracing::warn!(%object, "{}", told.text);
                self.note(lease, live, told.reason, told.text);
            } else {
                tracing::info!(%object, "its shift is no longer ours: {outcome}");
            }
        }
        match outcome {
            Some(Outcome::Locked(_)) => None,
            // Nobody else may do it either; whoever goes on takes the Lease in any case.
            Some(Outcome::Refused(_) | Outcome::Conflict(_)) => Some(driver.lease.version.clone()),
            _ => {
                let patch = release(&self.identity);
                if let Err(fault) = self.api.patch_lease(&lease.key, &patch).await {
                    tracing::info!(%object, "the Lease of its shift runs out by itself: {fault}");
                }
                None
            }
        }
    }

    fn note(&self, lease: &ShiftLease, live: &Live, reason: &'static str, text: String) {
        let note = Note {
            object: lease.route.clone(),
            uid: u128::from_str_radix(&live.uid.as_str().replace('-', ""), 16).ok(),
            is_warning: true,
            reason,
            action: "Shift",
            text,
        };
        if self.notes.try_send(note).is_err() {
            self.metrics.events.get_or_create(&OfWrite { outcome: "dropped" }).inc();
        }
    }
}

/// Drives a shift whose Lease is ours to its end; again where a late write of its client came in
/// between. `None` if nothing is left to do.
async fn drive(driver: &mut Driver<'_>, since: Timestamp) -> Option<Outcome> {
    let mut last = None;
    for _ in 0..TRIES {
        let live = match driver.read().await {
            Ok(Some(live)) => live,
            Ok(None) => return last,
            Err(who) => return Some(Outcome::Locked(who)),
        };
        let now = driver.clock.now();
        let Decision::Act(command) = Decision::of(&live, since, now) else { return last };
        let outcome = match Machine::resume(driver.holder(), &live, command, now) {
            Ok(begun) => driver.run(begun).await,
            Err(outcome) => outcome,
        };
        if !matches!(outcome, Outcome::Superseded(_)) {
            return Some(outcome);
        }
        last = Some(outcome);
    }
    last
}
