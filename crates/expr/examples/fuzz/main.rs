//! Random texts from a seed, made anew or from the data of the crates' tests; whatever comes out of
//! the languages, YAML, parameters and criteria must end, within its limits and without a panic:
//! `cargo run --release -p squall-expr --example fuzz -- SECONDS SEED [TARGET]`
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // A program for people, with a clock.

mod corpus;
mod pieces;
mod targets;

use std::time::{Duration, Instant};

use corpus::{Corpus, Random};
use squall_expr::{Expressions, Limits};

/// What takes longer than this is told: far more than the limits below should allow.
const SLOW: Duration = Duration::from_secs(2);

const TARGETS: [&str; 7] = [
    "template",
    "jinja",
    "yaql-statement",
    "yaql",
    "yaml",
    "schema",
    "criteria",
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        args.get(at)
            .and_then(|arg| arg.parse().ok())
            .unwrap_or(default)
    };
    let (seconds, seed) = (number(0, 10), number(1, 1));
    let only = args.get(2).map(String::as_str);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let corpus = Corpus::read();
    let expressions = Expressions::new(Limits {
        steps: 20_000,
        bytes: 1 << 20,
        ..Limits::default()
    });
    let is_verbose = std::env::var_os("FUZZ_VERBOSE").is_some();
    let start = Instant::now();
    let (mut rounds, mut valid) = (0_u64, [0_u64; TARGETS.len()]);
    let mut slowest = (Duration::ZERO, "", String::new());
    while start.elapsed().as_secs() < seconds {
        let at = random.below(TARGETS.len());
        let target = TARGETS[at];
        if only.is_some_and(|only| only != target) {
            continue;
        }
        let input = input(&mut random, &corpus, target);
        // The last line tells what brought it down.
        if is_verbose {
            println!("{target} {input:?}");
        }
        let before = Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(&expressions, target, &input)
        }));
        let took = before.elapsed();
        match outcome {
            Ok(is_valid) => valid[at] += u64::from(is_valid),
            Err(_) => println!("PANIC {target} {input:?}"),
        }
        if took > SLOW {
            println!("SLOW {took:?} {target} {input:?}");
        }
        if took > slowest.0 {
            slowest = (took, target, input);
        }
        rounds += 1;
    }
    println!("{rounds} rounds of seed {seed}");
    for (target, valid) in TARGETS.iter().zip(valid) {
        println!("{target}: {valid} texts had a value");
    }
    println!("slowest: {:?} for {} {:?}", slowest.0, slowest.1, slowest.2);
}

fn input(random: &mut Random, corpus: &Corpus, target: &str) -> String {
    match target {
        "template" | "jinja" => random.input(&corpus.templates, pieces::TEMPLATE),
        "yaql" | "yaql-statement" => random.input(&corpus.expressions, pieces::EXPRESSION),
        "yaml" => random.input(&corpus.yaml, pieces::YAML),
        "schema" => random.input(&corpus.schemas, pieces::SCHEMA),
        _ => random.input(&corpus.criteria, pieces::CRITERIA),
    }
}

fn run(expressions: &Expressions, target: &str, input: &str) -> bool {
    match target {
        "template" => targets::template(expressions, input),
        "jinja" => targets::statement(expressions, input, false),
        "yaql-statement" => targets::statement(expressions, input, true),
        "yaql" => targets::yaql(input),
        "yaml" => targets::yaml(input),
        "schema" => targets::schema(expressions, input),
        _ => targets::criteria(expressions, input),
    }
}
