use std::fmt::Write as _;

use clap::Parser as _;

use super::super::{Cli, Command};
use super::*;
use crate::exit::Exit;

fn parse(flags: &[&str]) -> Result<Box<ServeArgs>, clap::Error> {
    let cli = Cli::try_parse_from(["contour", "serve"].iter().chain(flags))?;
    let Command::Serve(args) = cli.command else { unreachable!() };
    Ok(args)
}

fn prepare(flags: &[&str]) -> Result<Prepared, ArgsError> {
    parse(flags).unwrap_or_else(|error| panic!("{error}")).prepare()
}

fn serve(flags: &[&str]) -> Result<Config, ArgsError> {
    prepare(flags).map(|prepared| prepared.config)
}

fn kubernetes(flags: &[&str]) -> Kubernetes {
    let config = serve(&[&["--insecure"], flags].concat()).unwrap();
    let Source::Kubernetes(kubernetes) = config.source else { panic!("{config:?}") };
    *kubernetes
}

/// A file with this content, and the flag that names it.
fn file(content: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("contour.yaml");
    std::fs::write(&path, content).unwrap();
    let flag = format!("--config-path={}", path.display());
    (dir, flag)
}

#[test]
fn defaults_are_those_of_contour() {
    let config = serve(&["--source", "d", "--insecure"]).unwrap();
    assert_eq!(config.listen.xds.to_string(), "127.0.0.1:8001");
    assert_eq!(config.listen.health.to_string(), "0.0.0.0:8000");
    assert_eq!(config.listen.metrics, config.listen.health);
    assert_eq!(config.listen.debug.to_string(), "127.0.0.1:6060");
    let options = Options { allow_loopback_endpoints: true, ..Options::default() };
    assert_eq!(config.options, options);
    assert_eq!(kubernetes(&[]), Kubernetes::default());
    assert_eq!(serve(&["--insecure"]).unwrap().options, Options::default());
}

#[test]
fn envoys_keep_what_is_unread_for_the_time_given_or_not_at_all() {
    let hold = |flags: &[&str]| {
        let config = serve(&[&["--source", "d", "--insecure"], flags].concat()).unwrap();
        config.safeguards.unread_hold
    };
    assert_eq!(hold(&[]), Safeguards::default().unread_hold);
    assert_eq!(hold(&["--unread-hold=90s"]), Duration::from_secs(90));
    assert_eq!(hold(&["--unread-hold=0s"]), Duration::ZERO);
    assert!(parse(&["--unread-hold=-1s"]).is_err());
}

