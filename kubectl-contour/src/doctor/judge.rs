//! What is to be said of what there is on PATH.

use super::world::{File, Kubectl, World};
use crate::completion::EXECUTABLE;
use crate::finding::Finding;
use std::path::PathBuf;

/// Judges what there is.
pub fn judge(world: &World) -> Vec<Finding> {
    let mut findings = vec![kubectl(world)];
    findings.extend(plugin(world));
    findings.extend(longer_names(world));
    findings.push(completion(world));
    findings
}

/// The files of a name that PATH has, in its order.
fn named<'a>(world: &'a World, name: &'a str) -> impl Iterator<Item = (PathBuf, &'a File)> {
    world.directories.iter().flat_map(move |directory| {
        let files = directory.files.iter().filter(move |file| file.name == name);
        files.map(|file| (directory.path.join(&file.name), file))
    })
}

fn kubectl(world: &World) -> Finding {
    match &world.kubectl {
        Kubectl::Missing => Finding::error(
            "kubectl",
            "there is no kubectl on PATH".to_owned(),
            "install kubectl 1.26 or newer; until then call kubectl-contour itself",
        ),
        Kubectl::Unclear(why) => Finding::warning(
            "kubectl",
            format!("the version of kubectl is not clear: {why}"),
            "see what `kubectl version --client -o json` says; completion needs 1.26 or newer",
        ),
        Kubectl::Version(major, minor, all) if (*major, *minor) < (1, 26) => Finding::warning(
            "kubectl",
            format!("kubectl is {all}, which asks no plugin for completion"),
            "install kubectl 1.26 or newer",
        ),
        Kubectl::Version(_, _, all) => Finding::fine("kubectl", format!("kubectl is {all}")),
    }
}

fn plugin(world: &World) -> Vec<Finding> {
    let check = "plugin";
    let (able, unable): (Vec<_>, Vec<_>) =
        named(world, "kubectl-contour").partition(|(_, file)| file.executable);
    let mut findings = Vec::new();
    for (path, _) in unable {
        let message = format!("{} cannot be run", path.display());
        findings.push(Finding::warning(check, message, format!("chmod +x {}", path.display())));
    }
    let Some(((first, winner), rest)) = able.split_first() else {
        let directory = world.program.parent().unwrap_or(&world.program).display();
        let hint = format!("put its directory on PATH: export PATH=\"$PATH:{directory}\"");
        let message = "no kubectl-contour that can be run is on PATH: kubectl contour is unknown";
        findings.push(Finding::error(check, message.to_owned(), hint));
        return findings;
    };
    let first = first.display();
    let is_this = winner.real == world.program;
    let others: Vec<_> = rest
        .iter()
        .filter(|(_, file)| file.real != winner.real)
        .map(|(path, _)| path.display().to_string())
        .collect();
    if !others.is_empty() {
        let message =
            format!("there are several kubectl-contour: {first} wins over {}", others.join(", "));
        findings.push(Finding::warning(check, message, "remove those that you do not want"));
    }
    findings.push(if is_this {
        Finding::fine(check, format!("kubectl contour runs {first}"))
    } else {
        let program = world.program.display();
        let message = format!("kubectl contour runs {first}, and not this program, {program}");
        let hint = "if that is not meant, remove the other one or change the order of PATH";
        Finding::warning(check, message, hint)
    });
    findings
}

/// A longer file name wins: `kubectl contour install` runs a `kubectl-contour-install` if there is
/// one, with what follows.
fn longer_names(world: &World) -> Vec<Finding> {
    let mut findings = Vec::new();
    for directory in &world.directories {
        for file in &directory.files {
            let Some(rest) = file.name.strip_prefix("kubectl-contour-") else { continue };
            let path = directory.path.join(&file.name);
            let path = path.display();
            let command = format!("kubectl contour {}", rest.replace('-', " ").replace('_', "-"));
            if !file.executable {
                continue;
            }
            let known = |name: &String| name == rest;
            let below = |name: &String| rest.starts_with(&format!("{name}-"));
            findings.push(if world.commands.iter().any(known) {
                let hint = format!(
                    "remove or rename {path}; until then, kubectl-contour itself has the command"
                );
                Finding::error("hijack", format!("`{command}` runs {path} instead"), hint)
            } else if world.commands.iter().any(below) {
                let hint = format!("remove or rename {path} if that is not meant");
                Finding::warning("hijack", format!("`{command}` runs {path} instead"), hint)
            } else {
                Finding::fine("hijack", format!("`{command}` is a plugin of its own: {path}"))
            });
        }
    }
    if findings.is_empty() {
        findings.push(Finding::fine("hijack", "no other plugin takes one of the commands"));
    }
    findings
}

fn completion(world: &World) -> Finding {
    let check = "completion";
    let again = "kubectl contour completion install";
    let Some((path, file)) = named(world, EXECUTABLE).next() else {
        let message = format!("there is no {EXECUTABLE} on PATH: TAB offers nothing");
        return Finding::warning(check, message, again);
    };
    let (ours, path) = (file.ours || file.real == world.program, path.display());
    if !ours {
        let message = format!("{path} was not made by this program");
        return Finding::warning(check, message, format!("remove it, then {again}"));
    }
    if !file.executable {
        return Finding::warning(check, format!("{path} cannot be run"), again);
    }
    Finding::fine(check, format!("kubectl completes by {path}"))
}

