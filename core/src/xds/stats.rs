//! The names under which Envoy counts what happens on a route and to a service.
//!
//! Envoy takes names apart at dots, so none of ours has one; two things never share a name. They
//! stand in dashboards and alerts: a change of a name is a change for users.

use std::fmt::Write as _;

use crate::name::{Fqdn, ObjectName};

/// The virtual host that refuses requests for other hosts. No host has this name.
pub const MISDIRECTED: &str = "misdirected_";

/// What cannot stand in a name as it is, beside what is not printable ASCII: the dot; `@`, which
/// ends the name of a route; `|` and `#`, which end names on the way to collectors; and the `%`
/// that stands for them.
const ESCAPED: [char; 5] = ['.', '@', '|', '#', '%'];

/// The name of a host's virtual host: `shop_example_com`. Host names have no underscore.
pub fn host(fqdn: &Fqdn) -> String {
    fqdn.as_str().replace('.', "_")
}

/// The name of a route ([`crate::ir::Route::name`]) as far as it leads to a service:
/// `demo/shop:/cart@green:80`, or `…@other/green:80` if the service is of another namespace than
/// the object that the route stands in. What cannot stand there is percent-encoded.
pub fn route(name: &str, service: &ObjectName, port: u16) -> String {
    let mut out = String::with_capacity(name.len() + service.name.len() + 8);
    escape(name, &mut out);
    out.push('@');
    let own = name.split_once('/').map_or("", |(namespace, _)| namespace);
    if *service.namespace != *own {
        escape(&service.namespace, &mut out);
        out.push('/');
    }
    escape(&service.name, &mut out);
    // Writing to a text cannot fail.
    let _infallible = write!(out, ":{port}");
    out
}

/// What the names of all routes of an object begin with, and no others: `demo/shop:`.
pub fn object(object: &ObjectName) -> String {
    let mut out = String::new();
    escape(&object.to_string(), &mut out);
    out + ":"
}

/// The name of the clusters of a service's port: `demo_green_80`. Neither namespaces nor services
/// have underscores.
pub fn service(service: &ObjectName, port: u16) -> String {
    format!("{}_{}_{port}", service.namespace, service.name)
}

/// The Service and the port that clusters of a name are of, if it is such a name.
pub fn service_of(name: &str) -> Option<(ObjectName, u16)> {
    let mut parts = name.split('_');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(name), Some(port), None)
            if !namespace.is_empty() && !name.is_empty() =>
        {
            Some((ObjectName::new(namespace, name), port.parse().ok()?))
        }
        _ => None,
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii_graphic() && !ESCAPED.contains(&c) {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn green() -> ObjectName {
        ObjectName::new("demo", "green")
    }

    #[test]
    fn names_say_what_they_are_of() {
        let fqdn = Fqdn::parse("shop.example-one.com").expect("a host");
        assert_eq!(host(&fqdn), "shop_example-one_com");
        assert_eq!(service(&green(), 80), "demo_green_80");
        assert_eq!(service_of("demo_green_80"), Some((green(), 80)));
        for none in ["demo_green", "demo_green_80_x", "demo__80", "envoy-admin", "a_b_99999"] {
            assert_eq!(service_of(none), None, "{none}");
        }
        for (name, expected) in [
            ("demo/shop:/cart", "demo/shop:/cart@green:80"),
            ("demo/shop.v2:/a.b/", "demo/shop%2Ev2:/a%2Eb/@green:80"),
            ("demo/shop:/a%20@b|c", "demo/shop:/a%2520%40b%7Cc@green:80"),
            ("other/shop:/", "other/shop:/@demo/green:80"),
        ] {
            assert_eq!(route(name, &green(), 80), expected);
        }
    }

    proptest! {
        #[test]
        fn different_routes_and_services_have_different_names(
            [(one, first, a), (two, second, b)] in prop::array::uniform2(
                ("[a-b]/[a.%@]{1,2}:/[a.%@2E:é]{0,4}", "[a-b]", 80_u16..82)
            )
        ) {
            let names = |name: &str, service: &str, port| {
                route(name, &ObjectName::new("a", service), port)
            };
            prop_assert_eq!(
                names(&one, &first, a) == names(&two, &second, b),
                (&one, &first, a) == (&two, &second, b)
            );
            prop_assert!(!names(&one, &first, a).contains('.'));
        }
    }
}