#[test]
fn removals_are_guarded_by_the_share_given_or_not_at_all() {
    let shrink = |flags: &[&str]| {
        let config = serve(&[&["--source", "d", "--insecure"], flags].concat()).unwrap();
        config.safeguards.shrink.map(|shrink| (shrink.share.to_string(), shrink.hold.as_secs()))
    };
    assert_eq!(serve(&["--insecure"]).unwrap().safeguards, Safeguards::default());
    assert_eq!(shrink(&[]), Some(("50%".to_owned(), 60)));
    let flags = ["--shrink-guard=12.5%", "--shrink-guard-hold=5m"];
    assert_eq!(shrink(&flags), Some(("12.5%".to_owned(), 300)));
    assert_eq!(shrink(&["--shrink-guard=0"]), None);
    for wrong in ["--shrink-guard=101%", "--shrink-guard=half", "--shrink-guard-hold=0s"] {
        assert!(parse(&[wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn every_limit_can_be_set_by_a_flag_and_in_the_file_and_the_flag_counts_more() {
    let mut wanted = contour_core::options::Limits::default();
    let mut file_text = "limits:\n".to_owned();
    let mut section = "";
    for (number, (name, limit)) in (1..).zip(contour_core::options::Limits::NAMED) {
        let (scope, key) = name.split_once('.').unwrap();
        if scope != section {
            writeln!(file_text, "  {scope}:").unwrap();
            section = scope;
        }
        writeln!(file_text, "    {key}: {number}").unwrap();
        *limit(&mut wanted) = number;
    }
    let (_dir, flag) = file(&file_text);
    let config = serve(&["--source=d", "--insecure", &flag]).unwrap();
    assert_eq!(config.options.limits, wanted);
    let flags = ["--limit=all.routes=7, namespace.bytes=8", "--limit", "object.health-checks=9"];
    let config = serve(&[&["--source=d", "--insecure", &flag], &flags[..]].concat()).unwrap();
    (wanted.all.routes, wanted.namespace.bytes, wanted.object_checks) = (7, 8, 9);
    assert_eq!(config.options.limits, wanted);
    for (flag, told) in [
        ("--limit=routes=7", "there is no limit \"routes\"; use one of object.health-checks"),
        ("--limit=all.routes", "must be NAME=N"),
        ("--limit=all.routes=0", "all.routes must be a whole number from 1"),
        ("--limit=all.routes=many", "not \"many\""),
    ] {
        let error = parse(&[flag]).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn tls_is_required_unless_declined_and_what_is_missing_is_named() {
    for flags in [&["--source", "d"][..], &["--source", "d", "--insecure=false"]] {
        let error = serve(&[flags, &["--contour-cafile", "ca.pem"]].concat()).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(
            error.to_string().starts_with("--contour-cert-file, --contour-key-file not given"),
            "{error}"
        );
    }
    let files = ["--contour-cafile", "a", "--contour-cert-file", "b", "--contour-key-file", "c"];
    let config = serve(&[&["--source", "d"], &files[..]].concat()).unwrap();
    assert!(matches!(config.security, XdsSecurity::Mutual(f) if f.key.as_os_str() == "c"));
}

#[test]
fn lists_are_separated_by_commas() {
    let config = serve(&[
        "--source",
        "d",
        "--insecure",
        "--root-namespaces",
        "a, b,",
        "--ingress-class-name=",
    ])
    .unwrap();
    let names: Vec<_> = config.options.root_namespaces.iter().map(|n| &**n).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(config.options.ingress_classes.is_empty());
}

#[test]
fn flags_about_the_cluster_arrive() {
    let told = kubernetes(&[
        "--kubeconfig=k",
        "--kubernetes-client-qps=2.5",
        "--kubernetes-client-burst=7",
        "--watch-namespaces=a,b",
        "--root-namespaces=b",
        "--contour-namespace=ingress",
        "--envoy-service-name=front",
        "--leader-election-lease-duration=1m",
        "--leader-election-renew-deadline=30s",
        "--leader-election-retry-period=500ms",
        "--leader-election-resource-name=lease",
        "--kubernetes-debug=5",
        "--disable-feature=tlsroutes",
    ]);
    assert_eq!(
        told,
        Kubernetes {
            access: Access::Kubeconfig("k".into()),
            qps: 2.5,
            burst: 7,
            watch_namespaces: vec!["a".into(), "b".into()],
            namespace: "ingress".into(),
            election: Some(Election {
                lease_duration: Duration::from_mins(1),
                renew_deadline: Duration::from_secs(30),
                retry_period: Duration::from_millis(500),
                name: "lease".into(),
                namespace: "ingress".into(),
            }),
            addresses: StatusAddresses::Service(ObjectName::new("ingress", "front")),
            ..Kubernetes::default()
        }
    );
    let told = kubernetes(&[
        "--incluster",
        "--disable-leader-election",
        "--ingress-status-address=192.0.2.1, lb.example.com",
    ]);
    assert_eq!((told.access, told.election), (Access::InCluster, None));
    let addresses = vec!["192.0.2.1".into(), "lb.example.com".into()];
    assert_eq!(told.addresses, StatusAddresses::Fixed(addresses));
}

#[test]
fn what_does_not_go_together_is_refused_with_what_to_do() {
    for (flags, words) in [
        (&["--debug-http-address=0.0.0.0"][..], "not a loopback address"),
        (&["--root-namespaces=a,b,c", "--watch-namespaces=b"], "names a, c, which"),
        (&["--leader-election-lease-duration=10s"], "must be longer than --leader-election-renew"),
        (&["--leader-election-retry-period=10s"], "must be longer than --leader-election-retry"),
        (&["--contour-config-name=x"], "--config-path"),
        (&["--ingressroute-root-namespaces", "a"], "use --root-namespaces"),
        (&["--enable-leader-election"], "--disable-leader-election"),
    ] {
        let error = serve(&[&["--insecure"], flags].concat()).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage, "{flags:?}");
        assert!(error.to_string().contains(words), "{flags:?}: {error}");
    }
    for (flags, words) in [
        (&["--source=d", "--incluster"][..], "--incluster"),
        (&["--source=d", "--watch-namespaces=a"], "--watch-namespaces"),
        (&["--incluster", "--kubeconfig=k"], "--kubeconfig"),
        (&["--kubernetes-client-qps=0"], "a number above 0"),
        (&["--kubernetes-client-burst=0"], "0 is not in"),
        (&["--leader-election-retry-period=2"], "a duration above 0"),
        (&["--disable-feature=routes"], "tlsroutes"),
        (&["--accesslog-format=text"], "json"),
        (&["--debug=maybe"], "false"),
    ] {
        let error = parse(flags).unwrap_err().to_string();
        assert!(error.contains(words), "{flags:?}: {error}");
    }
}

#[test]
fn a_flag_counts_more_than_the_file_and_the_file_more_than_the_default() {
    let (_dir, path) = file(
        "debug: true\nincluster: true\nkubernetesClientQPS: 7\nkubernetesClientBurst: 9\n\
         ingress-status-address: 192.0.2.1\naccesslog-format: json\ndisablePermitInsecure: true\n\
         envoy-service-name: front\nenvoy-service-namespace: edge\n\
         metrics: {contour: {address: 127.0.0.2, port: 7001}, envoy: {address: 127.0.0.3, port: 7002}}\n",
    );
    let json = |config: &Config| {
        matches!(config.options.access_log.format, contour_core::options::LogFormat::Json(_))
    };
    let from_file = prepare(&[&path, "--insecure"]).unwrap();
    assert!(from_file.debug && from_file.config.options.disable_permit_insecure);
    assert!(json(&from_file.config));
    assert_eq!(from_file.config.listen.metrics.to_string(), "127.0.0.2:7001");
    assert_eq!(from_file.config.options.stats.unwrap().port, 7002);
    let told = kubernetes(&[&path]);
    assert_eq!((told.qps, told.burst, told.access), (7.0, 9, Access::InCluster));
    assert_eq!(told.addresses, StatusAddresses::Fixed(vec!["192.0.2.1".into()]));

    let flags = [
        &path,
        "--insecure",
        "--debug=false",
        "--disable-permit-insecure=false",
        "--accesslog-format=envoy",
        "--http-port=1",
        "--stats-address=127.0.0.9",
    ];
    let from_flags = prepare(&flags).unwrap();
    assert!(!from_flags.debug && !from_flags.config.options.disable_permit_insecure);
    assert!(!json(&from_flags.config));
    assert_eq!(from_flags.config.listen.metrics.to_string(), "127.0.0.2:1");
    let stats = from_flags.config.options.stats.unwrap();
    assert_eq!((stats.address.to_string().as_str(), stats.port), ("127.0.0.9", 7002));
    let told = kubernetes(&[
        &path,
        "--kubeconfig=k",
        "--kubernetes-client-qps=1",
        "--ingress-status-address=192.0.2.9",
    ]);
    assert_eq!((told.qps, told.burst), (1.0, 9));
    assert_eq!(told.access, Access::Kubeconfig("k".into()));
    assert_eq!(told.addresses, StatusAddresses::Fixed(vec!["192.0.2.9".into()]));
    assert_eq!(kubernetes(&[&path, "--incluster=false"]).access, Access::Inferred);
}

#[test]
fn what_has_no_effect_is_named() {
    let (_dir, path) =
        file("incluster: true\ncompression: {algorithm: gzip}\nnetwork: {admin-port: 9001}\n");
    let told = prepare(&[&path, "--insecure", "--kubernetes-debug=3"]).unwrap().without_effect;
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "compression.algorithm");
    assert!(told[1].starts_with("network.admin-port ("), "{told:?}");
    let told = prepare(&[&path, "--insecure", "--source=d"]).unwrap().without_effect;
    assert_eq!(told.last().map(String::as_str), Some("incluster (with --source)"));
}
