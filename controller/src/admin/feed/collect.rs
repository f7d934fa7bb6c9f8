//! Looks at everything once a second, while somebody watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contour_core::name::Kind;
use contour_core::observe::UnreadableError;
use contour_core::observe::collection::Collection;
use contour_core::observe::feed::{Envoy, Held, Rejection};
use contour_core::observe::survey::{self, Numbers};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Admin, Running};
use crate::admin::observe::{NOWHERE, answer};
use crate::ads::{EnvoyView, TypeView};

/// How often, if that does not cost too much.
const INTERVAL: Duration = Duration::from_secs(1);

/// How seldom at most.
const SELDOM: Duration = Duration::from_secs(10);

/// An Envoy's main thread is to be busy for us for less than one part in so many.
const SHARE: u32 = 10;

/// How often Envoys sum up histograms, so that it makes no sense to ask more often.
const HISTOGRAMS: Duration = Duration::from_secs(5);

/// Envoys that are asked at a time: each answer may have some 10 MB.
const AT_A_TIME: usize = 8;

/// How long a collection goes on without anybody who watches, so that who comes back goes on too.
const GRACE: Duration = Duration::from_secs(10);

/// How long what Envoys hold is taken to be what they held, if nothing speaks against it.
const HELD: Duration = Duration::from_secs(10);

/// What Envoys are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Numbers,
    Latencies,
    Endpoints,
}

/// See the module.
pub(super) struct Collector {
    admin: Arc<Admin>,
    running: Running,
    stop: CancellationToken,
    interval: Duration,
    /// When histograms were asked for last.
    histograms: Option<Instant>,
    /// What was known of Envoys when their rows were made, and when that was.
    held: Option<(u64, BTreeMap<Arc<str>, u64>, Instant)>,
    /// How long each Envoy took for the answers of this look.
    busy: BTreeMap<Arc<str>, Duration>,
}

impl Collector {
    pub(super) fn new(admin: Arc<Admin>, running: Running, stop: CancellationToken) -> Self {
        Self {
            admin,
            running,
            stop,
            interval: INTERVAL,
            histograms: None,
            held: None,
            busy: BTreeMap::new(),
        }
    }

