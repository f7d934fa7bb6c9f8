//! The API server refuses, is slow or falls silent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use contour::config::Kubernetes;
use contour::event::ControllerEvent;
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{Envoy, eventually};
use contour_tests::kubernetes::faults::{Class, Fault, Proxy};
use contour_tests::kubernetes::place::Place;
use contour_tests::kubernetes::stage::{KubernetesStage, Status, http, path, serve, shop, status};
use contour_tests::load::Load;
use contour_tests::stage::until_backend;

const READS: [Class; 3] = [Class::List, Class::Stream, Class::Watch];
const ROUTES: &str = "ingressroutes";

/// A controller that reads the API server through a proxy, and an Envoy whose host `shop.test`
/// `blue` answers.
struct Scene {
    place: Place,
    proxy: Proxy,
    stage: KubernetesStage,
    envoy: Envoy,
    target: Target,
    _backends: [Backend; 2],
}

fn ask() -> Ask {
    Ask::get("shop.test", "/")
}

impl Scene {
    /// How many lists there have been of what is watched. Leases are not: the deadman of shifts looks
    /// at them every 15 seconds, whatever happens.
    fn lists(&self) -> BTreeMap<String, usize> {
        let mut lists = self.proxy.lists();
        lists.remove("leases");
        lists
    }

    async fn new(namespace: &'static str, change: impl FnOnce(&mut Kubernetes)) -> Option<Self> {
        let place = Place::new(namespace).await?;
        let backends = [Backend::http("blue").await, Backend::http("green").await];
        serve(&place.admin, namespace, &[&backends[0], &backends[1]]).await;
        let route = shop(namespace, "shop", "shop.test", &[("blue", 1)]);
        place.admin.apply_value(&route).await.unwrap();
        let proxy = Proxy::start(&place.user("contour").await).await;
        let mut settings = place.settings(proxy.kubeconfig());
        change(&mut settings);
        let stage = KubernetesStage::start(settings).await;
        let envoy = stage.envoy("envoy-1").await;
        let target = http(&envoy).await;
        until_backend(&target, &ask(), "blue").await;
        let route = path(namespace, "shop");
        status(&place.admin, &route, "it is programmed", Status::is_programmed).await;
        Some(Self { place, proxy, stage, envoy, target, _backends: backends })
    }

    /// Changes the host to another Service, and waits until Envoy does so.
    async fn move_to(&self, service: &str) {
        let route = shop(self.place.namespace, "shop", "shop.test", &[(service, 1)]);
        self.place.admin.apply_value(&route).await.unwrap();
        until_backend(&self.target, &ask(), service).await;
    }

