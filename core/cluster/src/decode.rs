//! What the API server sends, object by object.
//!
//! An object that cannot be decoded is a finding about that object, never the end of a watch.

use contour_core::api::{
    EndpointSlice, IngressRoute, Object, Secret, Service, TlsCertificateDelegation,
};
use contour_core::diagnostic::Diagnostic;
use contour_core::manifest::{self, Limits};
use contour_core::name::{Kind, ObjectName, ObjectRef};
use contour_core::pipeline::Change;
use contour_core::status::{Address, Written};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

/// Keys of a Secret that are read; nothing else of it stays in memory.
const SECRET_KEYS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// The version of an object. Kubernetes' are numbers since 1.35 by promise and before in fact;
/// one that is none can only be compared for equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    value: u64,
    is_number: bool,
}

impl Revision {
    /// Of a `resourceVersion`.
    pub fn of(text: &str) -> Self {
        match text.parse() {
            Ok(value) => Self { value, is_number: true },
            Err(_) => Self { value: xxh3_64(text.as_bytes()), is_number: false },
        }
    }

    /// Whether this adds nothing to `known`: it is the same or older.
    pub fn is_no_news_after(self, known: Self) -> bool {
        self == known || self.is_older_than(known)
    }

    /// Whether this is known to be older than `other`.
    pub fn is_older_than(self, other: Self) -> bool {
        self.is_number && other.is_number && self.value < other.value
    }
}

/// What stands outside of an object.
#[derive(Debug, Deserialize)]
struct Head {
    metadata: HeadMetadata,
    #[serde(default)]
    status: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMetadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    generation: Option<i64>,
}

/// What must be known of an object to write its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The version seen.
    pub revision: Revision,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// Its UID, if it is one as RFC 9562 has it.
    pub uid: Option<u128>,
    /// What its status says.
    pub written: Written,
}

impl Seen {
    /// Reads an object as the API server sends it.
    pub fn read(raw: &RawValue) -> Option<Self> {
        Some(Sent::read(raw)?.seen())
    }
}

fn uid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

/// An object as far as it can always be told apart from others.
#[derive(Debug)]
pub struct Sent<'a> {
    raw: &'a RawValue,
    /// Which object.
    pub name: ObjectName,
    /// Which version of it, as the API server writes it.
    pub version: String,
    /// Which version of it.
    pub revision: Revision,
    uid: Option<u128>,
    generation: Option<i64>,
    status: Option<Value>,
}

/// An object, decoded.
#[derive(Debug)]
pub struct Decoded {
    /// What it means for the world.
    pub change: Change,
    /// What a writer of its status must know, of kinds whose status we write.
    pub seen: Option<Seen>,
}

impl<'a> Sent<'a> {
    /// Reads whose object it is; `None` if not even that can be read.
    pub fn read(raw: &'a RawValue) -> Option<Self> {
        let head: Head = serde_json::from_str(raw.get()).ok()?;
        Some(Self {
            raw,
            name: ObjectName::new(head.metadata.namespace, head.metadata.name),
            revision: Revision::of(&head.metadata.resource_version),
            version: head.metadata.resource_version,
            uid: uid(&head.metadata.uid),
            generation: head.metadata.generation,
            status: head.status,
        })
    }

    /// Decodes the object.
    pub fn decode(self, kind: Kind) -> Decoded {
        let reference = self.name.of(kind);
        let text = self.raw.get();
        let change = match object(kind, text) {
            Some(object) => Change::Apply(Box::new(object), [].into()),
            // Slower, but tells all that is wrong, and of what field.
            None => explained(reference, text),
        };
        let seen = match kind {
            Kind::IngressRoute | Kind::TlsCertificateDelegation => Some(self.seen()),
            Kind::Service | Kind::EndpointSlice | Kind::Secret | Kind::Namespace => None,
        };
        Decoded { change, seen }
    }

    fn seen(self) -> Seen {
        Seen {
            revision: self.revision,
            generation: self.generation,
            uid: self.uid,
            written: Written::read(self.status.unwrap_or_default()),
        }
    }

    /// The addresses in the status of a Service of type `LoadBalancer`.
    pub fn addresses(&self) -> Vec<Address> {
        let ingress = self.status.as_ref().and_then(|s| s.pointer("/loadBalancer/ingress"));
        let all = ingress.and_then(Value::as_array).into_iter().flatten();
        let text = |item: &Value, key: &str| {
            item.get(key).and_then(Value::as_str).filter(|t| !t.is_empty()).map(Address::of)
        };
        all.filter_map(|item| text(item, "ip").or_else(|| text(item, "hostname"))).collect()
    }
}

