//! The chart as Helm renders it, and as `contour-deploy` does: the same objects.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser as _;
use contour::args::Cli;
use contour_deploy::{Override, Profile, Release, Values, chart_files, render, to_yaml};
use contour_tests::helm::{self, Asked};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Assignments that take every branch of every template, by the profile that they start from.
const SETS: &[(Profile, &[&str])] = &[
    (Profile::Default, &["namespace.create=true", "crds.install=false"]),
    (Profile::Default, &["image.contour.tag=v1.2", "image.envoy.repository=registry.test/envoy"]),
    (Profile::Default, &["image.pullSecrets[0].name=one,image.pullSecrets[1].name=two"]),
    (Profile::Default, &[r"commonLabels.example\.com/team=edge,commonLabels.a=b"]),
    (Profile::Default, &["watchNamespaces={a,b},rootNamespaces={a}", "listenAddress=::"]),
    (
        Profile::Default,
        &["contour.config.tls.minimum-protocol-version=x", "contour.logFormat=json"],
    ),
    (Profile::Default, &["contour.config.json-fields={a,b=%<&>%}", "contour.config.debug=true"]),
    (Profile::Default, &["contour.config.network.num-trusted-hops=1000000"]),
    (Profile::Default, &["contour.extraArgs={--debug,--root-namespaces=x}"]),
    (Profile::Default, &["contour.resources.requests.cpu=null", "contour.resources.limits.cpu=2"]),
    (
        Profile::Default,
        &["contour.replicas=1000000,contour.podDisruptionBudget.maxUnavailable=10%"],
    ),
    (Profile::Default, &[r"contour.nodeSelector.kubernetes\.io/os=linux,envoy.nodeSelector.a=b"]),
    (Profile::Default, &["envoy.tolerations[0].key=a,envoy.tolerations[0].operator=Exists"]),
    (Profile::Default, &["contour.priorityClassName=a,envoy.priorityClassName=b"]),
    (
        Profile::Default,
        &["envoy.concurrency=2,envoy.maxHeapBytes=2147483648,envoy.maxConnections=7"],
    ),
    (Profile::Default, &["envoy.resources.limits.memory=1Gi"]),
    (Profile::Minimal, &["envoy.resources.limits.cpu=2,envoy.maxConnections=1"]),
    (Profile::Default, &["envoy.extraArgs={-l,debug},envoy.logLevel=off,envoy.maxSurge=50%"]),
    (Profile::Default, &["envoy.service.type=NodePort,envoy.service.httpNodePort=30080"]),
    (Profile::Default, &["envoy.service.type=ClusterIP,envoy.service.httpsNodePort=30443"]),
    (
        Profile::Default,
        &[
            "envoy.service.loadBalancerClass=a",
            "envoy.service.loadBalancerSourceRanges={192.0.2.0/24}",
        ],
    ),
    (Profile::Default, &["certificates.rotation.enabled=false", "certificates.lifetimeDays=36500"]),
    (Profile::Default, &["certificates.generate=false"]),
    (Profile::Default, &["networkPolicies.enabled=false"]),
    (Profile::Default, &["networkPolicies.egress.enabled=true"]),
    (
        Profile::Minimal,
        &[
            "networkPolicies.egress.enabled=true",
            "networkPolicies.egress.envoyTo={203.0.113.0/24}",
            "networkPolicies.egress.apiServerPorts[0]=8443",
        ],
    ),
    (Profile::Minimal, &["envoy.podDisruptionBudget.enabled=true", "envoy.replicas=0"]),
    (Profile::Ha, &["envoy.kind=DaemonSet"]),
    (Profile::Ha, &["envoy.autoscaling.enabled=false"]),
    (Profile::Namespaced, &["watchNamespaces={projectcontour,demo}"]),
];

