//! What a running action prints, on its way into the store.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use squall_model::{ExecutionId, OutputChunk, OutputStream};
use squall_runners::{Output, OutputSink};
use squall_store::Command;
use squall_value::Str;
use tokio::sync::{mpsc, oneshot};

use crate::Engine;

/// How many chunks may wait for the store before the process is slowed down.
const WAITING_MAX: usize = 256;

/// Takes an execution's output and commits it in batches: whatever arrived while the last batch was
/// being committed is the next one.
pub(crate) struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Arc<Engine>,
    id: ExecutionId,
    writer: Mutex<Writer>,
}

/// Most actions print little or nothing, so the writer begins with the first chunk.
enum Writer {
    Idle,
    Busy(mpsc::Sender<OutputChunk>, oneshot::Receiver<()>),
}

impl Sink {
    pub(crate) fn new(engine: &Arc<Engine>, id: ExecutionId) -> Sink {
        let engine = Arc::clone(engine);
        Sink {
            shared: Arc::new(Shared {
                engine,
                id,
                writer: Mutex::new(Writer::Idle),
            }),
        }
    }

    /// The runner's side.
    pub(crate) fn port(&self) -> OutputSink {
        Arc::clone(&self.shared) as OutputSink
    }

    /// Waits until everything is stored.
    pub(crate) async fn close(self) {
        let writer = std::mem::replace(&mut *self.shared.writer.lock(), Writer::Idle);
        if let Writer::Busy(sender, done) = writer {
            drop(sender);
            // The writer is gone only when it has stored all, or the server is being torn down.
            let _ = done.await;
        }
    }
}

impl Shared {
    fn sender(self: &Shared) -> mpsc::Sender<OutputChunk> {
        let mut writer = self.writer.lock();
        if let Writer::Busy(sender, _) = &*writer {
            return sender.clone();
        }
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let (finished, done) = oneshot::channel();
        let engine = Arc::clone(&self.engine);
        let id = self.id;
        self.engine.spawn.spawn(Box::pin(async move {
            store_output(&engine, id, receiver).await;
            // Nobody waits any more when the execution was torn down.
            let _ = finished.send(());
        }));
        *writer = Writer::Busy(sender.clone(), done);
        sender
    }
}

#[async_trait]
impl Output for Shared {
    async fn write(&self, stream: OutputStream, text: Str) {
        let chunk = OutputChunk {
            stream,
            at: self.engine.env.now(),
            text,
        };
        // A closed channel means that the execution has ended; late output has no place.
        let _ = self.sender().send(chunk).await;
    }
}

async fn store_output(
    engine: &Arc<Engine>,
    id: ExecutionId,
    mut receiver: mpsc::Receiver<OutputChunk>,
) {
    let mut at = 0;
    loop {
        let mut chunks = Vec::new();
        if receiver.recv_many(&mut chunks, WAITING_MAX).await == 0 {
            return;
        }
        let chunks = Arc::new(chunks);
        loop {
            let append = Command::AppendOutput {
                execution: id,
                at,
                chunks: Arc::clone(&chunks),
            };
            match engine.commit(vec![append]).await {
                Ok(()) => break,
                Err(squall_store::CommitError::Refused { .. }) => {
                    match stored_output(engine, id, at, &chunks).await {
                        // An earlier attempt was stored although its answer was lost.
                        Stored::Same => break,
                        // An earlier run of the same execution has printed.
                        Stored::Other(count) => at += count,
                        Stored::Nothing => return,
                    }
                }
                Err(error) => {
                    tracing::warn!(%id, %error, "output waits for the store");
                    engine.env.sleep(crate::ingest::RETRY).await;
                }
            }
        }
        at += chunks.len() as u64;
    }
}

/// What is stored in the place that chunks were meant for.
enum Stored {
    /// The very same.
    Same,
    /// So many others.
    Other(u64),
    /// Nothing, so there is no place for output at all.
    Nothing,
}

async fn stored_output(
    engine: &Arc<Engine>,
    id: ExecutionId,
    at: u64,
    chunks: &Arc<Vec<OutputChunk>>,
) -> Stored {
    loop {
        match engine.store.output(id, at, chunks.len()).await {
            Ok(stored) if stored.is_empty() => return Stored::Nothing,
            Ok(stored) if stored == **chunks => return Stored::Same,
            Ok(stored) => return Stored::Other(stored.len() as u64),
            Err(error) => {
                tracing::warn!(%id, %error, "output waits for the store");
                engine.env.sleep(crate::ingest::RETRY).await;
            }
        }
    }
}
