//! Only what differs is written.

use contour_tests::backend::Backend;
use contour_tests::envoy::eventually;
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{KubernetesStage, Status, path, serve, shop, status};
use serde_json::json;

const USER: &str = "contour";

/// A controller in a Namespace with the IngressRoutes `a`, `b` and `other`, all programmed.
struct Scene {
    place: Place,
    stage: KubernetesStage,
    _backends: [Backend; 2],
    moves: usize,
}

impl Scene {
    async fn new(namespace: &'static str) -> Option<Self> {
        let place = Place::new(namespace).await?;
        let backends = [Backend::http("blue").await, Backend::http("green").await];
        serve(&place.admin, namespace, &[&backends[0], &backends[1]]).await;
        for name in ["a", "b", "other"] {
            let route = shop(namespace, name, &format!("{name}.{namespace}.test"), &[("blue", 1)]);
            place.admin.apply_value(&route).await.unwrap();
        }
        let stage = Self::start(&place).await;
        Some(Self { place, stage, _backends: backends, moves: 0 })
    }

    async fn start(place: &Place) -> KubernetesStage {
        let mut settings = place.settings(place.user(USER).await);
        settings.election = None;
        KubernetesStage::start(settings).await
    }

    async fn programmed(&self, name: &str) {
        let path = path(self.place.namespace, name);
        status(&self.place.admin, &path, "it is programmed", Status::is_programmed).await;
    }

    /// Changes another object and waits until its status says so: what was due before is done.
    async fn other(&mut self) {
        let namespace = self.place.namespace;
        self.moves += 1;
        let service = if self.moves % 2 == 1 { "green" } else { "blue" };
        let host = format!("other.{namespace}.test");
        let route = shop(namespace, "other", &host, &[(service, 1)]);
        self.place.admin.apply_value(&route).await.unwrap();
        self.programmed("other").await;
    }

    /// Writes of the controller about an object, by its name.
    fn writes(&self, name: &str) -> usize {
        self.place.audit(USER).filter(|r| r.is_write() && r.name == name).requests.len()
    }

    fn all_writes(&self) -> usize {
        self.place.audit(USER).writes()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_written_when_it_differs_and_never_otherwise() {
    let Some(mut scene) = Scene::new("writes").await else { return };
    let envoy = scene.stage.envoy("envoy-1").await;
    for name in ["a", "b", "other"] {
        scene.programmed(name).await;
    }
    let settled = [scene.writes("a"), scene.writes("b")];
    assert!(settled.iter().all(|writes| (1..=2).contains(writes)), "{settled:?}");

    // An Envoy that comes, and one that goes.
    let guest = scene.stage.envoy("guest").await;
    scene.other().await;
    drop(guest);
    eventually("it is gone", async || (scene.stage.controller.envoys().len() == 1).then_some(()))
        .await;
    scene.other().await;
    assert_eq!([scene.writes("a"), scene.writes("b")], settled);

    // A controller that starts anew, and an Envoy that finds it.
    drop(envoy);
    drop(std::mem::replace(&mut scene.stage, Scene::start(&scene.place).await));
    let _envoy = scene.stage.envoy("envoy-1").await;
    scene.other().await;
    eventually("everything was looked at", async || {
        let waiting = scene.stage.metric("contour_status_waiting").await?;
        (waiting == 0.0).then_some(())
    })
    .await;
    assert_eq!([scene.writes("a"), scene.writes("b")], settled);

    // Nothing else was written: no Event, no Lease.
    let others = scene.writes("other");
    assert_eq!(scene.all_writes(), settled.iter().sum::<usize>() + others);
    assert!(others <= 2 * (1 + 3), "{others}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_writes_into_a_status_is_mended_and_nobody_fights() {
    let Some(mut scene) = Scene::new("vandal").await else { return };
    let _envoy = scene.stage.envoy("envoy-1").await;
    for name in ["a", "b", "other"] {
        scene.programmed(name).await;
    }
    let settled = scene.writes("a");
    let object = path(scene.place.namespace, "a");
    let of_status = format!("{object}/status");
    let described = async |scene: &Scene| {
        let there = scene.place.admin.get(&object).await.unwrap();
        there["status"]["description"].as_str().unwrap_or_default().to_owned()
    };
    let right = described(&scene).await;

    let vandal = json!({"status": {"description": "vandal"}});
    scene.place.admin.merge(&of_status, &vandal).await.unwrap();
    eventually("it is mended", async || (described(&scene).await == right).then_some(())).await;
    scene.other().await;
    assert_eq!(scene.writes("a"), settled + 1);

    // Again and again: no more writes than there were edits.
    for edit in 0..10 {
        let vandal = json!({"status": {"description": format!("vandal {edit}")}});
        scene.place.admin.merge(&of_status, &vandal).await.unwrap();
    }
    eventually("it is mended", async || (described(&scene).await == right).then_some(())).await;
    scene.other().await;
    let after = scene.writes("a");
    assert!(after > settled + 1 && after <= settled + 11, "{after} of {settled}");

    // What another writer adds of its own stays, and is no reason to write.
    let now = "2026-01-01T00:00:00Z";
    let foreign = json!({
        "apiVersion": "contour.heptio.com/v1beta1", "kind": "IngressRoute",
        "metadata": {"namespace": scene.place.namespace, "name": "a"},
        "status": {"conditions": [{
            "type": "Foreign", "status": "True", "reason": "Other", "message": "of another writer",
            "lastTransitionTime": now,
        }]},
    });
    let apply = format!("{of_status}?fieldManager=foreign");
    let request = http::Request::patch(&apply)
        .header("content-type", "application/apply-patch+yaml")
        .body(foreign.to_string().into_bytes())
        .unwrap();
    scene.place.admin.client().request_text(request).await.unwrap();
    scene.other().await;
    drop(std::mem::replace(&mut scene.stage, Scene::start(&scene.place).await));
    let _envoy = scene.stage.envoy("envoy-1").await;
    scene.other().await;
    assert_eq!(scene.writes("a"), after);
    let there = scene.place.admin.get(&object).await.unwrap();
    let conditions = there["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["type"] == "Foreign"), "{conditions:?}");
    assert!(conditions.iter().any(|c| c["type"] == "Programmed"), "{conditions:?}");
}
