//! The loop around a session: requests in, responses out.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use contour_core::xds::{ResourceKey, ResourceType, Version};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::cache::Group;
use super::catalog::Catalog;
use super::connection::Address;
use super::node::Node;
use super::registry::{Observe, Peer};
use super::session::Session;
use super::sotw::Sotw;
use super::wire::{DeltaRequest, Incoming, WorldRequest};
use super::{Ads, Event, HeldState, Protocol, RejectedView, Settings, TypeView, message};

/// A client that takes nothing for so long is cut off; it may come back.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// At shutdown streams end within this time, not all at once: clients reconnect elsewhere.
const STAGGER: Duration = Duration::from_secs(1);
/// The least time between two looks at the clock when nothing else happens.
const TICK: Duration = Duration::from_millis(10);
/// Responses that wait for the socket. What is pending stays in the session, where newer versions
/// replace it.
const QUEUED: usize = 1;

/// The responses of a stream.
pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// One of the two protocols, between a session and the wire.
pub(super) trait Wire: Send + Sized + 'static {
    const PROTOCOL: Protocol;
    type Request: Incoming;
    type Response: prost::Message + Default + 'static;

    fn start(node: Arc<Node>, group: Group, settings: &Settings) -> Self;
    /// The type URL and the node of a request.
    fn header(request: &Self::Request) -> (&str, Option<&core::Node>);
    fn request(
        &mut self,
        kind: ResourceType,
        request: Self::Request,
        catalog: &Catalog,
        now: Instant,
    );
    fn changed(&mut self, catalog: &Catalog, now: Instant);
    fn tick(&mut self, now: Instant);
    fn poll(&mut self, catalog: &Catalog, now: Instant) -> Option<Self::Response>;
    fn deadline(&self) -> Option<Instant>;
    fn take_events(&mut self) -> Vec<Event>;
    fn in_sync(&self) -> u64;
    fn types(&self) -> Vec<(ResourceType, TypeView)>;
    fn rejections(&self, catalog: &Catalog) -> Vec<RejectedView>;
    fn state_of(
        &self,
        key: &ResourceKey,
        catalog: &Catalog,
    ) -> Option<(HeldState, Option<Version>)>;
    fn held_since(&self, key: &ResourceKey) -> Option<Instant>;
}

/// Implements the methods of [`Wire`] that the sessions have under the same name.
macro_rules! same_methods {
    () => {
        fn changed(&mut self, catalog: &Catalog, now: Instant) {
            Self::changed(self, catalog, now);
        }
        fn deadline(&self) -> Option<Instant> {
            Self::deadline(self)
        }
        fn take_events(&mut self) -> Vec<Event> {
            Self::take_events(self)
        }
        fn in_sync(&self) -> u64 {
            Self::in_sync(self)
        }
        fn types(&self) -> Vec<(ResourceType, TypeView)> {
            Self::types(self)
        }
        fn rejections(&self, catalog: &Catalog) -> Vec<RejectedView> {
            Self::rejections(self, catalog)
        }
        fn state_of(
            &self,
            key: &ResourceKey,
            catalog: &Catalog,
        ) -> Option<(HeldState, Option<Version>)> {
            Self::state_of(self, key, catalog)
        }
        fn held_since(&self, key: &ResourceKey) -> Option<Instant> {
            Self::held_since(self, key)
        }
    };
}

impl Wire for Session {
    const PROTOCOL: Protocol = Protocol::Delta;
    type Request = DeltaRequest;
    type Response = DeltaDiscoveryResponse;

    fn start(node: Arc<Node>, group: Group, settings: &Settings) -> Self {
        Self::new(node, group, settings)
    }

    fn header(request: &Self::Request) -> (&str, Option<&core::Node>) {
        (&request.type_url, request.node.as_ref())
    }

    fn request(
        &mut self,
        kind: ResourceType,
        request: Self::Request,
        catalog: &Catalog,
        now: Instant,
    ) {
        let request = message::delta_request(kind, request);
        Self::request(self, &request, catalog, now);
    }

    fn tick(&mut self, now: Instant) {
        Self::tick(self, now);
    }

    fn poll(&mut self, catalog: &Catalog, now: Instant) -> Option<Self::Response> {
        Self::poll(self, catalog, now).map(|r| message::delta_response(&r))
    }

    same_methods!();
}

impl Wire for Sotw {
    const PROTOCOL: Protocol = Protocol::Sotw;
    type Request = WorldRequest;
    type Response = DiscoveryResponse;

    fn start(node: Arc<Node>, group: Group, _: &Settings) -> Self {
        Self::new(node, group)
    }

