//! Who leads, decided from what a Lease says and when it was seen to change: no I/O, no clock.
//!
//! As client-go does it: times written into the Lease are for people; only how long ago a change
//! was seen, by one's own clock, decides. So clocks that differ do no harm.

use std::time::Duration;

use crate::config::Election;

/// What a Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Who leads; empty if nobody does.
    pub(crate) holder: String,
    /// For how long, from when a change was seen.
    pub(crate) duration: Duration,
    /// Since when, as it is written.
    pub(crate) acquired: String,
    /// How often another one took over.
    pub(crate) transitions: i64,
    /// Changes with every write.
    pub(crate) version: String,
}

/// What to do about a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Nothing: another one leads.
    Wait,
    /// Make it, with oneself as the holder.
    Create,
    /// Write oneself into it, if it still has this version.
    Write {
        version: String,
        /// Since when one has it, if one has it already.
        acquired: Option<String>,
        transitions: i64,
    },
}

/// One of those who want to lead.
#[derive(Debug)]
pub(crate) struct Candidate {
    identity: String,
    election: Election,
    /// The version of the Lease, and when it was first seen.
    seen: Option<(String, Duration)>,
    /// When the request was begun by which one last became or stayed the leader.
    renewed: Option<Duration>,
}

impl Candidate {
    pub(crate) fn new(identity: String, election: Election) -> Self {
        Self { identity, election, seen: None, renewed: None }
    }

    /// Decides from the Lease as it was just read; `None` if there is none.
    pub(crate) fn decide(&mut self, now: Duration, record: Option<&Record>) -> Move {
        let Some(record) = record else {
            self.seen = None;
            return Move::Create;
        };
        let at = match &self.seen {
            Some((version, at)) if *version == record.version => *at,
            _ => {
                self.seen = Some((record.version.clone(), now));
                now
            }
        };
        let is_mine = record.holder == self.identity;
        let is_over = now.saturating_sub(at) >= record.duration;
        if !is_mine && !record.holder.is_empty() && !is_over {
            self.renewed = None;
            return Move::Wait;
        }
        Move::Write {
            version: record.version.clone(),
            acquired: is_mine.then(|| record.acquired.clone()),
            transitions: record.transitions + i64::from(!is_mine),
        }
    }

    /// The Lease names us, by a request that was begun at `begun`.
    pub(crate) fn won(&mut self, begun: Duration) {
        self.renewed = Some(begun);
    }

    /// Until when we lead without hearing more. Ends before anybody else may take over.
    pub(crate) fn leads_until(&self) -> Option<Duration> {
        self.renewed.map(|at| at + self.election.renew_deadline)
    }

    /// We lead no more, or never did.
    pub(crate) fn lost(&mut self) {
        self.renewed = None;
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn election(&self) -> &Election {
        &self.election
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn candidate(name: &str) -> Candidate {
        Candidate::new(name.to_owned(), Election::default())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn held_by(holder: &str, version: &str) -> Record {
        Record {
            holder: holder.to_owned(),
            duration: seconds(15),
            version: version.to_owned(),
            ..Record::default()
        }
    }

    #[test]
    fn nobody_takes_a_lease_that_is_renewed() {
        let mut one = candidate("one");
        for second in 0..100 {
            let record = held_by("other", &second.to_string());
            assert_eq!(one.decide(seconds(second), Some(&record)), Move::Wait);
        }
    }

    #[test]
    fn a_lease_that_does_not_change_is_taken_when_its_time_is_over() {
        let mut one = candidate("one");
        let record = held_by("other", "7");
        assert_eq!(one.decide(seconds(100), Some(&record)), Move::Wait);
        assert_eq!(one.decide(seconds(114), Some(&record)), Move::Wait);
        let taken = Move::Write { version: "7".to_owned(), acquired: None, transitions: 1 };
        assert_eq!(one.decide(seconds(115), Some(&record)), taken);
    }

    #[test]
    fn a_lease_that_was_released_or_is_missing_is_taken_at_once() {
        let mut one = candidate("one");
        assert_eq!(one.decide(seconds(0), None), Move::Create);
        assert!(matches!(one.decide(seconds(0), Some(&held_by("", "7"))), Move::Write { .. }));
    }

    #[test]
    fn a_leader_gives_up_before_another_may_take_over() {
        let mut one = candidate("one");
        one.won(seconds(3));
        assert_eq!(one.leads_until(), Some(seconds(13)));
        one.decide(seconds(5), Some(&held_by("other", "8")));
        assert_eq!(one.leads_until(), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// A candidate reads and, if it decides so, writes; answers may be lost on the way.
        Turn { who: usize, is_answer_lost: bool },
        /// Time goes on, on each clock at its own speed.
        Time { millis: u64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let turn = (0..3_usize, prop::bool::weighted(0.3))
            .prop_map(|(who, is_answer_lost)| Step::Turn { who, is_answer_lost });
        let time = (1..6000_u64).prop_map(|millis| Step::Time { millis });
        prop::collection::vec(prop_oneof![2 => turn, 3 => time], 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        /// Three candidates whose clocks differ by hours and run up to a tenth apart.
        #[test]
        fn two_never_lead_at_a_time(steps in steps()) {
            let mut candidates = ["a", "b", "c"].map(candidate);
            let rate = |who: usize| 100 + 5 * who as u64;
            let offset = |who: usize| Duration::from_hours(who as u64);
            let (mut now, mut lease, mut writes) = (0_u64, None::<Record>, 0_u64);
            let clock = |who: usize, now: u64| {
                offset(who) + Duration::from_millis(now * rate(who) / 100)
            };
            for step in steps {
                match step {
                    Step::Time { millis } => now += millis,
                    Step::Turn { who, is_answer_lost } => {
                        let at = clock(who, now);
                        let decided = candidates[who].decide(at, lease.as_ref());
                        if decided != Move::Wait {
                            writes += 1;
                            lease = Some(held_by(&candidates[who].identity, &writes.to_string()));
                            if !is_answer_lost {
                                candidates[who].won(at);
                            }
                        }
                    }
                }
                let leaders: BTreeMap<_, _> = (0..3)
                    .filter(|who| candidates[*who].leads_until().is_some_and(|t| clock(*who, now) < t))
                    .map(|who| (who, candidates[who].leads_until()))
                    .collect();
                prop_assert!(leaders.len() <= 1, "{leaders:?} at {now}");
            }
        }
    }
}
