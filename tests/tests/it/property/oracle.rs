//! Incremental work leads where work from scratch leads, whatever the way there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use contour_core::api::Object;
use contour_core::name::{Fqdn, ObjectName};
use contour_core::pipeline::{Change, Options, Pipeline};
use contour_tests::worlds::{self, Model};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Made, for_all, options};

/// Applies batches one by one, and compares with a fresh start after each.
pub(super) fn follow(options: &Options, batches: Vec<Vec<Change>>) -> Result<(), String> {
    let mut pipeline = Pipeline::new(options.clone());
    let mut model = Model::default();
    let mut told = Made::default();
    told.follow(pipeline.initial())?;
    for (step, mut batch) in (0_u64..).zip(batches) {
        pipeline.date(&mut batch, step);
        for change in &batch {
            model.follow(change);
        }
        told.follow(pipeline.apply(batch))?;
        let made = Made::of(&pipeline);
        let mut fresh = Pipeline::new(options.clone());
        drop(fresh.apply(model.from_scratch()));
        made.same(&Made::of(&fresh), &format!("step {step}, from scratch"))?;
        made.same(&told, &format!("step {step}, as told"))?;
    }
    Ok(())
}

/// Makes every change one of an object without a time of creation.
fn undated(mut batches: Vec<Vec<Change>>) -> Vec<Vec<Change>> {
    for change in batches.iter_mut().flatten() {
        if let Change::Apply(object, _) = change {
            object.metadata_mut().creation_timestamp = None;
        }
    }
    batches
}

#[test]
fn who_has_a_host_keeps_it_for_as_long_as_it_claims_it_where_nobody_has_an_age() {
    let sequences = || (0..10_000_u64, worlds::changes().prop_map(undated));
    let contested = AtomicU64::new(0);
    for_all(sequences, 2_000, |(number, batches)| {
        let mut pipeline = Pipeline::new(options(number));
        let mut holders: BTreeMap<Fqdn, ObjectName> = BTreeMap::new();
        for (step, mut batch) in (0_u64..).zip(batches) {
            let hosts = batch.iter().filter_map(host);
            let hosts: BTreeSet<Fqdn> = holders.keys().cloned().chain(hosts).collect();
            pipeline.date(&mut batch, step);
            drop(pipeline.apply(batch));
            for host in hosts {
                let mut claims = pipeline.claimants(&host);
                let Some(now) = claims.next().cloned() else {
                    holders.remove(&host);
                    continue;
                };
                let before = holders.insert(host.clone(), now.clone());
                if let Some(before) = before.filter(|before| *before != now) {
                    if claims.any(|name| *name == before) {
                        return Err(format!("step {step}: {now} took {host} from {before}"));
                    }
                } else if claims.next().is_some() {
                    contested.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    });
    // Worlds in which nobody wants what another has would prove nothing.
    assert!(contested.into_inner() > 500);
}

/// The host that a change claims.
fn host(change: &Change) -> Option<Fqdn> {
    let Change::Apply(object, _) = change else { return None };
    let Object::IngressRoute(route) = &**object else { return None };
    Fqdn::parse(&route.spec.virtualhost.as_ref()?.fqdn).ok()
}

#[test]
fn after_any_changes_incremental_work_equals_work_from_scratch() {
    let cases = worlds::cases("CONTOUR_SEQUENCES", 10_000, 1_000_000);
    let sequences = || (0..10_000_u64, worlds::changes());
    for_all(sequences, cases, |(number, batches)| follow(&options(number), batches));
}

/// What the test above would be worth if it could not fail.
#[test]
fn a_change_that_is_not_taken_up_would_be_noticed() {
    let mut runner = worlds::runner(worlds::seed(), 1);
    let sequences = worlds::changes();
    let mut noticed = 0;
    for number in 0..50 {
        let mut batches = worlds::one(&sequences, &mut runner);
        let mut model = Model::default();
        for change in batches.iter().flatten() {
            model.follow(change);
        }
        let [mut pipeline, mut fresh] = [(); 2].map(|()| Pipeline::new(options(number)));
        drop(batches.pop());
        for batch in batches {
            drop(pipeline.apply(batch));
        }
        drop(fresh.apply(model.from_scratch()));
        noticed += u32::from(Made::of(&pipeline).same(&Made::of(&fresh), "missed").is_err());
    }
    assert!(noticed > 10, "{noticed} of 50");
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let shuffled = || {
        worlds::world().prop_flat_map(|world| {
            let order = Just(worlds::applications(&world)).prop_shuffle();
            let cuts = vec(1..4_usize, 1..5);
            (0..10_000_u64, Just(world), order, cuts)
        })
    };
    for_all(shuffled, 1_000, |(number, world, mut order, cuts)| {
        let options = options(number);
        let mut pipeline = Pipeline::new(options.clone());
        for cut in cuts {
            let rest = order.split_off(cut.min(order.len()));
            drop(pipeline.apply(std::mem::replace(&mut order, rest)));
        }
        drop(pipeline.apply(order));
        let made = Made::of(&pipeline);
        made.same(&Made::from_world(&options, &world), "in order")
    });
}

#[test]
fn a_world_that_is_deleted_leaves_nothing() {
    for_all(
        || (0..10_000_u64, worlds::world()),
        500,
        |(number, world)| {
            let options = options(number);
            let empty = Made::from_world(&options, &[]);
            let mut pipeline = Pipeline::new(options);
            drop(pipeline.apply(worlds::applications(&world)));
            let all = world.iter().map(|o| Change::Delete(o.reference()));
            drop(pipeline.apply(all.collect()));
            Made::of(&pipeline).same(&empty, "empty")
        },
    );
}
