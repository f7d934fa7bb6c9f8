use contour_core::manifest::{self, Limits};
use contour_core::pipeline::Options;
use contour_core::shift::percent::Percent;
use contour_core::xds::{ResourceKey, ResourceType, Version};
use proptest::prelude::*;

use super::*;

const HOLD: Duration = Duration::from_mins(1);

fn rule(percent: u16) -> Shrink {
    Shrink { share: Percent::whole(percent).unwrap(), hold: HOLD }
}

fn applied(text: &str) -> Change {
    let manifest = manifest::read("test.yaml", text, Limits::default());
    let document = manifest.documents.into_iter().next().unwrap();
    Change::Apply(Box::new(document.object.unwrap()), Arc::from([]))
}

/// A root named `name` for a host.
fn route(name: &str, host: &str) -> Change {
    applied(&format!(
        "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata: {{namespace: demo, name: {name}}}\n\
         spec:\n  virtualhost: {{fqdn: {host}.test}}\n  routes:\n  - match: /\n    services: [{{name: app, port: 80}}]\n"
    ))
}

fn service(port: u16) -> Change {
    applied(&format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{namespace: demo, name: app}}\nspec: {{ports: [{{port: {port}}}]}}\n"
    ))
}

fn gone(kind: Kind, name: &str) -> Change {
    Change::Delete(ObjectRef::new(kind, "demo", name))
}

fn gone_routes(numbers: impl Iterator<Item = usize>) -> Vec<Change> {
    numbers.map(|number| gone(Kind::IngressRoute, &format!("r{number}"))).collect()
}

/// A guard before a world.
struct Lab {
    guard: Guard,
    pipeline: Pipeline,
    now: Instant,
}

impl Lab {
    /// With roots `r0`, `r1`, … for hosts `h0`, `h1`, …, and a Service.
    fn new(rule: Option<Shrink>, roots: usize) -> Self {
        let mut pipeline = Pipeline::new(Options::default());
        let mut world: Vec<_> =
            (0..roots).map(|number| route(&format!("r{number}"), &format!("h{number}"))).collect();
        world.push(service(80));
        drop(pipeline.apply(world));
        Self { guard: Guard::new(rule), pipeline, now: Instant::now() }
    }

    fn tell(&mut self, changes: Vec<Change>) -> bool {
        let sifted = self.guard.sift(changes, &self.pipeline, self.now);
        drop(self.pipeline.apply(sifted.changes));
        sifted.differs
    }

    /// Passes time; says whether what was held back was let go.
    fn pass(&mut self, time: Duration) -> bool {
        self.now += time;
        let due = self.guard.pass(self.now);
        let is_due = !due.is_empty();
        drop(self.pipeline.apply(due));
        is_due
    }

    fn hosts(&self) -> usize {
        let is_scope = |kind| kind == ResourceType::ScopedRoute;
        self.pipeline.resources().filter(|resource| is_scope(resource.key.kind)).count()
    }

    fn message(&self) -> String {
        self.guard.findings().into_iter().map(|finding| finding.message).collect()
    }
}

#[test]
fn too_many_removals_wait_for_a_minute_and_then_go() {
    let mut lab = Lab::new(Some(rule(50)), 20);
    let mut changes = gone_routes(0..11);
    changes.push(gone(Kind::Service, "app"));
    changes.push(route("new", "new"));
    assert!(lab.tell(changes));
    assert_eq!((lab.hosts(), lab.guard.len()), (21, 12));
    assert!(lab.pipeline.has(&ObjectRef::new(Kind::Service, "demo", "app")));
    assert_eq!(
        lab.message(),
        "11 of 20 hosts would be gone at once, which is more than 50%: h0.test, h1.test, h10.test, 8 more; \
         they are kept for 1m, unless the source has them again before"
    );
    assert!(!lab.pass(HOLD / 2));
    assert_eq!(lab.hosts(), 21);
    assert!(lab.pass(HOLD / 2));
    assert_eq!((lab.hosts(), lab.guard.len(), lab.guard.deadline()), (10, 0, None));
    assert_eq!(lab.message(), "");
    assert!(!lab.pass(HOLD));
}

