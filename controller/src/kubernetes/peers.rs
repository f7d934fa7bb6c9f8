//! Asks the other replicas what the Envoys connected to them have of an object's resources.
//!
//! Replicas agree on versions, which are hashes of contents, so one can speak of another's Envoys.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contour_core::name::ObjectRef;
use contour_core::xds::{ResourceKey, Version};
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_client as csds;
use futures_util::future::join_all;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::ads::HeldState;
use crate::ads::client_status::{Held, question, read};
use crate::config::XdsSecurity;
use crate::tls;

/// How long another replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Questions that are asked in one go.
const TOGETHER: usize = 256;

/// Bytes of an answer that are read at most.
const ANSWER: usize = 64 << 20;

/// The name in a controller's certificate.
const NAME: &str = "contour";

/// What an Envoy has of what was made of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Acknowledged,
    Waiting,
    Refused(Arc<str>),
}

impl Standing {
    /// Of an Envoy that two tell of: it has just gone from one to the other.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused(message), _) | (_, Self::Refused(message)) => Self::Refused(message),
            (Self::Acknowledged, _) | (_, Self::Acknowledged) => Self::Acknowledged,
            (Self::Waiting, Self::Waiting) => Self::Waiting,
        }
    }
}

/// By node id, what Envoys have of what was made of an object.
pub(crate) type Standings = BTreeMap<Arc<str>, Standing>;

/// What the others' Envoys have of an object's resources.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) object: ObjectRef,
    pub(crate) revision: u64,
    pub(crate) resources: Vec<(ResourceKey, Version)>,
    /// What our own have.
    pub(crate) own: Standings,
}

/// What all Envoys have.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) object: ObjectRef,
    pub(crate) revision: u64,
    pub(crate) all: Standings,
    /// Whether every replica has answered.
    pub(crate) is_whole: bool,
}

/// Where the replicas listen for Envoys, this one among them.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<BTreeSet<SocketAddr>>);

impl Addresses {
    pub(crate) fn set(&self, addresses: BTreeSet<SocketAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    fn get(&self) -> BTreeSet<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is anybody else to ask.
    pub(crate) fn are_several(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() > 1
    }
}

/// Connections to the other replicas, over which they are asked.
pub(crate) struct Asker {
    addresses: Arc<Addresses>,
    security: XdsSecurity,
    channels: HashMap<SocketAddr, Channel>,
}

/// See the module.
pub(crate) struct Peers {
    pub(crate) asker: Asker,
    pub(crate) answers: mpsc::Sender<Answer>,
}

impl Peers {
    /// Asks until `stop` is cancelled.
    pub(crate) async fn run(
        mut self,
        mut questions: mpsc::Receiver<Question>,
        stop: CancellationToken,
    ) {
        let mut together = Vec::new();
        while let Some(1..) =
            stop.run_until_cancelled(questions.recv_many(&mut together, TOGETHER)).await
        {
            let questions = std::mem::take(&mut together);
            for answer in self.asker.ask(questions).await {
                // The engine ends before us when the controller stops.
                let _unheard = self.answers.send(answer).await;
            }
        }
    }
}

impl Asker {
    /// Asks nobody yet.
    pub(crate) fn new(addresses: Arc<Addresses>, security: XdsSecurity) -> Self {
        Self { addresses, security, channels: HashMap::new() }
    }

