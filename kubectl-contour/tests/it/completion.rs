//! Completion, manual pages and `doctor`, without a cluster.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::program::program;

/// The program in a home of its own, without a cluster.
fn at_home(home: &Path) -> Command {
    let mut command = program();
    for variable in ["KUBECONFIG", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "BASH_COMPLETION_USER_DIR"] {
        command.env_remove(variable);
    }
    command.env_remove("KUBERNETES_SERVICE_HOST").env("HOME", home);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is offered for a line, whose last word is to be completed: the values, and what the shell
/// has to do.
fn offered(line: &str) -> (Vec<String>, String) {
    let home = tempfile::tempdir().unwrap();
    let output = at_home(home.path()).arg("__complete").args(line.split(' ')).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{line}");
    let mut lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    let directive = lines.pop().unwrap();
    let value = |line: &String| line.split('\t').next().unwrap().to_owned();
    (lines.iter().map(value).collect(), directive)
}

#[test]
fn views_of_top_and_their_columns_are_offered() {
    assert_eq!(offered("top en").0, ["endpoints", "envoys"]);
    assert_eq!(offered("top envoys --sort-by mem").0, ["memory"]);
    assert_eq!(offered("top envoys --columns node,mem").0, ["node,memory"]);
    assert_eq!(offered("top --sort-by=-rp").0, ["--sort-by=-rps"]);
    assert_eq!(offered("top -o nd").0, ["ndjson"]);
}

#[test]
fn what_needs_no_cluster_is_offered_without_one() {
    for (line, some, directive) in [
        ("", &["install", "create", "doctor", "completion"][..], ":4"),
        ("inst", &["install"], ":4"),
        ("install --prof", &["--profile"], ":4"),
        ("install --profile ", &["default", "minimal", "ha", "namespaced"], ":4"),
        ("install --profile=m", &["--profile=minimal"], ":4"),
        ("install --set contour.rep", &["contour.replicas="], ":6"),
        ("create ", &["ingressroute", "blue-green", "delegation"], ":4"),
        ("create ingressroute --dry-run=", &["--dry-run=client", "--dry-run=server"], ":4"),
        ("create ir --tls-minimum-version ", &["1.2", "1.3"], ":4"),
        ("completion install ", &["bash", "zsh", "fish", "powershell"], ":4"),
        ("doctor -o ", &["text", "json"], ":4"),
    ] {
        let (values, told) = offered(line);
        for value in some {
            assert!(values.iter().any(|v| v == value), "{line:?}: no {value} in {values:?}");
        }
        assert_eq!(told, directive, "{line:?}");
    }
    assert_eq!(offered("install --profile=m").0.len(), 1);
    assert!(!offered("").0.iter().any(|value| value.starts_with('-')), "flags are asked for");
}

#[test]
fn what_needs_a_cluster_is_left_out_without_one() {
    for line in [
        "install -n ",
        "install --context ",
        "create ir --route /=",
        "create ir --tls-secret ",
        "create blue-green ",
        "create delegation --to ",
        "create ir --kubeconfig no/such/file -n ",
        "create ir --request-timeout nonsense -n ",
    ] {
        assert_eq!(offered(line), (Vec::new(), ":4".to_owned()), "{line:?}");
    }
}

#[test]
fn contexts_come_from_the_kubeconfig_that_was_typed() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    let kubeconfig = "apiVersion: v1\nkind: Config\ncontexts:\n\
        - {name: east, context: {cluster: first}}\n- {name: west, context: {cluster: second}}\n";
    std::fs::write(&file, kubeconfig).unwrap();
    let output = at_home(home.path())
        .args(["__complete", "install", "--kubeconfig"])
        .arg(&file)
        .args(["--context", "e"])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "east\tfirst\n:4\n", "{}", text(&output.stderr));
}

#[cfg(unix)]
#[test]
fn a_link_of_the_name_that_kubectl_calls_answers_too() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("kubectl_complete-contour");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-contour"), &link).unwrap();
    let output = Command::new(&link).args(["install", "--profile", "h"]).output().unwrap();
    let said = text(&output.stdout);
    assert!(said.starts_with("ha\t") && said.ends_with("\n:4\n"), "{said}");
}

