//! Traffic for as long as something else goes on, every failure counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::client::{Ask, Connection, Reply, Target};

/// What became of all requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that were answered or failed.
    pub requests: u64,
    /// Answers by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers by the backend that gave them.
    pub backends: BTreeMap<String, u64>,
    /// How many connections or exchanges broke.
    pub broken: u64,
    /// The first few reasons.
    pub reasons: Vec<String>,
}

impl Tally {
    /// Requests without an answer of 200.
    pub fn failures(&self) -> u64 {
        self.requests - self.statuses.get(&200).copied().unwrap_or_default()
    }

    /// The share of answers that a backend gave, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub fn share(&self, backend: &str) -> f64 {
        let all: u64 = self.backends.values().sum();
        let own = self.backends.get(backend).copied().unwrap_or_default();
        own as f64 / all.max(1) as f64
    }

    fn count(&mut self, result: Result<Reply>) {
        self.requests += 1;
        match result {
            Ok(reply) => {
                *self.statuses.entry(reply.status).or_default() += 1;
                if let Some(backend) = reply.backend() {
                    *self.backends.entry(backend).or_default() += 1;
                }
                if reply.status != 200 && self.reasons.len() < 5 {
                    let body = String::from_utf8_lossy(&reply.body);
                    self.reasons.push(format!("{} {body}", reply.status));
                }
            }
            Err(error) => {
                self.broken += 1;
                if self.reasons.len() < 5 {
                    self.reasons.push(format!("{error:#}"));
                }
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.broken += other.broken;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (backend, count) in other.backends {
            *self.backends.entry(backend).or_default() += count;
        }
        self.reasons.extend(other.reasons);
    }
}

/// Traffic that is under way; it stops when dropped.
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<Tally>,
}

struct Shared {
    stop: AtomicBool,
    begun: AtomicU64,
    limit: u64,
}

impl Load {
    /// Starts `workers` keep-alive clients that ask until told to stop.
    pub fn start(target: &Target, ask: &Ask, workers: usize) -> Self {
        Self::with_limit(target, ask, workers, u64::MAX)
    }

    /// Sends so many requests over `workers` keep-alive connections.
    pub async fn send(target: &Target, ask: &Ask, workers: usize, requests: u64) -> Tally {
        Self::with_limit(target, ask, workers, requests).join().await
    }

    /// How many requests have begun.
    pub fn begun(&self) -> u64 {
        self.shared.begun.load(Ordering::Relaxed)
    }

    /// Waits until so many more requests have begun.
    pub async fn more(&self, requests: u64) {
        let goal = self.begun() + requests;
        while self.begun() < goal {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Ends the traffic and sums up.
    pub async fn stop(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.join().await
    }

    fn with_limit(target: &Target, ask: &Ask, workers: usize, limit: u64) -> Self {
        let shared =
            Arc::new(Shared { stop: AtomicBool::new(false), begun: AtomicU64::new(0), limit });
        let mut set = JoinSet::new();
        for _ in 0..workers {
            set.spawn(work(target.clone(), ask.clone(), Arc::clone(&shared)));
        }
        Self { shared, workers: set }
    }

    async fn join(mut self) -> Tally {
        let mut all = Tally::default();
        while let Some(tally) = self.workers.join_next().await {
            all.add(tally.expect("a worker does not panic"));
        }
        all
    }
}

async fn work(target: Target, ask: Ask, shared: Arc<Shared>) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while !shared.stop.load(Ordering::Relaxed)
        && shared.begun.fetch_add(1, Ordering::Relaxed) < shared.limit
    {
        let result = exchange(&target, &ask, &mut connection).await;
        tally.count(result);
    }
    tally
}

/// Asks over the open connection, or over a new one if the last was said to be over.
async fn exchange(
    target: &Target,
    ask: &Ask,
    connection: &mut Option<Connection>,
) -> Result<Reply> {
    if let Some(open) = connection
        && !open.is_open().await
    {
        *connection = None;
    }
    let mut open = match connection.take() {
        Some(open) => open,
        None => target.connect().await?,
    };
    let reply = match open.ask(ask).await {
        // It is safe to ask again, and clients do.
        Err(error) if is_unsent(&error) => {
            open = target.connect().await?;
            open.ask(ask).await?
        }
        reply => reply?,
    };
    if !reply.header("connection").eq_ignore_ascii_case("close") {
        *connection = Some(open);
    }
    Ok(reply)
}

/// Whether nobody has seen the request: the connection was closed before it went out, or the server
/// says by GOAWAY without an error that it has not processed it (RFC 9113, 6.8; it processes those that
/// it has accepted, and they go on).
fn is_unsent(error: &anyhow::Error) -> bool {
    let Some(error) = error.downcast_ref::<hyper::Error>() else { return false };
    let http2 = std::error::Error::source(error).and_then(|e| e.downcast_ref::<h2::Error>());
    let is_declined =
        |e: &h2::Error| e.is_go_away() && e.is_remote() && e.reason() == Some(h2::Reason::NO_ERROR);
    error.is_canceled() || http2.is_some_and(is_declined)
}
