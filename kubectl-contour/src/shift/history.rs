//! The shifts that an object has seen, kept in the Lease of its shifts: the route itself has
//! nothing but the present one.

use contour_core::api::Timestamp;
use contour_core::shift::Note;
use contour_core::shift::machine::Outcome;
use contour_core::shift::state::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The annotation of the Lease.
pub const ANNOTATION: &str = "shift.contour.heptio.com/history";
/// How many are kept.
const KEPT: usize = 20;

/// A shift that has ended, or a part of one that one client drove.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Which shift.
    pub id: Note,
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// Its steps.
    pub steps: String,
    /// Who drove it.
    pub operator: Note,
    /// Why.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub reason: Note,
    /// When it ended, in seconds since the Unix epoch.
    pub ended_unix: i64,
    /// Which share the new service has.
    pub share: String,
    /// How it ended.
    pub outcome: Note,
    /// The exit code.
    pub exit_code: u8,
}

fn is_empty(note: &Note) -> bool {
    note.as_str().is_empty()
}

impl Entry {
    /// What is to be remembered of a client's part.
    pub fn of(state: &State, outcome: &Outcome, now: Timestamp) -> Self {
        let ends = state.ends().map(|(from, to)| (from.to_string(), to.to_string()));
        let (from, to) = ends.unwrap_or_default();
        Self {
            id: state.charter.id.clone(),
            from,
            to,
            steps: super::audience::steps(state),
            operator: state.progress.holder.clone(),
            reason: state.charter.reason.clone(),
            ended_unix: now.unix(),
            share: super::show::share(state),
            outcome: Note::new(&outcome.to_string()),
            exit_code: outcome.code(),
        }
    }
}

/// Reads the history that a Lease has; the oldest first. What cannot be read is none.
pub fn read(lease: &Value) -> Vec<Entry> {
    let text = lease.pointer("/metadata/annotations").and_then(|a| a.get(ANNOTATION));
    text.and_then(Value::as_str).and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default()
}

/// The history with one more, as the annotation has it.
pub fn with(mut entries: Vec<Entry>, entry: Entry) -> Option<String> {
    entries.push(entry);
    let surplus = entries.len().saturating_sub(KEPT);
    entries.drain(..surplus);
    serde_json::to_string(&entries).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(number: i64) -> Entry {
        Entry {
            id: Note::new(&number.to_string()),
            from: "blue:80".to_owned(),
            to: "green:80".to_owned(),
            steps: "100%".to_owned(),
            operator: Note::new("ann"),
            reason: Note::default(),
            ended_unix: number,
            share: "100%".to_owned(),
            outcome: Note::new("done"),
            exit_code: 0,
        }
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut text = String::new();
        for number in 0..30 {
            let lease = json!({"metadata": {"annotations": {(ANNOTATION): text}}});
            text = with(read(&lease), entry(number)).unwrap();
        }
        let lease = json!({"metadata": {"annotations": {(ANNOTATION): text}}});
        let numbers: Vec<_> = read(&lease).iter().map(|e| e.ended_unix).collect();
        assert_eq!(numbers, (10..30).collect::<Vec<_>>());
        assert_eq!(read(&json!({})), []);
        assert_eq!(read(&json!({"metadata": {"annotations": {(ANNOTATION): "x"}}})), []);
    }
}
