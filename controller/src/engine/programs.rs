//! Which objects' statuses are to be said anew, and what there is to say: what the Envoys have of
//! what was made of each.
//!
//! A change is normally acknowledged within milliseconds and leads to one write. What takes longer
//! is said as it stands, and again when it is decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use contour_cluster::decode::Seen;
use contour_core::diagnostic::Diagnostic;
use contour_core::name::{Kind, ObjectName, ObjectRef};
use contour_core::pipeline::Pipeline;
use contour_core::status::{Address, Programmed, Refusal, Status};
use contour_core::xds::{ResourceKey, ResourceType, Version};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Engine;
use super::ledger::Ledger;
use super::query::RouteView;
use crate::ads::{Ads, HeldState};
use crate::kubernetes::board::Board;
use crate::kubernetes::notes::Note;
use crate::kubernetes::peers::{Addresses, Answer, Question, Standing, Standings};
use crate::kubernetes::{Leading, leads};
use crate::metrics::{Metrics, OfWrite};

/// How long all Envoys may take for all that came before, until each resource is looked at: what
/// somebody else waits for must not delay what is said of this object.
const ORDERLY: Duration = Duration::from_millis(250);

/// How long Envoys may take before it is said that they have not acknowledged yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long after the start it is not said that no Envoy is connected: they are about to come back.
const RETURN: Duration = Duration::from_secs(15);

/// Objects that are judged in one go; changes come first.
const AT_ONCE: usize = 256;

/// How long other replicas may take to tell what their Envoys have; afterwards they are left out.
const UNANSWERED: Duration = Duration::from_secs(3);

/// How often those that wait are looked at.
const LOOK: Duration = Duration::from_millis(25);

/// What it takes to write status.
pub(crate) struct StatusParts {
    pub(crate) board: Arc<Board>,
    pub(crate) notes: mpsc::Sender<Note>,
    pub(crate) leading: Leading,
    pub(crate) metrics: Arc<Metrics>,
    /// Where other replicas are, whose Envoys count too.
    pub(crate) peers: Arc<Addresses>,
    pub(crate) questions: mpsc::Sender<Question>,
    /// Taken by the engine, which waits for them.
    pub(crate) answers: Option<mpsc::Receiver<Answer>>,
}

/// What is asked about an object's resources.
pub(super) struct World<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) ads: &'a Ads,
    pub(super) ledger: &'a Ledger,
}

/// What the API server says of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) generation: Option<i64>,
    pub(super) uid: Option<u128>,
    /// When this generation was taken up.
    pub(super) taken: std::time::Instant,
}

#[derive(Debug)]
struct Pending {
    /// Envoys that have dealt with this revision have what was made of the object.
    revision: u64,
    since: Instant,
    /// When to look at each of its resources.
    next: Instant,
    /// When other replicas were asked, if they have not answered yet.
    asked: Option<Instant>,
}

/// See the module.
pub(super) struct Programs {
    parts: StatusParts,
    /// Whether the source is in sync, so that there is something to say.
    is_synced: bool,
    is_leading: bool,
    known: HashMap<ObjectRef, Known>,
    pending: BTreeMap<ObjectRef, Pending>,
    addresses: Arc<[Address]>,
    started: Instant,
    wake: Instant,
}

impl Programs {
    pub(super) fn new(parts: StatusParts) -> Self {
        let now = Instant::now();
        Self {
            parts,
            is_synced: false,
            is_leading: false,
            known: HashMap::new(),
            pending: BTreeMap::new(),
            addresses: Arc::from([]),
            started: now,
            wake: now,
        }
    }

    /// The answers of other replicas, for whoever waits for them.
    pub(super) fn take_answers(&mut self) -> Option<mpsc::Receiver<Answer>> {
        self.parts.answers.take()
    }

    pub(super) fn leading(&self) -> Leading {
        self.parts.leading.clone()
    }

    /// Whether statuses are written, by this replica.
    pub(super) fn is_on(&self) -> bool {
        self.is_synced && self.is_leading
    }

    /// How many objects wait for their status to be written, or for Envoys.
    pub(super) fn waiting(&self) -> usize {
        self.parts.board.waiting() + self.pending.len()
    }

