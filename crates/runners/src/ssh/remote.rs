//! `remote-shell-cmd` and `remote-shell-script`: commands and scripts on other machines.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use squall_model::Outcome as Ending;
use squall_value::{Dict, Value, json, python};

use super::connection::Address;
use super::credentials::{Credentials, Given};
use super::hosts::{self, HostEntry};
use super::pool::{Pool, Target};
use super::program::{Command, Program, Sudo, quote};
use super::session::{self, End, Ended};
use super::upload::{self, Bundle};
use crate::host::Host;
use crate::mask::Masker;
use crate::output::Collector;
use crate::port::{CancelSignal, DiscardOutput, Job, Outcome, OutputSink, Runner, Verdict};
use crate::registry;
use crate::shell::{arguments, environment, output_value, refused_password, timeout};

const PORT: u16 = 22;
/// What a host that was not worked on has for an exit code.
const FAILED_CODE: i32 = 255;
const TIMEOUT_CODE: i32 = -9;
const CANCEL_CODE: i32 = -15;
/// Each of many hosts may print at least this much.
const OUTPUT_BYTES_MIN: usize = 64 << 10;

/// Which of the two runners it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Script,
}

/// Runs commands or scripts on other machines.
pub(crate) struct Remote {
    kind: Kind,
    host: Arc<Host>,
    pool: Arc<Pool>,
}

/// What is done on every host.
struct Work {
    program: Program,
    /// What is written first, and where to.
    upload: Option<(Bundle, String)>,
    connect_timeout: Duration,
    timeout: Option<Duration>,
    timeout_text: String,
    /// Whether `sudo` was given a password.
    has_password: bool,
}

/// What came of one host.
struct HostOutcome {
    is_connected: bool,
    end: Option<End>,
    code: i32,
    result: Value,
}

impl Remote {
    pub(crate) fn new(kind: Kind, host: Arc<Host>, pool: Arc<Pool>) -> Remote {
        Remote { kind, host, pool }
    }

    /// The hosts, and how each is reached.
    fn targets(&self, job: &Job) -> Result<Vec<(HostEntry, Target)>, String> {
        let parameters = &job.runner_parameters;
        let text = |name| text(parameters, name);
        let entries = hosts::parse(&text("hosts").unwrap_or_default())?;
        let given = Given {
            password: text("password"),
            private_key: text("private_key"),
            passphrase: text("passphrase"),
        };
        let settings = &self.host.settings;
        let credentials = Credentials::new(&given, &settings.ssh);
        let credentials = Arc::new(credentials.map_err(|error| error.to_string())?);
        let user = text("username")
            .or_else(|| settings.ssh.user.clone())
            .or_else(|| settings.system_user.clone())
            .unwrap_or_else(|| self.host.own_user.clone());
        let port = match parameters.get("port").filter(|port| port.is_truthy()) {
            None => PORT,
            Some(port) => {
                let number = port.as_int().and_then(|port| u16::try_from(port).ok());
                number.ok_or_else(|| format!("the port {} is none", port.to_json()))?
            }
        };
        let bastion = match text("bastion_host") {
            None => None,
            Some(text) => Some(hosts::split(text.trim())?),
        };
        let target = |entry: &HostEntry| {
            let port = entry.port.unwrap_or(port);
            Target {
                address: Address {
                    name: entry.name.clone(),
                    port,
                },
                user: user.clone(),
                credentials: Arc::clone(&credentials),
                bastion: bastion.as_ref().map(|(name, own)| Address {
                    name: name.clone(),
                    port: own.unwrap_or(port),
                }),
            }
        };
        Ok(entries
            .into_iter()
            .map(|entry| {
                let target = target(&entry);
                (entry, target)
            })
            .collect())
    }

