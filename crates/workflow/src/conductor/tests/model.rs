//! Random workflows with random outcomes: a run that is restored between any two events ends like an
//! undisturbed one, and no run is left with nothing under way and no end.

use std::fmt::Write as _;
use std::sync::Arc;

use squall_expr::Expressions;
use squall_value::{Dict, Value};

use super::Nowhere;
use crate::conductor::{Conductor, TaskEvent, World};
use crate::{Definition, Piece, Status};

/// A small generator of numbers (splitmix64): the same seed gives the same run everywhere.
#[derive(Clone)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn workflow(numbers: &mut Numbers) -> String {
    let count = 2 + numbers.below(9);
    let mut text = String::from("vars: [{n: 0}, {d: {a: 1}}]\ntasks:\n");
    for task in 0..count {
        writeln!(text, "  t{task}:\n    action: x.y n=<% ctx().n %>").unwrap();
        match numbers.below(8) {
            0 => text.push_str("    join: all\n"),
            1 => text.push_str("    join: 2\n"),
            2 => text.push_str("    retry: {count: 2, delay: 1}\n"),
            3 => text.push_str("    with: {items: x in <% range(3) %>, concurrency: 2}\n"),
            _ => {}
        }
        let edges = numbers.below(3);
        if edges > 0 && task + 1 < count {
            text.push_str("    next:\n");
        }
        for _ in 0..edges {
            if task + 1 == count {
                break;
            }
            let when = ["succeeded", "failed", "completed"][numbers.below(3) as usize];
            let target = task + 1 + numbers.below(count - task - 1);
            let publish = match numbers.below(3) {
                0 => format!("n: <% ctx().n + {task} %>"),
                1 => format!("d: {{k{task}: <% ctx().n %>}}"),
                _ => "s: <% str(result()) %>".to_owned(),
            };
            let command = match numbers.below(12) {
                0 => "noop",
                1 => "fail",
                _ => "",
            };
            let target = if command.is_empty() {
                format!("t{target}")
            } else {
                command.to_owned()
            };
            writeln!(
                text,
                "      - {{when: <% {when}() %>, publish: [{{{publish}}}], do: {target}}}"
            )
            .unwrap();
        }
    }
    text.push_str("output: [{n: <% ctx().n %>}, {d: <% ctx().d %>}]\n");
    text
}

/// What disturbs a run.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    Reload,
    Pause,
    Cancel,
}

/// Runs to the end; returns everything that can be seen of it.
fn run(text: &str, seed: u64, trouble: Trouble, world: World<'_>) -> String {
    let definition = Arc::new(Definition::parse(text).unwrap());
    let (inputs, context) = (Dict::new(), Dict::new());
    let mut conductor = Conductor::start(definition.clone(), &inputs, &context, world);
    let mut outcomes = Numbers(seed);
    let mut troubles = Numbers(seed ^ 0xffff);
    let mut log: Vec<Piece> = Vec::new();
    let mut running: Vec<(squall_value::Str, usize, Option<usize>)> = Vec::new();
    conductor.request_status(Status::Running).unwrap();
    for step in 0.. {
        assert!(
            step < 2_000,
            "seed {seed}: a run without loops does not end\n{text}"
        );
        for request in conductor.next_tasks(world) {
            for action in &request.actions {
                let event = TaskEvent::new(request.task.clone(), request.route, Status::Running);
                let event = match action.item {
                    Some(item) => event.for_item(item, None),
                    None => event,
                };
                conductor.task_event(event, world).unwrap();
                running.push((request.task.clone(), request.route, action.item));
            }
        }
        match trouble {
            Trouble::Reload => {
                log.extend(conductor.take_pieces());
                if troubles.below(3) == 0 {
                    log = vec![conductor.snapshot()];
                }
                let encoded: Vec<Value> = log.iter().map(Piece::to_value).collect();
                conductor = Conductor::restore_values(definition.clone(), &encoded).unwrap();
            }
            Trouble::Pause if troubles.below(3) == 0 => {
                let _ = conductor.request_status(Status::Paused);
            }
            Trouble::Cancel if troubles.below(6) == 0 => {
                let _ = conductor.request_status(Status::Canceled);
            }
            _ => {}
        }
        if running.is_empty() {
            match conductor.status() {
                Status::Paused => {
                    conductor.request_status(Status::Resuming).unwrap();
                    continue;
                }
                status if status.is_completed() => break,
                status => {
                    let left = conductor.next_tasks(world);
                    assert!(!left.is_empty(), "seed {seed}: stuck in {status}\n{text}");
                    continue;
                }
            }
        }
        let (task, route, item) = running.remove(0);
        let status = match outcomes.below(4) {
            0 => Status::Failed,
            _ => Status::Succeeded,
        };
        let result = Value::from(outcomes.below(100));
        let event = TaskEvent::new(task, route, status).with_result(result.clone());
        let event = match item {
            Some(item) => event.for_item(item, Some(squall_value::list![result])),
            None => event,
        };
        conductor.task_event(event, world).unwrap();
    }
    let output = conductor.render_output(world);
    let errors: Value = conductor.errors().iter().cloned().collect();
    format!(
        "{} {output:?} {errors:?} {:?}",
        conductor.status(),
        conductor.tasks()
    )
}

#[test]
fn a_restored_run_ends_like_an_undisturbed_one() {
    let expressions = Expressions::default();
    let world = World {
        expressions: &expressions,
        host: &Nowhere,
        joins: crate::Joins::default(),
    };
    for seed in 0..300 {
        let text = workflow(&mut Numbers(seed));
        let undisturbed = run(&text, seed, Trouble::None, world);
        let restored = run(&text, seed, Trouble::Reload, world);
        assert_eq!(undisturbed, restored, "seed {seed}\n{text}");
    }
}

#[test]
fn a_paused_or_canceled_run_comes_to_an_end() {
    let expressions = Expressions::default();
    let world = World {
        expressions: &expressions,
        host: &Nowhere,
        joins: crate::Joins::default(),
    };
    for seed in 0..300 {
        let text = workflow(&mut Numbers(seed));
        run(&text, seed, Trouble::Pause, world);
        run(&text, seed, Trouble::Cancel, world);
    }
}
