//! Whole worlds as static bootstraps, so that `envoy --mode validate` judges what we generate.
//!
//! Validation knows no xDS: endpoints, routes, scopes and secrets are put where Envoy would have
//! asked for them. Many worlds share one bootstrap, the names of each behind a prefix of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use contour_core::xds::{Resource, ResourceType, gate};
use envoy_types::pb::envoy::config::bootstrap::v3::{
    Bootstrap, LayeredRuntime, RuntimeLayer, bootstrap, runtime_layer,
};
use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster};
use envoy_types::pb::envoy::config::core::v3::{
    AggregatedConfigSource, ApiConfigSource, ApiVersion, ConfigSource, DataSource, Node,
    SocketAddress, TransportSocket, address, api_config_source, config_source, data_source,
    socket_address, transport_socket,
};
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain, FilterChainMatch, Listener, filter,
};
use envoy_types::pb::envoy::config::route::v3::{
    RouteConfiguration, ScopedRouteConfiguration, route, route_action,
    scoped_route_configuration::{
        Key,
        key::{Fragment, fragment},
    },
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, ScopedRouteConfigurationsList, http_connection_manager::RouteSpecifier,
    scoped_routes,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, DownstreamTlsContext, Secret, TlsCertificate, secret,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Struct, Value};
use prost::{Message, Name};

use crate::certificates::authority;

/// Worlds that are validated together.
#[derive(Default)]
pub struct Batch {
    worlds: usize,
    clusters: Vec<Cluster>,
    listeners: Vec<Listener>,
    certificates: Vec<TlsCertificate>,
}

/// The resources of one world, decoded.
#[derive(Default)]
struct World {
    prefix: String,
    clusters: Vec<Cluster>,
    endpoints: BTreeMap<String, ClusterLoadAssignment>,
    secrets: BTreeMap<String, Secret>,
    listeners: Vec<Listener>,
    routes: BTreeMap<String, RouteConfiguration>,
    scopes: Vec<ScopedRouteConfiguration>,
}

impl Batch {
    /// How many worlds it holds.
    pub fn len(&self) -> usize {
        self.worlds
    }

    /// How many clusters, listeners and certificates it holds.
    pub fn parts(&self) -> [usize; 3] {
        let Self { clusters, listeners, certificates, .. } = self;
        [clusters.len(), listeners.len(), certificates.len()]
    }

    /// Whether it holds no world.
    pub fn is_empty(&self) -> bool {
        self.worlds == 0
    }

    /// Adds the resources of a world.
    ///
    /// # Errors
    /// If a resource does not decode, or refers to one that is not there.
    pub fn add<'a>(&mut self, resources: impl Iterator<Item = &'a Arc<Resource>>) -> Result<()> {
        let mut world = World { prefix: format!("{}/", self.worlds), ..World::default() };
        for resource in resources {
            world.read(resource).with_context(|| resource.key.to_string())?;
        }
        self.worlds += 1;
        for listener in world.inlined_listeners()? {
            self.listeners.push(listener);
        }
        for cluster in world.inlined_clusters()? {
            self.clusters.push(cluster);
        }
        for secret in world.secrets.into_values() {
            if let Some(secret::Type::TlsCertificate(certificate)) = secret.r#type {
                self.certificates.push(certificate);
            }
        }
        Ok(())
    }

    /// The bootstrap of all worlds.
    pub fn bootstrap(mut self) -> Bootstrap {
        self.clusters.extend(["contour", "envoy-admin"].map(static_cluster));
        if !self.certificates.is_empty() {
            self.listeners.push(certificates_listener(self.certificates));
        }
        Bootstrap {
            node: Some(Node {
                id: "validate".to_owned(),
                cluster: "contour".to_owned(),
                ..Node::default()
            }),
            static_resources: Some(bootstrap::StaticResources {
                clusters: self.clusters,
                listeners: self.listeners,
                ..bootstrap::StaticResources::default()
            }),
            dynamic_resources: Some(bootstrap::DynamicResources {
                ads_config: Some(ads_source()),
                ..bootstrap::DynamicResources::default()
            }),
            layered_runtime: Some(runtime()),
            ..Bootstrap::default()
        }
    }
}

