//! Keeps one sensor running.

use std::future::Future;
use std::process::ExitStatus;
use std::sync::Arc;

use squall_value::{Str, Value, dict};
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::conversation::{Conversation, Doing, Outcome, Speaker};
use super::notice::{Flood, Notice};
use super::process::{command_line, log_output, spawn};
use super::tree::kill_tree;
use super::{Limits, Phase, Ports, Protocol, SensorSpec, SensorState, protocol};

/// How often is looked, within the time after which a sensor hangs perhaps, whether it does.
const LOOKS: u32 = 6;

/// Changes of triggers that may wait for a sensor that does not take them.
const CHANGES_MAX: usize = 256;

/// Makes a sensor: the service runs it, the handle speaks for it.
#[must_use]
pub fn sensor(spec: SensorSpec, ports: Ports, limits: Limits) -> (Handle, Service) {
    let (state, state_seen) = watch::channel(SensorState {
        phase: Phase::Starting,
        restarts: 0,
        last_error: None,
        pid: None,
    });
    let (stop, stop_seen) = watch::channel(false);
    let (changes, changes_seen) = mpsc::channel(CHANGES_MAX);
    let handle = Handle {
        state: state_seen,
        stop: Arc::new(stop),
        changes,
    };
    let service = Service {
        triggers: spec.triggers.clone(),
        spec: Arc::new(spec),
        ports,
        limits,
        state,
        stop: stop_seen,
        changes: changes_seen,
    };
    (handle, service)
}

/// Speaks for a sensor that runs elsewhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    state: watch::Receiver<SensorState>,
    stop: Arc<watch::Sender<bool>>,
    changes: mpsc::Sender<Change>,
}

#[derive(Debug)]
struct Change {
    kind: &'static str,
    trigger: Value,
}

impl Handle {
    /// How the sensor is now.
    #[must_use]
    pub fn state(&self) -> SensorState {
        self.state.borrow().clone()
    }

    /// Waits for a state that `wanted` likes; `None` when the service ended without one.
    pub async fn wait_for(&self, wanted: impl FnMut(&SensorState) -> bool) -> Option<SensorState> {
        let mut state = self.state.clone();
        state.wait_for(wanted).await.ok().map(|state| state.clone())
    }

    /// Asks the sensor to clean up and end; [`Service::run`] returns when it has. May be called
    /// again.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// A trigger of the sensor's types was created.
    pub async fn trigger_added(&self, trigger: Value) {
        self.change("trigger_added", trigger).await;
    }

    /// A trigger of the sensor's types was changed.
    pub async fn trigger_updated(&self, trigger: Value) {
        self.change("trigger_updated", trigger).await;
    }

    /// A trigger of the sensor's types was deleted.
    pub async fn trigger_removed(&self, trigger: Value) {
        self.change("trigger_removed", trigger).await;
    }

    async fn change(&self, kind: &'static str, trigger: Value) {
        // Refused only when the service has ended, and then nobody needs to know.
        let _ = self.changes.send(Change { kind, trigger }).await;
    }
}

/// Owns a sensor's process and its life.
pub struct Service {
    spec: Arc<SensorSpec>,
    triggers: Vec<Value>,
    ports: Ports,
    limits: Limits,
    state: watch::Sender<SensorState>,
    stop: watch::Receiver<bool>,
    changes: mpsc::Receiver<Change>,
}

/// How one process of a sensor ended.
enum End {
    Stopped,
    Finished,
    Failed(String),
}

