//! A client that can ask what browsers would not: any Host, any SNI, any TLS version.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, ProtocolVersion, SignatureScheme, SupportedProtocolVersion};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long anything may take; beyond it the test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// HTTP/1.1 or HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS by prior knowledge.
    Http2,
}

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    protocol: Protocol,
    tls: Option<Tls>,
}

#[derive(Clone, Debug)]
struct Tls {
    sni: Option<String>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Target {
    /// HTTP/1.1 without TLS.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, protocol: Protocol::Http1, tls: None }
    }

    /// HTTP/1.1 over TLS with this SNI, as it is written.
    pub fn tls(address: SocketAddr, sni: &str) -> Self {
        let tls = Tls { sni: Some(sni.to_owned()), versions: rustls::ALL_VERSIONS.to_vec() };
        Self { tls: Some(tls), ..Self::plain(address) }
    }

    /// HTTP/1.1 over TLS without SNI.
    pub fn tls_without_sni(address: SocketAddr) -> Self {
        let mut target = Self::tls(address, "unused.test");
        if let Some(tls) = &mut target.tls {
            tls.sni = None;
        }
        target
    }

    /// The same by HTTP/2.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.protocol = Protocol::Http2;
        self
    }

    /// The same with these TLS versions alone.
    #[must_use]
    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.versions = versions.to_vec();
        }
        self
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If it is refused or the handshake fails.
    pub async fn connect(&self) -> Result<Connection> {
        tokio::time::timeout(PATIENCE, self.connect_unbounded())
            .await
            .context("no connection in time")?
    }

    /// Opens a connection, asks once and closes it.
    ///
    /// # Errors
    /// If the connection or the exchange fails; an answer with an error status is an answer.
    pub async fn ask(&self, ask: &Ask) -> Result<Reply> {
        self.connect().await?.ask(ask).await
    }

    /// Sends a `GET` and asserts nothing.
    ///
    /// # Errors
    /// As [`Target::ask`].
    pub async fn get(&self, host: &str, path: &str) -> Result<Reply> {
        self.ask(&Ask::get(host, path)).await
    }

    /// Opens a connection for raw bytes, after the TLS handshake if there is TLS.
    ///
    /// # Errors
    /// If it is refused or the handshake fails.
    pub async fn raw(&self) -> Result<Raw> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Raw::new(stream, None));
        };
        let stream = tls.handshake(stream, &[]).await?;
        let certificate = peer(&stream);
        Ok(Raw::new(stream, certificate))
    }

    async fn connect_unbounded(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address)
            .await
            .with_context(|| format!("connecting to {}", self.address))?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return open(stream, self.protocol, None, "http").await;
        };
        let alpn: &[u8] = match self.protocol {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        };
        let stream = tls.handshake(stream, &[alpn]).await?;
        if self.protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            bail!("the server did not agree to HTTP/2");
        }
        let version = stream.get_ref().1.protocol_version();
        let certificate = peer(&stream);
        let mut connection = open(stream, self.protocol, certificate, "https").await?;
        connection.tls_version = version;
        Ok(connection)
    }
}

impl Tls {
    async fn handshake(
        &self,
        stream: TcpStream,
        alpn: &[&[u8]],
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth();
        config.enable_sni = self.sni.is_some();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        let name = self.sni.clone().unwrap_or_else(|| "unused.test".to_owned());
        TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from(name)?, stream)
            .await
            .context("TLS handshake")
    }
}

fn peer(stream: &tokio_rustls::client::TlsStream<TcpStream>) -> Option<CertificateDer<'static>> {
    let chain = stream.get_ref().1.peer_certificates()?;
    chain.first().cloned()
}

