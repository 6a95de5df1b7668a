//! One thread that polls tasks in an order drawn from the seed. Time moves to the next sleeper only
//! when no task can go on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use squall_engine::{Spawn, Work};
use squall_env::{Env, FakeEnv};
use squall_model::Timestamp;

use crate::chance::Chance;

/// What tasks belong to: those of a server die with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Outside every server: clients, and the run itself.
    World,
    /// A start of the server.
    Server(u64),
}

/// What wakers and spawners share with the executor.
#[derive(Default)]
struct Shared {
    arrived: Mutex<Vec<(Group, Work)>>,
    ready: Mutex<Vec<u64>>,
}

struct Alarm {
    task: u64,
    shared: Arc<Shared>,
    /// Whether the task is among the ready ones already.
    is_ready: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Alarm>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Alarm>) {
        if !self.is_ready.swap(true, Ordering::SeqCst) {
            self.shared.ready.lock().push(self.task);
        }
    }
}

struct Task {
    group: Group,
    work: Work,
    alarm: Arc<Alarm>,
}

/// The tasks of one simulation.
pub(crate) struct Executor {
    shared: Arc<Shared>,
    tasks: BTreeMap<u64, Task>,
    last_task: u64,
    env: Arc<FakeEnv>,
    chance: Chance,
    /// How many times a task was polled.
    pub(crate) steps: u64,
}

/// Sets tasks of one group going.
#[derive(Clone)]
pub(crate) struct Spawner {
    group: Group,
    shared: Arc<Shared>,
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spawner({:?})", self.group)
    }
}

impl Spawn for Spawner {
    fn spawn(&self, work: Work) {
        self.shared.arrived.lock().push((self.group, work));
    }
}

impl Executor {
    pub(crate) fn new(env: Arc<FakeEnv>, seed: u64) -> Executor {
        Executor {
            shared: Arc::default(),
            tasks: BTreeMap::new(),
            last_task: 0,
            env,
            chance: Chance::new(seed),
            steps: 0,
        }
    }

    pub(crate) fn spawner(&self, group: Group) -> Spawner {
        Spawner {
            group,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Drops every task of a group, as the death of its process would.
    pub(crate) fn kill(&mut self, group: Group) {
        self.admit();
        let of_group = |task: &Task| task.group == group;
        let dead: Vec<u64> = self
            .tasks
            .iter()
            .filter(|(_, task)| of_group(task))
            .map(|(id, _)| *id)
            .collect();
        for id in dead {
            self.tasks.remove(&id);
        }
        // What a dropped future spawned in its last moment dies too.
        self.shared.arrived.lock().retain(|(of, _)| *of != group);
    }

    /// Runs until `until`, or until `enough` says so, which is asked after every step; returns
    /// whether it did. `steps_max` bounds the work.
    pub(crate) fn run(
        &mut self,
        until: Timestamp,
        steps_max: u64,
        mut enough: impl FnMut() -> bool,
    ) -> bool {
        let last = self.steps + steps_max;
        while self.steps < last {
            if enough() {
                return true;
            }
            if self.step() {
                continue;
            }
            let now = self.env.now();
            let next = self.env.next_wake().unwrap_or(until).min(until);
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO);
            self.env.advance(wait);
            if next >= until && self.shared.ready.lock().is_empty() {
                return enough();
            }
        }
        false
    }

    fn admit(&mut self) {
        let arrived = std::mem::take(&mut *self.shared.arrived.lock());
        for (group, work) in arrived {
            self.last_task += 1;
            let id = self.last_task;
            let alarm = Arc::new(Alarm {
                task: id,
                shared: Arc::clone(&self.shared),
                is_ready: AtomicBool::new(false),
            });
            alarm.wake_by_ref();
            self.tasks.insert(id, Task { group, work, alarm });
        }
    }

    /// Polls one of the tasks that can go on; `false` when there is none.
    fn step(&mut self) -> bool {
        self.admit();
        let id = {
            let mut ready = self.shared.ready.lock();
            if ready.is_empty() {
                return false;
            }
            let index = self.chance.index(ready.len());
            ready.swap_remove(index)
        };
        self.steps += 1;
        let Some(task) = self.tasks.get_mut(&id) else {
            return true;
        };
        task.alarm.is_ready.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&task.alarm));
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(()) = task.work.as_mut().poll(&mut context) {
            self.tasks.remove(&id);
        }
        true
    }
}

/// Lets others go first.
pub(crate) async fn step_aside() {
    let mut stepped = false;
    futures::future::poll_fn(|context| {
        if std::mem::replace(&mut stepped, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
