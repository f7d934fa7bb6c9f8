//! `kubectl contour shift` against a real API server, a real controller and a real Envoy.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use contour_core::shift::sent;
use contour_core::shift::state::{ANNOTATION, State};
use contour_tests::backend::Backend;
use contour_tests::envoy::{Envoy, eventually};
use contour_tests::kubernetes::faults::{Held, Proxy};
use contour_tests::kubernetes::kubelet::{Kubelet, Ports, run_pod};
use contour_tests::kubernetes::stage::{
    KubernetesStage, NAMESPACE, Status, path, serve, settings, shop, status,
};
use contour_tests::kubernetes::{ADMIN, ApiServer, Objects, Options};
use contour_tests::program;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const CONTOUR: &str = "contour-1";
const DEMO: &str = "demo";

/// A route from blue to green, its controller and its Envoy.
struct World {
    server: ApiServer,
    admin: Objects,
    _stage: KubernetesStage,
    _envoy: Envoy,
    _kubelet: Kubelet,
    _backends: [Backend; 2],
}

impl World {
    async fn start() -> Option<Self> {
        let server =
            ApiServer::start(Options::default().user("nobody", &[]).user("shifter", &[])).await?;
        let admin = server.admin();
        admin.install_crds().await;
        for namespace in [NAMESPACE, DEMO] {
            admin.namespace(namespace).await;
        }
        let stage = KubernetesStage::start(settings(server.kubeconfig(ADMIN))).await;
        let bound = stage.controller.bound();
        let ports: Ports = [((CONTOUR.to_owned(), 6060), bound.debug)].into_iter().collect();
        let kubelet = Kubelet::start(ports).await;
        kubelet.register(&admin).await;
        run_pod(&admin, NAMESPACE, "contour", CONTOUR, "localhost/contour:test").await;
        let backends = [Backend::http("blue").await, Backend::http("green").await];
        serve(&admin, DEMO, &backends.each_ref()).await;
        let envoy = stage.envoy("envoy-1").await;
        let world = Self {
            server,
            admin,
            _stage: stage,
            _envoy: envoy,
            _kubelet: kubelet,
            _backends: backends,
        };
        world.route("shop", 100, 0).await;
        Some(world)
    }

    /// A route with these weights, in all Envoys.
    async fn route(&self, name: &str, blue: u32, green: u32) {
        let object = shop(DEMO, name, &format!("{name}.test"), &[("blue", blue), ("green", green)]);
        self.admin.apply_value(&object).await.unwrap();
        status(&self.admin, &path(DEMO, name), "programmed", Status::is_programmed).await;
    }

    async fn get(&self, name: &str) -> Value {
        self.admin.get(&path(DEMO, name)).await.unwrap()
    }

    /// The weights of blue and green, and the state of the shift.
    async fn shifted(&self, name: &str) -> (Option<i64>, Option<i64>, Option<State>) {
        let object = self.get(name).await;
        let weight = |index: usize| {
            object.pointer(&format!("/spec/routes/0/services/{index}/weight"))?.as_i64()
        };
        let state = object.pointer("/metadata/annotations").and_then(|a| a.get(ANNOTATION));
        let state = state.and_then(Value::as_str).map(|text| State::read(text).unwrap());
        (weight(0), weight(1), state)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.server.kubeconfig(ADMIN)
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        command(&self.kubeconfig(), arguments).output().await.unwrap()
    }
}

fn command(kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program::plugin());
    command.arg("shift").args(arguments).args(["-n", DEMO]).arg("--kubeconfig").arg(kubeconfig);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    err
}

fn start<'a>(name: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["start", name, "--from", "blue", "--to", "green", "-y", "-o", "ndjson"];
    fixed.into_iter().chain(flags.iter().copied()).collect()
}

/// A shift that runs.
struct Running {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn begin(kubeconfig: &Path, arguments: &[&str]) -> Self {
        let mut command = command(kubeconfig, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out }
    }

    async fn wait_for(&mut self, kind: &str) {
        let mut seen = Vec::new();
        while let Ok(Some(line)) = self.out.next_line().await {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == kind {
                return;
            }
            seen.push(line);
        }
        panic!("no {kind} after {seen:#?}\n{}", self.said().await);
    }

    async fn said(&mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        said
    }

    async fn end(mut self) -> (Option<i32>, String) {
        let said = self.said().await;
        (self.child.wait().await.unwrap().code(), said)
    }
}