    fn work(&self, job: &Job) -> Result<Work, String> {
        let parameters = &job.runner_parameters;
        let settings = &self.host.settings;
        let (text, upload) = match self.kind {
            Kind::Command => (self.command(job)?, None),
            Kind::Script => {
                let (text, bundle, directory) = script(job)?;
                (text, Some((bundle, directory)))
            }
        };
        let sudo = parameters.get("sudo").is_some_and(Value::is_truthy);
        let command = Command {
            execution_id: job.execution_id.clone(),
            text,
            directory: self::text(parameters, "cwd").unwrap_or_else(|| "/tmp".to_owned()),
            env: remote_environment(job),
            sudo: sudo.then(|| Sudo {
                password: self::text(parameters, "sudo_password"),
            }),
            grace_seconds: settings.grace.as_secs().max(1),
            remove: upload.as_ref().map(|(_, directory)| directory.clone()),
        };
        let (timeout, timeout_text) = timeout(job);
        let connect_timeout = settings.ssh.connect_timeout;
        Ok(Work {
            program: command.program()?,
            upload,
            connect_timeout: timeout
                .map_or(connect_timeout, |timeout| timeout.min(connect_timeout)),
            timeout,
            timeout_text,
            has_password: command.sudo.is_some_and(|sudo| sudo.password.is_some()),
        })
    }

    fn command(&self, job: &Job) -> Result<String, String> {
        if job.entry_point.is_some() {
            return Err(format!(
                "Action \"{}\" specified \"entry_point\" attribute. Perhaps wanted to use \
                 \"remote-shell-script\" runner?",
                job.action
            ));
        }
        match job.runner_parameters.get("cmd") {
            None | Some(Value::Null) => Err("the parameter `cmd` is missing".to_owned()),
            Some(command) => Ok(python::str(command)),
        }
    }

    async fn on_host(
        &self,
        name: &str,
        target: &Target,
        work: &Work,
        collector: &Collector,
        cancel: &CancelSignal,
    ) -> HostOutcome {
        let ready = tokio::select! {
            ready = Box::pin(self.pool.session(target)) => ready.map_err(|error| error.to_string()),
            () = self.host.env.sleep(work.connect_timeout) => {
                let after = work.connect_timeout.as_secs_f64();
                Err(format!("the SSH connection did not succeed in {after} seconds"))
            }
            () = cancel.canceled() => Err("the execution was canceled".to_owned()),
        };
        let (lease, channel) = match ready {
            Ok(ready) => ready,
            Err(reason) => {
                let error = format!("Failed connecting to host {name}. {reason}");
                return HostOutcome::unstarted(false, error);
            }
        };
        if let Some((bundle, directory)) = &work.upload {
            let upload = async {
                let channel = lease.open().await;
                let channel = channel.map_err(|error| upload::Error::NoSftp(error.to_string()))?;
                bundle.write(channel, directory).await
            };
            let failure = tokio::select! {
                uploaded = upload => uploaded.err().map(|error| {
                    let is_made = matches!(error, upload::Error::Write(..));
                    (is_made, error.to_string())
                }),
                () = cancel.canceled() => Some((true, "the execution was canceled".to_owned())),
            };
            if let Some((is_made, reason)) = failure {
                if is_made {
                    self.remove(channel, directory).await;
                }
                let error = format!("Failed sending the script to host {name}. {reason}");
                return HostOutcome::unstarted(true, error);
            }
        }
        let program = Program {
            line: work.program.line.clone(),
            input: work.program.input.clone(),
        };
        let ended = session::run(
            &self.host,
            channel,
            program,
            collector,
            work.timeout,
            cancel,
        );
        outcome(name, ended.await, work)
    }

    /// Takes away what was written before the upload failed.
    async fn remove(&self, channel: russh::Channel<russh::client::Msg>, directory: &str) {
        let program = Program {
            line: format!("rm -rf -- {}", quote(directory)),
            input: String::new(),
        };
        let collector = Collector::new(Arc::new(DiscardOutput), Masker::new(&[]), 0);
        let timeout = Some(self.host.settings.grace);
        let never = CancelSignal::never();
        session::run(&self.host, channel, program, &collector, timeout, &never).await;
    }

