//! The wizard: which question comes next, and whether an answer will do. Pure; `prompt` asks.

use contour_core::api::{IngressRouteService, Route, Tls};
use contour_core::diagnostic::{Code, Severity};
use contour_core::name::{Kind, ObjectName};

use super::certificate;
use super::check::{Snapshot, as_service, check};
use super::draft::{RouteWish, ingressroute, text};
use super::value;
use crate::question::{Choice, Question, pick};

/// What is answered for nothing.
const NONE: &str = "none";

/// What to do in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Write it to stdout.
    Print,
    /// Write it to a file.
    Save(String),
    /// Apply it to the cluster.
    Apply,
}

/// Which question is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Host,
    Prefix,
    Service,
    Second,
    Share,
    More,
    Secret,
    Name,
    What,
    File,
}

/// The questions and what has been answered.
#[derive(Clone, Debug)]
pub struct Wizard {
    snapshot: Snapshot,
    /// Whether there is a cluster to apply to.
    connected: bool,
    wish: RouteWish,
    /// The route that is being asked for.
    route: Route,
    step: Step,
    ending: Option<Ending>,
}

impl Wizard {
    /// A wizard that knows what the cluster has.
    pub fn new(namespace: &str, snapshot: Snapshot, connected: bool) -> Self {
        let wish = RouteWish {
            name: ObjectName::new(namespace, "new"),
            host: None,
            tls: None,
            routes: Vec::new(),
            tcp: None,
            class: None,
        };
        let (route, step) = (Route::default(), Step::Host);
        Self { snapshot, connected, wish, route, step, ending: None }
    }

    /// What the answers come to.
    pub fn wish(&self) -> &RouteWish {
        &self.wish
    }

    /// What to do with it, once everything is answered.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether only the last question is open, so that the outcome can be shown.
    pub fn is_written(&self) -> bool {
        self.step == Step::What
    }

    /// The next question.
    pub fn question(&self) -> Question {
        let ask = |text: &str, choices, default| Question::new(text, choices, default);
        match self.step {
            Step::Host => ask("Host, such as shop.example.com", Vec::new(), None),
            Step::Prefix => ask("Path prefix", Vec::new(), Some("/")),
            Step::Service => {
                let text = format!("Service and port that answer {}", self.route.prefix);
                ask(&text, self.services(), None)
            }
            Step::Second => ask(
                "A second service that gets a share of the requests",
                self.services(),
                Some(NONE),
            ),
            Step::Share => ask("Its share in percent", Vec::new(), Some("10")),
            Step::More => ask("Another path prefix", Vec::new(), Some(NONE)),
            Step::Secret => ask("TLS Secret with the certificate", self.secrets(), Some(NONE)),
            Step::Name => ask("Name of the IngressRoute", Vec::new(), Some(&self.suggested_name())),
            Step::What => {
                let mut choices = vec![
                    Choice::new("print", "write it to stdout"),
                    Choice::new("save", "write it to a file"),
                ];
                if self.connected {
                    choices.push(Choice::new("apply", "apply it to the cluster"));
                }
                ask("What now", choices, Some("print"))
            }
            Step::File => {
                let file = format!("{}.yaml", self.wish.name.name);
                ask("File", Vec::new(), Some(&file))
            }
        }
    }

    /// Takes an answer. What should be known of it, though it will do, is returned.
    ///
    /// # Errors
    /// Says why it will not do; the same question is asked again.
    pub fn answer(&mut self, answer: &str) -> Result<Vec<String>, String> {
        let question = self.question();
        let answer = question.meant(answer)?;
        let mut next = self.clone();
        next.take(&answer, &question.choices)?;
        let remarks = next.judge()?;
        *self = next;
        Ok(remarks)
    }