    /// Objects were seen as the API server has them. Returns those of which there may be something
    /// new to say.
    pub(super) fn seen(&mut self, all: Vec<(ObjectRef, Seen)>) -> Vec<ObjectRef> {
        let mut concerned = Vec::new();
        for (object, seen) in all {
            let before = self.known.get(&object).copied();
            let (generation, uid) = (seen.generation, seen.uid);
            let is_same = |b: &Known| (b.generation, b.uid) == (generation, uid);
            let taken = before.filter(is_same).map_or_else(std::time::Instant::now, |b| b.taken);
            self.known.insert(object.clone(), Known { generation, uid, taken });
            let is_changed_by_others = self.parts.board.seen(&object, &seen);
            if is_changed_by_others || before.is_none_or(|b| b.generation != generation) {
                concerned.push(object);
            }
        }
        concerned
    }

    /// What the API server says of an object.
    pub(super) fn known(&self, object: &ObjectRef) -> Option<&Known> {
        self.known.get(object)
    }

    pub(super) fn gone(&mut self, object: &ObjectRef) {
        if self.known.remove(object).is_some() {
            self.pending.remove(object);
            self.parts.board.gone(object);
        }
    }

    /// What there is to say of an object may differ, as of a revision.
    pub(super) fn touch(&mut self, object: &ObjectRef, revision: u64) {
        if !self.is_on() || !self.known.contains_key(object) {
            return;
        }
        let now = Instant::now();
        let pending = Pending { revision, since: now, next: now + ORDERLY, asked: None };
        self.pending.insert(object.clone(), pending);
        self.wake = now;
    }

    /// Everything may differ.
    pub(super) fn touch_all(&mut self, revision: u64) {
        let all: Vec<_> = self.known.keys().cloned().collect();
        for object in all {
            self.touch(&object, revision);
        }
    }

    pub(super) fn set_addresses(&mut self, addresses: Vec<Address>, revision: u64) {
        self.addresses = addresses.into();
        self.touch_all(revision);
    }

    /// The source is in sync.
    pub(super) fn synced(&mut self, revision: u64) {
        self.is_synced = true;
        self.started = Instant::now();
        self.touch_all(revision);
    }

    /// Looks whether this replica leads. One that begins to says everything anew; what objects
    /// have already is not written.
    pub(super) fn look_who_leads(&mut self, revision: u64) {
        let is_leading = leads(&self.parts.leading);
        if is_leading == self.is_leading {
            return;
        }
        self.is_leading = is_leading;
        self.parts.metrics.leader.set(i64::from(is_leading));
        if is_leading {
            self.touch_all(revision);
        } else {
            self.pending.clear();
            self.parts.board.rest();
        }
    }

    /// Something was heard of Envoys.
    pub(super) fn hurry(&mut self) {
        self.wake = Instant::now();
    }

    /// When to look at those that wait; never if there are none.
    pub(super) fn wake(&self) -> Option<Instant> {
        (!self.pending.is_empty()).then_some(self.wake)
    }

    /// Tells an owner of something, if this replica is the one to tell.
    pub(super) fn note(&self, note: Note) {
        if self.is_on() && self.parts.notes.try_send(note).is_err() {
            self.parts.metrics.events.get_or_create(&OfWrite { outcome: "dropped" }).inc();
        }
    }

    /// Tells owners of findings.
    pub(super) fn note_findings(&self, findings: &[Diagnostic], are_mended: bool) {
        for finding in findings {
            let known = finding.object.as_ref().and_then(|object| self.known.get(object));
            if let Some(known) = known
                && let Some(note) = Note::of(finding, known.uid, are_mended)
            {
                self.note(note);
            }
        }
    }

    /// Tells the owner of an object what an Envoy says of it.
    pub(super) fn note_rejection(&self, object: &ObjectRef, text: String) {
        let uid = self.known.get(object).and_then(|known| known.uid);
        if self.known.contains_key(object) {
            self.note(Note {
                object: object.clone(),
                uid,
                is_warning: true,
                reason: "EnvoyRejected",
                action: "Program",
                text,
            });
        }
    }

