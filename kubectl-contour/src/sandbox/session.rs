//! The sandbox while it runs: everything that can happen, one thing after the other.

use std::time::Duration;

use contour::event::ControllerEvent;
use contour::serve::Controller;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::demo::{Place, Services};
use super::directory::Directory;
use super::envoy::Process;
use super::event::{ChangeKind, Event, RunningEnvoy, RunningService, Started};
use super::load::{Load, Report};
use super::report::Reporter;
use super::signals::Signals;
use super::suggest::Scene;
use super::translate::translate;
use crate::failure::{Failure, Kind};
use crate::output::Closed;

/// How long is waited, once Envoy serves, for its having taken over all of the directory.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);

/// Everything that runs, and whom to tell.
#[derive(Debug)]
pub struct Session {
    /// What the controller tells.
    pub events: Receiver<ControllerEvent>,
    /// The directory as last seen.
    pub directory: Directory,
    /// The demo services.
    pub services: Services,
    /// Envoy.
    pub envoy: Process,
    /// The controller.
    pub controller: Controller,
    /// The load, if it is wanted.
    pub load: Option<Load>,
    /// Whom to tell.
    pub reporter: Reporter,
    /// The newest revision that was there before Envoy served.
    pub initial: u64,
    /// Where Envoy's socket and log are.
    pub temporary: tempfile::TempDir,
    /// By which other commands find the controller.
    pub note: super::note::Note,
}

/// Why the sandbox ends.
#[derive(Debug)]
pub enum End {
    /// As asked; the words say by whom.
    Asked(&'static str),
    /// Nobody reads what it tells.
    Unheard,
    /// Something died.
    Died(Failure),
}

impl Session {
    /// Waits until Envoy serves what stands in the directory, and tells what happens meanwhile.
    ///
    /// # Errors
    /// Envoy died or took too long; inside, nobody reads what is told.
    pub async fn settle(&mut self, limit: Duration) -> Result<Result<(), Closed>, Failure> {
        let mut newest = None;
        let mut held = None;
        let mut ready = false;
        let mut deadline = Instant::now() + limit;
        while !(ready && held.is_some() && held >= newest) {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = tokio::select! {
                biased;
                event = self.events.recv() => event,
                served = serves(&mut self.envoy, ready, left) => {
                    served?;
                    ready = true;
                    deadline = Instant::now() + ACKNOWLEDGED;
                    continue;
                }
                // An Envoy that refuses something of it never holds all: it serves the rest.
                () = tokio::time::sleep(left), if ready => break,
            };
            let Ok(event) = event else {
                break;
            };
            if let ControllerEvent::Applied { revision, .. } = &event {
                newest = Some(*revision);
            } else if let ControllerEvent::Acknowledged { revision, .. } = &event {
                held = Some(*revision);
            }
            if let Err(closed) = self.hear(event).await {
                return Ok(Err(closed));
            }
        }
        self.initial = newest.unwrap_or_default();
        Ok(Ok(()))
    }

    /// What runs, to be told.
    pub fn started(&self, ports: (u16, u16)) -> Started {
        let (http, https) = ports;
        let hosts = self.directory.hosts();
        let places: Vec<Place> = self.services.places().collect();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let debug = format!("http://{}/debug", self.controller.bound().debug);
        let scene = Scene {
            debug: &debug,
            directory: self.directory.path(),
            hosts: &hosts,
            places: &places,
            http,
            https,
            proxied: ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
                .into_iter()
                .any(set),
        };
        Started {
            http: format!("http://127.0.0.1:{http}"),
            https: format!("https://127.0.0.1:{https}"),
            directory: self.directory.path().to_owned(),
            envoy: RunningEnvoy {
                path: self.envoy.binary().path.clone(),
                version: self.envoy.binary().version.to_string(),
                pid: self.envoy.pid(),
            },
            services: places
                .iter()
                .map(|place| RunningService {
                    name: place.name.to_string(),
                    url: format!("http://{}", place.address),
                })
                .collect(),
            commands: scene.commands(),
            edit: scene.edit(),
            debug,
            millis: self.reporter.millis(),
        }
    }

