//! Traffic through Envoy, so that there is something to see.
//!
//! Open loop: requests start at their time, whether or not earlier ones have been answered. So a
//! slow answer shows as latency, not as less load.

mod client;
mod histogram;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use client::{Target, trust};
pub use histogram::Histogram;

use client::{Answer, Client};

/// How many requests may be under way; beyond, requests are not sent but counted.
const IN_FLIGHT: usize = 2_048;

/// How late the generator may be before the lateness counts as latency.
const SLACK: Duration = Duration::from_millis(5);

/// How often it is reported.
const PERIOD: Duration = Duration::from_secs(1);

/// How the requests of a while fared.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The length of the while, in seconds.
    pub seconds: f64,
    /// Requests that ended, answered or not, each second.
    pub rate: f64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Requests that were not sent, because too many were under way.
    pub unsent: u64,
    /// Answers of each host by the service that answered.
    pub services: BTreeMap<String, BTreeMap<String, u64>>,
    /// The latency that half of the answers stayed below, in milliseconds; `None` without answer.
    pub p50_ms: Option<f64>,
    /// The latency that 99 of 100 answers stayed below, in milliseconds; `None` without answer.
    pub p99_ms: Option<f64>,
}

/// What was counted since the last report.
#[derive(Clone, Debug, Default)]
struct Window {
    statuses: BTreeMap<u16, u64>,
    failures: BTreeMap<String, u64>,
    unsent: u64,
    services: BTreeMap<String, BTreeMap<String, u64>>,
    latency: Histogram,
}

impl Window {
    fn answered(&mut self, host: &str, answer: Answer, latency: Duration) {
        *self.statuses.entry(answer.status).or_default() += 1;
        if let Some(service) = answer.service {
            *self.services.entry(host.to_owned()).or_default().entry(service).or_default() += 1;
        }
        self.latency.record(latency);
    }

    fn merge(&mut self, other: &Self) {
        add(&mut self.statuses, &other.statuses);
        add(&mut self.failures, &other.failures);
        for (host, services) in &other.services {
            add(self.services.entry(host.clone()).or_default(), services);
        }
        self.unsent += other.unsent;
        self.latency.merge(&other.latency);
    }

    fn report(&self, time: Duration) -> Report {
        let answered = self.statuses.values().sum::<u64>();
        let ended = answered + self.failures.values().sum::<u64>();
        let millis = |share| Some(round(self.latency.per_mille(share)?.as_secs_f64() * 1e3));
        Report {
            seconds: round(time.as_secs_f64()),
            rate: round(count(ended) / time.as_secs_f64().max(f64::EPSILON)),
            answered,
            statuses: self.statuses.clone(),
            failures: self.failures.clone(),
            unsent: self.unsent,
            services: self.services.clone(),
            p50_ms: millis(500),
            p99_ms: millis(990),
        }
    }
}

fn add<K: Ord + Clone>(own: &mut BTreeMap<K, u64>, others: &BTreeMap<K, u64>) {
    for (key, count) in others {
        *own.entry(key.clone()).or_default() += count;
    }
}

/// A count for arithmetic; what a sandbox counts fits.
pub fn count(number: u64) -> f64 {
    u32::try_from(number).map_or_else(|_| f64::from(u32::MAX), f64::from)
}

/// To three digits after the point: more would claim what was not measured.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Load that is being driven. Dropping it stops it.
#[derive(Debug)]
pub struct Load {
    reports: mpsc::Receiver<Report>,
    stop: CancellationToken,
    _stop_on_drop: tokio_util::sync::DropGuard,
    task: tokio::task::JoinHandle<Report>,
}

impl Load {
    /// Starts to send `rps` requests a second to the targets, by their shares.
    pub fn start(rps: u32, targets: Vec<Target>) -> Self {
        let (sender, reports) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let task = tokio::spawn(drive(rps, targets, sender, stop.clone()));
        Self { reports, stop: stop.clone(), _stop_on_drop: stop.drop_guard(), task }
    }

    /// The report of the next second.
    pub async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// Sends no more, waits for what is under way and reports the whole time.
    pub async fn stop(mut self) -> Option<Report> {
        self.stop.cancel();
        self.reports.close();
        self.task.await.ok()
    }
}

async fn drive(
    rps: u32,
    targets: Vec<Target>,
    reports: mpsc::Sender<Report>,
    stop: CancellationToken,
) -> Report {
    let clients: Vec<Arc<Client>> = targets.into_iter().map(Client::new).map(Arc::new).collect();
    let order = order(&clients);
    let window = Arc::new(Mutex::new(Window::default()));
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let tasks = TaskTracker::new();
    let mut total = Window::default();
    let start = Instant::now();
    let mut reported = start;
    let mut next_report = start + PERIOD;
    let mut sent: u64 = 0;
    let mut turns = order.iter().cycle();
    while let Some(client) = turns.next().and_then(|index| clients.get(*index)) {
        let due = start + Duration::from_secs_f64(count(sent) / f64::from(rps));
        if next_report <= due {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(next_report) => {}
            }
            let done = std::mem::take(&mut *lock(&window));
            total.merge(&done);
            // Whoever reads too slowly misses a report, not the total.
            drop(reports.try_send(done.report(reported.elapsed())));
            reported = Instant::now();
            next_report += PERIOD;
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep_until(due) => {}
        }
        sent += 1;
        match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => {
                let (client, window) = (Arc::clone(client), Arc::clone(&window));
                tasks.spawn(async move {
                    one(&client, due, &window).await;
                    drop(permit);
                });
            }
            Err(_full) => lock(&window).unsent += 1,
        }
    }
    tasks.close();
    tasks.wait().await;
    total.merge(&lock(&window));
    total.report(start.elapsed())
}

/// Sends one request and counts what became of it.
async fn one(client: &Client, due: Instant, window: &Mutex<Window>) {
    let now = Instant::now();
    // The timer is a millisecond coarse, which is no latency of Envoy's; falling behind is.
    let began = if now.duration_since(due) > SLACK { due } else { now };
    let answer = client.get().await;
    let latency = began.elapsed();
    match answer {
        Ok(answer) => lock(window).answered(client.host(), answer, latency),
        Err(reason) => *lock(window).failures.entry(reason).or_default() += 1,
    }
}

/// The order in which targets take turns, mixed by their shares.
fn order(clients: &[Arc<Client>]) -> Vec<usize> {
    let rounds = clients.iter().map(|client| client.share()).max().unwrap_or(0);
    (0..rounds)
        .flat_map(|round| {
            clients
                .iter()
                .enumerate()
                .filter(move |(_, client)| round < client.share())
                .map(|(index, _)| index)
        })
        .collect()
}

fn lock(window: &Mutex<Window>) -> std::sync::MutexGuard<'_, Window> {
    window.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
