//! Delegation between IngressRoutes, and who may claim a host.

use contour::serve::Hooks;
use contour_core::api::Timestamp;
use contour_core::diagnostic::Code;
use contour_core::name::Kind;
use contour_core::pipeline::{Change, Options};
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::stage::{Stage, ingress_route, options, read, until_backend, until_status};
use contour_tests::worlds::metadata_mut;

fn ask(path: &str) -> Ask {
    Ask::get("shop.test", path)
}

/// A stage with a backend of each name in the namespace of the same name.
async fn stage_with(options: Options, names: &[&str]) -> (Stage, Vec<Backend>) {
    let stage = Stage::with(options, Hooks::default()).await;
    let mut backends = Vec::new();
    for name in names {
        let backend = Backend::http(name).await;
        stage.serve(name, &[&backend]).await;
        backends.push(backend);
    }
    (stage, backends)
}

fn root(namespace: &str, name: &str) -> String {
    ingress_route(
        &format!("{namespace}/{name}"),
        &format!(
            "virtualhost: {{fqdn: shop.test}}\nroutes:\n\
             - {{match: /, services: [{{name: {namespace}, port: 80}}]}}"
        ),
    )
}

/// The changes of a manifest, its objects created at this second.
fn created(text: &str, second: i64) -> Vec<Change> {
    let mut changes = read(text);
    for change in &mut changes {
        if let Change::Apply(object, _) = change {
            metadata_mut(object).creation_timestamp = Some(Timestamp::from_unix(second));
        }
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_delegated_across_namespaces_and_further_down() {
    let (stage, _backends) = stage_with(options(), &["front", "team", "deep"]).await;
    let front = "virtualhost: {fqdn: shop.test}\nroutes:\n\
                 - {match: /, services: [{name: front, port: 80}]}\n\
                 - {match: /team, delegate: {name: routes, namespace: team}}";
    let team = "routes:\n- {match: /team, services: [{name: team, port: 80}]}\n\
                - {match: /team/deep, delegate: {name: routes, namespace: deep}}";
    let deep = "routes:\n- {match: /team/deep/x, services: [{name: deep, port: 80}]}";
    let target = stage.http().await;

    let told = stage.apply(&ingress_route("front/root", front)).await;
    told.expect(Code::DelegateNotFound, "front/root");
    until_backend(&target, &ask("/"), "front").await;

    stage.apply(&ingress_route("team/routes", team)).await;
    until_backend(&target, &ask("/team/x"), "team").await;
    stage.apply(&ingress_route("deep/routes", deep)).await.fine();
    until_backend(&target, &ask("/team/deep/x"), "deep").await;
    until_backend(&target, &ask("/team/x"), "team").await;
    until_backend(&target, &ask("/other"), "front").await;

    stage.delete(Kind::IngressRoute, "deep", "routes").await;
    contour_tests::stage::until(&target, &ask("/team/deep/x"), |reply| {
        reply.backend().as_deref() != Some("deep")
    })
    .await;
    until_backend(&target, &ask("/team/x"), "team").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_gets_no_path_that_was_not_delegated_to_it() {
    let (stage, _backends) = stage_with(options(), &["front", "team"]).await;
    let front = "virtualhost: {fqdn: shop.test}\nroutes:\n\
                 - {match: /, services: [{name: front, port: 80}]}\n\
                 - {match: /team, delegate: {name: routes, namespace: team}}";
    let team = "routes:\n- {match: /team/ok, services: [{name: team, port: 80}]}\n\
                - {match: /login, services: [{name: team, port: 80}]}\n\
                - {match: /teammates, services: [{name: team, port: 80}]}";
    stage.apply(&ingress_route("front/root", front)).await;
    let told = stage.apply(&ingress_route("team/routes", team)).await;
    told.expect(Code::PrefixOutsideParent, "team/routes");
    let target = stage.http().await;
    until_backend(&target, &ask("/team/ok"), "team").await;
    until_backend(&target, &ask("/login"), "front").await;
    until_backend(&target, &ask("/teammates"), "front").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cycles_are_told_and_cut() {
    let (stage, _backends) = stage_with(options(), &["front"]).await;
    let text = [
        (
            "front/root",
            "virtualhost: {fqdn: shop.test}\nroutes:\n\
             - {match: /, services: [{name: front, port: 80}]}\n\
             - {match: /a, delegate: {name: one}}",
        ),
        (
            "front/one",
            "routes:\n- {match: /a, delegate: {name: two}}\n\
             - {match: /a/ok, services: [{name: front, port: 80}]}",
        ),
        ("front/two", "routes:\n- {match: /a, delegate: {name: one}}"),
    ]
    .map(|(name, spec)| ingress_route(name, spec))
    .concat();
    let told = stage.apply(&text).await;
    assert!(
        told.diagnostics.iter().any(|d| d.code == Code::DelegationCycle),
        "{:#?}",
        told.diagnostics
    );
    let target = stage.http().await;
    until_backend(&target, &ask("/"), "front").await;
    until_backend(&target, &ask("/a/ok"), "front").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_delegates_to_is_orphaned_and_serves_nothing() {
    let (stage, _backends) = stage_with(options(), &["front"]).await;
    let spec = "routes:\n- {match: /, services: [{name: front, port: 80}]}";
    let told = stage.apply(&ingress_route("front/lost", spec)).await;
    told.expect(Code::Orphaned, "front/lost");
    until_status(&stage.http().await, &ask("/"), 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_does_not_delegate_to_a_root() {
    let (stage, _backends) = stage_with(options(), &["front", "team"]).await;
    stage.apply(&root("team", "other").replace("shop.test", "team.test")).await;
    let front = "virtualhost: {fqdn: shop.test}\nroutes:\n\
                 - {match: /, services: [{name: front, port: 80}]}\n\
                 - {match: /team, delegate: {name: other, namespace: team}}";
    let told = stage.apply(&ingress_route("front/root", front)).await;
    told.expect(Code::DelegateToRoot, "front/root");
    let target = stage.http().await;
    until_backend(&target, &ask("/"), "front").await;
    let reply = target.ask(&ask("/team")).await.unwrap();
    assert_ne!(reply.backend().as_deref(), Some("team"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_of_two_claims_of_a_host_wins_whatever_its_spelling() {
    let (stage, _backends) = stage_with(options(), &["old", "new"]).await;
    let target = stage.http().await;
    for spelling in ["shop.test", "SHOP.test", "shop.test."] {
        let new = root("new", "claim").replace("shop.test", spelling);
        stage.change(created(&new, 200)).await.fine();
        until_backend(&target, &ask("/"), "new").await;
        let told = stage.change(created(&root("old", "claim"), 100)).await;
        let conflict = told.expect(Code::HostConflict, "new/claim");
        assert!(conflict.message.contains("old/claim"), "{conflict}");
        until_backend(&target, &ask("/"), "old").await;
        let told = stage.delete(Kind::IngressRoute, "old", "claim").await;
        assert!(told.mended.iter().any(|d| d.code == Code::HostConflict));
        until_backend(&target, &ask("/"), "new").await;
        stage.delete(Kind::IngressRoute, "new", "claim").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_outside_the_root_namespaces_are_told_and_not_served() {
    let settings = Options { root_namespaces: vec!["front".into()], ..options() };
    let (stage, _backends) = stage_with(settings, &["front", "team"]).await;
    let told = stage.apply(&root("team", "root")).await;
    told.expect(Code::RootNamespaceNotAllowed, "team/root");
    let target = stage.http().await;
    until_status(&target, &ask("/"), 404).await;
    stage.apply(&root("front", "root")).await.fine();
    until_backend(&target, &ask("/"), "front").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_objects_of_the_served_classes_count() {
    let with_class = |class: &str| {
        root("front", "root").replace(
            "namespace: front}",
            &format!("namespace: front, annotations: {{kubernetes.io/ingress.class: {class}}}}}"),
        )
    };
    for (classes, class, served) in [
        (&[][..], "contour", true),
        (&[], "nginx", false),
        (&["blue"], "blue", true),
        (&["blue"], "contour", false),
    ] {
        let settings =
            Options { ingress_classes: classes.iter().map(|c| (*c).into()).collect(), ..options() };
        let (stage, _backends) = stage_with(settings, &["front"]).await;
        stage.apply(&with_class(class)).await;
        let target = stage.http().await;
        let status = if served { 200 } else { 404 };
        until_status(&target, &ask("/"), status).await;
    }
}
