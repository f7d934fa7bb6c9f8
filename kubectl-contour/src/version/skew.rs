//! Which releases go together; docs/versions.md has the same rules in words.

use std::fmt;

use serde::Serialize;

use super::{OfPod, Versions};

/// The oldest Kubernetes: its definitions of kinds check objects by rules (CEL), which are final
/// since this release.
pub const MINIMUM_KUBERNETES: Release = Release { major: 1, minor: 29, patch: 0 };
/// The oldest Envoy, if no controller says.
pub const MINIMUM_ENVOY: Release = Release { major: 1, minor: 37, patch: 0 };

/// A release, as far as its numbers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Release {
    /// Reads `v1.34.0-rc.1+k3s1`, `1.37`; `None` of a tag such as `latest`.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.trim().trim_start_matches('v');
        let numbers = numbers.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|n| n.parse::<u32>().ok());
        Some(Self {
            major: numbers.next()??,
            minor: numbers.next()??,
            patch: numbers.next().unwrap_or(Some(0))?,
        })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What is to be said about two sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What it is about.
    pub subject: &'static str,
    /// Whether they go together.
    pub ok: bool,
    /// In words.
    pub message: String,
}

fn verdict(subject: &'static str, ok: bool, message: impl Into<String>) -> Verdict {
    Verdict { subject, ok, message: message.into() }
}

/// What is to be said about all of them. What is not known is not judged.
pub fn judge(versions: &Versions, minimum_envoy: Option<&Release>) -> Vec<Verdict> {
    let minimum_envoy = minimum_envoy.copied().unwrap_or(MINIMUM_ENVOY);
    let client = &versions.client_version.version;
    let about = [
        of_client(client, &versions.controllers),
        of_controllers(&versions.controllers),
        of_envoys(&versions.envoys, minimum_envoy),
        versions.kubernetes_version.as_deref().and_then(of_kubernetes),
    ];
    about.into_iter().flatten().collect()
}

fn of_client(client: &str, controllers: &[OfPod]) -> Option<Verdict> {
    let own = Release::parse(client)?;
    let known: Vec<(&OfPod, &String, Release)> = controllers
        .iter()
        .filter_map(|pod| {
            let version = pod.version.as_ref()?;
            Some((pod, version, Release::parse(version)?))
        })
        .collect();
    let far =
        |release: &Release| release.major != own.major || release.minor.abs_diff(own.minor) > 1;
    let verdict = match known.iter().find(|(_, _, release)| far(release)) {
        Some((pod, version, _)) => verdict(
            "client",
            false,
            format!(
                "this program is {client}, and controller {} {version}: they may be one minor \
                 release apart",
                pod.pod
            ),
        ),
        None if known.is_empty() => return None,
        None => verdict("client", true, "this program and the controllers go together"),
    };
    Some(verdict)
}

fn of_controllers(controllers: &[OfPod]) -> Option<Verdict> {
    let mut known: Vec<&str> = controllers.iter().filter_map(|p| p.version.as_deref()).collect();
    known.sort_unstable();
    known.dedup();
    match known.as_slice() {
        [] => None,
        [_] => Some(verdict("controllers", true, "all controllers are of one version")),
        several => Some(verdict(
            "controllers",
            false,
            format!(
                "controllers are of several versions: {}; they are while one is rolled out",
                several.join(", ")
            ),
        )),
    }
}

fn of_envoys(envoys: &[OfPod], minimum: Release) -> Option<Verdict> {
    let known = envoys.iter().filter_map(|pod| {
        let version = pod.version.as_ref()?;
        Some((pod, version, Release::parse(version)?))
    });
    let known: Vec<_> = known.collect();
    match known.iter().find(|(_, _, release)| *release < minimum) {
        Some((pod, version, _)) => Some(verdict(
            "envoys",
            false,
            format!("Envoy {} is {version}: it takes {minimum} or newer", pod.pod),
        )),
        None if known.is_empty() => None,
        None => Some(verdict("envoys", true, format!("every Envoy is {minimum} or newer"))),
    }
}

fn of_kubernetes(version: &str) -> Option<Verdict> {
    let release = Release::parse(version)?;
    let minimum = MINIMUM_KUBERNETES;
    let ok = release >= minimum;
    let message = if ok {
        format!("Kubernetes is {minimum} or newer")
    } else {
        format!("Kubernetes is {version}: it takes {minimum} or newer")
    };
    Some(verdict("kubernetes", ok, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(versions: &[&str]) -> Vec<OfPod> {
        let pod = |(index, version): (usize, &&str)| OfPod {
            namespace: "ns".to_owned(),
            pod: format!("pod-{index}"),
            version: Some((*version).to_owned()),
            commit: None,
            source: "itself",
        };
        versions.iter().enumerate().map(pod).collect()
    }

    fn ok(verdict: Option<Verdict>) -> Option<bool> {
        verdict.map(|verdict| verdict.ok)
    }

    #[test]
    fn releases_are_read_with_what_vendors_append() {
        let read = |text| Release::parse(text).map(|r| (r.major, r.minor, r.patch));
        assert_eq!(read("v1.34.2-gke.100"), Some((1, 34, 2)));
        assert_eq!(read("v1.29.0+k3s1"), Some((1, 29, 0)));
        assert_eq!(read("1.37"), Some((1, 37, 0)));
        for tag in ["latest", "", "v1", "sha-abc", "1.x.2"] {
            assert_eq!(read(tag), None, "{tag}");
        }
    }

    #[test]
    fn a_client_may_be_one_minor_release_apart() {
        for (client, controllers, expected) in [
            ("1.4.0", &["1.4.9"][..], Some(true)),
            ("1.4.0", &["1.5.0", "1.3.0"], Some(true)),
            ("1.4.0", &["1.4.0", "1.6.0"], Some(false)),
            ("1.4.0", &["2.4.0"], Some(false)),
            ("1.4.0", &["latest"], None),
            ("1.4.0", &[], None),
        ] {
            assert_eq!(ok(of_client(client, &pods(controllers))), expected, "{controllers:?}");
        }
    }

    #[test]
    fn controllers_are_of_one_version() {
        assert_eq!(ok(of_controllers(&pods(&["1.4.0", "1.4.0"]))), Some(true));
        assert_eq!(ok(of_controllers(&pods(&["1.4.0", "1.4.1"]))), Some(false));
        assert_eq!(ok(of_controllers(&[])), None);
    }

    #[test]
    fn envoys_and_kubernetes_are_new_enough() {
        let envoys = |versions: &[&str]| ok(of_envoys(&pods(versions), MINIMUM_ENVOY));
        assert_eq!(envoys(&["1.37.0", "1.40.0"]), Some(true));
        assert_eq!(envoys(&["1.40.0", "1.36.9"]), Some(false));
        assert_eq!(envoys(&["distroless"]), None);
        assert_eq!(ok(of_kubernetes("v1.29.0")), Some(true));
        assert_eq!(ok(of_kubernetes("v1.28.15-eks-1")), Some(false));
    }
}
