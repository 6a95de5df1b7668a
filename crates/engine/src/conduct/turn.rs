//! One turn of a workflow: inbox in, one transaction out.

use std::sync::Arc;

use squall_model::{
    Event, Execution, ExecutionId, Lease, Origin, Outcome, Progress, State,
    Status as ExecutionStatus, Timestamp,
};
use squall_store::{Command, CommitError, Refusal};
use squall_value::{Dict, Value, dict};
use squall_workflow::definition::Language;
use squall_workflow::{Status, TaskEvent};

use super::children::{Note, Place};
use super::live::Loaded;
use super::load::LoadError;
use super::{ChildEnd, Control, ControlError, Inbound, Live, Reply};
use crate::Engine;
use crate::plan::{After, Plan};
use crate::request::step;

/// What a turn collects before it commits.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) plan: Plan,
    pub(super) notes: Vec<Note>,
    replies: Vec<(Reply, Result<(), ControlError>)>,
    /// Children that must stop.
    cancels: Vec<ExecutionId>,
    /// Child workflows that must pause or go on.
    controls: Vec<(ExecutionId, Control)>,
    /// Whether the next turn should follow at once.
    pub(super) again: bool,
}

impl Engine {
    /// Takes one turn with what the inbox held.
    pub(super) async fn turn(self: &Arc<Engine>, live: &Arc<Live>, inbox: Vec<Inbound>) {
        let mut guard = live.state.lock().await;
        if guard.is_none() {
            match self.load_workflow(live).await {
                Ok(Some(loaded)) => {
                    live.begin();
                    *guard = Some(loaded);
                }
                Ok(None) => return self.turn_away(live, inbox).await,
                Err(LoadError::Broken { execution, reason }) => {
                    self.fail_workflow(&execution, &reason).await;
                    return self.turn_away(live, inbox).await;
                }
                Err(LoadError::Store(error)) => {
                    tracing::warn!(id = %live.id(), %error, "a workflow could not be read; it is tried again");
                    inbox.into_iter().for_each(|inbound| {
                        live.deliver(inbound);
                    });
                    return self.env.sleep(crate::ingest::RETRY).await;
                }
            }
        }
        let Some(loaded) = guard.as_mut() else { return };
        let mut turn = Turn::default();
        let mut kept = Vec::new();
        for inbound in self.with_audits(loaded, inbox).await {
            kept.extend(self.take_in(loaded, inbound, &mut turn));
        }
        tell_items(loaded);
        self.start_tasks(loaded, &mut turn);
        let end = self.settle_workflow(loaded, &mut turn);
        self.append_pieces(loaded, &mut turn);
        match self.commit_turn(&mut turn).await {
            Ok(()) => self.after_turn(live, loaded, turn, end),
            Err(error) => {
                // What is in memory may not be what is stored: read it again.
                let execution = Arc::clone(&loaded.execution);
                *guard = None;
                if let Some(refusal @ Refusal::Invalid(_)) = error.refusal() {
                    // The same turn would be refused for ever.
                    self.fail_workflow(&execution, &refusal.to_string()).await;
                }
                self.after_failed_turn(live, kept, turn, error).await;
            }
        }
    }

    /// Adds to what arrived the ends that nobody told, where somebody asks for them.
    async fn with_audits(&self, loaded: &Loaded, mut inbox: Vec<Inbound>) -> Vec<Inbound> {
        let mut found = Vec::new();
        for inbound in &inbox {
            let Inbound::Audit(unfinished) = inbound else {
                continue;
            };
            let active = loaded.children.active().map(|(id, _)| *id);
            for id in active.filter(|id| !unfinished.contains(id)) {
                match self.end_of(id).await {
                    Ok(end) => found.extend(end.map(Inbound::Ended)),
                    Err(error) => {
                        tracing::warn!(%id, %error, "a task could not be read; the slow period looks again");
                    }
                }
            }
        }
        inbox.extend(found);
        inbox
    }

