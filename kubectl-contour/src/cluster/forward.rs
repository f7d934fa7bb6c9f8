//! Requests to a port on a Pod's loopback, through the API server.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use contour_cluster::access::reason;
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::Portforwarder;
use kube::client::UpgradeConnectionError;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Cluster;
use crate::request::{self, Lines, RequestError};

/// How long an answer may take if `--request-timeout` says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

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

    /// The name by which a server that listens on loopback alone is asked.
    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn unanswered(&self, error: RequestError, path: &str) -> ForwardTrouble {
        match error {
            RequestError::Failed(why) => self.failed(why),
            RequestError::Status(status) => ForwardTrouble::Unexpected {
                pod: self.pod.clone(),
                status: status.as_u16(),
                path: path.to_owned(),
            },
        }
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
        let (mut tunnel, stream) = self.tunnel(at).await?;
        let host = at.host();
        let answer = request::get(stream, &host, path);
        let answer = tunnel.through(at, answer).await?;
        answer.map_err(|error| at.unanswered(error, path))
    }

    /// What a server on a Pod's port answers to GET, line by line, for as long as it goes on.
    ///
    /// # Errors
    /// If the user may not, there is no such Pod, nobody answers, or with another status than 200.
    pub async fn lines_from_pod(
        &self,
        at: &PodPort,
        path: &str,
    ) -> Result<PodLines, ForwardTrouble> {
        let limit = self.timeout.unwrap_or(PATIENCE);
        let begin = async {
            let (mut tunnel, stream) = self.tunnel(at).await?;
            let host = at.host();
            let lines = tunnel.through(at, request::lines(stream, &host, path)).await?;
            let lines = lines.map_err(|error| at.unanswered(error, path))?;
            Ok(PodLines { at: at.clone(), path: path.to_owned(), lines, tunnel })
        };
        tokio::time::timeout(limit, begin).await.unwrap_or_else(|_elapsed| {
            Err(at.failed(format!("no answer within {}", crate::duration::show(limit))))
        })
    }

    async fn tunnel(
        &self,
        at: &PodPort,
    ) -> Result<(Tunnel, impl AsyncRead + AsyncWrite + Unpin + Send + 'static), ForwardTrouble>
    {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &at.namespace);
        let begun = pods.portforward(&at.pod, &[at.port]).await;
        let mut forwarder = begun.map_err(|error| at.refused(&error))?;
        let refusal = forwarder.take_error(at.port);
        let stream = forwarder.take_stream(at.port);
        let stream = stream.ok_or_else(|| at.failed("the port was not forwarded"))?;
        let refusal: Refusal = Box::pin(async {
            match refusal {
                Some(refusal) => refusal.await,
                None => None,
            }
        });
        Ok((Tunnel { forwarder, refusal: Some(refusal) }, stream))
    }
}

/// What kubelet says against forwarding a port, if it ever does.
type Refusal = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// A way to a Pod's port, which ends when it is dropped.
struct Tunnel {
    forwarder: Portforwarder,
    /// Gone once it has said that there is none.
    refusal: Option<Refusal>,
}

impl Tunnel {
    /// Does something by way of it.
    async fn through<T>(
        &mut self,
        at: &PodPort,
        work: impl Future<Output = T>,
    ) -> Result<T, ForwardTrouble> {
        tokio::pin!(work);
        if let Some(refusal) = &mut self.refusal {
            // What kubelet says against it is more than that the stream has ended.
            tokio::select! {
                biased;
                refused = refusal => {
                    self.refusal = None;
                    if let Some(message) = refused {
                        return Err(at.failed(message.trim()));
                    }
                }
                result = &mut work => return Ok(result),
            }
        }
        Ok(work.await)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

/// An answer of a Pod that goes on and on.
pub struct PodLines {
    at: PodPort,
    path: String,
    lines: Lines,
    tunnel: Tunnel,
}

impl PodLines {
    /// The next line; `None` at the end of the answer.
    ///
    /// # Errors
    /// If it breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ForwardTrouble> {
        let Self { at, path, lines, tunnel } = self;
        let line = tunnel.through(at, lines.next()).await?;
        line.map_err(|error| at.unanswered(error, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> PodPort {
        PodPort { namespace: "ns".to_owned(), pod: "contour-1".to_owned(), port: 6060 }
    }

    #[test]
    fn another_status_is_said_with_pod_and_path() {
        assert_eq!(at().host(), "127.0.0.1:6060");
        let error = RequestError::Status(StatusCode::NOT_FOUND);
        let said = at().unanswered(error, "/debug/envoys").to_string();
        assert_eq!(said, "pod contour-1 answers 404 to /debug/envoys");
        let error = RequestError::Failed("it broke off".to_owned());
        let said = at().unanswered(error, "/debug/envoys").to_string();
        assert_eq!(said, "port 6060 of pod contour-1 cannot be asked: it broke off");
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
