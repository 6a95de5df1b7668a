//! Work that may keep a processor busy for a while, beside the threads on which requests are answered
//! and the server says that it lives.

use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// How many such pieces of work are done at the same time; the others wait.
const AT_ONCE: usize = 2;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Does what others must not wait for: matching of texts and patterns that anybody may have written.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let place = PLACES.acquire().await;
    let work = move || {
        // Until it is done, also if nobody waits for it any more.
        let _place = place;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn others_are_answered_meanwhile() {
        let (go, wait) = std::sync::mpsc::channel();
        let work = tokio::spawn(aside(move || wait.recv()));
        // One thread runs all of this: it comes here only if the work does not hold it.
        tokio::task::yield_now().await;
        go.send(7).unwrap();
        assert_eq!(work.await.unwrap().unwrap(), Ok(7));
    }
}
