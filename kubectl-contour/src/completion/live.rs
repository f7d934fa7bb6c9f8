//! What the cluster has, as far as it says so at once.

use std::ffi::OsString;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use clap::{Args as _, Command, FromArgMatches as _};
use contour_core::top::View;
use http::{Request, header};
use serde_json::Value;

use super::cache::Place;
use super::candidates::Candidate;
use crate::cluster::{Cluster, ClusterFlags};

/// How long whoever presses TAB waits for the cluster, all in all.
const LIMIT: Duration = Duration::from_millis(500);

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Namespace,
    IngressRoute,
    /// `NAME:PORT`.
    Service,
    TlsSecret,
}

impl Kind {
    fn path(self, namespace: &str) -> String {
        match self {
            Self::Namespace => "/api/v1/namespaces?limit=500".to_owned(),
            Self::IngressRoute => format!(
                "/apis/contour.heptio.com/v1beta1/namespaces/{namespace}/ingressroutes?limit=500"
            ),
            Self::Service => format!("/api/v1/namespaces/{namespace}/services?limit=500"),
            Self::TlsSecret => format!(
                "/api/v1/namespaces/{namespace}/secrets?limit=500&fieldSelector=type%3Dkubernetes.io%2Ftls"
            ),
        }
    }

    /// Of a Secret nothing but its name: its data stays where it is.
    fn accept(self) -> &'static str {
        match self {
            Self::TlsSecret => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Self::Namespace | Self::IngressRoute | Self::Service => "application/json",
        }
    }

    fn read(self, item: &Value) -> Vec<Candidate> {
        let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let name = text("/metadata/name");
        match self {
            Self::Namespace => vec![Candidate::new(name, text("/status/phase"))],
            Self::TlsSecret => vec![Candidate::new(name, "")],
            Self::IngressRoute => {
                let host = match text("/spec/virtualhost/fqdn") {
                    "" => "no host of its own",
                    host => host,
                };
                let description = match text("/status/currentStatus") {
                    "" | "valid" => host.to_owned(),
                    status => format!("{host}, {status}"),
                };
                vec![Candidate::new(name, description)]
            }
            Self::Service => {
                let ports = item.pointer("/spec/ports").and_then(Value::as_array);
                let one = |port: &Value| {
                    let number = port.get("port").and_then(Value::as_u64)?;
                    let label = port.get("name").and_then(Value::as_str).unwrap_or_default();
                    Some(Candidate::new(format!("{name}:{number}"), label))
                };
                ports.into_iter().flatten().filter_map(one).collect()
            }
        }
    }
}

/// The cluster that the words before the one to complete speak of.
#[derive(Debug)]
pub(super) struct Asker {
    /// Nothing if they make no sense.
    flags: Option<ClusterFlags>,
    words: Vec<OsString>,
    until: Instant,
}

impl Asker {
    pub(super) fn new(words: &[OsString]) -> Self {
        Self { flags: flags(words), words: words.to_vec(), until: Instant::now() + LIMIT }
    }

    /// The value that a flag was given on the line.
    pub(super) fn typed(&self, long: &str) -> Option<String> {
        let mut values = given(&self.words, |flag| flag == long, |_| false);
        Some(values.pop()?.1.to_string_lossy().into_owned())
    }

    /// The view of `top` that the line names, or else the first.
    pub(super) fn view(&self) -> View {
        let named = |word: &OsString| {
            let word = word.to_str()?;
            View::ALL.into_iter().find(|view| view.name() == word)
        };
        self.words.iter().find_map(named).unwrap_or_default()
    }

    /// What there is, in the namespace of the line or of the context if none is given.
    pub(super) fn list(&self, kind: Kind, namespace: Option<&str>) -> Vec<Candidate> {
        let Some(mut flags) = self.flags.clone() else { return Vec::new() };
        if let Some(namespace) = namespace {
            // It becomes a part of a path.
            if !namespace.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Vec::new();
            }
            flags.namespace = Some(namespace.to_owned());
        }
        let (sender, receiver) = channel();
        // A thread of its own, which nobody waits for: credentials may come from a program that
        // takes its time.
        let spawned = std::thread::Builder::new().spawn(move || {
            let found = ask_on_own_runtime(&flags, kind).unwrap_or_default();
            // Too late is as good as never.
            drop(sender.send(found));
        });
        let left = self.until.saturating_duration_since(Instant::now());
        match spawned {
            Ok(_left_to_itself) => receiver.recv_timeout(left).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Contexts, clusters or users of the kubeconfig.
    pub(super) fn of_kubeconfig(&self, list: KubeconfigList) -> Vec<Candidate> {
        let file = self.flags.as_ref().and_then(|flags| flags.file().ok().flatten());
        let Some(file) = file else { return Vec::new() };
        match list {
            KubeconfigList::Contexts => file
                .contexts
                .into_iter()
                .map(|named| {
                    let cluster = named.context.map(|context| context.cluster).unwrap_or_default();
                    Candidate::new(named.name, cluster)
                })
                .collect(),
            KubeconfigList::Clusters => file
                .clusters
                .into_iter()
                .map(|named| {
                    let server = named.cluster.and_then(|cluster| cluster.server);
                    Candidate::new(named.name, server.unwrap_or_default())
                })
                .collect(),
            KubeconfigList::Users => {
                file.auth_infos.into_iter().map(|named| Candidate::new(named.name, "")).collect()
            }
        }
    }
}

/// Which list of a kubeconfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KubeconfigList {
    Contexts,
    Clusters,
    Users,
}

