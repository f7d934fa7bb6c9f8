//! What a real Envoy says of certificates and CA bundles, one by one, and whether a handshake
//! works with those that it takes.
//!
//! Envoy has two listeners with one static Secret each. Whatever is to be judged is sent under that
//! name, by delta ADS and alone in its response, so the answer to the response is the verdict. A
//! refused Secret leaves the last good one in force and harms nothing: handshakes do not ask for
//! it by name.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate, secret,
};
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use prost::{Message as _, Name as _};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::certificates::fixtures;
use crate::client::{PATIENCE, Target};
use crate::envoy::{self, Envoy};

/// The Secret, and the listener, of the certificate that is judged.
const CERTIFICATE: &str = "judged-certificate";
/// The Secret, and the listener, of the CA bundle that is judged.
const AUTHORITY: &str = "judged-authority";

/// What Envoy says: nothing, or why it refuses.
pub type Verdict = Result<(), String>;

/// An Envoy that judges, and the server that asks it. Both end when dropped.
pub struct Judge {
    envoy: Envoy,
    server: JoinHandle<()>,
    questions: mpsc::Sender<Question>,
    count: u64,
    address: SocketAddr,
}

struct Question {
    name: &'static str,
    content: secret::Type,
    answer: oneshot::Sender<Verdict>,
}

impl Judge {
    /// Starts an Envoy.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (questions, asked) = mpsc::channel(1);
        let service = Service(Arc::new(Mutex::new(asked)));
        let server = tokio::spawn(async move {
            let served = tonic::transport::Server::builder()
                .add_service(AggregatedDiscoveryServiceServer::new(service))
                .serve_with_incoming(TcpListenerStream::new(listener));
            served.await.expect("the server goes on");
        });
        let envoy = Envoy::start(&bootstrap(address)).expect("Envoy starts");
        let mut judge = Self { envoy, server, questions, count: 0, address };
        // A listener is not there before it has its Secrets.
        let good = fixtures::sec1();
        judge.certificate(&good.certificate, &good.key).await.expect("it is good");
        judge.authority(&good.certificate).await.expect("it is good");
        judge.envoy.ready().await;
        judge.address = judge.envoy.listener(CERTIFICATE).await;
        judge
    }

    /// Whether Envoy takes a chain with this key.
    ///
    /// # Errors
    /// Why not.
    pub async fn certificate(&mut self, chain: &str, key: &str) -> Verdict {
        let certificate = TlsCertificate {
            certificate_chain: Some(self.once(chain)),
            private_key: Some(inline(key.to_owned())),
            ..TlsCertificate::default()
        };
        self.ask(CERTIFICATE, secret::Type::TlsCertificate(certificate)).await
    }

    /// Whether Envoy takes a CA bundle.
    ///
    /// # Errors
    /// Why not.
    pub async fn authority(&mut self, bundle: &str) -> Verdict {
        let context = CertificateValidationContext {
            trusted_ca: Some(self.once(bundle)),
            ..CertificateValidationContext::default()
        };
        self.ask(AUTHORITY, secret::Type::ValidationContext(context)).await
    }

    /// Shakes hands by means of the certificate taken last, which the server has to show and to
    /// sign with.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn handshake(&self) -> Result<CertificateDer<'static>> {
        let mut connection = Target::tls(self.address, "host.test").raw().await?;
        connection.send("hello").await?;
        connection.read_until("hello").await?;
        connection.certificate.context("the server showed no certificate")
    }

    /// Whether Envoy is still there.
    ///
    /// # Errors
    /// If it is not.
    pub async fn is_alive(&self) -> Result<()> {
        match self.envoy.admin("/ready").await? {
            (200, _) => Ok(()),
            (status, body) => bail!("Envoy is not ready: {status} {body}"),
        }
    }

    /// Text in a form that Envoy was not sent before: an unchanged Secret it does not look at
    /// again, and acknowledges even if it has just refused it.
    fn once(&mut self, text: &str) -> DataSource {
        self.count += 1;
        inline(format!("{text}\n# {}\n", self.count))
    }

    async fn ask(&self, name: &'static str, content: secret::Type) -> Verdict {
        let (answer, verdict) = oneshot::channel();
        let question = Question { name, content, answer };
        self.questions.send(question).await.expect("the server is there");
        let verdict = tokio::time::timeout(PATIENCE, verdict).await;
        verdict.expect("Envoy answers in time").expect("Envoy is connected")
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn inline(text: String) -> DataSource {
    DataSource {
        specifier: Some(data_source::Specifier::InlineString(text)),
        ..DataSource::default()
    }
}

/// A listener that sends back what it gets, over TLS.
fn listener(name: &str, context: &Value) -> Value {
    const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
                "@type": format!("{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext"),
                "common_tls_context": context,
            }},
            "filters": [{"name": "envoy.filters.network.echo", "typed_config": {
                "@type": format!("{EXTENSIONS}.filters.network.echo.v3.Echo"),
            }}],
        }],
    })
}