    /// Judges those that wait, as far as it is time.
    pub(super) fn judge(&mut self, world: &World<'_>) {
        let now = Instant::now();
        let envoys = world.ads.progress();
        let slowest = envoys.values().min().copied();
        let mut left = AT_ONCE;
        let mut decided = Vec::new();
        let mut wanted = Vec::new();
        let ask_peers = self.parts.peers.are_several();
        for (object, pending) in &mut self.pending {
            let is_through = slowest.is_some_and(|revision| revision >= pending.revision);
            let is_asked = pending.asked.is_some_and(|at| now.duration_since(at) < UNANSWERED);
            if is_asked || (!is_through && now < pending.next) {
                continue;
            }
            if left == 0 {
                break;
            }
            left -= 1;
            let Some(resources) = world.resources(object) else {
                wanted.push((object.clone(), None));
                decided.push(object.clone());
                continue;
            };
            if resources.is_empty() {
                wanted.push((object.clone(), Some(Programmed::Nothing)));
                decided.push(object.clone());
                continue;
            }
            let own = world.standings(&resources, pending.revision, &envoys);
            if ask_peers {
                let (object, revision) = (object.clone(), pending.revision);
                let question = Question { object, revision, resources, own };
                let is_sent = self.parts.questions.try_send(question).is_ok();
                pending.asked = is_sent.then_some(now);
                pending.next = now + LOOK;
                continue;
            }
            let programmed = summed(own);
            match pending.verdict(&programmed, now, self.started) {
                Verdict::Decided => {
                    decided.push(object.clone());
                    wanted.push((object.clone(), Some(programmed)));
                }
                Verdict::SayMeanwhile => wanted.push((object.clone(), Some(programmed))),
                Verdict::Wait => {}
            }
        }
        for object in decided {
            self.pending.remove(&object);
        }
        for (object, programmed) in wanted {
            self.want(world, &object, programmed.as_ref());
        }
        self.wake = if left == 0 { now } else { now + LOOK };
    }

    /// Other replicas have told what their Envoys have.
    pub(super) fn answered(&mut self, world: &World<'_>, answer: Answer) {
        let now = Instant::now();
        let Answer { object, revision, all, is_whole } = answer;
        let Some(pending) = self.pending.get_mut(&object) else { return };
        if pending.revision != revision {
            return;
        }
        pending.asked = None;
        let programmed = summed(all);
        // One that does not answer is about to be back, or to be gone.
        let is_enough = is_whole || now.duration_since(pending.since) >= UNANSWERED;
        let verdict = pending.verdict(&programmed, now, self.started);
        match verdict {
            Verdict::Decided if is_enough => {
                self.pending.remove(&object);
                self.want(world, &object, Some(&programmed));
            }
            Verdict::SayMeanwhile => self.want(world, &object, Some(&programmed)),
            Verdict::Decided | Verdict::Wait => {}
        }
    }

    fn want(&self, world: &World<'_>, object: &ObjectRef, programmed: Option<&Programmed>) {
        let Some(became) = world.pipeline.status(object) else { return };
        let generation = self.known.get(object).and_then(|known| known.generation);
        let status = Status::new(object, generation, became, programmed, &self.addresses);
        if !self.parts.board.want(object, status) {
            self.parts.metrics.status_unchanged.inc();
        }
    }
}

impl Pending {
    /// What to do about what Envoys have; if they are to be looked at again, also when.
    fn verdict(&mut self, programmed: &Programmed, now: Instant, started: Instant) -> Verdict {
        let waited = now.duration_since(self.since);
        if programmed.is_decided() {
            return Verdict::Decided;
        }
        self.next = now + (ORDERLY + waited).min(PATIENCE);
        let is_back = *programmed != Programmed::NoEnvoy || now.duration_since(started) >= RETURN;
        if is_back && waited >= PATIENCE { Verdict::SayMeanwhile } else { Verdict::Wait }
    }
}

enum Verdict {
    /// Waiting longer will change nothing.
    Decided,
    /// It is time to say how it stands.
    SayMeanwhile,
    Wait,
}