/// The chart in a directory, as the plugin writes it.
fn written() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in chart_files() {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

/// Objects by what they are; each has its template too.
fn by_name(objects: Vec<(String, Value)>) -> BTreeMap<String, Value> {
    let count = objects.len();
    let named: BTreeMap<_, _> = objects
        .into_iter()
        .map(|(source, object)| {
            let metadata = &object["metadata"];
            let name = format!(
                "{source} {} {} {}",
                object["kind"], metadata["namespace"], metadata["name"]
            );
            (name, object)
        })
        .collect();
    assert_eq!(named.len(), count, "two objects are the same one");
    named
}

/// Where two values differ, by their paths.
fn differences(path: &str, helm: &Value, ours: &Value, found: &mut Vec<String>) {
    match (helm, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let (a, b) = (a.get(key), b.get(key));
                let absent = json!("(absent)");
                let (a, b) = (a.unwrap_or(&absent), b.unwrap_or(&absent));
                differences(&format!("{path}.{key}"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for ((a, b), index) in a.iter().zip(b).zip(0..) {
                differences(&format!("{path}[{index}]"), a, b, found);
            }
        }
        _ if helm == ours => {}
        _ => found.push(format!("{path}:\n  Helm {helm}\n  ours {ours}")),
    }
}

fn compare(chart: &TempDir, what: &str, asked: &Asked, values: &Values) {
    let release = Release { name: "shop-edge".to_owned(), namespace: "edge".to_owned() };
    let helm = helm::render(chart.path(), asked, (&release.name, &release.namespace));
    let helm = by_name(helm.unwrap_or_else(|error| panic!("{what}: {error}")));
    let ours = render(values, &release).unwrap_or_else(|error| panic!("{what}: {error}"));
    let ours = by_name(ours.into_iter().map(|m| (m.source, m.object)).collect());
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&helm), names(&ours), "{what}");
    let mut found = Vec::new();
    for (name, object) in &helm {
        differences(name, object, &ours[name], &mut found);
    }
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

fn asked(profile: Profile) -> Asked {
    Asked { values: vec![PathBuf::from(profile.path())], ..Asked::default() }
}

#[test]
fn every_profile_gives_the_objects_that_helm_makes_of_it() {
    if !helm::is_there() {
        return;
    }
    let chart = written();
    compare(&chart, "no profile", &Asked::default(), &Values::default());
    for profile in Profile::ALL {
        compare(&chart, profile.name(), &asked(profile), &Values::profile(profile));
    }
}

#[test]
fn whatever_is_set_gives_the_objects_that_helm_makes_of_it() {
    if !helm::is_there() {
        return;
    }
    let chart = written();
    for (profile, sets) in SETS {
        let mut asked = asked(*profile);
        asked.set = sets.iter().map(|set| (*set).to_owned()).collect();
        let sets: Vec<_> = sets.iter().map(|set| Override::Set(set)).collect();
        let what = format!("{profile} {sets:?}");
        let values = Values::resolve(*profile, &sets);
        let values = values.unwrap_or_else(|error| panic!("{what}: {error}"));
        compare(&chart, &what, &asked, &values);
    }
    let text = ["contour.podAnnotations.a=1", r"envoy.service.annotations.a\.b/c=true\,false"];
    let asked = Asked { set_string: text.map(str::to_owned).to_vec(), ..Asked::default() };
    let values = Values::resolve(Profile::Default, &text.map(Override::SetString)).unwrap();
    compare(&chart, "text", &asked, &values);
}

#[test]
fn what_a_file_says_gives_the_objects_that_helm_makes_of_it() {
    if !helm::is_there() {
        return;
    }
    let chart = written();
    let strange = "<b> & 'c' \"d\" é \u{2028} \u{1f980} \t\n---\n{{ .Values }}";
    let first = json!({
        "contour": {
            "config": {"a": strange, "f": 0.25, "n": null},
            "podAnnotations": {"x": strange, "on": "no"},
            "affinity": {"nodeAffinity": {"a": [1, 2.5, "0x10"]}},
        },
        "networkPolicies": {"metricsFrom": [{"podSelector": {"matchLabels": {"y": "n"}}}]},
    });
    let second = json!({
        "networkPolicies": {"metricsFrom": []},
        "contour": {"config": {"a": null, "b": {"c": null, "d": []}}},
    });
    // Helm reads YAML 1.1, where this character ends a line.
    let first = first.to_string().replace('\u{2028}', "\\u2028");
    let second = second.to_string();
    std::fs::write(chart.path().join("first.json"), &first).unwrap();
    std::fs::write(chart.path().join("second.json"), &second).unwrap();
    let files = [
        Override::File { name: "first.json", text: &first },
        Override::File { name: "second.json", text: &second },
    ];
    let mut asked = asked(Profile::Ha);
    for (count, name) in [(1, "first.json"), (2, "second.json")] {
        asked.values.push(name.into());
        let values = Values::resolve(Profile::Ha, files.get(..count).unwrap()).unwrap();
        compare(&chart, name, &asked, &values);
    }
}

/// What is written for others is YAML 1.1 as well as 1.2.
#[test]
fn what_is_written_is_what_others_read() {
    if !helm::is_there() {
        return;
    }
    let strange =
        ["yes", "on", "0o17", "017", "1_000", "1:30", "~", "", "a: b", "- x", "#", "é\n\n b "];
    let annotations: serde_json::Map<_, _> =
        strange.iter().zip(0..).map(|(text, n)| (format!("a{n}"), json!(text))).collect();
    let text = json!({"envoy": {"service": {"annotations": annotations}}}).to_string();
    let file = Override::File { name: "mine.json", text: &text };
    for profile in Profile::ALL {
        let manifests = render(&Values::resolve(profile, &[file]).unwrap(), &Release::default());
        let manifests = manifests.unwrap();
        let chart = tempfile::tempdir().unwrap();
        let (path, metadata) = chart_files().iter().find(|(p, _)| *p == "Chart.yaml").unwrap();
        std::fs::write(chart.path().join(path), metadata).unwrap();
        std::fs::create_dir(chart.path().join("templates")).unwrap();
        let all = chart.path().join("templates/all.yaml");
        std::fs::write(all, to_yaml(&manifests).unwrap()).unwrap();
        let read = helm::render(chart.path(), &Asked::default(), ("a", "b")).unwrap();
        assert_eq!(read.len(), manifests.len());
        let read = by_name(read);
        for manifest in manifests {
            let source = "contour/templates/all.yaml".to_owned();
            let ours = by_name(vec![(source, manifest.object)]);
            let (name, ours) = ours.first_key_value().unwrap();
            let mut found = Vec::new();
            differences(name, &read[name], ours, &mut found);
            assert!(found.is_empty(), "{profile}:\n{}", found.join("\n"));
        }
    }
}

#[test]
fn helm_refuses_what_is_refused_here() {
    if !helm::is_there() {
        return;
    }
    let chart = written();
    for set in [
        "contour.replica=3",
        "contour.replicas=three",
        "envoy.kind=Pod",
        "watchNamespaces=a",
        "envoy.service.httpPort=0",
        "contour.podAnnotations.a=1",
        "envoy.extraArgs={1}",
    ] {
        let asked = Asked { set: vec![set.to_owned()], ..Asked::default() };
        assert!(helm::render(chart.path(), &asked, ("a", "b")).is_err(), "{set}");
        assert!(Values::resolve(Profile::Default, &[Override::Set(set)]).is_err(), "{set}");
    }
}

/// Every command of the program that an object has, its hooks too.
fn commands(value: &Value, found: &mut Vec<Vec<String>>) {
    let words = |value: &Value| -> Vec<String> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    match value {
        Value::Object(map) => {
            let mut command = words(&value["command"]);
            let image = value["image"].as_str().unwrap_or_default();
            if command.is_empty() && image.contains("/contour:") {
                command.push("/bin/contour".to_owned());
            }
            if command.first().is_some_and(|program| program == "/bin/contour") {
                found.push([command, words(&value["args"])].concat());
            }
            map.values().for_each(|value| commands(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| commands(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_program_takes_every_command_that_the_chart_gives_it() {
    for (profile, sets) in SETS {
        let sets: Vec<_> = sets.iter().map(|set| Override::Set(set)).collect();
        let values = Values::resolve(*profile, &sets).unwrap();
        let mut found = Vec::new();
        for manifest in render(&values, &Release::default()).unwrap() {
            commands(&manifest.object, &mut found);
        }
        assert!(found.len() >= 4, "{found:?}");
        for command in found {
            let read = Cli::try_parse_from(&command);
            assert!(read.is_ok(), "{command:?}: {}", read.unwrap_err());
        }
    }
}

#[test]
fn the_program_reads_the_configuration_file_that_the_chart_gives_it() {
    let config = json!({"contour": {"config": {
        "tls": {"minimum-protocol-version": "1.3"}, "json-fields": ["x=<&>"], "debug": true,
    }}});
    let text = config.to_string();
    let set = Override::File { name: "mine.json", text: &text };
    for sets in [&[][..], &[set][..]] {
        let values = Values::resolve(Profile::Default, sets).unwrap();
        let manifests = render(&values, &Release::default()).unwrap();
        let map = manifests.iter().find(|m| m.kind() == "ConfigMap").unwrap();
        let file = map.object["data"]["contour.yaml"].as_str().unwrap();
        let read = contour::configuration::parse("contour.yaml", file);
        assert!(read.is_ok(), "{file}: {}", read.unwrap_err());
    }
}

#[test]
fn no_pod_of_envoy_has_a_token_of_the_api_server() {
    for profile in Profile::ALL {
        let values = Values::resolve(profile, &[]).unwrap();
        let mut found = 0;
        for manifest in render(&values, &Release::default()).unwrap() {
            let Some(pod) = manifest.object.pointer("/spec/template/spec") else { continue };
            let containers = pod["containers"].as_array().unwrap();
            if containers.iter().any(|container| container["name"] == "envoy") {
                assert_eq!(pod["automountServiceAccountToken"], false, "{profile}");
                found += 1;
            }
        }
        assert_eq!(found, 1, "{profile}");
    }
}