    /// Tells the conductor what arrived. Gives back what must be delivered again if the turn fails.
    fn take_in(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        inbound: Inbound,
        turn: &mut Turn,
    ) -> Option<Inbound> {
        match inbound {
            Inbound::Look => Some(Inbound::Look),
            Inbound::Audit(_) => {
                self.take_deadlines(loaded, turn);
                self.repeat_requests(loaded, turn);
                None
            }
            Inbound::Ended(end) => {
                self.child_has_ended(loaded, &end, turn);
                Some(Inbound::Ended(end))
            }
            Inbound::Changed(child) => {
                if let Some(place) = loaded.children.place(child.id()).cloned() {
                    let status = conductor_status(child.state());
                    // A plain task that is about to pause or to be canceled still runs; told so,
                    // the conductor would not take its success any more.
                    // Nor is news what it knows.
                    let entry = loaded.conductor.task(&place.task, place.route);
                    let is_news = entry.is_none_or(|entry| entry.status != status);
                    let is_told = place.item.is_some()
                        || is_news
                            && matches!(status, Status::Running | Status::Paused | Status::Pending);
                    if is_told {
                        self.tell(loaded, &place, status, Value::Null);
                    }
                }
                Some(Inbound::Changed(child))
            }
            Inbound::Control(control, reply) => {
                let answer = self.take_control(loaded, control, turn);
                turn.replies.push((reply, answer));
                None
            }
            Inbound::Decide(verdict, reply) => {
                let answer = self.take_decision(loaded, verdict);
                turn.replies.push((reply, answer));
                None
            }
            Inbound::Due => {
                self.take_deadlines(loaded, turn);
                Some(Inbound::Due)
            }
        }
    }

    fn child_has_ended(self: &Arc<Engine>, loaded: &mut Loaded, end: &ChildEnd, turn: &mut Turn) {
        let id = end.execution.id();
        let Some(place) = loaded.children.place(id).cloned() else {
            // Told before: its end was in a turn of which the answer was lost, or arrived twice.
            turn.plan.then(After::Ended(Arc::clone(&end.execution)));
            return;
        };
        if let Some(from) = end.from {
            turn.plan.push(Command::UpdateExecution {
                execution: Arc::clone(&end.execution),
                from,
                result: Some(crate::payload(&end.result)),
            });
            self.announce(&end.execution, &end.result, &mut turn.plan);
            turn.plan.then(After::Ended(Arc::clone(&end.execution)));
        }
        let told = self.told_in_confidence(loaded, end);
        let end = told.as_ref().unwrap_or(end);
        let note = Note::Ended(id);
        loaded.children.apply(&note);
        turn.notes.push(note);
        if self.try_again(loaded, end, &place, turn) {
            return;
        }
        if let Origin::Task(origin) = &end.execution.request.origin {
            loaded.children.record(&end.execution, origin, &end.result);
        }
        self.tell_end(loaded, &place, end);
    }

    /// Puts another attempt in the place of a child, if a retry policy asks for one; the conductor
    /// hears of the last attempt alone.
    fn try_again(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        end: &ChildEnd,
        place: &Place,
        turn: &mut Turn,
    ) -> bool {
        let now = self.env.now();
        let is_late = place.deadline.is_some_and(|deadline| deadline <= now);
        if end.from.is_none() || is_late || !loaded.conductor.status().is_running() {
            return false;
        }
        let above = std::iter::once(loaded.execution.id()).chain(loaded.ancestors.iter().copied());
        let Some(placed) = self.retry(&end.execution, above.collect(), &mut turn.plan) else {
            return false;
        };
        let note = Note::Started(placed.execution.id(), place.clone());
        loaded.children.apply(&note);
        turn.notes.push(note);
        true
    }

    /// Reports the end of a child to the conductor.
    fn tell_end(self: &Arc<Engine>, loaded: &mut Loaded, place: &Place, end: &ChildEnd) {
        let progress = &end.execution.progress;
        let is_late = place.deadline.is_some() && progress.ended >= place.deadline;
        // What was stopped because the time was up is told for the whole task at once.
        if !is_late || progress.state != State::Ended(Outcome::Canceled) {
            let is_chain = loaded.conductor.definition().language == Language::Chain;
            let result = match &end.result {
                Value::Dict(result) if is_chain && has_paused(&end.execution) => resumed(result),
                result => result.clone(),
            };
            self.tell_status(loaded, place, progress.state, result);
        }
        let now = self.env.now();
        let is_over = place.deadline.is_some_and(|deadline| deadline <= now);
        if !is_over || loaded.children.has_active(&place.task, place.route) {
            return;
        }
        let entry = loaded.conductor.task(&place.task, place.route);
        // A further attempt has its own time.
        let is_open = |status: Status| !status.is_completed() && status != Status::Retrying;
        if entry.is_some_and(|entry| is_open(entry.status)) {
            self.tell_lateness(loaded, place);
        }
    }

