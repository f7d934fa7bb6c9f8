//! Kubernetes Events: what an owner must know, where `kubectl describe` shows it.

use std::sync::Arc;

use contour_core::diagnostic::{Diagnostic, Severity};
use contour_core::name::ObjectRef;
use http::Request;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::{Leading, MANAGER, clock, leads, micro_time, send, serial};
use crate::metrics::{Metrics, OfWrite};

/// Characters of a note that the API server takes at most.
const NOTE: usize = 1024;

/// Something to tell an owner.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) object: ObjectRef,
    /// The object's UID, without which `kubectl describe` does not find the Event.
    pub(crate) uid: Option<u128>,
    pub(crate) is_warning: bool,
    pub(crate) reason: &'static str,
    /// What was being done, as a word.
    pub(crate) action: &'static str,
    pub(crate) text: String,
}

impl Note {
    /// The note on a finding; none on what is only good to know.
    pub(crate) fn of(diagnostic: &Diagnostic, uid: Option<u128>, is_mended: bool) -> Option<Self> {
        if diagnostic.severity() == Severity::Info {
            return None;
        }
        let field = diagnostic.field.as_str();
        let colon = if field.is_empty() { "" } else { ": " };
        let said = format!("{field}{colon}{} ({})", diagnostic.message, diagnostic.code);
        Some(Self {
            object: diagnostic.object.clone()?,
            uid,
            is_warning: !is_mended,
            reason: if is_mended { "Mended" } else { diagnostic.code.reason() },
            action: "Translate",
            text: if is_mended {
                format!("no longer stands: {said}")
            } else {
                format!("{said}. {}", diagnostic.remedy())
            },
        })
    }

    fn to_json(&self, identity: &str) -> Value {
        let (now, _) = clock();
        let name = format!("{}.{:x}{:04x}", self.object.name.name, now.unix(), serial() & 0xffff);
        let mut regarding = json!({
            "apiVersion": self.object.kind.api_version(),
            "kind": self.object.kind.as_str(),
            "namespace": self.object.name.namespace,
            "name": self.object.name.name,
        });
        if let (Value::Object(fields), Some(uid)) = (&mut regarding, self.uid) {
            fields.insert("uid".to_owned(), json!(hyphenated(uid)));
        }
        let note: String = self.text.chars().take(NOTE).collect();
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": name, "namespace": self.object.name.namespace },
            "eventTime": micro_time(),
            "reportingController": MANAGER,
            "reportingInstance": identity,
            "action": self.action,
            "reason": self.reason,
            "regarding": regarding,
            "note": note,
            "type": if self.is_warning { "Warning" } else { "Normal" },
        })
    }
}

/// As RFC 9562 has it.
pub(crate) fn hyphenated(uid: u128) -> String {
    let digits = format!("{uid:032x}");
    let mut out = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

/// Posts notes while this replica leads. What cannot be posted is dropped: the status says it too.
pub(crate) struct Notes {
    pub(crate) client: kube::Client,
    pub(crate) identity: String,
    pub(crate) pace: Arc<Pace>,
    pub(crate) leading: Leading,
    pub(crate) metrics: Arc<Metrics>,
}

impl Notes {
    /// Posts until `stop` is cancelled.
    pub(crate) async fn run(self, mut notes: mpsc::Receiver<Note>, stop: CancellationToken) {
        while let Some(Some(note)) = stop.run_until_cancelled(notes.recv()).await {
            if !leads(&self.leading) {
                continue;
            }
            if stop.run_until_cancelled(self.pace.wait()).await.is_none() {
                return;
            }
            let outcome = match self.post(&note).await {
                Ok(()) => "written",
                Err(why) => {
                    tracing::debug!(object = %note.object, "an Event is not written: {why}");
                    "failed"
                }
            };
            self.metrics.events.get_or_create(&OfWrite { outcome }).inc();
        }
    }

    async fn post(&self, note: &Note) -> Result<(), String> {
        let namespace = &note.object.name.namespace;
        let request =
            Request::post(format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"))
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(note.to_json(&self.identity).to_string().into_bytes())
                .map_err(|error| error.to_string())?;
        send(&self.client, request).await.map(drop).map_err(|fault| fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use contour_core::diagnostic::Code;
    use contour_core::name::{FieldPath, Kind};

    use super::*;

    #[test]
    fn a_finding_becomes_a_note_with_its_remedy() {
        let object = ObjectRef::new(Kind::IngressRoute, "demo", "shop");
        let field = FieldPath::of(".spec.routes[0].match");
        let finding = Diagnostic::new(Code::MatchInvalid, &object, field, "no path");
        let uid = Some(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let event = Note::of(&finding, uid, false).unwrap().to_json("one");
        assert_eq!(event["regarding"]["uid"], "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("MatchInvalid")));
        let note = event["note"].as_str().unwrap();
        assert!(
            note.starts_with(".spec.routes[0].match: no path (CTR201). Write a path"),
            "{note}"
        );
        let mended = Note::of(&finding, uid, true).unwrap().to_json("one");
        assert_eq!((&mended["type"], &mended["reason"]), (&json!("Normal"), &json!("Mended")));
    }

    #[test]
    fn what_is_only_good_to_know_is_no_event() {
        let object = ObjectRef::new(Kind::Service, "demo", "shop");
        let finding = Diagnostic::new(Code::NoEndpoints, &object, FieldPath::root(), "none");
        assert!(Note::of(&finding, None, false).is_none());
    }
}
