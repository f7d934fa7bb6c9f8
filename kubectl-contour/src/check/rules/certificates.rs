//! The certificates between controller and Envoys.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::listed;
use crate::check::report::{Judged, Problem};
use crate::check::snapshot::{Snapshot, known};
use crate::cluster::clock;
use crate::cluster::value::{items, text};

/// The Secrets: of the controller and of the Envoys.
pub(in crate::check) const SECRETS: [&str; 2] = ["contourcert", "envoycert"];

const DAY: i64 = 86_400;
/// Days before the end from which it is warned of.
const SOON: i64 = 30;
/// Days before the end from which it is an error.
const NEXT: i64 = 3;

const RENEW: &str = "contour certgen --kube --secrets-format=compact --overwrite makes new ones: docs/certificates.md";

/// A Secret, read.
struct Pair {
    name: &'static str,
    authorities: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pair {
    fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.chain.first()
    }

    /// From when and until when the certificate is valid.
    fn validity(&self) -> Option<(i64, i64)> {
        let (_, leaf) = X509Certificate::from_der(self.leaf()?).ok()?;
        let validity = leaf.validity();
        Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
    }
}

fn secret<'a>(snapshot: &'a Snapshot, name: &str) -> Judged<&'a Value> {
    let Some(found) = snapshot.secrets.get(name) else {
        return Err(Problem::skip("it was not asked for"));
    };
    Snapshot::exists(found, || {
        let hint = "kubectl contour install makes them by the Job contour-certgen: look at its log";
        Problem::error(format!("there is no Secret {}/{name}", snapshot.namespace), hint)
    })
}

fn read(snapshot: &Snapshot, name: &'static str) -> Judged<Pair> {
    let object = secret(snapshot, name)?;
    let bad = |what: &str| Problem::error(format!("{what} of Secret {name} cannot be read"), RENEW);
    let field = |field: &'static str| {
        let encoded = object.get("data").and_then(|data| data.get(field)?.as_str());
        encoded.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(|| bad(field))
    };
    let certificates = |name: &'static str| {
        let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&field(name)?).collect();
        let list = list.map_err(|_error| bad(name))?;
        let good = |der: &CertificateDer<'_>| X509Certificate::from_der(der).is_ok();
        if list.is_empty() || !list.iter().all(good) { Err(bad(name)) } else { Ok(list) }
    };
    Ok(Pair {
        name,
        authorities: certificates("ca.crt")?,
        chain: certificates("tls.crt")?,
        key: PrivateKeyDer::from_pem_slice(&field("tls.key")?).map_err(|_error| bad("tls.key"))?,
    })
}

fn pairs(snapshot: &Snapshot) -> Judged<[Pair; 2]> {
    let [contour, envoy] = SECRETS;
    Ok([read(snapshot, contour)?, read(snapshot, envoy)?])
}

pub(in crate::check) fn exist(snapshot: &Snapshot) -> Judged {
    for name in SECRETS {
        secret(snapshot, name)?;
    }
    Ok(())
}

pub(in crate::check) fn parse(snapshot: &Snapshot) -> Judged {
    let provider = ring::default_provider();
    for pair in pairs(snapshot)? {
        let name = pair.name;
        CertifiedKey::from_der(pair.chain, pair.key, &provider).map_err(|error| {
            Problem::error(format!("key and certificate of Secret {name}: {error}"), RENEW)
        })?;
    }
    Ok(())
}

fn roots(pair: &Pair) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pair.authorities.iter().cloned());
    Arc::new(roots)
}

/// A time at which the certificate is valid: that it is not now is for another check to say.
fn within(pair: &Pair, now: i64) -> UnixTime {
    let (from, until) = pair.validity().unwrap_or((now, now));
    let seconds = now.clamp(from, until.max(from));
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// What an Envoy that trusts `trusts` makes of the controller's certificate.
fn server(pair: &Pair, trusts: &Pair, name: &'static str, now: i64) -> Result<(), rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(trusts), provider).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    let name = ServerName::try_from(name);
    let name = name.map_err(|error| rustls::Error::General(error.to_string()))?;
    let Some((leaf, rest)) = pair.chain.split_first() else { return Ok(()) };
    verifier.verify_server_cert(leaf, rest, &name, &[], within(pair, now)).map(drop)
}

/// What a controller that trusts `trusts` makes of an Envoy's certificate.
fn client(pair: &Pair, trusts: &Pair, now: i64) -> Result<(), rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(trusts), provider).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    let Some((leaf, rest)) = pair.chain.split_first() else { return Ok(()) };
    verifier.verify_client_cert(leaf, rest, within(pair, now)).map(drop)
}