    /// The time of a task is up, and nothing of it runs any more.
    fn tell_lateness(self: &Arc<Engine>, loaded: &mut Loaded, place: &Place) {
        let told = self.with_world(loaded, |conductor, world| {
            conductor.task_timed_out(&place.task, place.route, world)
        });
        if let Err(refusal) = told {
            tracing::debug!(task = %place.task, %refusal, "a task was over before its time");
        }
    }

    /// Reports where a child stands. The conductor may have missed something in between: a child
    /// workflow that pauses and goes on tells so without a commit.
    fn tell_status(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        place: &Place,
        state: State,
        result: Value,
    ) {
        let entry = loaded.conductor.task(&place.task, place.route);
        let known = entry.map(|entry| entry.status);
        let missed: &[Status] = match known {
            Some(Status::Pausing) if state.is_ended() => &[Status::Resuming, Status::Running],
            Some(Status::Paused | Status::Resuming) if state.is_ended() => &[Status::Running],
            _ => &[],
        };
        let before = loaded.conductor.status();
        for status in missed {
            self.tell(loaded, place, *status, Value::Null);
        }
        self.tell(loaded, place, conductor_status(state), result);
        let is_held = |status: Status| matches!(status, Status::Pausing | Status::Paused);
        let status = loaded.conductor.status();
        let request = if known == Some(Status::Pending) && state.is_ended() && is_held(status) {
            // A person was asked, and the workflow stood still for it: it goes on.
            Status::Resuming
        } else if !missed.is_empty() && is_held(before) && status.is_running() {
            // Nobody has resumed the workflow itself.
            Status::Paused
        } else {
            return;
        };
        if let Err(refusal) = loaded.conductor.request_status(request) {
            tracing::debug!(%refusal, "the conductor takes no such request");
        }
    }

    /// Reports a child's status to the conductor.
    pub(super) fn tell(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        place: &Place,
        status: Status,
        result: Value,
    ) {
        let mut event = TaskEvent::new(place.task.clone(), place.route, status);
        if let Some(item) = place.item {
            let accumulated = loaded.children.item_ended(place, &result);
            event = event.for_item(item, accumulated);
        }
        let event = event.with_result(result);
        let told = self.with_world(loaded, |conductor, world| {
            conductor.task_event(event, world)
        });
        if let Err(refusal) = told {
            tracing::debug!(task = %place.task, %refusal, "the conductor takes no such event");
        }
    }

    fn take_control(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        control: Control,
        turn: &mut Turn,
    ) -> Result<(), ControlError> {
        let status = match control {
            Control::Cancel => Status::Canceled,
            Control::Pause => Status::Paused,
            Control::Resume => Status::Resuming,
        };
        let refused =
            |refusal: squall_workflow::Refusal| ControlError::Refused(refusal.to_string());
        loaded.conductor.request_status(status).map_err(refused)?;
        let active = loaded.children.active().map(|(id, _)| *id);
        match control {
            Control::Cancel => turn.cancels.extend(active),
            Control::Pause | Control::Resume => {
                turn.controls.extend(active.map(|id| (id, control)));
            }
        }
        Ok(())
    }

    /// Asks the tasks again for what the workflow was asked: the first request may be lost.
    fn repeat_requests(self: &Arc<Engine>, loaded: &Loaded, turn: &mut Turn) {
        let active = loaded.children.active().map(|(id, _)| *id);
        match loaded.settled_status(self.env.now()) {
            Status::Canceling => turn.cancels.extend(active),
            Status::Pausing => turn.controls.extend(active.map(|id| (id, Control::Pause))),
            _ => {}
        }
    }

    fn take_deadlines(self: &Arc<Engine>, loaded: &mut Loaded, turn: &mut Turn) {
        let now = self.env.now();
        if loaded
            .execution
            .progress
            .deadline
            .is_some_and(|deadline| deadline <= now)
        {
            if let Err(refusal) = loaded.conductor.timed_out() {
                tracing::debug!(%refusal, "the workflow was over before its time");
            }
            turn.cancels
                .extend(loaded.children.active().map(|(id, _)| *id));
            return;
        }
        // The conductor hears of it when they have ended: until then they do what they do, and a
        // further attempt must not run beside them.
        let is_late = |place: &Place| place.deadline.is_some_and(|deadline| deadline <= now);
        let late = loaded.children.active().filter(|(_, place)| is_late(place));
        turn.cancels.extend(late.map(|(id, _)| *id));
    }

