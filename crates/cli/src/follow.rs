//! Following an execution, with all below it, until it ends.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use squall_client::{Client, Error, Event, EventQuery, EventStream, Execution, Output};
use squall_env::Env;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// How many executions' output is read at the same time.
const READERS_MAX: usize = 16;

/// How often a connection that breaks is made again before that is an error.
const ATTEMPTS_MAX: u32 = 10;

/// How often is looked for one who has no right to the stream of events.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// How long output that is on its way may take after the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

/// An execution and those below it, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    executions: HashMap<String, Execution>,
    order: Vec<String>,
}

impl Tree {
    /// The top and all below it.
    pub(crate) fn new(root: Execution, below: Vec<Execution>) -> Tree {
        let mut tree = Tree::default();
        tree.insert(root);
        for execution in below {
            tree.insert(execution);
        }
        tree
    }

    fn insert(&mut self, execution: Execution) {
        let id = execution.id().to_owned();
        if self.executions.insert(id.clone(), execution).is_none() {
            self.order.push(id);
        }
    }

    pub(crate) fn root(&self) -> Option<&Execution> {
        self.order.first().and_then(|id| self.get(id))
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Execution> {
        self.executions.get(id)
    }

    /// Those directly below, oldest first.
    pub(crate) fn below(&self) -> HashMap<&str, Vec<&Execution>> {
        let mut below: HashMap<&str, Vec<&Execution>> = HashMap::new();
        for id in self.order.iter().skip(1) {
            if let Some(execution) = self.get(id) {
                below.entry(execution.parent()).or_default().push(execution);
            }
        }
        for children in below.values_mut() {
            children.sort_by(|a, b| (a.started(), a.id()).cmp(&(b.started(), b.id())));
        }
        below
    }

    fn belongs(&self, execution: &Execution) -> bool {
        self.executions.contains_key(execution.id())
            || self.executions.contains_key(execution.parent())
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}

/// What was learned.
#[derive(Debug)]
pub(crate) enum Happening {
    /// An execution of the tree is new or has changed its status.
    Changed(String),
    /// An execution printed something.
    Printed(Output),
    /// An execution will print nothing more.
    Silent(String),
}

/// Who is told.
pub(crate) trait Watcher {
    /// Told of each happening, in order.
    fn see(&mut self, tree: &Tree, happening: &Happening) -> Result<()>;
}

/// Follows executions on one server.
pub(crate) struct Follow<'a> {
    client: &'a Client,
    env: &'a dyn Env,
    root: String,
    tree: Tree,
    readers: Option<Readers>,
    last_event: Option<String>,
}

impl<'a> Follow<'a> {
    /// `output`: whether what they print is wanted.
    pub(crate) fn new(
        client: &'a Client,
        env: &'a dyn Env,
        root: &str,
        output: bool,
    ) -> Follow<'a> {
        Follow {
            client,
            env,
            root: root.to_owned(),
            tree: Tree::default(),
            readers: output.then(|| Readers::new(client.clone())),
            last_event: None,
        }
    }

    /// Tells `watcher` of everything until the execution ends or waits for somebody; gives the tree
    /// as it is then.
    pub(crate) async fn run(mut self, watcher: &mut dyn Watcher) -> Result<Tree> {
        let mut attempts = 0;
        loop {
            match self.round(watcher, &mut attempts).await {
                Ok(()) => break,
                Err(error) => {
                    let network = error.downcast_ref::<Error>().is_some_and(Error::is_network);
                    // Never reached at all: that is for the caller to tell.
                    if !network || self.tree.len() == 0 || attempts >= ATTEMPTS_MAX {
                        return Err(error);
                    }
                }
            }
            let wait = Duration::from_millis(200) * 2_u32.pow(attempts.min(5));
            attempts += 1;
            self.env.sleep(wait).await;
        }
        self.drain(watcher).await?;
        let root = self.client.execution(&self.root).await?;
        let below = if root.is_workflow() {
            self.client.children(&self.root).await?
        } else {
            Vec::new()
        };
        Ok(Tree::new(root, below))
    }

