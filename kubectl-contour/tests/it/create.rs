//! `create` without a cluster.

use std::process::Output;

use super::program::program;

/// Runs `create` where there is no cluster to be found.
fn create(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    program()
        .arg("create")
        .args(arguments)
        .env("HOME", home.path())
        .env("KUBECONFIG", "")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const SHOP: [&str; 6] = [
    "ingressroute",
    "shop",
    "--host",
    "shop.example.com",
    "--route",
    "/=web:80,weight=90;green:80,weight=10",
];

#[test]
fn without_a_cluster_it_is_written_and_said_that_nothing_was_checked() {
    let output = create(&SHOP);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
    assert!(stderr(&output).contains("not checked against a cluster"), "{}", stderr(&output));
    let offline = create(&[&SHOP[..], &["--offline", "-n", "demo"]].concat());
    assert_eq!(offline.status.code(), Some(0));
    assert!(stdout(&offline).contains("namespace: demo"));
}

#[test]
fn forms_and_files() {
    let name = create(&[&SHOP[..], &["-o", "name"]].concat());
    assert_eq!(stdout(&name), "ingressroute.contour.heptio.com/shop\n");
    let json = create(&[&SHOP[..], &["-o", "json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["spec"]["routes"][0]["services"][1]["weight"], 10);
    let yaml = stdout(&create(&[&SHOP[..], &["--dry-run=client", "-o", "yaml"]].concat()));
    assert!(yaml.contains("# 90 % of the requests go to web, 10 % to green."), "{yaml}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.yaml");
    let save = [&SHOP[..], &["--save", file.to_str().unwrap()]].concat();
    let saved = create(&save);
    assert_eq!((saved.status.code(), stdout(&saved).as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), yaml);
    assert!(stderr(&create(&save)).contains("shop.yaml unchanged"));
    std::fs::write(&file, "mine").unwrap();
    let refused = create(&save);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_wrong_value_is_told_with_flag_place_and_suggestion() {
    let output = create(&["ingressroute", "shop", "--host", "a.b", "--route", "/=web:80,wieght=9"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    let expected = "invalid value '/=web:80,wieght=9' for '--route <ROUTE>': at character 10: \
                    \"wieght\" is no option here; did you mean \"weight\"?";
    assert!(said.contains(expected), "{said}");
    for (arguments, expected) in [
        (
            &["ingressroute", "shop", "--host", "https://a.b/c", "--route", "/=a:1"][..],
            "did you mean \"a.b\"?",
        ),
        (
            &["ingressroute", "--host", "a.b", "--route", "/=a:1"],
            "the name of the IngressRoute is missing",
        ),
        (&["ingressroute"], "the name of the IngressRoute is missing"),
        (&["ingressroute", "shop", "--host", "a.b"], "there is nothing to route to"),
        (&["ingressroute", "shop", "--host", "a.b", "--tcpproxy", "db:1"], "--tcpproxy needs TLS"),
        (
            &["delegation", "shop", "--host", "a.b", "--prefix", "/t", "--to", "x"],
            "--to names no namespace",
        ),
        (&["delegation", "shop", "--prefix", "/t", "--to", "x/y"], "no host for it"),
    ] {
        let output = create(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn what_is_wrong_without_any_cluster_is_found() {
    let routes = ["--route", "/=web:80", "--route", "/=green:80"];
    let wrong = [&["ingressroute", "shop", "--host", "a.example.com"][..], &routes].concat();
    let output = create(&wrong);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(7), ""));
    let said = stderr(&output);
    assert!(
        said.contains("CTR209") && said.contains("1 error found; nothing is written"),
        "{said}"
    );
    let forced = create(&[&wrong[..], &["--force"]].concat());
    assert_eq!(forced.status.code(), Some(0));
    assert!(stdout(&forced).contains("name: green"));
}

#[test]
fn a_cluster_that_was_named_has_to_be_there() {
    let missing = create(&[&SHOP[..], &["--kubeconfig", "no-such-file"]].concat());
    assert_eq!((missing.status.code(), stdout(&missing).as_str()), (Some(9), ""));
    for flags in [&["--apply"][..], &["--dry-run=server"], &["--server", "http://127.0.0.1:1"]] {
        let output = create(&[&SHOP[..], flags].concat());
        assert_eq!(output.status.code(), Some(9), "{flags:?}: {}", stderr(&output));
    }
    let both = create(&[&SHOP[..], &["--offline", "--apply"]].concat());
    assert_eq!(both.status.code(), Some(2));
}

/// Runs `create --edit` with this editor.
fn edited(editor: &str, flags: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    program()
        .arg("create")
        .args(SHOP)
        .args(["--edit", "--offline"])
        .args(flags)
        .env("HOME", home.path())
        .env("KUBE_EDITOR", editor)
        .output()
        .unwrap()
}

#[test]
fn what_was_edited_is_checked_again() {
    let better = edited("sed -i s/web/blue/", &[]);
    assert_eq!(better.status.code(), Some(0), "{}", stderr(&better));
    assert!(stdout(&better).contains("- name: blue"), "{}", stdout(&better));
    assert!(!stdout(&better).contains("#>"), "{}", stdout(&better));
    let same = edited("true", &[]);
    assert_eq!(stdout(&same), stdout(&create(&[&SHOP[..], &["--offline"]].concat())));
    let worse = edited("sed -i s/shop.example/shop..example/", &[]);
    assert_eq!((worse.status.code(), stdout(&worse).as_str()), (Some(7), ""));
    assert!(stderr(&worse).contains("CTR103"), "{}", stderr(&worse));
    let empty = edited("truncate -s 0", &[]);
    assert_eq!(empty.status.code(), Some(8), "{}", stderr(&empty));
    let broken = edited("false", &[]);
    assert_eq!(broken.status.code(), Some(1), "{}", stderr(&broken));
}

#[test]
fn help_reads_well() {
    for what in ["ingressroute", "blue-green", "delegation"] {
        let output = program().args(["create", what, "-h"]).env("COLUMNS", "100").output().unwrap();
        insta::assert_snapshot!(format!("help_{what}"), stdout(&output));
    }
}

#[test]
fn the_exit_codes_are_documented() {
    use kubectl_contour::failure::Kind;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/create.md");
    let document = std::fs::read_to_string(path).unwrap();
    for kind in [
        Kind::Error,
        Kind::Usage,
        Kind::Conflict,
        Kind::Findings,
        Kind::Cancelled,
        Kind::Cluster,
        Kind::Interrupted,
    ] {
        assert!(document.contains(&format!("\n| {} | ", kind.code())), "{kind:?}");
    }
}