/// Believes every certificate: tests look at it themselves.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        // What is not looked at may be of any kind.
        let others = [SignatureScheme::ECDSA_NISTP521_SHA512];
        known.supported_schemes().into_iter().chain(others).collect()
    }
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Ask {
    /// A `GET` with this Host (or `:authority`) and path.
    pub fn get(host: &str, path: &str) -> Self {
        Self {
            method: Method::GET,
            host: host.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same with another header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same as a `POST` of these bytes.
    #[must_use]
    pub fn post(mut self, body: &str) -> Self {
        self.method = Method::POST;
        self.body = Bytes::copy_from_slice(body.as_bytes());
        self
    }

    fn request(&self, protocol: Protocol, scheme: &str) -> Result<Request<Full<Bytes>>> {
        let mut builder = Request::builder().method(self.method.clone());
        builder = match protocol {
            Protocol::Http1 => builder.uri(&self.path).header("host", &self.host),
            Protocol::Http2 => builder
                .version(Version::HTTP_2)
                .uri(format!("{scheme}://{}{}", self.host, self.path)),
        };
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        Ok(builder.body(Full::new(self.body.clone()))?)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body of a [`crate::backend::Backend`]: what it saw of the request.
    ///
    /// # Panics
    /// If the body is something else.
    pub fn echo(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not an echo ({e}): {} {:?}", self.status, self.body))
    }

    /// The name of the backend that answered, if one did.
    pub fn backend(&self) -> Option<String> {
        let echo: Value = serde_json::from_slice(&self.body).ok()?;
        echo.get("backend")?.as_str().map(str::to_owned)
    }

    /// A header as text; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An open connection, to be used for one request after the other.
pub struct Connection {
    sender: Sender,
    scheme: &'static str,
    driver: tokio::task::JoinHandle<()>,
    /// The server's certificate.
    pub certificate: Option<CertificateDer<'static>>,
    /// The TLS version agreed on.
    pub tls_version: Option<ProtocolVersion>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn open<S>(
    stream: S,
    protocol: Protocol,
    certificate: Option<CertificateDer<'static>>,
    scheme: &'static str,
) -> Result<Connection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    // What goes wrong with a connection shows in the exchange itself.
    let (sender, driver) = match protocol {
        Protocol::Http1 => {
            let (sender, driver) = http1::handshake(io).await?;
            let driver = tokio::spawn(async move { drop(driver.await) });
            (Sender::Http1(sender), driver)
        }
        Protocol::Http2 => {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
            let driver = tokio::spawn(async move { drop(driver.await) });
            (Sender::Http2(sender), driver)
        }
    };
    Ok(Connection { sender, scheme, driver, certificate, tls_version: None })
}

impl Connection {
    /// Whether another request may be sent over it. HTTP/2 says by GOAWAY that none may, as HTTP/1.1
    /// says by `connection: close`.
    pub async fn is_open(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(_) => true,
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// If the exchange breaks off; an answer with an error status is an answer.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Reply> {
        tokio::time::timeout(PATIENCE, self.ask_unbounded(ask))
            .await
            .context("no answer in time")?
    }

    async fn ask_unbounded(&mut self, ask: &Ask) -> Result<Reply> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                let request = ask.request(Protocol::Http1, self.scheme)?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                let request = ask.request(Protocol::Http2, self.scheme)?;
                sender.send_request(request).await?
            }
        };
        let (head, body) = response.into_parts();
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection for raw bytes.
pub struct Raw {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
    /// The server's certificate, if there is TLS.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Raw {
    fn new(stream: impl Stream + 'static, certificate: Option<CertificateDer<'static>>) -> Self {
        Self { stream: Box::new(stream), read: Vec::new(), certificate }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads up to and with `end`.
    ///
    /// # Errors
    /// If the connection is closed before.
    pub async fn read_until(&mut self, end: &str) -> Result<String> {
        tokio::time::timeout(PATIENCE, self.read_unbounded(end.as_bytes()))
            .await
            .with_context(|| format!("{end:?} did not come in time"))?
    }

    async fn read_unbounded(&mut self, end: &[u8]) -> Result<String> {
        let mut buffer = [0; 4096];
        loop {
            let found = self.read.windows(end.len()).position(|w| w == end);
            if let Some(at) = found {
                let rest = self.read.split_off(at + end.len());
                let read = std::mem::replace(&mut self.read, rest);
                return Ok(String::from_utf8_lossy(&read).into_owned());
            }
            let length = self.stream.read(&mut buffer).await?;
            if length == 0 {
                let read = String::from_utf8_lossy(&self.read);
                bail!("the connection ended after {read:?}");
            }
            self.read.extend_from_slice(buffer.get(..length).unwrap_or_default());
        }
    }
}