    async fn on_all(
        &self,
        job: &Job,
        output: OutputSink,
        cancel: CancelSignal,
    ) -> Result<Outcome, String> {
        let masker = Masker::new(&job.secrets);
        let targets = self.targets(job)?;
        let work = self.work(job)?;
        let count = targets.len();
        let names: Vec<String> = targets
            .iter()
            .map(|(entry, _)| entry.label.clone())
            .collect();
        // Lines of several hosts would be mixed with no way to tell them apart.
        let sink = if count == 1 {
            output
        } else {
            Arc::new(DiscardOutput)
        };
        let bytes_max = self.host.settings.output_bytes_max / count;
        let bytes_max = bytes_max.max(OUTPUT_BYTES_MIN);
        let hosts_max = self.host.settings.ssh.hosts_max.max(1);
        let all = targets.into_iter().map(|(entry, target)| {
            let collector = Collector::new(Arc::clone(&sink), masker.clone(), bytes_max);
            let (work, cancel) = (&work, &cancel);
            Box::pin(async move {
                self.on_host(&entry.label, &target, work, &collector, cancel)
                    .await
            })
        });
        let outcomes: Vec<HostOutcome> = futures::stream::iter(all)
            .buffered(hosts_max)
            .collect()
            .await;
        let allows_some = self.host.settings.ssh.allow_partial_failure;
        let whole = together(&names, outcomes, allows_some, cancel.is_canceled());
        Ok(Outcome {
            result: masker.value(&whole.result),
            ..whole
        })
    }
}

fn text(parameters: &Dict, name: &str) -> Option<String> {
    let value = parameters.get(name).filter(|value| !value.is_null());
    value.map(python::str).filter(|text| !text.is_empty())
}

/// The command that runs the script, the script with its libraries, and the directory for them.
fn script(job: &Job) -> Result<(String, Bundle, String), String> {
    let Some(path) = &job.entry_point else {
        return Err(format!(
            "Action \"{}\" is missing \"entry_point\" attribute. Perhaps wanted to use \
             \"remote-shell-cmd\" runner?",
            job.action
        ));
    };
    let base = text(&job.runner_parameters, "dir").unwrap_or_else(|| "/tmp".to_owned());
    let directory = format!("{}/{}", base.trim_end_matches('/'), job.execution_id);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut command = quote(&format!("{directory}/{name}"));
    for argument in arguments::of(job) {
        command.push(' ');
        command.push_str(&quote(&argument));
    }
    Ok((command, Bundle::read(path)?, directory))
}

/// The environment of the command: what the action asks for, and what StackStorm gives.
fn remote_environment(job: &Job) -> Vec<(String, String)> {
    let mut env = environment(job.runner_parameters.get("env"));
    crate::host::set(&mut env, "ST2_ACTION_PACK_NAME", &job.pack);
    crate::host::set(&mut env, "ST2_ACTION_EXECUTION_ID", &job.execution_id);
    for (name, value) in &job.env {
        crate::host::set(&mut env, name, value);
    }
    env
}

impl HostOutcome {
    /// Nothing was run there.
    fn unstarted(is_connected: bool, error: String) -> HostOutcome {
        HostOutcome {
            is_connected,
            end: None,
            code: FAILED_CODE,
            result: failure(FAILED_CODE, ("", ""), error, false),
        }
    }
}

fn failure(code: i32, (stdout, stderr): (&str, &str), error: String, timed_out: bool) -> Value {
    let mut result = Dict::with_capacity(7);
    result.insert("failed", true);
    result.insert("succeeded", false);
    result.insert("timeout", timed_out);
    result.insert("return_code", code);
    result.insert("stdout", stdout);
    result.insert("stderr", stderr);
    result.insert("error", error);
    Value::from(result)
}

