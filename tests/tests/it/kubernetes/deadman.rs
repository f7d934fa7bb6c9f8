//! Shifts whose client is gone.

use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::shift::machine::{Action, Command, Holder, Machine, Write};
use contour_core::shift::state::{Deadman, OnFailure, Phase, Policy, Share};
use contour_core::shift::{Note, sent};
use contour_tests::backend::Backend;
use contour_tests::client::Ask;
use contour_tests::envoy::{Envoy, eventually};
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::shift::{CLIENT, halfway, lease, lease_path, state, weights};
use contour_tests::kubernetes::stage::{KubernetesStage, http, path, serve, shop};
use contour_tests::kubernetes::{Objects, refusal};
use contour_tests::stage::until_backend;
use serde_json::{Value, json};

/// How often controllers look.
const PERIOD: Duration = Duration::from_millis(200);

/// For so long has a client been gone.
const LONG: Duration = Duration::from_mins(1);

fn revert() -> Policy {
    Policy { deadman: Some(Deadman::Revert(Duration::from_secs(1))), ..Policy::default() }
}

fn hold() -> Policy {
    Policy { deadman: Some(Deadman::Hold(Duration::from_secs(1))), ..Policy::default() }
}

/// A Namespace with the services `blue` and `green`.
struct Scene {
    place: Place,
    _backends: [Backend; 2],
}

impl Scene {
    async fn new(namespace: &'static str) -> Option<Self> {
        let place = Place::new(namespace).await?;
        let backends = [Backend::http("blue").await, Backend::http("green").await];
        serve(&place.admin, namespace, &[&backends[0], &backends[1]]).await;
        Some(Self { place, _backends: backends })
    }

    fn admin(&self) -> &Objects {
        &self.place.admin
    }

    async fn controller(&self, user: &str) -> KubernetesStage {
        let mut settings = self.place.settings(self.place.user(user).await);
        settings.deadman = PERIOD;
        let stage = KubernetesStage::start(settings).await;
        stage.controller.ready().await;
        stage
    }

    async fn controller_and_envoy(&self) -> (KubernetesStage, Envoy) {
        let stage = self.controller("contour").await;
        let envoy = stage.envoy("envoy-1").await;
        (stage, envoy)
    }

    /// A route halfway from `blue` to `green`.
    async fn shifted(&self, name: &str, policy: Policy, phase: &Value) -> Value {
        let namespace = self.place.namespace;
        let baseline = shop(namespace, name, &self.host(name), &[("blue", 100), ("green", 0)]);
        self.admin().apply_value(&baseline).await.unwrap();
        halfway(self.admin(), (namespace, name), policy, phase).await
    }

    fn host(&self, name: &str) -> String {
        format!("{name}.{}.test", self.place.namespace)
    }

    async fn lease(&self, name: &str, holder: &str, ago: Duration) {
        let lease = lease((self.place.namespace, name), holder, ago);
        self.admin().apply_value(&lease).await.unwrap();
    }

    async fn route(&self, name: &str) -> Value {
        self.admin().get(&path(self.place.namespace, name)).await.unwrap()
    }

    async fn holder(&self, name: &str) -> String {
        let lease = self.admin().get(&lease_path((self.place.namespace, name))).await.unwrap();
        lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    }

    async fn until(&self, name: &str, what: &str, wanted: impl Fn(&Phase) -> bool) -> Value {
        eventually(what, async || {
            let route = self.route(name).await;
            wanted(&state(&route).progress.phase).then_some(route)
        })
        .await
    }

    async fn until_told(&self, route: &Value, reason: &str) -> String {
        eventually(&format!("an Event says {reason}"), async || {
            let events = self.place.events(route).await;
            let told = events.into_iter().find(|event| event.0 == reason);
            told.map(|(_, kind, note)| format!("{kind}: {note}"))
        })
        .await
    }

    async fn until_released(&self, name: &str) {
        eventually("the Lease is let go", async || {
            self.holder(name).await.is_empty().then_some(())
        })
        .await;
    }

