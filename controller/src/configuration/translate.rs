//! The file to settings of the translation.

use std::sync::Arc;

use contour_core::options::{
    AccessLog, CircuitBreakers, Downstream, HttpRules, Limit, Limits, LogFormat, Options, Timeouts,
    TlsRules, Upstream,
};

use super::format;
use super::keys::Configuration;
use super::value::{Balancer, Cipher, Count, Curve, Format, Text, versions};

impl Configuration {
    /// Settings of the translation, those that the file has no keys for as they are. `format` is
    /// that of a flag.
    #[must_use]
    pub fn options(&self, options: Options, format: Option<Format>) -> Options {
        Options {
            disable_permit_insecure: self
                .disable_permit_insecure
                .unwrap_or(options.disable_permit_insecure),
            access_log: self.access_log(format),
            timeouts: self.timeouts(),
            downstream: self.downstream(),
            http_rules: self.http_rules(),
            tls: self.tls(),
            upstream: Arc::new(self.upstream()),
            limits: self.limits(options.limits),
            ..options
        }
    }

    /// How much objects may expand to.
    pub(super) fn limits(&self, mut limits: Limits) -> Limits {
        let given = &self.limits;
        let set = |limit: &mut usize, given: Option<Count>| {
            if let Some(count) = given {
                *limit = usize::try_from(count.0).unwrap_or(usize::MAX);
            }
        };
        set(&mut limits.object_checks, given.object.checks);
        set(&mut limits.object_clusters, given.object.clusters);
        set(&mut limits.host_routes, given.host.routes);
        set(&mut limits.host_bytes, given.host.bytes);
        set(&mut limits.namespace.routes, given.namespace.routes);
        set(&mut limits.namespace.bytes, given.namespace.bytes);
        set(&mut limits.namespace.clusters, given.namespace.clusters);
        set(&mut limits.namespace.endpoints, given.namespace.endpoints);
        set(&mut limits.namespace.checks, given.namespace.checks);
        set(&mut limits.all.routes, given.all.routes);
        set(&mut limits.all.bytes, given.all.bytes);
        set(&mut limits.all.clusters, given.all.clusters);
        set(&mut limits.all.endpoints, given.all.endpoints);
        set(&mut limits.all.checks, given.all.checks);
        limits
    }

    /// What the access logs hold; `format` is that of a flag.
    pub(super) fn access_log(&self, format: Option<Format>) -> AccessLog {
        let format = format.or_else(|| self.accesslog_format.as_ref().map(|f| f.0));
        let format = match format.unwrap_or(Format::Envoy) {
            Format::Envoy => self
                .accesslog_format_string
                .as_ref()
                .filter(|line| !line.0.0.is_empty())
                .map_or(LogFormat::Envoy, |line| LogFormat::Text(Arc::clone(&line.0.0))),
            Format::Json => LogFormat::Json(self.fields()),
        };
        AccessLog {
            format,
            level: self.accesslog_level.as_ref().map_or_else(Default::default, |l| l.0),
        }
    }

    fn fields(&self) -> Vec<(Arc<str>, Arc<str>)> {
        match self.json_fields.as_deref() {
            Some([]) | None => format::DEFAULT_FIELDS
                .into_iter()
                .filter_map(|name| format::field(name).ok())
                .map(|(name, format)| (name.into(), format.into()))
                .collect(),
            Some(fields) => {
                fields.iter().map(|Text(f)| (Arc::clone(&f.0), Arc::clone(&f.1))).collect()
            }
        }
    }

    /// How long clients' connections and requests may take.
    pub(super) fn timeouts(&self) -> Timeouts {
        let given = &self.timeouts;
        let default = Timeouts::default();
        let limit = |given: &Option<Text<Limit>>, default| given.as_ref().map_or(default, |l| l.0);
        Timeouts {
            request: limit(&given.request, default.request),
            connection_idle: limit(&given.connection_idle, default.connection_idle),
            stream_idle: limit(&given.stream_idle, default.stream_idle),
            connection: limit(&given.connection, default.connection),
            delayed_close: limit(&given.delayed_close, default.delayed_close),
            drain: limit(&given.drain, default.drain),
        }
    }

