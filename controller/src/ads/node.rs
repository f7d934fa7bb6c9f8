//! Who is on the other end of a stream.

use std::fmt;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use envoy_types::pb::google::protobuf::value::Kind;

use crate::bootstrap::Admin;

/// The release of an Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvoyVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl fmt::Display for EnvoyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A client of the xDS server, as it describes itself in its first request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// `node.id`; unique by convention, not by force.
    pub(super) id: Arc<str>,
    /// `node.cluster`.
    pub(super) cluster: Arc<str>,
    /// The version it reports; `None` for clients that are no Envoy.
    pub(super) version: Option<EnvoyVersion>,
    /// Where its administration listens, as its bootstrap has it in `node.metadata.contour.admin`.
    pub(super) admin: Option<Admin>,
}

impl Node {
    /// Keeps the few fields that matter: an Envoy's node is 60 kB of extension names.
    pub(super) fn of(node: &core::Node) -> Self {
        Self {
            id: node.id.as_str().into(),
            cluster: node.cluster.as_str().into(),
            version: version(node),
            admin: admin(node),
        }
    }

    /// Why this client cannot be served by a controller that needs `minimum`, if so.
    pub(super) fn unfit(&self, minimum: (u32, u32)) -> Option<String> {
        let version = self.version?;
        ((version.major, version.minor) < minimum).then(|| {
            let (major, minor) = minimum;
            format!(
                "Envoy {version} (node {:?}) is too old: this controller's configuration needs \
                 Envoy {major}.{minor} or newer; upgrade this Envoy",
                self.id
            )
        })
    }
}

fn admin(node: &core::Node) -> Option<Admin> {
    let Kind::StructValue(contour) =
        node.metadata.as_ref()?.fields.get("contour")?.kind.as_ref()?
    else {
        return None;
    };
    let Kind::StringValue(text) = contour.fields.get("admin")?.kind.as_ref()? else {
        return None;
    };
    Some(Admin::parse(text))
}

fn version(node: &core::Node) -> Option<EnvoyVersion> {
    match node.user_agent_version_type.as_ref()? {
        UserAgentVersionType::UserAgentBuildVersion(build) => {
            let version = build.version.as_ref()?;
            Some(EnvoyVersion {
                major: version.major_number,
                minor: version.minor_number,
                patch: version.patch,
            })
        }
        UserAgentVersionType::UserAgentVersion(text) => parse(text),
    }
}

fn parse(text: &str) -> Option<EnvoyVersion> {
    let mut numbers = text.split(['.', '-', '+']);
    Some(EnvoyVersion {
        major: numbers.next()?.parse().ok()?,
        minor: numbers.next()?.parse().ok()?,
        patch: numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::google::protobuf::{Struct, Value};

    use super::*;
    use crate::bootstrap::Bootstrap;

    fn node(version: &str) -> Node {
        Node::of(&core::Node {
            id: "edge-1".to_owned(),
            user_agent_version_type: Some(UserAgentVersionType::UserAgentVersion(
                version.to_owned(),
            )),
            ..core::Node::default()
        })
    }

    #[test]
    fn an_older_envoy_is_told_what_it_is_and_what_is_needed() {
        let message = node("1.36.2").unfit((1, 37)).expect("too old");
        assert!(message.contains("Envoy 1.36.2"), "{message}");
        assert!(message.contains("Envoy 1.37 or newer"), "{message}");
        assert!(message.contains("\"edge-1\""), "{message}");
    }

    #[test]
    fn an_envoy_of_the_minimum_or_newer_is_fit() {
        for version in ["1.37.0", "1.40.0", "1.37.0-dev", "2.0.0"] {
            assert_eq!(node(version).unfit((1, 37)), None, "{version}");
        }
    }

    #[test]
    fn where_the_administration_listens_is_read_as_the_bootstrap_writes_it() {
        for (text, expected) in [
            ("/run/admin.sock", Admin::Socket("/run/admin.sock".into())),
            ("[::1]:9001", Admin::Address(std::net::Ipv6Addr::LOCALHOST.into(), 9001)),
        ] {
            assert_eq!(expected.to_string(), text);
            let bootstrap = Bootstrap::local(expected.clone(), 8001, "edge-1").render().config;
            let told = &bootstrap["node"]["metadata"]["contour"]["admin"];
            let value = |kind| Value { kind: Some(kind) };
            let text = value(Kind::StringValue(told.as_str().expect("a text").to_owned()));
            let contour = Struct { fields: [("admin".to_owned(), text)].into() };
            let contour = value(Kind::StructValue(contour));
            let metadata = Struct { fields: [("contour".to_owned(), contour)].into() };
            let node = core::Node { metadata: Some(metadata), ..core::Node::default() };
            assert_eq!(Node::of(&node).admin, Some(expected));
        }
        assert_eq!(node("1.40.0").admin, None);
    }

    #[test]
    fn a_client_that_reports_no_version_is_fit() {
        assert_eq!(Node::of(&core::Node::default()).unfit((1, 37)), None);
    }
}
