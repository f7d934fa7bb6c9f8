//! Asks the API server what [`Watch`] wants to know, a task for each scope.

mod body;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request as HttpRequest, Response};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::reason;
use crate::scope::Scope;
use crate::watch::{self, End, Next, Output, Refusal, Request, Wait, Watch};
use body::Lines;

/// The shortest and the longest pause between two failing requests, before jitter. A change made
/// while the API server was away arrives soon after it is back.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(4));

/// Bytes of a page of a list that are read at most.
const PAGE: usize = 256 << 20;

/// Time limits of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the head of an answer, and for a page of a list.
    pub answer: Duration,
    /// For which a stream may be silent. The API server sends a bookmark each minute.
    pub silence: Duration,
    /// After which the API server ends a watch, at least; some more by chance, so that not all
    /// end together.
    pub watch: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_mins(1),
            silence: Duration::from_secs(90),
            watch: Duration::from_mins(5),
        }
    }
}

/// How watches and requests are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Of watches.
    pub watch: watch::Settings,
    /// Of requests.
    pub limits: Limits,
}

/// What was asked of the API server, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// For a list, by pages or as a stream.
    List,
    /// For what changes.
    Watch,
    /// In vain.
    Failure,
}

/// Something heard of the API server, or asked of it.
#[derive(Debug)]
pub enum Update {
    /// What answers meant.
    Heard {
        /// In which scope.
        scope: Arc<Scope>,
        /// What.
        output: Output,
    },
    /// A request was made.
    Asked {
        /// In which scope.
        scope: Arc<Scope>,
        /// For what.
        asked: Asked,
    },
    /// All that there was at the start has been told, of every scope.
    Synced,
}

/// Watches `scopes` until `stop` is cancelled, and tells `updates`.
pub async fn run(
    client: Client,
    scopes: Vec<Scope>,
    settings: Settings,
    updates: mpsc::Sender<Update>,
    stop: CancellationToken,
) {
    let incomplete = Arc::new(AtomicUsize::new(scopes.len()));
    let mut tasks = JoinSet::new();
    for scope in scopes {
        let driver = Driver {
            client: client.clone(),
            limits: settings.limits,
            scope: Arc::new(scope.clone()),
            watch: Watch::new(scope, settings.watch),
            updates: updates.clone(),
            incomplete: Arc::clone(&incomplete),
            started: Instant::now(),
            jitter: fastrand::Rng::new(),
        };
        let stop = stop.clone();
        tasks.spawn(async move { stop.run_until_cancelled(driver.run()).await });
    }
    drop(updates);
    while tasks.join_next().await.is_some() {}
}

/// How long to wait before asking; `jitter` is anything from 0 to 1.
pub fn pause(wait: Wait, jitter: f64) -> Duration {
    match wait {
        Wait::None => Duration::ZERO,
        // Whoever says when to ask again must not be asked before.
        Wait::Exactly(pause) => pause.mul_f64(1.0 + 0.25 * jitter),
        Wait::Retry(failures) => {
            let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
            PAUSE.0.saturating_mul(factor).min(PAUSE.1).mul_f64(0.5 + 0.5 * jitter)
        }
    }
}

/// Nobody listens any more.
struct Deaf;

struct Driver {
    client: Client,
    limits: Limits,
    scope: Arc<Scope>,
    watch: Watch,
    updates: mpsc::Sender<Update>,
    incomplete: Arc<AtomicUsize>,
    started: Instant,
    jitter: fastrand::Rng,
}