/// The sum is never another one, never all of it nowhere, and the weights are those of the state.
async fn is_sound(world: &World) {
    let value = world.get("shop").await;
    let (live, _route) = sent::read(&value).unwrap();
    let (blue, green, state) = world.shifted("shop").await;
    assert_eq!(blue.unwrap_or(0) + green.unwrap_or(0), 100, "{value}");
    // One that is over says nothing of the weights that this test has set since.
    if let Some(state) = state.filter(|state| !state.progress.phase.is_over()) {
        assert!(state.agrees(&live.weights), "{value}");
    }
}

/// Kills the client at the request that comes after so many others; whether it got so far.
async fn killed_at(world: &World, requests: usize, when: Held) -> bool {
    let proxy = Proxy::start(&world.kubeconfig()).await;
    proxy.hold(requests, when);
    let steps = ["--steps", "50,100", "--bake", "0s", "--drain", "1s"];
    let mut child = command(&proxy.kubeconfig(), &start("shop", &steps))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let hit = tokio::select! {
        () = proxy.held() => true,
        _ = child.wait() => false,
    };
    // SIGKILL: nothing of it can put anything in order.
    child.kill().await.unwrap();
    hit
}

/// From another machine: goes on with what there is, or begins anew.
async fn finished_elsewhere(world: &World) {
    let unfinished = |state: &State| !state.progress.phase.is_over();
    let there = async || {
        let (blue, green, state) = world.shifted("shop").await;
        (blue, green) == (Some(0), Some(100)) && !state.as_ref().is_some_and(unfinished)
    };
    if there().await {
        // It was killed when all was done.
        return;
    }
    let output = if world.shifted("shop").await.2.as_ref().is_some_and(unfinished) {
        world.run(&["resume", "shop", "-o", "ndjson", "--take-over"]).await
    } else {
        let steps = ["--percent", "100", "--bake", "0s", "--drain", "1s", "--take-over"];
        world.run(&start("shop", &steps)).await
    };
    ended(&output, 0);
    let (blue, green, state) = world.shifted("shop").await;
    assert_eq!((blue, green), (Some(0), Some(100)), "{state:?}");
}

