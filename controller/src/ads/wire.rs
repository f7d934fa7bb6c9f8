//! Requests as they arrive, read field by field.
//!
//! A string of protobuf must be UTF-8, and a decoder that insists on it gives up the whole message
//! for one that is not. Names in a request can be text that a client of Envoy chose (the SNI of a
//! handshake), and Envoy asks for the same name again on each new stream. So texts are read as
//! bytes, each field for itself: one that cannot be read costs that field, never the stream.
//!
//! The layouts are those of `envoy/service/discovery/v3/discovery.proto`.

mod codec;
mod field;

use std::collections::HashMap;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use prost::Message as _;

pub(super) use codec::Codec;
use field::fields;

/// The longest name of a resource that is read, in bytes. A DNS name has 253 at most; the longest
/// names are those of clusters.
const NAME_BYTES_MAX: usize = 1_024;
/// How much of a text is kept that says who somebody is, or what went wrong, in characters.
const TEXT_CHARS_MAX: usize = 4_096;

/// A message that can be read from whatever bytes arrive.
pub(super) trait Incoming: Default + Send + 'static {
    /// Takes a field, or leaves it out if it makes no sense.
    fn take(&mut self, tag: u32, value: Bytes);

    /// Reads a message. What stands behind a field without an end is left out.
    fn read(bytes: Bytes) -> Self {
        let mut message = Self::default();
        for (tag, value) in fields(bytes) {
            message.take(tag, value);
        }
        message
    }
}

/// An incremental request (`DeltaDiscoveryRequest`).
#[derive(Debug, Default)]
pub(super) struct DeltaRequest {
    pub(super) node: Option<core::Node>,
    pub(super) type_url: String,
    pub(super) subscribe: Vec<String>,
    pub(super) unsubscribe: Vec<String>,
    pub(super) initial_versions: HashMap<String, String>,
    pub(super) nonce: String,
    pub(super) error: Option<String>,
}

impl Incoming for DeltaRequest {
    fn take(&mut self, tag: u32, value: Bytes) {
        match tag {
            1 => self.node = Some(node(value)),
            2 => self.type_url = text(&value),
            3 => self.subscribe.extend(name(&value)),
            4 => self.unsubscribe.extend(name(&value)),
            5 => self.initial_versions.extend(entry(value)),
            6 => self.nonce = text(&value),
            7 => self.error = Some(status_message(value)),
            _ => {}
        }
    }
}

/// A request for the state of the world (`DiscoveryRequest`).
#[derive(Debug, Default)]
pub(super) struct WorldRequest {
    pub(super) version: String,
    pub(super) node: Option<core::Node>,
    pub(super) names: Vec<String>,
    pub(super) type_url: String,
    pub(super) nonce: String,
    pub(super) error: Option<String>,
}

impl Incoming for WorldRequest {
    fn take(&mut self, tag: u32, value: Bytes) {
        match tag {
            1 => self.version = text(&value),
            2 => self.node = Some(node(value)),
            // A name that cannot be read stays as one that nothing is called: a list without names
            // would ask for everything.
            3 => self.names.push(name(&value).unwrap_or_default()),
            4 => self.type_url = text(&value),
            5 => self.nonce = text(&value),
            6 => self.error = Some(status_message(value)),
            _ => {}
        }
    }
}

/// The name of a resource; `None` if none of ours can be called so. It is compared, and sent back
/// as it is, so nothing in it may be replaced.
fn name(bytes: &[u8]) -> Option<String> {
    let name = str::from_utf8(bytes).ok().filter(|name| name.len() <= NAME_BYTES_MAX);
    if name.is_none() {
        tracing::debug!(name = %bytes.escape_ascii(), "a name that no resource can have is ignored");
    }
    name.map(str::to_owned)
}

/// A text for people: what is no UTF-8 is replaced, and so are characters that would end a line of
/// a log or steer a terminal.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(TEXT_CHARS_MAX).map(printable).collect()
}

/// An entry of `map<string, string>`: the name of a resource and its version.
fn entry(bytes: Bytes) -> Option<(String, String)> {
    let (mut key, mut value) = (None, String::new());
    for (tag, field) in fields(bytes) {
        match tag {
            1 => key = name(&field),
            2 => value = text(&field),
            _ => {}
        }
    }
    Some((key?, value))
}

/// The message of a `google.rpc.Status`.
fn status_message(bytes: Bytes) -> String {
    let message = fields(bytes).find_map(|(tag, value)| (tag == 2).then(|| text(&value)));
    message.unwrap_or_default()
}

/// The few fields of a node that matter: an Envoy's has 60 kB of names of extensions.
fn node(bytes: Bytes) -> core::Node {
    let mut node = core::Node::default();
    for (tag, value) in fields(bytes) {
        match tag {
            1 => node.id = text(&value),
            2 => node.cluster = text(&value),
            3 => node.metadata = prost::Message::decode(value).ok(),
            7 => {
                let version = UserAgentVersionType::UserAgentVersion(text(&value));
                node.user_agent_version_type = Some(version);
            }
            8 => {
                let build = core::BuildVersion::decode(value).ok();
                let version = build.map(UserAgentVersionType::UserAgentBuildVersion);
                node.user_agent_version_type = version;
            }
            _ => {}
        }
    }
    node
}

#[cfg(test)]
mod tests;
