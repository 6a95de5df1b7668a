//! Random workflows with random outcomes, told to the conductor by a host that crashes between any
//! two calls: a run that was restored ends like an undisturbed one, also when it is run again, and
//! no run is ever left with nothing under way, nothing to wait for and no end.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use squall_expr::Expressions;
use squall_value::{Dict, Str, Value};

use super::Nowhere;
use crate::conductor::{Conductor, Decision, RerunRequest, TaskEvent, World};
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

/// Which workflows are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Draw {
    /// All that the language has.
    Any,
    /// Such as end the same whichever of two branches is quicker, if they succeed.
    Orderly,
}

fn workflow(numbers: &mut Numbers, draw: Draw) -> String {
    let count = 2 + numbers.below(9);
    let mut text = String::from("vars: [{n: 0}, {turns: 0}, {d: {a: 1}}]\ntasks:\n");
    for task in 0..count {
        writeln!(text, "  t{task}:\n    action: x.y n=<% ctx().n %>").unwrap();
        let body = match (numbers.below(10), draw) {
            (0, _) => "    join: all\n",
            (1, Draw::Any) => "    join: 2\n",
            (2, _) => "    retry: {count: 2, delay: 1}\n",
            (3, Draw::Any) => "    with: {items: x in <% range(3) %>, concurrency: 2}\n",
            (4, Draw::Any) => {
                "    with: <% range(2) %>\n    retry: {count: 1, when: <% failed() %>}\n"
            }
            (5, Draw::Any) => "    join: 2\n    with: <% range(3) %>\n",
            (6, Draw::Any) => "    on_failure: hold\n",
            (7, _) => "    with: <% range(3) %>\n",
            _ => "",
        };
        text.push_str(body);
        next(numbers, draw, (task, count), &mut text);
    }
    text.push_str("output: [{n: <% ctx().n %>}, {d: <% ctx().d %>}]\n");
    text
}

/// The transitions of one of `count` tasks. Back edges are taken a few times at most.
fn next(numbers: &mut Numbers, draw: Draw, (task, count): (u64, u64), text: &mut String) {
    let mut edges = String::new();
    for _ in 0..numbers.below(3) {
        let when = ["succeeded", "failed", "completed"][numbers.below(3) as usize];
        let publish = match numbers.below(3) {
            0 => format!("n: <% ctx().n + {task} %>"),
            1 => format!("d: {{k{task}: <% ctx().n %>}}"),
            _ => "s: <% str(result()) %>".to_owned(),
        };
        let is_last = task + 1 == count;
        let target = match (numbers.below(12), draw) {
            (0, Draw::Any) => "noop".to_owned(),
            (1, Draw::Any) => "fail".to_owned(),
            (2..=4, Draw::Any) => {
                // A workflow without a task to begin with is seldom drawn.
                let target = match numbers.below(8) {
                    0 => numbers.below(task + 1),
                    _ => 1 + numbers.below(task.max(1)),
                };
                writeln!(
                    edges,
                    "      - {{when: <% {when}() and ctx().turns < 3 %>, publish: [{{{publish}}}, {{turns: <% ctx().turns + 1 %>}}], do: t{target}}}"
                )
                .unwrap();
                continue;
            }
            _ if is_last => continue,
            _ => format!("t{}", task + 1 + numbers.below(count - task - 1)),
        };
        writeln!(
            edges,
            "      - {{when: <% {when}() %>, publish: [{{{publish}}}], do: {target}}}"
        )
        .unwrap();
    }
    if !edges.is_empty() {
        text.push_str("    next:\n");
        text.push_str(&edges);
    }
}

/// What disturbs a run.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    /// The host dies between calls, before and after it has stored what a call made.
    Crash,
    Pause,
    Cancel,
}

/// An action that was started.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Action {
    task: Str,
    route: usize,
    item: Option<usize>,
}

