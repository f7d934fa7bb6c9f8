//! The name that was probably meant.

use std::sync::LazyLock;

use serde_json::Value;

use crate::api::crd;
use crate::name::Kind;

/// Places beyond this number say nothing of where a field was meant to stand.
const PLACES_MAX: usize = 2;

static INGRESSROUTE: LazyLock<Value> = LazyLock::new(crd::ingressroute);
static DELEGATION: LazyLock<Value> = LazyLock::new(crd::tls_certificate_delegation);

/// The candidate nearest to `name`, if one is near enough to be meant.
pub(super) fn nearest<'c>(
    name: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    if name.len() > 64 {
        return None;
    }
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let tolerance = (wanted.len() / 3).max(1);
    candidates
        .map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().collect();
            (distance(&wanted, &letters), candidate)
        })
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint that lists what is known.
pub(super) fn known(names: &[&str]) -> String {
    let list: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
    format!("Known here: {}.", list.join(", "))
}

/// Says where in an object of `kind` there is a field of that name: it may have been indented too
/// little or too much.
pub(super) fn elsewhere(name: &str, kind: Kind) -> Option<String> {
    let definition = match kind {
        Kind::IngressRoute => &INGRESSROUTE,
        Kind::TlsCertificateDelegation => &DELEGATION,
        Kind::Service | Kind::EndpointSlice | Kind::Secret | Kind::Namespace => return None,
    };
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let mut places = Vec::new();
    find(definition.pointer(spec)?, name, ".spec", &mut places);
    let known = (1..=PLACES_MAX).contains(&places.len());
    known.then(|| format!("`{name}` is a field of {}.", places.join(" and of ")))
}

/// Collects the paths of the mappings in a schema that have a field of that name.
fn find(schema: &Value, name: &str, path: &str, places: &mut Vec<String>) {
    if let Some(items) = schema.get("items") {
        find(items, name, &format!("{path}[]"), places);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (property, schema) in properties.into_iter().flatten() {
        if property == name {
            places.push(format!("`{path}`"));
        }
        find(schema, name, &format!("{path}.{property}"), places);
    }
}

/// How many letters to insert, drop, replace or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut last_b = None;
        for (j, y) in b.iter().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&above, j) + usize::from(x != y))
                .min(at(&above, j + 1) + 1)
                .min(at(&row, j) + 1);
            if last_a == Some(y) && last_b == Some(x) && j > 0 {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
            last_b = Some(y);
        }
        before = std::mem::replace(&mut above, row);
        last_a = Some(x);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_if_it_is_near() {
        let fields = ["match", "services", "delegate", "permitInsecure"];
        for (name, want) in [
            ("servces", Some("services")),
            ("service", Some("services")),
            ("sevrices", Some("services")),
            ("SERVICES", Some("services")),
            ("permitinsecure", Some("permitInsecure")),
            ("mach", Some("match")),
            ("x", None),
            ("", None),
            ("timeoutPolicy", None),
        ] {
            assert_eq!(nearest(name, fields.into_iter()), want, "{name}");
        }
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("ab"), &chars("ba")), 1);
        assert_eq!(distance(&chars("kitten"), &chars("sitting")), 3);
        assert_eq!(distance(&chars(""), &chars("abc")), 3);
    }
}
