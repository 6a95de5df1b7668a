//! How many tasks per second of CPU the conductor handles.
//!
//! `cargo run --release -p squall-workflow --example bench [NAME]` runs the cases of which the name
//! contains `NAME`. Every task is polled, marked running and completed with a result that is
//! published; the pieces are encoded, as a store would. Time is the process's CPU time, the best of
//! three rounds, so that a busy machine does not blur it.
//!
//! `... --example bench -- --write DIRECTORY` writes the workflows as files instead, for another
//! engine to run the same (`cargo xtask bench --peers`).

use std::sync::Arc;

use squall_expr::{Expressions, HostError, KeyScope};
use squall_value::{Dict, Str, Value};
use squall_workflow::{Conductor, Definition, Host, Status, TaskEvent, World};

struct Nowhere;

impl squall_expr::Host for Nowhere {
    fn key(&self, _: &KeyScope, _: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok(None)
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        Ok(ciphertext.to_owned())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        0
    }
}

impl Host for Nowhere {
    fn task_record(&self, _: &str, _: usize) -> Option<Value> {
        None
    }
}

/// The CPU time of this process so far in seconds, which is that of its only thread.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat");
    let text = text.expect("the system tells the CPU time in /proc/self/schedstat");
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|field| field.parse::<f64>().ok());
    nanoseconds.expect("the first field is nanoseconds") / 1e9
}

fn sequence(count: usize) -> String {
    let mut text = String::from("version: 1.0\nvars: [{n: 1}]\ntasks:\n");
    for task in 0..count {
        text.push_str(&format!(
            "  t{task}:\n    action: core.echo message=<% ctx(n) %>\n"
        ));
        if task + 1 < count {
            text.push_str(&format!(
                "    next: [{{when: <% succeeded() %>, publish: [{{v{task}: <% result() %>}}], do: t{}}}]\n",
                task + 1
            ));
        }
    }
    text
}

fn fan(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|task| format!("t{task}")).collect();
    let mut text = format!(
        "version: 1.0\ntasks:\n  start:\n    action: core.noop\n    next: [{{do: [{}]}}]\n",
        names.join(", ")
    );
    for name in names {
        text.push_str(&format!(
            "  {name}:\n    action: core.noop\n    next: [{{publish: [{{v_{name}: <% result() %>}}], do: last}}]\n"
        ));
    }
    text.push_str("  last:\n    join: all\n    action: core.noop\n");
    text
}

fn items(count: usize) -> String {
    format!(
        "version: 1.0\ntasks:\n  a:\n    with: {{items: x in <% range({count}) %>, concurrency: 100}}\n    action: core.echo message=<% item(x) %>\n"
    )
}

/// Runs a workflow to its end and returns how many actions ran.
fn run(definition: &Arc<Definition>, world: World<'_>) -> usize {
    let (inputs, context) = (Dict::new(), Dict::new());
    let mut conductor = Conductor::start(definition.clone(), &inputs, &context, world);
    conductor
        .request_status(Status::Running)
        .expect("a fresh run can start");
    let mut actions = 0;
    let mut running: std::collections::VecDeque<(Str, usize, Option<usize>)> = [].into();
    loop {
        for request in conductor.next_tasks(world) {
            for action in request.actions {
                let event = TaskEvent::new(request.task.clone(), request.route, Status::Running);
                let event = match action.item {
                    Some(item) => event.for_item(item, None),
                    None => event,
                };
                conductor
                    .task_event(event, world)
                    .expect("it was handed out");
                running.push_back((request.task.clone(), request.route, action.item));
            }
        }
        let Some((task, route, item)) = running.pop_front() else {
            break;
        };
        actions += 1;
        let event = TaskEvent::new(task, route, Status::Succeeded).with_result(Value::from("done"));
        let event = match item {
            Some(item) => event.for_item(item, None),
            None => event,
        };
        conductor.task_event(event, world).expect("it was running");
        for piece in conductor.take_pieces() {
            std::hint::black_box(piece.to_value());
        }
    }
    assert_eq!(conductor.status(), Status::Succeeded);
    actions
}

/// The cases: a name, the workflow, and how often it runs in a round.
fn cases() -> Vec<(&'static str, String, u32)> {
    vec![
        ("sequence 10", sequence(10), 2_000),
        ("sequence 100", sequence(100), 200),
        ("sequence 1,000", sequence(1_000), 20),
        ("sequence 10,000", sequence(10_000), 2),
        ("fan-out and join 100", fan(100), 100),
        ("fan-out and join 1,000", fan(1_000), 10),
        ("10,000 items, 100 at a time", items(10_000), 2),
    ]
}

fn write(directory: &str) {
    for (name, text, _) in cases() {
        let path = std::path::Path::new(directory).join(format!("{name}.yaml"));
        std::fs::write(path, text).expect("the directory can be written to");
    }
}

#[allow(clippy::print_stdout)]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next().unwrap_or_default();
    if only == "--write" {
        return write(&arguments.next().expect("--write names a directory"));
    }
    let expressions = Expressions::default();
    let world = World {
        expressions: &expressions,
        host: &Nowhere,
        joins: squall_workflow::Joins::default(),
    };
    for (name, text, times) in cases() {
        if !name.contains(&only) {
            continue;
        }
        let definition = Arc::new(Definition::parse(&text).expect("the workflow is valid"));
        let mut best = 0.0_f64;
        for _ in 0..3 {
            let before = cpu_seconds();
            let mut actions = 0;
            for _ in 0..times {
                actions += run(&definition, world);
            }
            let actions = u32::try_from(actions).expect("the cases are small");
            best = best.max(f64::from(actions) / (cpu_seconds() - before));
        }
        println!("{name}: {best:.0} tasks per CPU second");
    }
}
