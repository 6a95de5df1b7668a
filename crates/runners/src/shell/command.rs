//! `local-shell-cmd`: one command line, run by the shell.

use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use squall_value::{Value, python};

use super::{Options, not_started, outcome, private_stdin};
use crate::host::Host;
use crate::mask::Masker;
use crate::port::{CancelSignal, Job, Outcome, OutputSink, Runner};
use crate::process::run::{Launch, run};
use crate::registry;

/// Reads the command from standard input, closes that, and runs the command as `bash -c` would:
/// a command line would be seen by every user of the machine.
const BOOTSTRAP: &str = r#"IFS= read -r -d "" c; eval "exec </dev/null; unset -v c; $c""#;
/// The same after the password for `sudo`, which `sudo` may not have taken.
const BOOTSTRAP_AFTER_PASSWORD: &str = r#"while IFS= read -r c && [ "$c" != "squall: the command follows" ]; do :; done; IFS= read -r -d "" c; eval "exec </dev/null; unset -v c; $c""#;
const BOOTSTRAP_PLAIN_AFTER_PASSWORD: &str = r#"while read -r c && [ "$c" != "squall: the command follows" ]; do :; done; eval "exec </dev/null; unset c; $(cat)""#;
const COMMAND_FOLLOWS: &str = "\nsquall: the command follows\n";
/// For a shell without `read -d`.
const BOOTSTRAP_PLAIN: &str = r#"eval "exec </dev/null; $(cat)""#;

pub(crate) struct ShellCommand {
    host: Arc<Host>,
}

impl ShellCommand {
    pub(crate) fn new(host: Arc<Host>) -> ShellCommand {
        ShellCommand { host }
    }

    fn launch(&self, options: &Options, command: &str) -> std::io::Result<Launch> {
        let (shell, bootstrap) = match (&self.host.bash, options.user.password()) {
            (Some(bash), None) => (bash.clone(), BOOTSTRAP),
            (Some(bash), Some(_)) => (bash.clone(), BOOTSTRAP_AFTER_PASSWORD),
            (None, None) => ("/bin/sh".into(), BOOTSTRAP_PLAIN),
            (None, Some(_)) => ("/bin/sh".into(), BOOTSTRAP_PLAIN_AFTER_PASSWORD),
        };
        // What the command sees as `$0`, and what begins the shell's messages.
        let name = shell.file_name().unwrap_or_default().to_owned();
        let stdin: Stdio = match options.user.password() {
            Some(password) => private_stdin(&[password, COMMAND_FOLLOWS, command])?,
            None => private_stdin(&[command])?,
        };
        let (program, args) = options
            .user
            .wrap(shell, vec!["-c".into(), bootstrap.into(), name]);
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

#[async_trait]
impl Runner for ShellCommand {
    fn name(&self) -> &str {
        "local-shell-cmd"
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    async fn run(&self, job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome {
        if job.entry_point.is_some() {
            // Whoever wrote it meant the other runner, and `cmd` would be something else.
            return Outcome::failed("entry_point is only valid for local-shell-script runner");
        }
        let command = match job.runner_parameters.get("cmd") {
            None | Some(Value::Null) => return Outcome::failed("the parameter `cmd` is missing"),
            Some(command) => python::str(command),
        };
        if command.contains('\0') {
            return Outcome::failed("the parameter `cmd` holds a NUL character");
        }
        let masker = Masker::new(&job.secrets);
        let options = Options::new(&self.host, &job);
        if !options.cwd.is_dir() {
            let cwd = options.cwd.display();
            return not_started(1, &format!("the working directory {cwd} does not exist"));
        }
        let launch = match self.launch(&options, &command) {
            Ok(launch) => launch,
            Err(error) => {
                return Outcome::failed(format!("the command can't be passed on: {error}"));
            }
        };
        let program = launch.program.display().to_string();
        match run(&self.host, &job, launch, &masker, output, cancel).await {
            Ok(ended) => outcome(ended, &options, &masker),
            Err(error) => not_started(126, &format!("{program} can't be started: {error}")),
        }
    }
}
