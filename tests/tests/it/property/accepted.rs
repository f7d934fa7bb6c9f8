//! Whatever the world, Envoy accepts what it is turned into.

use std::sync::Mutex;
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

/// Validates worlds together; how many clusters, listeners and certificates there were, or what
/// Envoy says against them.
fn judge(group: &[(Options, Vec<Object>)]) -> Result<[usize; 3], String> {
    let mut batch = Batch::default();
    for (options, world) in group {
        let pipeline = pipeline(options, world);
        let added = batch.add(pipeline.resources());
        added.map_err(|error| format!("{error:#}"))?;
    }
    let parts = batch.parts();
    envoy::validate(&batch.bootstrap()).map_err(|error| format!("{error:#}"))?;
    Ok(parts)
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
    let totals = Mutex::new([0; 3]);
    let seed = worlds::seed();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (next, totals) = (&next, &totals);
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
                    match judge(&group) {
                        Ok(parts) => {
                            let mut totals = totals.lock().unwrap();
                            totals.iter_mut().zip(parts).for_each(|(all, part)| *all += part);
                        }
                        Err(told) => {
                            panic!("CONTOUR_SEED={seed}, {batch}: {}", blame(&group, &told))
                        }
                    }
                }
            });
        }
    });
    // Worlds of which nothing is left would prove nothing.
    let worlds = usize::try_from(batches * BATCH).unwrap();
    let [clusters, listeners, certificates] = totals.into_inner().unwrap();
    assert!(clusters > worlds, "{clusters} clusters in {worlds} worlds");
    assert!(listeners > 2 * worlds, "{listeners} listeners in {worlds} worlds");
    assert!(certificates > worlds / 10, "{certificates} certificates in {worlds} worlds");
}