#[test]
fn what_is_few_or_a_small_share_goes_at_once() {
    // Roots, how many of them go, the share, and whether they wait.
    let table = [
        (9, 9, 50, false),
        (10, 10, 50, true),
        (20, 10, 50, false),
        (20, 11, 50, true),
        (100, 50, 50, false),
        (100, 51, 50, true),
        (100, 10, 9, true),
        (100, 9, 1, false),
        (100, 100, 100, false),
    ];
    for (roots, going, share, waits) in table {
        let mut lab = Lab::new(Some(rule(share)), roots);
        assert_eq!(lab.tell(gone_routes(0..going)), waits, "{going} of {roots} by {share}%");
        let left = if waits { roots } else { roots - going };
        assert_eq!(lab.hosts(), left, "{going} of {roots} by {share}%");
    }
    let mut off = Lab::new(None, 100);
    assert!(!off.tell(gone_routes(0..100)));
    assert_eq!(off.hosts(), 0);
}

#[test]
fn what_comes_back_in_time_was_never_gone() {
    let mut lab = Lab::new(Some(rule(50)), 20);
    lab.tell(gone_routes(0..20));
    let before = lab.guard.deadline();
    lab.pass(HOLD / 2);
    // Half of it is there again, which makes the rest a share that may go.
    let back: Vec<_> = (0..9).map(|n| route(&format!("r{n}"), &format!("h{n}"))).collect();
    assert!(lab.tell(back));
    assert_eq!((lab.hosts(), lab.guard.len()), (20, 11));
    assert_eq!(lab.guard.deadline(), before);
    assert!(lab.tell(vec![route("r9", "h9")]));
    assert_eq!((lab.hosts(), lab.guard.len()), (10, 0));
    assert_eq!(lab.guard.deadline(), None);
}

#[test]
fn additions_and_changes_go_through_meanwhile() {
    let mut lab = Lab::new(Some(rule(50)), 20);
    lab.tell(gone_routes(0..20));
    lab.tell(vec![
        route("new", "new"),
        service(81),
        Change::Clock(contour_core::api::Timestamp::from_unix(7)),
    ]);
    assert_eq!(lab.hosts(), 21);
    let codes = lab.pipeline.status(&ObjectRef::new(Kind::IngressRoute, "demo", "r0"));
    assert_eq!(codes.unwrap().diagnostics[0].code, Code::ServicePortNotFound);
    // A removal among them is one more that waits.
    lab.tell(vec![gone(Kind::Service, "app")]);
    assert_eq!(lab.guard.len(), 21);
}

#[test]
fn a_host_that_moves_to_another_object_is_not_lost() {
    let mut lab = Lab::new(Some(rule(50)), 20);
    let mut changes = gone_routes(0..20);
    changes.extend((0..20).map(|n| route(&format!("moved{n}"), &format!("h{n}"))));
    assert!(!lab.tell(changes));
    assert_eq!((lab.hosts(), lab.guard.len()), (20, 0));
    // With others that go, those that moved have moved all the same.
    let mut changes: Vec<_> =
        (0..20).map(|n| gone(Kind::IngressRoute, &format!("moved{n}"))).collect();
    changes.extend((0..5).map(|n| route(&format!("again{n}"), &format!("h{n}"))));
    assert!(lab.tell(changes));
    assert_eq!((lab.hosts(), lab.guard.len()), (20, 15));
}

