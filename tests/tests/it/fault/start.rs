//! The controller starts while a part of its source cannot be read, and Envoys hold what it said.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contour::config::{Config, Safeguards};
use contour::event::ControllerEvent;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::diagnostic::Code;
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::{Envoy, eventually};
use contour_tests::load::{Load, Tally};
use contour_tests::stage::{heard, options, until_backend, until_status};
use contour_tests::worlds::{cases, seed};
use serde_json::json;
use tempfile::TempDir;

use super::host;
use super::restart::{Process, connected, free_port, impatient, service};

/// Hosts in the file that becomes unreadable.
pub(super) const HOSTS: usize = 20;

pub(super) fn hosts() -> impl Iterator<Item = String> {
    (0..HOSTS).map(|number| format!("h{number}"))
}

/// The hosts as documents of YAML.
fn yaml() -> String {
    let documents: Vec<_> = hosts().map(|name| host(&name, "blue")).collect();
    documents.join("---\n")
}

/// Hosts as a list in JSON, which is never whole when it is cut off.
pub(super) fn json_of(hosts: impl Iterator<Item = String>) -> String {
    let items = hosts.map(|name| {
        json!({
            "apiVersion": "contour.heptio.com/v1beta1",
            "kind": "IngressRoute",
            "metadata": {"namespace": "demo", "name": name},
            "spec": {
                "virtualhost": {"fqdn": format!("{name}.test")},
                "routes": [{"match": "/", "services": [{"name": "blue", "port": 80}]}],
            },
        })
    });
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()}).to_string()
}

pub(super) fn json() -> String {
    json_of(hosts())
}

/// A Service and its endpoint in JSON.
fn json_service(name: &str, address: SocketAddr) -> String {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "demo", "name": name},
        "spec": {"ports": [{"port": 80}]},
    });
    let labels = json!({"kubernetes.io/service-name": name});
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "demo", "name": name, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address.ip()]}],
        "ports": [{"name": "", "port": address.port()}],
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [service, slice]}).to_string()
}

/// A directory with two Services, many hosts in a file of its own, and another host.
pub(super) struct World {
    pub(super) dir: TempDir,
    port: u16,
    backends: [Backend; 2],
}

