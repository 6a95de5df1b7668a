//! The ends of executions, as the event stream tells them.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::http::{Client, Events};

/// Longer than anything here takes: then the server has lost the execution.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Statuses that nothing follows.
const ENDED: [&str; 5] = ["succeeded", "failed", "timeout", "abandoned", "canceled"];

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<String, SyncSender<String>>,
    /// Ends that were told before somebody waited for them, with the status.
    early: HashMap<String, String>,
    /// What was told already: a create and an update may both show the end.
    told: HashSet<String>,
}

/// What is read of an event.
#[derive(Debug, Deserialize)]
struct Told {
    id: String,
    status: String,
    trigger_instance: Option<Cause>,
}

#[derive(Debug, Deserialize)]
struct Cause {
    id: String,
}

/// Who waits for which end.
#[derive(Debug, Default)]
pub(crate) struct Ends(Mutex<State>);

impl Ends {
    /// Listens to the ends of one action's executions, from now on. They are known by their id and,
    /// when a rule made them, by the event's id too.
    ///
    /// # Errors
    ///
    /// When the stream can't be opened.
    pub(crate) fn listen(client: &Client, action: &str) -> Result<Arc<Self>> {
        let path = format!("/stream/v1/stream?events=st2.execution__update&action_refs={action}");
        let events = client.events(&path)?;
        let ends = Arc::new(Self::default());
        let told = Arc::clone(&ends);
        // The thread ends with the server, which ends the stream.
        std::thread::spawn(move || told.follow(events));
        Ok(ends)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the state half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, mut events: Events) {
        while let Ok(Some(event)) = events.next() {
            let Ok(shown) = serde_json::from_str::<Told>(&event.data) else {
                continue;
            };
            let (id, status) = (&*shown.id, &*shown.status);
            if !ENDED.contains(&status) || !self.state().told.insert(id.to_owned()) {
                continue;
            }
            let event = shown.trigger_instance.as_ref().map(|event| &*event.id);
            self.tell(event.unwrap_or(id), status);
        }
    }

    fn tell(&self, key: &str, status: &str) {
        let mut state = self.state();
        match state.waiting.remove(key) {
            // Whoever has stopped waiting needs no answer.
            Some(waiting) => drop(waiting.try_send(status.to_owned())),
            None => drop(state.early.insert(key.to_owned(), status.to_owned())),
        }
    }

    /// Waits for the end of an execution, or of the execution that answers an event.
    ///
    /// # Errors
    ///
    /// When it doesn't come in time, or isn't a success.
    pub(crate) fn wait(&self, key: &str) -> Result<()> {
        let status = match self.subscribe(key) {
            Ok(status) => status,
            Err(receiver) => receiver
                .recv_timeout(WAIT_MAX)
                .with_context(|| format!("the end of {key} was never told"))?,
        };
        anyhow::ensure!(status == "succeeded", "{key} ended as {status}");
        Ok(())
    }

    fn subscribe(&self, key: &str) -> Result<String, Receiver<String>> {
        let mut state = self.state();
        if let Some(status) = state.early.remove(key) {
            return Ok(status);
        }
        let (sender, receiver) = sync_channel(1);
        state.waiting.insert(key.to_owned(), sender);
        Err(receiver)
    }
}