/// All of them in the long test; else every fifth, and each write both ways.
fn stride() -> usize {
    if std::env::var_os("CONTOUR_SHIFT_KILLS").is_some_and(|all| all == "all") { 1 } else { 5 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_at_any_request_leaves_what_another_machine_finishes() {
    let Some(world) = World::start().await else { return };
    let (mut kills, mut requests) = (0, 0);
    loop {
        let mut hit = false;
        for when in [Held::Before, Held::After] {
            world.route("shop", 100, 0).await;
            hit = killed_at(&world, requests, when).await;
            is_sound(&world).await;
            if hit {
                finished_elsewhere(&world).await;
                kills += 1;
            }
        }
        if !hit {
            break;
        }
        requests += stride();
    }
    println!("killed {kills} times at up to request {requests}");
    assert!(kills >= 10, "{kills}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_operators_one_shifts_and_the_others_are_told() {
    let Some(world) = World::start().await else { return };
    let config = world.kubeconfig();
    for round in 0..5 {
        world.route("shop", 100, 0).await;
        let flags = ["--percent", "100", "--bake", "3s", "--drain", "0s", "--interval", "1s"];
        let arguments = start("shop", &flags);
        let (one, two) = (Running::begin(&config, &arguments), Running::begin(&config, &arguments));
        let (one, two) = tokio::join!(one.end(), two.end());
        let codes = [one.0.unwrap(), two.0.unwrap()];
        assert!(codes == [0, 5] || codes == [5, 0], "{round}: {one:?} {two:?}");
        let loser = if codes[0] == 5 { one.1 } else { two.1 };
        assert!(loser.contains("is being shifted"), "{loser}");
    }
    // One that is taken over is told, and writes no more.
    world.route("shop", 100, 0).await;
    let mut first = Running::begin(
        &config,
        &start("shop", &["--steps", "50,100", "--bake", "60s", "--interval", "1s"]),
    );
    first.wait_for("ShiftLive").await;
    let refused = world.run(&["rollback", "shop", "-o", "ndjson"]).await;
    assert!(ended(&refused, 5).contains("--take-over"), "{refused:?}");
    let back = world.run(&["rollback", "shop", "-o", "ndjson", "--take-over"]).await;
    ended(&back, 0);
    assert!(text(&back.stdout).contains("asked for by"), "{back:?}");
    let (code, said) = first.end().await;
    assert!(matches!(code, Some(5 | 8)), "{code:?} {said}");
    assert_eq!(
        (world.shifted("shop").await.0, world.shifted("shop").await.1),
        (Some(100), Some(0))
    );
    // A change of weights by hand is told, and stays.
    let mut shift = Running::begin(
        &config,
        &start("shop", &["--steps", "50,100", "--bake", "60s", "--interval", "1s"]),
    );
    shift.wait_for("ShiftLive").await;
    world
        .admin
        .apply_value(&shop(DEMO, "shop", "shop.test", &[("blue", 7), ("green", 3)]))
        .await
        .unwrap();
    let (code, said) = shift.end().await;
    assert_eq!(code, Some(8), "{said}");
    assert!(said.contains("blue:80 7, green:80 3 instead of blue:80 50, green:80 50"), "{said}");
    assert_eq!((world.shifted("shop").await.0, world.shifted("shop").await.1), (Some(7), Some(3)));
    let history = world.run(&["history", "shop", "-o", "json"]).await;
    ended(&history, 0);
    let history: Value = serde_json::from_slice(&history.stdout).unwrap();
    let codes: Vec<_> =
        history.as_array().unwrap().iter().map(|e| e["exitCode"].as_i64().unwrap()).collect();
    assert!(codes.ends_with(&[3, 8]), "{history:#}");
    let events =
        world.admin.get(&format!("/apis/events.k8s.io/v1/namespaces/{DEMO}/events")).await.unwrap();
    let events = events["items"].as_array().unwrap();
    let reasons: Vec<_> = events
        .iter()
        .filter(|e| {
            e["reportingController"] == "kubectl-contour" && e["regarding"]["name"] == "shop"
        })
        .map(|e| e["reason"].as_str().unwrap())
        .collect();
    for reason in [
        "ShiftStarted",
        "WeightShifted",
        "ShiftLive",
        "ShiftCompleted",
        "ShiftRolledBack",
        "ShiftConflict",
    ] {
        assert!(reasons.contains(&reason), "{reason}: {reasons:?}");
    }
}

/// Every field of an IngressRoute, set.
fn full() -> Value {
    let service = |name: &str| {
        json!({
            "name": name, "port": 80, "strategy": "WeightedLeastRequest",
            "healthCheck": {
                "path": "/healthz", "host": "health.test", "intervalSeconds": 7,
                "timeoutSeconds": 3, "unhealthyThresholdCount": 4, "healthyThresholdCount": 2,
            },
        })
    };
    let (mut blue, green, mut third) = (service("blue"), service("green"), service("third"));
    blue["weight"] = json!(60);
    third["weight"] = json!(40);
    json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
        "metadata": {
            "namespace": DEMO, "name": "full", "labels": {"team": "a"},
            "annotations": {"example.com/note": "ours: \"quoted\""},
        },
        "spec": {
            "virtualhost": {"fqdn": "full.test"},
            "routes": [
                {
                    "match": "/", "services": [blue, green, third], "enableWebsockets": true,
                    "permitInsecure": true, "prefixRewrite": "/v2/",
                    "timeoutPolicy": {"request": "5s"},
                    "retryPolicy": {"count": 2, "perTryTimeout": "1s"},
                },
                {"match": "/else", "services": [{"name": "blue", "port": 80}]},
            ],
        },
    })
}

/// An object without what a shift may change, and without what the server counts.
fn rest(object: &Value) -> String {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["resourceVersion", "generation", "managedFields"] {
        metadata.remove(field);
    }
    metadata["annotations"].as_object_mut().unwrap().remove(ANNOTATION);
    for service in object["spec"]["routes"][0]["services"].as_array_mut().unwrap() {
        service.as_object_mut().unwrap().remove("weight");
    }
    object.as_object_mut().unwrap().remove("status");
    object.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_keeps_all_but_its_weights_and_undo_gives_those_back_too() {
    let Some(world) = World::start().await else { return };
    let third = Backend::http("third").await;
    serve(&world.admin, DEMO, &[&third]).await;
    world.admin.apply_value(&full()).await.unwrap();
    status(&world.admin, &path(DEMO, "full"), "programmed", Status::is_programmed).await;
    let before = world.get("full").await;
    let output =
        world.run(&start("full", &["--steps", "25,100", "--bake", "0s", "--drain", "0s"])).await;
    ended(&output, 0);
    let after = world.get("full").await;
    assert_eq!(rest(&after), rest(&before));
    let weights = |object: &Value| -> Vec<Value> {
        let services = object["spec"]["routes"][0]["services"].as_array().unwrap();
        services.iter().map(|s| s.get("weight").cloned().unwrap_or(Value::Null)).collect()
    };
    assert_eq!(weights(&before), [json!(60), Value::Null, json!(40)]);
    assert_eq!(weights(&after), [json!(0), json!(60), json!(40)]);
    let undone = world.run(&["undo", "full", "-y", "-o", "json"]).await;
    ended(&undone, 0);
    let undone = world.get("full").await;
    assert_eq!(weights(&undone), weights(&before), "unset is unset again");
    assert_eq!(rest(&undone), rest(&before));
    let owners = undone["metadata"]["managedFields"].to_string();
    assert!(owners.contains("kubectl-contour-shift"), "{owners}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_begin_says_why_and_writes_nothing() {
    let Some(world) = World::start().await else { return };
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let before = world.get("shop").await;
    let nobody = world.server.kubeconfig("nobody");
    let output = command(&nobody, &start("shop", &[])).output().await.unwrap();
    let said = ended(&output, 9);
    assert!(
        said.contains("cannot read IngressRoute demo/shop") && said.contains("nobody"),
        "{said}"
    );
    let dry = world.run(&start("shop", &["--dry-run"])).await;
    ended(&dry, 1);
    let plan = ["plan", "shop", "--from", "blue", "--to", "green", "-o", "json"];
    let plan = world.run(&plan).await;
    ended(&plan, 0);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let level = |check: &str| {
        let found = plan["preflight"].as_array().unwrap().iter().find(|f| f["check"] == check);
        found.unwrap_or_else(|| panic!("no {check} in {plan:#}"))["level"].clone()
    };
    for check in ["rights", "clock", "envoys", "state", "to", "from"] {
        assert_eq!(level(check), "ok", "{check}: {plan:#}");
    }
    assert_eq!(level("owner"), "warning", "the test has written weights too: {plan:#}");
    assert_eq!(version(&world.get("shop").await), version(&before));
    // An endpoint less, then no controller.
    world
        .admin
        .delete("/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices/green-0")
        .await
        .unwrap();
    let said = eventually("the controller has heard of it", async || {
        let output = world.run(&start("shop", &["--dry-run"])).await;
        (output.status.code() == Some(7)).then(|| ended(&output, 7))
    })
    .await;
    assert!(said.contains("green:80 has no healthy endpoint"), "{said}");
    world
        .admin
        .delete(&format!("/api/v1/namespaces/{NAMESPACE}/pods/{CONTOUR}?gracePeriodSeconds=0"))
        .await
        .unwrap();
    let output = world.run(&start("shop", &[])).await;
    let said = ended(&output, 7);
    assert!(said.contains("no controller"), "{said}");
    let (blue, green, state) = world.shifted("shop").await;
    assert_eq!((blue, green, state), (Some(100), Some(0), None));
}

/// A Role with the rules of docs/shift.md for a namespace, and its binding.
fn role(namespace: &str, rules: &str) -> [Value; 2] {
    let rules: Value = serde_saphyr::from_str(rules).unwrap();
    let (api, metadata) =
        ("rbac.authorization.k8s.io/v1", json!({"namespace": namespace, "name": "shifter"}));
    let role =
        json!({"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": rules["rules"]});
    let binding = json!({
        "apiVersion": api, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "shifter"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "shifter"}],
    });
    [role, binding]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_guide_are_enough() {
    let Some(world) = World::start().await else { return };
    let guide = include_str!("../../../../docs/shift.md");
    let (_, from) = guide.split_once("## What it takes").unwrap();
    let yaml = from.split("```yaml").nth(1).unwrap().split("```").next().unwrap();
    let parts: Vec<_> = yaml.split("rules:").skip(1).map(|part| format!("rules:{part}")).collect();
    let [routes, controllers] = parts.as_slice() else { panic!("{parts:?}") };
    for object in role(DEMO, routes).iter().chain(&role(NAMESPACE, controllers)) {
        world.admin.apply_value(object).await.unwrap();
    }
    let shifter = world.server.kubeconfig("shifter");
    let plan = ["plan", "shop", "--from", "blue", "--to", "green", "-o", "json"];
    let plan = command(&shifter, &plan).output().await.unwrap();
    ended(&plan, 0);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let rights = plan["preflight"].as_array().unwrap().iter().find(|f| f["check"] == "rights");
    assert_eq!(rights.unwrap()["level"], "ok", "{plan:#}");
    let flags = ["--steps", "50,100", "--bake", "0s", "--drain", "0s"];
    let output = command(&shifter, &start("shop", &flags)).output().await.unwrap();
    ended(&output, 0);
    for verb in [&["status", "shop"][..], &["history", "shop"], &["list"], &["undo", "shop", "-y"]]
    {
        let output = command(&shifter, verb).output().await.unwrap();
        ended(&output, 0);
    }
    let events = world.admin.get(&format!("/apis/events.k8s.io/v1/namespaces/{DEMO}/events")).await;
    let events = events.unwrap().to_string();
    assert!(events.contains("ShiftCompleted") && events.contains("shifter@"), "{events}");
}
