//! What holds where there is less room than is asked for.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use contour_core::api::Object;
use contour_core::diagnostic::Code;
use contour_core::name::Fqdn;
use contour_core::options::{Amounts, Limits};
use contour_core::pipeline::{Options, Pipeline};
use contour_core::xds::ResourceType;
use contour_tests::worlds;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::interference::attacked;
use super::oracle::follow;
use super::{Made, for_all, options};

const PLENTY: usize = 1 << 40;

/// Limits that worlds pass often; each number has one, two or three of them.
fn limits(mut number: u64) -> Limits {
    let mut next = |count: usize| -> usize {
        let part = number % 7919 % count as u64;
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
                >> 1;
        usize::try_from(part).unwrap()
    };
    let plenty = Amounts {
        routes: PLENTY,
        bytes: PLENTY,
        clusters: PLENTY,
        endpoints: PLENTY,
        checks: PLENTY,
    };
    let mut limits = Limits {
        object_checks: PLENTY,
        object_clusters: PLENTY,
        host_routes: PLENTY,
        host_bytes: PLENTY,
        namespace: plenty,
        all: plenty,
    };
    for _ in 0..=next(3) {
        match next(14) {
            0 => limits.object_checks = next(3),
            1 => limits.object_clusters = next(4),
            2 => limits.host_routes = next(6),
            3 => limits.host_bytes = 100 * next(12),
            4 => limits.namespace.routes = 3 * next(8),
            5 => limits.namespace.bytes = 1_000 * next(9),
            6 => limits.namespace.clusters = next(6),
            7 => limits.namespace.endpoints = next(12),
            8 => limits.namespace.checks = next(4),
            9 => limits.all.routes = 3 * next(16),
            10 => limits.all.bytes = 1_000 * next(20),
            11 => limits.all.clusters = next(12),
            12 => limits.all.endpoints = next(24),
            _ => limits.all.checks = next(6),
        }
    }
    limits
}

fn tight(number: u64) -> Options {
    Options { limits: limits(number), ..options(number) }
}

fn is_refused(made: &Made) -> bool {
    let mut told = made.statuses.values().flat_map(|status| &status.diagnostics);
    told.any(|diagnostic| diagnostic.code == Code::TooLarge)
}

#[test]
fn where_there_is_little_room_incremental_work_equals_work_from_scratch() {
    let cases = worlds::cases("CONTOUR_LIMITED", 6_000, 600_000);
    let sequences = || (0..1_000_000_u64, worlds::changes());
    for_all(sequences, cases, |(number, batches)| follow(&tight(number), batches));
}

#[test]
fn who_gets_what_there_is_room_for_does_not_depend_on_the_order_of_arrival() {
    let refused = AtomicU64::new(0);
    let shuffled = || {
        worlds::world().prop_flat_map(|world| {
            let order = Just(worlds::applications(&world)).prop_shuffle();
            (0..1_000_000_u64, Just(world), order, vec(1..4_usize, 1..5))
        })
    };
    let cases = 1_000;
    for_all(shuffled, cases, |(number, world, mut order, cuts)| {
        let options = tight(number);
        let mut pipeline = Pipeline::new(options.clone());
        for cut in cuts {
            let rest = order.split_off(cut.min(order.len()));
            drop(pipeline.apply(std::mem::replace(&mut order, rest)));
        }
        drop(pipeline.apply(order));
        let made = Made::of(&pipeline);
        refused.fetch_add(u64::from(is_refused(&made)), Ordering::Relaxed);
        made.same(&Made::from_world(&options, &world), "in order")
    });
    // Worlds in which all is granted would prove nothing.
    let refused = refused.into_inner();
    assert!(refused > cases / 4, "{refused} of {cases}");
}

#[test]
fn what_one_namespace_asks_for_changes_no_byte_of_what_others_own() {
    let attacks = || {
        let attack = vec(worlds::hostile_object(), 1..3);
        (0..1_000_000_u64, worlds::world(), attack)
    };
    for_all(attacks, 1_000, |(number, world, attack)| {
        let mut options = tight(number);
        options.limits.all = Limits::default().all;
        attacked(options, &world, &attack)
    });
}

#[test]
fn no_host_becomes_more_than_it_was_counted_for() {
    let close = AtomicU64::new(0);
    for_all(
        || (0..1_000_000_u64, worlds::world()),
        3_000,
        |(number, world)| {
            let options = if number % 2 == 0 { options(number) } else { tight(number) };
            let mut pipeline = Pipeline::new(options.clone());
            drop(pipeline.apply(worlds::applications(&world)));
            for fqdn in hosts(&world) {
                let counted = pipeline.amounts(&fqdn).unwrap_or_default();
                let made = made_of(&pipeline, &fqdn);
                if made.routes > counted.routes || made.bytes > counted.bytes {
                    return Err(format!("{fqdn}: {made:?} of {counted:?}"));
                }
                let is_close = made.routes > 0 && counted.bytes < 3 * made.bytes;
                close.fetch_add(u64::from(is_close), Ordering::Relaxed);
            }
            let limits = options.limits;
            let total = hosts(&world).iter().fold(Amounts::default(), |mut sum, fqdn| {
                let is_served = pipeline.excess(fqdn).is_none();
                sum += pipeline.amounts(fqdn).filter(|_| is_served).unwrap_or_default();
                sum
            });
            if total.routes > limits.all.routes || total.bytes > limits.all.bytes {
                return Err(format!("{total:?} in all, of {:?}", limits.all));
            }
            Ok(())
        },
    );
    let close = close.into_inner();
    assert!(close > 1_000, "{close} hosts are counted for less than three times their bytes");
}

fn hosts(world: &[Object]) -> BTreeSet<Fqdn> {
    let hosts = world.iter().filter_map(|object| {
        let Object::IngressRoute(route) = object else { return None };
        Fqdn::parse(&route.spec.virtualhost.as_ref()?.fqdn).ok()
    });
    hosts.collect()
}

/// The route entries of a host, and the bytes of these and of its certificate.
fn made_of(pipeline: &Pipeline, fqdn: &Fqdn) -> Amounts {
    let mut made = Amounts::default();
    for resource in pipeline.resources() {
        let key = &resource.key;
        let is_of_host = key.name.split_once('/').is_some_and(|(_, host)| host == fqdn.as_str());
        if key.kind == ResourceType::Route && is_of_host {
            let configuration = RouteConfiguration::decode(resource.body.clone()).unwrap();
            let entries = configuration.virtual_hosts.iter().map(|host| host.routes.len());
            made.routes += entries.sum::<usize>();
            made.bytes += resource.body.len();
        }
        if key.kind == ResourceType::Secret && *key.name == *fqdn.as_str() {
            made.bytes += resource.body.len();
        }
    }
    made
}
