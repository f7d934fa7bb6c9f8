//! The API server.

use crate::check::report::{Judged, Problem};
use crate::check::snapshot::{Missing, Snapshot, known};
use crate::version::skew::{MINIMUM_KUBERNETES, Release};

/// Seconds by which clocks may differ: a certificate is good from an hour before it is made, and a
/// Lease is good for some seconds.
const CLOCKS: i64 = 10;

pub(in crate::check) fn reachable(snapshot: &Snapshot) -> Judged {
    match &snapshot.api {
        Ok(_) => Ok(()),
        Err(Missing::Unasked) => Err(Problem::skip("it was not asked")),
        Err(Missing::NoCluster(text)) => {
            let hint = "--kubeconfig and --context name a cluster";
            Err(Problem::error(text.clone(), hint))
        }
        Err(Missing::Forbidden(text) | Missing::Unreachable(text) | Missing::Failed(text)) => {
            let hint = "kubectl cluster-info says whether kubectl reaches it";
            Err(Problem::error(text.clone(), hint))
        }
    }
}

pub(in crate::check) fn version(snapshot: &Snapshot) -> Judged {
    let version = &known(&snapshot.api)?.version;
    match Release::parse(version) {
        Some(release) if release >= MINIMUM_KUBERNETES => Ok(()),
        Some(_) => Err(Problem::error(
            format!("it is {version}, and {MINIMUM_KUBERNETES} or newer is needed"),
            "upgrade the cluster",
        )),
        None => Err(Problem::warning(format!("{version:?} is no version that is understood"), "")),
    }
}

pub(in crate::check) fn clocks(snapshot: &Snapshot) -> Judged {
    let Some(ahead) = known(&snapshot.api)?.ahead else {
        return Err(Problem::skip("the API server does not tell the time"));
    };
    if ahead.abs() <= CLOCKS {
        return Ok(());
    }
    let (seconds, side) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
    Err(Problem::warning(
        format!("the clock of the API server is {seconds} s {side} the one of this machine"),
        "set both by NTP: certificates and leases go by the time",
    ))
}
