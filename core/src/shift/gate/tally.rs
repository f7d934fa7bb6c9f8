//! From the verdicts of windows to a decision.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Judgement, Verdict};

/// Which failures count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Counting {
    /// Those without a pass between them.
    Consecutive,
    /// All of a step.
    Total,
}

/// What to do about a bake that ends without enough having been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NoData {
    /// Wait for an operator.
    Pause,
    /// Look on for so long, then wait for an operator.
    Extend(#[serde(with = "crate::shift::seconds")] Duration),
    /// Go on.
    Pass,
    /// As if a gate had failed.
    Fail,
}

/// How verdicts are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// Below so many requests a window says nothing.
    pub min_requests: u32,
    /// So many failures fail the step; 0 counts as 1.
    pub failures: u32,
    /// Which count together.
    pub counting: Counting,
    /// So many passes in a row are needed at the end of a bake.
    pub successes: u32,
    /// So many errors in a row are borne; one more pauses.
    pub errors: u32,
    /// What to do where too little is seen.
    pub on_no_data: NoData,
    /// So many endpoints may be ejected; unset: any number but all.
    pub max_ejected: Option<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            min_requests: 100,
            failures: 3,
            counting: Counting::Consecutive,
            successes: 1,
            errors: 4,
            on_no_data: NoData::Extend(Duration::from_mins(5)),
            max_ejected: None,
        }
    }
}

/// The verdicts of a step until now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    failures: u32,
    passes: u32,
    errors: u32,
    last: Option<Verdict>,
    words: String,
}

/// What verdicts come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Look on.
    Wait,
    /// As far as gates go, the step is good.
    Go,
    /// The step has failed, for this reason.
    Fail(String),
    /// An operator has to decide, for this reason.
    Pause(String),
}

impl Tally {
    /// Counts a window.
    pub fn add(&mut self, judgement: &Judgement, rules: &Rules) {
        self.words = judgement.words();
        self.last = Some(judgement.verdict());
        match judgement.verdict() {
            Verdict::Pass => {
                self.passes = self.passes.saturating_add(1);
                self.errors = 0;
                if rules.counting == Counting::Consecutive {
                    self.failures = 0;
                }
            }
            Verdict::Fail => {
                self.failures = self.failures.saturating_add(1);
                self.errors = 0;
                self.passes = 0;
            }
            Verdict::Error => {
                self.errors = self.errors.saturating_add(1);
                self.passes = 0;
            }
            Verdict::Inconclusive => {
                self.errors = 0;
                self.passes = 0;
            }
        }
        if judgement.at_once {
            self.failures = u32::MAX;
        }
    }

    /// What to do, `over` being how long ago the bake was over, if it is.
    pub fn decide(&self, rules: &Rules, gated: bool, over: Option<Duration>) -> Decision {
        if self.failures >= rules.failures.max(1) {
            return Decision::Fail(self.words.clone());
        }
        if self.errors > rules.errors {
            return Decision::Pause(format!("{} times in a row: {}", self.errors, self.words));
        }
        let Some(over) = over else { return Decision::Wait };
        if !gated || self.passes >= rules.successes.max(1) {
            return Decision::Go;
        }
        // The next windows say whether it goes on like this.
        if matches!(self.last, Some(Verdict::Pass | Verdict::Fail)) {
            return Decision::Wait;
        }
        let unknown = || match self.words.as_str() {
            "" => "no window was seen".to_owned(),
            words => format!("nothing conclusive: {words}"),
        };
        match rules.on_no_data {
            NoData::Pass if self.failures == 0 => Decision::Go,
            NoData::Pause | NoData::Pass => Decision::Pause(unknown()),
            NoData::Fail => Decision::Fail(unknown()),
            NoData::Extend(longer) if over >= longer => Decision::Pause(unknown()),
            NoData::Extend(_) => Decision::Wait,
        }
    }
}
