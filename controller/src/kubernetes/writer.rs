//! Writes what the [`Board`] hands out, while this replica leads.

use std::sync::Arc;
use std::time::Duration;

use contour_cluster::decode::Seen;
use contour_cluster::scope;
use contour_core::name::ObjectRef;
use http::Request;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::{Board, Done, Write};
use super::pace::Pace;
use super::{Fault, Leading, MANAGER, clock, leads, send};
use crate::metrics::{Metrics, OfWrite};

/// Writes that may be under way at a time.
const AT_ONCE: usize = 16;

/// The shortest and the longest pause after a failed write.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));

/// See the module.
pub(crate) struct Writer {
    pub(crate) client: kube::Client,
    pub(crate) board: Arc<Board>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) leading: Leading,
    pub(crate) metrics: Arc<Metrics>,
}

impl Writer {
    /// Writes until `stop` is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let writer = Arc::new(self);
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let under_way = TaskTracker::new();
        while let Some(Some((write, permit))) =
            stop.run_until_cancelled(writer.next(&permits)).await
        {
            let writer = Arc::clone(&writer);
            under_way.spawn(async move {
                let object = write.object.clone();
                let done = writer.write(write).await;
                writer.board.done(&object, done);
                drop(permit);
            });
        }
        under_way.close();
        under_way.wait().await;
    }

    /// Waits until there is something to write, and it may be written.
    async fn next(
        &self,
        permits: &Arc<Semaphore>,
    ) -> Option<(Write, tokio::sync::OwnedSemaphorePermit)> {
        let mut leading = self.leading.clone();
        leading.wait_for(Option::is_some).await.ok()?;
        let permit = Arc::clone(permits).acquire_owned().await.ok()?;
        self.pace.wait().await;
        Some((self.board.take().await, permit))
    }

    async fn write(&self, write: Write) -> Done {
        if !leads(&self.leading) {
            // Should the Lease be renewed late, nobody takes that for a new leadership, so nothing
            // would be wanted again. Should it be lost, the board rests, and forgets this.
            return Done::Again(Box::new(write), Instant::now() + PAUSE.0);
        }
        let started = Instant::now();
        let answer = self.send(&write).await;
        self.metrics.status_duration.observe(started.elapsed().as_secs_f64());
        let (done, outcome) = judge(write, answer);
        let label = OfWrite { outcome };
        self.metrics.status_writes.get_or_create(&label).inc();
        done
    }

    async fn send(&self, write: &Write) -> Result<Seen, Fault> {
        let (now, _) = clock();
        let status = write.status.to_json(write.written.as_ref(), now);
        match self.apply(&write.object, &status).await {
            // The API server cannot apply anything to an object whose spec is not of the form that
            // its definition now has. Its owner needs the status more than any other.
            Err(Fault::Refused { code: 500, .. }) => self.merge(&write.object, status).await,
            answer => answer,
        }
    }

    /// Takes hold of what we say, and leaves to other writers what they say.
    async fn apply(&self, object: &ObjectRef, status: &Value) -> Result<Seen, Fault> {
        let ObjectRef { kind, name } = object;
        let body = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.as_str(),
            "metadata": { "name": name.name, "namespace": name.namespace },
            "status": status,
        });
        self.patch(object, ("application/apply-patch+yaml", "&force=true"), &body).await
    }

    /// Puts what we say in the place of what is there.
    async fn merge(&self, object: &ObjectRef, mut status: Value) -> Result<Seen, Fault> {
        if let Value::Object(fields) = &mut status {
            fields.entry("loadBalancer").or_insert(Value::Null);
        }
        let body = json!({ "status": status });
        self.patch(object, ("application/merge-patch+json", ""), &body).await
    }

    async fn patch(
        &self,
        object: &ObjectRef,
        (content, query): (&str, &str),
        body: &Value,
    ) -> Result<Seen, Fault> {
        let ObjectRef { kind, name } = object;
        let collection = scope::path(*kind, Some(&name.namespace));
        let path = format!("{collection}/{}/status?fieldManager={MANAGER}{query}", name.name);
        let request = Request::patch(path)
            .header(http::header::CONTENT_TYPE, content)
            .body(body.to_string().into_bytes())
            .map_err(|error| Fault::Unanswered(error.to_string()))?;
        let text = send(&self.client, request).await?;
        let raw = RawValue::from_string(text).map_err(|e| Fault::Unanswered(e.to_string()))?;
        Seen::read(&raw).ok_or_else(|| Fault::Unanswered("the answer cannot be read".to_owned()))
    }
}

fn judge(mut write: Write, answer: Result<Seen, Fault>) -> (Done, &'static str) {
    let fault = match answer {
        Ok(seen) => return (Done::Written(seen.revision, seen.written), "written"),
        Err(fault) => fault,
    };
    let object = &write.object;
    match &fault {
        Fault::Refused { code: 404, .. } => return (Done::Dropped, "gone"),
        Fault::Refused { code: 422 | 400, message } => {
            tracing::error!(%object, "the API server takes the status for invalid: {message}");
            return (Done::Dropped, "invalid");
        }
        Fault::Refused { code: 403, message } if write.attempts == 0 => {
            tracing::warn!(%object, "the status may not be written: {message}");
        }
        Fault::Refused { .. } | Fault::Unanswered(_) => {
            tracing::debug!(%object, attempts = write.attempts, "the status is not written yet: {fault}");
        }
    }
    let outcome = match fault {
        Fault::Refused { code: 409, .. } => "conflict",
        Fault::Refused { code: 403, .. } => "forbidden",
        Fault::Refused { .. } | Fault::Unanswered(_) => "failed",
    };
    let factor = 1_u32.checked_shl(write.attempts).unwrap_or(u32::MAX);
    let pause = PAUSE.0.saturating_mul(factor).min(PAUSE.1);
    write.attempts += 1;
    (Done::Again(Box::new(write), Instant::now() + pause), outcome)
}
