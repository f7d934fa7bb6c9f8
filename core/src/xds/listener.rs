//! Listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::extensions::filters::listener::proxy_protocol::v3 as proxy_protocol;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3 as tls_inspector;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as manager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;

use super::resource::{Resource, ResourceKey, ResourceType};
use super::tls::Alpn;
use super::{
    ADMIN_CLUSTER, HTTP_LISTENER, HTTPS_LISTENER, STATS_LISTENER, Side, accesslog, cluster, gate,
    http, proto, sni, tls,
};
use crate::ir::{Destination, Tls, TlsProfile};
use crate::name::Fqdn;
use crate::options::{Bind, Downstream, Options, TlsLayout};

/// How long a TLS handshake may take. A certificate that is fetched on demand while no controller
/// answers would otherwise hold it for as long as the client waits.
const HANDSHAKE_TIMEOUT_SECONDS: u64 = 10;
/// Linux's numbers of what is set on sockets.
const IPPROTO_IP: i64 = 0;
const IP_TOS: i64 = 1;
const IPPROTO_IPV6: i64 = 41;
const IPV6_TCLASS: i64 = 67;
/// Contour's idle timeout of TCP proxies.
const TCP_IDLE_TIMEOUT_SECONDS: u64 = 9001;

/// What a host needs of the TLS listener beyond its default chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The host.
    pub fqdn: Fqdn,
    /// What happens on its connections.
    pub kind: ChainKind,
}

/// What happens on the connections of a host with a chain of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// HTTP with another profile than the default one, or any in the layout of one chain a host.
    Https(TlsProfile),
    /// TLS ends here, the bytes inside are forwarded.
    Terminate(TlsProfile, Vec<Destination>),
    /// The encrypted bytes are forwarded.
    Passthrough(Vec<Destination>),
}

impl Chain {
    /// The chain that a host needs, if the default one does not do.
    pub fn of(fqdn: &Fqdn, side: &Tls, layout: TlsLayout) -> Option<Self> {
        let kind = match side {
            Tls::Https { profile, .. } => {
                let is_default = layout == TlsLayout::OnDemand && *profile == TlsProfile::default();
                (!is_default).then_some(ChainKind::Https(*profile))?
            }
            Tls::Terminate { profile, destinations, .. } => {
                ChainKind::Terminate(*profile, destinations.clone())
            }
            Tls::Passthrough { destinations } => ChainKind::Passthrough(destinations.clone()),
        };
        Some(Self { fqdn: fqdn.clone(), kind })
    }
}

/// All listeners. Without hosts that need chains of their own they never change.
pub fn listeners<'a>(options: &Options, chains: impl Iterator<Item = &'a Chain>) -> Vec<Resource> {
    let mut listeners = vec![http_listener(options)];
    listeners.extend(https_listener(options, chains));
    if options.tls_layout == TlsLayout::OnDemand {
        listeners.push(gate::listener(&options.tls));
    }
    listeners.extend(options.stats.as_ref().map(stats_listener));
    listeners
}

fn http_listener(options: &Options) -> Resource {
    let chain = listener::FilterChain {
        filters: vec![http::connection_manager(Side::Http, options)],
        ..listener::FilterChain::default()
    };
    let message = listener::Listener {
        name: HTTP_LISTENER.to_owned(),
        filter_chains: vec![chain],
        listener_filters: proxy_protocol_filter(options),
        ..socket(&options.http, &options.downstream)
    };
    proto::resource(ResourceKey::new(ResourceType::Listener, HTTP_LISTENER), &message, Vec::new())
}

/// A listener as far as its socket and its connections go.
fn socket(bind: &Bind, downstream: &Downstream) -> listener::Listener {
    use listener::listener::connection_balance_config::{BalanceType, ExactBalance};

    let balance = || listener::listener::ConnectionBalanceConfig {
        balance_type: Some(BalanceType::ExactBalance(ExactBalance::default())),
    };
    let option = |level, name, value: u8| core::SocketOption {
        level,
        name,
        state: core::socket_option::SocketState::StateListening.into(),
        value: Some(core::socket_option::Value::IntValue(value.into())),
        ..core::SocketOption::default()
    };
    // A socket of IPv6 carries IPv4 as well; one of IPv4 refuses settings of IPv6.
    let class = downstream.traffic_class.filter(|_| bind.address.is_ipv6());
    let service = downstream.type_of_service.map(|value| option(IPPROTO_IP, IP_TOS, value));
    let class = class.map(|value| option(IPPROTO_IPV6, IPV6_TCLASS, value));
    listener::Listener {
        address: Some(proto::tcp_address(bind.address, bind.port)),
        connection_balance_config: downstream.balance_exactly.then(balance),
        per_connection_buffer_limit_bytes: downstream.buffer_limit_bytes.map(proto::u32_value),
        max_connections_to_accept_per_socket_event: downstream
            .max_accepted_per_event
            .map(proto::u32_value),
        socket_options: service.into_iter().chain(class).collect(),
        ..listener::Listener::default()
    }
}

