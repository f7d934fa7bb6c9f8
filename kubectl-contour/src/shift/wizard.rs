//! The wizard: which question comes next, and whether an answer will do. Pure; `start` asks.

use std::collections::BTreeSet;

use clap::Parser;
use contour_core::api::IngressRoute;
use contour_core::shift::plan::{Plan, Schedule, Settings};
use contour_core::shift::state::{ANNOTATION, State};
use contour_core::shift::weights::{Place, Service, Weights};

use super::plan::PlanArgs;
use super::{args, plan, preflight, show};
use crate::failure::{Failure, Kind};
use crate::question::{Choice, Question, pick};

const NONE: &str = "none";
const ALL: &str = "all";

/// Which question is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Route,
    Place,
    From,
    To,
    Steps,
    Bake,
    Success,
    Latency,
    Done,
}

/// The questions and what has been answered.
#[derive(Clone, Debug)]
pub struct Wizard {
    routes: Vec<IngressRoute>,
    step: Step,
    route: usize,
    place: Option<String>,
    from: String,
    to: String,
    steps: String,
    bake: String,
    success: Option<String>,
    latency: Option<String>,
}

/// A line of flags alone, to read what was answered as if it had been typed.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    plan: PlanArgs,
}

impl Wizard {
    /// A wizard for these routes, of which `named` is asked about, if it is among them.
    ///
    /// # Errors
    /// If nothing in them could be shifted.
    pub fn new(routes: Vec<IngressRoute>, named: Option<&str>) -> Result<Self, Failure> {
        let mut routes: Vec<_> =
            routes.into_iter().filter(|r| !services(r, None).is_empty()).collect();
        routes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        if routes.is_empty() {
            return Err(Failure::new(
                Kind::Shift(7),
                "no route here has two services to shift between",
            )
            .with_hint(
                "kubectl contour create blue-green writes one; -n names another namespace",
            ));
        }
        let found = named.and_then(|name| routes.iter().position(|r| *r.metadata.name == *name));
        let mut wizard = Self {
            routes,
            step: Step::Route,
            route: found.unwrap_or_default(),
            place: None,
            from: String::new(),
            to: String::new(),
            steps: String::new(),
            bake: String::new(),
            success: None,
            latency: None,
        };
        if found.is_some() {
            wizard.step = wizard.after_route();
        }
        Ok(wizard)
    }

    /// Whether everything is answered.
    pub fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    fn chosen(&self) -> Option<&IngressRoute> {
        self.routes.get(self.route)
    }

    /// The name of the route that was chosen, with its match if only one is shifted.
    pub fn target(&self) -> String {
        let name = self.chosen().map_or("", |route| &*route.metadata.name);
        match &self.place {
            None => name.to_owned(),
            Some(place) => format!("{name}#{place}"),
        }
    }

