//! Those who ask something of the server: senders of events, people, and people who meddle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use parking_lot::Mutex;
use squall_engine::{Ask, Incoming, Spawn};
use squall_model::{ExecutionId, TriggerInstanceId};
use squall_store::Store;
use squall_value::{Str, dict};

use crate::definitions::{PROCESSES, TRIGGER};
use crate::executor::Spawner;
use crate::trace::short;
use crate::workflows;
use crate::world::World;

/// An event as its sender knows it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) tag: String,
    pub(crate) n: i64,
    /// Whether it is sent with a key, until it is acknowledged.
    pub(crate) keyed: bool,
    pub(crate) receipts: Vec<TriggerInstanceId>,
}

/// What the clients were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) sent: Mutex<Vec<Sent>>,
    pub(crate) executions: Mutex<Vec<ExecutionId>>,
    busy: AtomicUsize,
}

impl Told {
    /// Whether all clients have what they want.
    pub(crate) fn is_over(&self) -> bool {
        self.busy.load(Ordering::SeqCst) == 0
    }
}

/// Sets all clients going.
pub(crate) fn start(world: &Arc<World>, spawner: &Spawner, told: &Arc<Told>) {
    let spawn = |work: squall_engine::Work| {
        told.busy.fetch_add(1, Ordering::SeqCst);
        let told = Arc::clone(told);
        spawner.spawn(Box::pin(async move {
            work.await;
            told.busy.fetch_sub(1, Ordering::SeqCst);
        }));
    };
    for number in 0..world.chance.between(1, 3) {
        spawn(Box::pin(send(Arc::clone(world), Arc::clone(told), number)));
    }
    for _ in 0..world.chance.between(1, 3) {
        spawn(Box::pin(request(Arc::clone(world), Arc::clone(told))));
    }
    spawn(Box::pin(meddle(Arc::clone(world))));
}

async fn send(world: Arc<World>, told: Arc<Told>, number: u64) {
    for count in 0..world.chance.between(2, 12) {
        world.pause(0, 3_000).await;
        let mut sent = Sent {
            tag: format!("{number}-{count}"),
            n: i64::try_from(world.chance.below(5)).unwrap_or(0),
            keyed: world.chance.per_mille(800),
            receipts: Vec::new(),
        };
        // Some are sent again although they were acknowledged.
        let wanted = 1 + usize::from(sent.keyed && world.chance.per_mille(300));
        loop {
            let mut incoming =
                Incoming::new(TRIGGER, dict! { "n" => sent.n, "tag" => sent.tag.as_str() });
            incoming.dedupe_key = sent.keyed.then(|| Str::from(sent.tag.as_str()));
            let answer = world
                .call(|engine| async move { engine.accept(incoming).await }.boxed())
                .await;
            if let Some(Ok(receipt)) = answer {
                let id = receipt.id.to_string();
                world
                    .trace
                    .add(format!("acknowledged: event {}", short(&id)));
                sent.receipts.push(receipt.id);
            }
            if !sent.keyed || sent.receipts.len() >= wanted {
                break;
            }
            world.pause(10, 2_000).await;
        }
        told.sent.lock().push(sent);
    }
}

async fn request(world: Arc<World>, told: Arc<Told>) {
    for _ in 0..world.chance.between(2, 10) {
        world.pause(0, 4_000).await;
        let action = match world.chance.below(3) {
            0 => (*world.chance.pick(&PROCESSES)).to_owned(),
            _ => format!("sim.wf{}", world.chance.index(workflows::COUNT)),
        };
        let mut ask = Ask::new(action.as_str(), "ann");
        if !action.starts_with("sim.wf") {
            ask.parameters.insert("key", world.chance.below(3));
        }
        if world.chance.per_mille(150) {
            ask.delay = Some(std::time::Duration::from_millis(
                world.chance.between(1, 5_000),
            ));
        }
        let answer = world
            .call(|engine| async move { engine.request(ask).await }.boxed())
            .await;
        if let Some(Ok(execution)) = answer {
            told.executions.lock().push(execution.id());
        }
    }
}

/// Cancels, pauses and resumes whatever is under way.
async fn meddle(world: Arc<World>) {
    for _ in 0..world.chance.between(0, 25) {
        world.pause(0, 3_000).await;
        let unfinished = world.memory.unfinished(None, usize::MAX).await;
        let unfinished = unfinished.unwrap_or_default();
        if unfinished.is_empty() {
            continue;
        }
        let id = world.chance.pick(&unfinished).id();
        let verb = *world
            .chance
            .pick(&["cancel", "pause", "pause", "resume", "resume"]);
        let done = world
            .call(|engine| {
                async move {
                    match verb {
                        "cancel" => engine.cancel(id, "ann").await,
                        "pause" => engine.pause(id).await,
                        _ => engine.resume(id).await,
                    }
                }
                .boxed()
            })
            .await;
        let answer = match done {
            None => "no answer".to_owned(),
            Some(Ok(execution)) => execution.state().to_string(),
            Some(Err(error)) => error.to_string(),
        };
        world
            .trace
            .add(format!("{verb} {}: {answer}", short(&id.to_string())));
    }
}

/// Resumes all that stands still, so that the run can end.
pub(crate) async fn resume_all(world: Arc<World>) {
    let unfinished = world.memory.unfinished(None, usize::MAX).await;
    for execution in unfinished.unwrap_or_default() {
        if execution.state() != squall_model::State::Paused {
            continue;
        }
        let id = execution.id();
        let done = world
            .call(|engine| async move { engine.resume(id).await.map(drop) }.boxed())
            .await;
        let text = match done {
            Some(Ok(())) => "done".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "no answer".to_owned(),
        };
        world.trace.add(format!(
            "at last, resume {}: {text}",
            short(&id.to_string())
        ));
    }
}