    fn header(request: &Self::Request) -> (&str, Option<&core::Node>) {
        (&request.type_url, request.node.as_ref())
    }

    fn request(
        &mut self,
        kind: ResourceType,
        request: Self::Request,
        catalog: &Catalog,
        now: Instant,
    ) {
        let request = message::sotw_request(kind, request);
        Self::request(self, &request, catalog, now);
    }

    fn tick(&mut self, _: Instant) {}

    fn poll(&mut self, catalog: &Catalog, now: Instant) -> Option<Self::Response> {
        Self::poll(self, catalog, now).map(|r| message::sotw_response(&r))
    }

    same_methods!();
}

/// A session, shared between its stream and those who ask about it.
struct Shared<S>(Mutex<S>);

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Wire> Observe for Shared<S> {
    fn in_sync(&self) -> u64 {
        self.lock().in_sync()
    }

    fn types(&self) -> Vec<(ResourceType, TypeView)> {
        self.lock().types()
    }

    fn rejections(&self, catalog: &Catalog) -> Vec<RejectedView> {
        self.lock().rejections(catalog)
    }

    fn state_of(
        &self,
        key: &ResourceKey,
        catalog: &Catalog,
    ) -> Option<(HeldState, Option<Version>)> {
        self.lock().state_of(key, catalog)
    }

    fn held_since(&self, key: &ResourceKey) -> Option<Instant> {
        self.lock().held_since(key)
    }
}

/// Serves a stream: of one type if `only` says so, otherwise of all.
pub(super) fn open<S: Wire>(
    ads: &Ads,
    only: Option<ResourceType>,
    shutdown: &CancellationToken,
    request: tonic::Request<Streaming<S::Request>>,
) -> Responses<S::Response> {
    let address = request.extensions().get::<Address>().and_then(|a| a.0);
    let inbound = request.into_inner();
    let (outbound, responses) = mpsc::channel(QUEUED);
    let (ads, shutdown) = (ads.clone(), shutdown.clone());
    // The task ends when the client goes away, is cut off, or at shutdown.
    tokio::spawn(async move {
        let end = outbound.clone();
        let opening = Opening::<S> { only, address, inbound, outbound };
        if let Err(status) = converse(&ads, opening, &shutdown).await {
            // A client that takes nothing will not take this either.
            drop(tokio::time::timeout(STAGGER, end.send(Err(status))).await);
        }
    });
    Box::pin(ReceiverStream::new(responses))
}

/// A stream that is being opened.
struct Opening<S: Wire> {
    only: Option<ResourceType>,
    address: Option<SocketAddr>,
    inbound: Streaming<S::Request>,
    outbound: mpsc::Sender<Result<S::Response, Status>>,
}

async fn converse<S: Wire>(
    ads: &Ads,
    opening: Opening<S>,
    shutdown: &CancellationToken,
) -> Result<(), Status> {
    let Opening { only, address, mut inbound, outbound } = opening;
    let first = tokio::select! {
        first = inbound.message() => first?,
        () = shutdown.cancelled() => return Err(going_away()),
    };
    let Some(first) = first else { return Ok(()) };
    let node = Arc::new(admit::<S>(ads, &first)?);
    let group = ads.shared.catalog.group(node.version);
    let session = S::start(Arc::clone(&node), group, &ads.shared.settings);
    let session = Arc::new(Shared(Mutex::new(session)));
    let peer = Peer {
        node: Arc::clone(&node),
        address,
        connected: SystemTime::now(),
        opened: Instant::now(),
        protocol: S::PROTOCOL,
        session: Arc::clone(&session) as Arc<dyn Observe>,
    };
    let number = ads.shared.registry.add(peer);
    let registered = Registered { ads, node, number };
    tracing::info!(node = %registered.node.id, protocol = ?S::PROTOCOL, ?address,
        "Envoy connected");
    ads.emit(Event::Connected { node: Arc::clone(&registered.node.id) });
    let conversation =
        Conversation { ads, only, session, bell: ads.shared.catalog.bell(), inbound, outbound };
    conversation.run(first, stagger(&registered.node), shutdown).await
}

/// Who opened a stream, unless it has to be turned away.
fn admit<S: Wire>(ads: &Ads, first: &S::Request) -> Result<Node, Status> {
    let (_, node) = S::header(first);
    let Some(node) = node else {
        return Err(Status::invalid_argument(
            "the first request of a stream must carry the node; set node.id and node.cluster in \
             Envoy's bootstrap",
        ));
    };
    let node = Node::of(node);
    if let Some(message) = node.unfit(ads.shared.settings.tls_layout_minimum_envoy) {
        tracing::warn!(node = %node.id, message, "Envoy refused");
        ads.emit(Event::Refused { node: node.id, message: message.as_str().into() });
        return Err(Status::failed_precondition(message));
    }
    Ok(node)
}

