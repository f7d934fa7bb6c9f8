//! `contour serve`: a controller, also for use inside another program.
//!
//! ```no_run
//! use contour::config::Config;
//! use contour::serve::{Controller, Hooks};
//! use contour::source::Source;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::local(Source::Directory("routes".into()));
//! let controller = Controller::start(config, Hooks::default()).await?;
//! let mut events = controller.events();
//! println!("Envoys are served on {}", controller.bound().xds);
//! println!("{:?}", events.recv().await?);
//! controller.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod source;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contour_cluster::access::AccessError;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{Admin, Feed, Observatory, Paths, Readiness};
use crate::ads::{Ads, EnvoyView, Security, Settings};
use crate::config::{Config, Listen, XdsSecurity};
use crate::engine::query::{Inquiry, Query};
use crate::engine::{Engine, Parts};
use crate::event::ControllerEvent;
use crate::exit::Exit;
use crate::metrics::Metrics;
use crate::shutdown::Signals;
use crate::source::{Batch, SourceError};
use crate::tls::{self, TlsError};

pub use crate::engine::Rewrite;

/// Batches that may wait for the engine; then the source waits.
const BATCHES: usize = 256;

/// Questions that may wait for the engine; then those who ask wait.
const QUERIES: usize = 64;

/// Events that a listener may lag behind before it misses some.
const EVENTS: usize = 1024;

/// How long the parts may take to end when asked to.
const DRAIN: Duration = Duration::from_secs(5);

/// Seams for tests.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Replaces resources just before they are published, so that a test can make an Envoy reject
    /// what a chosen object was turned into. `None` from the function leaves a resource as it is.
    pub rewrite: Option<Rewrite>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("rewrite", &self.rewrite.is_some()).finish()
    }
}

/// Why a controller could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no way to the API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// An address could not be bound.
    #[error("cannot listen on {address} ({what}): {source}; choose another with {flag}")]
    Bind {
        /// What should be served there.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The flags that choose it.
        flag: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// A TLS file cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives us no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl StartError {
    /// How the process ends for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Source(_) | Self::Access(_) | Self::Tls(_) => Exit::Unreadable,
            Self::Bind { .. } => Exit::AddressInUse,
            Self::Thread(_) => Exit::Failed,
        }
    }
}

/// A part of a controller ended although nobody had asked it to.
#[derive(Debug, thiserror::Error)]
#[error("{part} ended unexpectedly: {reason}")]
pub struct Failure {
    /// The part.
    pub part: &'static str,
    /// Why.
    pub reason: String,
}

type Tasks = JoinSet<(&'static str, Result<(), String>)>;

/// A running controller. Dropping it stops it, without waiting.
#[derive(Debug)]
pub struct Controller {
    bound: Listen,
    events: broadcast::Sender<ControllerEvent>,
    /// Listens from before the start, so that the first to ask misses nothing.
    first: Mutex<Option<broadcast::Receiver<ControllerEvent>>>,
    envoys: Envoys,
    readiness: Arc<Readiness>,
    tasks: Tasks,
    stop: CancellationToken,
    stop_admin: CancellationToken,
    _guards: [tokio_util::sync::DropGuard; 2],
}

struct Envoys(Ads);

impl std::fmt::Debug for Envoys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Envoys")
    }
}