    /// Runs until it is to end.
    pub async fn run(&mut self, signals: &mut Signals, limit: Option<Duration>) -> End {
        match self.turns(signals, limit).await {
            Ok(end) => end,
            Err(Closed) => End::Unheard,
        }
    }

    async fn turns(
        &mut self,
        signals: &mut Signals,
        limit: Option<Duration>,
    ) -> Result<End, Closed> {
        let limit = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(limit);
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => return Ok(End::Asked(signal)),
                failure = self.envoy.died() => return Ok(End::Died(failure)),
                () = &mut limit => return Ok(End::Asked("the time of --exit-after is over")),
                event = self.events.recv() => match event {
                    Ok(event) => self.hear(event).await?,
                    Err(RecvError::Lagged(missed)) => self.reporter.tell(&Event::Trouble {
                        message: format!("{missed} events came too fast to be shown"),
                        hint: None,
                    })?,
                    Err(RecvError::Closed) => return Ok(End::Died(ended("its events ended"))),
                },
                failure = self.controller.failed() => {
                    return Ok(End::Died(ended(&failure.to_string())));
                }
                report = next(&mut self.load) => self.reporter.tell(&Event::Load(report))?,
            }
        }
    }

    /// Hears what the controller tells and acts on what it says of the files.
    async fn hear(&mut self, event: ControllerEvent) -> Result<(), Closed> {
        let mut trouble = Vec::new();
        let before = match event {
            ControllerEvent::Applied { .. } | ControllerEvent::SourceMended { .. } => {
                let before = self.directory.clone();
                self.directory.refresh();
                let places = self.directory.places();
                trouble = self.services.reconcile(&places).await;
                Some(before)
            }
            ControllerEvent::Acknowledged { .. }
            | ControllerEvent::Rejected { .. }
            | ControllerEvent::Recovered { .. }
            | ControllerEvent::Connected { .. }
            | ControllerEvent::Disconnected { .. }
            | ControllerEvent::Refused { .. }
            | ControllerEvent::SourceProblem { .. } => None,
        };
        let before = before.as_ref().unwrap_or(&self.directory);
        let mut event = translate(event, before, &self.directory);
        mark(&mut event, self.initial);
        self.reporter.tell(&event)?;
        for failure in trouble {
            self.reporter.trouble(failure)?;
        }
        Ok(())
    }

    /// Stops everything in order: no request is sent to what is gone already.
    pub async fn stop(self) -> (Reporter, Option<Report>) {
        let load = match self.load {
            Some(load) => load.stop().await,
            None => None,
        };
        self.envoy.stop().await;
        self.controller.shutdown().await;
        self.services.stop().await;
        (self.reporter, load)
    }
}

fn ended(why: &str) -> Failure {
    Failure::new(Kind::Error, format!("the controller ended by itself: {why}"))
        .with_hint("start the sandbox again; --verbose shows the controller's log")
}

/// Waits until Envoy serves; where it does, for ever unless it dies.
async fn serves(envoy: &mut Process, already: bool, limit: Duration) -> Result<(), Failure> {
    if already { Err(envoy.died().await) } else { envoy.ready(limit).await }
}

/// Marks what stood in the directory at the start, which is no change to make much of.
pub(super) fn mark(event: &mut Event, newest: u64) {
    if let Event::Applied(applied) = event {
        applied.initial = applied.revision <= newest;
        if applied.initial {
            applied.objects.iter_mut().for_each(|object| object.change = ChangeKind::Added);
        }
    } else if let Event::Acknowledged { revision, initial, .. } = event {
        *initial = *revision <= newest;
    }
}

async fn next(load: &mut Option<Load>) -> Report {
    let report = match load {
        Some(load) => load.report().await,
        None => None,
    };
    match report {
        Some(report) => report,
        None => std::future::pending().await,
    }
}
