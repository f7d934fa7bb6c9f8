//! Whatever the world, Envoy accepts what it is turned into.

use std::sync::atomic::{AtomicU64, Ordering};

use contour_core::api::Object;
use contour_core::pipeline::{Options, Pipeline};
use contour_tests::envoy;
use contour_tests::validate::Batch;
use contour_tests::worlds;

use super::{options, shortened};

/// Worlds in one run of Envoy.
const BATCH: u64 = 100;

fn pipeline(options: &Options, world: &[Object]) -> Pipeline {
    let mut pipeline = Pipeline::new(options.clone());
    drop(pipeline.apply(worlds::applications(world)));
    pipeline
}

/// Validates worlds together; what Envoy says against them.
fn judge(group: &[(Options, Vec<Object>)]) -> Result<(), String> {
    let mut batch = Batch::default();
    for (options, world) in group {
        let pipeline = pipeline(options, world);
        let added = batch.add(pipeline.resources());
        added.map_err(|error| format!("{error:#}"))?;
    }
    // Worlds of which nothing is left would prove nothing.
    let [clusters, listeners, certificates] = batch.parts();
    let few = clusters < group.len() || listeners < group.len() || certificates * 10 < group.len();
    if group.len() >= 100 && few {
        return Err(format!("little is left: {:?}", batch.parts()));
    }
    envoy::validate(&batch.bootstrap()).map_err(|error| format!("{error:#}"))
}

/// Halves a refused group until the world is found that is to blame.
fn blame(group: &[(Options, Vec<Object>)], told: &str) -> String {
    if let [(options, world)] = group {
        return format!("{told}\n{options:?}\n{}", shortened(world));
    }
    let (left, right) = group.split_at(group.len() / 2);
    for half in [left, right] {
        if let Err(told) = judge(half) {
            return blame(half, &told);
        }
    }
    format!("only together: {told}")
}

#[test]
fn every_generated_configuration_is_accepted_by_envoy() {
    let worlds = worlds::cases("CONTOUR_WORLDS", 3_000, 100_000);
    let batches = worlds.div_ceil(BATCH);
    let next = AtomicU64::new(0);
    let seed = worlds::seed();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let next = &next;
            scope.spawn(move || {
                loop {
                    let batch = next.fetch_add(1, Ordering::Relaxed);
                    if batch >= batches {
                        return;
                    }
                    let mut runner = worlds::runner(seed.wrapping_add(batch), 1);
                    let strategy = worlds::world();
                    let group: Vec<_> = (0..BATCH)
                        .map(|number| {
                            let world = worlds::one(&strategy, &mut runner);
                            (options(batch * BATCH + number), world)
                        })
                        .collect();
                    if let Err(told) = judge(&group) {
                        panic!("CONTOUR_SEED={seed}, {batch}: {}", blame(&group, &told));
                    }
                }
            });
        }
    });
}
