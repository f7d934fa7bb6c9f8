//! What holds for every world: tried on random ones.

#[path = "property/accepted.rs"]
mod accepted;
#[path = "property/interference.rs"]
mod interference;
#[path = "property/limits.rs"]
mod limits;
#[path = "property/oracle.rs"]
mod oracle;
#[path = "property/secrets.rs"]
mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use contour_core::api::Object;
use contour_core::name::ObjectRef;
use contour_core::pipeline::{Bind, ObjectStatus, Options, Outcome, Pipeline, TlsLayout};
use contour_core::xds::{Resource, ResourceKey};
use contour_tests::worlds;
use proptest::strategy::Strategy;
use proptest::test_runner::{TestCaseError, TestError};

/// All that a pipeline has made.
#[derive(Clone, Debug, Default, PartialEq)]
struct Made {
    resources: BTreeMap<ResourceKey, Arc<Resource>>,
    statuses: BTreeMap<ObjectRef, Arc<ObjectStatus>>,
}

impl Made {
    fn of(pipeline: &Pipeline) -> Self {
        Self {
            resources: pipeline.resources().map(|r| (r.key.clone(), Arc::clone(r))).collect(),
            statuses: pipeline.statuses().map(|(o, s)| (o.clone(), Arc::clone(s))).collect(),
        }
    }

    /// What a world leads to from nothing.
    fn from_world(options: &Options, objects: &[Object]) -> Self {
        let mut pipeline = Pipeline::new(options.clone());
        drop(pipeline.apply(worlds::applications(objects)));
        Self::of(&pipeline)
    }

    /// Follows an outcome, which must tell of differences alone.
    fn follow(&mut self, outcome: Outcome) -> Result<(), String> {
        for (key, resource) in outcome.resources {
            let before = self.resources.get(&key);
            if before == resource.as_ref() {
                return Err(format!("{key} is told again as it was"));
            }
            match resource {
                Some(resource) => drop(self.resources.insert(key, resource)),
                None => drop(self.resources.remove(&key)),
            }
        }
        for (object, status) in outcome.statuses {
            if self.statuses.get(&object) == status.as_ref() {
                return Err(format!("the status of {object} is told again as it was"));
            }
            match status {
                Some(status) => drop(self.statuses.insert(object, status)),
                None => drop(self.statuses.remove(&object)),
            }
        }
        Ok(())
    }

    /// Says in what `other`, which should be the same, differs.
    fn same(&self, other: &Self, what: &str) -> Result<(), String> {
        same(&self.resources, &other.resources, what)?;
        same(&self.statuses, &other.statuses, what)
    }
}

fn same<K: Ord + fmt::Debug, V: PartialEq + fmt::Debug>(
    left: &BTreeMap<K, V>,
    right: &BTreeMap<K, V>,
    what: &str,
) -> Result<(), String> {
    for key in left.keys().chain(right.keys()) {
        let (one, other) = (left.get(key), right.get(key));
        if one != other {
            return Err(format!("{what}: {key:?}:\n  {one:?}\n  {other:?}"));
        }
    }
    Ok(())
}

/// Settings as a world might have them; they take turns.
fn options(number: u64) -> Options {
    let mut options = Options {
        allow_loopback_endpoints: number % 5 == 1,
        disable_permit_insecure: number % 7 == 1,
        use_proxy_protocol: number % 11 == 1,
        prefetch_certificates: number % 4 != 1,
        ..Options::default()
    };
    if number % 3 == 1 {
        options.tls_layout = TlsLayout::PerHost;
    }
    if number % 13 == 1 {
        options.root_namespaces = vec!["alpha".into(), "gamma".into()];
    }
    if number % 17 == 1 {
        options.ingress_classes = vec!["other".into()];
    }
    if number % 19 == 1 {
        options.stats = None;
        options.http_access_log = "".into();
        options.https_access_log = "".into();
        options.http = Bind { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 80 };
    }
    options
}

/// Tries `cases` values of a strategy on two threads. A failure shows the smallest value found
/// and the seed.
fn for_all<S>(
    strategy: impl Fn() -> S + Sync,
    cases: u64,
    check: impl Fn(S::Value) -> Result<(), String> + Sync,
) where
    S: Strategy,
{
    let seed = worlds::seed();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (strategy, check) = (&strategy, &check);
            scope.spawn(move || {
                let mut runner = worlds::runner(seed.wrapping_add(half), cases.div_ceil(2));
                let result =
                    runner.run(&strategy(), |value| check(value).map_err(TestCaseError::fail));
                match result {
                    Ok(()) => (),
                    Err(TestError::Fail(reason, value)) => {
                        panic!("CONTOUR_SEED={seed}: {reason}\n{}", shortened(&value))
                    }
                    Err(TestError::Abort(reason)) => panic!("CONTOUR_SEED={seed}: {reason}"),
                }
            });
        }
    });
}

/// A value as text, long lines cut.
fn shortened(value: &impl fmt::Debug) -> String {
    let text = format!("{value:#?}");
    let lines = text.lines().map(|line| match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", line.split_at(end).0),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