/// The listeners of a controller, bound.
struct Listeners {
    xds: TcpListener,
    administration: Vec<(&'static str, TcpListener, Paths)>,
}

impl Controller {
    /// Starts a controller. When this returns, all addresses are bound and the source is being
    /// read; [`Controller::ready`] tells when Envoys are served.
    ///
    /// # Errors
    /// If the source cannot be read, an address cannot be bound, or TLS cannot be set up. Nothing
    /// is left running then.
    pub async fn start(config: Config, hooks: Hooks) -> Result<Self, StartError> {
        let security = security(&config.security)?;
        let (listeners, bound) = bind(&config.listen).await?;
        let stop = CancellationToken::new();
        let stop_admin = CancellationToken::new();
        let guards = [stop.clone().drop_guard(), stop_admin.clone().drop_guard()];
        let shrink = config.safeguards.shrink;
        let ads = Ads::new(Settings { shrink, ..Settings::default() });
        let metrics = Arc::new(Metrics::default());
        let (events, first) = broadcast::channel(EVENTS);
        let (synced, in_sync) = watch::channel(false);
        let (queries, inquiries) = mpsc::channel(QUERIES);
        let mut tasks = Tasks::new();
        let started = source::Started {
            metrics: &metrics,
            security: &config.security,
            inquiry: Inquiry(queries.clone()),
        };
        let (batches, status) = started.start(config.source, &mut tasks, &stop).await?;
        let stats_port = config.options.stats.as_ref().map(|bind| bind.port);
        let parts = Parts {
            options: config.options,
            ads: ads.clone(),
            rewrite: hooks.rewrite,
            metrics: Arc::clone(&metrics),
            events: events.clone(),
            synced,
            safeguards: config.safeguards,
            status,
        };
        engine(parts, (batches, inquiries), &mut tasks, &stop)?;
        let readiness = Arc::new(Readiness {
            synced: in_sync,
            serving: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
        });
        let admin = Arc::new(Admin {
            readiness: Arc::clone(&readiness),
            metrics,
            inquiry: Inquiry(queries),
            ads: ads.clone(),
            observatory: Observatory::new(stats_port),
            feed: Feed::new(stop_admin.clone()),
        });
        for (name, listener, paths) in listeners.administration {
            let serving = Arc::clone(&admin).serve(listener, paths, stop_admin.clone());
            tasks.spawn(async move {
                serving.await;
                (name, Ok(()))
            });
        }
        let xds =
            serve_xds(ads.clone(), (listeners.xds, security), Arc::clone(&readiness), stop.clone());
        tasks.spawn(async move { ("the xDS server", xds.await) });
        Ok(Self {
            bound,
            events,
            first: Mutex::new(Some(first)),
            envoys: Envoys(ads),
            readiness,
            tasks,
            stop,
            stop_admin,
            _guards: guards,
        })
    }

    /// The addresses that were bound.
    pub fn bound(&self) -> Listen {
        self.bound
    }

    /// What happens from now on; for the first who asks, from the start on.
    pub fn events(&self) -> broadcast::Receiver<ControllerEvent> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.take().unwrap_or_else(|| self.events.subscribe())
    }

    /// The Envoys connected.
    pub fn envoys(&self) -> Vec<EnvoyView> {
        self.envoys.0.envoys()
    }

    /// Resolves once everything that the source held at start is in force and Envoys are served.
    pub async fn ready(&self) {
        // The xDS server starts once the source is in sync. Should it never, that is for `failed`
        // to tell.
        let mut serving = self.readiness.serving.subscribe();
        if serving.wait_for(|serving| *serving).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Resolves if a part of the controller ends although nobody asked it to.
    pub async fn failed(&mut self) -> Failure {
        match self.tasks.join_next().await {
            Some(Ok((part, outcome))) => Failure {
                part,
                reason: outcome.err().unwrap_or_else(|| "it just ended".to_owned()),
            },
            Some(Err(error)) => Failure { part: "a task", reason: error.to_string() },
            None => Failure { part: "the controller", reason: "nothing is left of it".to_owned() },
        }
    }

    /// Stops: readiness goes first, then the streams of Envoys, which keep serving what they hold,
    /// then everything else. Takes a few seconds at most.
    pub async fn shutdown(mut self) {
        self.readiness.stopping.store(true, Ordering::Release);
        self.stop.cancel();
        let drained = async {
            // Health is answered until the rest has ended.
            let administration = if self.bound.health == self.bound.metrics { 2 } else { 3 };
            while self.tasks.len() > administration && self.tasks.join_next().await.is_some() {}
            self.stop_admin.cancel();
            while self.tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("not everything had ended after {DRAIN:?}; the rest is cut off");
        }
        self.stop_admin.cancel();
        self.tasks.shutdown().await;
    }
}

async fn bind(listen: &Listen) -> Result<(Listeners, Listen), StartError> {
    let xds = listener(listen.xds, "xDS", "--xds-address and --xds-port").await?;
    let health = "--health-address and --health-port";
    let health = listener(listen.health, "health", health).await?;
    let metrics = if listen.metrics == listen.health {
        None
    } else {
        let flag = "--http-address and --http-port";
        Some(listener(listen.metrics, "metrics", flag).await?)
    };
    let debug = "--debug-http-address and --debug-http-port";
    let debug = listener(listen.debug, "debug", debug).await?;
    let bound = Listen {
        xds: address(&xds, listen.xds),
        health: address(&health, listen.health),
        metrics: address(metrics.as_ref().unwrap_or(&health), listen.metrics),
        debug: address(&debug, listen.debug),
    };
    let mut administration = vec![("the debug server", debug, Paths::Debug)];
    match metrics {
        None => administration.push(("the health server", health, Paths::HealthAndMetrics)),
        Some(metrics) => administration.extend([
            ("the health server", health, Paths::Health),
            ("the metrics server", metrics, Paths::Metrics),
        ]),
    }
    let listeners = Listeners { xds, administration };
    Ok((listeners, bound))
}

async fn listener(
    address: SocketAddr,
    what: &'static str,
    flag: &'static str,
) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind {
        what,
        address,
        flag,
        source,
    })
}