    /// The flags that say the same.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec![
            "--from".to_owned(),
            self.from.clone(),
            "--to".to_owned(),
            self.to.clone(),
            "--steps".to_owned(),
            self.steps.clone(),
            "--bake".to_owned(),
            self.bake.clone(),
        ];
        for (flag, value) in [("--success-rate", &self.success), ("--p99", &self.latency)] {
            flags.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        flags
    }

    /// The plan that was answered.
    ///
    /// # Errors
    /// If the answers make none; each was checked when it was given.
    pub fn plan(&self) -> Result<PlanArgs, Failure> {
        let words = std::iter::once("shift".to_owned()).chain(self.flags());
        let line = Line::try_parse_from(words);
        line.map(|line| line.plan).map_err(|error| Failure::new(Kind::Usage, error.to_string()))
    }

    /// The next question.
    pub fn question(&self) -> Question {
        match self.step {
            Step::Route => {
                let choices = self.routes.iter().map(|r| Choice::new(&r.metadata.name, &about(r)));
                Question::new("Route to shift", choices.collect(), self.only_route())
            }
            Step::Place => {
                let mut choices = vec![Choice::new(ALL, "every route that has both services")];
                choices.extend(self.places().iter().map(|place| Choice::new(place, "")));
                Question::new("Which of its routes", choices, Some(ALL))
            }
            Step::From => {
                let most = self.choices().into_iter().next();
                let most = most.as_ref().map(|choice| choice.value.as_str());
                Question::new("Service that traffic leaves", self.choices(), most)
            }
            Step::To => {
                let mut others = self.choices();
                others.retain(|choice| choice.value != self.from);
                let only =
                    if others.len() == 1 { others.first().map(|c| c.value.clone()) } else { None };
                Question::new("Service that traffic goes to", others, only.as_deref())
            }
            Step::Steps => {
                let choices = vec![
                    Choice::new("canary", &self.canary(", ")),
                    Choice::new("blue-green", "100% at once"),
                ];
                Question::new("Steps, or shares such as 10,50,100", choices, Some("canary"))
            }
            Step::Bake => Question::new("How long to look at each step", Vec::new(), Some("1m")),
            Step::Success => Question::new(
                "Least success rate of the new service in percent",
                Vec::new(),
                Some("99"),
            ),
            Step::Latency | Step::Done => {
                Question::new("Most that its p99 may take, such as 500ms", Vec::new(), Some(NONE))
            }
        }
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// Says why it will not do; the same question is asked again.
    pub fn answer(&mut self, answer: &str) -> Result<(), String> {
        let question = self.question();
        let answer = question.meant(answer)?;
        let picked = pick(&answer, &question.choices);
        let chosen = || -> Result<String, String> {
            let found = picked.clone()?.map(|choice| choice.value.clone());
            found.ok_or_else(|| format!("{answer:?} is none of them"))
        };
        self.step = match self.step {
            Step::Route => {
                let name = chosen()?;
                let found = self.routes.iter().position(|r| *r.metadata.name == *name);
                self.route = found.unwrap_or_default();
                self.after_route()
            }
            Step::Place => {
                self.place = Some(chosen()?).filter(|place| place != ALL);
                Step::From
            }
            Step::From => {
                self.from = chosen()?;
                Step::To
            }
            Step::To => {
                self.to = chosen()?;
                Step::Steps
            }
            Step::Steps => {
                self.steps = match picked.ok().flatten().map(|c| c.value.as_str()) {
                    Some("canary") => self.canary(",").replace('%', ""),
                    Some("blue-green") => "100".to_owned(),
                    Some(_) | None => answer.replace(' ', ""),
                };
                let schedule = Schedule::parse_steps(&self.steps).map_err(|e| e.to_string())?;
                Plan::new(&Settings::of(schedule)).map_err(|error| error.to_string())?;
                Step::Bake
            }
            Step::Bake => {
                args::time(&answer)?;
                self.bake = answer;
                Step::Success
            }
            Step::Success => {
                self.success = optional(&answer, |text| args::percent(text).map(|_percent| ()))?;
                Step::Latency
            }
            Step::Latency | Step::Done => {
                self.latency = optional(&answer, |text| args::time(text).map(|_time| ()))?;
                Step::Done
            }
        };
        Ok(())
    }

    /// The steps of a canary, for a service that has a share already.
    fn canary(&self, separator: &str) -> String {
        let has = self.chosen().and_then(|route| {
            let from = preflight::service(route, &self.from, "--from").ok()?;
            let to = preflight::service(route, &self.to, "--to").ok()?;
            Some(preflight::share(route, &from, &to))
        });
        let steps = plan::default(has.unwrap_or_default()).map(|percent| percent.to_string());
        steps.collect::<Vec<_>>().join(separator)
    }

    fn after_route(&self) -> Step {
        if self.places().len() > 1 { Step::Place } else { Step::From }
    }

    fn only_route(&self) -> Option<&str> {
        match self.routes.as_slice() {
            [only] => Some(&only.metadata.name),
            _ => None,
        }
    }

    /// The matches of the routes with several services.
    fn places(&self) -> Vec<String> {
        let weights = self.chosen().into_iter().flat_map(|r| Weights::of_spec(&r.spec)).flatten();
        weights
            .filter(|weights| weights.services().len() > 1)
            .filter_map(|weights| match weights.place() {
                Place::Route(prefix) => Some(prefix.to_string()),
                Place::Tcp => None,
            })
            .collect()
    }

    /// The services of the route, those with most of the traffic first.
    fn choices(&self) -> Vec<Choice> {
        let Some(route) = self.chosen() else { return Vec::new() };
        let services = services(route, self.place.as_deref());
        services
            .into_iter()
            .map(|(service, share)| Choice::new(&service.to_string(), &format!("has {share}%")))
            .collect()
    }
}

