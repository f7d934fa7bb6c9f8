//! Upstreams to clusters.

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster as cluster_type;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream;
use envoy_types::pb::envoy::r#type::v3::{CodecClientType, Percent};
use xxhash_rust::xxh3::Xxh3;

use super::resource::{Resource, ResourceKey, ResourceType};
use super::{endpoint, proto, stats, tls};
use crate::ir::{self, CircuitBreakers, HealthCheck, LoadBalancing, Protocol};
use crate::options::Upstream;

/// The name of a cluster: `namespace/service/port/hash`, the hash being that of everything else
/// that makes it what it is.
pub fn name(cluster: &ir::Cluster) -> ResourceKey {
    let mut hasher = Xxh3::new();
    std::hash::Hash::hash(cluster, &mut Stable(&mut hasher));
    let text = format!("{}/{}/{:010x}", cluster.service, cluster.port, hasher.digest() >> 24);
    ResourceKey::new(ResourceType::Cluster, text)
}

/// Feeds integers in a fixed width and byte order, so that replicas agree on names whatever
/// machine they run on.
struct Stable<'a>(&'a mut Xxh3);

impl std::hash::Hasher for Stable<'_> {
    fn finish(&self) -> u64 {
        self.0.digest()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_u16(&mut self, value: u16) {
        self.write(&value.to_le_bytes());
    }

    fn write_u32(&mut self, value: u32) {
        self.write(&value.to_le_bytes());
    }

    fn write_u64(&mut self, value: u64) {
        self.write(&value.to_le_bytes());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64((value as i64).cast_unsigned());
    }
}

/// A cluster whose endpoints come by EDS; it names them first among what it requires.
pub fn cluster(upstream: &ir::Cluster) -> Resource {
    let key = name(upstream);
    let endpoints = endpoint::name(&upstream.endpoints);
    let settings = &*upstream.settings;
    let message = cluster::Cluster {
        name: key.name.to_string(),
        alt_stat_name: stats::service(&upstream.service, upstream.port),
        cluster_discovery_type: Some(cluster_type::ClusterDiscoveryType::Type(
            cluster_type::DiscoveryType::Eds.into(),
        )),
        eds_cluster_config: Some(cluster_type::EdsClusterConfig {
            eds_config: Some(proto::ads()),
            service_name: endpoints.name.to_string(),
        }),
        connect_timeout: Some(proto::duration(settings.connect_timeout)),
        lb_policy: lb_policy(upstream.load_balancing).into(),
        // With fewer healthy endpoints than half, Envoy would otherwise send to unhealthy ones.
        common_lb_config: Some(cluster_type::CommonLbConfig {
            healthy_panic_threshold: Some(Percent { value: 0.0 }),
            ..cluster_type::CommonLbConfig::default()
        }),
        ignore_health_on_host_removal: upstream.health_check.is_some(),
        health_checks: upstream
            .health_check
            .iter()
            .map(|c| health_check(c, upstream.protocol))
            .collect(),
        circuit_breakers: circuit_breakers(upstream.circuit_breakers, settings),
        transport_socket: upstream.protocol.is_tls().then(|| {
            let rules = settings.tls.as_ref();
            tls::upstream_socket(upstream.validation.as_ref(), upstream.protocol, rules)
        }),
        per_connection_buffer_limit_bytes: settings.buffer_limit_bytes.map(proto::u32_value),
        typed_extension_protocol_options: protocol_options(upstream.protocol, settings),
        ..cluster::Cluster::default()
    };
    proto::resource(key, &message, vec![endpoints])
}

fn lb_policy(load_balancing: LoadBalancing) -> cluster_type::LbPolicy {
    match load_balancing {
        LoadBalancing::RoundRobin => cluster_type::LbPolicy::RoundRobin,
        LoadBalancing::LeastRequest => cluster_type::LbPolicy::LeastRequest,
        LoadBalancing::Random => cluster_type::LbPolicy::Random,
        LoadBalancing::Cookie => cluster_type::LbPolicy::RingHash,
    }
}