fn is_about_names(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

pub(in crate::check) fn chain(snapshot: &Snapshot) -> Judged {
    let [contour, envoy] = pairs(snapshot)?;
    let now = snapshot.server_time();
    let mut bad = Vec::new();
    if let Err(error) = server(&contour, &envoy, "contour", now)
        && !is_about_names(&error)
    {
        bad.push(format!(
            "ca.crt of envoycert does not accept the certificate of contourcert: {error}"
        ));
    }
    if let Err(error) = client(&envoy, &contour, now) {
        bad.push(format!(
            "ca.crt of contourcert does not accept the certificate of envoycert: {error}"
        ));
    }
    if bad.is_empty() { Ok(()) } else { Err(Problem::error(listed(&bad), RENEW)) }
}

pub(in crate::check) fn names(snapshot: &Snapshot) -> Judged {
    let [contour, envoy] = pairs(snapshot)?;
    match server(&contour, &envoy, "contour", snapshot.server_time()) {
        Err(error) if is_about_names(&error) => Err(Problem::error(
            "the certificate of contourcert is not good for the name contour, which Envoys look for",
            RENEW,
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(in crate::check) fn expiry(snapshot: &Snapshot) -> Judged {
    let now = snapshot.server_time();
    let (mut bad, mut soon) = (Vec::new(), Vec::new());
    for pair in pairs(snapshot)? {
        let Some((from, until)) = pair.validity() else { continue };
        let (name, left) = (pair.name, until - now);
        if now < from {
            bad.push(format!("the certificate of {name} is valid only in {} s", from - now));
        } else if left <= 0 {
            bad.push(format!("the certificate of {name} has expired {} ago", days(-left)));
        } else if left < NEXT * DAY {
            bad.push(format!("the certificate of {name} expires in {}", days(left)));
        } else if left < SOON * DAY {
            soon.push(format!("the certificate of {name} expires in {}", days(left)));
        }
    }
    if !bad.is_empty() {
        return Err(Problem::error(listed(&bad), RENEW));
    }
    if soon.is_empty() { Ok(()) } else { Err(Problem::warning(listed(&soon), RENEW)) }
}

fn days(seconds: i64) -> String {
    match seconds / DAY {
        0 => format!("{} h", seconds / 3_600),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

pub(in crate::check) fn rotation(snapshot: &Snapshot) -> Judged {
    let jobs = known(&snapshot.cron_jobs)?.iter();
    let job = jobs.into_iter().find(|job| text(job, "/metadata/name").contains("certgen"));
    let Some(job) = job else {
        let what = "no CronJob renews them";
        return Err(Problem::warning(
            what,
            "renew them yourself before they expire: docs/certificates.md",
        ));
    };
    let name = text(job, "/metadata/name");
    if job.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        let hint = format!("kubectl patch cronjob {name} -p '{{\"spec\":{{\"suspend\":false}}}}'");
        return Err(Problem::warning(format!("CronJob {name} is suspended"), hint));
    }
    let at = |pointer| clock::parse(text(job, pointer));
    let (last, success) = (at("/status/lastScheduleTime"), at("/status/lastSuccessfulTime"));
    let running = !items(job, "/status/active").is_empty();
    match (last, success) {
        (Some(last), success) if success.is_none_or(|at| at < last) && !running => {
            let ago = days((snapshot.server_time() - last).max(0));
            Err(Problem::warning(
                format!("the last run of CronJob {name}, {ago} ago, did not succeed"),
                format!("kubectl logs job/$(kubectl get jobs -o name | grep {name} | tail -1)"),
            ))
        }
        (Some(_) | None, _) => Ok(()),
    }
}