fn summed(standings: Standings) -> Programmed {
    if standings.is_empty() {
        return Programmed::NoEnvoy;
    }
    let connected = standings.len();
    let mut acknowledged = 0;
    let mut waiting = Vec::new();
    let mut refused: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
    for (node, standing) in standings {
        match standing {
            Standing::Acknowledged => acknowledged += 1,
            Standing::Waiting => waiting.push(node),
            Standing::Refused(message) => refused.entry(message).or_default().push(node),
        }
    }
    let refused = refused.into_iter().map(|(message, nodes)| Refusal { nodes, message });
    Programmed::Envoys { acknowledged, connected, waiting, refused: refused.collect() }
}

impl World<'_> {
    /// The newest versions of what was made of an object; `None` for one of which nothing ever is.
    pub(super) fn resources(&self, object: &ObjectRef) -> Option<Vec<(ResourceKey, Version)>> {
        if object.kind != Kind::IngressRoute {
            return None;
        }
        let keys = self.pipeline.resources_of(object).into_iter();
        // Endpoints come and go by themselves: they are no news of the object.
        let keys = keys.filter(|key| key.kind != ResourceType::Endpoint);
        let versions = keys.filter_map(|key| {
            let version = self.pipeline.resource(&key)?.version;
            Some((key, version))
        });
        Some(versions.collect())
    }

    /// What our own Envoys have of these resources.
    fn standings(
        &self,
        resources: &[(ResourceKey, Version)],
        revision: u64,
        envoys: &BTreeMap<Arc<str>, u64>,
    ) -> Standings {
        let stands = envoys.iter().map(|(node, at)| {
            let standing = if *at >= revision { Standing::Acknowledged } else { Standing::Waiting };
            (Arc::clone(node), standing)
        });
        let mut standings: Standings = stands.collect();
        if standings.values().any(|standing| *standing == Standing::Waiting) {
            let behind = self.behind(resources);
            for (node, standing) in &mut standings {
                if *standing == Standing::Waiting && !behind.contains(node) {
                    *standing = Standing::Acknowledged;
                }
            }
        }
        for rejection in resources.iter().filter_map(|(key, _)| self.ledger.rejections().get(key)) {
            for (node, message) in &rejection.messages {
                if let Some(standing) = standings.get_mut(node) {
                    *standing = Standing::Refused(Arc::clone(message));
                }
            }
        }
        standings
    }

    /// The Envoys that have not yet acknowledged one of these resources.
    fn behind(&self, resources: &[(ResourceKey, Version)]) -> BTreeSet<Arc<str>> {
        let holders = resources.iter().flat_map(|(key, _)| self.ads.holders(key));
        let late = holders.filter(|h| matches!(h.state, HeldState::Pending | HeldState::Sent));
        late.map(|holder| holder.node).collect()
    }
}

impl Engine {
    /// What this replica knows of an IngressRoute in force, and how many endpoints of some ports
    /// are ready.
    pub(super) fn route(
        &self,
        object: ObjectRef,
        ports: &[(ObjectName, i64)],
    ) -> Option<RouteView> {
        let programs = self.programs.as_ref()?;
        if self.held.is_some() || !self.pipeline.has(&object) {
            return None;
        }
        let (pipeline, ads, ledger) = (&self.pipeline, &self.parts.ads, &self.ledger);
        let world = World { pipeline, ads, ledger };
        let resources = world.resources(&object)?;
        let (revision, envoys) = (self.revision, ads.progress());
        let own = world.standings(&resources, revision, &envoys);
        Some(RouteView {
            generation: programs.known.get(&object).and_then(|known| known.generation),
            question: Question { object, revision, resources, own },
            ready: ports.iter().map(|(service, port)| pipeline.ready(service, *port)).collect(),
        })
    }
}

/// Resolves when it may have changed who leads, if anybody does.
pub(super) async fn changed(leading: Option<&mut Leading>) {
    if let Some(leading) = leading
        && leading.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// The next answer of other replicas, if there are any.
pub(super) async fn told(answers: Option<&mut mpsc::Receiver<Answer>>) -> Answer {
    if let Some(answers) = answers
        && let Some(answer) = answers.recv().await
    {
        return answer;
    }
    std::future::pending().await
}

/// Resolves at that time, if there is one.
pub(super) async fn until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
