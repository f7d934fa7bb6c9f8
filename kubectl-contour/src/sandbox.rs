//! `sandbox`: a directory of manifests, served by a real Envoy on this machine.
//!
//! Nothing is imitated: the controller is the one that runs in a cluster, in this process, and
//! Envoy is Envoy. Only the services behind it are made up.

pub mod example;
pub mod port;
pub mod envoy;
pub mod demo;
pub mod load;
pub mod change;
pub mod directory;
pub mod event;
pub mod text;
pub mod report;
pub mod suggest;
pub mod translate;
pub mod note;
pub mod signals;
pub mod session;
pub mod start;

use std::path::Path;

use crate::cli::{DemoArgs, SandboxArgs};
use crate::failure::{Failure, Kind};
use crate::output::Printer;

use event::Event;
use example::Ports;
use port::Claim;
use report::Reporter;
use session::End;
use signals::Signals;

/// Runs a sandbox until it is told to stop.
///
/// # Errors
/// It cannot be started, or something that it stands on died.
pub async fn run(arguments: SandboxArgs, printer: Printer) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut reporter = Reporter::new(printer);
    let path = arguments.directory.clone();
    let written = ensure_example(&path, &arguments.demo)?;
    if reporter.tell(&Event::Directory { path, written }).is_err() {
        return Ok(());
    }
    let exit_after = arguments.exit_after;
    let mut session = tokio::select! {
        biased;
        // Whatever was started already ends with the future that was starting it.
        _ = signals.next() => return Ok(()),
        started = start::start(arguments, reporter) => match started? {
            Some(session) => session,
            None => return Ok(()),
        },
    };
    let end = session.run(&mut signals, exit_after).await;
    let stopped = tokio::select! {
        biased;
        // Whoever asks twice is in a hurry: what is left is killed as it is dropped.
        _ = signals.next() => return Ok(()),
        stopped = session.stop() => stopped,
    };
    let (mut reporter, load) = stopped;
    match end {
        End::Asked(reason) => {
            // If nobody reads it there is nobody to tell.
            let _unheard = reporter.tell(&Event::Stopped { reason, load });
            Ok(())
        }
        End::Unheard => Ok(()),
        End::Died(failure) => Err(failure),
    }
}

/// Writes the example where there is nothing yet. Returns whether it did.
fn ensure_example(directory: &Path, demo: &DemoArgs) -> Result<bool, Failure> {
    let wanted = [
        ("--blue-port", demo.blue_port, 9081, "blue"),
        ("--green-port", demo.green_port, 9082, "green"),
        ("--team-port", demo.team_port, 9083, "the team's service"),
    ];
    match std::fs::metadata(directory) {
        Ok(found) if !found.is_dir() => {
            Err(Failure::new(Kind::Usage, format!("{} is not a directory", directory.display()))
                .with_hint(
                    "name a directory of manifests, or one that is not there yet to get an example",
                ))
        }
        Ok(_) => match wanted.iter().find(|(_, port, ..)| port.is_some()) {
            None => Ok(false),
            Some((flag, ..)) => Err(Failure::new(
                Kind::Usage,
                format!(
                    "{flag} is for a new example, and {} is there already",
                    directory.display()
                ),
            )
            .with_hint("change the port in its EndpointSlices, or name another directory")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let claims = wanted
                .iter()
                .map(|(flag, port, default, name)| {
                    let remedy = format!("choose another port: {flag} PORT, or 0 for any");
                    Claim::new(
                        port.unwrap_or(*default),
                        &format!("the demo service {name}"),
                        &remedy,
                    )
                })
                .collect::<Result<Vec<_>, _>>()?;
            let ports: Vec<u16> = claims.into_iter().map(Claim::release).collect();
            if let [blue, green, team] = ports[..] {
                example::write(directory, Ports { blue, green, team })?;
            }
            Ok(true)
        }
        Err(error) => Err(Failure::new(
            Kind::Error,
            format!("cannot look into {}: {error}", directory.display()),
        )),
    }
}