/// A listener that was bound has an address; should the system not tell, it is the one asked for.
fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// Runs the engine on a thread of its own: a large batch keeps it busy for longer than a task may
/// be.
fn engine(
    parts: Parts,
    (batches, queries): (mpsc::Receiver<Batch>, mpsc::Receiver<Query>),
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(StartError::Thread)?;
    let (ended, end) = oneshot::channel();
    let stop = stop.clone();
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            let outcome = runtime.block_on(Engine::new(parts).run(batches, queries, stop));
            // Nobody waits any more if the controller was dropped.
            let _unheard = ended.send(outcome);
        })
        .map_err(StartError::Thread)?;
    tasks.spawn(async move {
        let outcome = match end.await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("it panicked".to_owned()),
        };
        ("the engine", outcome)
    });
    Ok(())
}

/// Serves Envoys as soon as there is all to serve: an Envoy that is told of a part of the
/// configuration would drop the rest.
async fn serve_xds(
    ads: Ads,
    (listener, security): (TcpListener, Security),
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> Result<(), String> {
    let mut synced = readiness.synced.clone();
    let waited = stop
        .run_until_cancelled(synced.wait_for(|synced| *synced))
        .await
        .map(|outcome| outcome.is_ok());
    match waited {
        None => return Ok(()),
        Some(false) => return Err("the engine went away".to_owned()),
        Some(true) => {}
    }
    readiness.serving.send_replace(true);
    let outcome = ads.serve(listener, security, stop).await;
    readiness.serving.send_replace(false);
    outcome.map_err(|error| error.to_string())
}

fn security(security: &XdsSecurity) -> Result<Security, StartError> {
    Ok(match security {
        XdsSecurity::Plaintext => Security::Plaintext,
        XdsSecurity::Mutual(files) => Security::MutualTls(tls::provider(files)?),
    })
}

/// `contour serve` with a runtime of its own.
pub fn block_on(config: Config) -> Exit {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(config));
            // What has not ended by now is not waited for.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            Exit::Failed
        }
    }
}

/// `contour serve`: runs until a signal or a failure ends it.
pub async fn run(config: Config) -> Exit {
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot catch signals");
            return Exit::Failed;
        }
    };
    let insecure = config.security == XdsSecurity::Plaintext;
    let mut controller = match Controller::start(config, Hooks::default()).await {
        Ok(controller) => controller,
        Err(error) => {
            tracing::error!("{error}");
            return error.exit();
        }
    };
    // Nobody listens here, so nothing needs to be kept for anybody.
    drop(controller.events());
    let bound = controller.bound();
    tracing::info!(xds = %bound.xds, health = %bound.health, metrics = %bound.metrics, debug = %bound.debug, "listening");
    if insecure {
        tracing::warn!(
            "Envoys are served without TLS: whoever can connect reads every private key"
        );
    }
    let ended = tokio::select! {
        signal = signals.next() => Ok(signal),
        failure = controller.failed() => Err(failure),
    };
    let exit = match ended {
        Ok(signal) => {
            tracing::info!(signal, "stopping");
            Exit::Done
        }
        Err(failure) => {
            tracing::error!("{failure}");
            Exit::Failed
        }
    };
    tokio::select! {
        () = controller.shutdown() => exit,
        signal = signals.next() => {
            tracing::warn!(signal, "stopping at once");
            Exit::Interrupted
        }
    }
}