    /// Looks until nobody has watched for a while.
    pub(super) async fn run(mut self, ticks: watch::Sender<u64>) {
        let mut watched = Instant::now();
        let mut first = true;
        while watched.elapsed() < GRACE {
            let begun = Instant::now();
            if self.look(first).await.is_none() {
                break;
            }
            first = false;
            ticks.send_replace(self.running.with(|collection| collection.at().tick));
            let rest = self.interval.saturating_sub(begun.elapsed());
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.stop.cancelled() => break,
            }
            if self.running.viewers() > 0 {
                watched = Instant::now();
            }
        }
        self.admin.feed.ended(&self.running.collection);
    }

    /// One look; `None` if the engine has ended.
    async fn look(&mut self, first: bool) -> Option<()> {
        let now = self.admin.ads.unix_millis();
        let interval = u32::try_from(self.interval.as_millis()).unwrap_or(u32::MAX);
        self.running.with(|collection| collection.begin(now, interval));
        self.busy.clear();
        self.objects(first).await?;
        self.connected().await?;
        self.ask(Question::Numbers, survey::numbers_query()).await;
        if self.histograms.is_none_or(|last| last.elapsed() >= HISTOGRAMS) {
            self.histograms = Some(Instant::now());
            self.ask(Question::Latencies, survey::latencies_query()).await;
        }
        let services = self.running.with(Collection::to_ask);
        if !services.is_empty() {
            self.ask(Question::Endpoints, survey::endpoints_query(services.iter())).await;
        }
        self.running.with(Collection::end);
        let slowest = self.busy.values().max().copied().unwrap_or_default();
        self.interval = slowest.saturating_mul(SHARE).clamp(INTERVAL, SELDOM);
        Some(())
    }

    async fn objects(&self, first: bool) -> Option<()> {
        let (mut changed, whole) = self.admin.inquiry.watch(first).await?;
        self.running.with(|collection| {
            if whole {
                // Whoever has not been told of for a while may be gone.
                let told: BTreeSet<_> = changed.iter().map(|(name, _)| name).collect();
                let gone = collection.object_names().filter(|name| !told.contains(name));
                let gone: Vec<_> = gone.map(|name| (name.clone(), None)).collect();
                changed.extend(gone);
            }
            collection.objects(changed);
        });
        Some(())
    }

    /// Which Envoys there are, and what they have. To find that out takes time for each resource, so
    /// it is not done while nothing moves.
    async fn connected(&mut self) -> Option<()> {
        let (revision, progress) = (self.admin.ads.revision(), self.admin.ads.progress());
        let behind = progress.values().any(|at| *at < revision);
        let same = self
            .held
            .as_ref()
            .is_some_and(|(r, p, at)| (*r, p) == (revision, &progress) && at.elapsed() < HELD);
        if same && !behind {
            return Some(());
        }
        let views = self.admin.ads.envoys();
        let owners = self.admin.inquiry.owners_of_rejected(&views).await?;
        let mut rows: BTreeMap<Arc<str>, Envoy> = BTreeMap::new();
        for view in views.iter().filter(|view| view.version.is_some()) {
            let row = rows.entry(Arc::clone(&view.node)).or_insert_with(|| envoy(view));
            row.types.extend(view.types.iter().map(|(kind, of)| held(kind.short(), of)));
            row.rejections.extend(view.rejections.iter().map(|rejection| {
                let owners = owners.get(&rejection.key).into_iter().flatten();
                let routes = owners.filter(|owner| owner.kind == Kind::IngressRoute);
                Rejection {
                    resource: rejection.key.to_string().into(),
                    message: Arc::clone(&rejection.message),
                    owners: routes.map(|owner| owner.name.clone()).collect(),
                }
            }));
        }
        self.running.with(|collection| collection.connected(rows.into_values().collect()));
        self.held = Some((revision, progress, Instant::now()));
        Some(())
    }

    /// Asks all Envoys, some at a time, and takes in what they answer as it comes.
    async fn ask(&mut self, question: Question, query: String) {
        let query: Arc<str> = query.into();
        let permits = Arc::new(Semaphore::new(AT_A_TIME));
        let places: BTreeMap<_, _> = self.admin.ads.whereabouts();
        let mut asked = JoinSet::new();
        for node in self.running.with(|collection| collection.nodes()) {
            let whereabouts = places.get(&node).cloned();
            let place = whereabouts.and_then(|w| self.admin.observatory.place(w));
            let (query, permits) = (Arc::clone(&query), Arc::clone(&permits));
            let running = self.running.clone();
            asked.spawn(async move {
                // They are never closed.
                let _permit = permits.acquire().await;
                let begun = Instant::now();
                let answer = match &place {
                    Some(place) => answer(place, &query).await,
                    None => Err(NOWHERE.to_owned()),
                };
                let took = begun.elapsed();
                let of = Arc::clone(&node);
                let taken = tokio::task::spawn_blocking(move || {
                    take(&running, question, &of, (answer, took));
                });
                if let Err(error) = taken.await {
                    tracing::error!(%error, "an answer of an Envoy could not be read");
                }
                (node, took)
            });
        }
        while let Some(done) = asked.join_next().await {
            if let Ok((node, took)) = done {
                *self.busy.entry(node).or_default() += took;
            }
        }
    }
}

/// Reads an answer, which may have 100,000 lines, and then takes it in.
fn take(
    running: &Running,
    question: Question,
    node: &Arc<str>,
    (answer, took): (Result<String, String>, Duration),
) {
    let taken = answer.and_then(|answer| {
        let unreadable = |error: UnreadableError| error.to_string();
        match question {
            Question::Numbers => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                let (numbers, cost) = (Numbers::read(&answer), (micros, answer.len() as u64));
                running.with(|collection| collection.numbers(node, numbers, cost));
            }
            Question::Latencies => {
                let latencies = survey::latencies(&answer).map_err(unreadable)?;
                running.with(|collection| collection.latencies(node, latencies));
            }
            Question::Endpoints => {
                let endpoints = survey::endpoints(&answer).map_err(unreadable)?;
                running.with(|collection| collection.endpoints(node, &endpoints));
            }
        }
        Ok(())
    });
    if let Err(why) = taken {
        running.with(|collection| collection.trouble(node, &why));
    }
}

fn envoy(view: &EnvoyView) -> Envoy {
    Envoy {
        node: Arc::clone(&view.node),
        version: view.version.map(|version| version.to_string().into()),
        address: view.address.map(|address| address.to_string().into()),
        connected_unix_millis: unix_millis(view.connected),
        state: None,
        uptime_seconds: None,
        memory_bytes: None,
        connections: None,
        requests: 0,
        types: Vec::new(),
        rejections: Vec::new(),
        trouble: None,
        answered_unix_millis: None,
        cost: None,
    }
}

fn held(kind: &str, of: &TypeView) -> Held {
    Held {
        kind: kind.into(),
        held: of.held as u64,
        outstanding: of.outstanding as u64,
        pending: of.pending as u64,
        rejected: of.rejected as u64,
        digest: of.digest.map(|digest| digest.to_string().into()),
        acknowledged_unix_millis: of.acknowledged_at().map(unix_millis),
    }
}

fn unix_millis(at: SystemTime) -> u64 {
    let unix = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
}
