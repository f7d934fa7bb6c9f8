//! The Lease of a shift: who drives it, whether they are gone, and how it is taken, renewed and let
//! go. No I/O, no clock.

use std::sync::Arc;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::{Kind, ObjectRef, is_dns_subdomain};
use contour_core::shift::sent::{LEASE_PREFIX, LEASE_ROUTE};
use serde_json::{Value, json};

/// By which the Leases of shifts are found.
pub(super) const SELECTOR: &str = "app.kubernetes.io%2Fmanaged-by%3Dkubectl-contour";

/// How long a Lease lasts that does not say so, and one that the controller holds.
pub(super) const DURATION: Duration = Duration::from_secs(30);

/// Namespace and name.
pub(super) type Key = (Arc<str>, Arc<str>);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShiftLease {
    pub(super) key: Key,
    pub(super) route: ObjectRef,
    pub(super) version: String,
    /// Whose client drives the shift; empty if it ended in order.
    pub(super) holder: String,
    duration: Duration,
    renewed: Option<Timestamp>,
    transitions: i64,
}

impl ShiftLease {
    /// Reads one; `None` if it is not that of a shift. Whoever may write Leases has written it, so
    /// what it names as a route has to be a name.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let (namespace, name) = (text("/metadata/namespace")?, text("/metadata/name")?);
        let suffix = name.strip_prefix(LEASE_PREFIX)?;
        let annotated = value.pointer("/metadata/annotations").and_then(|a| a.get(LEASE_ROUTE));
        let route = annotated.and_then(Value::as_str).unwrap_or(suffix);
        if !is_dns_subdomain(route) {
            return None;
        }
        let duration = value.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64);
        Some(Self {
            key: (namespace.into(), name.into()),
            route: ObjectRef::new(Kind::IngressRoute, namespace, route),
            version: text("/metadata/resourceVersion")?.to_owned(),
            holder: text("/spec/holderIdentity").unwrap_or_default().to_owned(),
            duration: duration.map_or(DURATION, Duration::from_secs),
            renewed: text("/spec/renewTime").and_then(Timestamp::parse),
            transitions: value
                .pointer("/spec/leaseTransitions")
                .and_then(Value::as_i64)
                .unwrap_or(0),
        })
    }

    /// Since when nobody drives the shift, although nobody let it go. One that a replica of this
    /// identity took and did not bring to an end waits for nothing.
    pub(super) fn gone_since(&self, identity: &str, now: Timestamp) -> Option<Timestamp> {
        if self.holder.is_empty() {
            return None;
        }
        if self.holder == identity {
            return Some(Timestamp::from_unix(0));
        }
        let renewed = self.renewed?;
        (later(renewed, self.duration) <= now).then_some(renewed)
    }

    /// The JSON patch (RFC 6902) that takes it, if it is still as it was read.
    pub(super) fn take(&self, identity: &str, now: Timestamp) -> Value {
        json!([
            { "op": "test", "path": "/spec/holderIdentity", "value": self.holder },
            // With this the server itself compares versions, and answers 409.
            { "op": "replace", "path": "/metadata/resourceVersion", "value": self.version },
            { "op": "add", "path": "/spec/holderIdentity", "value": identity },
            { "op": "add", "path": "/spec/leaseDurationSeconds", "value": DURATION.as_secs() },
            { "op": "add", "path": "/spec/acquireTime", "value": micro(now) },
            { "op": "add", "path": "/spec/renewTime", "value": micro(now) },
            { "op": "add", "path": "/spec/leaseTransitions",
              "value": self.transitions.saturating_add(1) },
        ])
    }
}

/// The JSON patch that renews one, if it is ours.
pub(super) fn renew(identity: &str, now: Timestamp) -> Value {
    json!([
        { "op": "test", "path": "/spec/holderIdentity", "value": identity },
        { "op": "add", "path": "/spec/renewTime", "value": micro(now) },
    ])
}

/// The JSON patch that lets one go, if it is ours.
pub(super) fn release(identity: &str) -> Value {
    json!([
        { "op": "test", "path": "/spec/holderIdentity", "value": identity },
        { "op": "replace", "path": "/spec/holderIdentity", "value": "" },
    ])
}

/// A time so much later.
pub(super) fn later(then: Timestamp, duration: Duration) -> Timestamp {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix(then.unix().saturating_add(seconds))
}

/// As `metav1.MicroTime` has it.
fn micro(time: Timestamp) -> String {
    format!("{}.000000Z", time.to_string().trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(spec: &Value) -> Value {
        json!({
            "metadata": {"namespace": "demo", "name": "contour-shift-shop", "resourceVersion": "7"},
            "spec": spec,
        })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    #[test]
    fn a_lease_names_its_route_and_nothing_but_a_route() {
        let named = |name: &str, route: Option<&str>| {
            let mut value = lease(&json!({}));
            value["metadata"]["name"] = json!(name);
            if let Some(route) = route {
                value["metadata"]["annotations"] = json!({ LEASE_ROUTE: route });
            }
            ShiftLease::read(&value).map(|lease| lease.route.name.to_string())
        };
        let shop = Some("demo/shop".to_owned());
        assert_eq!(named("contour-shift-shop", None), shop);
        assert_eq!(named("contour-shift-0123abcd", Some("shop")), shop);
        for (name, route) in [
            ("leader-elect", None),
            ("leader-elect", Some("shop")),
            ("contour-shift-", None),
            ("contour-shift-shop", Some("../../other/ingressroutes/shop")),
            ("contour-shift-shop", Some("shop/status")),
            ("contour-shift-shop", Some("shop?dryRun=All")),
        ] {
            assert_eq!(named(name, route), None, "{name} {route:?}");
        }
    }

    #[test]
    fn only_a_client_that_did_not_end_in_order_and_is_silent_is_gone() {
        let renewed = micro(at(1000));
        let held = |holder: &str| {
            ShiftLease::read(&lease(&json!({
                "holderIdentity": holder, "leaseDurationSeconds": 30, "renewTime": renewed,
            })))
            .unwrap()
        };
        for (holder, now, want) in [
            ("alice@laptop", 1029, None),
            ("alice@laptop", 1030, Some(at(1000))),
            ("", 9000, None),
            // Left by ourselves, when another one led for a moment.
            ("contour-1", 1001, Some(at(0))),
            ("contour-2", 1001, None),
        ] {
            assert_eq!(held(holder).gone_since("contour-1", at(now)), want, "{holder} {now}");
        }
        let never = ShiftLease::read(&lease(&json!({"holderIdentity": "alice"}))).unwrap();
        assert_eq!(never.gone_since("contour-1", at(9000)), None);
    }

    #[test]
    fn a_lease_is_taken_as_it_was_read_and_not_otherwise() {
        let spec = json!({
            "holderIdentity": "alice@laptop", "leaseTransitions": 4,
            "renewTime": "1970-01-01T00:00:09.123456Z",
        });
        let lease = ShiftLease::read(&lease(&spec)).unwrap();
        let patch = lease.take("contour-1", at(86_400));
        let one = |index: usize| (patch[index]["path"].as_str().unwrap(), &patch[index]["value"]);
        assert_eq!(one(0), ("/spec/holderIdentity", &json!("alice@laptop")));
        assert_eq!(one(1), ("/metadata/resourceVersion", &json!("7")));
        assert_eq!(one(5), ("/spec/renewTime", &json!("1970-01-02T00:00:00.000000Z")));
        assert_eq!(one(6), ("/spec/leaseTransitions", &json!(5)));
    }
}
