//! Waiting for an execution, with or without its output.

use anyhow::Result;
use squall_client::Client;
use squall_env::Env;

use super::progress::{Progress, Showing};
use crate::follow::{Follow, Tree};
use crate::output::Console;

/// How waiting ended.
pub(crate) enum Waited {
    /// The execution ended, or waits for somebody.
    Ended(Tree),
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// It took longer than there was patience for.
    TimedOut,
}

/// Follows an execution to its end.
pub(crate) async fn wait(
    client: &Client,
    env: &dyn Env,
    console: &mut Console,
    id: &str,
    showing: Showing,
    patience: Option<std::time::Duration>,
) -> Result<Waited> {
    let now = || env.now();
    let mut progress = Progress::new(console, &now, showing);
    let follow = Follow::new(client, env, id, showing.output);
    let waited = {
        let followed = Box::pin(follow.run(&mut progress));
        let timed_out = async {
            match patience {
                Some(patience) => env.sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            tree = followed => tree.map(Waited::Ended),
            () = timed_out => Ok(Waited::TimedOut),
            interrupt = tokio::signal::ctrl_c() => interrupt
                .map(|()| Waited::Interrupted)
                .map_err(Into::into),
        }
    };
    progress.clear();
    waited
}
