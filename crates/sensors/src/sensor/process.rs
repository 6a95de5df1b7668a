//! Starts a sensor's process.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;

use tokio::io::{AsyncRead, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::lines::{Line, read_line};
use super::tree::MARKER;
use super::{Level, Ports, SensorSpec};

/// The longest line of output that the log gets in one piece.
const LOG_LINE_BYTES_MAX: usize = 8 << 10;

/// Starts the interpreter with the host. The socket is the child's standard input, since a
/// descriptor of another number could only be handed down by leaking it to every process that the
/// server happens to start at that moment.
pub(super) fn spawn(spec: &SensorSpec, marker: &str) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    let mut command = Command::new(&spec.interpreter);
    command
        .arg("-u")
        .arg(spec.host.join("squall_sensor_host").join("__main__.py"))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .current_dir(spec.working_directory.as_deref().unwrap_or("/".as_ref()))
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SQUALL_") {
            command.env_remove(name);
        }
    }
    command
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .env(MARKER, marker);
    let child = command.spawn()?;
    ours.set_nonblocking(true)?;
    Ok((child, UnixStream::from_std(ours)?))
}

/// Sends what the process prints to the log, until it prints no more.
pub(super) async fn log_output(
    output: impl AsyncRead + Unpin,
    spec_reference: squall_value::Str,
    stream: &'static str,
    ports: Ports,
) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        match read_line(&mut reader, &mut line, LOG_LINE_BYTES_MAX).await {
            Ok(Line::Whole | Line::Part) => {
                let text = String::from_utf8_lossy(&line);
                ports
                    .log
                    .line(&spec_reference, Level::Info, stream, text.trim_end());
            }
            Ok(Line::End) | Err(_) => return,
        }
    }
}
