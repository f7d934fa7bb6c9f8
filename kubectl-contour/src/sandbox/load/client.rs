//! A client of one host, which keeps its connections.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::sandbox::demo;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A host to send requests to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host.
    pub host: String,
    /// Where Envoy serves it.
    pub address: SocketAddr,
    /// Whom to trust, if the host has TLS.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How many requests it gets in each round.
    pub share: usize,
}

/// Trust in the authorities of a PEM file.
///
/// # Errors
/// The file cannot be read or holds no certificate.
pub fn trust(file: &Path) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)
        .with_context(|| format!("cannot read {}", file.display()))?
    {
        let certificate =
            certificate.with_context(|| format!("{} is no PEM file", file.display()))?;
        roots
            .add(certificate)
            .with_context(|| format!("{} holds no certificate", file.display()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What a request was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) service: Option<String>,
}

type Connection = SendRequest<Empty<Bytes>>;

/// Sends requests to one host.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    idle: Mutex<Vec<Connection>>,
}

impl Client {
    pub(super) fn new(target: Target) -> Self {
        Self { target, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn host(&self) -> &str {
        &self.target.host
    }

    pub(super) fn share(&self) -> usize {
        self.target.share
    }

    /// One request.
    ///
    /// # Errors
    /// A few words on why there is no answer: they are counted, so they name no particulars.
    pub(super) async fn get(&self) -> Result<Answer, String> {
        match tokio::time::timeout(PATIENCE, self.attempts()).await {
            Ok(result) => result,
            Err(_elapsed) => Err("timeout".to_owned()),
        }
    }

    async fn attempts(&self) -> Result<Answer, String> {
        // A connection that was idle may have been closed meanwhile: then the request was not
        // sent, or is safe to send again, over a new one. That is what every client does.
        while let Some(connection) = self.take_idle() {
            if let Ok(answer) = self.exchange(connection).await {
                return Ok(answer);
            }
        }
        let connection = self.connect().await?;
        self.exchange(connection).await.map_err(|_error| "connection broken".to_owned())
    }

    async fn exchange(&self, mut connection: Connection) -> anyhow::Result<Answer> {
        connection.ready().await?;
        let request =
            Request::builder().uri("/").header("host", &self.target.host).body(Empty::new())?;
        let response = connection.send_request(request).await?;
        let answer = Answer {
            status: response.status().as_u16(),
            service: response
                .headers()
                .get(demo::HEADER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        };
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        self.idle().push(connection);
        Ok(answer)
    }

    async fn connect(&self) -> Result<Connection, String> {
        let stream = TcpStream::connect(self.target.address)
            .await
            .map_err(|_error| "connection refused".to_owned())?;
        // Without it small requests wait for acknowledgements.
        drop(stream.set_nodelay(true));
        let Some(config) = &self.target.tls else {
            return start(TokioIo::new(stream)).await;
        };
        let name = ServerName::try_from(self.target.host.clone())
            .map_err(|_error| "no valid host name".to_owned())?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|_error| "TLS handshake failed".to_owned())?;
        start(TokioIo::new(stream)).await
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn start<T>(stream: T) -> Result<Connection, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) =
        handshake(stream).await.map_err(|_error| "connection broken".to_owned())?;
    // Ends with the connection; how it ended shows in the request that was on it.
    drop(tokio::spawn(async move { drop(connection.await) }));
    Ok(sender)
}
