//! Listening: the accept loop, TLS, the gRPC server, its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::Ads;
use super::connection::Connection;
use super::services::Services;

/// How long a client has for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way at a time; further connections wait to be accepted.
const HANDSHAKES: usize = 256;
/// How often an idle connection is asked whether it is still there, and for how long it may think
/// (the figures of Contour).
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Waits before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long streams have to end at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);

/// Returns the TLS configuration for the next connection, so that certificates can be renewed
/// without a restart. It must demand a client certificate.
pub type TlsProvider = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// How the server knows its clients.
#[derive(Clone)]
pub enum Security {
    /// Not at all. Whoever connects gets every private key: for loopback alone.
    Plaintext,
    /// By client certificates.
    MutualTls(TlsProvider),
}

impl Security {
    /// Mutual TLS with a configuration that never changes.
    pub fn mutual_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::MutualTls(Arc::new(move || Arc::clone(&config)))
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plaintext => "Plaintext",
            Self::MutualTls(_) => "MutualTls",
        })
    }
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The gRPC server gave up.
    #[error("the xDS server failed")]
    Transport(#[from] tonic::transport::Error),
}

impl Ads {
    /// Serves Envoys that connect to `listener` until `shutdown`; returns within a few seconds
    /// after that.
    ///
    /// # Errors
    ///
    /// If the gRPC server fails as a whole. A failing connection or handshake is no error.
    pub async fn serve(
        self,
        listener: TcpListener,
        security: Security,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let (accepted, connections) = mpsc::channel(1);
        let accepting = accept(listener, security, accepted, shutdown.clone());
        let connections = ReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
        let services = Services::new(self, shutdown.clone());
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_routes(services.routes())
            .serve_with_incoming_shutdown(connections, shutdown.clone().cancelled_owned());
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
        };
        tokio::select! {
            ((), result) = async { tokio::join!(accepting, server) } => Ok(result?),
            () = overdue => {
                tracing::warn!("streams did not end in time, dropping them");
                Ok(())
            }
        }
    }
}

/// Accepts connections until `shutdown`. Nothing that a client does ends this.
async fn accept(
    listener: TcpListener,
    security: Security,
    accepted: mpsc::Sender<Connection>,
    shutdown: CancellationToken,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let permit = Arc::clone(&handshakes).acquire_owned();
        let connection = async { (permit.await, listener.accept().await) };
        let (permit, connection) = tokio::select! {
            connection = connection => connection,
            () = shutdown.cancelled() => return,
        };
        let socket = match connection {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an xDS connection, trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (security, accepted) = (security.clone(), accepted.clone());
        // Bounded by the semaphore, and each by its timeout.
        tokio::spawn(async move {
            if let Some(connection) = shake_hands(socket, &security).await {
                // The server is gone only at shutdown.
                drop(accepted.send(connection).await);
            }
            drop(permit);
        });
    }
}

async fn shake_hands(socket: TcpStream, security: &Security) -> Option<Connection> {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let peer = socket.peer_addr().ok();
    let provider = match security {
        Security::Plaintext => return Some(Connection::Plain(socket)),
        Security::MutualTls(provider) => provider,
    };
    let handshake = TlsAcceptor::from(provider()).accept(socket);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(tls)) if tls.get_ref().1.peer_certificates().is_some() => {
            Some(Connection::Tls(Box::new(tls)))
        }
        Ok(Ok(_)) => {
            tracing::warn!(?peer, "xDS client refused: it showed no certificate");
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(?peer, %error, "xDS client refused: TLS handshake failed");
            None
        }
        Err(_elapsed) => {
            tracing::warn!(?peer, "xDS client refused: TLS handshake took too long");
            None
        }
    }
}

#[cfg(test)]
mod tests;