#[test]
fn an_object_that_gives_up_its_host_counts_as_one_that_is_gone() {
    let mut lab = Lab::new(Some(rule(50)), 20);
    let renamed = (0..20).map(|n| route(&format!("r{n}"), &format!("x{n}")));
    assert!(lab.tell(renamed.collect()));
    assert_eq!((lab.hosts(), lab.guard.len()), (20, 20));
    assert!(lab.pass(HOLD));
    assert_eq!(lab.hosts(), 20);
    assert_eq!(lab.pipeline.claimants(&Fqdn::parse("h0.test").unwrap()).count(), 0);
    assert_eq!(lab.pipeline.claimants(&Fqdn::parse("x0.test").unwrap()).count(), 1);
}

#[test]
fn an_object_that_cannot_be_decoded_keeps_its_host_and_is_there() {
    let mut lab = Lab::new(Some(rule(50)), 20);
    lab.tell(gone_routes(0..20));
    let undecodable = |n| {
        Change::Undecodable(
            ObjectRef::new(Kind::IngressRoute, "demo", format!("r{n}")),
            Arc::from([]),
        )
    };
    assert!(lab.tell((0..20).map(undecodable).collect()));
    assert_eq!((lab.hosts(), lab.guard.len()), (20, 0));
}

/// A step of a source: each pair sets a root to a host, or deletes it.
fn step() -> impl Strategy<Value = (Vec<(usize, Option<usize>)>, u64)> {
    let change = (0_usize..24, prop::option::weighted(0.6, 0_usize..24));
    let wipe = (0_usize..24, 1_usize..24)
        .prop_map(|(from, count)| (from..from + count).map(|n| (n % 24, None)).collect());
    let changes = prop_oneof![3 => prop::collection::vec(change, 0..6), 1 => wipe];
    (changes, 0_u64..40)
}

fn versions(pipeline: &Pipeline) -> BTreeMap<ResourceKey, Version> {
    pipeline.resources().map(|resource| (resource.key.clone(), resource.version)).collect()
}

fn claimed(pipeline: &Pipeline) -> BTreeSet<usize> {
    let claims = |n: &usize| {
        let host = Fqdn::parse(&format!("h{n}.test")).unwrap();
        pipeline.claimants(&host).next().is_some()
    };
    (0..24).filter(claims).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// No step takes more than the share away unless the time has passed, nothing waits for longer
    /// than that, and in the end the world is what it would be without a guard.
    #[test]
    fn whatever_a_source_does_the_guard_only_delays(steps in prop::collection::vec(step(), 1..20)) {
        let mut lab = Lab::new(Some(rule(50)), 24);
        let mut plain = Lab::new(None, 24);
        let mut waits_since = None;
        for (changes, seconds) in steps {
            let changes: Vec<_> = changes
                .into_iter()
                .map(|(root, host)| match host {
                    Some(host) => route(&format!("r{root}"), &format!("h{host}")),
                    None => gone(Kind::IngressRoute, &format!("r{root}")),
                })
                .collect();
            let before = claimed(&lab.pipeline);
            lab.tell(changes.clone());
            plain.tell(changes);
            let after = claimed(&lab.pipeline);
            let lost = before.difference(&after).count();
            prop_assert!(lost < Shrink::FEWEST || lost * 2 <= before.len(), "{lost} of {}", before.len());
            // What the source has is served, but for objects that would give up another host.
            for host in claimed(&plain.pipeline).difference(&after) {
                let host = Fqdn::parse(&format!("h{host}.test")).unwrap();
                let mut names = plain.pipeline.claimants(&host);
                prop_assert!(names.all(|name| lab.guard.holds(&name.of(Kind::IngressRoute))));
            }
            if lab.guard.len() == 0 {
                waits_since = None;
                prop_assert_eq!(versions(&lab.pipeline), versions(&plain.pipeline));
            } else {
                let since = *waits_since.get_or_insert(lab.now);
                prop_assert!(lab.now < since + HOLD);
            }
            lab.pass(Duration::from_secs(seconds));
            if lab.guard.len() == 0 {
                waits_since = None;
            }
        }
        lab.pass(HOLD);
        prop_assert_eq!(lab.guard.len(), 0);
        prop_assert_eq!(versions(&lab.pipeline), versions(&plain.pipeline));
    }
}