/// Regular expressions may be as large as `contour bootstrap` lets them be.
fn runtime() -> LayeredRuntime {
    let size = Value { kind: Some(Kind::NumberValue(1_048_576.0)) };
    let fields = [("re2.max_program_size.error_level".to_owned(), size)].into();
    LayeredRuntime {
        layers: vec![RuntimeLayer {
            name: "static".to_owned(),
            layer_specifier: Some(runtime_layer::LayerSpecifier::StaticLayer(Struct { fields })),
        }],
    }
}

impl World {
    fn read(&mut self, resource: &Resource) -> Result<()> {
        let body = resource.body.clone();
        let name = resource.key.name.to_string();
        let told = match resource.key.kind {
            ResourceType::Cluster => {
                self.clusters.push(Cluster::decode(body)?);
                self.clusters.last().map(|c| c.name.clone())
            }
            ResourceType::Endpoint => {
                let endpoints = ClusterLoadAssignment::decode(body)?;
                let told = endpoints.cluster_name.clone();
                self.endpoints.insert(name.clone(), endpoints);
                Some(told)
            }
            ResourceType::Secret => {
                let secret = Secret::decode(body)?;
                let told = secret.name.clone();
                self.secrets.insert(name.clone(), secret);
                Some(told)
            }
            ResourceType::Listener => {
                self.listeners.push(Listener::decode(body)?);
                self.listeners.last().map(|l| l.name.clone())
            }
            ResourceType::Route => {
                let routes = RouteConfiguration::decode(body)?;
                let told = routes.name.clone();
                self.routes.insert(name.clone(), routes);
                Some(told)
            }
            ResourceType::ScopedRoute => {
                self.scopes.push(ScopedRouteConfiguration::decode(body)?);
                self.scopes.last().map(|s| s.name.clone())
            }
        };
        if told.as_deref() != Some(&name) {
            bail!("the resource calls itself {told:?}");
        }
        Ok(())
    }

    /// Clusters with their endpoints in place.
    fn inlined_clusters(&self) -> Result<Vec<Cluster>> {
        self.clusters
            .iter()
            .map(|cluster| {
                let mut cluster = cluster.clone();
                let name = cluster.name.clone();
                if let Some(eds) = cluster.eds_cluster_config.take() {
                    let service = Some(eds.service_name).filter(|s| !s.is_empty());
                    let service = service.unwrap_or_else(|| name.clone());
                    let endpoints = self.endpoints.get(&service);
                    let mut endpoints = endpoints
                        .cloned()
                        .ok_or_else(|| anyhow!("cluster {name} has no endpoints {service}"))?;
                    endpoints.cluster_name = self.named(&service);
                    cluster.load_assignment = Some(endpoints);
                    let kind = cluster::DiscoveryType::Static.into();
                    cluster.cluster_discovery_type =
                        Some(cluster::ClusterDiscoveryType::Type(kind));
                }
                cluster.name = self.named(&name);
                Ok(cluster)
            })
            .collect()
    }

    /// Listeners with their routes in place.
    fn inlined_listeners(&self) -> Result<Vec<Listener>> {
        let mut all = self.listeners.clone();
        for listener in &mut all {
            let name = listener.name.clone();
            listener.name = self.named(&name);
            // Port 0 may be bound by any number of listeners; those that bind nothing may not share
            // an address.
            listener.bind_to_port = None;
            if let Some(address::Address::SocketAddress(socket)) =
                listener.address.as_mut().and_then(|a| a.address.as_mut())
            {
                socket.port_specifier = Some(socket_address::PortSpecifier::PortValue(0));
            }
            let chains = listener.filter_chains.iter_mut();
            for chain in chains.chain(&mut listener.default_filter_chain) {
                self.inline_chain(chain).context(name.clone())?;
            }
        }
        Ok(all)
    }

