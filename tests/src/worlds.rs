//! Random worlds: objects from small pools of names, so that references often resolve and often
//! dangle, with a hostile value here and there.

mod kubernetes;
mod pools;
mod routes;

use std::collections::BTreeMap;
use std::sync::Arc;

use contour_core::api::{Object, Timestamp};
use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::name::{FieldPath, ObjectRef};
use contour_core::pipeline::Change;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The namespaces of a world.
pub const NAMESPACES: [&str; 3] = ["alpha", "beta", "gamma"];

/// The namespace of the one who wishes the others ill; nobody refers to it.
pub const HOSTILE_NAMESPACE: &str = "mallory";

/// The base of all random choices; `CONTOUR_SEED` overrides the default.
///
/// # Panics
/// If `CONTOUR_SEED` is not a number.
pub fn seed() -> u64 {
    number("CONTOUR_SEED").unwrap_or(0x636f_6e74_6f75_7221)
}

/// How many cases to try: what the environment variable says, or else `long` if `CONTOUR_LONG` is
/// set, or else `default`.
///
/// # Panics
/// If the variable is not a number.
pub fn cases(variable: &str, default: u64, long: u64) -> u64 {
    let is_long = number("CONTOUR_LONG").is_some_and(|n| n > 0);
    number(variable).unwrap_or(if is_long { long } else { default })
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|v| !v.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| {
        panic!("{variable} is {text:?}, which is not a number");
    }))
}

/// A runner whose cases follow from `seed` alone; nothing is written to disk.
pub fn runner(seed: u64, cases: u64) -> TestRunner {
    let config = Config {
        cases: u32::try_from(cases).unwrap_or(u32::MAX),
        failure_persistence: None,
        max_shrink_iters: 3_000,
        ..Config::default()
    };
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// One value of a strategy.
///
/// # Panics
/// If the strategy has no value.
pub fn one<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    let tree = strategy.new_tree(runner).expect("the strategy has values");
    tree.current()
}

/// The objects of a world, each identity once.
pub fn world() -> BoxedStrategy<Vec<Object>> {
    (furniture(), vec(object(), 0..14))
        .prop_map(|(mut objects, others)| {
            objects.extend(others);
            unique(objects)
        })
        .boxed()
}

/// Any object in one of [`NAMESPACES`].
pub fn object() -> BoxedStrategy<Object> {
    object_in(select(&NAMESPACES[..]).boxed())
}

/// An object in [`HOSTILE_NAMESPACE`], younger than all others, with as much wrong as will fit.
pub fn hostile_object() -> BoxedStrategy<Object> {
    object_in(Just(HOSTILE_NAMESPACE).boxed())
        .prop_map(|mut object| {
            metadata_mut(&mut object).creation_timestamp = None;
            metadata_mut(&mut object).name = "hostile".into();
            object
        })
        .boxed()
}

fn object_in(namespace: BoxedStrategy<&'static str>) -> BoxedStrategy<Object> {
    prop_oneof![
        12 => routes::ingress_route(namespace.clone()),
        2 => kubernetes::service(namespace.clone()),
        3 => kubernetes::endpoint_slice(namespace.clone()),
        3 => kubernetes::secret(namespace.clone()),
        1 => kubernetes::delegation(namespace),
    ]
    .boxed()
}

/// What makes references resolve: services, endpoints and certificates where routes look for them.
fn furniture() -> impl Strategy<Value = Vec<Object>> {
    prop::sample::subsequence(NAMESPACES.to_vec(), 2..=NAMESPACES.len()).prop_map(|namespaces| {
        let mut objects = Vec::new();
        for namespace in namespaces {
            objects.extend(kubernetes::furniture(namespace));
        }
        objects
    })
}

/// Keeps the last object of each identity.
pub fn unique(objects: Vec<Object>) -> Vec<Object> {
    let by_reference: BTreeMap<_, _> = objects.into_iter().map(|o| (o.reference(), o)).collect();
    by_reference.into_values().collect()
}

/// Applications of these objects, without diagnostics.
pub fn applications(objects: &[Object]) -> Vec<Change> {
    objects.iter().cloned().map(application).collect()
}

/// The application of an object, without diagnostics.
pub fn application(object: Object) -> Change {
    Change::Apply(Box::new(object), Arc::new([]))
}

/// Batches of changes to a world.
pub fn changes() -> BoxedStrategy<Vec<Vec<Change>>> {
    (world(), vec(vec(change(), 1..4), 1..6))
        .prop_map(|(world, batches)| {
            let mut all = vec![applications(&world)];
            all.extend(batches);
            all
        })
        .boxed()
}

fn change() -> BoxedStrategy<Change> {
    prop_oneof![
        10 => object().prop_map(application),
        1 => object().prop_map(|object| {
            let told = [diagnostic(&object.reference(), Code::UnknownField)];
            Change::Apply(Box::new(object), Arc::new(told))
        }),
        5 => object().prop_map(|object| Change::Delete(object.reference())),
        1 => object().prop_map(|object| {
            let reference = object.reference();
            let told = [diagnostic(&reference, Code::ManifestType)];
            Change::Undecodable(reference, Arc::new(told))
        }),
        1 => pools::instants().prop_map(Change::Clock),
    ]
    .boxed()
}

fn diagnostic(object: &ObjectRef, code: Code) -> Diagnostic {
    Diagnostic::new(code, object, FieldPath::of(".spec.bogus"), "no such field")
}

/// What the world is after changes; the measure of incremental work.
#[derive(Clone, Debug, Default)]
pub struct Model {
    objects: BTreeMap<ObjectRef, (Object, Arc<[Diagnostic]>)>,
    undecodable: BTreeMap<ObjectRef, Arc<[Diagnostic]>>,
    now: Option<Timestamp>,
}

impl Model {
    /// Follows a change.
    pub fn follow(&mut self, change: &Change) {
        match change {
            Change::Apply(object, told) => {
                let reference = object.reference();
                self.undecodable.remove(&reference);
                let object = Object::clone(object);
                self.objects.insert(reference, (object, Arc::clone(told)));
            }
            Change::Delete(reference) => {
                self.objects.remove(reference);
                self.undecodable.remove(reference);
            }
            Change::Undecodable(reference, told) => {
                self.undecodable.insert(reference.clone(), Arc::clone(told));
            }
            Change::Clock(now) => self.now = Some(*now),
        }
    }

    /// The changes that lead from an empty world straight to this one.
    pub fn from_scratch(&self) -> Vec<Change> {
        let mut all: Vec<_> = self.now.map(Change::Clock).into_iter().collect();
        for (object, told) in self.objects.values() {
            all.push(Change::Apply(Box::new(object.clone()), Arc::clone(told)));
        }
        for (reference, told) in &self.undecodable {
            all.push(Change::Undecodable(reference.clone(), Arc::clone(told)));
        }
        all
    }

    /// The objects.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().map(|(object, _)| object)
    }
}

/// The metadata of an object, to change it.
pub fn metadata_mut(object: &mut Object) -> &mut contour_core::api::Metadata {
    match object {
        Object::IngressRoute(o) => &mut o.metadata,
        Object::TlsCertificateDelegation(o) => &mut o.metadata,
        Object::Service(o) => &mut o.metadata,
        Object::EndpointSlice(o) => &mut o.metadata,
        Object::Secret(o) => &mut o.metadata,
        Object::Namespace(o) => &mut o.metadata,
    }
}