fn ask_on_own_runtime(flags: &ClusterFlags, kind: Kind) -> Option<Vec<Candidate>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(LIMIT, ask(flags, kind)).await.ok()? })
}

async fn ask(flags: &ClusterFlags, kind: Kind) -> Option<Vec<Candidate>> {
    let config = flags.config().await.ok()?;
    let path = kind.path(&config.default_namespace);
    let place = Place::new(flags, &config.cluster_url.to_string(), &path);
    if let Some(known) = place.as_ref().and_then(Place::read) {
        return Some(known);
    }
    let cluster = Cluster::connect(flags).await.ok()?;
    let request =
        Request::get(&path).header(header::ACCEPT, kind.accept()).body(Vec::new()).ok()?;
    let list: Value = cluster.client().request(request).await.ok()?;
    let items = list.get("items").and_then(Value::as_array)?;
    let found: Vec<_> = items.iter().flat_map(|item| kind.read(item)).collect();
    if let Some(place) = place {
        place.write(&found);
    }
    Some(found)
}

/// The flags about the cluster, of a line that need not be complete otherwise.
fn flags(words: &[OsString]) -> Option<ClusterFlags> {
    let command = ClusterFlags::augment_args(Command::new("line").no_binary_name(true));
    let known = |flag: &str| {
        let mut arguments = command.get_arguments();
        arguments.any(|a| a.get_long() == Some(flag) && a.get_action().takes_values())
    };
    let known_short = |flag: char| {
        let mut arguments = command.get_arguments();
        arguments.any(|a| a.get_short() == Some(flag) && a.get_action().takes_values())
    };
    let mut line: Vec<OsString> = Vec::new();
    for (flag, value) in given(words, known, known_short) {
        line.extend([flag, value]);
    }
    let switches = ["--insecure-skip-tls-verify", "--disable-compression"];
    line.extend(words.iter().filter(|word| switches.iter().any(|s| *word == s)).cloned());
    let matches = command.args_override_self(true).try_get_matches_from(line).ok()?;
    ClusterFlags::from_arg_matches(&matches).ok()
}

/// The flags of a line that are known and have a value, each with it.
fn given(
    words: &[OsString],
    long: impl Fn(&str) -> bool,
    short: impl Fn(char) -> bool,
) -> Vec<(OsString, OsString)> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else { continue };
        let (flag, inline) = if let Some(rest) = text.strip_prefix("--") {
            if rest.is_empty() {
                break;
            }
            let (name, value) = rest.split_once('=').map_or((rest, None), |(n, v)| (n, Some(v)));
            if !long(name) {
                continue;
            }
            (format!("--{name}"), value)
        } else if let Some(letter) = text.strip_prefix('-').and_then(|rest| rest.chars().next()) {
            if !short(letter) {
                continue;
            }
            let rest = text.get(1 + letter.len_utf8()..).unwrap_or_default();
            let value = rest.strip_prefix('=').unwrap_or(rest);
            (format!("-{letter}"), Some(value).filter(|value| !value.is_empty()))
        } else {
            continue;
        };
        let value = inline.map(OsString::from).or_else(|| words.next().cloned());
        if let Some(value) = value {
            found.push((flag.into(), value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(line: &str) -> Option<ClusterFlags> {
        flags(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn flags_of_the_line_count_wherever_they_stand() {
        for (line, namespace, context) in [
            ("install --wait", None, None),
            ("create ir -n shop --context=east --route", Some("shop"), Some("east")),
            ("create -nshop ir --context east", Some("shop"), Some("east")),
            ("create -n=shop ir x y z", Some("shop"), None),
            ("create --namespace a -n b", Some("b"), None),
            ("create ir -- -n shop", None, None),
            ("create ir --unknown -q -n shop", Some("shop"), None),
            ("create ir -n", None, None),
        ] {
            let flags = parsed(line).unwrap();
            assert_eq!(flags.namespace.as_deref(), namespace, "{line}");
            assert_eq!(flags.context.as_deref(), context, "{line}");
        }
        assert!(parsed("install --insecure-skip-tls-verify").unwrap().insecure_skip_tls_verify);
        assert!(parsed("install --request-timeout nonsense").is_none());
    }

    #[test]
    fn objects_are_told_by_name_and_what_matters() {
        let shop = json!({"metadata": {"name": "shop"},
            "spec": {"virtualhost": {"fqdn": "shop.example.com"}},
            "status": {"currentStatus": "invalid"}});
        let read = |kind: Kind, item: &Value| {
            kind.read(item).iter().map(Candidate::line).collect::<Vec<_>>()
        };
        assert_eq!(read(Kind::IngressRoute, &shop), ["shop\tshop.example.com, invalid"]);
        let part = json!({"metadata": {"name": "part"}, "status": {"currentStatus": "valid"}});
        assert_eq!(read(Kind::IngressRoute, &part), ["part\tno host of its own"]);
        let web = json!({"metadata": {"name": "web"},
            "spec": {"ports": [{"name": "http", "port": 80}, {"port": 443}]}});
        assert_eq!(read(Kind::Service, &web), ["web:80\thttp", "web:443"]);
        assert_eq!(read(Kind::Service, &json!({"metadata": {"name": "x"}})), [""; 0]);
        let namespace = json!({"metadata": {"name": "demo"}, "status": {"phase": "Active"}});
        assert_eq!(read(Kind::Namespace, &namespace), ["demo\tActive"]);
    }

    #[test]
    fn a_namespace_cannot_leave_its_place_in_the_path() {
        let asker = Asker::new(&[]);
        assert_eq!(asker.list(Kind::Service, Some("../../nodes?")), []);
    }
}