    fn inline_chain(&self, chain: &mut FilterChain) -> Result<()> {
        for filter in &mut chain.filters {
            let Some(filter::ConfigType::TypedConfig(any)) = &mut filter.config_type else {
                continue;
            };
            if any.type_url == HttpConnectionManager::type_url() {
                let mut manager = HttpConnectionManager::decode(any.value.as_slice())?;
                self.inline_routes(&mut manager)?;
                *any = pack(&manager);
            } else if any.type_url == TcpProxy::type_url() {
                let mut proxy = TcpProxy::decode(any.value.as_slice())?;
                self.rename_proxy(&mut proxy)?;
                *any = pack(&proxy);
            }
        }
        let transport = chain.transport_socket.as_mut();
        if let Some(transport_socket::ConfigType::TypedConfig(any)) =
            transport.and_then(|s| s.config_type.as_mut())
            && any.type_url == DownstreamTlsContext::type_url()
        {
            let mut context = DownstreamTlsContext::decode(any.value.as_slice())?;
            if let Some(common) = &mut context.common_tls_context {
                self.inline_secrets(common)?;
            }
            *any = pack(&context);
        }
        Ok(())
    }

    fn inline_routes(&self, manager: &mut HttpConnectionManager) -> Result<()> {
        match manager.route_specifier.take() {
            Some(RouteSpecifier::ScopedRoutes(mut routing)) => {
                // A list of scopes cannot be empty, as a subscription may.
                let none = nowhere();
                let scopes = self.scopes.iter().chain(self.scopes.is_empty().then_some(&none));
                let scopes = scopes.map(|scope| {
                    let mut scope = scope.clone();
                    let name = std::mem::take(&mut scope.route_configuration_name);
                    scope.route_configuration = Some(if name.is_empty() {
                        RouteConfiguration::default()
                    } else {
                        self.routes_named(&name)?
                    });
                    Ok(scope)
                });
                routing.config_specifier =
                    Some(scoped_routes::ConfigSpecifier::ScopedRouteConfigurationsList(
                        ScopedRouteConfigurationsList {
                            scoped_route_configurations: scopes.collect::<Result<_>>()?,
                        },
                    ));
                routing.rds_config_source = None;
                manager.route_specifier = Some(RouteSpecifier::ScopedRoutes(routing));
            }
            Some(RouteSpecifier::Rds(rds)) => {
                let routes = self.routes_named(&rds.route_config_name)?;
                manager.route_specifier = Some(RouteSpecifier::RouteConfig(routes));
            }
            other => manager.route_specifier = other,
        }
        Ok(())
    }

    fn routes_named(&self, name: &str) -> Result<RouteConfiguration> {
        let routes = self.routes.get(name);
        let mut routes = routes.cloned().ok_or_else(|| anyhow!("there are no routes {name}"))?;
        routes.name = self.named(name);
        let hosts = routes.virtual_hosts.iter_mut();
        for route in hosts.flat_map(|host| &mut host.routes) {
            let Some(route::Action::Route(action)) = &mut route.action else {
                continue;
            };
            match &mut action.cluster_specifier {
                Some(route_action::ClusterSpecifier::Cluster(cluster)) => self.rename(cluster)?,
                other => bail!("a route goes to {other:?}"),
            }
        }
        Ok(routes)
    }

    fn rename_proxy(&self, proxy: &mut TcpProxy) -> Result<()> {
        match &mut proxy.cluster_specifier {
            Some(tcp_proxy::ClusterSpecifier::Cluster(cluster)) => self.rename(cluster),
            Some(tcp_proxy::ClusterSpecifier::WeightedClusters(weighted)) => {
                weighted.clusters.iter_mut().try_for_each(|cluster| self.rename(&mut cluster.name))
            }
            None => bail!("a TCP proxy goes nowhere"),
        }
    }

