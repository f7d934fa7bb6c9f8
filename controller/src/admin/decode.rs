//! Shows a resource as text, without private keys.

use contour_core::xds::{Resource, ResourceType};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, ScopedRouteConfiguration};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::FileAccessLog;
use envoy_types::pb::envoy::extensions::filters::listener::{proxy_protocol, tls_inspector};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use prost::{DecodeError, Message};

/// What is shown in place of a secret value.
const REDACTED: &str = "[redacted]";

/// How deep messages inside messages are decoded.
const DEPTH: usize = 8;

/// The resource as text: the fields that are set, one a line.
pub(super) fn readable(resource: &Resource) -> String {
    let body = resource.body.as_ref();
    let shown = match resource.key.kind {
        ResourceType::Cluster => show::<Cluster>(body),
        ResourceType::Endpoint => show::<ClusterLoadAssignment>(body),
        ResourceType::Secret => tls::Secret::decode(body).map(|s| format!("{:#?}", redacted(s))),
        ResourceType::Listener => show::<Listener>(body),
        ResourceType::Route => show::<RouteConfiguration>(body),
        ResourceType::ScopedRoute => show::<ScopedRouteConfiguration>(body),
    };
    match shown {
        Ok(shown) => without_options(&without_defaults(&expand(&shown, DEPTH))),
        Err(error) => format!("cannot be decoded: {error}"),
    }
}

fn show<M: Message + Default + std::fmt::Debug>(body: &[u8]) -> Result<String, DecodeError> {
    M::decode(body).map(|message| format!("{message:#?}"))
}

fn redacted(mut secret: tls::Secret) -> tls::Secret {
    match secret.r#type.as_mut() {
        Some(Type::TlsCertificate(certificate)) => redact(certificate),
        Some(Type::SessionTicketKeys(keys)) => keys.keys = vec![hidden()],
        Some(Type::GenericSecret(generic)) => {
            generic.secret = Some(hidden());
            generic.secrets.clear();
        }
        Some(Type::ValidationContext(context)) => legible(context.trusted_ca.as_mut()),
        None => {}
    }
    secret
}

/// Everything but the public part goes; what Envoy adds to the message one day as well.
fn redact(certificate: &mut tls::TlsCertificate) {
    let mut public = certificate.certificate_chain.take();
    legible(public.as_mut());
    *certificate = tls::TlsCertificate {
        certificate_chain: public,
        private_key: certificate.private_key.is_some().then(hidden),
        password: certificate.password.is_some().then(hidden),
        pkcs12: certificate.pkcs12.is_some().then(hidden),
        ..tls::TlsCertificate::default()
    };
}

fn hidden() -> DataSource {
    DataSource {
        specifier: Some(Specifier::InlineString(REDACTED.to_owned())),
        ..DataSource::default()
    }
}

/// Shows bytes that are PEM as the text that they are.
fn legible(source: Option<&mut DataSource>) {
    if let Some(source) = source
        && let Some(Specifier::InlineBytes(bytes)) = &source.specifier
    {
        let text = String::from_utf8_lossy(bytes).into_owned();
        source.specifier = Some(Specifier::InlineString(text));
    }
}

/// Decodes the message of this type, secrets redacted. Types that are not listed are shown by
/// their size alone.
fn nested(type_url: &str, body: &[u8]) -> Option<Result<String, DecodeError>> {
    let name = type_url.rsplit('/').next()?;
    let common = |context: &mut Option<tls::CommonTlsContext>| {
        if let Some(context) = context {
            context.tls_certificates.iter_mut().for_each(redact);
        }
    };
    Some(match name {
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager" => {
            show::<HttpConnectionManager>(body)
        }
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy" => show::<TcpProxy>(body),
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector" => {
            show::<tls_inspector::v3::TlsInspector>(body)
        }
        "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol" => {
            show::<proxy_protocol::v3::ProxyProtocol>(body)
        }
        "envoy.extensions.access_loggers.file.v3.FileAccessLog" => show::<FileAccessLog>(body),
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions" => {
            show::<HttpProtocolOptions>(body)
        }
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext" => {
            tls::DownstreamTlsContext::decode(body).map(|mut context| {
                common(&mut context.common_tls_context);
                context.session_ticket_keys_type = None;
                format!("{context:#?}")
            })
        }
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext" => {
            tls::UpstreamTlsContext::decode(body).map(|mut context| {
                common(&mut context.common_tls_context);
                format!("{context:#?}")
            })
        }
        _ => return None,
    })
}