    /// How connections of clients are taken.
    pub(super) fn downstream(&self) -> Downstream {
        let given = &self.listener;
        Downstream {
            balance_exactly: given.balancer.as_ref().is_some_and(|b| b.0 == Balancer::Exact),
            max_requests_per_connection: given.max_requests.map(|n| n.0),
            buffer_limit_bytes: given.buffer.map(|n| n.0),
            max_concurrent_streams: given.streams.map(|n| n.0),
            max_accepted_per_event: given.accepted.map(|n| n.0),
            type_of_service: given.socket.tos.map(super::value::Byte::byte),
            traffic_class: given.socket.class.map(super::value::Byte::byte),
            fingerprint_ja3: self.tls.fingerprint.ja3 == Some(true),
            fingerprint_ja4: self.tls.fingerprint.ja4 == Some(true),
        }
    }

    /// How HTTP of clients is read.
    pub(super) fn http_rules(&self) -> HttpRules {
        let default = HttpRules::default();
        let not = |given: Option<bool>, default| given.map_or(default, |disabled| !disabled);
        HttpRules {
            versions: versions(self.http_versions.as_deref().unwrap_or_default()),
            trusted_hops: self.network.trusted_hops.map_or(default.trusted_hops, |n| n.0),
            strip_trailing_host_dot: self
                .network
                .strip_dot
                .unwrap_or(default.strip_trailing_host_dot),
            merge_slashes: not(self.disable_merge_slashes, default.merge_slashes),
            allow_chunked_length: not(
                self.disable_allow_chunked_length,
                default.allow_chunked_length,
            ),
            server_header: self.server_header.as_ref().map_or(default.server_header, |s| s.0),
        }
    }

    /// Which TLS clients may use.
    pub(super) fn tls(&self) -> TlsRules {
        let default = TlsRules::default();
        let minimum = self.tls.minimum.as_ref().map_or(default.minimum, |v| v.0);
        TlsRules {
            minimum,
            maximum: self.tls.maximum.as_ref().map_or(default.maximum, |v| v.0),
            cipher_suites: ciphers(self.tls.ciphers.as_deref()),
            curves: curves(self.tls.curves.as_deref()),
        }
    }

    /// How upstreams are connected to.
    pub(super) fn upstream(&self) -> Upstream {
        let given = &self.cluster;
        let breakers = &given.breakers;
        let default = Upstream::default();
        let rules = TlsRules::default();
        let tls = TlsRules {
            minimum: given.tls.minimum.as_ref().map_or(rules.minimum, |v| v.0),
            maximum: given.tls.maximum.as_ref().map_or(rules.maximum, |v| v.0),
            cipher_suites: ciphers(given.tls.ciphers.as_deref()),
            curves: curves(given.tls.curves.as_deref()),
        };
        let is_given =
            self.given().iter().any(|(path, _)| path.starts_with("cluster.upstream-tls."));
        Upstream {
            connect_timeout: self
                .timeouts
                .connect
                .as_ref()
                .map_or(default.connect_timeout, |t| t.0),
            max_requests_per_connection: given.max_requests.map(|n| n.0),
            buffer_limit_bytes: given.buffer.map(|n| n.0),
            // 0 stands for what is not given, as in Contour.
            circuit_breakers: CircuitBreakers {
                max_connections: breakers.connections.map(|n| n.0).filter(|n| *n > 0),
                max_pending_requests: breakers.pending.map(|n| n.0).filter(|n| *n > 0),
                max_requests: breakers.requests.map(|n| n.0).filter(|n| *n > 0),
                max_retries: breakers.retries.map(|n| n.0).filter(|n| *n > 0),
            },
            max_connections_per_endpoint: breakers.per_host.map(|n| n.0),
            tls: is_given.then_some(tls),
        }
    }
}

fn ciphers(list: Option<&[Text<Cipher>]>) -> Vec<Arc<str>> {
    list.unwrap_or_default().iter().map(|Text(Cipher(name))| Arc::clone(name)).collect()
}

fn curves(list: Option<&[Text<Curve>]>) -> Vec<Arc<str>> {
    list.unwrap_or_default().iter().map(|Text(Curve(name))| Arc::clone(name)).collect()
}
