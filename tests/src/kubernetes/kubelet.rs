//! A kubelet that runs nothing, but forwards ports of Pods to where their servers are.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Objects;
use crate::certificates::authority;

/// The name of its node.
pub const NODE: &str = "node-1";

/// Where the ports of Pods are: by name of the Pod and port.
pub type Ports = BTreeMap<(String, u16), SocketAddr>;

/// See the module. Ended when dropped.
pub struct Kubelet {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kubelet {
    /// Starts one on 127.0.0.1.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(ports: Ports) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let task = tokio::spawn(accept(listener, acceptor(), Arc::new(ports)));
        Self { port, task }
    }

    /// Makes its node known to the API server.
    ///
    /// # Panics
    /// If the API server refuses.
    pub async fn register(&self, admin: &Objects) {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
        admin.apply_value(&node).await.expect("a Node is accepted");
        let status = json!({"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
        }});
        let path = format!("/api/v1/nodes/{NODE}/status");
        admin.merge(&path, &status).await.expect("the status of a Node is accepted");
    }
}

/// Puts a Pod that is ready onto the node. The Namespace gets its `ServiceAccount` `default`.
///
/// # Panics
/// If the API server refuses.
pub async fn run_pod(admin: &Objects, namespace: &str, app: &str, name: &str, image: &str) {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"namespace": namespace, "name": "default"},
    });
    admin.apply_value(&account).await.expect("a ServiceAccount is accepted");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}},
        "spec": {"nodeName": NODE, "containers": [{"name": app, "image": image}]},
    });
    admin.apply_value(&pod).await.expect("a Pod is accepted");
    set_ready(admin, namespace, name, true).await;
}

/// Makes a Pod ready, or not.
///
/// # Panics
/// If the API server refuses.
pub async fn set_ready(admin: &Objects, namespace: &str, name: &str, ready: bool) {
    let (status, message) = if ready { ("True", "") } else { ("False", "it was told to be so") };
    let status: Value = json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": status, "message": message}],
    }});
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/status");
    admin.merge(&path, &status).await.expect("the status of a Pod is accepted");
}

fn acceptor() -> TlsAcceptor {
    let pair = authority().leaf(&["127.0.0.1"]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions fit the provider")
        .with_no_client_auth()
        .with_single_cert(pair.chain(), pair.private_key());
    TlsAcceptor::from(Arc::new(config.expect("the key fits the certificate")))
}

/// Connections live in a set that ends with this task.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, ports: Arc<Ports>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, ports) = (acceptor.clone(), Arc::clone(&ports));
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request| {
                let answer = answer(request, &ports);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // One that breaks off has been upgraded, or its client is gone.
            drop(connection.with_upgrades().await);
        });
        while connections.try_join_next().is_some() {}
    }
}

fn answer(mut request: Request<Incoming>, ports: &Ports) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let Some((pod, port)) = asked(&request) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let key = request.headers().get(SEC_WEBSOCKET_KEY).cloned();
    let Some(key) = key else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let target = ports.get(&(pod, port)).copied();
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        bridge(socket, port, target).await;
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(key.as_bytes());
    let headers = response.headers_mut();
    for (name, value) in [
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_ACCEPT, accept.as_str()),
        (SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io"),
    ] {
        headers.insert(name, value.parse().expect("a header"));
    }
    response
}

/// The Pod and its port: `/portForward/NAMESPACE/POD?port=PORT`.
fn asked(request: &Request<Incoming>) -> Option<(String, u16)> {
    let mut parts = request.uri().path().strip_prefix("/portForward/")?.split('/');
    let (_namespace, pod) = (parts.next()?, parts.next()?);
    let query = request.uri().query()?.split('&');
    let port =
        query.filter_map(|pair| pair.split_once('=')).find(|(k, _)| k.starts_with("port"))?;
    Some((pod.to_owned(), port.1.parse().ok()?))
}

/// Channel 0 is the data of the port, channel 1 what is wrong with it; each begins with its number
/// (k8s.io/kubelet/pkg/cri/streaming/portforward).
async fn bridge<S>(mut socket: WebSocketStream<S>, port: u16, target: Option<SocketAddr>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        drop(socket.send(Message::binary(vec![channel, low, high])).await);
    }
    let stream = match target {
        Some(target) => TcpStream::connect(target).await.ok(),
        None => None,
    };
    let Some(mut stream) = stream else {
        let mut message = vec![1];
        message.extend_from_slice(format!("nobody listens on port {port}").as_bytes());
        drop(socket.send(Message::binary(message)).await);
        // A connection that is dropped with a request unread is reset, and the message goes with it.
        drop(socket.close(None).await);
        while let Some(Ok(_)) = socket.next().await {}
        return;
    };
    let mut buffer = vec![0; 16 * 1_024];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let data = bytes.strip_prefix(&[0]).unwrap_or_default();
                    if stream.write_all(data).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            read = stream.read(&mut buffer) => {
                let Some(data) = read.ok().filter(|n| *n > 0).and_then(|n| buffer.get(..n)) else {
                    drop(socket.close(None).await);
                    return;
                };
                let mut message = vec![0];
                message.extend_from_slice(data);
                if socket.send(Message::binary(message)).await.is_err() {
                    return;
                }
            }
        }
    }
}