    fn take(&mut self, answer: &str, choices: &[Choice]) -> Result<(), String> {
        let flaw = |flaw: value::Flaw| flaw.to_string();
        self.step = match self.step {
            Step::Host => {
                self.wish.host = Some(value::host(answer).map_err(flaw)?);
                Step::Prefix
            }
            Step::More if answer == NONE => Step::Secret,
            Step::Prefix | Step::More => {
                let prefix = value::prefix(answer).map_err(flaw)?;
                if self.wish.routes.iter().any(|route| route.prefix == prefix) {
                    return Err(format!("{prefix} has its services already"));
                }
                self.route = Route { prefix, ..Route::default() };
                Step::Service
            }
            Step::Service => {
                let service = service(answer, choices)?;
                self.route.services = vec![service];
                self.wish.routes.push(self.route.clone());
                Step::Second
            }
            Step::Second if answer == NONE => Step::More,
            Step::Second => {
                let service = service(answer, choices)?;
                let there = self.route.services.iter();
                if there.into_iter().any(|s| (&s.name, s.port) == (&service.name, service.port)) {
                    return Err(format!("{answer} is the first service already"));
                }
                self.route.services.push(service);
                self.replace_route();
                Step::Share
            }
            Step::Share => {
                self.set_shares(answer)?;
                Step::More
            }
            Step::Secret if answer == NONE => Step::Name,
            Step::Secret => {
                let picked = pick(answer, choices)?;
                let secret = picked.map_or(answer, |choice| choice.value.as_str());
                let secret = value::secret(secret).map_err(flaw)?;
                self.wish.tls = Some(Tls { secret_name: Some(secret), ..Tls::default() });
                Step::Name
            }
            Step::Name => {
                self.wish.name.name = value::name(answer).map_err(flaw)?.into();
                Step::What
            }
            Step::What => {
                let picked = pick(answer, choices)?.map(|choice| choice.value.as_str());
                self.ending = match picked {
                    Some("apply") => Some(Ending::Apply),
                    Some("print") => Some(Ending::Print),
                    Some(_) => None,
                    None => return Err(format!("{answer:?} is none of these")),
                };
                if self.ending.is_some() { Step::What } else { Step::File }
            }
            Step::File => {
                self.ending = Some(Ending::Save(answer.to_owned()));
                Step::File
            }
        };
        Ok(())
    }

    fn set_shares(&mut self, answer: &str) -> Result<(), String> {
        let number = answer.trim_end_matches([' ', '%']).parse::<i64>().ok();
        let share = number.filter(|share| (0..=100).contains(share));
        let share = share.ok_or_else(|| format!("{answer:?} is no number from 0 to 100"))?;
        for (service, weight) in self.route.services.iter_mut().zip([100 - share, share]) {
            service.weight = Some(weight);
        }
        self.replace_route();
        Ok(())
    }

    fn replace_route(&mut self) {
        if let Some(last) = self.wish.routes.last_mut() {
            last.clone_from(&self.route);
        }
    }

    /// The controller's own rules for what has been answered so far.
    fn judge(&self) -> Result<Vec<String>, String> {
        let text = text(&[ingressroute(&self.wish)]);
        let before = self.snapshot.get(&self.wish.name.of(Kind::IngressRoute)).is_some();
        let mut findings = check(&self.snapshot, "", &text);
        // What is still to be asked for is no fault yet.
        findings.retain(|finding| finding.code != Code::NothingDefined);
        let told: Vec<String> = findings
            .iter()
            .map(|finding| format!("{}: {} {}", finding.code, finding.message, finding.remedy()))
            .collect();
        let is_error = |f: &&contour_core::diagnostic::Diagnostic| f.severity() == Severity::Error;
        if findings.iter().any(|finding| is_error(&finding)) {
            return Err(told.join("\n"));
        }
        let mut remarks = told;
        if before && self.step == Step::What && self.ending.is_none() {
            remarks.push(format!("IngressRoute {} is there already", self.wish.name));
        }
        Ok(remarks)
    }

    /// The ports of the Services that can be routed to.
    fn services(&self) -> Vec<Choice> {
        let services = self.snapshot.of(Kind::Service, &self.wish.name.namespace);
        let ports = services.filter_map(as_service);
        let mut choices: Vec<Choice> = ports
            .flat_map(|service| {
                let tcp = |port: &&contour_core::api::ServicePort| {
                    port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP")
                };
                service.spec.ports.iter().filter(tcp).map(|port| {
                    Choice::new(&format!("{}:{}", service.metadata.name, port.port), &port.name)
                })
            })
            .collect();
        choices.sort();
        choices
    }

    /// The Secrets with a certificate, those for the host first.
    fn secrets(&self) -> Vec<Choice> {
        let Some(host) = &self.wish.host else { return Vec::new() };
        let mut found: Vec<_> =
            certificate::all(&self.snapshot, &self.wish.name.namespace).collect();
        found.sort_by_key(|(name, certificate)| (!certificate.covers(host), (*name).to_owned()));
        found
            .iter()
            .map(|(name, certificate)| {
                let about = certificate::describe(certificate, host, self.snapshot.now);
                Choice::new(name, &about)
            })
            .collect()
    }

    fn suggested_name(&self) -> String {
        let host = self.wish.host.as_ref().map_or("", |host| host.as_str());
        host.split('.').next().unwrap_or_default().to_owned()
    }
}

/// A service that was chosen, or is written as `service:port`.
fn service(answer: &str, choices: &[Choice]) -> Result<IngressRouteService, String> {
    let picked = pick(answer, choices)?;
    let text = picked.map_or(answer, |choice| choice.value.as_str());
    value::service(text).map_err(|flaw| flaw.to_string())
}

#[cfg(test)]
mod tests;
