//! Runs a program over a session, and ends it.

use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, Sig};
use squall_model::OutputStream;

use super::program::Program;
use crate::host::Host;
use crate::output::Collector;
use crate::port::CancelSignal;
use crate::process::run::after;

/// What the other side may take to end what survives SIGTERM, and to say so, beyond the grace.
const END_PATIENCE: Duration = Duration::from_secs(8);
/// The number of the stream for errors.
const STDERR: u32 = 1;

/// Why a remote command is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The exit code, or the negated number of a signal.
    Exited(i32),
    TimedOut,
    Canceled,
    /// The host refused to start it.
    Refused,
    /// The connection was lost; the other side ends the command when it sees that.
    Lost,
}

/// What came of a remote command.
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `program` to its end. After a timeout or a cancel, the other side has ended all that it
/// started, or has not answered for a long time.
pub(crate) async fn run(
    host: &Host,
    channel: Channel<Msg>,
    program: Program,
    collector: &Collector,
    timeout: Option<Duration>,
    cancel: &CancelSignal,
) -> Ended {
    let mut stdout = collector.reader(OutputStream::Stdout);
    let mut stderr = collector.reader(OutputStream::Stderr);
    let (mut read, write) = channel.split();
    let feed = async {
        write.exec(true, program.line).await?;
        write.data_bytes(program.input).await
    };
    let timer = after(host, timeout);
    tokio::pin!(feed, timer);
    let mut is_fed = false;
    let mut end: Option<End> = None;
    // Set when what has to come must come within a time.
    let patience = after(host, None);
    let mut patience: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(patience);
    loop {
        let is_running = end.is_none();
        tokio::select! {
            biased;
            message = read.wait() => match message {
                Some(ChannelMsg::Data { data }) => stdout.take(&data).await,
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => stderr.take(&data).await,
                Some(ChannelMsg::ExitStatus { exit_status }) if is_running => {
                    end = Some(End::Exited(i32::try_from(exit_status).unwrap_or(-1)));
                    patience = Box::pin(after(host, Some(host.settings.drain)));
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) if is_running => {
                    end = Some(End::Exited(-number_of(&signal_name)));
                    patience = Box::pin(after(host, Some(host.settings.drain)));
                }
                Some(ChannelMsg::Failure) if is_running => {
                    end = Some(End::Refused);
                    break;
                }
                Some(ChannelMsg::Close) | None => break,
                Some(_) => {}
            },
            fed = &mut feed, if !is_fed => {
                is_fed = true;
                if fed.is_err() {
                    break;
                }
            }
            () = cancel.canceled(), if is_running => {
                end = Some(End::Canceled);
                patience = Box::pin(give_up(host));
                let _ = write.eof().await;
            }
            () = &mut timer, if is_running => {
                end = Some(End::TimedOut);
                patience = Box::pin(give_up(host));
                let _ = write.eof().await;
            }
            () = &mut patience => break,
        }
    }
    // Whoever is gone needs no goodbye.
    let _ = write.close().await;
    Ended {
        end: end.unwrap_or(End::Lost),
        stdout: stdout.finish().await,
        stderr: stderr.finish().await,
    }
}

async fn give_up(host: &Host) {
    host.env.sleep(host.settings.grace + END_PATIENCE).await;
}

fn number_of(signal: &Sig) -> i32 {
    use nix::sys::signal::Signal;
    let signal = match signal {
        Sig::ABRT => Signal::SIGABRT,
        Sig::ALRM => Signal::SIGALRM,
        Sig::FPE => Signal::SIGFPE,
        Sig::HUP => Signal::SIGHUP,
        Sig::ILL => Signal::SIGILL,
        Sig::INT => Signal::SIGINT,
        Sig::KILL => Signal::SIGKILL,
        Sig::PIPE => Signal::SIGPIPE,
        Sig::QUIT => Signal::SIGQUIT,
        Sig::SEGV => Signal::SIGSEGV,
        Sig::TERM => Signal::SIGTERM,
        Sig::USR1 => Signal::SIGUSR1,
        Sig::Custom(_) => return 1,
    };
    signal as i32
}
