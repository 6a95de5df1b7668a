//! `local-shell-cmd` and `local-shell-script`: commands and scripts on this machine.

pub(crate) mod arguments;
mod command;
mod script;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use squall_model::Outcome as Ending;
use squall_value::{Dict, Value, json, python};

use crate::host::Host;
use crate::mask::Masker;
use crate::port::{Job, Outcome, Verdict};
use crate::process::run::{End, Ended};
use crate::process::tree::Sudo;

pub(crate) use command::ShellCommand;
pub(crate) use script::{ShellScript, interpreter};

/// Python's number for a process that was killed, which StackStorm reports after a timeout.
const TIMEOUT_CODE: i32 = -9;
const CANCEL_CODE: i32 = -15;

/// What both runners read from their parameters.
struct Options {
    env: Vec<(String, String)>,
    cwd: PathBuf,
    timeout: Option<Duration>,
    /// As it is written into the error message.
    timeout_text: String,
    user: RunAs,
}

/// Who the process runs as.
struct RunAs {
    /// `None` for the server's own user.
    sudo: Option<Sudo>,
    /// The flags of `sudo`, up to and with `--`.
    flags: Vec<String>,
}

impl Options {
    fn new(host: &Host, job: &Job) -> Options {
        let parameters = &job.runner_parameters;
        let debug = parameters.get("debug").is_some_and(Value::is_truthy);
        let additions = environment(parameters.get("env"));
        let cwd = match parameters.get("cwd").and_then(Value::as_str) {
            Some(cwd) if !cwd.is_empty() => host.settings.cwd.join(cwd),
            _ => host.settings.cwd.clone(),
        };
        let (timeout, timeout_text) = timeout(job);
        Options {
            env: host.environment(job, &additions, debug),
            cwd,
            timeout,
            timeout_text,
            user: RunAs::new(host, parameters),
        }
    }
}

impl RunAs {
    fn new(host: &Host, parameters: &Dict) -> RunAs {
        let is_root = parameters.get("sudo").is_some_and(Value::is_truthy);
        let other = host
            .settings
            .system_user
            .as_ref()
            .filter(|user| !is_root && !user.is_empty() && **user != host.own_user);
        if !is_root && other.is_none() {
            return RunAs {
                sudo: None,
                flags: Vec::new(),
            };
        }
        let password = parameters
            .get("sudo_password")
            .filter(|password| password.is_truthy())
            .map(python::str);
        let ask = if password.is_some() { "-S" } else { "-n" };
        let mut flags = vec![ask.to_owned(), "-E".to_owned()];
        if let Some(user) = other {
            flags.extend(["-H".to_owned(), "-u".to_owned(), user.clone()]);
        }
        flags.push("--".to_owned());
        RunAs {
            sudo: Some(Sudo {
                program: host.sudo.clone(),
                password,
            }),
            flags,
        }
    }

    fn password(&self) -> Option<&str> {
        self.sudo.as_ref()?.password.as_deref()
    }

    /// The program to start, and its arguments, for `program` with `args`.
    fn wrap(&self, program: PathBuf, args: Vec<OsString>) -> (PathBuf, Vec<OsString>) {
        match &self.sudo {
            None => (program, args),
            Some(sudo) => {
                let flags = self.flags.iter().map(OsString::from);
                let wrapped = flags.chain([program.into()]).chain(args).collect();
                (sudo.program.clone(), wrapped)
            }
        }
    }
}

/// The `env` parameter; values that are no text are written as Python writes them.
pub(crate) fn environment(parameter: Option<&Value>) -> Vec<(String, String)> {
    let Some(dict) = parameter.and_then(Value::as_dict) else {
        return Vec::new();
    };
    dict.iter()
        .filter(|(name, _)| !name.is_empty() && !name.contains(['=', '\0']))
        .map(|(name, value)| (name.to_string(), python::str(value)))
        .filter(|(_, value)| !value.contains('\0'))
        .collect()
}

/// How long the job may run: its `timeout` parameter, within the bound that the job came with.
pub(crate) fn timeout(job: &Job) -> (Option<Duration>, String) {
    /// A longer wait than this is no wait for anything.
    const SECONDS_MAX: f64 = 1e9;
    let parameter = job.runner_parameters.get("timeout");
    let asked = parameter
        .and_then(Value::as_number)
        .filter(|seconds| !seconds.is_nan())
        .map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, SECONDS_MAX)));
    match (asked, job.timeout) {
        (Some(asked), Some(bound)) if bound < asked => (Some(bound), seconds(bound)),
        (None, Some(bound)) => (Some(bound), seconds(bound)),
        (asked, _) => (asked, parameter.map(python::str).unwrap_or_default()),
    }
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

/// A standard input that holds `text` and that no other process can open.
pub(crate) fn private_stdin(text: &[&str]) -> io::Result<Stdio> {
    use std::io::{Seek, Write};
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let mut file = std::fs::File::from(nix::sys::memfd::memfd_create(c"squall", flags)?);
    for piece in text {
        file.write_all(piece.as_bytes())?;
    }
    file.rewind()?;
    Ok(file.into())
}

/// The result of a process that ended, in StackStorm's shape.
fn outcome(ended: Ended, options: &Options, masker: &Masker) -> Outcome {
    let mut error = None;
    let (mut code, mut ending) = match ended.end {
        End::Exited(0) => (0, Ending::Succeeded),
        End::Exited(code) => (code, Ending::Failed),
        End::TimedOut => {
            let after = &options.timeout_text;
            error = Some(format!("Action failed to complete in {after} seconds"));
            (TIMEOUT_CODE, Ending::TimedOut)
        }
        End::Canceled => (CANCEL_CODE, Ending::Canceled),
    };
    if options.user.password().is_some()
        && let Some(user) = refused_password(&ended.stderr)
    {
        error = Some(format!(
            "Invalid sudo password provided or sudo is not configured for this user ({user})"
        ));
        (code, ending) = (-1, Ending::Failed);
    }
    let result = shell_result(code, &ended.stdout, &ended.stderr, error);
    Outcome {
        verdict: Verdict::Ended(ending),
        result: masker.value(&result),
        exit_code: Some(code),
    }
}

/// The result of what could not even be started: what a shell would have said.
fn not_started(code: i32, message: &str) -> Outcome {
    Outcome {
        verdict: Verdict::Ended(Ending::Failed),
        result: shell_result(code, "", message, None),
        exit_code: Some(code),
    }
}

fn shell_result(code: i32, stdout: &str, stderr: &str, error: Option<String>) -> Value {
    let mut result = Dict::with_capacity(6);
    result.insert("failed", code != 0);
    result.insert("succeeded", code == 0);
    result.insert("return_code", code);
    result.insert("stdout", output_value(stdout));
    result.insert("stderr", output_value(stderr));
    if let Some(error) = error {
        result.insert("error", error);
    }
    Value::from(result)
}

/// Output without its last newline; the datum, if all of it is JSON.
pub(crate) fn output_value(text: &str) -> Value {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    json::read(text).unwrap_or_else(|_| Value::from(text))
}

/// The user whose password `sudo` refused.
pub(crate) fn refused_password(stderr: &str) -> Option<&str> {
    let refused = stderr.lines().any(|line| {
        let rest = line.split_once("sudo: ").map(|(_, rest)| rest);
        rest.is_some_and(|rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
                .starts_with(" incorrect password attempt")
        })
    });
    if !refused {
        return None;
    }
    let named = stderr
        .split_once("[sudo] password for ")
        .and_then(|(_, rest)| rest.split_once(':'));
    Some(named.map_or("unknown", |(user, _)| user))
}
