//! `local-shell-script`: the script of an action, with its parameters as arguments.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use squall_value::Value;

use super::{Options, arguments, not_started, outcome, private_stdin};
use crate::content;
use crate::host::Host;
use crate::mask::Masker;
use crate::port::{CancelSignal, Job, Outcome, OutputSink, Runner};
use crate::process::run::{Launch, run};
use crate::registry;

/// A longer first line is not looked at.
const SHEBANG_BYTES_MAX: u64 = 4096;

pub(crate) struct ShellScript {
    host: Arc<Host>,
}

impl ShellScript {
    pub(crate) fn new(host: Arc<Host>) -> ShellScript {
        ShellScript { host }
    }

    fn launch(&self, options: &Options, job: &Job, script: &Path) -> io::Result<Launch> {
        let shell = self.host.bash.clone().unwrap_or_else(|| "/bin/sh".into());
        let (mut program, mut args) = interpreter(script, &shell)?;
        args.extend(arguments::of(job).into_iter().map(OsString::from));
        let mut stdin = Stdio::null();
        if let Some(password) = options.user.password() {
            // What `sudo` does not take of the password must not reach the script.
            let quiet = r#"exec "$0" "$@" </dev/null"#;
            let head: [OsString; 3] = ["-c".into(), quiet.into(), program.into()];
            args = head.into_iter().chain(args).collect();
            program = shell;
            stdin = private_stdin(&[password, "\n"])?;
        }
        let (program, args) = options.user.wrap(program, args);
        Ok(Launch {
            program,
            args,
            env: options.env.clone(),
            cwd: options.cwd.clone(),
            stdin,
            sudo: options.user.sudo.clone(),
            timeout: options.timeout,
        })
    }
}

/// What to start for `script`: itself, made executable if need be and possible; else what its first
/// line names; else the shell.
pub(crate) fn interpreter(script: &Path, shell: &Path) -> io::Result<(PathBuf, Vec<OsString>)> {
    let file = File::open(script)?;
    let mode = file.metadata()?.permissions().mode();
    let mut line = Vec::new();
    BufReader::new(file.take(SHEBANG_BYTES_MAX)).read_until(b'\n', &mut line)?;
    let is_binary = line.starts_with(b"\x7fELF");
    let shebang = line.strip_prefix(b"#!");
    if shebang.is_none() && !is_binary {
        return Ok((shell.to_owned(), vec![script.into()]));
    }
    let executable = fs::Permissions::from_mode(mode | 0o111);
    let can_run = mode & 0o111 != 0 || fs::set_permissions(script, executable).is_ok();
    let (Some(shebang), false) = (shebang, can_run) else {
        return Ok((script.to_owned(), Vec::new()));
    };
    let shebang = String::from_utf8_lossy(shebang);
    let (program, argument) = match shebang.trim().split_once([' ', '\t']) {
        Some((program, argument)) => (program, Some(argument.trim())),
        None => (shebang.trim(), None),
    };
    let args = argument.map(OsString::from).into_iter();
    Ok((program.into(), args.chain([script.into()]).collect()))
}

#[async_trait]
impl Runner for ShellScript {
    fn name(&self) -> &str {
        "local-shell-script"
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    async fn run(&self, mut job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome {
        let _content = match content::check_out(&mut job).await {
            Ok(content) => content,
            Err(reason) => return Outcome::failed(reason),
        };
        let Some(script) = job.entry_point.clone() else {
            return Outcome::failed("Missing entry_point action metadata attribute");
        };
        let masker = Masker::new(&job.secrets);
        let options = Options::new(&self.host, &job);
        if !options.cwd.is_dir() {
            let cwd = options.cwd.display();
            return not_started(1, &format!("the working directory {cwd} does not exist"));
        }
        let shown = script.display();
        let launch = match self.launch(&options, &job, &script) {
            Ok(launch) => launch,
            Err(error) => return not_started(127, &format!("{shown}: {error}")),
        };
        match run(&self.host, &job, launch, &masker, output, cancel).await {
            Ok(ended) => outcome(ended, &options, &masker),
            Err(error) if error.kind() == io::ErrorKind::NotFound => not_started(
                127,
                &format!("{shown}: the interpreter that its first line names is not there"),
            ),
            Err(error) => not_started(126, &format!("{shown}: {error}")),
        }
    }
}
