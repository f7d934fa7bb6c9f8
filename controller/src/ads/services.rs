//! The gRPC services of xDS, all of them the same streams.

use contour_core::xds::ResourceType;
use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_server as cds;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server as ads;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::endpoint::v3::endpoint_discovery_service_server as eds;
use envoy_types::pb::envoy::service::listener::v3::listener_discovery_service_server as lds;
use envoy_types::pb::envoy::service::route::v3::route_discovery_service_server as rds;
use envoy_types::pb::envoy::service::route::v3::scoped_routes_discovery_service_server as srds;
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server as sds;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_server as csds;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::Ads;
use super::session::Session;
use super::sotw::Sotw;
use super::stream::{Responses, open};

/// The first request of a reconnecting Envoy names everything it holds (Envoy #46072).
const MAX_REQUEST_BYTES: usize = 64 * 1_024 * 1_024;

type Delta = Request<Streaming<DeltaDiscoveryRequest>>;
type World = Request<Streaming<DiscoveryRequest>>;
type Answer<T> = Result<Response<T>, Status>;

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
        /// A service with room for large requests.
        macro_rules! served {
            ($service:path) => {{
                use $service as Service;
                Service::new(self.clone()).max_decoding_message_size(MAX_REQUEST_BYTES)
            }};
        }
        Routes::new(served!(ads::AggregatedDiscoveryServiceServer))
            .add_service(served!(cds::ClusterDiscoveryServiceServer))
            .add_service(served!(eds::EndpointDiscoveryServiceServer))
            .add_service(served!(lds::ListenerDiscoveryServiceServer))
            .add_service(served!(rds::RouteDiscoveryServiceServer))
            .add_service(served!(srds::ScopedRoutesDiscoveryServiceServer))
            .add_service(served!(sds::SecretDiscoveryServiceServer))
            .add_service(served!(csds::ClientStatusDiscoveryServiceServer))
    }

    fn delta(
        &self,
        only: Option<ResourceType>,
        request: Delta,
    ) -> Response<Responses<DeltaDiscoveryResponse>> {
        Response::new(open::<Session>(&self.server, only, &self.shutdown, request))
    }

    fn world(
        &self,
        only: Option<ResourceType>,
        request: World,
    ) -> Response<Responses<DiscoveryResponse>> {
        Response::new(open::<Sotw>(&self.server, only, &self.shutdown, request))
    }
}

#[async_trait]
impl ads::AggregatedDiscoveryService for Services {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: World,
    ) -> Answer<Self::StreamAggregatedResourcesStream> {
        Ok(self.world(None, request))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Delta,
    ) -> Answer<Self::DeltaAggregatedResourcesStream> {
        Ok(self.delta(None, request))
    }
}

/// Implements the service of one type.
macro_rules! single_type {
    ($service:path, $kind:expr, $world:ident: $World:ident, $delta:ident: $Delta:ident, $fetch:ident) => {
        #[async_trait]
        impl $service for Services {
            type $World = Responses<DiscoveryResponse>;
            type $Delta = Responses<DeltaDiscoveryResponse>;

            async fn $world(&self, request: World) -> Answer<Self::$World> {
                Ok(self.world(Some($kind), request))
            }

            async fn $delta(&self, request: Delta) -> Answer<Self::$Delta> {
                Ok(self.delta(Some($kind), request))
            }

            async fn $fetch(&self, _: Request<DiscoveryRequest>) -> Answer<DiscoveryResponse> {
                Err(Status::unimplemented("open a stream: single fetches are not served"))
            }
        }
    };
}

single_type!(cds::ClusterDiscoveryService, ResourceType::Cluster,
    stream_clusters: StreamClustersStream, delta_clusters: DeltaClustersStream, fetch_clusters);
single_type!(eds::EndpointDiscoveryService, ResourceType::Endpoint,
    stream_endpoints: StreamEndpointsStream, delta_endpoints: DeltaEndpointsStream, fetch_endpoints);
single_type!(lds::ListenerDiscoveryService, ResourceType::Listener,
    stream_listeners: StreamListenersStream, delta_listeners: DeltaListenersStream, fetch_listeners);
single_type!(rds::RouteDiscoveryService, ResourceType::Route,
    stream_routes: StreamRoutesStream, delta_routes: DeltaRoutesStream, fetch_routes);
single_type!(srds::ScopedRoutesDiscoveryService, ResourceType::ScopedRoute,
    stream_scoped_routes: StreamScopedRoutesStream, delta_scoped_routes: DeltaScopedRoutesStream,
    fetch_scoped_routes);
single_type!(sds::SecretDiscoveryService, ResourceType::Secret,
    stream_secrets: StreamSecretsStream, delta_secrets: DeltaSecretsStream, fetch_secrets);
