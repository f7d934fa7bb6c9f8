//! What the controller writes to a Kubernetes API server: status, Events, and the Lease by which
//! replicas agree on who does.
//!
//! ```text
//! engine ── wanted, seen ─► Board ── take ─► writer ── PATCH …/status ─► API server
//!        ── Note ──────────────────────────► notes  ── POST events ────►
//!                          leading until ◄── election ◄── GET, PUT lease ──►
//!        ◄─ RouteView ─────────────────── deadman ◄── leases of shifts; PATCH routes ──►
//! ```
//!
//! Nothing here stands between a change and an Envoy.

pub(crate) mod board;
pub(crate) mod deadman;
pub(crate) mod election;
pub(crate) mod lease;
pub(crate) mod notes;
pub(crate) mod pace;
pub(crate) mod peers;
pub(crate) mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contour_core::api::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

/// Who wrote what, as managed fields and Events say it.
pub(crate) const MANAGER: &str = "contour";

/// How long a request that writes may take: less than lies between the moment at which a leader
/// gives up by itself and that at which another may take over, with Contour's defaults.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// Until when this replica leads, unless it learns otherwise; `None` if it does not lead.
pub(crate) type Leading = watch::Receiver<Option<Instant>>;

/// Whether this replica leads at this moment.
pub(crate) fn leads(leading: &Leading) -> bool {
    leading.borrow().is_some_and(|until| Instant::now() < until)
}

/// Waits until this replica leads; `None` if it never will.
pub(crate) async fn begun(leading: &mut Leading) -> Option<()> {
    while !leads(leading) {
        leading.changed().await.ok()?;
    }
    Some(())
}

/// Resolves when this replica leads no more.
pub(crate) async fn lost(mut leading: Leading) {
    loop {
        let until = *leading.borrow_and_update();
        let Some(until) = until.filter(|until| Instant::now() < *until) else { return };
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            changed = leading.changed() => if changed.is_err() { return },
        }
    }
}

/// Seconds since the Unix epoch by the clock of this machine, and microseconds beyond them.
pub(crate) fn clock() -> (Timestamp, u32) {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
    (Timestamp::from_unix(seconds), elapsed.subsec_micros())
}

/// Now, as `metav1.MicroTime` has it.
pub(crate) fn micro_time() -> String {
    let (seconds, micros) = clock();
    format!("{}.{micros:06}Z", seconds.to_string().trim_end_matches('Z'))
}

/// A number that no other call of this process returns.
pub(crate) fn serial() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// What went wrong with a request, as far as it matters here.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The API server answered with this status.
    Refused { code: u16, message: String },
    /// It did not answer.
    Unanswered(String),
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            Self::Refused { code: status.code, message: status.message.clone() }
        } else {
            Self::Unanswered(error.to_string())
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { code, message } => write!(f, "{code} {message}"),
            Self::Unanswered(why) => f.write_str(why),
        }
    }
}

/// Sends a request and reads the answer's body as text.
pub(crate) async fn send(
    client: &kube::Client,
    request: http::Request<Vec<u8>>,
) -> Result<String, Fault> {
    match tokio::time::timeout(PATIENCE, client.request_text(request)).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(_) => Err(Fault::Unanswered(format!("no answer in {PATIENCE:?}"))),
    }
}
