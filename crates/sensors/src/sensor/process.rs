//! Starts a sensor's process.

use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::lines::{Line, read_line};
use super::tree::MARKER;
use super::{Level, Ports, Protocol, SensorSpec};

/// The longest line of output that the log gets in one piece.
const LOG_LINE_BYTES_MAX: usize = 8 << 10;

/// Starts the interpreter with the host, or the sensor's own program. The socket is the child's
/// standard input, since a descriptor of another number could only be handed down by leaking it to
/// every process that the server happens to start at that moment; a program of its own writes its
/// standard output there as well.
pub(super) fn spawn(spec: &SensorSpec, marker: &str) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    let mut command = match spec.protocol {
        Protocol::Python => {
            let mut command = Command::new(&spec.interpreter);
            command
                .arg("-u")
                .arg(main_file(spec))
                .stdout(Stdio::piped());
            command
        }
        Protocol::Stdio => {
            make_executable(&spec.entry_point)?;
            let mut command = Command::new(&spec.entry_point);
            command.stdout(Stdio::from(OwnedFd::from(theirs.try_clone()?)));
            command
        }
    };
    command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
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

fn main_file(spec: &SensorSpec) -> PathBuf {
    spec.host.join("squall_sensor_host").join("__main__.py")
}

/// The command line of a sensor's process, for people. It holds no secrets: those travel by the
/// socket.
pub(super) fn command_line(spec: &SensorSpec) -> String {
    match spec.protocol {
        Protocol::Python => {
            let (interpreter, file) = (spec.interpreter.display(), main_file(spec));
            format!("{interpreter} -u {}", file.display())
        }
        Protocol::Stdio => spec.entry_point.display().to_string(),
    }
}

/// Files of packs often come without their execute bit.
fn make_executable(program: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(program)?.permissions().mode();
    if mode & 0o111 != 0 {
        return Ok(());
    }
    std::fs::set_permissions(program, Permissions::from_mode(mode | 0o111))
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