    /// How often a user has written a route, as far as the API server took it.
    fn writes(&self, user: &str, name: &str) -> usize {
        let written = self.place.audit(user).filter(|request| {
            request.resource == "ingressroutes"
                && request.name == name
                && request.is_write()
                && request.code == 200
        });
        written.requests.len()
    }
}

/// How often a user has looked for shifts.
fn looks(scene: &Scene, user: &str) -> usize {
    let looked = scene
        .place
        .audit(user)
        .filter(|request| request.resource == "leases" && request.uri.contains("labelSelector="));
    looked.requests.len()
}

async fn count(stage: &KubernetesStage, outcome: &str) -> Option<f64> {
    let name = format!("contour_shift_deadman_total{{outcome=\"{outcome}\"}}");
    stage.metric(&name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_whose_client_is_gone_is_rolled_back_as_agreed() {
    let Some(scene) = Scene::new("deadman-revert").await else { return };
    let (stage, envoy) = scene.controller_and_envoy().await;
    let before = scene.shifted("shop", revert(), &json!("baking")).await;
    assert_eq!(weights(&before), [Some(50), Some(50)]);
    let (late, _) = sent::read(&before).unwrap();
    scene.lease("shop", CLIENT, LONG).await;

    let back = |phase: &Phase| matches!(phase, Phase::RolledBack(_));
    let after = scene.until("shop", "it is rolled back", back).await;
    assert_eq!(weights(&after), [Some(100), Some(0)]);
    let progress = state(&after).progress;
    assert_eq!(progress.share, Share::Baseline);
    let Phase::RolledBack(cause) = &progress.phase else { panic!("{progress:?}") };
    assert_eq!(cause.words(), "asked for by deadman");
    until_backend(&http(&envoy).await, &Ask::get(&scene.host("shop"), "/"), "blue").await;
    let told = scene.until_told(&after, "ShiftAbandoned").await;
    assert!(told.starts_with("Warning: ") && told.contains(CLIENT), "{told}");
    let told = scene.until_told(&after, "ShiftRolledBack").await;
    assert!(told.contains("asked for by deadman"), "{told}");
    scene.until_released("shop").await;
    assert_eq!(count(&stage, "back").await, Some(1.0));
    // Said, done, and known to be live.
    assert_eq!(scene.writes("contour", "shop"), 3);

    // The client was only asleep: what it still wants to write is for a version that is no more.
    let holder = Holder { name: Note::new(CLIENT), until: Timestamp::from_unix(i64::MAX) };
    let (_, actions) =
        Machine::resume(holder, &late, Command::Promote, Timestamp::from_unix(0)).unwrap();
    let patch = sent::patch(&before, written(&actions)).unwrap();
    let refused = patched(&scene, "shop", &patch).await.unwrap_err();
    assert_eq!(refusal(&refused).map(|(code, _)| code), Some(409), "{refused}");
}

fn written(actions: &[Action]) -> &Write {
    let write = actions
        .iter()
        .find_map(|action| if let Action::Write(write) = action { Some(&**write) } else { None });
    write.unwrap()
}

async fn patched(scene: &Scene, name: &str, patch: &Value) -> Result<String, kube::Error> {
    let request = http::Request::patch(path(scene.place.namespace, name))
        .header("content-type", "application/json-patch+json")
        .body(patch.to_string().into_bytes())
        .unwrap();
    scene.admin().client().request_text(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_was_begun_is_gone_on_with_and_a_hold_pauses() {
    let Some(scene) = Scene::new("deadman-others").await else { return };
    let (stage, _envoy) = scene.controller_and_envoy().await;
    let gate = json!({"rollingBack": {"gate": "failures 3 of 100"}});
    scene.shifted("begun", revert(), &gate).await;
    scene.shifted("held", hold(), &json!("converging")).await;
    // Nobody is there to take the traffic back.
    scene.shifted("dead", revert(), &json!("baking")).await;
    for name in ["begun", "held"] {
        scene.lease(name, CLIENT, LONG).await;
    }
    let after = scene.until("begun", "it is back", |p| matches!(p, Phase::RolledBack(_))).await;
    assert_eq!(weights(&after), [Some(100), Some(0)]);
    let told = scene.until_told(&after, "ShiftRolledBack").await;
    assert!(told.contains("failures 3 of 100"), "{told}");
    let after = scene.until("held", "it is paused", |p| matches!(p, Phase::Paused { .. })).await;
    assert_eq!(weights(&after), [Some(50), Some(50)]);
    let told = scene.until_told(&after, "ShiftPaused").await;
    assert!(told.contains("nobody drives it"), "{told}");

    let slices = "/apis/discovery.k8s.io/v1/namespaces/deadman-others/endpointslices/blue-0";
    scene.admin().delete(slices).await.unwrap();
    scene.lease("dead", CLIENT, LONG).await;
    let after = scene.until("dead", "it is held", |p| matches!(p, Phase::Holding(_))).await;
    assert_eq!(weights(&after), [Some(50), Some(50)]);
    let told = scene.until_told(&after, "ShiftHeld").await;
    assert!(told.contains("0 healthy endpoints"), "{told}");
    for name in ["begun", "held", "dead"] {
        scene.until_released(name).await;
    }
    assert_eq!([count(&stage, "paused").await, count(&stage, "held").await], [Some(1.0); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_renewed_let_go_or_not_agreed_is_left_alone() {
    let Some(scene) = Scene::new("deadman-alone").await else { return };
    let (_stage, _envoy) = scene.controller_and_envoy().await;
    let patient =
        Policy { deadman: Some(Deadman::Revert(Duration::from_hours(1))), ..Policy::default() };
    for (name, policy, phase, holder, ago) in [
        ("renewed", revert(), json!("baking"), CLIENT, Duration::ZERO),
        ("released", revert(), json!("baking"), "", LONG),
        ("unagreed", Policy::default(), json!("baking"), CLIENT, LONG),
        ("patient", patient, json!("baking"), CLIENT, LONG),
        ("draining", revert(), json!("draining"), CLIENT, LONG),
        ("control", revert(), json!("baking"), CLIENT, LONG),
    ] {
        scene.shifted(name, policy, &phase).await;
        if name == "renewed" {
            // Its client renews it long before it expires.
            let mut renewed = lease((scene.place.namespace, name), holder, ago);
            renewed["spec"]["leaseDurationSeconds"] = json!(3600);
            scene.admin().apply_value(&renewed).await.unwrap();
        } else {
            scene.lease(name, holder, ago).await;
        }
    }
    scene.until("control", "it is rolled back", |p| matches!(p, Phase::RolledBack(_))).await;
    scene.until_released("control").await;
    let before = looks(&scene, "contour");
    eventually("it has looked again", async || {
        (looks(&scene, "contour") >= before + 3).then_some(())
    })
    .await;
    let others = ["renewed", "released", "unagreed", "patient", "draining"];
    for name in others {
        assert_eq!(scene.writes("contour", name), 0, "{name}");
        assert_eq!(weights(&scene.route(name).await), [Some(50), Some(50)], "{name}");
    }
    let read = |name: &str| {
        let audit = scene.place.audit("contour");
        let reads = audit.filter(|r| r.resource == "ingressroutes" && r.verb == "get");
        reads.requests.iter().any(|r| r.name == name)
    };
    assert_eq!(others.map(read), [false, false, true, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_the_leader_alone_acts_and_waits_for_the_envoys_of_both() {
    let Some(scene) = Scene::new("deadman-two").await else { return };
    let namespace = scene.place.namespace;
    let one = scene.controller("one").await;
    eventually("one leads", async || {
        (one.metric("contour_leader").await == Some(1.0)).then_some(())
    })
    .await;
    let two = scene.controller("two").await;
    let (_first, _second) = (one.envoy("envoy-1").await, two.envoy("envoy-2").await);
    // Replicas that nobody answers for: what their Envoys have is not known.
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace, "name": "contour-1",
            "labels": {"kubernetes.io/service-name": "contour"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["203.0.113.8"], "conditions": {"ready": true}},
            {"addresses": ["203.0.113.9"], "conditions": {"ready": true}},
        ],
        "ports": [{"name": "xds", "port": 8001, "protocol": "TCP"}],
    });
    scene.admin().apply_value(&slice).await.unwrap();
    let brief = Policy { converge: Duration::from_secs(4), ..revert() };
    scene.shifted("shop", brief, &json!("baking")).await;
    scene.lease("shop", CLIENT, LONG).await;
    let route = scene.route("shop").await;
    let told = scene.until_told(&route, "ShiftIncomplete").await;
    assert!(told.contains("not known to be live"), "{told}");
    scene.until_released("shop").await;
    assert_eq!(weights(&scene.route("shop").await), [Some(100), Some(0)]);
    assert_eq!((scene.writes("one", "shop"), count(&one, "incomplete").await), (2, Some(1.0)));

    // The follower neither writes nor looks.
    let follower = scene.place.audit("two");
    assert_eq!((scene.writes("two", "shop"), looks(&scene, "two")), (0, 0));
    assert_eq!(follower.filter(|r| r.resource == "ingressroutes" && r.verb == "get").requests, []);

    // It goes on where the leader ended, once it leads.
    scene.admin().delete(&scene.admin().path(&slice).await.unwrap()).await.unwrap();
    one.controller.shutdown().await;
    scene.lease("shop", CLIENT, LONG).await;
    scene.until("shop", "it is rolled back", |p| matches!(p, Phase::RolledBack(_))).await;
    // It is counted after that, and before the Lease is let go.
    scene.until_released("shop").await;
    assert_eq!(count(&two, "back").await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_has_its_shift_again() {
    let Some(scene) = Scene::new("deadman-back").await else { return };
    // Without an Envoy nothing is known to be live, so the deadman waits.
    let stage = scene.controller("contour").await;
    scene.shifted("shop", revert(), &json!("baking")).await;
    scene.lease("shop", CLIENT, LONG).await;
    let begun = eventually("the weights are back", async || {
        let route = scene.route("shop").await;
        (weights(&route) == [Some(100), Some(0)]).then_some(route)
    })
    .await;
    let (live, _) = sent::read(&begun).unwrap();
    let holder = Holder { name: Note::new("back@home"), until: Timestamp::from_unix(i64::MAX) };
    let now = Timestamp::from_unix(0);
    scene.lease("shop", "back@home", Duration::ZERO).await;
    let (_, actions) = Machine::resume(holder, &live, Command::Abort, now).unwrap();
    let patch = sent::patch(&begun, written(&actions)).unwrap();
    patched(&scene, "shop", &patch).await.unwrap();
    let writes = scene.writes("contour", "shop");
    eventually("the deadman lets go", async || {
        (count(&stage, "moot").await == Some(1.0)).then_some(())
    })
    .await;
    let after = scene.route("shop").await;
    assert!(matches!(state(&after).progress.phase, Phase::Aborted(_)));
    assert_eq!(scene.holder("shop").await, "back@home");
    assert_eq!(scene.writes("contour", "shop"), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_is_deleted_or_changed_meanwhile_is_no_longer_driven() {
    let Some(scene) = Scene::new("deadman-gone").await else { return };
    let stage = scene.controller("contour").await;
    let each = Duration::from_mins(10);
    let stepped = OnFailure::Stepped { percents: Vec::new(), each };
    scene.shifted("deleted", Policy { on_failure: stepped, ..revert() }, &json!("baking")).await;
    scene.lease("deleted", CLIENT, LONG).await;
    eventually("the weights are back", async || {
        let route = scene.route("deleted").await;
        (weights(&route) == [Some(100), Some(0)]).then_some(())
    })
    .await;
    scene.admin().delete(&path(scene.place.namespace, "deleted")).await.unwrap();
    eventually("the deadman lets go", async || {
        (count(&stage, "moot").await == Some(1.0)).then_some(())
    })
    .await;
    scene.until_released("deleted").await;

    // Somebody else's weights are not overwritten.
    let object = scene.shifted("changed", revert(), &json!("baking")).await;
    let seven = json!([
        { "op": "replace", "path": "/spec/routes/0/services/0/weight", "value": 7 },
    ]);
    patched(&scene, "changed", &seven).await.unwrap();
    scene.lease("changed", CLIENT, LONG).await;
    let told = scene.until_told(&object, "ShiftLeft").await;
    assert!(told.contains("blue:80 7"), "{told}");
    scene.until_released("changed").await;
    assert_eq!(weights(&scene.route("changed").await), [Some(7), Some(50)]);
    assert_eq!(scene.writes("contour", "changed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_leaves_when_it_dies_the_next_one_brings_to_an_end() {
    let Some(scene) = Scene::new("deadman-next").await else { return };
    // Without an Envoy nothing is known to be live, so the first waits.
    let first = scene.controller("one").await;
    scene.shifted("shop", revert(), &json!("baking")).await;
    scene.lease("shop", CLIENT, LONG).await;
    eventually("the weights are back", async || {
        let route = scene.route("shop").await;
        (weights(&route) == [Some(100), Some(0)]).then_some(())
    })
    .await;
    drop(first);
    let holder = scene.holder("shop").await;
    assert!(!holder.is_empty() && holder != CLIENT, "{holder}");
    // The Lease that it has left expires.
    scene.lease("shop", &holder, LONG).await;
    let second = scene.controller("two").await;
    let _envoy = second.envoy("envoy-1").await;
    let after = scene.until("shop", "it is back", |p| matches!(p, Phase::RolledBack(_))).await;
    assert_eq!(weights(&after), [Some(100), Some(0)]);
    scene.until_released("shop").await;
    assert_eq!(count(&second, "back").await, Some(1.0));
}

/// A controller that may do what a Role without shifts grants, and something with Leases.
async fn limited(scene: &Scene, verbs: &[&str]) -> KubernetesStage {
    let namespace = scene.place.namespace;
    let kubeconfig = scene.place.server.service_account(namespace, "contour").await;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"namespace": namespace, "name": "limited"},
        "rules": [{
            "apiGroups": ["", "contour.heptio.com", "discovery.k8s.io"],
            "resources": [
                "services", "endpointslices", "secrets", "ingressroutes", "ingressroutes/status",
                "tlscertificatedelegations",
            ],
            "verbs": ["*"],
        }, {
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs,
        }],
    });
    scene.admin().apply_value(&role).await.unwrap();
    scene.place.bind("contour", "Role", "limited").await;
    let mut settings = scene.place.settings(kubeconfig);
    settings.deadman = PERIOD;
    settings.election = None;
    KubernetesStage::start(settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_may_not_list_leases_asks_once_and_does_the_rest() {
    let Some(scene) = Scene::new("deadman-off").await else { return };
    scene.shifted("shop", revert(), &json!("baking")).await;
    scene.lease("shop", CLIENT, LONG).await;
    let stage = limited(&scene, &["create"]).await;
    let _envoy = stage.envoy("envoy-1").await;
    eventually("it has asked", async || (looks(&scene, "contour") == 1).then_some(())).await;
    tokio::time::sleep(5 * PERIOD).await;
    assert_eq!(looks(&scene, "contour"), 1);
    assert_eq!(weights(&scene.route("shop").await), [Some(50), Some(50)]);
    assert_eq!(scene.writes("contour", "shop"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_may_not_be_taken_is_tried_once_and_its_route_stays() {
    let Some(scene) = Scene::new("deadman-refused").await else { return };
    scene.shifted("shop", revert(), &json!("baking")).await;
    scene.lease("shop", CLIENT, LONG).await;
    let stage = limited(&scene, &["list"]).await;
    let _envoy = stage.envoy("envoy-1").await;
    let tries = || {
        let tried = scene.place.audit("contour");
        tried.filter(|r| r.resource == "leases" && r.verb == "patch").requests.len()
    };
    eventually("it has tried", async || (tries() == 1).then_some(())).await;
    let before = looks(&scene, "contour");
    eventually("it has looked again", async || {
        (looks(&scene, "contour") >= before + 3).then_some(())
    })
    .await;
    assert_eq!(tries(), 1);
    assert_eq!(scene.holder("shop").await, CLIENT);
    assert_eq!(weights(&scene.route("shop").await), [Some(50), Some(50)]);
}