fn health_check(check: &HealthCheck, protocol: Protocol) -> core::HealthCheck {
    let codec = if protocol.is_http2() { CodecClientType::Http2 } else { CodecClientType::Http1 };
    core::HealthCheck {
        timeout: Some(proto::duration(check.timeout)),
        interval: Some(proto::duration(check.interval)),
        // Envoy would check a cluster without traffic once a minute, whatever was asked for.
        no_traffic_interval: Some(proto::duration(check.interval)),
        unhealthy_threshold: Some(proto::u32_value(check.unhealthy_threshold)),
        healthy_threshold: Some(proto::u32_value(check.healthy_threshold)),
        health_checker: Some(core::health_check::HealthChecker::HttpHealthCheck(
            core::health_check::HttpHealthCheck {
                host: check.host.to_string(),
                path: check.path.to_string(),
                codec_client_type: codec.into(),
                ..core::health_check::HttpHealthCheck::default()
            },
        )),
        ..core::HealthCheck::default()
    }
}

/// The Service's own limits, and for those that it leaves open those that hold for all.
fn circuit_breakers(own: CircuitBreakers, settings: &Upstream) -> Option<cluster::CircuitBreakers> {
    use cluster::circuit_breakers::Thresholds;

    let all = settings.circuit_breakers;
    let value = |own: Option<u32>, all: Option<u32>| own.or(all).map(proto::u32_value);
    let thresholds = Thresholds {
        max_connections: value(own.max_connections, all.max_connections),
        max_pending_requests: value(own.max_pending_requests, all.max_pending_requests),
        max_requests: value(own.max_requests, all.max_requests),
        max_retries: value(own.max_retries, all.max_retries),
        ..Thresholds::default()
    };
    let per_endpoint = settings.max_connections_per_endpoint.map(|limit| Thresholds {
        max_connections: Some(proto::u32_value(limit)),
        ..Thresholds::default()
    });
    let limits = cluster::CircuitBreakers {
        thresholds: (thresholds != Thresholds::default())
            .then_some(thresholds)
            .into_iter()
            .collect(),
        per_host_thresholds: per_endpoint.into_iter().collect(),
    };
    (limits != cluster::CircuitBreakers::default()).then_some(limits)
}

/// One entry at most, so that the encoding stays deterministic.
#[expect(clippy::disallowed_types, reason = "the generated type of the field")]
fn protocol_options(
    protocol: Protocol,
    settings: &Upstream,
) -> std::collections::HashMap<String, envoy_types::pb::google::protobuf::Any> {
    use upstream::http_protocol_options::explicit_http_config::ProtocolConfig;

    let protocol_config = if protocol.is_http2() {
        ProtocolConfig::Http2ProtocolOptions(core::Http2ProtocolOptions::default())
    } else if settings.max_requests_per_connection.is_some() {
        ProtocolConfig::HttpProtocolOptions(core::Http1ProtocolOptions::default())
    } else {
        return std::collections::HashMap::new();
    };
    let explicit = upstream::http_protocol_options::ExplicitHttpConfig {
        protocol_config: Some(protocol_config),
    };
    let options = upstream::HttpProtocolOptions {
        common_http_protocol_options: settings.max_requests_per_connection.map(|limit| {
            core::HttpProtocolOptions {
                max_requests_per_connection: Some(proto::u32_value(limit)),
                ..core::HttpProtocolOptions::default()
            }
        }),
        upstream_protocol_options: Some(
            upstream::http_protocol_options::UpstreamProtocolOptions::ExplicitHttpConfig(explicit),
        ),
        ..upstream::HttpProtocolOptions::default()
    };
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned();
    std::collections::HashMap::from([(name, proto::any(&options))])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::name::ObjectName;

    #[test]
    fn a_cluster_is_named_by_what_it_is() {
        let base = ir::Cluster {
            service: ObjectName::new("demo", "blue"),
            port: 80,
            endpoints: ir::EndpointsName {
                service: ObjectName::new("demo", "blue"),
                port: "http".into(),
            },
            protocol: Protocol::Http1,
            load_balancing: LoadBalancing::RoundRobin,
            health_check: None,
            validation: None,
            circuit_breakers: CircuitBreakers::default(),
            settings: Arc::default(),
        };
        // The very name: replicas and later versions must agree on it.
        insta::assert_snapshot!(name(&base), @"cds:demo/blue/80/671b9607cc");
        let other = ir::Cluster { load_balancing: LoadBalancing::Cookie, ..base.clone() };
        assert_ne!(name(&base), name(&other));
        let settings = Upstream { max_requests_per_connection: Some(7), ..Upstream::default() };
        let other = ir::Cluster { settings: Arc::new(settings), ..base.clone() };
        assert_ne!(name(&base), name(&other));
    }
}
