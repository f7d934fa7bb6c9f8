//! The conditions: what is said of an object, in sentences.

use std::sync::Arc;

use super::{ObjectStatus, State};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::name::Kind;

/// Bytes of a message or description that are written at most; owners read sentences, not books.
const MESSAGE: usize = 4096;

/// How many Envoys are named in a message at most.
const NAMED: usize = 5;

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Truth {
    /// The word as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    /// The word as Kubernetes writes it, read.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::True, Self::False, Self::Unknown].into_iter().find(|t| t.as_str() == text)
    }
}

/// One aspect of what became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its place in [`super::CONDITIONS`].
    pub kind: usize,
    /// Whether it holds.
    pub status: Truth,
    /// Why, as a word.
    pub reason: &'static str,
    /// Why, as sentences.
    pub message: String,
}

impl Condition {
    /// Whether the message says nothing that would be worth a write.
    pub(super) fn is_settled(&self) -> bool {
        self.kind == PROGRAMMED && self.status == Truth::True
    }
}

const ACCEPTED: usize = 0;
const RESOLVED: usize = 1;
const PROGRAMMED: usize = 2;

/// An Envoy that refused something made of the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The node ids of the Envoys.
    pub nodes: Vec<Arc<str>>,
    /// What they say.
    pub message: Arc<str>,
}

/// What the connected Envoys have of what was made of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programmed {
    /// Nothing is made of it that an Envoy could have.
    Nothing,
    /// No Envoy is connected.
    NoEnvoy,
    /// So many of the Envoys have acknowledged all of it.
    Envoys {
        /// How many have.
        acknowledged: usize,
        /// How many are connected.
        connected: usize,
        /// Node ids of those that have neither acknowledged nor refused.
        waiting: Vec<Arc<str>>,
        /// Those that refused a part.
        refused: Vec<Refusal>,
    },
}

impl Programmed {
    /// Whether every connected Envoy has all of it.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::NoEnvoy => false,
            Self::Envoys { acknowledged, connected, refused, .. } => {
                acknowledged == connected && refused.is_empty()
            }
        }
    }

    /// Whether waiting longer will change nothing.
    pub fn is_decided(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::NoEnvoy => false,
            Self::Envoys { waiting, .. } => waiting.is_empty(),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        let (status, reason, message) = match self {
            Self::Nothing => {
                (Truth::False, "NothingToProgram", "nothing of it is served".to_owned())
            }
            Self::NoEnvoy => (Truth::Unknown, "NoEnvoy", "no Envoy is connected".to_owned()),
            Self::Envoys { acknowledged, connected, waiting, refused } => {
                let count = format!("{acknowledged} of {connected} Envoys have acknowledged it");
                if !refused.is_empty() {
                    let refused = refused.iter().map(|refusal| {
                        format!("{} rejected it: {}", named(&refusal.nodes), refusal.message)
                    });
                    let refused = refused.collect::<Vec<_>>().join("; ");
                    let kept = "what they had before stays in force";
                    (Truth::False, "Rejected", format!("{count}; {refused}; {kept}"))
                } else if waiting.is_empty() {
                    (Truth::True, "Programmed", count)
                } else {
                    let message = format!("{count}; waiting for {}", named(waiting));
                    (Truth::False, "Pending", message)
                }
            }
        };
        Condition { kind: PROGRAMMED, status, reason, message: shortened(message) }
    }
}

fn named(nodes: &[Arc<str>]) -> String {
    let mut names: Vec<_> = nodes.iter().take(NAMED).map(ToString::to_string).collect();
    if nodes.len() > NAMED {
        names.push(format!("{} more", nodes.len() - NAMED));
    }
    names.join(", ")
}

/// Whether a finding is about something else that the object refers to.
fn is_about_reference(code: Code) -> bool {
    matches!(
        code,
        Code::DelegateNotFound
            | Code::ServiceNotFound
            | Code::ServicePortNotFound
            | Code::ServiceProtocolUnsupported
            | Code::ExternalNameNotAllowed
            | Code::SecretNotFound
            | Code::SecretInvalid
            | Code::DelegationNotPermitted
            | Code::KeyMismatch
            | Code::CaSecretInvalid
    )
}

/// Whether an object of which this is said could not be decoded.
fn is_undecodable(code: Code) -> bool {
    matches!(
        code,
        Code::ManifestSyntax
            | Code::ManifestType
            | Code::DuplicateField
            | Code::MissingField
            | Code::ManifestTooLarge
    )
}

fn errors(diagnostics: &[Diagnostic], about_reference: bool) -> Vec<&Diagnostic> {
    let errors = diagnostics.iter().filter(|d| d.severity() == Severity::Error);
    errors.filter(|d| is_about_reference(d.code) == about_reference).collect()
}

pub(super) fn accepted(became: &ObjectStatus, kind: Kind) -> Condition {
    let faults = errors(&became.diagnostics, false);
    let (status, reason, message) = if became.state == State::Orphaned {
        let orphaned = became.diagnostics.iter().find(|d| d.code == Code::Orphaned);
        let message = orphaned.map_or_else(String::new, |d| d.message.clone());
        (Truth::False, Code::Orphaned.reason(), message)
    } else if let Some(first) = faults.first() {
        (Truth::False, first.code.reason(), sentences(&faults))
    } else {
        (Truth::True, "Accepted", format!("the {kind} is understood"))
    };
    Condition { kind: ACCEPTED, status, reason, message: shortened(message) }
}

pub(super) fn resolved(diagnostics: &[Diagnostic]) -> Condition {
    let faults = errors(diagnostics, true);
    let (status, reason, message) = match faults.first() {
        Some(first) => (Truth::False, first.code.reason(), sentences(&faults)),
        None if diagnostics.iter().any(|d| is_undecodable(d.code)) => {
            let message = "it cannot be decoded, so what it refers to is not known";
            (Truth::Unknown, "Undecodable", message.to_owned())
        }
        None => (Truth::True, "ResolvedRefs", "what it refers to exists".to_owned()),
    };
    Condition { kind: RESOLVED, status, reason, message: shortened(message) }
}

/// `description` as Contour had it: one sentence, that of the first fault.
pub(super) fn description(became: &ObjectStatus, kind: Kind) -> String {
    let told = |wanted: &dyn Fn(&&Diagnostic) -> bool| {
        became.diagnostics.iter().find(wanted).map(|d| d.message.clone())
    };
    let message = match became.state {
        State::Valid => format!("valid {kind}"),
        State::Orphaned => told(&|d| d.code == Code::Orphaned).unwrap_or_default(),
        State::Invalid => told(&|d| d.severity() == Severity::Error).unwrap_or_default(),
    };
    shortened(message)
}

/// The findings with their fields and codes.
fn sentences(diagnostics: &[&Diagnostic]) -> String {
    let each = diagnostics.iter().map(|d| {
        let field = d.field.as_str();
        let colon = if field.is_empty() { "" } else { ": " };
        format!("{field}{colon}{} ({})", d.message, d.code)
    });
    each.collect::<Vec<_>>().join("; ")
}

fn shortened(mut text: String) -> String {
    if text.len() > MESSAGE {
        let mut end = MESSAGE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
