//! Reads and writes the Lease as a [`Candidate`] decides.

use std::time::Duration;

use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lease::{Candidate, Move, Record};
use super::{Fault, micro_time, send};

#[derive(Deserialize)]
struct Lease {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    holder_identity: Option<String>,
    #[serde(default)]
    lease_duration_seconds: Option<u32>,
    #[serde(default)]
    acquire_time: Option<String>,
    #[serde(default)]
    lease_transitions: Option<i64>,
}

impl From<Lease> for Record {
    fn from(lease: Lease) -> Self {
        let spec = lease.spec;
        Self {
            holder: spec.holder_identity.unwrap_or_default(),
            duration: Duration::from_secs(spec.lease_duration_seconds.unwrap_or(15).into()),
            acquired: spec.acquire_time.unwrap_or_default(),
            transitions: spec.lease_transitions.unwrap_or_default(),
            version: lease.metadata.resource_version,
        }
    }
}

/// See the module.
pub(crate) struct Elections {
    client: kube::Client,
    candidate: Candidate,
    started: Instant,
    leading: watch::Sender<Option<Instant>>,
    /// What was last complained of, so that it is said once.
    complaint: Option<String>,
}

impl Elections {
    pub(crate) fn new(
        client: kube::Client,
        candidate: Candidate,
        leading: watch::Sender<Option<Instant>>,
    ) -> Self {
        Self { client, candidate, started: Instant::now(), leading, complaint: None }
    }

    /// Takes part until `stop` is cancelled, and then lets the Lease go.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.turn()).await.is_some() {
            let pause = self.candidate.election().retry_period;
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        self.release().await;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn turn(&mut self) {
        let outcome = self.attempt().await;
        match outcome {
            Ok(()) => self.complaint = None,
            // Somebody else was quicker; the next turn shows who.
            Err(Fault::Refused { code: 409, .. }) => {}
            Err(fault) => {
                let complaint = fault.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    let lease = self.path();
                    tracing::warn!(
                        lease,
                        "cannot take part in the election of a leader: {complaint}"
                    );
                    self.complaint = Some(complaint);
                }
            }
        }
        self.publish();
    }

    async fn attempt(&mut self) -> Result<(), Fault> {
        let begun = self.now();
        let record = self.read().await?;
        match self.candidate.decide(begun, record.as_ref()) {
            Move::Wait => return Ok(()),
            Move::Create => {
                let lease = self.lease(None, &micro_time(), 0);
                let path = self.collection();
                self.write(Request::post(path), &lease).await?;
            }
            Move::Write { version, acquired, transitions } => {
                let acquired = acquired.unwrap_or_else(micro_time);
                let lease = self.lease(Some(&version), &acquired, transitions);
                let path = self.path();
                self.write(Request::put(path), &lease).await?;
            }
        }
        self.candidate.won(begun);
        Ok(())
    }

    /// Tells whether and until when we lead.
    fn publish(&mut self) {
        let until = self.candidate.leads_until().map(|until| self.started + until);
        let until = until.filter(|until| Instant::now() < *until);
        if until.is_none() {
            self.candidate.lost();
        }
        let did_lead = self.leading.send_replace(until).is_some();
        if did_lead != until.is_some() {
            let identity = self.candidate.identity();
            if until.is_some() {
                tracing::info!(identity, "this replica leads: it writes status");
            } else {
                tracing::warn!(identity, "this replica leads no more");
            }
        }
    }

    async fn release(&mut self) {
        let leads = self.leading.send_replace(None).is_some();
        if !leads {
            return;
        }
        let released = async {
            if let Some(record) = self.read().await?
                && record.holder == self.candidate.identity()
            {
                let mut lease =
                    self.lease(Some(&record.version), &record.acquired, record.transitions);
                if let Some(spec) = lease.get_mut("spec") {
                    *spec = json!({ "holderIdentity": "", "leaseDurationSeconds": 1,
                        "leaseTransitions": record.transitions });
                }
                self.write(Request::put(self.path()), &lease).await?;
            }
            Ok::<_, Fault>(())
        };
        match tokio::time::timeout(Duration::from_secs(2), released).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::info!("the Lease runs out by itself: {fault}"),
            Err(_) => tracing::info!("the Lease runs out by itself: no answer"),
        }
    }

    async fn read(&self) -> Result<Option<Record>, Fault> {
        let request = Request::get(self.path()).body(Vec::new());
        let request = request.map_err(|error| Fault::Unanswered(error.to_string()))?;
        let text = match send(&self.client, request).await {
            Ok(text) => text,
            Err(Fault::Refused { code: 404, .. }) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let lease: Lease =
            serde_json::from_str(&text).map_err(|e| Fault::Unanswered(e.to_string()))?;
        Ok(Some(lease.into()))
    }

    async fn write(&self, request: http::request::Builder, lease: &Value) -> Result<(), Fault> {
        let request = request
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(lease.to_string().into_bytes())
            .map_err(|error| Fault::Unanswered(error.to_string()))?;
        send(&self.client, request).await.map(drop)
    }

    fn collection(&self) -> String {
        let namespace = &self.candidate.election().namespace;
        format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.candidate.election().name)
    }

    fn lease(&self, version: Option<&str>, acquired: &str, transitions: i64) -> Value {
        let election = self.candidate.election();
        let mut metadata = json!({ "name": election.name, "namespace": election.namespace });
        if let (Value::Object(metadata), Some(version)) = (&mut metadata, version) {
            metadata.insert("resourceVersion".to_owned(), json!(version));
        }
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.candidate.identity(),
                "leaseDurationSeconds": election.lease_duration.as_secs().max(1),
                "acquireTime": acquired,
                "renewTime": micro_time(),
                "leaseTransitions": transitions,
            },
        })
    }
}
