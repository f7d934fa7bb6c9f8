//! The TLS Secrets of a snapshot, as the controller reads them.

use contour_core::api::{Object, Timestamp};
use contour_core::ir::Certificate;
use contour_core::lower::{Fragment, lower};
use contour_core::name::{Fqdn, Kind};
use contour_core::pipeline::Options;

use super::check::Snapshot;

/// The usable certificates of a namespace, by the name of their Secret.
pub fn all<'s>(
    snapshot: &'s Snapshot,
    namespace: &'s str,
) -> impl Iterator<Item = (&'s str, Certificate)> {
    snapshot
        .of(Kind::Secret, namespace)
        .filter_map(|object| Some((&*object.metadata().name, of(object)?)))
}

fn of(secret: &Object) -> Option<Certificate> {
    match lower(secret, &Options::default())? {
        (Fragment::Secret(secret), _) => {
            Some(Certificate::clone(secret.certificate.as_ref().ok()?))
        }
        _other => None,
    }
}

/// How a certificate suits a host, in words: `for shop.example.com, until 2049-12-31`.
pub fn describe(certificate: &Certificate, host: &Fqdn, now: Option<Timestamp>) -> String {
    let names = match certificate.dns_names.as_slice() {
        [] => "no host".to_owned(),
        names => names.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
    };
    let until = certificate.not_after.to_string();
    let day = until.split('T').next().unwrap_or_default();
    let verdict = if !certificate.covers(host) {
        format!("NOT {host}")
    } else if now.is_some_and(|now| now > certificate.not_after) {
        "EXPIRED".to_owned()
    } else {
        format!("covers {host}")
    };
    format!("{verdict}; for {names}, until {day}")
}
