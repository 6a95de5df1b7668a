//! Runs of the simulation: that the engine keeps its promises, and that broken ones are found.

#![allow(clippy::unwrap_used)]

use squall_sim::{Failure, Options, Plant, Report, simulate};

fn run(seed: u64, plant: Plant) -> Result<Report, Box<Failure>> {
    let options = Options {
        plant,
        ..Options::default()
    };
    simulate(seed, &options)
}

#[track_caller]
fn check(seeds: std::ops::Range<u64>, plant: Plant) -> Vec<Report> {
    let reports = seeds.map(|seed| run(seed, plant));
    let reports = reports.map(|report| report.unwrap_or_else(|failure| panic!("{failure}")));
    reports.collect()
}

/// How many of the seeds find the mistake.
fn found(seeds: std::ops::Range<u64>, plant: Plant) -> usize {
    seeds.filter(|seed| run(*seed, plant).is_err()).count()
}

#[test]
fn the_engine_keeps_its_promises() {
    let reports = check(1..201, Plant::Nothing);
    // A run in which nothing happens proves nothing.
    let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    assert!(sum(|report| report.events) > 2_000);
    assert!(sum(|report| report.executions) > 5_000);
    assert!(sum(|report| report.processes) > 1_000);
    assert!(reports.iter().map(|report| report.crashes).sum::<u64>() > 200);
    assert!(reports.iter().map(|report| report.faults).sum::<u64>() > 2_000);
}

#[test]
fn lost_signals_cost_time_and_nothing_else() {
    check(1_000..1_060, Plant::LostSignals);
}

#[test]
fn the_same_seed_takes_the_same_steps() {
    for seed in [3, 14, 15] {
        assert_eq!(
            run(seed, Plant::Nothing).unwrap(),
            run(seed, Plant::Nothing).unwrap()
        );
    }
}

#[test]
fn a_store_that_forgets_what_it_acknowledged_is_found() {
    assert!(found(1..21, Plant::Forget) >= 8);
}

#[test]
fn a_store_that_keeps_half_of_a_transaction_is_found() {
    assert!(found(1..21, Plant::Half) >= 10);
}