impl Driver {
    async fn run(mut self) -> Result<(), Deaf> {
        loop {
            let request = self.watch.ask(self.now());
            let asked = match request {
                Request::Watch { .. } => Asked::Watch,
                Request::List { .. } | Request::Stream => Asked::List,
            };
            self.tell_asked(asked).await?;
            let wait = self.exchange(&request).await?;
            if matches!(wait, Wait::Retry(1..)) {
                self.tell_asked(Asked::Failure).await?;
            }
            let jitter = self.jitter.f64();
            tokio::time::sleep(pause(wait, jitter)).await;
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Asks and reads the answer to its end. Returns how long to wait before asking again.
    async fn exchange(&mut self, request: &Request) -> Result<Wait, Deaf> {
        let http = match self.http(request) {
            Ok(http) => http,
            Err(error) => return Ok(self.end(End::Failed(error.to_string()))),
        };
        let answer = tokio::time::timeout(self.limits.answer, self.client.send(http)).await;
        let next = match answer {
            Err(_) => {
                return self.told(End::Failed("the API server does not answer".to_owned())).await;
            }
            Ok(Err(error)) => return self.told(End::Failed(reason(&error))).await,
            Ok(Ok(response)) if !response.status().is_success() => {
                let refusal = self.refusal(response).await;
                self.watch.refused(self.now(), refusal)
            }
            Ok(Ok(response)) => {
                self.watch.opened();
                self.flush().await?;
                match request {
                    Request::List { .. } => {
                        let read = body::whole(response.into_body(), PAGE);
                        match tokio::time::timeout(self.limits.answer, read).await {
                            Ok(Ok(page)) => self.watch.page(self.now(), &page),
                            Ok(Err(why)) => self.watch.ended(self.now(), End::Failed(why)),
                            Err(_) => self.watch.ended(self.now(), End::Silent),
                        }
                    }
                    Request::Watch { .. } | Request::Stream => {
                        return self.stream(response.into_body()).await;
                    }
                }
            }
        };
        self.flush().await?;
        Ok(match next {
            Next::Ask(wait) => wait,
            Next::Read => Wait::None,
        })
    }

    /// Reads a stream of events. All that arrives together is told together.
    async fn stream(&mut self, body: Body) -> Result<Wait, Deaf> {
        let mut lines = Lines::new(body);
        loop {
            let end = match tokio::time::timeout(self.limits.silence, lines.more()).await {
                Ok(Ok(true)) => None,
                Ok(Ok(false)) => Some(End::Whole),
                Ok(Err(why)) => Some(End::Failed(why)),
                Err(_) => Some(End::Silent),
            };
            while let Some(line) = lines.next() {
                if let Next::Ask(wait) = self.watch.line(self.now(), &line) {
                    self.flush().await?;
                    return Ok(wait);
                }
            }
            if let Some(end) = end {
                return self.told(end).await;
            }
            self.flush().await?;
        }
    }

    async fn told(&mut self, end: End) -> Result<Wait, Deaf> {
        let wait = self.end(end);
        self.flush().await?;
        Ok(wait)
    }

    fn end(&mut self, end: End) -> Wait {
        match self.watch.ended(self.now(), end) {
            Next::Ask(wait) => wait,
            Next::Read => Wait::Retry(1),
        }
    }

    async fn flush(&mut self) -> Result<(), Deaf> {
        let output = self.watch.take_output();
        if output.is_empty() {
            return Ok(());
        }
        let completed = output.completed;
        let heard = Update::Heard { scope: Arc::clone(&self.scope), output };
        self.updates.send(heard).await.map_err(|_closed| Deaf)?;
        // What this scope held has been told; so have the others, if they are through.
        if completed && self.incomplete.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.updates.send(Update::Synced).await.map_err(|_closed| Deaf)?;
        }
        Ok(())
    }

    async fn tell_asked(&self, asked: Asked) -> Result<(), Deaf> {
        let update = Update::Asked { scope: Arc::clone(&self.scope), asked };
        self.updates.send(update).await.map_err(|_closed| Deaf)
    }

    fn http(&mut self, request: &Request) -> Result<HttpRequest<Body>, http::Error> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(selector) = self.scope.field_selector() {
            query.append_pair("fieldSelector", &selector);
        }
        let page = self.watch.settings().page.to_string();
        let seconds = self.limits.watch.mul_f64(1.0 + self.jitter.f64()).as_secs().to_string();
        match request {
            Request::List { token } => {
                query.append_pair("limit", &page);
                if let Some(token) = token {
                    query.append_pair("continue", token);
                }
            }
            Request::Stream => {
                query.extend_pairs([
                    ("watch", "true"),
                    ("sendInitialEvents", "true"),
                    ("resourceVersionMatch", "NotOlderThan"),
                    ("allowWatchBookmarks", "true"),
                    ("timeoutSeconds", seconds.as_str()),
                ]);
            }
            Request::Watch { from } => {
                query.extend_pairs([
                    ("watch", "true"),
                    ("resourceVersion", from.as_str()),
                    ("allowWatchBookmarks", "true"),
                    ("timeoutSeconds", seconds.as_str()),
                ]);
            }
        }
        let uri = format!("{}?{}", self.scope.path(), query.finish());
        HttpRequest::get(uri).body(Body::empty())
    }

    async fn refusal(&self, response: Response<Body>) -> Refusal {
        #[derive(Deserialize)]
        struct Status {
            #[serde(default)]
            message: String,
        }
        let code = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let read =
            tokio::time::timeout(self.limits.answer, body::whole(response.into_body(), 1 << 20));
        let body = read.await.ok().and_then(Result::ok).unwrap_or_else(Bytes::new);
        let message = serde_json::from_slice(&body).map_or_else(
            |_unreadable| String::from_utf8_lossy(&body).trim().chars().take(200).collect(),
            |status: Status| status.message,
        );
        Refusal { code, message, retry_after }
    }
}
