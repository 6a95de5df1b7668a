//! Warm interpreters, one for each Python installation, that fork a process for each action.
//!
//! The protocol is described in `python/squall_host.py`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, recv, sendmsg, shutdown,
    socketpair,
};
use parking_lot::Mutex;
use squall_value::{Value, dict, json};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::host::Host;

/// More interpreters than this are not kept warm.
const ZYGOTES_MAX: usize = 16;
const MESSAGE_BYTES_MAX: usize = 4096;

/// How often is looked whether an unused interpreter is still wanted.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// Why there is no forked process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Error {
    /// Nothing was started: a fresh process may be.
    NotStarted,
    /// It may have been started and is not to be started again.
    Lost,
}

/// A process that was forked for a job.
pub(crate) struct Forked {
    pub(crate) pid: i32,
    pub(crate) stdout: Option<pipe::Receiver>,
    pub(crate) stderr: Option<pipe::Receiver>,
    code: oneshot::Receiver<i32>,
    /// Keeps the interpreter: its process is the one that learns of the end.
    _zygote: Arc<Zygote>,
}

impl Forked {
    /// Waits for the exit code; `None` if nobody can tell it any more.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        (&mut self.code).await.ok()
    }
}

/// What an interpreter was made of: if it changes, another is needed.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    python: PathBuf,
    library: PathBuf,
    changed: [Option<SystemTime>; 2],
}

impl Key {
    fn new(python: &Path, library: &Path) -> Key {
        let config = python
            .parent()
            .and_then(Path::parent)
            .map(|dir| dir.join("pyvenv.cfg"));
        let changed = |path: &Path| {
            std::fs::metadata(path)
                .and_then(|meta| meta.modified())
                .ok()
        };
        Key {
            python: python.to_owned(),
            library: library.to_owned(),
            changed: [changed(python), config.and_then(|path| changed(&path))],
        }
    }
}

/// All warm interpreters of a server.
pub(crate) struct Pool {
    host: Arc<Host>,
    zygotes: Arc<Mutex<HashMap<Key, Arc<Zygote>>>>,
}

struct Zygote {
    /// Of whole messages, though tokio knows it as a stream.
    socket: UnixStream,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_number: i64,
    waiting: HashMap<i64, Waiting>,
    /// It runs and listens. Before that it has forked nothing, whatever it was sent.
    is_ready: bool,
    is_gone: bool,
}

struct Waiting {
    /// Told the pid, or nothing if there could be no process.
    pid: Option<oneshot::Sender<Option<i32>>>,
    code: oneshot::Sender<i32>,
}

impl Pool {
    pub(crate) fn new(host: Arc<Host>) -> Pool {
        Pool {
            host,
            zygotes: Arc::default(),
        }
    }

    /// Forks a process for the job in `document`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub(crate) async fn fork(
        &self,
        python: &Path,
        library: &Path,
        document: &File,
        result: &File,
    ) -> Result<Forked, Error> {
        let zygote = self.zygote(python, library).map_err(|error| {
            tracing::warn!(%error, python = %python.display(), "no warm interpreter");
            Error::NotStarted
        })?;
        zygote.fork(document, result).await
    }

    /// The interpreter for `python`, started if there is none.
    fn zygote(&self, python: &Path, library: &Path) -> io::Result<Arc<Zygote>> {
        let key = Key::new(python, library);
        let mut zygotes = self.zygotes.lock();
        if let Some(zygote) = zygotes
            .get(&key)
            .filter(|zygote| !zygote.state.lock().is_gone)
        {
            return Ok(zygote.clone());
        }
        if zygotes.len() >= ZYGOTES_MAX {
            let idle = zygotes.iter().find(|(_, zygote)| zygote.is_idle());
            if let Some(idle) = idle.map(|(key, _)| key.clone())
                && let Some(zygote) = zygotes.remove(&idle)
            {
                zygote.retire();
            }
        }
        let (zygote, child) = Zygote::start(&self.host, python, library)?;
        zygotes.insert(key.clone(), zygote.clone());
        let (zygotes, kept, host) = (self.zygotes.clone(), zygote.clone(), self.host.clone());
        tokio::spawn(async move {
            kept.serve(&host, &key, child).await;
            let mut zygotes = zygotes.lock();
            if zygotes
                .get(&key)
                .is_some_and(|known| Arc::ptr_eq(known, &kept))
            {
                zygotes.remove(&key);
            }
        });
        Ok(zygote)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for zygote in self.zygotes.lock().values() {
            zygote.retire();
        }
    }
}

impl Zygote {
    fn start(host: &Host, python: &Path, library: &Path) -> io::Result<(Arc<Zygote>, Child)> {
        let (ours, theirs) = socket_pair()?;
        nix::fcntl::fcntl(
            &ours,
            nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
        )?;
        let settings = &host.settings;
        let child = Command::new(python)
            .args(arguments(library))
            .env_clear()
            .envs(settings.base_env.iter().map(|(name, value)| (name, value)))
            .env(crate::process::SERVER_MARK, &settings.server_id)
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let zygote = Arc::new(Zygote {
            socket: UnixStream::from_std(ours.into())?,
            state: Mutex::default(),
        });
        Ok((zygote, child))
    }