fn inspector(downstream: &Downstream) -> tls_inspector::TlsInspector {
    let enabled = |wanted: bool| wanted.then(|| proto::bool_value(true));
    tls_inspector::TlsInspector {
        enable_ja3_fingerprinting: enabled(downstream.fingerprint_ja3),
        enable_ja4_fingerprinting: enabled(downstream.fingerprint_ja4),
        ..tls_inspector::TlsInspector::default()
    }
}

/// `None` if there is no chain, which Envoy would refuse.
fn https_listener<'a>(
    options: &Options,
    chains: impl Iterator<Item = &'a Chain>,
) -> Option<Resource> {
    let mut hosts: BTreeMap<String, Vec<Fqdn>> = BTreeMap::new();
    let mut profiles = BTreeSet::new();
    let mut requires = BTreeSet::new();
    let mut filter_chains = Vec::new();
    let alpn = Alpn::Http(options.http_rules.versions);
    for chain in chains {
        let filter_chain = match (&chain.kind, options.tls_layout) {
            (ChainKind::Https(profile), TlsLayout::OnDemand) => {
                profiles.insert(*profile);
                let name = profile_chain_name(*profile).to_owned();
                hosts.entry(name).or_default().push(chain.fqdn.clone());
                continue;
            }
            (ChainKind::Https(profile), TlsLayout::PerHost) => {
                let socket = tls::host_socket(&chain.fqdn, *profile, alpn, &options.tls);
                let manager = http::connection_manager(Side::Https, options);
                host_chain(&chain.fqdn, vec![manager], Some(socket))
            }
            (ChainKind::Terminate(profile, destinations), _) => {
                let socket = tls::host_socket(&chain.fqdn, *profile, Alpn::Tcp, &options.tls);
                let proxy = tcp_proxy(destinations, options, &mut requires);
                host_chain(&chain.fqdn, vec![proxy], Some(socket))
            }
            (ChainKind::Passthrough(destinations), _) => {
                let proxy = tcp_proxy(destinations, options, &mut requires);
                host_chain(&chain.fqdn, vec![proxy], None)
            }
        };
        hosts.insert(filter_chain.name.clone(), vec![chain.fqdn.clone()]);
        filter_chains.push(filter_chain);
    }
    let default = profile_chain_name(TlsProfile::default());
    let others = (options.tls_layout == TlsLayout::OnDemand).then_some(default);
    if others.is_some() {
        profiles.insert(TlsProfile::default());
        filter_chains.extend(profiles.into_iter().map(|profile| profile_chain(options, profile)));
    }
    if filter_chains.is_empty() {
        return None;
    }
    let mut listener_filters = proxy_protocol_filter(options);
    listener_filters.push(listener_filter(
        "envoy.filters.listener.tls_inspector",
        &inspector(&options.downstream),
    ));
    let message = listener::Listener {
        name: HTTPS_LISTENER.to_owned(),
        filter_chains,
        filter_chain_matcher: Some(sni::matcher(&hosts, others)),
        listener_filters,
        ..socket(&options.https, &options.downstream)
    };
    let key = ResourceKey::new(ResourceType::Listener, HTTPS_LISTENER);
    Some(proto::resource(key, &message, requires.into_iter().collect()))
}

/// The name of the chain that all hosts of a profile share.
fn profile_chain_name(profile: TlsProfile) -> &'static str {
    match profile.minimum_version {
        crate::ir::TlsVersion::V1_2 => "tls-1.2",
        crate::ir::TlsVersion::V1_3 => "tls-1.3",
    }
}

fn profile_chain(options: &Options, profile: TlsProfile) -> listener::FilterChain {
    let alpn = Alpn::Http(options.http_rules.versions);
    listener::FilterChain {
        name: profile_chain_name(profile).to_owned(),
        filters: vec![http::connection_manager(Side::Https, options)],
        transport_socket: Some(tls::on_demand_socket(profile, alpn, &options.tls)),
        transport_socket_connect_timeout: Some(proto::seconds(HANDSHAKE_TIMEOUT_SECONDS)),
        ..listener::FilterChain::default()
    }
}

fn host_chain(
    fqdn: &Fqdn,
    filters: Vec<listener::Filter>,
    transport_socket: Option<core::TransportSocket>,
) -> listener::FilterChain {
    listener::FilterChain {
        name: format!("host/{fqdn}"),
        filters,
        transport_socket,
        transport_socket_connect_timeout: Some(proto::seconds(HANDSHAKE_TIMEOUT_SECONDS)),
        ..listener::FilterChain::default()
    }
}

