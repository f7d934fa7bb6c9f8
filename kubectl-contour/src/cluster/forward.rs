//! Requests to a port on a Pod's loopback, through the API server.

use std::time::Duration;

use bytes::Bytes;
use contour_cluster::access::reason;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::client::UpgradeConnectionError;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Cluster;

/// How long an answer may take if `--request-timeout` says nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const MAX_BYTES: usize = 64 * 1_024 * 1_024;

/// A port of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPort {
    /// The namespace.
    pub namespace: String,
    /// The Pod.
    pub pod: String,
    /// The port.
    pub port: u16,
}

/// Why a Pod's port gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardTrouble {
    /// The user may not forward ports.
    #[error(
        "you may not forward ports to pods in {namespace}: it takes the verb create (and get) on \
         pods/portforward"
    )]
    Forbidden {
        /// Where.
        namespace: String,
    },
    /// There is no such Pod.
    #[error("there is no pod {namespace}/{pod} any more")]
    Gone {
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
    },
    /// It did not come about.
    #[error("port {port} of pod {pod} cannot be asked: {reason}")]
    Failed {
        /// The Pod.
        pod: String,
        /// The port.
        port: u16,
        /// What happened.
        reason: String,
    },
    /// The Pod answers something else than was asked for.
    #[error("pod {pod} answers {status} to {path}")]
    Unexpected {
        /// The Pod.
        pod: String,
        /// The HTTP status.
        status: u16,
        /// What it was asked.
        path: String,
    },
}

impl PodPort {
    fn failed(&self, reason: impl Into<String>) -> ForwardTrouble {
        ForwardTrouble::Failed { pod: self.pod.clone(), port: self.port, reason: reason.into() }
    }

    fn refused(&self, error: &kube::Error) -> ForwardTrouble {
        let kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) = error
        else {
            return self.failed(reason(error));
        };
        let namespace = self.namespace.clone();
        match *status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                ForwardTrouble::Forbidden { namespace }
            }
            StatusCode::NOT_FOUND => ForwardTrouble::Gone { namespace, pod: self.pod.clone() },
            other => self.failed(format!("the API server answers {other}")),
        }
    }
}

impl Cluster {
    /// What a server on a Pod's port, also one on its loopback alone, answers to GET.
    ///
    /// # Errors
    /// If the user may not, there is no such Pod, nobody answers, or with another status than 200.
    pub async fn get_from_pod(&self, at: &PodPort, path: &str) -> Result<Bytes, ForwardTrouble> {
        let limit = self.timeout.unwrap_or(PATIENCE);
        let exchange = tokio::time::timeout(limit, self.exchange(at, path));
        exchange.await.unwrap_or_else(|_elapsed| {
            Err(at.failed(format!("no answer within {}", crate::duration::show(limit))))
        })
    }

    async fn exchange(&self, at: &PodPort, path: &str) -> Result<Bytes, ForwardTrouble> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &at.namespace);
        let forwarded = pods.portforward(&at.pod, &[at.port]).await;
        let mut tunnel = forwarded.map_err(|error| at.refused(&error))?;
        let refusal = tunnel.take_error(at.port);
        let stream = tunnel.take_stream(at.port);
        let stream = stream.ok_or_else(|| at.failed("the port was not forwarded"))?;
        let answer = get(stream, at, path);
        tokio::pin!(answer);
        let refusal = async {
            match refusal {
                Some(refusal) => refusal.await,
                None => None,
            }
        };
        // What kubelet says against it is more than that the stream has ended.
        let result = tokio::select! {
            biased;
            Some(message) = refusal => Err(at.failed(message.trim())),
            result = &mut answer => result,
        };
        tunnel.abort();
        result
    }
}

/// Asks over a stream that leads to the port.
async fn get<S>(stream: S, at: &PodPort, path: &str) -> Result<Bytes, ForwardTrouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| at.failed(reason(&error));
    let (mut sender, connection) =
        http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(failed)?;
    let request = Request::get(path)
        .header(http::header::HOST, format!("127.0.0.1:{}", at.port))
        .header(http::header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| at.failed(error.to_string()))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| at.failed(error.to_string()))?.to_bytes();
        if status == StatusCode::OK {
            return Ok(body);
        }
        let (pod, path) = (at.pod.clone(), path.to_owned());
        Err(ForwardTrouble::Unexpected { pod, status: status.as_u16(), path })
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        result = &mut exchange => result,
        ended = &mut connection => match ended {
            // All that came has been read: what is left of the exchange needs no connection.
            Ok(()) => exchange.await,
            Err(error) => Err(failed(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn at() -> PodPort {
        PodPort { namespace: "ns".to_owned(), pod: "contour-1".to_owned(), port: 6060 }
    }

    async fn answered(answer: &'static str) -> (String, Result<Bytes, ForwardTrouble>) {
        let (near, mut far) = tokio::io::duplex(4_096);
        let server = tokio::spawn(async move {
            let mut request = vec![0; 4_096];
            let read = far.read(&mut request).await.unwrap();
            far.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let result = get(near, &at(), "/debug/envoys").await;
        (server.await.unwrap(), result)
    }

    #[tokio::test]
    async fn the_port_is_asked_by_the_address_that_it_listens_on() {
        let (request, result) = answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        assert!(request.starts_with("GET /debug/envoys HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("host: 127.0.0.1:6060\r\n"), "{request}");
        assert_eq!(result, Ok(Bytes::from_static(b"{}")));
    }

    #[tokio::test]
    async fn another_status_and_an_answer_that_breaks_off_are_troubles() {
        let (_, result) = answered("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        let said = result.unwrap_err().to_string();
        assert_eq!(said, "pod contour-1 answers 404 to /debug/envoys");
        let (_, result) = answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").await;
        assert!(result.unwrap_err().to_string().contains("port 6060 of pod contour-1"));
    }

    #[test]
    fn a_refusal_names_what_is_missing() {
        let refused = |status| {
            let switch = UpgradeConnectionError::ProtocolSwitch(status);
            at().refused(&kube::Error::UpgradeConnection(switch)).to_string()
        };
        assert!(
            refused(StatusCode::FORBIDDEN).contains("verb create (and get) on pods/portforward")
        );
        assert_eq!(refused(StatusCode::NOT_FOUND), "there is no pod ns/contour-1 any more");
        assert!(refused(StatusCode::BAD_GATEWAY).contains("the API server answers 502"));
    }
}
