//! One object hurts only itself.

use std::collections::BTreeSet;

use contour_core::api::Object;
use contour_core::pipeline::{Change, Options, Pipeline};
use contour_core::xds::ResourceType;
use contour_tests::worlds;
use proptest::collection::vec;

use super::{Made, for_all, options};

/// What must not change when somebody else's object comes: every resource but the listeners, which
/// all share, and the status of every root. Anybody may delegate to what is no root, and then
/// there may be more to say of it and of the Services that it uses.
fn of_others(made: &Made, world: &[Object]) -> Made {
    let mut made = made.clone();
    made.resources.retain(|key, _| key.kind != ResourceType::Listener);
    let is_root = |object: &&Object| matches!(object, Object::IngressRoute(route) if route.spec.virtualhost.is_some());
    let roots: BTreeSet<_> = world.iter().filter(is_root).map(Object::reference).collect();
    made.statuses.retain(|object, _| roots.contains(object));
    made
}

/// Those of `after` that are in `before` as well.
fn restricted(after: &Made, before: &Made) -> Made {
    let mut after = after.clone();
    after.resources.retain(|key, _| before.resources.contains_key(key));
    after.statuses.retain(|object, _| before.statuses.contains_key(object));
    after
}

#[test]
fn a_hostile_object_changes_no_byte_of_what_others_own() {
    let cases = worlds::cases("CONTOUR_HOSTILE", 3_000, 300_000);
    let attacks = || {
        let attack = vec(worlds::hostile_object(), 1..3);
        (0..10_000_u64, worlds::world(), attack)
    };
    for_all(attacks, cases, |(number, world, attack)| attacked(options(number), &world, &attack));
}

/// Lets an attack come and go.
pub(super) fn attacked(
    options: Options,
    world: &[Object],
    attack: &[Object],
) -> Result<(), String> {
    let mut pipeline = Pipeline::new(options);
    drop(pipeline.apply(worlds::applications(world)));
    let untouched = Made::of(&pipeline);
    let before = of_others(&untouched, world);

    drop(pipeline.apply(worlds::applications(attack)));
    let after = restricted(&Made::of(&pipeline), &before);
    before.same(&after, "attacked")?;

    let gone = attack.iter().map(|o| Change::Delete(o.reference()));
    drop(pipeline.apply(gone.collect()));
    untouched.same(&Made::of(&pipeline), "after the attack")
}

/// What the test above would be worth if it could not fail.
#[test]
fn an_object_among_the_others_would_be_noticed() {
    let mut runner = worlds::runner(worlds::seed(), 1);
    let (worlds, objects) = (worlds::world(), worlds::object());
    let noticed = (0..200).filter(|number| {
        let world = worlds::one(&worlds, &mut runner);
        let attack = worlds::one(&objects, &mut runner);
        attacked(options(*number), &world, &[attack]).is_err()
    });
    let noticed = noticed.count();
    assert!(noticed > 20, "{noticed} of 200");
}