fn bootstrap(server: SocketAddr) -> Value {
    let mut bootstrap = envoy::bootstrap("judge", server);
    let source =
        |name| json!({"name": name, "sds_config": {"ads": {}, "resource_api_version": "V3"}});
    let good = fixtures::sec1();
    let judged = json!({"tls_certificate_sds_secret_configs": [source(CERTIFICATE)]});
    let validating = json!({
        "tls_certificates": [{
            "certificate_chain": {"inline_string": good.certificate},
            "private_key": {"inline_string": good.key},
        }],
        "validation_context_sds_secret_config": source(AUTHORITY),
    });
    let listeners = json!([listener(CERTIFICATE, &judged), listener(AUTHORITY, &validating)]);
    if let Some(resources) =
        bootstrap.pointer_mut("/static_resources").and_then(Value::as_object_mut)
    {
        resources.insert("listeners".to_owned(), listeners);
    }
    // Nothing else is served.
    if let Some(dynamic) =
        bootstrap.pointer_mut("/dynamic_resources").and_then(Value::as_object_mut)
    {
        dynamic.retain(|field, _| field == "ads_config");
    }
    bootstrap
}

/// Puts one question after another to the Envoy that is connected.
struct Service(Arc<Mutex<mpsc::Receiver<Question>>>);

#[async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        _request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("only deltas are served"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (responses, stream) = mpsc::channel(1);
        let questions = Arc::clone(&self.0);
        tokio::spawn(question(questions, request.into_inner(), responses));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Asks until the stream ends; a question that waits for its answer then gets none.
async fn question(
    questions: Arc<Mutex<mpsc::Receiver<Question>>>,
    mut requests: Streaming<DeltaDiscoveryRequest>,
    responses: mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>,
) {
    let mut questions = questions.lock().await;
    let mut subscribed = Vec::new();
    let mut nonce = 0_u64;
    while let Some(Question { name, content, answer }) = questions.recv().await {
        while !subscribed.iter().any(|known| known == name) {
            let Ok(Some(request)) = requests.message().await else { return };
            subscribed.extend(request.resource_names_subscribe);
        }
        nonce += 1;
        let secret = Secret { name: name.to_owned(), r#type: Some(content) };
        let resource = Any { type_url: Secret::type_url(), value: secret.encode_to_vec() };
        let response = DeltaDiscoveryResponse {
            type_url: Secret::type_url(),
            nonce: nonce.to_string(),
            resources: vec![Resource {
                name: name.to_owned(),
                version: nonce.to_string(),
                resource: Some(resource),
                ..Resource::default()
            }],
            ..DeltaDiscoveryResponse::default()
        };
        if responses.send(Ok(response)).await.is_err() {
            return;
        }
        let verdict = loop {
            let Ok(Some(request)) = requests.message().await else { return };
            subscribed.extend(request.resource_names_subscribe);
            if request.response_nonce == nonce.to_string() {
                break request.error_detail.map_or(Ok(()), |status| Err(status.message));
            }
        };
        // The test may have given up.
        drop(answer.send(verdict));
    }
}