    /// Brings the workflow's own execution in line with the conductor. Gives its end if it has one
    /// and a workflow above it must commit that.
    fn settle_workflow(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        turn: &mut Turn,
    ) -> Option<ChildEnd> {
        let now = self.env.now();
        let status = loaded.settled_status(now);
        let before = Arc::clone(&loaded.execution);
        if before.state().is_ended() {
            return None;
        }
        let mut progress = align(before.progress.clone(), status, now);
        if progress.deadline.is_none()
            && let Some(limit) = loaded.conductor.timeout()
        {
            let limit = std::time::Duration::from_secs(u64::try_from(limit).unwrap_or(0));
            progress.deadline = now.checked_add(limit).ok();
            turn.plan
                .after
                .extend(progress.deadline.map(|at| After::Wake(at, before.id())));
        }
        if progress == before.progress {
            return None;
        }
        let from = before.progress.revision;
        let request = Arc::clone(&before.request);
        let execution = Arc::new(Execution {
            request,
            progress: progress.revised(),
        });
        if !execution.state().is_ended() {
            loaded.execution = Arc::clone(&execution);
            turn.plan.push(Command::UpdateExecution {
                execution,
                from,
                result: None,
            });
            return None;
        }
        let result = self.workflow_result(loaded);
        let result = self.without_secrets(&before, &result);
        let result = squall_runners::mask_values(&loaded.answers, &result);
        // The output may have turned a success into a failure.
        let status = loaded.settled_status(now);
        let progress = align(before.progress.clone(), status, now).revised();
        let execution = Arc::new(Execution {
            request: Arc::clone(&before.request),
            progress,
        });
        loaded.ended = true;
        let end = ChildEnd {
            execution,
            from: Some(from),
            result,
        };
        if end.execution.request.parent.is_some() {
            return Some(end);
        }
        loaded.execution = Arc::clone(&end.execution);
        turn.plan.push(Command::UpdateExecution {
            execution: Arc::clone(&end.execution),
            from,
            result: Some(crate::payload(&end.result)),
        });
        self.announce(&end.execution, &end.result, &mut turn.plan);
        turn.plan.then(After::Ended(Arc::clone(&end.execution)));
        None
    }

    fn workflow_result(self: &Arc<Engine>, loaded: &mut Loaded) -> Value {
        let output = self.with_world(loaded, |conductor, world| conductor.render_output(world));
        let displays_published = self
            .workflow_parameter(loaded, "display_published")
            .is_none_or(|wanted| wanted.is_truthy());
        let Loaded {
            conductor,
            children,
            ..
        } = loaded;
        if let Some(tasks) = children.history() {
            let mut result = squall_value::Dict::new();
            result.insert("tasks", tasks);
            if displays_published {
                result.insert("published", output.as_dict().cloned().unwrap_or_default());
            }
            // That a task has failed is among the tasks.
            let is_of_chain = |error: &&Value| {
                error.get("message").and_then(Value::as_str) != Some(squall_workflow::ACTION_FAILED)
            };
            if let Some(error) = conductor.errors().iter().rfind(is_of_chain) {
                result.insert("error", error.get("message").cloned());
            }
            return Value::from(result);
        }
        let errors = conductor.errors();
        if errors.is_empty() || conductor.status() == Status::Succeeded {
            return dict! { "output" => output };
        }
        dict! { "output" => output, "errors" => errors.iter().cloned().collect::<Value>() }
    }

    fn append_pieces(self: &Arc<Engine>, loaded: &mut Loaded, turn: &mut Turn) {
        let pieces = loaded.conductor.take_pieces();
        let notes = std::mem::take(&mut turn.notes);
        if pieces.is_empty() && notes.is_empty() {
            return;
        }
        let execution = loaded.execution.id();
        let at = loaded.next_piece;
        loaded.next_piece += 1;
        if loaded.stored.is_due(self.settings.pieces_max) {
            let own = [loaded.conductor.snapshot().to_value()];
            let notes = loaded.children.notes();
            let all = own.into_iter().chain(notes.iter().map(Note::to_value));
            let snapshot = self.state_text(loaded.is_secret, &all.collect());
            loaded.stored.replace(snapshot.len());
            turn.plan.push(Command::ReplacePieces {
                execution,
                at,
                snapshot,
            });
            return;
        }
        let values = pieces.iter().map(squall_workflow::Piece::to_value);
        let values = values.chain(notes.iter().map(Note::to_value));
        let text = self.state_text(loaded.is_secret, &values.collect());
        loaded.stored.append(text.len());
        turn.plan.push(Command::AppendPieces {
            execution,
            at,
            pieces: vec![text],
        });
    }