/// The host of a run.
struct Host<'w> {
    world: World<'w>,
    text: &'w str,
    definition: Arc<Definition>,
    conductor: Conductor,
    /// What is stored.
    log: Vec<Value>,
    trouble: Trouble,
    troubles: Numbers,
    seed: u64,
    running: VecDeque<Action>,
    /// How often each action was started.
    starts: HashMap<Action, u64>,
    /// What the items of each task have returned.
    results: HashMap<(Str, usize), Vec<Value>>,
    /// What happened, for who has to find out why it went wrong.
    story: Vec<String>,
}

/// How many actions a run may take; one that takes more turns in circles, and proves nothing.
const ACTIONS_MAX: usize = 600;

impl<'w> Host<'w> {
    fn new(text: &'w str, seed: u64, trouble: Trouble, world: World<'w>) -> Host<'w> {
        let definition = Arc::new(Definition::parse(text).unwrap());
        let (inputs, context) = (Dict::new(), Dict::new());
        let mut conductor = Conductor::start(definition.clone(), &inputs, &context, world);
        let log = conductor.take_pieces();
        Host {
            world,
            text,
            definition,
            conductor,
            log: log.iter().map(Piece::to_value).collect(),
            trouble,
            troubles: Numbers(seed ^ 0xffff),
            seed,
            running: VecDeque::new(),
            starts: HashMap::new(),
            results: HashMap::new(),
            story: Vec::new(),
        }
    }

    fn note(&mut self, what: &str) {
        let status = self.conductor.status();
        self.story.push(format!("{what} -> {status}"));
    }

    fn begin(&mut self) {
        // One that has no task to begin with has failed.
        let begun = self.call(|conductor, _| conductor.request_status(Status::Running));
        assert!(begun.is_ok() || self.conductor.status() == Status::Failed);
    }

    fn restore(&mut self) {
        let restored = Conductor::restore_values(self.definition.clone(), &self.log);
        self.conductor = restored.unwrap();
    }

    /// Makes a call and stores what it made.
    fn call<T>(&mut self, call: impl Fn(&mut Conductor, World<'w>) -> T) -> T {
        let dies = |numbers: &mut Numbers| numbers.below(3) == 0;
        if self.trouble == Trouble::Crash && dies(&mut self.troubles) {
            // Made, but not stored: it is made again.
            let _ = call(&mut self.conductor, self.world);
            self.restore();
        }
        let answer = call(&mut self.conductor, self.world);
        let pieces = self.conductor.take_pieces();
        self.log.extend(pieces.iter().map(Piece::to_value));
        if self.trouble == Trouble::Crash && dies(&mut self.troubles) {
            if dies(&mut self.troubles) {
                self.log = vec![self.conductor.snapshot().to_value()];
            }
            self.restore();
        }
        answer
    }

    fn tell(&mut self, action: &Action, status: Status, result: &Value) {
        let accumulated = action.item.map(|item| {
            let key = (action.task.clone(), action.route);
            let results = self.results.entry(key).or_default();
            results.resize(results.len().max(3), Value::Null);
            results[item] = result.clone();
            Value::from(results.clone())
        });
        let event = TaskEvent::new(action.task.clone(), action.route, status);
        let mut event = event.with_result(result.clone());
        if let Some(item) = action.item {
            event = event.for_item(item, accumulated);
        }
        let told = self.call(|conductor, world| conductor.task_event(event.clone(), world));
        let item = action.item;
        self.note(&format!(
            "{} {} {item:?} {status}",
            action.task, action.route
        ));
        told.unwrap_or_else(|refusal| self.broken(&refusal.to_string()));
    }

    #[track_caller]
    fn broken(&self, what: &str) -> ! {
        let story = self.story.join("\n");
        panic!("seed {}: {what}\n{}\n{story}", self.seed, self.text);
    }

    /// Starts what can start; whether there was any.
    fn start(&mut self) -> bool {
        let requests = self.call(Conductor::next_tasks);
        let mut has_started = false;
        for request in requests {
            let known = self.conductor.task(&request.task, request.route);
            let runs = known.is_some_and(|task| task.status.is_under_way());
            if runs && request.items_count.is_none() {
                continue;
            }
            for action in &request.actions {
                let action = Action {
                    task: request.task.clone(),
                    route: request.route,
                    item: action.item,
                };
                self.tell(&action, Status::Running, &Value::Null);
                *self.starts.entry(action.clone()).or_default() += 1;
                self.running.push_back(action);
                has_started = true;
            }
        }
        has_started
    }

    /// The oldest action that runs comes to its end, or its task to that of its time.
    fn end_one(&mut self) {
        let Some(action) = self.running.pop_front() else {
            return;
        };
        let mut fate = Numbers(self.seed);
        for byte in action.task.bytes() {
            fate.0 ^= u64::from(byte);
            fate.next();
        }
        fate.0 ^= action.item.map_or(7, |item| item as u64) ^ (self.starts[&action] << 8);
        let result = Value::from(fate.below(100));
        match fate.below(24) {
            0 => {
                self.running
                    .retain(|other| (&other.task, other.route) != (&action.task, action.route));
                let told = self.call(|conductor, world| {
                    conductor.task_timed_out(&action.task, action.route, world)
                });
                self.note(&format!("{} {} is late", action.task, action.route));
                told.unwrap_or_else(|refusal| self.broken(&refusal.to_string()));
            }
            1..=5 => self.tell(&action, Status::Failed, &result),
            _ => self.tell(&action, Status::Succeeded, &result),
        }
    }

    /// Somebody decides about a task that waits for it.
    fn decide(&mut self) -> bool {
        let Some(task) = self.conductor.held().into_iter().next() else {
            return false;
        };
        let decision = match (self.seed + task.entry as u64) % 4 {
            0 => Decision::Skip,
            1 => Decision::Retry,
            2 => Decision::Result(Value::from(5)),
            _ => Decision::Abort,
        };
        let decided = self.call(|conductor, world| {
            conductor.decide(&task.task, task.route, decision.clone(), world)
        });
        self.note(&format!("{} {} {}", task.task, task.route, decision.name()));
        decided.unwrap_or_else(|refusal| self.broken(&refusal.to_string()));
        true
    }

    /// Where a task has taken the workflow along, the others with items must be told.
    fn tell_items(&mut self) {
        let request = match self.conductor.status() {
            Status::Canceling => Status::Canceled,
            Status::Pausing => Status::Paused,
            _ => return,
        };
        let told = self.call(|conductor, _| conductor.request_status(request));
        told.unwrap_or_else(|refusal| self.broken(&refusal.to_string()));
    }

    fn disturb(&mut self) {
        let request = match self.trouble {
            Trouble::Pause if self.troubles.below(3) == 0 => Status::Paused,
            Trouble::Cancel if self.troubles.below(6) == 0 => Status::Canceled,
            _ => return,
        };
        // One that has ended refuses.
        let _ = self.call(|conductor, _| conductor.request_status(request));
        self.note(&format!("asked to be {request}"));
    }

    /// Runs to an end; `false` when it turns in circles.
    fn run(&mut self) -> bool {
        loop {
            while self.start() {}
            let status = self.conductor.status();
            let rests = matches!(
                status,
                Status::Succeeded | Status::Canceled | Status::Paused
            );
            if rests && !self.running.is_empty() {
                self.broken(&format!("{status}, and something still runs"));
            }
            if self.starts.values().sum::<u64>() as usize > ACTIONS_MAX {
                return false;
            }
            self.disturb();
            if !self.running.is_empty() {
                self.end_one();
                self.tell_items();
                continue;
            }
            let status = self.conductor.status();
            if status.is_completed() && !self.start() {
                return true;
            }
            if self.decide() || !self.running.is_empty() {
                continue;
            }
            if status != Status::Paused {
                if !self.start() {
                    self.broken(&format!("stuck in {status}"));
                }
                continue;
            }
            let resumed = self.call(|conductor, _| conductor.request_status(Status::Resuming));
            self.note("resumed");
            resumed.unwrap_or_else(|refusal| self.broken(&refusal.to_string()));
        }
    }

    /// Runs failed tasks again, all of them or one by name; `false` where there is nothing to run.
    fn rerun(&mut self, number: u64) -> bool {
        let failed: Vec<RerunRequest> = self
            .conductor
            .tasks()
            .into_iter()
            .filter(|task| task.status.is_abended())
            .filter(|task| !self.definition.is_command(&task.task))
            .map(|task| RerunRequest {
                task: task.task,
                route: task.route,
                reset_items: (self.seed + number).is_multiple_of(2),
            })
            .collect();
        let named = match failed.len() as u64 {
            0 => Vec::new(),
            count => vec![failed[(self.seed % count) as usize].clone()],
        };
        let requests = match (self.seed >> 1) + number {
            all if all.is_multiple_of(2) => Vec::new(),
            _ => named,
        };
        if requests.is_empty() && !self.conductor.has_reruns() {
            return false;
        }
        let is_rerun = self.call(|conductor, _| conductor.rerun(&requests)).is_ok();
        self.note(&format!("run again: {requests:?}"));
        is_rerun
    }

    /// Everything that can be seen of the run.
    fn seen(&mut self) -> String {
        let output = self.call(Conductor::render_output);
        let errors: Value = self.conductor.errors().iter().cloned().collect();
        let (status, tasks) = (self.conductor.status(), self.conductor.tasks());
        format!("{status} {output:?} {errors:?} {tasks:?}")
    }

    /// What became of the run, whichever branch was quicker.
    fn gist(&self) -> String {
        let tasks = self.conductor.tasks().into_iter();
        let mut tasks: Vec<String> = tasks
            .map(|task| format!("{} {}", task.task, task.status))
            .collect();
        tasks.sort();
        format!("{} {tasks:?}", self.conductor.status())
    }
}

