//! Whether enough was told for something to be shown: rates need two looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use contour_core::top::Input;

/// See the module.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// How far apart the first and the last look have to be, in milliseconds.
    span: u64,
    sources: BTreeMap<Arc<str>, Heard>,
    /// Whether it is known who there is.
    named: bool,
    kubernetes: bool,
}

/// What there is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be shown.
    Ready,
    /// More is to come.
    Wait,
    /// Nobody tells anything, and why.
    Silent(String),
}

#[derive(Clone, Debug)]
enum Heard {
    Nothing,
    /// Looks, in milliseconds by its clock.
    Looks {
        first: u64,
        last: u64,
        lost: bool,
    },
    Lost(Arc<str>),
}

impl Readiness {
    /// Ready once everybody has told of two looks that are at least so many milliseconds apart.
    pub fn new(span: u64) -> Self {
        Self { span, sources: BTreeMap::new(), named: false, kubernetes: false }
    }

    /// Takes note of what is told.
    pub fn take(&mut self, input: &Input) {
        match input {
            Input::Sources(names) => {
                self.named = true;
                self.sources.retain(|name, _| names.contains(name));
                for name in names {
                    self.sources.entry(Arc::clone(name)).or_insert(Heard::Nothing);
                }
            }
            Input::Increment(name, increment) => {
                let at = increment.unix_millis;
                let first = match self.sources.get(name) {
                    Some(Heard::Looks { first, .. }) => *first,
                    Some(Heard::Nothing | Heard::Lost(_)) | None => at,
                };
                self.sources
                    .insert(Arc::clone(name), Heard::Looks { first, last: at, lost: false });
            }
            Input::Lost(name, why) => match self.sources.get_mut(name) {
                Some(Heard::Looks { lost, .. }) => *lost = true,
                Some(Heard::Nothing | Heard::Lost(_)) | None => {
                    self.sources.insert(Arc::clone(name), Heard::Lost(Arc::clone(why)));
                }
            },
            Input::Kubernetes(_) => self.kubernetes = true,
            Input::Shifts(_) | Input::Events(_) | Input::Pods(_) | Input::Limits(_) => {}
        }
    }

    /// Whether something was told that can be shown, even if there is more to come.
    pub fn has_something(&self) -> bool {
        self.kubernetes || self.sources.values().any(|heard| matches!(heard, Heard::Looks { .. }))
    }

    /// What there is.
    pub fn verdict(&self) -> Verdict {
        let looked = |heard: &Heard| match heard {
            Heard::Nothing => false,
            Heard::Looks { first, last, lost } => {
                *lost || (last > first && last.saturating_sub(*first) >= self.span)
            }
            Heard::Lost(_) => true,
        };
        if !self.named || !self.sources.values().all(looked) {
            return Verdict::Wait;
        }
        if self.has_something() {
            return Verdict::Ready;
        }
        let whys = self.sources.values().filter_map(|heard| match heard {
            Heard::Lost(why) => Some(why.to_string()),
            Heard::Nothing | Heard::Looks { .. } => None,
        });
        Verdict::Silent(whys.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use contour_core::observe::feed::{Cursor, Gone, Increment, Rows, SCHEMA};

    use super::*;

    fn look(name: &str, unix_millis: u64) -> Input {
        let increment = Increment {
            schema: SCHEMA,
            at: Cursor { collection: 1, tick: unix_millis },
            whole: false,
            unix_millis,
            controller: "1".into(),
            interval_millis: 1_000,
            endpoints_fresh: true,
            changed: Rows::default(),
            gone: Gone::default(),
        };
        Input::Increment(name.into(), Box::new(increment))
    }

    fn lost(name: &str) -> Input {
        Input::Lost(name.into(), "connection refused".into())
    }

    fn after(span: u64, inputs: &[Input]) -> Verdict {
        let mut readiness = Readiness::new(span);
        for input in inputs {
            readiness.take(input);
        }
        readiness.verdict()
    }

    #[test]
    fn two_looks_of_everybody_are_waited_for() {
        let both = Input::Sources(vec!["a".into(), "b".into()]);
        let mut inputs = vec![both, look("a", 1_000), look("a", 2_000), look("b", 1_500)];
        assert_eq!(after(0, &inputs), Verdict::Wait);
        inputs.push(look("b", 2_500));
        assert_eq!(after(0, &inputs), Verdict::Ready);
        assert_eq!(after(2_000, &inputs), Verdict::Wait, "they are to be further apart");
        inputs.extend([look("a", 3_000), look("b", 3_500)]);
        assert_eq!(after(2_000, &inputs), Verdict::Ready);
    }

    #[test]
    fn who_is_lost_is_not_waited_for() {
        let both = Input::Sources(vec!["a".into(), "b".into()]);
        let inputs = [both, look("a", 1_000), look("a", 2_000), lost("b")];
        assert_eq!(after(0, &inputs), Verdict::Ready);
        let gone = Input::Sources(vec!["a".into()]);
        let inputs = [look("a", 1_000), look("a", 2_000), look("b", 1), gone];
        assert_eq!(after(0, &inputs), Verdict::Ready);
    }

    #[test]
    fn without_controllers_there_is_what_kubernetes_says_or_nothing() {
        assert_eq!(after(0, &[]), Verdict::Wait);
        let one = Input::Sources(vec!["a".into()]);
        let silent = Verdict::Silent("connection refused".to_owned());
        assert_eq!(after(0, &[one.clone(), lost("a")]), silent);
        let kubernetes = Input::Kubernetes(Box::default());
        assert_eq!(after(0, &[one, lost("a"), kubernetes.clone()]), Verdict::Ready);
        let none = Input::Sources(Vec::new());
        assert_eq!(after(0, std::slice::from_ref(&none)), Verdict::Silent(String::new()));
        assert_eq!(after(0, &[none, kubernetes]), Verdict::Ready);
    }
}
