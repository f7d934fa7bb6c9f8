//! `contour envoy shutdown-manager`: answers the hook that holds up Envoy's end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{EnvoyError, remove_ready_file};
use crate::exit::Exit;
use crate::shutdown::Signals;
use crate::web::{self, Answer, Site, text};

/// How often somebody who waits looks for the file.
const LOOK: Duration = Duration::from_millis(100);

/// How long, after a drain that nobody has asked about yet, the hook is waited for: Kubernetes
/// begins those of both containers at once, and this one's may be through before the other's.
const LINGER: Duration = Duration::from_secs(2);

/// Flags of `contour envoy shutdown-manager`, named as Contour names them.
#[derive(Args, Debug)]
pub struct ShutdownManagerArgs {
    /// Address of /healthz and /shutdown; all addresses if not given.
    #[arg(long, value_name = "IP")]
    pub serve_address: Option<IpAddr>,
    /// Port of /healthz and /shutdown; 0 for any free one, which is logged.
    #[arg(long, value_name = "PORT", default_value_t = 8090)]
    pub serve_port: u16,
    /// File that `contour envoy shutdown` writes when Envoy may end.
    #[arg(long, value_name = "FILE", default_value = "/admin/ok")]
    pub ready_file: PathBuf,
}

/// What the hook is told.
struct Gate {
    ready_file: PathBuf,
    waiting: AtomicUsize,
    opened: AtomicBool,
}

impl Gate {
    fn is_open(&self) -> bool {
        // A directory that cannot be read now may be readable later.
        self.ready_file.try_exists().unwrap_or(false)
    }

    /// Waits for the file. Whoever disconnects meanwhile may ask again.
    async fn shutdown(&self) -> Answer {
        let waiting = Waiting::begin(&self.waiting);
        tracing::info!(file = %self.ready_file.display(), "Envoy's end waits for the ready file");
        while !self.is_open() {
            tokio::time::sleep(LOOK).await;
        }
        self.opened.store(true, Ordering::Release);
        drop(waiting);
        tracing::info!("Envoy has drained and may end");
        text(StatusCode::OK, "drained\n")
    }
}

impl Site for Gate {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/shutdown" => self.shutdown().await,
            _ => web::nothing_here(),
        }
    }
}

/// Counted among those who wait, also if it is dropped because the client went away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(super) async fn run(args: ShutdownManagerArgs) -> Result<Exit, EnvoyError> {
    let mut signals = Signals::catch().map_err(EnvoyError::Signals)?;
    let listener = bind(args.serve_address, args.serve_port).await?;
    remove_ready_file(&args.ready_file)?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    let gate = Arc::new(Gate {
        ready_file: args.ready_file,
        waiting: AtomicUsize::new(0),
        opened: AtomicBool::new(false),
    });
    let stop = CancellationToken::new();
    let mut server = tokio::spawn(web::serve(Arc::clone(&gate), listener, stop.clone()));
    let signal = tokio::select! {
        signal = signals.next() => signal,
        // Without a request to stop it ends by a panic alone.
        _ended = &mut server => return Ok(Exit::Failed),
    };
    // Kubernetes sends it when our own hook has ended, thus after the drain.
    tracing::info!(signal, "stopping");
    let end = async {
        last_hook(&gate).await;
        stop.cancel();
        server.await
    };
    tokio::select! {
        ended = end => Ok(if ended.is_ok() { Exit::Done } else { Exit::Failed }),
        signal = signals.next() => {
            tracing::warn!(signal, "stopping at once");
            Ok(Exit::Interrupted)
        }
    }
}

/// Returns when nobody asks any more, or whoever asks is waited for by the server itself.
async fn last_hook(gate: &Gate) {
    if gate.waiting.load(Ordering::Acquire) > 0 {
        if !gate.is_open() {
            tracing::warn!(
                "Envoy's end still waits for the ready file, which nobody may be left to write; a second signal ends the wait"
            );
        }
        return;
    }
    if gate.is_open() && !gate.opened.load(Ordering::Acquire) {
        let asked = async {
            while !gate.opened.load(Ordering::Acquire) {
                tokio::time::sleep(LOOK).await;
            }
        };
        // In vain if Envoy's container has no hook.
        let _nobody = tokio::time::timeout(LINGER, asked).await;
    }
}

async fn bind(address: Option<IpAddr>, port: u16) -> Result<TcpListener, EnvoyError> {
    let listen = async |ip: IpAddr| {
        let address = SocketAddr::new(ip, port);
        let bound = TcpListener::bind(address).await;
        bound.map_err(|source| EnvoyError::Bind { address, source })
    };
    match address {
        Some(ip) => listen(ip).await,
        // IPv6 takes IPv4 too, where there is IPv6.
        None => match listen(Ipv6Addr::UNSPECIFIED.into()).await {
            Ok(listener) => Ok(listener),
            Err(_) => listen(Ipv4Addr::UNSPECIFIED.into()).await,
        },
    }
}
