//! clap's engine, which knows the command line, and what we know about its values. Nothing else
//! touches `clap_complete`, whose engine is declared unstable.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete as of_clap};

use super::candidates::{self, Candidate};
use super::live::{Asker, Kind, KubeconfigList};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Namespace,
    Kubeconfig(KubeconfigList),
    TlsSecret,
    Route,
    Backends,
    TeamService,
    Delegation,
    IngressRoute,
    Service,
    Target,
    Reference,
    Profile,
    Values,
    Column,
}

/// What the value of an argument is, by the command and the argument's name.
fn source(command: &str, argument: &str) -> Option<Source> {
    Some(match (command, argument) {
        (_, "namespace" | "contour_namespace") => Source::Namespace,
        (_, "context") => Source::Kubeconfig(KubeconfigList::Contexts),
        (_, "cluster") => Source::Kubeconfig(KubeconfigList::Clusters),
        (_, "user") => Source::Kubeconfig(KubeconfigList::Users),
        ("ingressroute" | "delegation", "name")
        | ("start" | "plan", "routes")
        | (
            "shift" | "status" | "watch" | "pause" | "resume" | "promote" | "set" | "abort"
            | "rollback" | "retry" | "undo" | "history",
            "target",
        ) => Source::IngressRoute,
        (_, "tls_secret") => Source::TlsSecret,
        (_, "routes") => Source::Route,
        (_, "tcpproxy") => Source::Backends,
        (_, "delegates") => Source::Delegation,
        ("blue-green", "target") => Source::Target,
        ("blue-green", "service") | ("start" | "plan", "from" | "to") => Source::Service,
        ("delegation", "services") => Source::TeamService,
        ("delegation", "to") => Source::Reference,
        ("top", "columns" | "sort_by") => Source::Column,
        ("install" | "upgrade", "profile") => Source::Profile,
        ("install" | "upgrade", "set" | "set_string") => Source::Values,
        _ => return None,
    })
}

impl Source {
    fn candidates(self, typed: &str, asker: &Asker) -> Vec<Candidate> {
        let services = |namespace: Option<&str>| asker.list(Kind::Service, namespace);
        let routes = |namespace: Option<&str>| asker.list(Kind::IngressRoute, namespace);
        match self {
            Self::Namespace => asker.list(Kind::Namespace, None),
            Self::Kubeconfig(list) => asker.of_kubeconfig(list),
            Self::TlsSecret => {
                candidates::qualified(typed, |namespace| asker.list(Kind::TlsSecret, namespace))
            }
            Self::Route => candidates::route(typed, &services(None)),
            Self::Backends => candidates::backends(typed, &services(None)),
            Self::TeamService => {
                let team = asker.typed("to");
                let namespace = team.as_deref().and_then(|to| Some(to.split_once('/')?.0));
                services(namespace)
            }
            Self::Delegation => candidates::delegation(typed, routes),
            Self::IngressRoute => routes(None),
            Self::Service => candidates::names(&services(None)),
            Self::Target => {
                let mut found = candidates::names(&services(None));
                found.extend(routes(None).iter().map(|route| route.behind("ingressroute/")));
                found
            }
            Self::Reference => match typed.split_once('/') {
                Some(_) => candidates::qualified(typed, routes),
                None => candidates::namespaces_to_go_on(&asker.list(Kind::Namespace, None)),
            },
            Self::Profile => candidates::profiles(),
            Self::Values => candidates::value(typed),
            Self::Column => candidates::columns(typed, asker.view()),
        }
    }
}

/// What the last of the words may become.
pub(super) fn complete(command: Command, words: &[OsString]) -> Vec<Candidate> {
    let (last, before) = words
        .split_last()
        .map_or_else(|| (OsStr::new(""), words), |(last, before)| (last.as_os_str(), before));
    let asker = Arc::new(Asker::new(before));
    let mut line = vec![OsString::from("kubectl-contour")];
    line.extend_from_slice(before);
    line.push(last.to_owned());
    let index = line.len() - 1;
    let directory = std::env::current_dir().ok();
    let mut command = attach(command, &asker);
    let offered = of_clap(&mut command, line, index, directory.as_deref()).unwrap_or_default();
    let is_flag = |candidate: &Candidate| candidate.value.starts_with('-');
    // As kubectl has it: flags are offered to whoever has begun one.
    let wants_flags = last.as_encoded_bytes().first() == Some(&b'-');
    let candidates = offered.into_iter().map(|candidate| {
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        Candidate::new(candidate.get_value().to_string_lossy(), help.replace('`', ""))
    });
    candidates.filter(|candidate| wants_flags || !is_flag(candidate)).collect()
}

/// Tells clap's engine what we know about the values of a command and of those below it.
fn attach(command: Command, asker: &Arc<Asker>) -> Command {
    let name = command.get_name().to_owned();
    command
        .mut_args(|argument| attach_to(argument, &name, asker))
        .mut_subcommands(|below| attach(below, asker))
}

fn attach_to(argument: Arg, command: &str, asker: &Arc<Asker>) -> Arg {
    let Some(source) = source(command, argument.get_id().as_str()) else { return argument };
    let asker = Arc::clone(asker);
    argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
        let Some(typed) = typed.to_str() else { return Vec::new() };
        let mut found = source.candidates(typed, &asker);
        found.retain(|candidate| candidate.value.starts_with(typed));
        let offer = |candidate: Candidate| {
            CompletionCandidate::new(candidate.value).help(Some(candidate.description.into()))
        };
        found.into_iter().map(offer).collect()
    }))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_source_has_an_argument() {
        fn collect(command: &Command, found: &mut Vec<Source>) {
            let of = |a: &Arg| source(command.get_name(), a.get_id().as_str());
            found.extend(command.get_arguments().filter_map(of));
            command.get_subcommands().for_each(|below| collect(below, found));
        }
        let mut found = Vec::new();
        collect(&Cli::command(), &mut found);
        for source in [
            Source::Namespace,
            Source::Kubeconfig(KubeconfigList::Contexts),
            Source::Kubeconfig(KubeconfigList::Clusters),
            Source::Kubeconfig(KubeconfigList::Users),
            Source::TlsSecret,
            Source::Route,
            Source::Backends,
            Source::TeamService,
            Source::Delegation,
            Source::IngressRoute,
            Source::Service,
            Source::Target,
            Source::Reference,
            Source::Profile,
            Source::Values,
            Source::Column,
        ] {
            assert!(found.contains(&source), "{source:?} belongs to no argument any more");
        }
    }
}