    async fn commit_turn(self: &Arc<Engine>, turn: &mut Turn) -> Result<(), CommitError> {
        let plan = std::mem::take(&mut turn.plan);
        self.carry_out_here(plan).await
    }

    fn after_turn(
        self: &Arc<Engine>,
        live: &Arc<Live>,
        loaded: &mut Loaded,
        turn: Turn,
        end: Option<ChildEnd>,
    ) {
        for (reply, answer) in turn.replies {
            // Whoever asked may have gone.
            let _ = reply.send(answer.map(|()| Arc::clone(&loaded.execution)));
        }
        let cancels = turn.cancels.into_iter().map(|id| (id, Control::Cancel));
        for (id, control) in cancels.chain(turn.controls) {
            let engine = Arc::clone(self);
            self.spawn
                .spawn(Box::pin(async move { engine.pass_on(id, control).await }));
        }
        let parent = loaded.execution.request.parent;
        if let (Some(parent), Some(end)) = (parent, end) {
            self.ending.lock().insert(end.execution.id());
            self.child_ended(parent, end);
        } else if let Some(parent) = parent
            && matches!(
                loaded.execution.state(),
                State::Paused | State::Pausing | State::Running { .. }
            )
            && loaded.told != Some(loaded.execution.state().status())
        {
            loaded.told = Some(loaded.execution.state().status());
            self.deliver(parent, Inbound::Changed(Arc::clone(&loaded.execution)));
        }
        if turn.again {
            live.deliver(Inbound::Look);
        }
        if loaded.ended {
            live.end();
        }
    }

    /// Cancels a child; pauses or resumes it, if it is a workflow.
    async fn pass_on(self: Arc<Engine>, id: ExecutionId, control: Control) {
        let mut wait = crate::ingest::RETRY;
        loop {
            let done = match control {
                Control::Pause => self.pause(id).await,
                Control::Resume => self.resume(id).await,
                Control::Cancel => self.cancel_here(id, "its workflow").await,
            };
            match done {
                Ok(_) => return,
                Err(error) if error.is_temporary() => {
                    tracing::warn!(%id, %error, "a request to a task is made again");
                    self.env.sleep(wait).await;
                    wait = (wait * 2).min(crate::complete::BACK_OFF_MAX);
                }
                Err(error) => {
                    tracing::debug!(%id, %error, "a task takes no such request");
                    return;
                }
            }
        }
    }

    async fn after_failed_turn(
        self: &Arc<Engine>,
        live: &Arc<Live>,
        kept: Vec<Inbound>,
        turn: Turn,
        error: CommitError,
    ) {
        tracing::debug!(id = %live.id(), %error, "a turn was not committed; it is taken again");
        for (reply, _) in turn.replies {
            let _ = reply.send(Err(ControlError::Unavailable(error.to_string())));
        }
        if error.refusal() != Some(&Refusal::Changed) {
            self.env.sleep(crate::ingest::RETRY).await;
        }
        for inbound in kept {
            match inbound {
                Inbound::Ended(end) if end.from.is_some() => {
                    // Decided on a record that may have changed: a cancel may have come between.
                    if let Some(end) = self.end_again(&end).await {
                        live.deliver(Inbound::Ended(end));
                    }
                }
                other => {
                    live.deliver(other);
                }
            }
        }
        live.deliver(Inbound::Look);
    }

    /// The workflow is over or gone: what arrived for it is settled without it.
    async fn turn_away(self: &Arc<Engine>, live: &Arc<Live>, inbox: Vec<Inbound>) {
        live.end();
        for inbound in inbox {
            match inbound {
                Inbound::Ended(end) => self.commit_end_alone(end).await,
                Inbound::Control(_, reply) | Inbound::Decide(_, reply) => {
                    let reason = "the workflow has not begun, or has ended".to_owned();
                    let _ = reply.send(Err(ControlError::Refused(reason)));
                }
                Inbound::Look | Inbound::Audit(_) | Inbound::Changed(_) | Inbound::Due => {}
            }
        }
    }