/// Replaces the bytes of messages inside messages, which `Debug` shows as lists of numbers, by
/// what they mean.
fn expand(text: &str, depth: usize) -> String {
    const OPEN: &str = "Any {";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(OPEN) {
        out.push_str(before);
        let Some((url, bytes, after)) = any(inside) else {
            out.push_str(OPEN);
            rest = inside;
            continue;
        };
        let content = match (depth, nested(url, &bytes)) {
            (1.., Some(Ok(shown))) => expand(&shown, depth - 1),
            _ => format!("[{} bytes]", bytes.len()),
        };
        let line = before.rsplit('\n').next().unwrap_or_default();
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let content = content.replace('\n', &format!("\n{indent}"));
        out.push_str("Any ");
        out.push_str(url);
        out.push(' ');
        out.push_str(&content);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Reads `type_url: "…", value: […], }` as `Debug` writes it.
fn any(text: &str) -> Option<(&str, Vec<u8>, &str)> {
    let text = text.trim_start().strip_prefix("type_url: \"")?;
    let (url, text) = text.split_once('"')?;
    let text = text.strip_prefix(',')?.trim_start();
    let text = text.strip_prefix("value: [")?;
    let (numbers, text) = text.split_once(']')?;
    let bytes = numbers
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let (_, text) = text.split_once('}')?;
    Some((url, bytes, text))
}

/// Drops the fields that are not set, which are nine out of ten.
fn without_defaults(text: &str) -> String {
    let unset = |line: &str| {
        [": None,", ": [],", ": {},", ": \"\",", ": 0,", ": 0.0,", ": false,"]
            .iter()
            .any(|end| line.ends_with(end))
    };
    let mut out = String::with_capacity(text.len() / 4);
    for line in text.lines().filter(|line| !unset(line)) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Writes `field: Some(\n    Value {` as `field: Value {`: what is there needs no saying so.
fn without_options(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // How far the lines stand in at which a `Some(` was left out.
    let mut open: Vec<usize> = Vec::new();
    let mut begun = false;
    for line in text.lines() {
        let content = line.trim_start();
        let depth = line.len() - content.len();
        if open.last() == Some(&depth) && content.starts_with(')') {
            open.pop();
            continue;
        }
        if !begun {
            out.extend(std::iter::repeat_n(' ', depth.saturating_sub(4 * open.len())));
        }
        if let Some(field) = content.strip_suffix("Some(") {
            out.push_str(field);
            open.push(depth);
            begun = true;
        } else {
            out.push_str(content);
            out.push('\n');
            begun = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use contour_core::xds::ResourceKey;
    use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, filter::ConfigType};
    use envoy_types::pb::google::protobuf::{Any, Duration};

    use super::*;

    fn resource(kind: ResourceType, message: &impl Message) -> Resource {
        Resource::new(ResourceKey::new(kind, "name"), message.encode_to_vec(), Vec::new())
    }

    fn certificate() -> tls::TlsCertificate {
        let inline = |text: &str| {
            Some(DataSource {
                specifier: Some(Specifier::InlineBytes(text.as_bytes().to_vec())),
                ..DataSource::default()
            })
        };
        tls::TlsCertificate {
            certificate_chain: inline("-----BEGIN CERTIFICATE-----"),
            private_key: inline("-----BEGIN PRIVATE KEY-----"),
            password: inline("open sesame"),
            ..tls::TlsCertificate::default()
        }
    }

    #[test]
    fn a_private_key_is_not_shown_and_the_certificate_is() {
        let secret = tls::Secret {
            name: "shop".to_owned(),
            r#type: Some(Type::TlsCertificate(certificate())),
        };
        let shown = readable(&resource(ResourceType::Secret, &secret));
        assert!(shown.contains("BEGIN CERTIFICATE"), "{shown}");
        // As text, or as the list of numbers that `Debug` makes of bytes.
        for secret in ["PRIVATE KEY", "sesame", "115,\n"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(shown.matches(REDACTED).count(), 2, "{shown}");
    }

    #[test]
    fn what_is_set_is_shown_in_few_lines() {
        let cluster = Cluster {
            name: "shop".to_owned(),
            connect_timeout: Some(Duration { seconds: 2, nanos: 0 }),
            ..Cluster::default()
        };
        let shown = readable(&resource(ResourceType::Cluster, &cluster));
        let expected = "Cluster {\n    name: \"shop\",\n    connect_timeout: Duration {\n        seconds: 2,\n    },\n";
        assert!(shown.starts_with(expected), "{shown}");
    }

    #[test]
    fn messages_inside_messages_are_decoded_and_redacted() {
        let context = tls::DownstreamTlsContext {
            common_tls_context: Some(tls::CommonTlsContext {
                tls_certificates: vec![certificate()],
                ..tls::CommonTlsContext::default()
            }),
            ..tls::DownstreamTlsContext::default()
        };
        let any = |url: &str, value| {
            Some(ConfigType::TypedConfig(Any {
                type_url: format!("type.googleapis.com/{url}"),
                value,
            }))
        };
        let filter = |config_type| Filter { name: "f".to_owned(), config_type };
        let listener = Listener {
            name: "https".to_owned(),
            filter_chains: vec![FilterChain {
                filters: vec![
                    filter(any(
                        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                        context.encode_to_vec(),
                    )),
                    filter(any("some.Unknown", vec![1, 2, 3])),
                ],
                ..FilterChain::default()
            }],
            ..Listener::default()
        };
        let shown = readable(&resource(ResourceType::Listener, &listener));
        assert!(shown.contains("tls_certificates"), "{shown}");
        assert!(shown.contains("BEGIN CERTIFICATE"), "{shown}");
        assert!(shown.contains("some.Unknown [3 bytes]"), "{shown}");
        assert!(!shown.contains("115,\n") && !shown.contains("PRIVATE"), "{shown}");
        assert!(!shown.contains("None"), "{shown}");
    }
}