fn object(kind: Kind, text: &str) -> Option<Object> {
    fn typed<T: DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_str(text).ok()
    }
    Some(match kind {
        Kind::IngressRoute => Object::IngressRoute(typed::<IngressRoute>(text)?),
        Kind::TlsCertificateDelegation => {
            Object::TlsCertificateDelegation(typed::<TlsCertificateDelegation>(text)?)
        }
        Kind::Service => Object::Service(typed::<Service>(text)?),
        Kind::EndpointSlice => Object::EndpointSlice(typed::<EndpointSlice>(text)?),
        Kind::Secret => Object::Secret(pruned(typed::<Secret>(text)?)),
        Kind::Namespace => Object::Namespace(typed(text)?),
    })
}

fn pruned(mut secret: Secret) -> Secret {
    secret.data.retain(|key, _| SECRET_KEYS.contains(&&**key));
    secret
}

fn explained(reference: ObjectRef, text: &str) -> Change {
    let manifest = manifest::read_sent(reference.kind, text, Limits::default());
    let found = manifest.documents.into_iter().find(|d| d.reference == reference);
    let Some(document) = found else {
        let own = |mut diagnostic: Diagnostic| {
            diagnostic.object = Some(reference.clone());
            diagnostic
        };
        let diagnostics = manifest.diagnostics.into_iter().map(own).collect();
        return Change::Undecodable(reference, diagnostics);
    };
    let diagnostics = document.diagnostics.into();
    match document.object {
        Some(Object::Secret(secret)) => {
            Change::Apply(Box::new(Object::Secret(pruned(secret))), diagnostics)
        }
        Some(object) => Change::Apply(Box::new(object), diagnostics),
        None => Change::Undecodable(reference, diagnostics),
    }
}

#[cfg(test)]
mod tests {
    use contour_core::diagnostic::Code;
    use serde_json::json;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).unwrap()
    }

    fn route(spec: &Value) -> Value {
        json!({
            "apiVersion": "contour.heptio.com/v1beta1",
            "kind": "IngressRoute",
            "metadata": {"name": "shop", "namespace": "demo", "resourceVersion": "7", "generation": 2,
                         "managedFields": [{"manager": "kubectl"}]},
            "spec": spec,
        })
    }

    #[test]
    fn a_poison_object_is_a_finding_about_its_field() {
        let raw = raw(&route(&json!({"routes": "none", "virtualhost": {"fqdn": 7}})));
        let sent = Sent::read(&raw).unwrap();
        assert_eq!(sent.name, ObjectName::new("demo", "shop"));
        let Change::Undecodable(reference, diagnostics) = sent.decode(Kind::IngressRoute).change
        else {
            panic!("it was decoded")
        };
        assert_eq!(reference, ObjectRef::new(Kind::IngressRoute, "demo", "shop"));
        let fields: Vec<_> = diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
        assert_eq!(
            fields,
            [(Code::ManifestType, ".spec.routes"), (Code::ManifestType, ".spec.virtualhost.fqdn"),]
        );
        assert!(diagnostics.iter().all(|d| d.location.is_none()));
    }

    #[test]
    fn an_item_of_a_list_does_not_say_its_kind() {
        let mut value = route(&json!({"routes": "none"}));
        value.as_object_mut().unwrap().retain(|key, _| key == "metadata" || key == "spec");
        let raw = raw(&value);
        let change = Sent::read(&raw).unwrap().decode(Kind::IngressRoute).change;
        assert!(matches!(change, Change::Undecodable(_, found) if found.len() == 1));
    }

    #[test]
    fn what_is_not_even_named_is_not_read() {
        for text in ["3", "{}", "{\"metadata\": {}}", "{\"metadata\": {\"name\": 3}}"] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            assert!(Sent::read(&raw).is_none(), "{text}");
        }
    }

    #[test]
    fn only_the_keys_of_a_secret_that_are_read_are_kept() {
        let raw = raw(&json!({
            "metadata": {"name": "s", "namespace": "demo", "resourceVersion": "1"},
            "type": "Opaque",
            "data": {"password": "aHVudGVyMg==", "ca.crt": "eA=="},
        }));
        let change = Sent::read(&raw).unwrap().decode(Kind::Secret).change;
        let Change::Apply(object, _) = change else { panic!("{change:?}") };
        let Object::Secret(secret) = *object else { panic!("{object:?}") };
        assert_eq!(secret.data.keys().map(AsRef::as_ref).collect::<Vec<_>>(), ["ca.crt"]);
    }

    #[test]
    fn addresses_are_those_of_the_load_balancer() {
        let raw = raw(&json!({
            "metadata": {"name": "envoy"},
            "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "lb.example"}, {"ip": ""}]}},
        }));
        let expected = [Address::of("10.0.0.1"), Address::of("lb.example")];
        assert_eq!(Sent::read(&raw).unwrap().addresses(), expected);
    }

    #[test]
    fn versions_that_are_numbers_have_an_order() {
        assert!(Revision::of("9").is_older_than(Revision::of("10")));
        assert!(!Revision::of("10").is_older_than(Revision::of("10")));
        assert!(!Revision::of("a").is_older_than(Revision::of("b")));
        assert_eq!(Revision::of("a"), Revision::of("a"));
    }
}
