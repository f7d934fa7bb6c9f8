//! `contour envoy shutdown`: has Envoy drain and waits for its connections.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Method;
use tokio::time::{Instant, sleep};

use super::administration::{AskError, ask};
use super::{EnvoyError, connections, remove_ready_file};
use crate::bootstrap::Admin;

/// Between two attempts to reach an administration that does not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// How long the administration may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How often in a row nobody may listen before Envoy counts as ended.
const ENDED: u32 = 3;

/// How often the count is written to the log while it stays the same.
const REMIND: Duration = Duration::from_secs(30);

/// Flags of `contour envoy shutdown`, named as Contour names them.
#[derive(Args, Debug)]
pub struct ShutdownArgs {
    /// Envoy's administration: path of a unix socket, or an IP address together with --admin-port.
    #[arg(long, value_name = "PATH|IP", default_value = "/admin/admin.sock")]
    pub admin_address: String,
    /// Port of Envoy's administration, if --admin-address is an IP address.
    #[arg(long, value_name = "PORT")]
    pub admin_port: Option<u16>,
    /// How long Envoy's administration may be out of reach before it is given up.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub admin_timeout: Duration,
    /// Time to wait before Envoy begins to drain.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,
    /// Time to wait after that before connections are counted for the first time.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub check_delay: Duration,
    /// Time between two counts.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub check_interval: Duration,
    /// Connections that may be open when Envoy ends.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_open_connections: u64,
    /// File that is written when Envoy may end, the one of the shutdown manager.
    #[arg(long, value_name = "FILE", default_value = "/admin/ok")]
    pub ready_file: PathBuf,
}

/// Reads a duration as Contour's flags take it.
fn duration(text: &str) -> Result<Duration, String> {
    contour_core::lower::go_duration(text)
        .ok_or_else(|| "not a duration such as 500ms, 30s or 1m30s".to_owned())
}

/// Envoy's administration could not be asked for too long.
#[derive(Debug, thiserror::Error)]
#[error(
    "gave up after {after:?}: Envoy's administration at {admin} cannot be asked: {reason}{hint}. Envoy may end now, whatever is open"
)]
pub struct Abandoned {
    admin: String,
    after: Duration,
    reason: String,
    hint: &'static str,
}

pub(super) async fn run(args: ShutdownArgs) -> Result<(), EnvoyError> {
    let drain = Drain::new(args)?;
    remove_ready_file(&drain.args.ready_file)?;
    let outcome = drain.wait().await;
    // Also if Envoy could not be asked: the hook would otherwise wait for its whole grace period.
    let file = &drain.args.ready_file;
    std::fs::write(file, "").map_err(|source| EnvoyError::ReadyFile {
        what: "write",
        path: file.clone(),
        source,
    })?;
    Ok(outcome?)
}

struct Drain {
    admin: Admin,
    args: ShutdownArgs,
}

impl Drain {
    fn new(args: ShutdownArgs) -> Result<Self, EnvoyError> {
        let admin = Admin::at(&args.admin_address, args.admin_port)?;
        Ok(Self { admin, args })
    }

    /// Has Envoy drain; returns when few enough connections are open or Envoy has ended.
    async fn wait(&self) -> Result<(), Abandoned> {
        sleep(self.args.drain_delay).await;
        // From now on Envoy's readiness fails, and it asks clients to reconnect elsewhere at each
        // answer, but still accepts whoever comes: not everybody has heard of it yet.
        let drained = self.insist(Method::POST, "/healthcheck/fail", |_| Ok(())).await?;
        if drained.is_none() {
            return Ok(());
        }
        tracing::info!("Envoy drains");
        sleep(self.args.check_delay).await;
        let minimum = self.args.min_open_connections;
        let mut told: Option<(u64, Instant)> = None;
        loop {
            let read = |stats: &str| {
                connections::open(stats)
                    .ok_or("it tells of no connections; its stats_config must not leave out those of listeners")
            };
            let Some(open) = self.insist(Method::GET, connections::STATS, read).await? else {
                return Ok(());
            };
            if open <= minimum {
                tracing::info!(open, "Envoy may end");
                return Ok(());
            }
            if told.is_none_or(|(last, at)| last != open || at.elapsed() >= REMIND) {
                tracing::info!(open, minimum, "waiting for connections");
                told = Some((open, Instant::now()));
            }
            sleep(self.args.check_interval).await;
        }
    }

    /// Asks until there is an answer that can be read; `None` if Envoy has ended.
    async fn insist<T>(
        &self,
        method: Method,
        path: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, Abandoned> {
        let begin = Instant::now();
        let mut refused = 0;
        loop {
            let (reason, hint) = match ask(&self.admin, (method.clone(), path), ANSWER).await {
                Ok(text) => match read(&text) {
                    Ok(value) => return Ok(Some(value)),
                    Err(reason) => (reason.to_owned(), ""),
                },
                Err(error) => {
                    refused = if error.nobody_listens() { refused + 1 } else { 0 };
                    (error.to_string(), hint(&error))
                }
            };
            if refused >= ENDED {
                tracing::info!(admin = %self.name(), "Envoy has ended already: nobody listens");
                return Ok(None);
            }
            let after = begin.elapsed();
            if after >= self.args.admin_timeout {
                return Err(Abandoned { admin: self.name(), after, reason, hint });
            }
            tracing::debug!(reason, "Envoy's administration does not answer yet");
            sleep(AGAIN).await;
        }
    }

    fn name(&self) -> String {
        match &self.admin {
            Admin::Socket(path) => path.display().to_string(),
            Admin::Address(address, port) => std::net::SocketAddr::new(*address, *port).to_string(),
        }
    }
}

fn hint(error: &AskError) -> &'static str {
    if error.no_socket() {
        "; --admin-address has to be the one that `contour bootstrap` was given, in a directory that both containers share"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(duration("5").unwrap_err().contains("30s"));
    }
}