    /// Waits until there have been so many requests to watch routes from a version on.
    async fn watches(&self, count: usize) {
        eventually(&format!("{count} watches of routes"), async || {
            (self.proxy.count(Class::Watch, ROUTES) >= count).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_version_leads_to_one_new_list_and_no_word_to_envoys() {
    let Some(scene) = Scene::new("expired", |_| {}).await else { return };
    let load = Load::start(&scene.target, &ask(), 1);
    let received = scene.envoy.received().await;
    let mut events = scene.stage.controller.events();
    assert!(received.len() >= 4, "{received:?}");
    for round in 0..2 {
        let before = scene.lists();
        let watching = "contour_kubernetes_watching{kind=\"IngressRoute\"}";
        if round == 0 {
            // At the beginning of a watch.
            scene.proxy.fail(&[Class::Watch], Some(ROUTES), Fault::Refused(410), 1);
            scene.proxy.cut();
        } else {
            // In the middle of one.
            scene.proxy.spoil(ROUTES, 410);
        }
        eventually("routes are listed anew", async || {
            (scene.lists()[ROUTES] > before[ROUTES]).then_some(())
        })
        .await;
        eventually("routes are watched", async || {
            (scene.stage.metric(watching).await == Some(1.0)).then_some(())
        })
        .await;
        assert_eq!(scene.envoy.received().await, received);
        while let Ok(event) = events.try_recv() {
            // What an object's status says is no news to Envoys.
            if let ControllerEvent::Applied { resources, units, .. } = event {
                assert_eq!((resources, units), (0, 0));
            }
        }
        let mut expected = before.clone();
        *expected.get_mut(ROUTES).unwrap() += 1;
        assert_eq!(scene.lists(), expected);
    }
    // The new list counts: changes and deletions arrive.
    scene.move_to("green").await;
    // Nothing had been lost.
    assert_eq!(scene.stage.metric("contour_kubernetes_healed_objects_total").await, Some(0.0));
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_while_a_version_expired_is_gone() {
    let Some(scene) = Scene::new("deleted", |_| {}).await else { return };
    let namespace = scene.place.namespace;
    let other = shop(namespace, "other", "other.test", &[("blue", 1)]);
    scene.place.admin.apply_value(&other).await.unwrap();
    until_backend(&scene.target, &Ask::get("other.test", "/"), "blue").await;
    let before = scene.proxy.count(Class::Watch, ROUTES);
    scene.proxy.fail(&[Class::Watch], Some(ROUTES), Fault::Refused(500), 3);
    scene.proxy.fail(&[Class::Watch], Some(ROUTES), Fault::Refused(410), 1);
    scene.proxy.cut();
    scene.watches(before + 1).await;
    let path = scene.place.admin.path(&other).await.unwrap();
    scene.place.admin.delete(&path).await.unwrap();
    contour_tests::stage::until_status(&scene.target, &Ask::get("other.test", "/"), 404).await;
    assert_eq!(scene.target.ask(&ask()).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_be_asked_later_is_honoured() {
    let Some(scene) = Scene::new("later", |_| {}).await else { return };
    let before = scene.proxy.asked().len();
    let pause = 1;
    scene.proxy.fail(&READS, Some(ROUTES), Fault::Later(429, pause), 3);
    scene.proxy.cut();
    scene.move_to("green").await;
    let asked = scene.proxy.asked();
    let routes: Vec<Instant> = asked[before..]
        .iter()
        .filter(|asked| asked.resource == ROUTES && READS.contains(&asked.class))
        .map(|asked| asked.at)
        .collect();
    assert_eq!(routes.len(), 4, "{:?}", &asked[before..]);
    for pair in routes.windows(2) {
        let gap = pair[1].duration_since(pair[0]);
        assert!(gap >= Duration::from_secs(pause), "asked again after {gap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_fails_or_is_slow_is_asked_one_thing_at_a_time() {
    let Some(scene) = Scene::new("slow", |_| {}).await else { return };
    let load = Load::start(&scene.target, &ask(), 1);
    let lists = scene.lists();
    // Everything fails for a while, writes too.
    scene.proxy.fail(&[], None, Fault::Refused(500), 40);
    scene.proxy.cut();
    scene.move_to("green").await;
    scene.proxy.heal();
    // A failure is no reason for a list.
    assert_eq!(scene.lists(), lists);

    scene.proxy.fail(&[], None, Fault::Slow(Duration::from_millis(700)), usize::MAX);
    scene.proxy.cut();
    scene.move_to("blue").await;
    scene.proxy.cut();
    scene.move_to("green").await;
    assert_eq!(scene.lists(), lists);
    // Services are read twice: objects, and the addresses of one.
    assert!(scene.proxy.most_at_once() <= 2, "{}", scene.proxy.most_at_once());
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_falls_silent_is_replaced() {
    let limit = |settings: &mut Kubernetes| {
        settings.watch.limits.silence = Duration::from_secs(2);
    };
    let Some(scene) = Scene::new("silent", limit).await else { return };
    let lists = scene.lists();
    let load = Load::start(&scene.target, &ask(), 1);
    scene.proxy.hush();
    scene.move_to("green").await;
    assert_eq!(scene.lists(), lists);
    let tally = load.stop().await;
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}