impl Service {
    /// Runs the sensor until it is stopped, ends by itself, or fails too often; the state says
    /// which. Dropping the future kills the process, but perhaps not what it started.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let started = self.ports.env.now();
            let end = self.run_process().await;
            let reason = match end {
                End::Stopped => return self.enter(Phase::Stopped),
                End::Finished => return self.enter(Phase::Finished),
                End::Failed(reason) => reason,
            };
            let ran = self.ports.env.now().duration_since(started).unsigned_abs();
            failures = if ran >= self.limits.stable_after {
                1
            } else {
                failures + 1
            };
            tracing::error!(
                sensor = &*self.spec.reference,
                failures,
                "a sensor failed: {reason}"
            );
            self.state
                .send_modify(|state| state.last_error = Some(Str::from(reason)));
            if failures >= self.limits.failures_max {
                return self.enter(Phase::Failed);
            }
            if self.back_off(failures).await.is_break() {
                return self.enter(Phase::Stopped);
            }
            self.state.send_modify(|state| state.restarts += 1);
        }
    }

    /// Tells of a sensor that has not returned from the pack's code for long. It is not ended:
    /// some look through a lot, or wait in `setup` for what they talk to.
    fn look(&self, doing: &Doing) {
        let now = self.ports.env.now();
        let Some(reason) = doing.overdue(now, self.limits.overdue_after) else {
            return;
        };
        self.notice().tell(reason);
    }

    fn notice(&self) -> Notice {
        Notice {
            sensor: self.spec.reference.clone(),
            state: self.state.clone(),
        }
    }

    fn enter(&self, phase: Phase) {
        self.state.send_modify(|state| {
            state.phase = phase;
            state.pid = None;
        });
    }

    /// Waits before the next start; breaks when the sensor is to stop.
    async fn back_off(&mut self, failures: u32) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow;
        let pause = self.limits.pause(failures);
        let until = self
            .ports
            .env
            .now()
            .checked_add(pause)
            .unwrap_or(jiff::Timestamp::MAX);
        self.enter(Phase::BackingOff { until });
        let env = Arc::clone(&self.ports.env);
        let sleep = env.sleep(pause);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return ControlFlow::Continue(()),
                () = stopped(&mut self.stop) => return ControlFlow::Break(()),
                Some(change) = self.changes.recv() => apply(&mut self.triggers, &change),
            }
        }
    }

    async fn run_process(&mut self) -> End {
        if *self.stop.borrow() {
            return End::Stopped;
        }
        self.enter(Phase::Starting);
        let env = &self.ports.env;
        let marker = format!("{:016x}{:016x}", env.random(), env.random());
        let (mut child, socket) = match spawn(&self.spec, &marker) {
            Ok(started) => started,
            Err(error) => {
                let program = match self.spec.protocol {
                    Protocol::Python => self.spec.interpreter.display(),
                    Protocol::Stdio => self.spec.entry_point.display(),
                };
                return End::Failed(format!("starting {program} failed: {error}"));
            }
        };
        let pid = child.id().unwrap_or_default();
        self.state.send_modify(|state| state.pid = Some(pid));
        let witness = Arc::clone(&self.ports.witness);
        witness.spawned(pid, command_line(&self.spec)).await;
        let mut logs = self.log_outputs(&mut child);
        let (reader, writer) = socket.into_split();
        let speaker = Speaker::new(writer);
        let conversation = Conversation {
            reader: BufReader::new(reader),
            speaker: speaker.clone(),
            spec: Arc::clone(&self.spec),
            ports: self.ports.clone(),
            message_bytes_max: self.limits.message_bytes_max,
            doing: Arc::default(),
            flood: Flood::new(
                self.limits.flood_events,
                self.limits.flood_within,
                self.ports.env.now(),
            ),
            notice: self.notice(),
        };
        let mut process = Process { child, pid, marker };
        let end = self.attend(&mut process, conversation, speaker).await;
        let status = process.child.wait().await;
        witness.exited(status.ok().and_then(exit_status)).await;
        // What was printed last may still be on its way; nothing holds the pipes open any more.
        while logs.join_next().await.is_some() {}
        end
    }

    fn log_outputs(&self, child: &mut Child) -> JoinSet<()> {
        let mut logs = JoinSet::new();
        let reference = &self.spec.reference;
        if let Some(output) = child.stdout.take() {
            logs.spawn(log_output(
                output,
                reference.clone(),
                "stdout",
                self.ports.clone(),
            ));
        }
        if let Some(output) = child.stderr.take() {
            logs.spawn(log_output(
                output,
                reference.clone(),
                "stderr",
                self.ports.clone(),
            ));
        }
        logs
    }

    /// Hears the process until it is gone, and passes on to it what changes.
    async fn attend(
        &mut self,
        process: &mut Process,
        mut conversation: Conversation,
        speaker: Speaker,
    ) -> End {
        while let Ok(change) = self.changes.try_recv() {
            apply(&mut self.triggers, &change);
        }
        let start = protocol::start(&self.spec, &self.triggers, self.limits.message_bytes_max);
        // Nothing may be said before this.
        tokio::select! {
            () = speaker.say(&start) => {}
            () = stopped(&mut self.stop) => {}
        }
        let state = self.state.clone();
        let doing = Arc::clone(&conversation.doing);
        let talk = conversation.run(|| state.send_modify(|state| state.phase = Phase::Running));
        tokio::pin!(talk);
        // What hangs began at any moment between two looks.
        let look_period = self.limits.overdue_after / LOOKS;
        let mut outcome = None;
        let mut status = None;
        while outcome.is_none() || status.is_none() {
            tokio::select! {
                heard = &mut talk, if outcome.is_none() => {
                    // A process that ends in order has its last word before it ends.
                    if !matches!(heard, Outcome::Closed | Outcome::Finished) {
                        process.kill_tree().await;
                    }
                    outcome = Some(heard);
                }
                ended = process.child.wait(), if status.is_none() => {
                    status = Some(ended);
                    process.kill_tree().await;
                }
                () = self.ports.env.sleep(look_period) => self.look(&doing),
                Some(change) = self.changes.recv() => {
                    apply(&mut self.triggers, &change);
                    let message = dict! { "type" => change.kind, "trigger" => change.trigger };
                    let speaker = speaker.clone();
                    if outcome.is_none() {
                        tokio::select! {
                            () = speaker.say(&message) => {}
                            () = stopped(&mut self.stop) => {}
                        }
                    }
                }
                () = stopped(&mut self.stop) => {
                    let ended = async {
                        if outcome.is_none() {
                            speaker.say(&dict! { "type" => "stop" }).await;
                            talk.await;
                        }
                        let _ = process.child.wait().await;
                    };
                    finish_within(&self.ports, &self.limits, ended).await;
                    process.kill_tree().await;
                    let _ = process.child.wait().await;
                    return End::Stopped;
                }
            }
        }
        end(outcome, status.and_then(Result::ok))
    }
}

