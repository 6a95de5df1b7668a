//! `winrm-cmd`, `winrm-ps-cmd`, `winrm-ps-script`: commands and scripts on Windows hosts.

mod connection;
mod ntlm;
mod powershell;
mod session;
mod soap;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_model::Outcome as Ending;
use squall_value::{Dict, Value, python};

use self::connection::{Connection, Scheme};
use self::ntlm::Login;
use self::session::{End, Ended, Session};
use crate::host::Host;
use crate::mask::Masker;
use crate::output::Collector;
use crate::port::{CancelSignal, DiscardOutput, Job, Outcome, OutputSink, Runner, Verdict};
use crate::registry;
use crate::shell::{arguments, environment, output_value, timeout};

const HTTPS_PORT: i64 = 5986;
const HTTP_PORT: i64 = 5985;
/// How long a host may wait before it says that there is nothing to tell, at most.
const PATIENCE_MAX: Duration = Duration::from_secs(20);
/// StackStorm's number for what had no time to end.
const TIMEOUT_CODE: i64 = -1;

/// Which of the three runners it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    PowerShell,
    Script,
}

/// Runs commands or scripts on Windows hosts.
pub(crate) struct Windows {
    kind: Kind,
    host: Arc<Host>,
}

/// What is run.
enum Work {
    Command(String),
    PowerShell { script: String, arguments: String },
}

impl Windows {
    pub(crate) fn new(kind: Kind, host: Arc<Host>) -> Windows {
        Windows { kind, host }
    }

    fn connection(&self, parameters: &Dict, limit: Option<Duration>) -> Result<Connection, String> {
        let text = |name: &str| {
            let value = parameters.get(name).filter(|value| value.is_truthy());
            value.map(python::str)
        };
        let required = |name: &str| text(name).ok_or(format!("the parameter `{name}` is missing"));
        let (host, name, password) = (
            required("host")?,
            required("username")?,
            required("password")?,
        );
        let port = parameters
            .get("port")
            .and_then(Value::as_int)
            .unwrap_or(HTTPS_PORT);
        let protocol = match (port, text("scheme").as_deref()) {
            // As in StackStorm: this port speaks nothing else.
            (HTTP_PORT, _) | (_, Some("http")) => "http",
            (_, None | Some("https")) => "https",
            (_, Some(other)) => {
                return Err(format!("the scheme `{other}` is neither http nor https"));
            }
        };
        let scheme = match text("transport").as_deref() {
            None | Some("ntlm") => Scheme::Ntlm,
            Some("basic" | "plaintext" | "ssl") => Scheme::Basic,
            Some(other) => {
                return Err(format!(
                    "the transport `{other}` is not supported; take ntlm or basic"
                ));
            }
        };
        let checks = parameters
            .get("verify_ssl_cert")
            .is_none_or(Value::is_truthy);
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host,
        };
        Ok(Connection {
            client: connection::client(checks).map_err(|error| error.to_string())?,
            url: format!("{protocol}://{host}:{port}/wsman"),
            scheme,
            login: Login::new(&name, password),
            name,
            patience: limit.unwrap_or(PATIENCE_MAX).min(PATIENCE_MAX),
            env: Arc::clone(&self.host.env),
        })
    }

    fn work(&self, job: &Job) -> Result<Work, String> {
        let command = || match job.runner_parameters.get("cmd") {
            None | Some(Value::Null) => Err("the parameter `cmd` is missing".to_owned()),
            Some(command) => Ok(python::str(command)),
        };
        Ok(match self.kind {
            Kind::Command => Work::Command(command()?),
            Kind::PowerShell => Work::PowerShell {
                script: command()?,
                arguments: String::new(),
            },
            Kind::Script => {
                let path = job.entry_point.as_ref();
                let path = path.ok_or("Missing entry_point action metadata attribute")?;
                let bytes = std::fs::read(path);
                let bytes = bytes.map_err(|error| format!("{}: {error}", path.display()))?;
                let text = String::from_utf8_lossy(&bytes);
                Work::PowerShell {
                    script: text.trim_start_matches('\u{feff}').to_owned(),
                    arguments: script_arguments(job),
                }
            }
        })
    }

    async fn run_work(
        &self,
        session: &Session<'_>,
        work: &Work,
    ) -> Result<Ended, connection::Error> {
        match work {
            Work::Command(command) => session.run(command).await,
            Work::PowerShell { script, arguments } => {
                let whole = powershell::with_arguments(script, arguments);
                let command = powershell::command(&whole);
                if command.len() <= powershell::COMMAND_BYTES_MAX {
                    return session.run(&command).await;
                }
                session.run_as_file(script, arguments).await
            }
        }
    }
}

