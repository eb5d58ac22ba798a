//! A model of the sync protocol: the reference client's positions (PROTOCOL.md section 3.1) against a server in memory, under
//! a seeded plan of cuts, delays, lost, late and duplicate frames, joins at any point, and a log that goes back in time.
//! After each seed every client holds exactly what the log holds.
//!
//! `HEARTH_TEST_SEED=17 cargo test --test hearth model:: -- --nocapture` runs one seed alone and prints what happens.

mod broken;
mod client;
mod link;
mod log;
mod row;
mod server;
mod simulation;
mod sockets;

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use broken::Broken;
use server::Defect;
use simulation::Corners;

const SEEDS: u64 = 3_000;

/// What the plan must reach, on average at least once in thirty seeds.
const CORNERS: [&str; 34] = [
    "acks of what was stored before",
    "added",
    "archives",
    "catch-up applied",
    "deletions",
    "durable frames lost",
    "edits",
    "ephemeral",
    "frames late",
    "fresh joins",
    "gaps",
    "gaps while an answer is awaited",
    "joined frames",
    "joins",
    "lagged",
    "leavings",
    "live applied",
    "old frames ignored",
    "own reads",
    "pages too old",
    "pins",
    "reactions",
    "refusals",
    "removed",
    "removed without rev",
    "resets, epoch",
    "resets, too far",
    "retryable errors",
    "synced beyond a gap",
    "roles",
    "rooms deleted",
    "rooms handed over",
    "syncs",
    "the log went back",
];

#[expect(
    clippy::disallowed_methods,
    reason = "a failing seed is run again by hand"
)]
fn one_seed() -> Option<u64> {
    let seed = std::env::var("HEARTH_TEST_SEED").ok()?;
    Some(seed.parse().expect("HEARTH_TEST_SEED is a number"))
}

#[test]
fn every_client_ends_with_exactly_what_the_log_holds() {
    if let Some(seed) = one_seed() {
        println!("{:#?}", simulation::run(seed, None, true).unwrap());
        return;
    }
    let next = AtomicU64::new(0);
    let corners = Mutex::new(Corners::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    match simulation::run(seed, None, false) {
                        Ok(reached) => {
                            let mut corners = corners.lock().unwrap();
                            for (corner, times) in reached {
                                *corners.entry(corner).or_default() += times;
                            }
                        }
                        Err(difference) => panic!("HEARTH_TEST_SEED={seed}: {difference}"),
                    }
                }
            });
        }
    });
    let corners = corners.into_inner().unwrap();
    println!("{corners:#?}");
    for corner in CORNERS {
        let times = corners.get(corner).copied().unwrap_or(0);
        assert!(times >= SEEDS / 30, "{corner}: only {times} times");
    }
}

/// The model notices faults: whatever is broken on purpose, some seed shows it.
#[test]
fn the_model_notices_what_is_broken() {
    for broken in [
        Broken::AdvancesOverGaps,
        Broken::TakesLateForCatchUp,
        Broken::TrustsSynced,
        Broken::IgnoresEpoch,
        Broken::RemovesWithoutComparing,
        Broken::TakesStalePages,
        Broken::PagesOverwrite,
        Broken::IgnoresLagged,
        Broken::NewIdOnResend,
        Broken::CountsMentions,
        Broken::KeepsMentionOfDeleted,
        Broken::KeepsMentionOfEdited,
        Broken::KeepsMentionsRead,
        Broken::TakesOldMentions,
        Broken::CountsUnread,
        Broken::KeepsDeletedUnread,
        Broken::KeepsDeletionsRead,
        Broken::IgnoresDeletionsTold,
        Broken::PatchesNewerRows,
        Broken::KeepsCounts,
        Broken::KeepsRoles,
        Broken::Server(Defect::CatchUpWithoutPrev),
        Broken::Server(Defect::StoresTwice),
        Broken::Server(Defect::SilentReset),
        Broken::Server(Defect::DropsOwnRead),
        Broken::Server(Defect::JoinedWithoutPrev),
        Broken::Server(Defect::MentionsReadEarly),
        Broken::Server(Defect::DeletesInSilence),
        Broken::Server(Defect::SmallChangesAfterACut),
    ] {
        let noticed = (0..1_000)
            .find_map(|seed| Some((seed, simulation::run(seed, Some(broken), false).err()?)));
        match noticed {
            Some((seed, difference)) => println!("{broken:?}: seed {seed}: {difference}"),
            None => panic!("{broken:?} isn't noticed"),
        }
    }
}