    fn inline_secrets(&self, context: &mut CommonTlsContext) -> Result<()> {
        for source in std::mem::take(&mut context.tls_certificate_sds_secret_configs) {
            if source.name == gate::SECRET {
                context.tls_certificates.push(at_gate());
                continue;
            }
            let secret = self.secrets.get(&source.name);
            let Some(secret::Type::TlsCertificate(certificate)) =
                secret.and_then(|s| s.r#type.clone())
            else {
                bail!("there is no certificate {}", source.name);
            };
            context.tls_certificates.push(certificate);
        }
        Ok(())
    }

    /// The name of one of this world's own resources, behind the prefix.
    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Refers to a cluster of this world; to `none`, where connections are to be closed.
    fn rename(&self, cluster: &mut String) -> Result<()> {
        if cluster == "none" {
            return Ok(());
        }
        if !self.clusters.iter().any(|c| c.name == *cluster) {
            bail!("there is no cluster {cluster}");
        }
        *cluster = self.named(cluster);
        Ok(())
    }
}

/// A scope that no request has.
fn nowhere() -> ScopedRouteConfiguration {
    let text = fragment::Type::StringKey("nowhere".to_owned());
    let fragments = vec![Fragment { r#type: Some(text) }];
    ScopedRouteConfiguration {
        name: "nowhere".to_owned(),
        key: Some(Key { fragments }),
        ..ScopedRouteConfiguration::default()
    }
}

fn pack<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// What a controller shows at the gate first is made by its xDS server, so it is no part of a world.
fn at_gate() -> TlsCertificate {
    let pair = authority().leaf(&["gate.invalid"]);
    let inline = |text: String| {
        let specifier = Some(data_source::Specifier::InlineString(text));
        Some(DataSource { specifier, ..DataSource::default() })
    };
    TlsCertificate {
        certificate_chain: inline(pair.certificate),
        private_key: inline(pair.key),
        ..TlsCertificate::default()
    }
}

/// Every certificate in a filter chain of its own: there Envoy looks at them.
fn certificates_listener(certificates: Vec<TlsCertificate>) -> Listener {
    let chains = certificates.into_iter().enumerate();
    let chains = chains.map(|(number, certificate)| {
        let context = DownstreamTlsContext {
            common_tls_context: Some(CommonTlsContext {
                tls_certificates: vec![certificate],
                ..CommonTlsContext::default()
            }),
            ..DownstreamTlsContext::default()
        };
        let proxy = TcpProxy {
            stat_prefix: "certificates".to_owned(),
            cluster_specifier: Some(tcp_proxy::ClusterSpecifier::Cluster("contour".to_owned())),
            ..TcpProxy::default()
        };
        FilterChain {
            filter_chain_match: Some(FilterChainMatch {
                server_names: vec![format!("certificate-{number}.test")],
                ..FilterChainMatch::default()
            }),
            filters: vec![Filter {
                name: "envoy.filters.network.tcp_proxy".to_owned(),
                config_type: Some(filter::ConfigType::TypedConfig(pack(&proxy))),
            }],
            transport_socket: Some(TransportSocket {
                name: "envoy.transport_sockets.tls".to_owned(),
                config_type: Some(transport_socket::ConfigType::TypedConfig(pack(&context))),
            }),
            ..FilterChain::default()
        }
    });
    Listener {
        name: "certificates".to_owned(),
        address: Some(loopback()),
        filter_chains: chains.collect(),
        ..Listener::default()
    }
}

fn loopback() -> envoy_types::pb::envoy::config::core::v3::Address {
    envoy_types::pb::envoy::config::core::v3::Address {
        address: Some(address::Address::SocketAddress(SocketAddress {
            address: "127.0.0.1".to_owned(),
            port_specifier: Some(socket_address::PortSpecifier::PortValue(0)),
            ..SocketAddress::default()
        })),
    }
}

/// A cluster that the bootstrap of a real Envoy has.
fn static_cluster(name: &str) -> Cluster {
    let kind = cluster::DiscoveryType::Static.into();
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(cluster::ClusterDiscoveryType::Type(kind)),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            ..ClusterLoadAssignment::default()
        }),
        ..Cluster::default()
    }
}

/// Aggregated xDS of a server that is never asked.
fn ads_source() -> ApiConfigSource {
    use envoy_types::pb::envoy::config::core::v3::{GrpcService, grpc_service};
    let grpc = grpc_service::EnvoyGrpc {
        cluster_name: "contour".to_owned(),
        ..grpc_service::EnvoyGrpc::default()
    };
    ApiConfigSource {
        api_type: api_config_source::ApiType::DeltaGrpc.into(),
        transport_api_version: ApiVersion::V3.into(),
        grpc_services: vec![GrpcService {
            target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(grpc)),
            ..GrpcService::default()
        }],
        ..ApiConfigSource::default()
    }
}

/// The config source `ads`, as resources name it.
pub fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::Ads(
            AggregatedConfigSource {},
        )),
        ..ConfigSource::default()
    }
}