/// The parameters as arguments of a PowerShell script: named ones, then positional ones.
fn script_arguments(job: &Job) -> String {
    let (named, positional) = arguments::apart(job);
    let operator = job
        .runner_parameters
        .get("kwarg_op")
        .and_then(Value::as_str);
    let operator = operator.unwrap_or("-");
    let named = named
        .into_iter()
        .map(|(name, value)| format!("{operator}{name} {}", powershell::literal(value)));
    let positional = positional
        .into_iter()
        .map(|text| powershell::literal(&Value::from(text)));
    named.chain(positional).collect::<Vec<_>>().join(" ")
}

fn outcome(ended: &Ended, after: &str) -> Outcome {
    let (code, ending) = match ended.end {
        End::Exited(0) => (0, Ending::Succeeded),
        End::Exited(code) => (code, Ending::Failed),
        End::TimedOut => (TIMEOUT_CODE, Ending::TimedOut),
        End::Canceled => (TIMEOUT_CODE, Ending::Canceled),
    };
    let mut result = Dict::with_capacity(6);
    result.insert("failed", code != 0);
    result.insert("succeeded", code == 0);
    result.insert("return_code", code);
    result.insert("stdout", output_value(&ended.stdout));
    result.insert("stderr", output_value(&ended.stderr));
    if ending == Ending::TimedOut {
        result.insert(
            "error",
            format!("Action failed to complete in {after} seconds"),
        );
    }
    Outcome {
        verdict: Verdict::Ended(ending),
        result: Value::from(result),
        exit_code: i32::try_from(code).ok(),
    }
}

#[async_trait]
impl Runner for Windows {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Command => "winrm-cmd",
            Kind::PowerShell => "winrm-ps-cmd",
            Kind::Script => "winrm-ps-script",
        }
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    async fn run(&self, job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome {
        let masker = Masker::new(&job.secrets);
        let (limit, after) = timeout(&job);
        let ready = self.connection(&job.runner_parameters, limit);
        let ready = ready.and_then(|connection| Ok((connection, self.work(&job)?)));
        let (connection, work) = match ready {
            Ok(ready) => ready,
            Err(reason) => return Outcome::failed(reason),
        };
        let directory = job
            .runner_parameters
            .get("cwd")
            .filter(|cwd| cwd.is_truthy());
        let bytes_max = self.host.settings.output_bytes_max;
        let is_command = self.kind == Kind::Command;
        let session = Session {
            env: &*self.host.env,
            connection: &connection,
            directory: directory.map(python::str),
            environment: environment(job.runner_parameters.get("env")),
            stdout: Collector::new(Arc::clone(&output), masker.clone(), bytes_max),
            // What PowerShell writes there is XML, which is told when all of it can be read.
            stderr: match is_command {
                true => Collector::new(Arc::clone(&output), masker.clone(), bytes_max),
                false => Collector::new(Arc::new(DiscardOutput), masker.clone(), bytes_max),
            },
            silent: Collector::new(Arc::new(DiscardOutput), masker.clone(), bytes_max),
            limit: session::Limit::new(&*self.host.env, limit, cancel),
        };
        let done = Box::pin(self.run_work(&session, &work)).await;
        let mut ended = match done {
            Ok(ended) => ended,
            Err(error) => {
                let reason = format!("{}: {error}", connection.url);
                let reason = masker.text(&reason).unwrap_or(reason);
                return Outcome::failed(reason);
            }
        };
        if !is_command {
            ended.stderr = powershell::readable(&ended.stderr);
            if !ended.stderr.is_empty() {
                let text = ended.stderr.as_str().into();
                output.write(squall_model::OutputStream::Stderr, text).await;
            }
        }
        let outcome = outcome(&ended, &after);
        Outcome {
            result: masker.value(&outcome.result),
            ..outcome
        }
    }
}