    /// One connection: until the end (`Ok`), or until it breaks.
    async fn round(&mut self, watcher: &mut dyn Watcher, attempts: &mut u32) -> Result<()> {
        let first = self.client.execution(&self.root).await?;
        let mut stream = match self.connect(&first).await {
            Ok(stream) => stream,
            // Who may run an action may not always listen.
            Err(Error::Refused { status: 403, .. }) => {
                return self.keep_looking(first.is_workflow(), watcher).await;
            }
            Err(error) => return Err(error.into()),
        };
        // After the stream, so that nothing falls between.
        self.look_again(first.is_workflow(), watcher).await?;
        while !self.is_over() {
            let next = next(&mut stream, self.readers.as_mut());
            match next.await? {
                Next::Event(event) => {
                    *attempts = 0;
                    self.take(&event, watcher)?;
                }
                Next::Happening(happening) => watcher.see(&self.tree, &happening)?,
                Next::End => {
                    self.look_again(first.is_workflow(), watcher).await?;
                    if !self.is_over() {
                        return Err(self.cut_off().into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks again and again until the end, and tells meanwhile what is printed.
    async fn keep_looking(&mut self, workflow: bool, watcher: &mut dyn Watcher) -> Result<()> {
        loop {
            self.look_again(workflow, watcher).await?;
            if self.is_over() {
                return Ok(());
            }
            let env = self.env;
            let mut pause = pin!(env.sleep(LOOK_PERIOD));
            loop {
                let Some(readers) = &mut self.readers else {
                    pause.await;
                    break;
                };
                tokio::select! {
                    () = &mut pause => break,
                    Some(happening) = readers.next() => watcher.see(&self.tree, &happening)?,
                }
            }
        }
    }

    fn cut_off(&self) -> Error {
        Error::Answer {
            url: self.client.endpoints().stream().to_owned(),
            reason: "the stream of events ended before the execution did".to_owned(),
        }
    }

    async fn connect(&self, root: &Execution) -> Result<EventStream, Error> {
        let events = ["st2.execution__create", "st2.execution__update"];
        // Tasks to come have no ids yet that could be asked for.
        let executions = if root.is_workflow() {
            Vec::new()
        } else {
            vec![root.id().to_owned()]
        };
        let query = EventQuery {
            events: events.map(str::to_owned).to_vec(),
            executions,
            end_execution: Some(root.id().to_owned()),
            after: self.last_event.clone(),
        };
        self.client.events(&query).await
    }

    async fn look_again(&mut self, workflow: bool, watcher: &mut dyn Watcher) -> Result<()> {
        let root = self.client.execution(&self.root).await?;
        root.id().clone_into(&mut self.root);
        self.changed(root, watcher)?;
        if workflow {
            for execution in self.client.children(&self.root).await? {
                self.changed(execution, watcher)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Event, watcher: &mut dyn Watcher) -> Result<()> {
        if event.id.is_some() {
            self.last_event.clone_from(&event.id);
        }
        if !event.name.starts_with("st2.execution__") {
            return Ok(());
        }
        let execution = Execution::new(event.value());
        if self.tree.belongs(&execution) {
            self.changed(execution, watcher)?;
        }
        Ok(())
    }

    fn changed(&mut self, execution: Execution, watcher: &mut dyn Watcher) -> Result<()> {
        let id = execution.id().to_owned();
        let known = self.tree.get(&id);
        // A look-up and the stream may tell the same; what has ended stays so.
        if known.is_some_and(|known| {
            known.status() == execution.status() || (known.is_ended() && !execution.is_ended())
        }) {
            return Ok(());
        }
        if let Some(readers) = &mut self.readers
            && !execution.is_workflow()
        {
            readers.read(&id);
        }
        self.tree.insert(execution);
        watcher.see(&self.tree, &Happening::Changed(id))
    }

    fn is_over(&self) -> bool {
        self.tree
            .root()
            .is_some_and(|root| root.is_ended() || root.is_waiting())
    }

    /// Hears out what is still being printed.
    async fn drain(&mut self, watcher: &mut dyn Watcher) -> Result<()> {
        let ended = self.tree.root().is_some_and(Execution::is_ended);
        let Some(readers) = self.readers.as_mut().filter(|_| ended) else {
            return Ok(());
        };
        let tree = &self.tree;
        let hear = async {
            while let Some(happening) = readers.next().await {
                watcher.see(tree, &happening)?;
            }
            Ok(())
        };
        // Who prints nothing within this time is left alone: the record has it.
        tokio::time::timeout(DRAIN_WITHIN, hear)
            .await
            .unwrap_or(Ok(()))
    }
}

enum Next {
    Event(Event),
    Happening(Happening),
    End,
}

async fn next(stream: &mut EventStream, readers: Option<&mut Readers>) -> Result<Next, Error> {
    let heard = async {
        match readers {
            Some(readers) => match readers.next().await {
                Some(happening) => happening,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // Output first: an end that is known hides nothing that was printed before it.
        biased;
        happening = heard => Ok(Next::Happening(happening)),
        event = stream.next() => Ok(event?.map_or(Next::End, Next::Event)),
    }
}

/// Reads the output of many executions, a few at a time.
struct Readers {
    client: Client,
    tasks: JoinSet<()>,
    known: HashSet<String>,
    places: Arc<Semaphore>,
    sender: mpsc::Sender<Happening>,
    receiver: mpsc::Receiver<Happening>,
}

impl Readers {
    fn new(client: Client) -> Readers {
        let (sender, receiver) = mpsc::channel(256);
        Readers {
            client,
            tasks: JoinSet::new(),
            known: HashSet::new(),
            places: Arc::new(Semaphore::new(READERS_MAX)),
            sender,
            receiver,
        }
    }

    fn read(&mut self, id: &str) {
        if !self.known.insert(id.to_owned()) {
            return;
        }
        let (client, sender) = (self.client.clone(), self.sender.clone());
        let (places, id) = (Arc::clone(&self.places), id.to_owned());
        self.tasks.spawn(async move {
            let Ok(_place) = places.acquire().await else {
                return;
            };
            // Output that breaks off is incomplete, not wrong; the result has the whole.
            let _ = read_output(&client, &id, &sender).await;
            let _ = sender.send(Happening::Silent(id)).await;
        });
    }

    /// What was printed next; `None` when nobody prints any more.
    async fn next(&mut self) -> Option<Happening> {
        loop {
            if let Ok(happening) = self.receiver.try_recv() {
                return Some(happening);
            }
            if self.tasks.is_empty() {
                return self.receiver.try_recv().ok();
            }
            tokio::select! {
                Some(happening) = self.receiver.recv() => return Some(happening),
                _ = self.tasks.join_next() => {}
            }
        }
    }
}

async fn read_output(
    client: &Client,
    id: &str,
    sender: &mpsc::Sender<Happening>,
) -> Result<(), Error> {
    let mut stream = client.output_events(id).await?;
    while let Some(event) = stream.next().await? {
        if event.name == "EOF" {
            break;
        }
        let output = Output::new(event.value());
        if sender.send(Happening::Printed(output)).await.is_err() {
            break;
        }
    }
    Ok(())
}
