//! The gRPC services of xDS, all of them the same streams.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use contour_core::xds::ResourceType;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_server as csds;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::Ads;
use super::session::Session;
use super::sotw::Sotw;
use super::stream::{Responses, Wire, open};
use super::wire::Codec;

/// The first request of a reconnecting Envoy names everything it holds (Envoy #46072), and all that
/// its clients asked for while no controller answered.
const REQUEST_BYTES_MAX: usize = 256 * 1_024 * 1_024;

/// Every service.
#[derive(Clone)]
pub(super) struct Services {
    server: Ads,
    shutdown: CancellationToken,
}

impl Services {
    pub(super) fn new(server: Ads, shutdown: CancellationToken) -> Self {
        Self { server, shutdown }
    }

    pub(super) fn server(&self) -> &Ads {
        &self.server
    }

    pub(super) fn routes(self) -> Routes {
        let client_status = csds::ClientStatusDiscoveryServiceServer::new(self.clone())
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        Routes::new(client_status)
            .add_service(self.discovery::<Aggregated>())
            .add_service(self.discovery::<Clusters>())
            .add_service(self.discovery::<Endpoints>())
            .add_service(self.discovery::<Listeners>())
            .add_service(self.discovery::<RouteConfigurations>())
            .add_service(self.discovery::<ScopedRoutes>())
            .add_service(self.discovery::<Secrets>())
    }

    fn discovery<A: Api>(&self) -> Discovery<A> {
        Discovery { services: self.clone(), api: PhantomData }
    }
}

/// A discovery service: its name, its methods, and the one type that it serves, if not all.
trait Api: Send + Sync + 'static {
    const SERVICE: &'static str;
    const WORLD: &'static str;
    const DELTA: &'static str;
    const ONLY: Option<ResourceType>;
}

macro_rules! api {
    ($name:ident, $service:literal, $world:literal, $delta:literal, $only:expr) => {
        struct $name;
        impl Api for $name {
            const SERVICE: &'static str = concat!("envoy.service.", $service);
            const WORLD: &'static str = concat!("/envoy.service.", $service, "/", $world);
            const DELTA: &'static str = concat!("/envoy.service.", $service, "/", $delta);
            const ONLY: Option<ResourceType> = $only;
        }
    };
}

api!(
    Aggregated,
    "discovery.v3.AggregatedDiscoveryService",
    "StreamAggregatedResources",
    "DeltaAggregatedResources",
    None
);
api!(
    Clusters,
    "cluster.v3.ClusterDiscoveryService",
    "StreamClusters",
    "DeltaClusters",
    Some(ResourceType::Cluster)
);
api!(
    Endpoints,
    "endpoint.v3.EndpointDiscoveryService",
    "StreamEndpoints",
    "DeltaEndpoints",
    Some(ResourceType::Endpoint)
);
api!(
    Listeners,
    "listener.v3.ListenerDiscoveryService",
    "StreamListeners",
    "DeltaListeners",
    Some(ResourceType::Listener)
);
api!(
    RouteConfigurations,
    "route.v3.RouteDiscoveryService",
    "StreamRoutes",
    "DeltaRoutes",
    Some(ResourceType::Route)
);
api!(
    ScopedRoutes,
    "route.v3.ScopedRoutesDiscoveryService",
    "StreamScopedRoutes",
    "DeltaScopedRoutes",
    Some(ResourceType::ScopedRoute)
);
api!(
    Secrets,
    "secret.v3.SecretDiscoveryService",
    "StreamSecrets",
    "DeltaSecrets",
    Some(ResourceType::Secret)
);

/// The service of an [`Api`]. The generated ones end a stream at the first text that is no UTF-8.
struct Discovery<A> {
    services: Services,
    api: PhantomData<A>,
}

impl<A> Clone for Discovery<A> {
    fn clone(&self) -> Self {
        Self { services: self.services.clone(), api: PhantomData }
    }
}

impl<A: Api> NamedService for Discovery<A> {
    const NAME: &'static str = A::SERVICE;
}

impl<A: Api> Service<http::Request<Body>> for Discovery<A> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let services = self.services.clone();
        let path = request.uri().path();
        if path == A::WORLD {
            Box::pin(services.stream::<Sotw>(A::ONLY, request))
        } else if path == A::DELTA {
            Box::pin(services.stream::<Session>(A::ONLY, request))
        } else {
            let status = Status::unimplemented("open a stream: single fetches are not served");
            Box::pin(async { Ok(status.into_http()) })
        }
    }
}

impl Services {
    async fn stream<S: Wire>(
        self,
        only: Option<ResourceType>,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Infallible> {
        let codec = Codec::<S::Request, S::Response>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(REQUEST_BYTES_MAX);
        let method = Method { services: self, only, wire: PhantomData::<S> };
        Ok(grpc.streaming(method, request).await)
    }
}

/// The one method that a call is for.
struct Method<S> {
    services: Services,
    only: Option<ResourceType>,
    wire: PhantomData<S>,
}

impl<S: Wire> StreamingService<S::Request> for Method<S> {
    type Response = S::Response;
    type ResponseStream = Responses<S::Response>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<S::Request>>) -> Self::Future {
        let Services { server, shutdown } = &self.services;
        std::future::ready(Ok(Response::new(open::<S>(server, self.only, shutdown, request))))
    }
}