    /// What the Envoys of all replicas have; of our own alone, if there is no other replica.
    pub(crate) async fn ask(&mut self, questions: Vec<Question>) -> Vec<Answer> {
        // Alone, there is nobody to ask: not even ourselves.
        let several = self.addresses.are_several();
        let addresses = if several { self.addresses.get() } else { BTreeSet::new() };
        self.channels.retain(|address, _| addresses.contains(address));
        for address in addresses {
            if !self.channels.contains_key(&address) {
                let channel = self.channel(address);
                self.channels.insert(address, channel);
            }
        }
        let keys: BTreeSet<&ResourceKey> =
            questions.iter().flat_map(|q| q.resources.iter().map(|(key, _)| key)).collect();
        let requests = self.channels.iter().map(async |(address, channel)| {
            let client = csds::ClientStatusDiscoveryServiceClient::new(channel.clone());
            let mut client = client.max_decoding_message_size(ANSWER);
            let request = client.fetch_client_status(question(keys.iter().copied()));
            match tokio::time::timeout(PATIENCE, request).await {
                Ok(Ok(response)) => Some(read(response.into_inner())),
                Ok(Err(status)) => {
                    tracing::debug!(%address, "another replica does not answer: {status}");
                    None
                }
                Err(_) => None,
            }
        });
        let told = join_all(requests).await;
        let is_whole = told.iter().all(Option::is_some);
        let told: Vec<_> = told.into_iter().flatten().collect();
        let answer = |question: Question| {
            let mut all = question.own;
            for (node, held) in told.iter().flatten() {
                let standing = standing(&question.resources, held);
                let standing = match all.remove(node) {
                    Some(before) => before.or(standing),
                    None => standing,
                };
                all.insert(Arc::clone(node), standing);
            }
            Answer { object: question.object, revision: question.revision, all, is_whole }
        };
        questions.into_iter().map(answer).collect()
    }

    /// Connects when it is first used, and again when the connection breaks.
    fn channel(&self, address: SocketAddr) -> Channel {
        let security = self.security.clone();
        let connector = tower::service_fn(move |_: Uri| connect(address, security.clone()));
        let uri = Uri::from_static("http://contour");
        Endpoint::from(uri).connect_timeout(PATIENCE).connect_with_connector_lazy(connector)
    }
}

/// What an Envoy has of these versions, by what another replica tells of it.
fn standing(resources: &[(ResourceKey, Version)], held: &BTreeMap<ResourceKey, Held>) -> Standing {
    let mut standing = Standing::Acknowledged;
    for (key, version) in resources {
        // What an Envoy does not ask for, it does not need.
        let Some(held) = held.get(key) else { continue };
        match &held.state {
            _ if held.version != Some(*version) => standing = Standing::Waiting,
            HeldState::Rejected { message } => return Standing::Refused(Arc::clone(message)),
            HeldState::Pending | HeldState::Sent => standing = Standing::Waiting,
            HeldState::Acknowledged => {}
        }
    }
    standing
}

/// A stream in either form.
trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

async fn connect(
    address: SocketAddr,
    security: XdsSecurity,
) -> std::io::Result<TokioIo<Box<dyn Stream>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match security {
        XdsSecurity::Plaintext => Box::new(stream),
        XdsSecurity::Mutual(files) => {
            let config = tls::client(&files).map_err(std::io::Error::other)?;
            let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
            Box::new(tokio_rustls::TlsConnector::from(config).connect(name, stream).await?)
        }
    };
    Ok(TokioIo::new(stream))
}

#[cfg(test)]
mod tests {
    use contour_core::xds::ResourceType;

    use super::*;

    #[test]
    fn an_envoy_stands_where_the_worst_of_its_resources_does() {
        let key = |name: &str| ResourceKey::new(ResourceType::Route, name);
        let (new, old) = (Version::of(b"new"), Version::of(b"old"));
        let resources = [(key("a"), new), (key("b"), new), (key("unasked"), new)];
        let held = |version, state| Held { version: Some(version), state };
        let fine = |name: &str| (key(name), held(new, HeldState::Acknowledged));
        let refused = || HeldState::Rejected { message: "no".into() };
        let stands = |b: Held| standing(&resources, &[fine("a"), (key("b"), b)].into());
        assert_eq!(stands(held(new, HeldState::Acknowledged)), Standing::Acknowledged);
        assert_eq!(stands(held(new, HeldState::Pending)), Standing::Waiting);
        assert_eq!(stands(held(old, HeldState::Acknowledged)), Standing::Waiting);
        assert_eq!(stands(held(old, refused())), Standing::Waiting);
        assert_eq!(stands(held(new, refused())), Standing::Refused("no".into()));
    }
}