/// Takes the stream off the registry, however it ends.
struct Registered<'a> {
    ads: &'a Ads,
    node: Arc<Node>,
    number: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.ads.shared.registry.remove(self.number, &self.ads.shared.catalog);
        tracing::info!(node = %self.node.id, "Envoy disconnected");
        self.ads.emit(Event::Disconnected { node: Arc::clone(&self.node.id) });
    }
}

/// When this client's streams end at shutdown.
fn stagger(node: &Node) -> Duration {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    let share = u32::try_from(hasher.finish() % 1_000).unwrap_or(0);
    STAGGER * share / 1_000
}

fn going_away() -> Status {
    Status::unavailable("the controller is shutting down; reconnect to another replica")
}

struct Conversation<'a, S: Wire> {
    ads: &'a Ads,
    only: Option<ResourceType>,
    session: Arc<Shared<S>>,
    bell: watch::Receiver<u64>,
    inbound: Streaming<S::Request>,
    outbound: mpsc::Sender<Result<S::Response, Status>>,
}

impl<S: Wire> Conversation<'_, S> {
    async fn run(
        mut self,
        first: S::Request,
        stagger: Duration,
        shutdown: &CancellationToken,
    ) -> Result<(), Status> {
        let end = async {
            shutdown.cancelled().await;
            tokio::time::sleep(stagger).await;
        };
        tokio::pin!(end);
        self.step(S::changed);
        self.take(first)?;
        // The session may have something to send; since when the socket has taken nothing.
        let (mut hungry, mut waiting_since) = (true, Instant::now());
        loop {
            let deadline = self.deadline(hungry.then_some(waiting_since));
            let mut fed = false;
            tokio::select! {
                () = &mut end => return Err(going_away()),
                request = self.inbound.message() => match request? {
                    Some(request) => self.take(request)?,
                    None => return Ok(()),
                },
                rung = self.bell.changed() => {
                    rung.map_err(|_closed| going_away())?;
                    self.step(S::changed);
                }
                permit = self.outbound.reserve(), if hungry => {
                    // Without a receiver the client is gone.
                    let Ok(permit) = permit else { return Ok(()) };
                    fed = true;
                    hungry = self.feed(permit);
                    waiting_since = Instant::now();
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    if hungry && waiting_since.elapsed() >= WRITE_TIMEOUT {
                        return Err(Status::deadline_exceeded("the client reads nothing"));
                    }
                    self.step(|session, _, now| session.tick(now));
                }
            }
            if !hungry && !fed {
                (hungry, waiting_since) = (true, Instant::now());
            }
            self.emit();
        }
    }

    /// Sends the next response, if there is one.
    fn feed(&self, permit: mpsc::Permit<'_, Result<S::Response, Status>>) -> bool {
        let response = self.session.lock().poll(&self.ads.shared.catalog, Instant::now());
        let sent = response.is_some();
        if let Some(response) = response {
            permit.send(Ok(response));
        }
        sent
    }

    /// When to look at the clock next.
    fn deadline(&self, waiting_since: Option<Instant>) -> Instant {
        let now = Instant::now();
        let own = self.session.lock().deadline().map(|d| d.max(now + TICK));
        let write = waiting_since.map(|since| since + WRITE_TIMEOUT);
        let idle = now + WRITE_TIMEOUT;
        own.into_iter().chain(write).min().unwrap_or(idle)
    }

    fn step(&self, input: impl FnOnce(&mut S, &Catalog, Instant)) {
        let now = Instant::now();
        input(&mut self.session.lock(), &self.ads.shared.catalog, now);
    }

    fn take(&self, request: S::Request) -> Result<(), Status> {
        let (url, _) = S::header(&request);
        let kind = match (self.only, ResourceType::from_type_url(url)) {
            (Some(only), None) if url.is_empty() => only,
            (Some(only), Some(kind)) if kind == only => kind,
            (Some(only), _) => {
                return Err(Status::invalid_argument(format!(
                    "this service serves {}, not {url}; use the aggregated service",
                    only.type_url()
                )));
            }
            (None, Some(kind)) => kind,
            (None, None) => {
                tracing::debug!(url, "a client asks for a type that is not served");
                return Ok(());
            }
        };
        self.step(|session, catalog, now| session.request(kind, request, catalog, now));
        Ok(())
    }

    fn emit(&self) {
        let events = self.session.lock().take_events();
        for event in events {
            self.ads.emit(event);
        }
    }
}
