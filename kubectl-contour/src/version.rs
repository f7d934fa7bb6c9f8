//! `kubectl contour version`: which releases meet, and whether they go together.

pub mod skew;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use crate::cluster::{Cluster, ClusterFlags};
use crate::failure::{Failure, Kind, write_stderr};
use crate::fleet::{self, App, Pod, Told};
use crate::output::{Palette, Printer};
use skew::{Release, Verdict};

/// What the command's exit codes mean.
pub const CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage; with --check also 7 the versions do not go together, \
9 no cluster, or it does not allow to ask";

/// The definitions of the kinds that are routed by.
pub const DEFINITIONS: [&str; 2] =
    ["ingressroutes.contour.heptio.com", "tlscertificatedelegations.contour.heptio.com"];

/// Flags of `version`.
#[derive(Args, Clone, Debug)]
pub struct VersionArgs {
    /// The version of this program alone; asks no cluster
    #[arg(long, conflicts_with = "check")]
    pub client: bool,
    /// End with exit code 7 if the versions do not go together
    #[arg(long)]
    pub check: bool,
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
    /// The cluster; its namespace is that of the installation [default: projectcontour].
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines.
    #[default]
    Text,
    /// A JSON object.
    Json,
    /// The same as YAML.
    Yaml,
}

/// This program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Its release.
    pub version: String,
}

/// The version of a Pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The release, if it is known.
    pub version: Option<String>,
    /// The commit, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// `itself` if it said so; `image` if the tag of its image does.
    pub source: &'static str,
}

/// A `CustomResourceDefinition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The versions that are served; none if there is no such definition.
    pub served: Vec<String>,
    /// The versions that objects may be stored in.
    pub stored: Vec<String>,
}

/// The versions of everything in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// This program.
    pub client_version: Client,
    /// The replicas of the controller.
    pub controllers: Vec<OfPod>,
    /// The Envoys.
    pub envoys: Vec<OfPod>,
    /// The definitions of kinds.
    pub custom_resource_definitions: Vec<Definition>,
    /// The release of Kubernetes.
    pub kubernetes_version: Option<String>,
    /// What is to be said of how they go together.
    pub skew: Vec<Verdict>,
    /// What could not be found out.
    pub unknown: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// With `--check`, if the versions do not go together or are not known.
pub async fn run(args: VersionArgs, mut printer: Printer) -> Result<(), Failure> {
    let client = Client { version: env!("CARGO_PKG_VERSION").to_owned() };
    let found = if args.client { None } else { Some(look(&args.cluster, &client).await) };
    let (versions, failure) = match found {
        None => (None, None),
        Some(Ok(versions)) => (Some(versions), None),
        Some(Err(failure)) => (None, Some(failure)),
    };
    let text = match (&versions, args.output) {
        (Some(versions), Format::Text) => text(versions, printer.palette()),
        (None, Format::Text) => format!("Client Version: {}\n", client.version),
        (Some(versions), Format::Json) => serde_json::to_string_pretty(versions)?,
        (None, Format::Json) => serde_json::to_string_pretty(&only(&client))?,
        (Some(versions), Format::Yaml) => yaml(versions)?,
        (None, Format::Yaml) => yaml(&only(&client))?,
    };
    // Whoever closes the output has seen enough.
    let _closed = printer.lines(text.trim_end());
    for unknown in versions.iter().flat_map(|versions| &versions.unknown) {
        write_stderr(&format!("warning: {unknown}\n"));
    }
    match (failure, versions) {
        (Some(failure), _) if args.check => Err(failure),
        (Some(failure), _) => {
            write_stderr(&format!(
                "warning: nothing is known of the cluster: {}\n",
                failure.message
            ));
            Ok(())
        }
        (None, Some(versions)) if args.check => checked(&versions),
        (None, _) => Ok(()),
    }
}

fn checked(versions: &Versions) -> Result<(), Failure> {
    if let Some(bad) = versions.skew.iter().find(|verdict| !verdict.ok) {
        let hint = "docs/versions.md says what goes together";
        return Err(Failure::new(Kind::Findings, bad.message.clone()).with_hint(hint));
    }
    match versions.unknown.first() {
        Some(unknown) => Err(Failure::new(Kind::Cluster, unknown.clone())),
        None => Ok(()),
    }
}

fn only(client: &Client) -> Value {
    serde_json::json!({ "clientVersion": client })
}

fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_saphyr::to_string(value)
        .map_err(|error| Failure::new(Kind::Error, format!("cannot write YAML: {error}")))
}

