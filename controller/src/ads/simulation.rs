//! Everything between an API server and Envoys, in a world where nothing else can be relied on.
//!
//! A seed decides on all: what objects there are and how they change, which events of which kind
//! are lost, come twice or too early, which lists break off or expire, when the controller is
//! restarted, when Envoys come, go and refuse. [`Watch`](contour_cluster::watch::Watch), the
//! engine with its pipeline, the catalog and the sessions are the real ones; the API server, the
//! connections to it, Envoys and the time are models.
//!
//! What must hold:
//! - What is made of objects that nobody touched is published and sent from the first moment to
//!   the last, byte by byte the same, and never withdrawn; unless their kind's definition was
//!   deleted, and all objects with it.
//! - An Envoy that has it keeps it over a restart of the controller in which a kind cannot be read
//!   for so long that the rest is published without it.
//! - Envoys are sent nothing before every kind has been listed.
//! - Nothing is listed again without a reason.
//! - When nothing has gone wrong for long enough for everything to be listed again, the pipeline
//!   has made of the objects what a new one makes of them, and Envoys that refuse nothing hold
//!   exactly that.
//!
//! What an API server never does is left out: lists that lie, in which an object is missing.

mod envoy;
mod link;
mod objects;
mod server;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Part, Switches, Tally, run};

const ALL: Switches = Switches { without: None, tells: false };

/// A number in an environment variable.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number")))
}

/// Runs seeds from 0, or the one that `CONTOUR_SEED` names, and that tells its story.
#[test]
fn whatever_happens_nothing_is_lost() {
    let (first, seeds) = match number("CONTOUR_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("CONTOUR_SEEDS").unwrap_or(300)),
    };
    let next = AtomicU64::new(0);
    let (failures, total) = (Mutex::new(Vec::new()), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= seeds || failures.lock().unwrap().len() >= 10 {
                        return;
                    }
                    let seed = first + number;
                    let switches = Switches { tells: seeds == 1, ..ALL };
                    match std::panic::catch_unwind(|| run(seed, switches)) {
                        Ok(Ok(tally)) => total.lock().unwrap().add(&tally),
                        Ok(Err(told)) => {
                            failures.lock().unwrap().push(format!("CONTOUR_SEED={seed}: {told}"));
                        }
                        Err(_) => {
                            failures
                                .lock()
                                .unwrap()
                                .push(format!("CONTOUR_SEED={seed}: it panics"));
                        }
                    }
                }
            });
        }
    });
    let (failures, total) = (failures.into_inner().unwrap(), total.into_inner().unwrap());
    println!("{seeds} seeds from {first}: {total:#?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    if seeds >= 100 {
        // Worlds in which nothing happens would prove nothing.
        let links = total.links;
        let often = [links.lost, links.repeated, links.healed, links.expired, links.cuts];
        let often = often.into_iter().chain([links.refusals, total.removals, total.connects]);
        let seldom = [links.reordered, total.refusals, total.restarts, total.undefined];
        let seldom = seldom.into_iter().chain([total.blips, total.poisoned, total.partial]);
        assert!(often.min().is_some_and(|least| least >= seeds), "{total:#?}");
        assert!(seldom.min().is_some_and(|least| least >= seeds / 10), "{total:#?}");
    }
}

/// What the test above would be worth if seeds could not be replayed.
#[test]
fn a_seed_leads_to_the_same_world_each_time() {
    for seed in 0..10 {
        let [first, second] = [(); 2].map(|()| run(seed, ALL).unwrap().digest);
        assert_eq!(first, second, "seed {seed}");
    }
}

/// How many of the first seeds notice that a part is missing, with words that contain `words`.
fn noticed(part: Part, words: &str) -> usize {
    let switches = Switches { without: Some(part), ..ALL };
    let told = (0..60).filter_map(|seed| run(seed, switches).err());
    told.filter(|told| told.contains(words)).count()
}

#[test]
fn events_that_are_lost_for_good_would_be_noticed() {
    let count = noticed(Part::Comparison, "in the end");
    assert!(count >= 3, "{count} of 60");
}

#[test]
fn what_is_taken_away_because_it_could_not_be_read_would_be_noticed() {
    let count = noticed(Part::Hold, "bystander");
    assert!(count >= 5, "{count} of 60");
}

#[test]
fn routes_that_are_served_too_early_would_be_noticed() {
    let count = noticed(Part::Gate, "bystander");
    assert!(count >= 30, "{count} of 60");
}
