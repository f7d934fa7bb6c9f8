//! Health, readiness, metrics and `/debug`, over plain HTTP/1.1, GET alone.

mod debug;
mod decode;
mod feed;
mod observe;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use self::feed::Feed;
pub(crate) use self::observe::Observatory;
use crate::ads::Ads;
use crate::engine::query::Inquiry;
use crate::metrics::{
    CONTENT_TYPE as METRICS_TYPE, Metrics, OfBuild, OfKind, OfSeverity, OfState, OfType,
};
use crate::web::{self, Answer, Site, respond, text};

/// Which paths a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// `/healthz`, `/health`, `/readyz` and `/metrics`.
    HealthAndMetrics,
    /// `/healthz`, `/health` and `/readyz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// `/debug`.
    Debug,
}

/// What is missing until the controller is of use.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) synced: watch::Receiver<bool>,
    pub(crate) serving: watch::Sender<bool>,
    pub(crate) stopping: AtomicBool,
}

impl Readiness {
    /// What is missing; nothing if the controller is ready.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let synced = *self.synced.borrow();
        [
            (!synced, "the source is not in sync yet"),
            (!*self.serving.borrow(), "the xDS server is not listening"),
            (self.stopping.load(Ordering::Acquire), "the controller is stopping"),
        ]
        .into_iter()
        .filter_map(|(missing, what)| missing.then_some(what))
        .collect()
    }
}

/// What the listeners show.
pub(crate) struct Admin {
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inquiry: Inquiry,
    pub(crate) ads: Ads,
    pub(crate) observatory: Observatory,
    pub(crate) feed: Feed,
}

/// The part of the administration that a listener shows.
struct Served {
    admin: Arc<Admin>,
    paths: Paths,
}

impl Site for Served {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        self.admin.answer(request, self.paths).await
    }
}

impl Admin {
    /// Serves until `stop` is cancelled, and then until the requests under way are answered.
    pub(crate) async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        paths: Paths,
        stop: CancellationToken,
    ) {
        web::serve(Arc::new(Served { admin: self, paths }), listener, stop).await;
    }

    async fn answer(self: &Arc<Self>, request: &Request<Incoming>, paths: Paths) -> Answer {
        let health = matches!(paths, Paths::Health | Paths::HealthAndMetrics);
        let metrics = matches!(paths, Paths::Metrics | Paths::HealthAndMetrics);
        match request.uri().path() {
            "/healthz" | "/health" if health => text(StatusCode::OK, "ok\n"),
            "/readyz" if health => self.ready(),
            "/metrics" if metrics => self.metrics().await,
            _ if paths == Paths::Debug => debug::answer(self, request).await,
            _ => web::nothing_here(),
        }
    }

    fn ready(&self) -> Answer {
        let missing = self.readiness.missing();
        if missing.is_empty() {
            return text(StatusCode::OK, "ready\n");
        }
        let body = format!("not ready: {}\n", missing.join("; "));
        text(StatusCode::SERVICE_UNAVAILABLE, body)
    }

    async fn metrics(&self) -> Answer {
        let Some(counts) = self.inquiry.counts().await else {
            return ended();
        };
        let metrics = &self.metrics;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let build = OfBuild { version: env!("CARGO_PKG_VERSION") };
        metrics.build_info.get_or_create(&build).set(1);
        metrics.in_sync.set(i64::from(*self.readiness.synced.borrow()));
        metrics.revision.set(i64::try_from(counts.revision).unwrap_or(i64::MAX));
        for (kind, count) in counts.objects {
            let label = OfKind { kind: kind.as_str() };
            metrics.objects.get_or_create(&label).set(number(count));
        }
        metrics.object_states.clear();
        for ((kind, state), count) in counts.states {
            let label = OfState { kind: kind.as_str(), state: state.as_str() };
            metrics.object_states.get_or_create(&label).set(number(count));
        }
        for (severity, count) in counts.diagnostics {
            let label = OfSeverity { severity: severity.as_str() };
            metrics.diagnostics.get_or_create(&label).set(number(count));
        }
        for (kind, count) in counts.resources {
            let label = OfType { r#type: kind.short() };
            metrics.resources.get_or_create(&label).set(number(count));
        }
        metrics.rejected_resources.set(number(counts.rejected));
        metrics.source_problems.set(number(counts.source_problems));
        metrics.source_unread.set(number(counts.source_unread));
        metrics.removals_held.set(number(counts.removals_held));
        metrics.status_waiting.set(number(counts.status_waiting));
        metrics.envoys.set(number(self.ads.connected()));
        respond(StatusCode::OK, METRICS_TYPE, metrics.encode())
    }
}

fn ended() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, "the controller is stopping\n")
}