async fn look(flags: &ClusterFlags, client: &Client) -> Result<Versions, Failure> {
    let cluster = Cluster::connect(flags).await?;
    let kubernetes = cluster.get("/version").await;
    let kubernetes = kubernetes.map_err(|t| t.failure("cannot read the version"))?.body;
    let kubernetes = kubernetes.get("gitVersion").and_then(Value::as_str).map(str::to_owned);
    let namespace = fleet::namespace(flags);
    let mut unknown = Vec::new();
    let pods = fleet::pods(&cluster, Some(&namespace)).await.unwrap_or_else(|trouble| {
        unknown.push(format!("controllers and Envoys are not known: {trouble}"));
        Vec::new()
    });
    if pods.is_empty() && unknown.is_empty() {
        unknown.push(format!("there is no installation in namespace {namespace}"));
    }
    let own = fleet::ask_json(&cluster, &pods, "/debug/version").await;
    let of_envoys = fleet::ask_json(&cluster, &pods, "/debug/envoys").await;
    let failed = own.iter().chain(&of_envoys).find_map(|told| told.answer.as_ref().err());
    if let Some(trouble) = failed {
        unknown.push(format!("versions are those of image tags: {trouble}"));
    }
    let mut definitions = Vec::new();
    for name in DEFINITIONS {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        match cluster.find(&path).await {
            Ok(found) => definitions.push(definition(name, found.as_ref())),
            Err(trouble) => unknown.push(format!("{name} is not known: {trouble}")),
        }
    }
    let mut versions = Versions {
        client_version: client.clone(),
        controllers: controllers(&pods, &own),
        envoys: envoys(&pods, &of_envoys),
        custom_resource_definitions: definitions,
        kubernetes_version: kubernetes,
        skew: Vec::new(),
        unknown,
    };
    let minimum = minimum_envoy(&own);
    versions.skew = skew::judge(&versions, minimum.as_ref());
    Ok(versions)
}

/// The oldest Envoy that every controller serves, as they say it.
fn minimum_envoy(own: &[Told<Value>]) -> Option<Release> {
    let answers = own.iter().filter_map(|told| told.answer.as_ref().ok());
    answers.filter_map(|a| Release::parse(a.get("minimumEnvoy")?.as_str()?)).max()
}