    async fn fork(self: Arc<Zygote>, document: &File, result: &File) -> Result<Forked, Error> {
        let pipes = || Ok::<_, io::Error>((pipe::pipe()?, pipe::pipe()?));
        let ((stdout, to_stdout), (stderr, to_stderr)) = pipes()
            .and_then(|(out, err)| {
                Ok((
                    (out.1, out.0.into_blocking_fd()?),
                    (err.1, err.0.into_blocking_fd()?),
                ))
            })
            .map_err(|_| Error::NotStarted)?;
        let (pid_sender, pid) = oneshot::channel();
        let (code_sender, code) = oneshot::channel();
        let number = {
            let mut state = self.state.lock();
            if state.is_gone {
                return Err(Error::NotStarted);
            }
            state.last_number += 1;
            let number = state.last_number;
            let waiting = Waiting {
                pid: Some(pid_sender),
                code: code_sender,
            };
            state.waiting.insert(number, waiting);
            number
        };
        let message = dict! { "id" => number, "fork" => true }.to_json();
        let files = [document, result].map(AsRawFd::as_raw_fd);
        let files = [
            files[0],
            files[1],
            to_stdout.as_raw_fd(),
            to_stderr.as_raw_fd(),
        ];
        if self.send(&message, &files).await.is_err() {
            self.state.lock().waiting.remove(&number);
            return Err(Error::NotStarted);
        }
        drop((to_stdout, to_stderr));
        let pid = pid.await.map_err(|_| match self.state.lock().is_ready {
            true => Error::Lost,
            false => Error::NotStarted,
        })?;
        let pid = pid.ok_or(Error::NotStarted)?;
        Ok(Forked {
            pid,
            stdout: Some(stdout),
            stderr: Some(stderr),
            code,
            _zygote: self,
        })
    }

    async fn send(&self, message: &str, files: &[RawFd]) -> io::Result<()> {
        let socket = &self.socket;
        let attempt = || send(socket.as_raw_fd(), message, files);
        socket.async_io(Interest::WRITABLE, attempt).await
    }

    fn is_idle(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }

    /// Makes the interpreter end: it sees the end of its socket.
    fn retire(&self) {
        self.state.lock().is_gone = true;
        // Fails only if the other side is gone already.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }

    /// Hands out what the interpreter says, until it is gone, was idle for long, or stands for an
    /// environment that was changed or removed.
    async fn serve(&self, host: &Host, key: &Key, mut child: Child) {
        let mut idle = Duration::ZERO;
        loop {
            let pause = LOOK_PERIOD.min(host.settings.idle);
            tokio::select! {
                message = self.receive() => match message {
                    Some(message) => {
                        self.hand_out(&message);
                        idle = Duration::ZERO;
                    }
                    None => break,
                },
                () = host.env.sleep(pause) => {
                    idle += pause;
                    let is_needed = idle < host.settings.idle
                        && Key::new(&key.python, &key.library) == *key;
                    let mut state = self.state.lock();
                    if !is_needed && state.waiting.is_empty() {
                        state.is_gone = true;
                        break;
                    }
                }
            }
        }
        self.retire();
        // Dropping the senders tells those who wait.
        self.state.lock().waiting.clear();
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "waiting for a Python host failed");
        }
    }

    async fn receive(&self) -> Option<Value> {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        let read = self.socket.async_io(Interest::READABLE, || {
            Ok(recv(
                self.socket.as_raw_fd(),
                &mut buffer,
                MsgFlags::empty(),
            )?)
        });
        match read.await {
            Ok(0) | Err(_) => None,
            Ok(count) => json::read_bytes(&buffer[..count]).ok(),
        }
    }

    fn hand_out(&self, message: &Value) {
        let number = |key: &str| message.get(key).and_then(Value::as_int);
        let Some(id) = number("id") else {
            self.state.lock().is_ready = true;
            return;
        };
        let small = |key| number(key).and_then(|number| i32::try_from(number).ok());
        let mut state = self.state.lock();
        // Whoever waited may have given up; nothing is to be done then.
        if let Some(pid) = small("pid") {
            let sender = state
                .waiting
                .get_mut(&id)
                .and_then(|known| known.pid.take());
            sender.map(|sender| sender.send(Some(pid)));
        } else if let Some(reason) = message.get("refused").and_then(Value::as_str) {
            tracing::warn!(reason, "a warm interpreter can't fork");
            let waiting = state.waiting.remove(&id);
            waiting.map(|known| known.pid.map(|pid| pid.send(None)));
        } else if let Some(code) = small("code") {
            state.waiting.remove(&id).map(|known| known.code.send(code));
        }
    }
}

pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SockType::SeqPacket;
    Ok(socketpair(
        AddressFamily::Unix,
        kind,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Tells an interpreter that is yet to be started to become the action in `document`.
pub(crate) fn send_fresh(socket: &OwnedFd, document: &File, result: &File) -> io::Result<()> {
    let message = dict! { "id" => 0, "fork" => false }.to_json();
    send(
        socket.as_raw_fd(),
        &message,
        &[document, result].map(AsRawFd::as_raw_fd),
    )
}

fn send(socket: RawFd, message: &str, files: &[RawFd]) -> io::Result<()> {
    let content = [IoSlice::new(message.as_bytes())];
    let files = [ControlMessage::ScmRights(files)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    match sendmsg::<()>(socket, &content, &files, flags, None) {
        Err(Errno::EAGAIN) => Err(io::ErrorKind::WouldBlock.into()),
        sent => Ok(sent.map(|_| ())?),
    }
}

/// The arguments of an interpreter: UTF-8 whatever the locale says, and output at once.
pub(crate) fn arguments(library: &Path) -> Vec<OsString> {
    let host = library.join("squall_host.py");
    vec!["-X".into(), "utf8".into(), "-u".into(), host.into()]
}