    /// A workflow that cannot be conducted at all fails with the reason.
    async fn fail_workflow(self: &Arc<Engine>, execution: &Arc<Execution>, reason: &str) {
        let finish = Event::Finish {
            lease: Lease::NONE,
            outcome: Outcome::Failed,
        };
        let progress = step(execution.progress.clone(), finish, self.env.now());
        let result = dict! {
            "output" => Value::Null,
            "errors" => squall_value::list![dict! { "message" => reason, "type" => "content" }],
        };
        let result = self.without_secrets(execution, &result);
        let from = execution.progress.revision;
        let ended = Execution {
            request: Arc::clone(&execution.request),
            progress,
        };
        self.commit_end(from, ended, result).await;
    }
}

/// A task that was canceled or paused takes the whole workflow along; tasks with items must be told,
/// or they would wait for items that nobody starts any more.
fn tell_items(loaded: &mut Loaded) {
    let request = match loaded.conductor.status() {
        Status::Canceling => Status::Canceled,
        Status::Pausing => Status::Paused,
        _ => return,
    };
    if let Err(refusal) = loaded.conductor.request_status(request) {
        tracing::debug!(%refusal, "the conductor takes no such request");
    }
}

/// An execution's state in the conductor's words.
fn conductor_status(state: State) -> Status {
    match state {
        State::Requested => Status::Requested,
        State::Delayed { .. } => Status::Delayed,
        State::Scheduled => Status::Scheduled,
        State::Running { .. } => Status::Running,
        State::Pending => Status::Pending,
        State::Pausing => Status::Pausing,
        State::Paused => Status::Paused,
        State::Resuming => Status::Resuming,
        State::Canceling { .. } => Status::Canceling,
        State::Ended(Outcome::Succeeded) => Status::Succeeded,
        State::Ended(Outcome::Failed) => Status::Failed,
        State::Ended(Outcome::TimedOut) => Status::Timeout,
        State::Ended(Outcome::Abandoned) => Status::Abandoned,
        State::Ended(Outcome::Canceled) => Status::Canceled,
    }
}

/// The progress of a workflow's execution that fits the conductor's status.
fn align(progress: Progress, status: Status, now: Timestamp) -> Progress {
    let lease = Lease::NONE;
    let finish = |outcome| Event::Finish { lease, outcome };
    let events: &[Event] = match (progress.state, status) {
        (State::Running { .. } | State::Resuming, Status::Pausing) => &[Event::Pause],
        (State::Running { .. } | State::Resuming | State::Pausing, Status::Paused) => {
            &[Event::Rest]
        }
        (State::Paused | State::Pausing, Status::Running) => {
            &[Event::Resume, Event::Start { lease }]
        }
        (State::Paused | State::Pausing, Status::Resuming) => &[Event::Resume],
        (State::Resuming, Status::Running) => &[Event::Start { lease }],
        (State::Canceling { .. }, Status::Canceled | Status::Failed | Status::Succeeded) => {
            &[finish(Outcome::Canceled)]
        }
        (State::Ended(_) | State::Canceling { .. }, _) => &[],
        (_, Status::Canceling) => &[Event::Cancel],
        (_, Status::Canceled) => &[Event::Cancel, finish(Outcome::Canceled)],
        (_, Status::Succeeded) => &[finish(Outcome::Succeeded)],
        (_, Status::Failed | Status::Abandoned) => &[finish(Outcome::Failed)],
        (_, Status::Timeout) => &[finish(Outcome::TimedOut)],
        _ => &[],
    };
    events
        .iter()
        .fold(progress, |progress, event| step(progress, *event, now))
}

/// Whether an execution has waited for a person.
fn has_paused(execution: &Execution) -> bool {
    let mut log = execution.progress.log.iter();
    log.any(|entry| {
        matches!(
            entry.status,
            ExecutionStatus::Pending | ExecutionStatus::Paused
        )
    })
}

/// The result of a task that a chain has waited for, as its templates see it: StackStorm puts it
/// beside the one of before the pause, as its `result`, so that an inquiry's answer is found at
/// `ask.result.response`.
fn resumed(result: &Arc<Dict>) -> Value {
    let mut seen = (**result).clone();
    seen.insert("result", Value::Dict(Arc::clone(result)));
    Value::from(seen)
}