fn optional(
    answer: &str,
    check: impl FnOnce(&str) -> Result<(), String>,
) -> Result<Option<String>, String> {
    if answer == NONE {
        return Ok(None);
    }
    check(answer)?;
    Ok(Some(answer.to_owned()))
}

/// The services of the places that have several, with the most that each has of one of them.
fn services(route: &IngressRoute, place: Option<&str>) -> Vec<(Service, u64)> {
    let weights: Vec<Weights> = Weights::of_spec(&route.spec)
        .into_iter()
        .flatten()
        .filter(|weights| weights.services().len() > 1)
        .filter(|weights| match (place, weights.place()) {
            (None, _) => true,
            (Some(wanted), Place::Route(prefix)) => **prefix == *wanted,
            (Some(_), Place::Tcp) => false,
        })
        .collect();
    let all: BTreeSet<&Service> =
        weights.iter().flat_map(Weights::services).map(|written| &written.0).collect();
    let share = |service: &Service| {
        let of = |weights: &Weights| {
            let weight = u64::from(weights.effective_of(service)?);
            (weight * 100).checked_div(weights.total())
        };
        weights.iter().filter_map(of).max().unwrap_or(0)
    };
    let mut services: Vec<_> = all.into_iter().map(|s| (s.clone(), share(s))).collect();
    services.sort_by_key(|(service, share)| (std::cmp::Reverse(*share), service.clone()));
    services
}

fn about(route: &IngressRoute) -> String {
    let host = route.spec.virtualhost.as_ref().map_or("", |host| &*host.fqdn);
    let shift = route.metadata.annotations.get(ANNOTATION).and_then(|text| State::read(text).ok());
    match shift.filter(|state| !state.progress.phase.is_over()) {
        None => host.to_owned(),
        Some(state) => {
            let (phase, share) = (state.progress.phase.name(), show::share(&state));
            format!("{host}, being shifted: {phase} at {share}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::json;

    use super::*;
    use contour_core::shift::sent::decode;

    fn route(name: &str, routes: &serde_json::Value) -> IngressRoute {
        let object = json!({
            "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
            "metadata": {"name": name, "namespace": "demo"},
            "spec": {"virtualhost": {"fqdn": format!("{name}.example")}, "routes": routes},
        });
        decode(&object).unwrap()
    }

    fn world() -> Vec<IngressRoute> {
        let pair = json!([{"name": "blue", "port": 80, "weight": 90}, {"name": "green", "port": 80, "weight": 10}]);
        vec![
            route("shop", &json!([{"match": "/", "services": pair}])),
            route(
                "pair",
                &json!([{"match": "/", "services": pair}, {"match": "/api", "services": pair}]),
            ),
            route("single", &json!([{"match": "/", "services": [{"name": "blue", "port": 80}]}])),
        ]
    }

    fn run(named: Option<&str>, answers: &[&str]) -> String {
        let mut wizard = Wizard::new(world(), named).unwrap();
        let mut out = String::new();
        for answer in answers {
            let question = wizard.question();
            let choices: Vec<_> =
                question.choices.iter().map(|c| format!("{} ({})", c.value, c.about)).collect();
            writeln!(out, "{} {choices:?} {:?}: {answer}", question.text, question.default)
                .unwrap();
            if let Err(why) = wizard.answer(answer) {
                writeln!(out, "  no: {why}").unwrap();
            }
        }
        let plan = wizard.plan().map(|plan| plan.steps.plan().unwrap().percents().len());
        writeln!(out, "{} {} {plan:?}", wizard.target(), wizard.flags().join(" ")).unwrap();
        assert!(wizard.is_done(), "{out}");
        out
    }

    #[test]
    fn answers_become_a_command_line() {
        insta::assert_snapshot!(run(
            None,
            &[
                "single",
                "pa",
                "/api",
                "",
                "",
                "20,10",
                "1;2",
                "10,50%,100",
                "2x",
                "30s",
                "120",
                "99.9",
                "500",
                "500ms"
            ],
        ));
        insta::assert_snapshot!(
            "named",
            run(Some("shop"), &["", "green", "blue-green", "", "none", ""])
        );
    }

    #[test]
    fn nothing_to_shift_is_said_at_once() {
        let single = world().into_iter().filter(|r| &*r.metadata.name == "single").collect();
        assert_eq!(Wizard::new(single, None).unwrap_err().kind, Kind::Shift(7));
    }
}
