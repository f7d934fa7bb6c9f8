//! TLS contexts and secrets.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::cert_mappers::sni::v3 as sni;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::cert_selectors::on_demand_secret::v3 as on_demand;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;

use super::proto;
use super::resource::{Resource, ResourceKey, ResourceType};
use crate::ir::{Certificate, Protocol, TlsProfile, TlsVersion, Validation};
use crate::name::Fqdn;
use crate::options::{HttpVersions, TlsRules};

/// The secret that clients without SNI are shown: no host can have the name, so their handshake
/// fails.
const NO_SNI: &str = "_no_sni";

/// Contour's default suites: forward secrecy and AEAD only.
const CIPHERS: [&str; 4] = [
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

/// The certificate of a host, named by the host: that is the name by which Envoy asks for it at
/// a handshake.
pub fn secret(fqdn: &Fqdn, certificate: &Certificate) -> Resource {
    let message = tls::Secret {
        name: fqdn.to_string(),
        r#type: Some(tls::secret::Type::TlsCertificate(tls::TlsCertificate {
            certificate_chain: Some(proto::inline(&certificate.chain_pem)),
            private_key: Some(proto::inline(&certificate.key_pem)),
            ..tls::TlsCertificate::default()
        })),
    };
    proto::resource(ResourceKey::new(ResourceType::Secret, fqdn.as_str()), &message, Vec::new())
}

/// What the TLS of a filter chain offers beside certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpn {
    /// The names of versions of HTTP.
    Http(HttpVersions),
    /// Nothing: the bytes inside may be anything.
    Tcp,
}

/// TLS whose certificates are fetched by SNI. Envoy demands that session resumption is off.
pub(super) fn on_demand_socket(
    profile: TlsProfile,
    alpn: Alpn,
    rules: &TlsRules,
) -> core::TransportSocket {
    selecting_socket(common(profile, alpn, rules), Vec::new())
}

/// TLS that nobody ever speaks, for the sake of the certificates that it fetches.
pub(super) fn warming_socket(hosts: Vec<String>) -> core::TransportSocket {
    let alpn = Alpn::Http(HttpVersions::Both);
    selecting_socket(common(TlsProfile::default(), alpn, &TlsRules::default()), hosts)
}

fn selecting_socket(
    mut common: tls::CommonTlsContext,
    prefetch: Vec<String>,
) -> core::TransportSocket {
    let selector = on_demand::Config {
        config_source: Some(proto::ads()),
        certificate_mapper: Some(proto::extension(
            "sni",
            &sni::Sni { default_value: NO_SNI.to_owned() },
        )),
        prefetch_secret_names: prefetch,
    };
    common.custom_tls_certificate_selector =
        Some(proto::extension("envoy.tls.certificate_selectors.on_demand_secret", &selector));
    socket(&tls::DownstreamTlsContext {
        common_tls_context: Some(common),
        disable_stateful_session_resumption: true,
        session_ticket_keys_type: Some(
            tls::downstream_tls_context::SessionTicketKeysType::DisableStatelessSessionResumption(
                true,
            ),
        ),
        ..tls::DownstreamTlsContext::default()
    })
}

/// TLS with the certificate of one host, with session resumption.
pub(super) fn host_socket(
    fqdn: &Fqdn,
    profile: TlsProfile,
    alpn: Alpn,
    rules: &TlsRules,
) -> core::TransportSocket {
    named_socket(fqdn.as_str(), common(profile, alpn, rules))
}

/// TLS that nobody can speak, in which certificates are shown under `secret`.
pub(super) fn gate_socket(secret: &str, rules: &TlsRules) -> core::TransportSocket {
    let alpn = Alpn::Http(HttpVersions::Both);
    named_socket(secret, common(TlsProfile::default(), alpn, rules))
}

fn named_socket(secret: &str, mut common: tls::CommonTlsContext) -> core::TransportSocket {
    common.tls_certificate_sds_secret_configs =
        vec![tls::SdsSecretConfig { name: secret.to_owned(), sds_config: Some(proto::ads()) }];
    socket(&tls::DownstreamTlsContext {
        common_tls_context: Some(common),
        ..tls::DownstreamTlsContext::default()
    })
}

fn socket<M: prost::Message + prost::Name>(context: &M) -> core::TransportSocket {
    core::TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(proto::any(context))),
    }
}

fn common(profile: TlsProfile, alpn: Alpn, rules: &TlsRules) -> tls::CommonTlsContext {
    let minimum = profile.minimum_version.max(rules.minimum);
    let alpn_protocols: &[&str] = match alpn {
        Alpn::Http(HttpVersions::Both) => &["h2", "http/1.1"],
        Alpn::Http(HttpVersions::Http1) => &["http/1.1"],
        Alpn::Http(HttpVersions::Http2) => &["h2"],
        Alpn::Tcp => &[],
    };
    tls::CommonTlsContext {
        tls_params: Some(parameters(minimum, rules)),
        alpn_protocols: alpn_protocols.iter().copied().map(str::to_owned).collect(),
        ..tls::CommonTlsContext::default()
    }
}

fn parameters(minimum: TlsVersion, rules: &TlsRules) -> tls::TlsParameters {
    let protocol = |version| match version {
        TlsVersion::V1_2 => tls::tls_parameters::TlsProtocol::TlSv12.into(),
        TlsVersion::V1_3 => tls::tls_parameters::TlsProtocol::TlSv13.into(),
    };
    let suites = if rules.cipher_suites.is_empty() {
        CIPHERS.map(str::to_owned).into()
    } else {
        rules.cipher_suites.iter().map(ToString::to_string).collect()
    };
    tls::TlsParameters {
        tls_minimum_protocol_version: protocol(minimum),
        tls_maximum_protocol_version: protocol(rules.maximum.max(minimum)),
        cipher_suites: suites,
        ecdh_curves: rules.curves.iter().map(ToString::to_string).collect(),
        ..tls::TlsParameters::default()
    }
}

/// TLS to an upstream, verified if asked for.
pub(super) fn upstream_socket(
    validation: Option<&Validation>,
    protocol: Protocol,
    rules: Option<&TlsRules>,
) -> core::TransportSocket {
    let validation_context_type = validation.map(|validation| {
        tls::common_tls_context::ValidationContextType::ValidationContext(
            tls::CertificateValidationContext {
                trusted_ca: Some(proto::inline(&validation.authority.pem)),
                match_typed_subject_alt_names: vec![tls::SubjectAltNameMatcher {
                    san_type: tls::subject_alt_name_matcher::SanType::Dns.into(),
                    matcher: Some(matcher::StringMatcher {
                        match_pattern: Some(matcher::string_matcher::MatchPattern::Exact(
                            validation.subject_name.to_string(),
                        )),
                        ..matcher::StringMatcher::default()
                    }),
                    ..tls::SubjectAltNameMatcher::default()
                }],
                ..tls::CertificateValidationContext::default()
            },
        )
    });
    let alpn_protocols = if protocol.is_http2() { vec!["h2".to_owned()] } else { Vec::new() };
    socket(&tls::UpstreamTlsContext {
        common_tls_context: Some(tls::CommonTlsContext {
            alpn_protocols,
            tls_params: rules.map(|rules| parameters(rules.minimum, rules)),
            validation_context_type,
            ..tls::CommonTlsContext::default()
        }),
        sni: validation.map(|v| v.subject_name.to_string()).unwrap_or_default(),
        ..tls::UpstreamTlsContext::default()
    })
}
