//! Starts everything, in the order in which one thing needs the other.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use contour::bootstrap::{Admin, Bootstrap};
use contour::config::Config;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::pipeline::Bind;

use super::demo::{Place, Services};
use super::directory::Directory;
use super::envoy::{Binary, Environment, Process, Start};
use super::event::Event;
use super::example::AUTHORITY;
use super::load::{Load, Target, trust};
use super::note::Note;
use super::port::Claim;
use super::report::Reporter;
use super::session::Session;
use crate::cli::SandboxArgs;
use crate::failure::{Failure, Kind};
use crate::output::Closed;

/// How long Envoy may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest path that a unix socket can have, on every system that Envoy runs on.
const LONGEST_SOCKET: usize = 100;

/// How much of the load a plaintext host gets, for each request to a host with TLS. The split of
/// the example is at a plaintext host, and shows the better the more requests it rests on.
const PLAIN_SHARE: usize = 9;

/// The name of Envoy's admin socket.
const ADMIN: &str = "admin.sock";

/// The name of Envoy's access log.
const ACCESS_LOG: &str = "access.log";

/// The sandbox's Envoy, as it introduces itself to the controller.
const NODE: &str = "sandbox";

/// Starts the demo services, the controller and Envoy, and waits until Envoy serves. `None` if
/// nobody reads what is told any more.
///
/// # Errors
/// Something cannot be started. What was started before is stopped again.
pub async fn start(arguments: SandboxArgs, reporter: Reporter) -> Result<Option<Session>, Failure> {
    log(arguments.verbose);
    let binary = Binary::locate(arguments.envoy.as_deref(), &Environment::of_process()).await?;
    let http = claim(arguments.http_port, "HTTP", "--http-port")?;
    let https = claim(arguments.https_port, "HTTPS", "--https-port")?;
    let mut directory = Directory::new(&arguments.directory);
    directory.refresh();
    let services = serve_demo(&arguments, &directory.places()).await?;
    let temporary = temporary()?;
    let ports = (http.release(), https.release());
    let access_log = temporary.path().join(ACCESS_LOG);
    let controller = serve(&arguments.directory, ports, &access_log).await?;
    let note = Note::write(&arguments.directory, controller.bound().debug, &access_log)?;
    let events = controller.events();
    let xds = controller.bound().xds.port();
    let envoy = start_envoy(temporary.path(), binary, xds, arguments.verbose)?;
    let mut session = Session {
        events,
        directory,
        services,
        envoy,
        controller,
        load: None,
        reporter,
        initial: u64::MAX,
        temporary,
        note,
    };
    match session.settle(PATIENCE).await? {
        Ok(()) => {}
        Err(Closed) => return Ok(None),
    }
    let started = session.started(ports);
    if session.reporter.tell(&Event::Started(started)).is_err() {
        return Ok(None);
    }
    session.load = match arguments.load.rps {
        Some(rps) => Some(Load::start(rps, targets(&session.directory, ports)?)),
        None => None,
    };
    Ok(Some(session))
}

/// Starts the controller in this process.
async fn serve(
    directory: &Path,
    ports: (u16, u16),
    access_log: &Path,
) -> Result<Controller, Failure> {
    let mut config = Config::local(Source::Directory(directory.to_owned()));
    config.options.http = local(ports.0);
    config.options.https = local(ports.1);
    config.options.stats = None;
    // In Envoy's own form, as in a cluster.
    let access_log = access_log.to_string_lossy();
    config.options.http_access_log = (*access_log).into();
    config.options.https_access_log = (*access_log).into();
    Controller::start(config, Hooks::default())
        .await
        .map_err(|error| Failure::from(anyhow::Error::new(error)))
}

/// Starts the demo services; all of them, or none is of use.
async fn serve_demo(arguments: &SandboxArgs, places: &[Place]) -> Result<Services, Failure> {
    let mut services = Services::new();
    let green = services.behaviour("green");
    if let Some(delay) = arguments.demo.green_delay {
        green.set_delay(delay);
    }
    if let Some(percent) = arguments.demo.green_fail_percent {
        green.set_fail_percent(percent);
    }
    match services.reconcile(places).await.into_iter().next() {
        Some(failure) => Err(failure),
        None => Ok(services),
    }
}

/// A directory that nobody else can look into.
fn temporary() -> Result<tempfile::TempDir, Failure> {
    let directory = tempfile::Builder::new()
        .prefix("contour-sandbox-")
        .tempdir()
        .context("cannot create a temporary directory")?;
    if directory.path().join(ADMIN).as_os_str().len() > LONGEST_SOCKET {
        return Err(Failure::new(
            Kind::Error,
            format!(
                "the path of temporary files is too long for a unix socket: {}",
                directory.path().display()
            ),
        )
        .with_hint("set TMPDIR to a shorter one"));
    }
    Ok(directory)
}

fn start_envoy(
    directory: &Path,
    binary: Binary,
    xds: u16,
    verbose: u8,
) -> Result<Process, Failure> {
    let admin = directory.join(ADMIN);
    let bootstrap = directory.join("envoy.json");
    let rendered = Bootstrap::local(Admin::Socket(admin.clone()), xds, NODE).render();
    for (path, config) in std::iter::once((&bootstrap, &rendered.config))
        .chain(rendered.files.iter().map(|(path, config)| (path, config)))
    {
        std::fs::write(path, config.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Process::start(Start {
        binary,
        bootstrap,
        admin,
        log: directory.join("envoy.log"),
        access_log: directory.join(ACCESS_LOG),
        log_level: match verbose {
            0 | 1 => "warning",
            _ => "info",
        },
        show_log: verbose > 0,
    })
}

/// Where the load goes: every host of the directory that can be reached.
fn targets(directory: &Directory, ports: (u16, u16)) -> Result<Vec<Target>, Failure> {
    let authority = directory.path().join(AUTHORITY);
    let trusted = if authority.is_file() { Some(trust(&authority)?) } else { None };
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let targets: Vec<Target> = directory
        .hosts()
        .into_iter()
        .filter_map(|host| {
            Some(if host.tls {
                Target {
                    host: host.name,
                    address: at(ports.1),
                    tls: Some(Arc::clone(trusted.as_ref()?)),
                    share: 1,
                }
            } else {
                Target { host: host.name, address: at(ports.0), tls: None, share: PLAIN_SHARE }
            })
        })
        .collect();
    if targets.is_empty() {
        let message = format!("{} holds no host to send load to", directory.path().display());
        return Err(Failure::new(Kind::Usage, message).with_hint(
            "add an IngressRoute with a virtualhost, or leave out --load; \
             hosts with TLS count only where the directory holds their authority as ca.crt",
        ));
    }
    Ok(targets)
}

/// Shows the log of the controller on stderr: nothing but what went wrong unless asked for more.
fn log(verbose: u8) {
    let filter = match verbose {
        0 => "off",
        1 => "warn,contour=info,contour_core=info",
        _ => "warn,contour=debug,contour_core=debug",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // In tests several sandboxes may share a process; the first one's log is as good.
    drop(builder.try_init());
}

fn claim(port: u16, what: &str, flag: &str) -> Result<Claim, Failure> {
    let remedy =
        format!("stop what listens there, or choose another port: {flag} PORT, or 0 for any");
    Claim::new(port, what, &remedy)
}

fn local(port: u16) -> Bind {
    Bind { address: Ipv4Addr::LOCALHOST.into(), port }
}
