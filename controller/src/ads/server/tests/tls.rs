//! Mutual TLS.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;
use tonic::transport::Endpoint;

use super::*;

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        Self { certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("valid");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (vec![certificate.der().clone()], key)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        Arc::new(roots)
    }

    fn server(&self) -> Arc<ServerConfig> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider());
        let (chain, key) = self.issue("contour");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(chain, key)
            .expect("a pair");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    fn client(&self, identity: Option<Identity>) -> TlsConnector {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.roots());
        let mut config = match identity {
            Some((chain, key)) => config.with_client_auth_cert(chain, key).expect("a pair"),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

async fn connect(tls: &TlsConnector, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    tls.connect(ServerName::try_from("contour").expect("a name"), socket).await
}

/// What the server makes of a client: true if it lets it in.
async fn is_let_in(tls: &TlsConnector, address: SocketAddr) -> bool {
    let Ok(mut stream) = connect(tls, address).await else { return false };
    // With TLS 1.3 the client hears of the refusal after its part of the handshake. A server that
    // lets it in sends its HTTP/2 settings when it has the client's preface.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let written = tokio::io::AsyncWriteExt::write_all(&mut stream, preface).await;
    written.is_ok() && stream.read_u8().await.is_ok()
}

#[derive(Clone)]
struct Connector(TlsConnector, SocketAddr);

impl Service<http::Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let Self(tls, address) = self.clone();
        Box::pin(async move { connect(&tls, address).await.map(TokioIo::new) })
    }
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_ours_are_let_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let served = Served::start(Security::mutual_tls(ours.server())).await;
    let address = served.address;
    assert!(!is_let_in(&ours.client(None), address).await, "no certificate");
    let foreign = theirs.issue("envoy");
    assert!(!is_let_in(&ours.client(Some(foreign)), address).await, "a foreign certificate");
    let plaintext = AggregatedDiscoveryServiceClient::connect(served.url()).await;
    let stream = tokio_stream::iter([first(ResourceType::Cluster)]);
    let opened = match plaintext {
        Ok(mut client) => client.delta_aggregated_resources(stream).await.is_ok(),
        Err(_) => false,
    };
    assert!(!opened, "plaintext");
    // After all that the server still serves whom it should.
    let envoy = ours.client(Some(ours.issue("envoy")));
    assert!(is_let_in(&envoy, address).await, "a certificate of ours");
}

#[tokio::test]
async fn a_client_with_a_certificate_is_served() {
    let ours = Authority::new();
    let served = Served::start(Security::mutual_tls(ours.server())).await;
    served.publish(1, &[resource(ResourceType::Cluster, "a", 1)]);
    let tls = ours.client(Some(ours.issue("envoy")));
    let endpoint = Endpoint::from_static("http://contour");
    let channel = endpoint.connect_with_connector(Connector(tls, served.address)).await;
    let mut client = AggregatedDiscoveryServiceClient::new(channel.expect("a connection"));
    let stream = tokio_stream::iter([first(ResourceType::Cluster)]).chain(tokio_stream::pending());
    let responses = client.delta_aggregated_resources(stream).await.expect("a stream");
    let response = responses.into_inner().message().await.expect("a response").expect("open");
    assert_eq!(names(&response), ["a"]);
}

#[tokio::test]
async fn the_certificate_of_the_moment_is_used_for_each_handshake() {
    let (old, new) = (Authority::new(), Authority::new());
    let current = Arc::new(std::sync::Mutex::new(old.server()));
    let provider = Arc::clone(&current);
    let provide = move || Arc::clone(&*provider.lock().expect("not poisoned"));
    let served = Served::start(Security::MutualTls(Arc::new(provide))).await;
    let client = |authority: &Authority| authority.client(Some(authority.issue("envoy")));
    assert!(is_let_in(&client(&old), served.address).await);
    *current.lock().expect("not poisoned") = new.server();
    assert!(!is_let_in(&client(&old), served.address).await);
    assert!(is_let_in(&client(&new), served.address).await);
}
