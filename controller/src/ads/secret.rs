//! Secrets under other names than their own, and the certificate that an Envoy's gate begins with.

use std::sync::Arc;

use contour_core::xds::{Resource, ResourceKey, ResourceType, gate};
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    Secret, TlsCertificate, secret,
};
use prost::Message as _;

/// The body of a secret under the name in which it was asked for: Envoy refuses one that is
/// called otherwise.
pub(super) fn renamed(name: &str, resource: &Resource) -> Vec<u8> {
    match Secret::decode(resource.body.as_ref()) {
        Ok(mut secret) => {
            name.clone_into(&mut secret.name);
            secret.encode_to_vec()
        }
        // Only secrets are renamed, and their bodies are made by us.
        Err(_) => resource.body.to_vec(),
    }
}

/// A certificate as it is shown at the gate for the `count`th time. Envoy takes what it has refused
/// before without a look, so no content may come twice: the count stands behind the chain.
pub(super) fn at_gate(resource: &Resource, count: u64) -> Arc<Resource> {
    let mut message = Secret::decode(resource.body.as_ref()).unwrap_or_default();
    gate::SECRET.clone_into(&mut message.name);
    if let Some(secret::Type::TlsCertificate(certificate)) = &mut message.r#type
        && let Some(DataSource { specifier: Some(Specifier::InlineString(chain)), .. }) =
            &mut certificate.certificate_chain
    {
        chain.push_str("# ");
        chain.push_str(&count.to_string());
        chain.push('\n');
    }
    shown(&message)
}

fn shown(message: &Secret) -> Arc<Resource> {
    let key = ResourceKey::new(ResourceType::Secret, gate::SECRET);
    Arc::new(Resource::new(key, message.encode_to_vec(), Vec::new()))
}

/// A certificate of our own that every Envoy accepts: a listener without any does not start. New in
/// each process, since a key that is published is no key.
///
/// `None` if none can be made; then the gate begins with the first certificate that is shown.
pub(super) fn first_at_gate() -> Option<Arc<Resource>> {
    let made = rcgen::generate_simple_self_signed(["gate.invalid".to_owned()]);
    let pair =
        made.inspect_err(|error| tracing::warn!(%error, "no certificate for the gate")).ok()?;
    let text = |text| {
        Some(DataSource { specifier: Some(Specifier::InlineString(text)), ..DataSource::default() })
    };
    let certificate = TlsCertificate {
        certificate_chain: text(pair.cert.pem()),
        private_key: text(pair.signing_key.serialize_pem()),
        ..TlsCertificate::default()
    };
    Some(shown(&Secret {
        name: gate::SECRET.to_owned(),
        r#type: Some(secret::Type::TlsCertificate(certificate)),
    }))
}
