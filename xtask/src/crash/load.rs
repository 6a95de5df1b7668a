//! The load: threads that send events and requests for as long as the test runs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::ledger::{Kind, Ledger, Sent};
use super::random::Random;
use crate::http::Client;
use crate::server::Server;

/// How long a thread waits before it looks again whether the server is back.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// The longest pause between two requests of a thread, in milliseconds.
const PAUSE_MAX: u64 = 30;

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Load {
    seed: u64,
    effects: String,
    ledger: Mutex<Ledger>,
    numbers: AtomicU64,
    /// The address and the token, while the server may be used; with the number of its start.
    door: Mutex<(u64, Option<(String, String)>)>,
    over: AtomicBool,
}

impl Load {
    /// A load that has not begun. Processes append to the file `effects`.
    pub(crate) fn new(seed: u64, effects: &Path) -> Self {
        Self {
            seed,
            effects: effects.to_string_lossy().into_owned(),
            ledger: Mutex::default(),
            numbers: AtomicU64::new(0),
            door: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    /// What was promised so far.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing that holds the lock leaves the ledger half written.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn door(&self) -> MutexGuard<'_, (u64, Option<(String, String)>)> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the threads use this server.
    pub(crate) fn open(&self, server: &Server) {
        let mut door = self.door();
        *door = (door.0 + 1, Some(server.address_and_token()));
    }

    /// Keeps the threads from sending more; what is under way goes on.
    pub(crate) fn close(&self) {
        self.door().1 = None;
    }

    /// Ends the threads.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// One thread's work, until the load is over.
    pub(crate) fn drive(&self, lane: u64) {
        let mut random = Random::new(self.seed, lane);
        let mut client: Option<(u64, Client)> = None;
        while !self.over.load(Ordering::SeqCst) {
            let step = Step::choose(&mut random);
            let number = match step {
                Step::Event(kind) => Some(self.announce(kind)),
                _ => None,
            };
            // After an error nobody knows whether the server has heard the request. Most senders
            // try again until they are told; some give up.
            loop {
                if self
                    .try_step(&mut client, step, number, &mut random)
                    .is_ok()
                {
                    break;
                }
                client = None;
                let again = number.is_some() && random.below(5) > 0;
                if !again || self.over.load(Ordering::SeqCst) {
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(random.below(PAUSE_MAX)));
        }
    }

    fn announce(&self, kind: Kind) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        let sent = Sent {
            kind,
            acknowledged: None,
        };
        self.ledger().events.insert(number, sent);
        number
    }

    fn try_step(
        &self,
        client: &mut Option<(u64, Client)>,
        step: Step,
        number: Option<u64>,
        random: &mut Random,
    ) -> Result<()> {
        let (start, server) = self.wait_for_server()?;
        if client.as_ref().is_none_or(|(known, _)| *known != start) {
            *client = Some((start, Client::new(&server.0, &server.1)));
        }
        let (_, client) = client.as_mut().context("it was just made")?;
        match (step, number) {
            (Step::Event(_), Some(number)) => self.send_event(client, number),
            (Step::Event(_) | Step::EventAgain, _) => self.send_again(client, random),
            (Step::Execution, _) => self.ask(client, random),
            (Step::Cancel, _) => self.cancel(client, random),
        }
    }

    fn wait_for_server(&self) -> Result<(u64, (String, String))> {
        loop {
            if let (start, Some(server)) = &*self.door() {
                return Ok((*start, server.clone()));
            }
            if self.over.load(Ordering::SeqCst) {
                bail!("the load is over");
            }
            std::thread::sleep(LOOK_PERIOD);
        }
    }

    fn send_event(&self, client: &mut Client, number: u64) -> Result<()> {
        let Some(kind) = self.ledger().events.get(&number).map(|sent| sent.kind) else {
            return Ok(());
        };
        let body = json!({ "number": number, "kind": kind.name(), "effects": self.effects });
        let key = format!("crash-{}-{number}", self.seed);
        let answer = client.post("/v1/webhooks/crash", &[("Idempotency-Key", &key)], &body)?;
        if !answer.is_success() {
            bail!("the event was refused with {}", answer.status);
        }
        let id = answer
            .header("x-squall-event")
            .context("an event has an id")?;
        self.ledger().acknowledge(number, id);
        Ok(())
    }

    /// Sends an event that was acknowledged once more: the answer has to be the same.
    fn send_again(&self, client: &mut Client, random: &mut Random) -> Result<()> {
        let bound = self.numbers.load(Ordering::SeqCst);
        if bound == 0 {
            return Ok(());
        }
        let number = random.below(bound);
        let known = self.ledger().events.get(&number).cloned();
        match known.and_then(|sent| sent.acknowledged) {
            Some(_) => self.send_event(client, number),
            None => Ok(()),
        }
    }

    fn ask(&self, client: &mut Client, random: &mut Random) -> Result<()> {
        let body = match random.below(3) {
            0 => json!({ "action": "core.noop" }),
            1 => json!({ "action": "core.local", "parameters": { "cmd": "sleep 0.3" } }),
            _ => json!({ "action": "core.local", "parameters": { "cmd": "sleep 30" } }),
        };
        let answer = client.post("/v1/executions", &[], &body)?;
        if !answer.is_success() {
            bail!("the execution was refused with {}", answer.status);
        }
        let shown = answer.json()?;
        let id = shown["id"].as_str().context("an execution has an id")?;
        let waits_for_cancel = body["parameters"]["cmd"] == "sleep 30";
        self.ledger().executions.insert(id.to_owned());
        if waits_for_cancel {
            return self.cancel_one(client, id);
        }
        Ok(())
    }

    /// Cancels something that runs, whoever asked for it.
    fn cancel(&self, client: &mut Client, random: &mut Random) -> Result<()> {
        let running = client
            .get("/v1/executions?status=running&limit=20&include_attributes=id")?
            .json()?;
        let running = running.as_array().map_or(&[][..], Vec::as_slice);
        if running.is_empty() {
            return Ok(());
        }
        let chosen = random.below(running.len() as u64);
        let chosen = usize::try_from(chosen)
            .ok()
            .and_then(|index| running.get(index));
        match chosen.and_then(|shown| shown["id"].as_str()) {
            Some(id) => self.cancel_one(client, id),
            None => Ok(()),
        }
    }

    fn cancel_one(&self, client: &mut Client, id: &str) -> Result<()> {
        let answer = client.send("DELETE", &format!("/v1/executions/{id}"), &[], None)?;
        let shown = answer.json().unwrap_or(Value::Null);
        if answer.is_success() && shown.get("faultstring").is_none() {
            self.ledger().canceled.insert(id.to_owned());
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Event(Kind),
    EventAgain,
    Execution,
    Cancel,
}

impl Step {
    fn choose(random: &mut Random) -> Self {
        match random.below(100) {
            0..40 => Self::Event(Kind::Plain),
            40..50 => Self::Event(Kind::Shell),
            50..70 => Self::Event(Kind::Workflow),
            70..76 => Self::Event(Kind::Broken),
            76..84 => Self::EventAgain,
            84..95 => Self::Execution,
            _ => Self::Cancel,
        }
    }
}