#[test]
fn bash_completes_with_the_script() {
    let directory = tempfile::tempdir().unwrap();
    let script = at_home(directory.path()).args(["completion", "bash"]).output().unwrap();
    assert!(script.status.success());
    let binary = Path::new(env!("CARGO_BIN_EXE_kubectl-contour"));
    let path = std::env::join_paths(
        std::iter::once(binary.parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let complete = |line: &str| {
        let test = format!(
            "{}\nCOMP_LINE='{line}' COMP_POINT={}\n_kubectl_contour\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            text(&script.stdout),
            line.len(),
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &test]).env("PATH", path.as_ref().unwrap());
        let output = bash.env("HOME", directory.path()).output().unwrap();
        assert_eq!(text(&output.stderr), "", "{line}");
        text(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("kubectl-contour inst"), ["install"]);
    assert_eq!(complete("kubectl-contour install --profile min"), ["minimal"]);
    // Readline replaces only what stands behind the equals sign.
    assert_eq!(complete("kubectl-contour install --profile=min"), ["minimal"]);
    assert!(complete("kubectl-contour create ").contains(&"blue-green".to_owned()));
}

#[test]
fn every_shell_has_its_script() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let output = super::program::run(&["completion", shell]);
        assert!(output.status.success(), "{shell}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("kubectl-contour __complete"), "{shell}");
    }
}

#[test]
fn installing_twice_changes_nothing_and_others_files_stay() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    let install = |flags: &[&str]| -> Output {
        let mut command = at_home(home.path());
        command.args(["completion", "install", "--dir"]).arg(&bin).args(flags);
        command.env("SHELL", "bin/bash").output().unwrap()
    };
    let count = |output: &Output, word: &str| text(&output.stdout).matches(word).count();
    let first = install(&[]);
    assert_eq!((first.status.code(), count(&first, " created\n")), (Some(0), 2));
    let script = home.path().join(".local/share/bash-completion/completions/kubectl-contour");
    assert!(script.is_file());
    let second = install(&[]);
    assert_eq!((second.status.code(), count(&second, " unchanged\n")), (Some(0), 2));

    let executable = bin.join("kubectl_complete-contour");
    std::fs::write(&executable, "mine\n").unwrap();
    std::fs::remove_file(&script).unwrap();
    let refused = install(&[]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(text(&refused.stderr).contains("--force"), "{}", text(&refused.stderr));
    assert!(!script.exists(), "nothing is written if one is refused");
    assert_eq!(std::fs::read_to_string(&executable).unwrap(), "mine\n");
    let forced = install(&["--force", "fish"]);
    assert_eq!(forced.status.code(), Some(0), "{}", text(&forced.stderr));
    assert_eq!((count(&forced, " configured\n"), count(&forced, " created\n")), (1, 1));
    assert!(home.path().join(".config/fish/completions/kubectl-contour.fish").is_file());

    let mut unknown = at_home(home.path());
    let unknown = unknown.args(["completion", "install"]).env("SHELL", "bin/ash").output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn manual_pages_are_written() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("man/man1");
    let output = at_home(home.path()).args(["man", "--dir"]).arg(&directory).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for page in ["kubectl-contour.1", "kubectl-contour-install.1", "kubectl-contour-sandbox.1"] {
        assert!(directory.join(page).is_file(), "{page}");
    }
}

#[cfg(unix)]
#[test]
fn doctor_finds_what_takes_a_command() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script = |name: &str, content: &str| {
        let path = bin.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let version = r#"{"clientVersion": {"major": "1", "minor": "30", "gitVersion": "v1.30.0"}}"#;
    script("kubectl", &format!("#!/bin/sh\necho '{version}'\n"));
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-contour"), bin.join("kubectl-contour"))
        .unwrap();
    let doctor = || {
        let mut command = at_home(home.path());
        command.args(["doctor", "-o", "json", "--server", "http://127.0.0.1:1"]);
        let output = command.env("PATH", &bin).output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), json)
    };
    let (code, json) = doctor();
    assert_eq!(
        (code, &json["errors"], &json["warnings"]),
        (Some(0), &0.into(), &1.into()),
        "{json}"
    );
    let mut install = at_home(home.path());
    let install = install.args(["completion", "install", "bash", "--dir"]).arg(&bin).output();
    assert!(install.unwrap().status.success());
    let (code, json) = doctor();
    assert_eq!((code, &json["warnings"]), (Some(0), &0.into()), "{json}");

    script("kubectl-contour-install", "#!/bin/sh\n");
    let (code, json) = doctor();
    assert_eq!((code, &json["errors"]), (Some(7), &1.into()), "{json}");
}