/// Runs to the end, and twice more what has failed; everything that can be seen of it after each.
/// `None` if it turns in circles.
fn run(text: &str, seed: u64, trouble: Trouble, world: World<'_>) -> Option<Vec<String>> {
    let mut host = Host::new(text, seed, trouble, world);
    host.begin();
    let mut seen = Vec::new();
    for number in 0..3 {
        if !host.run() {
            return None;
        }
        seen.push(host.seen());
        if !host.rerun(number) {
            break;
        }
    }
    Some(seen)
}

fn with_world(check: impl Fn(World<'_>)) {
    let expressions = Expressions::default();
    check(World {
        expressions: &expressions,
        host: &Nowhere,
        joins: crate::Joins::default(),
    });
}

const SEEDS: u64 = 400;

#[test]
fn a_restored_run_ends_like_an_undisturbed_one() {
    with_world(|world| {
        let (mut ended, mut again) = (0, 0);
        for seed in 0..SEEDS {
            let text = workflow(&mut Numbers(seed), Draw::Any);
            let undisturbed = run(&text, seed, Trouble::None, world);
            let restored = run(&text, seed, Trouble::Crash, world);
            assert_eq!(undisturbed, restored, "seed {seed}\n{text}");
            ended += u64::from(undisturbed.is_some());
            again += u64::from(undisturbed.is_some_and(|seen| seen.len() > 1));
        }
        assert!(ended > SEEDS * 9 / 10, "{ended}");
        assert!(again > SEEDS / 5, "{again}");
    });
}

#[test]
fn a_paused_or_canceled_run_comes_to_an_end() {
    with_world(|world| {
        for seed in 0..SEEDS {
            let text = workflow(&mut Numbers(seed), Draw::Any);
            run(&text, seed, Trouble::Pause, world);
            run(&text, seed, Trouble::Cancel, world);
        }
    });
}

#[test]
fn a_run_that_was_paused_does_what_it_would_have_done() {
    with_world(|world| {
        let mut compared = 0;
        for seed in 0..SEEDS {
            let text = workflow(&mut Numbers(seed), Draw::Orderly);
            let gist = |trouble| {
                let mut host = Host::new(&text, seed, trouble, world);
                host.begin();
                assert!(host.run(), "seed {seed}\n{text}");
                (host.conductor.status(), host.gist())
            };
            let (status, undisturbed) = gist(Trouble::None);
            // How far the others come when one fails depends on who is quicker.
            if status == Status::Succeeded {
                compared += 1;
                assert_eq!(undisturbed, gist(Trouble::Pause).1, "seed {seed}\n{text}");
            }
        }
        assert!(compared > SEEDS / 5, "{compared}");
    });
}