fn outcome(name: &str, ended: Ended, work: &Work) -> HostOutcome {
    let (stdout, stderr) = (ended.stdout.as_str(), ended.stderr.as_str());
    let refused = refused_password(stderr).filter(|_| work.has_password);
    let (code, error) = match (ended.end, refused) {
        (End::Exited(_), Some(user)) => {
            let text = "Invalid sudo password provided or sudo is not configured for this user";
            (FAILED_CODE, format!("{text} ({user})"))
        }
        (End::Exited(code), None) => {
            let mut result = Dict::with_capacity(5);
            result.insert("failed", code != 0);
            result.insert("succeeded", code == 0);
            result.insert("return_code", code);
            result.insert("stdout", output_value(stdout));
            result.insert("stderr", output_value(stderr));
            return HostOutcome {
                is_connected: true,
                end: Some(ended.end),
                code,
                result: Value::from(result),
            };
        }
        (End::TimedOut, _) => {
            let after = &work.timeout_text;
            (
                TIMEOUT_CODE,
                format!("Command didn't finish in {after} seconds"),
            )
        }
        (End::Canceled, _) => (CANCEL_CODE, "The execution was canceled".to_owned()),
        (End::Refused, _) => (FAILED_CODE, "The host does not run commands".to_owned()),
        (End::Lost, _) => (FAILED_CODE, "The connection was lost".to_owned()),
    };
    let error = format!("Failed executing command on host \"{name}\". {error}");
    let timed_out = ended.end == End::TimedOut;
    HostOutcome {
        is_connected: true,
        end: Some(ended.end),
        code,
        result: failure(code, (stdout, stderr), error, timed_out),
    }
}

/// The outcome of all hosts: their results by name.
fn together(
    names: &[String],
    outcomes: Vec<HostOutcome>,
    allows_some: bool,
    is_canceled: bool,
) -> Outcome {
    let succeeded =
        |outcome: &HostOutcome| outcome.end == Some(End::Exited(0)) && outcome.code == 0;
    let ending = if is_canceled && !outcomes.iter().all(succeeded) {
        Ending::Canceled
    } else if outcomes.iter().all(succeeded) || (allows_some && outcomes.iter().any(succeeded)) {
        Ending::Succeeded
    } else if outcomes
        .iter()
        .all(|outcome| outcome.end == Some(End::TimedOut))
    {
        Ending::TimedOut
    } else {
        Ending::Failed
    };
    let nobody = !is_canceled && !outcomes.iter().any(|outcome| outcome.is_connected);
    let exit_code = match &*outcomes {
        [one] if one.end.is_some() => Some(one.code),
        _ => None,
    };
    let results: Dict = names
        .iter()
        .zip(outcomes)
        .map(|(name, outcome)| (name.as_str(), outcome.result))
        .collect();
    let result = if nobody {
        let names: Value = names
            .iter()
            .map(|name| Value::from(name.as_str()))
            .collect();
        let errors = json::write_styled(&Value::from(results), json::Style::PRETTY);
        let error = format!(
            "Unable to connect to any one of the hosts: {}.\n\n connect_errors={errors}",
            python::str(&names)
        );
        squall_value::dict! { "error" => error }
    } else {
        Value::from(results)
    };
    Outcome {
        verdict: Verdict::Ended(ending),
        result,
        exit_code,
    }
}

#[async_trait]
impl Runner for Remote {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Command => "remote-shell-cmd",
            Kind::Script => "remote-shell-script",
        }
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    async fn run(&self, job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome {
        match self.on_all(&job, output, cancel).await {
            Ok(outcome) => outcome,
            Err(reason) => {
                let outcome = Outcome::failed(reason);
                Outcome {
                    result: Masker::new(&job.secrets).value(&outcome.result),
                    ..outcome
                }
            }
        }
    }
}