impl World {
    pub(super) async fn new(many: (&str, &str)) -> Self {
        let backends = [Backend::http("blue").await, Backend::http("green").await];
        let [blue, green] = &backends;
        let services = [service("blue", blue.address), service("green", green.address)].concat();
        let dir = tempfile::tempdir().unwrap();
        let world = Self { dir, port: free_port(), backends };
        world.write("services.yaml", &services);
        world.write("other.yaml", &host("other", "blue"));
        world.write(many.0, many.1);
        world
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file aside and renames it into place.
    pub(super) fn write(&self, name: &str, text: &str) {
        let aside = self.path(".aside");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(aside, self.path(name)).unwrap();
    }

    /// A controller on the directory, in this process.
    pub(super) async fn controller(&self, safeguards: Safeguards) -> Controller {
        let mut config = Config::local(Source::Directory(self.dir.path().to_owned()));
        config.options = options();
        config.listen.xds.set_port(self.port);
        config.safeguards = safeguards;
        Controller::start(config, Hooks::default()).await.unwrap()
    }
}

/// An Envoy that answers for every host.
pub(super) async fn serving(world: &World) -> (Envoy, Target) {
    let envoy = Envoy::start(&impatient(world.port)).unwrap();
    let target = Target::plain(envoy.listener("ingress_http").await);
    for name in hosts().chain(["other".to_owned()]) {
        until_status(&target, &Ask::get(&format!("{name}.test"), "/"), 200).await;
    }
    (envoy, target)
}

pub(super) async fn assert_all_answer(target: &Target) {
    for name in hosts() {
        assert_eq!(target.get(&format!("{name}.test"), "/").await.unwrap().status, 200, "{name}");
    }
}

pub(super) async fn noticed(envoy: &Envoy) {
    eventually("Envoy has noticed", async || {
        (envoy.stat("control_plane.connected_state").await == Some(0)).then_some(())
    })
    .await;
}

pub(super) fn assert_unharmed(tally: &Tally) {
    assert!(tally.requests > 20, "{tally:?}");
    assert_eq!((tally.failures(), tally.broken), (0, 0), "{tally:?}");
}

/// The first so many bytes of a text, which is ASCII.
fn first(text: &str, bytes: usize) -> &str {
    text.get(..bytes).expect("there are so many")
}

/// Breaks a file, as things are broken in life.
fn break_file(path: &Path, how: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    match how {
        "cut off" => std::fs::write(path, first(&text, text.len() - 40)).unwrap(),
        "emptied" => std::fs::write(path, "").unwrap(),
        "not text" => std::fs::write(path, [text.as_bytes(), b"\xff"].concat()).unwrap(),
        "a link to nothing" => {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("nothing", path).unwrap();
        }
        "a link to itself" => {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(path, path).unwrap();
        }
        _ => panic!("{how}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_starts_with_a_file_that_cannot_be_read_takes_no_host_out_of_an_envoy() {
    let whole = [("many.json", json()), ("many.yaml", yaml())];
    let table = [
        (&whole[0], "cut off"),
        (&whole[0], "emptied"),
        (&whole[0], "not text"),
        (&whole[0], "a link to nothing"),
        (&whole[0], "a link to itself"),
        // What stands before the fault is in force, the rest is kept.
        (&whole[1], "cut off"),
    ];
    for ((file, text), how) in table {
        let whole = text;
        let world = World::new((file, whole)).await;
        let controller = Process::start(world.dir.path(), world.port);
        let (envoy, target) = serving(&world).await;
        let loads = ["h0.test", "h19.test"].map(|h| Load::start(&target, &Ask::get(h, "/"), 1));
        drop(controller);
        if *file == "many.yaml" {
            // Cut off in the middle, with a fault where the last line ends.
            let half = first(whole, whole.len() / 2);
            world.write(file, &format!("{half}\n  x: [\n"));
        } else {
            break_file(&world.path(file), how);
        }
        noticed(&envoy).await;
        // What was changed meanwhile elsewhere is taken up, and what is new.
        world.write("other.yaml", &host("other", "green"));
        world.write("added.yaml", &host("added", "green"));
        let _controller = Process::start(world.dir.path(), world.port);
        until_backend(&target, &Ask::get("other.test", "/"), "green").await;
        until_backend(&target, &Ask::get("added.test", "/"), "green").await;
        // What goes while it runs is gone.
        std::fs::remove_file(world.path("added.yaml")).unwrap();
        until_status(&target, &Ask::get("added.test", "/"), 404).await;
        assert_all_answer(&target).await;
        // A host that is left out when the file is whole again is gone, and the others are not.
        let without = whole.replace("h7.test", "h7.else.test");
        world.write(file, &without);
        until_status(&target, &Ask::get("h7.test", "/"), 404).await;
        until_status(&target, &Ask::get("h7.else.test", "/"), 200).await;
        for load in loads {
            load.more(10).await;
            assert_unharmed(&load.stop().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_starts_without_its_services_leaves_routes_as_they_are() {
    let world = World::new(("many.yaml", &yaml())).await;
    let services = std::fs::read_to_string(world.path("services.yaml")).unwrap();
    let controller = Process::start(world.dir.path(), world.port);
    let (envoy, target) = serving(&world).await;
    let load = Load::start(&target, &Ask::get("h3.test", "/"), 2);
    drop(controller);
    world.write("services.yaml", &format!("{}\n{{", first(&services, 10)));
    noticed(&envoy).await;
    let _controller = Process::start(world.dir.path(), world.port);
    // It has been taken up by the time that a new host is there, which can only answer 503.
    world.write("added.yaml", &host("added", "green"));
    until_status(&target, &Ask::get("added.test", "/"), 503).await;
    assert_all_answer(&target).await;
    // A route that is edited now would lead nowhere, so it waits.
    world.write("other.yaml", &host("other", "green"));
    world.write("mark.yaml", &host("mark", "green"));
    until_status(&target, &Ask::get("mark.test", "/"), 503).await;
    let reply = target.get("other.test", "/").await.unwrap();
    assert_eq!(reply.backend().as_deref(), Some("blue"));
    world.write("services.yaml", &services);
    for name in ["other", "added", "mark"] {
        until_backend(&target, &Ask::get(&format!("{name}.test"), "/"), "green").await;
    }
    load.more(10).await;
    assert_unharmed(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_has_passed_what_was_unread_is_removed_and_said_to_be() {
    let world = World::new(("many.json", &json())).await;
    let first = world.controller(Safeguards::default()).await;
    let (envoy, target) = serving(&world).await;
    first.shutdown().await;
    break_file(&world.path("many.json"), "cut off");
    noticed(&envoy).await;
    let soon = Safeguards { unread_hold: Duration::from_secs(3), shrink: None };
    let second = world.controller(soon).await;
    let mut events = second.events();
    let said = async |events: &mut _, words: &str| {
        heard(events, words, |event| {
            let ControllerEvent::SourceProblem { diagnostics } = event else {
                return None;
            };
            let found = diagnostics.iter().find(|d| d.code == Code::SourceIncomplete)?;
            (found.message.contains("many.json") && found.message.contains(words)).then_some(())
        })
        .await;
    };
    said(&mut events, "Envoys keep what they have of it for 3s at most").await;
    connected(&envoy).await;
    assert_all_answer(&target).await;
    said(&mut events, "what Envoys had of it is removed now").await;
    for name in hosts() {
        until_status(&target, &Ask::get(&format!("{name}.test"), "/"), 404).await;
    }
    world.write("many.json", &json());
    for name in hosts() {
        until_status(&target, &Ask::get(&format!("{name}.test"), "/"), 200).await;
    }
    second.shutdown().await;
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    /// A number below `bound` (splitmix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pause(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}

/// Writes a file again and again, as carelessly as programs do, until told to stop.
async fn scribble(path: std::path::PathBuf, text: String, mut dice: Dice, stop: Arc<AtomicBool>) {
    let aside = path.with_extension("aside");
    while !stop.load(Ordering::Relaxed) {
        match dice.below(4) {
            // In place, and left cut off for a while.
            0 | 1 => {
                let at = usize::try_from(dice.below(text.len() as u64)).unwrap();
                std::fs::write(&path, first(&text, at)).unwrap();
                tokio::time::sleep(dice.pause(900)).await;
                std::fs::write(&path, &text).unwrap();
            }
            // Deleted and made again.
            2 => {
                std::fs::remove_file(&path).unwrap();
                tokio::time::sleep(dice.pause(60)).await;
                std::fs::write(&path, &text).unwrap();
            }
            _ => {
                std::fs::write(&aside, &text).unwrap();
                std::fs::rename(&aside, &path).unwrap();
            }
        }
        tokio::time::sleep(dice.pause(400)).await;
    }
    std::fs::write(&path, &text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_at_any_moment_of_files_being_written_cost_no_request() {
    let world = World::new(("many.json", &json())).await;
    std::fs::remove_file(world.path("services.yaml")).unwrap();
    std::fs::remove_file(world.path("other.yaml")).unwrap();
    let blue = json_service("blue", world.backends[0].address);
    let other = json_of(std::iter::once("other".to_owned()));
    world.write("blue.json", &blue);
    world.write("other.json", &other);
    let mut controller = Process::start(world.dir.path(), world.port);
    let (envoy, target) = serving(&world).await;
    let stop = Arc::new(AtomicBool::new(false));
    let texts = [("many.json", json()), ("blue.json", blue), ("other.json", other.clone())];
    let writers: Vec<_> = (0..)
        .zip(texts)
        .map(|(number, (name, text))| {
            let dice = Dice(seed().wrapping_add(number));
            tokio::spawn(scribble(world.path(name), text, dice, Arc::clone(&stop)))
        })
        .collect();
    let asked = ["h0.test", "h11.test", "h19.test", "other.test"];
    let loads = asked.map(|name| Load::start(&target, &Ask::get(name, "/"), 1));
    let mut dice = Dice(seed().wrapping_add(100));
    for _ in 0..cases("CONTOUR_RESTARTS_WRITING", 10, 200) {
        drop(controller);
        tokio::time::sleep(dice.pause(200)).await;
        controller = Process::start(world.dir.path(), world.port);
        connected(&envoy).await;
        tokio::time::sleep(dice.pause(1_500)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    for load in loads {
        load.more(20).await;
        assert_unharmed(&load.stop().await);
    }
    assert_all_answer(&target).await;
    // It has not stopped taking up what changes.
    world.write("other.json", &other.replace("other.test", "another.test"));
    until_status(&target, &Ask::get("another.test", "/"), 200).await;
    until_status(&target, &Ask::get("other.test", "/"), 404).await;
    drop(controller);
}