/// Without destinations the connection is closed: `cluster` then names none.
fn tcp_proxy(
    destinations: &[Destination],
    options: &Options,
    requires: &mut BTreeSet<ResourceKey>,
) -> listener::Filter {
    requires.extend(destinations.iter().map(|d| cluster::name(&d.cluster)));
    let name = |d: &Destination| cluster::name(&d.cluster).name.to_string();
    // Envoy refuses a weight of 0 here.
    let weighted: Vec<&Destination> = destinations.iter().filter(|d| d.weight > 0).collect();
    let specifier = match weighted.as_slice() {
        [] => tcp::tcp_proxy::ClusterSpecifier::Cluster("none".to_owned()),
        [only] => tcp::tcp_proxy::ClusterSpecifier::Cluster(name(only)),
        several => {
            let clusters =
                several.iter().map(|d| tcp::tcp_proxy::weighted_cluster::ClusterWeight {
                    name: name(d),
                    weight: d.weight,
                    ..tcp::tcp_proxy::weighted_cluster::ClusterWeight::default()
                });
            tcp::tcp_proxy::ClusterSpecifier::WeightedClusters(tcp::tcp_proxy::WeightedCluster {
                clusters: clusters.collect(),
            })
        }
    };
    let message = tcp::TcpProxy {
        stat_prefix: HTTPS_LISTENER.to_owned(),
        cluster_specifier: Some(specifier),
        idle_timeout: Some(proto::duration(Duration::from_secs(TCP_IDLE_TIMEOUT_SECONDS))),
        access_log: accesslog::access_logs(&options.https_access_log, &options.access_log),
        ..tcp::TcpProxy::default()
    };
    listener::Filter {
        name: "envoy.filters.network.tcp_proxy".to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(proto::any(&message))),
    }
}

fn proxy_protocol_filter(options: &Options) -> Vec<listener::ListenerFilter> {
    if options.use_proxy_protocol {
        let message = proxy_protocol::ProxyProtocol::default();
        vec![listener_filter("envoy.filters.listener.proxy_protocol", &message)]
    } else {
        Vec::new()
    }
}

fn listener_filter<M: prost::Message + prost::Name>(
    name: &str,
    message: &M,
) -> listener::ListenerFilter {
    listener::ListenerFilter {
        name: name.to_owned(),
        config_type: Some(listener::listener_filter::ConfigType::TypedConfig(proto::any(message))),
        ..listener::ListenerFilter::default()
    }
}

/// Passes on GET of a few paths of the admin interface, which tell what Envoy counts and which
/// endpoints it has. A probe of it fails until configuration has arrived, unlike one of the admin
/// interface itself.
fn stats_listener(bind: &Bind) -> Resource {
    let route = |path: &str| route::Route {
        name: path.to_owned(),
        r#match: Some(route::RouteMatch {
            path_specifier: Some(route::route_match::PathSpecifier::Path(path.to_owned())),
            headers: vec![only_get()],
            ..route::RouteMatch::default()
        }),
        action: Some(route::route::Action::Route(route::RouteAction {
            cluster_specifier: Some(route::route_action::ClusterSpecifier::Cluster(
                ADMIN_CLUSTER.to_owned(),
            )),
            ..route::RouteAction::default()
        })),
        ..route::Route::default()
    };
    let configuration = route::RouteConfiguration {
        virtual_hosts: vec![route::VirtualHost {
            name: STATS_LISTENER.to_owned(),
            domains: vec!["*".to_owned()],
            routes: ["/ready", "/stats", "/stats/prometheus", "/clusters"].map(route).to_vec(),
            ..route::VirtualHost::default()
        }],
        ..route::RouteConfiguration::default()
    };
    let manager = HttpConnectionManager {
        route_specifier: Some(manager::RouteSpecifier::RouteConfig(configuration)),
        http_filters: vec![http::router()],
        ..http::base(STATS_LISTENER)
    };
    let chain = listener::FilterChain {
        filters: vec![http::filter(&manager)],
        ..listener::FilterChain::default()
    };
    let message = listener::Listener {
        name: STATS_LISTENER.to_owned(),
        address: Some(proto::tcp_address(bind.address, bind.port)),
        filter_chains: vec![chain],
        ..listener::Listener::default()
    };
    proto::resource(ResourceKey::new(ResourceType::Listener, STATS_LISTENER), &message, Vec::new())
}

fn only_get() -> route::HeaderMatcher {
    route::HeaderMatcher {
        name: ":method".to_owned(),
        header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::StringMatch(
            matcher::StringMatcher {
                match_pattern: Some(matcher::string_matcher::MatchPattern::Exact("GET".to_owned())),
                ..matcher::StringMatcher::default()
            },
        )),
        ..route::HeaderMatcher::default()
    }
}