fn text_of(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

fn of_image(pod: &Pod) -> OfPod {
    OfPod {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        version: pod.tag().map(str::to_owned),
        commit: None,
        source: "image",
    }
}

/// The versions of the replicas: what they say, or what their images are called.
pub fn controllers(pods: &[Pod], own: &[Told<Value>]) -> Vec<OfPod> {
    let version = |pod: &Pod| {
        let told = own.iter().find(|t| t.replica == pod.name && t.namespace == pod.namespace);
        let Some(Ok(answer)) = told.map(|told| &told.answer) else { return of_image(pod) };
        let (version, commit) = (text_of(answer, "version"), text_of(answer, "commit"));
        OfPod { version, commit, source: "itself", ..of_image(pod) }
    };
    pods.iter().filter(|pod| pod.app == App::Contour).map(version).collect()
}

/// The versions of the Envoys: what they told a controller, or what their images are called.
pub fn envoys(pods: &[Pod], told: &[Told<Value>]) -> Vec<OfPod> {
    let mut by_node: BTreeMap<(&str, String), String> = BTreeMap::new();
    for told in told {
        let envoys = told.answer.as_ref().ok().and_then(|a| a.get("envoys")?.as_array());
        for envoy in envoys.into_iter().flatten() {
            if let (Some(node), Some(version)) = (text_of(envoy, "node"), text_of(envoy, "version"))
            {
                by_node.insert((&told.namespace, node), version);
            }
        }
    }
    let version = |pod: &Pod| match by_node.get(&(pod.namespace.as_str(), pod.name.clone())) {
        Some(version) => {
            OfPod { version: Some(version.clone()), source: "itself", ..of_image(pod) }
        }
        None => of_image(pod),
    };
    pods.iter().filter(|pod| pod.app == App::Envoy).map(version).collect()
}

/// What a definition says of versions.
pub fn definition(name: &str, found: Option<&Value>) -> Definition {
    let list = |pointer| found.and_then(|f| f.pointer(pointer)).and_then(Value::as_array);
    let served = list("/spec/versions").into_iter().flatten();
    let served = served.filter(|v| v.get("served").and_then(Value::as_bool).unwrap_or(false));
    let stored = list("/status/storedVersions").into_iter().flatten();
    Definition {
        name: name.to_owned(),
        served: served.filter_map(|version| text_of(version, "name")).collect(),
        stored: stored.filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

/// How many Pods are of which version, the Pods named if there are several versions.
fn counted(of: &[OfPod]) -> Vec<String> {
    let mut by_version: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pod in of {
        let version = pod.version.as_deref().unwrap_or("unknown");
        by_version.entry(version).or_default().push(&pod.pod);
    }
    let several = by_version.len() > 1;
    by_version
        .into_iter()
        .map(|(version, pods)| match (several, pods.len()) {
            (false, 1) => format!("{version} (1 pod)"),
            (false, count) => format!("{version} ({count} pods)"),
            (true, count) => format!("{version} ({count}: {})", pods.join(", ")),
        })
        .collect()
}

fn text(versions: &Versions, palette: Palette) -> String {
    let mut lines = vec![("Client Version:", versions.client_version.version.clone())];
    let several =
        [("Server Version:", &versions.controllers), ("Envoy Version:", &versions.envoys)];
    for (label, of) in several {
        let counted = counted(of);
        if counted.is_empty() {
            lines.push((label, "none".to_owned()));
        }
        lines.extend(counted.into_iter().map(|text| (label, text)));
    }
    let kubernetes = versions.kubernetes_version.clone();
    lines.push(("Kubernetes Version:", kubernetes.unwrap_or_else(|| "unknown".to_owned())));
    for of in &versions.custom_resource_definitions {
        let text = if of.served.is_empty() {
            format!("{} is not there", of.name)
        } else {
            let (served, stored) = (of.served.join(", "), of.stored.join(", "));
            format!("{} serves {served}, stores {stored}", of.name)
        };
        lines.push(("Definition:", text));
    }
    let mut out = String::new();
    for (label, text) in lines {
        // Writing to a String cannot fail.
        let _unused = writeln!(out, "{label:<20}{text}");
    }
    for verdict in &versions.skew {
        let (mark, tone) = if verdict.ok {
            ("[ok]  ", palette.good(&verdict.message))
        } else {
            ("[fail]", palette.bad(&verdict.message))
        };
        let _unused = writeln!(out, "{:<20}{mark} {tone}", "Skew:");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::ForwardTrouble;
    use crate::fleet::NAMESPACE;
    use crate::fleet::tests::pod;

    fn told(replica: &str, answer: Result<Value, ForwardTrouble>) -> Told<Value> {
        Told { namespace: NAMESPACE.to_owned(), replica: replica.to_owned(), answer }
    }

    fn versions(envoy: &str) -> Versions {
        let pods = [
            pod(App::Contour, "contour-1"),
            pod(App::Contour, "contour-2"),
            pod(App::Envoy, "envoy-a"),
            pod(App::Envoy, "envoy-b"),
        ];
        let own = [
            told(
                "contour-1",
                Ok(json!({"version": "0.1.0", "commit": "abc", "minimumEnvoy": "1.37"})),
            ),
            told("contour-2", Err(ForwardTrouble::Forbidden { namespace: NAMESPACE.to_owned() })),
        ];
        let seen =
            [told("contour-1", Ok(json!({"envoys": [{"node": "envoy-a", "version": envoy}]})))];
        let definition = definition(
            DEFINITIONS[0],
            Some(&json!({
                "spec": {"versions": [{"name": "v1beta1", "served": true}, {"name": "v1alpha1", "served": false}]},
                "status": {"storedVersions": ["v1beta1"]},
            })),
        );
        let mut versions = Versions {
            client_version: Client { version: "0.1.0".to_owned() },
            controllers: controllers(&pods, &own),
            envoys: envoys(&pods, &seen),
            custom_resource_definitions: vec![definition, super::definition(DEFINITIONS[1], None)],
            kubernetes_version: Some("v1.34.0".to_owned()),
            skew: Vec::new(),
            unknown: vec!["versions are those of image tags: forbidden".to_owned()],
        };
        versions.skew = skew::judge(&versions, minimum_envoy(&own).as_ref());
        versions
    }

    #[test]
    fn what_a_pod_says_counts_more_than_what_its_image_is_called() {
        let versions = versions("1.36.2");
        let sources = |of: &[OfPod]| of.iter().map(|p| p.source).collect::<Vec<_>>();
        assert_eq!(sources(&versions.controllers), ["itself", "image"]);
        assert_eq!(sources(&versions.envoys), ["itself", "image"]);
        assert_eq!(versions.envoys[1].version.as_deref(), Some("1.40.0"));
    }

    #[test]
    fn the_versions_are_shown_in_each_form() {
        let plain = Palette::new(false);
        insta::assert_snapshot!("good", text(&versions("1.40.0"), plain));
        insta::assert_snapshot!("old_envoy", text(&versions("1.36.2"), plain));
        let json = serde_json::to_string_pretty(&versions("1.36.2")).unwrap();
        insta::assert_snapshot!("json", json);
        insta::assert_snapshot!("yaml", yaml(&versions("1.40.0")).unwrap());
    }

    #[test]
    fn a_check_fails_for_skew_and_for_what_is_not_known() {
        let kind = |versions: &Versions| checked(versions).unwrap_err().kind;
        assert_eq!(kind(&versions("1.36.2")), Kind::Findings);
        let mut good = versions("1.40.0");
        assert_eq!(kind(&good), Kind::Cluster);
        good.unknown.clear();
        assert!(checked(&good).is_ok());
    }
}