#[cfg(test)]
mod tests {
    use super::super::world::Directory;
    use super::*;
    use crate::finding::Level;

    fn file(name: &str, real: &str) -> File {
        File { name: name.into(), executable: true, real: real.into(), ours: false }
    }

    fn world(directories: &[(&str, &[File])]) -> World {
        let directory = |(path, files): &(&str, &[File])| Directory {
            path: path.into(),
            files: files.to_vec(),
        };
        World {
            directories: directories.iter().map(directory).collect(),
            commands: ["install", "create", "create-blue_green"].map(str::to_owned).into(),
            program: "a/kubectl-contour".into(),
            kubectl: Kubectl::Version(1, 32, "v1.32.4".into()),
        }
    }

    fn told(world: &World) -> Vec<String> {
        let bad = judge(world).into_iter().filter(|finding| finding.level != Level::Fine);
        bad.map(|finding| {
            assert!(!finding.hint.is_empty(), "what to do about {finding:?}?");
            format!("{} {}: {}", finding.check, finding.level.word(), finding.message)
        })
        .collect()
    }

    fn good() -> [File; 2] {
        let script = File { ours: true, ..file(EXECUTABLE, "a/complete") };
        [file("kubectl-contour", "a/kubectl-contour"), script]
    }

    #[test]
    fn all_is_well() {
        assert_eq!(told(&world(&[("a", &good())])), [""; 0]);
        // Another plugin's name is nobody's business, nor is a link to the same program.
        let others =
            [file("kubectl-contour-dump", "x"), file("kubectl-contour", "a/kubectl-contour")];
        assert_eq!(told(&world(&[("a", &good()), ("b", &others)])), [""; 0]);
        let link = [good()[0].clone(), file(EXECUTABLE, "a/kubectl-contour")];
        assert_eq!(told(&world(&[("a", &link)])), [""; 0]);
    }

    #[test]
    fn several_plugins_are_told_apart() {
        let old = [file("kubectl-contour", "old")];
        assert_eq!(
            told(&world(&[("a", &good()), ("b", &old)])),
            [
                "plugin warning: there are several kubectl-contour: a/kubectl-contour wins over b/kubectl-contour"
            ]
        );
        assert_eq!(
            told(&world(&[("b", &old), ("a", &good())])),
            [
                "plugin warning: there are several kubectl-contour: b/kubectl-contour wins over a/kubectl-contour",
                "plugin warning: kubectl contour runs b/kubectl-contour, and not this program, a/kubectl-contour",
            ]
        );
        let [_, script] = good();
        let broken = File { executable: false, ..file("kubectl-contour", "a/kubectl-contour") };
        assert_eq!(
            told(&world(&[("a", &[broken, script])])),
            [
                "plugin warning: a/kubectl-contour cannot be run",
                "plugin error: no kubectl-contour that can be run is on PATH: kubectl contour is unknown",
            ]
        );
    }

    #[test]
    fn a_longer_name_takes_a_command() {
        let longer = [
            file("kubectl-contour-create-blue_green", "x"),
            file("kubectl-contour-install", "x"),
            file("kubectl-contour-install-all", "x"),
            File { executable: false, ..file("kubectl-contour-create", "x") },
        ];
        assert_eq!(
            told(&world(&[("a", &good()), ("b", &longer)])),
            [
                "hijack error: `kubectl contour create blue-green` runs b/kubectl-contour-create-blue_green instead",
                "hijack error: `kubectl contour install` runs b/kubectl-contour-install instead",
                "hijack warning: `kubectl contour install all` runs b/kubectl-contour-install-all instead",
            ]
        );
    }

    #[test]
    fn completion_needs_a_file_that_is_ours_and_can_be_run() {
        let [program, script] = good();
        let with = |script: &[File]| {
            let files = [std::slice::from_ref(&program), script].concat();
            told(&world(&[("a", &files)]))
        };
        let name = "a/kubectl_complete-contour";
        assert_eq!(
            with(&[]),
            [
                "completion warning: there is no kubectl_complete-contour on PATH: TAB offers nothing"
            ]
        );
        let theirs = File { ours: false, ..script.clone() };
        let expected = format!("completion warning: {name} was not made by this program");
        assert_eq!(with(&[theirs]), [expected]);
        let unable = File { executable: false, ..script };
        assert_eq!(with(&[unable]), [format!("completion warning: {name} cannot be run")]);
    }

    #[test]
    fn kubectl_has_to_be_there_and_new_enough() {
        let mut world = world(&[("a", &good())]);
        for (kubectl, expected) in [
            (Kubectl::Missing, "kubectl error: there is no kubectl on PATH"),
            (
                Kubectl::Version(1, 25, "v1.25.1".into()),
                "kubectl warning: kubectl is v1.25.1, which asks no plugin for completion",
            ),
            (
                Kubectl::Unclear("it is odd".into()),
                "kubectl warning: the version of kubectl is not clear: it is odd",
            ),
        ] {
            world.kubectl = kubectl;
            assert_eq!(told(&world), [expected]);
        }
        world.kubectl = Kubectl::Version(2, 0, "v2.0".into());
        assert_eq!(told(&world), [""; 0]);
    }
}