async fn finish_within(ports: &Ports, limits: &Limits, ended: impl Future<Output = ()>) {
    tokio::select! {
        () = ended => {}
        () = ports.env.sleep(limits.stop_grace) => {}
    }
}

struct Process {
    child: Child,
    pid: u32,
    marker: String,
}

impl Process {
    /// Kills the process and everything that it started.
    async fn kill_tree(&mut self) {
        // Its session is its own only once the host runs; until then only the pid is known.
        let _ = self.child.start_kill();
        let (pid, marker) = (self.pid, self.marker.clone());
        if tokio::task::spawn_blocking(move || kill_tree(pid, &marker))
            .await
            .is_err()
        {
            tracing::error!(
                pid,
                "looking for the processes that a sensor started failed"
            );
        }
    }
}

/// Waits until the sensor is to stop; a handle that is gone means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that all handles are gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn exit_status(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal().map(|signal| -signal);
    status.code().or(signal)
}

fn end(outcome: Option<Outcome>, status: Option<ExitStatus>) -> End {
    match outcome {
        Some(Outcome::Failed(reason)) => End::Failed(reason),
        Some(Outcome::Finished) => End::Finished,
        Some(Outcome::LeaseLost) => End::Stopped,
        Some(Outcome::Closed) | None => End::Failed(match status {
            Some(status) => format!("its process ended with {status}, without saying why"),
            None => "its process ended, without saying why".to_owned(),
        }),
    }
}

/// Keeps the list of triggers that the next process starts with.
fn apply(triggers: &mut Vec<Value>, change: &Change) {
    let id = |trigger: &Value| trigger.get("id").or_else(|| trigger.get("ref")).cloned();
    let changed = id(&change.trigger);
    triggers.retain(|trigger| id(trigger) != changed);
    if change.kind != "trigger_removed" {
        triggers.push(change.trigger.clone());
    }
}
