//! `python-script`: the class of a Python module.
//!
//! A warm interpreter per Python installation forks one process for each action; see `zygote`.

mod zygote;

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_model::Outcome as Ending;
use squall_value::{Dict, Value, dict, json};

use crate::content;
use crate::host::{Host, set};
use crate::mask::Masker;
use crate::output::Collector;
use crate::port::{CancelSignal, Isolation, Job, Outcome, OutputSink, Runner, Verdict};
use crate::process::run::{End, Ended, Launch, after, collect, run};
use crate::process::tree::Tree;
use crate::registry;
use crate::shell::{environment, timeout};
use zygote::{Forked, Pool};

/// A larger result is refused: nobody could look at it, and the store would have to keep it.
const RESULT_BYTES_MAX: u64 = 64 << 20;

pub(crate) struct Python {
    host: Arc<Host>,
    pool: Pool,
}

/// All that is needed to run one job in a fresh or a forked process.
struct Prepared {
    python: PathBuf,
    /// The directory of our own Python files.
    library: PathBuf,
    env: Vec<(String, String)>,
    /// What the process reads.
    document: File,
    /// What it writes at its end.
    result: File,
    timeout: Option<Duration>,
    timeout_text: String,
}

impl Python {
    pub(crate) fn new(host: Arc<Host>) -> Python {
        Python {
            pool: Pool::new(host.clone()),
            host,
        }
    }

    fn prepare(&self, job: &Job) -> Result<Prepared, String> {
        let Some(entry_point) = &job.entry_point else {
            return Err(format!(
                "Action \"{}\" is missing entry_point attribute",
                job.action
            ));
        };
        if let Some(virtualenv) = job.virtualenv.as_ref().filter(|path| !path.is_dir()) {
            return Err(format!(
                "The virtual environment ({}) for pack \"{}\" does not exist. It is made when the \
                 pack is installed; to make it again, run the action packs.setup_virtualenv with \
                 packs={}.",
                virtualenv.display(),
                job.pack,
                job.pack
            ));
        }
        let library = squall_python::unpack(&self.host.settings.run_dir).map_err(|error| {
            format!("the Python files of the server can't be unpacked: {error}")
        })?;
        let mut paths = import_paths(job);
        if self.host.settings.common_libs {
            paths.insert(0, job.pack_dir.join("lib"));
        }
        let env = self.environment(job, &paths, &library);
        let document = self.document(job, entry_point, &paths, &env);
        let io = |error: io::Error| format!("the parameters can't be passed on: {error}");
        let mut file = anonymous_file().map_err(io)?;
        file.write_all(document.to_json().as_bytes()).map_err(io)?;
        file.rewind().map_err(io)?;
        let (timeout, timeout_text) = timeout(job);
        Ok(Prepared {
            python: match &job.virtualenv {
                Some(virtualenv) => virtualenv.join("bin/python"),
                None => self.host.settings.python.clone(),
            },
            library,
            env,
            document: file,
            result: anonymous_file().map_err(io)?,
            timeout,
            timeout_text,
        })
    }

    fn environment(&self, job: &Job, paths: &[PathBuf], library: &Path) -> Vec<(String, String)> {
        let parameters = &job.runner_parameters;
        let mut additions = environment(parameters.get("env"));
        additions.retain(|(name, _)| !name.eq_ignore_ascii_case("pythonpath"));
        let debug = parameters.get("debug").is_some_and(Value::is_truthy);
        let mut env = self.host.environment(job, &additions, debug);
        let known = |name: &str| env.iter().find(|(known, _)| known == name);
        let path = known("PATH").map_or("", |(_, value)| value).to_owned();
        let inherited = known("PYTHONPATH").map(|(_, value)| value.clone());
        if let Some(virtualenv) = &job.virtualenv
            && !additions.iter().any(|(name, _)| name == "PATH")
        {
            let path = format!("{}/bin/:{path}", virtualenv.display());
            set(&mut env, "PATH", &path);
        }
        let mut python_path: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        python_path.extend(inherited);
        python_path.push(library.display().to_string());
        set(&mut env, "PYTHONPATH", &python_path.join(":"));
        set(
            &mut env,
            "ST2_BASE_PATH",
            &self.host.settings.base_dir.display().to_string(),
        );
        for (name, also) in [
            ("ST2_ACTION_API_URL", "ST2_API_URL"),
            ("ST2_ACTION_AUTH_TOKEN", "ST2_AUTH_TOKEN"),
        ] {
            let value = job.env.iter().find(|(known, _)| known == name);
            if let Some((_, value)) = value {
                set(&mut env, also, value);
            }
        }
        env
    }

    fn shared_libraries(&self) -> Option<PathBuf> {
        let (_, packages) =
            squall_python::library_paths(self.host.settings.shared_environment.as_deref()?)?;
        Some(packages)
    }

    fn document(
        &self,
        job: &Job,
        entry_point: &Path,
        paths: &[PathBuf],
        env: &[(String, String)],
    ) -> Value {
        let env: Dict = env
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let paths: Value = paths
            .iter()
            .map(|path| Value::from(path.display().to_string()))
            .collect();
        let level = job
            .runner_parameters
            .get("log_level")
            .and_then(Value::as_str);
        dict! {
            "execution_id" => &job.execution_id,
            "journal" => self.host.journal_path(&job.execution_id).display().to_string(),
            "pack" => job.pack.as_str(),
            "file_path" => entry_point.display().to_string(),
            "config" => job.config.clone(),
            "parameters" => Value::Dict(job.action_parameters.clone()),
            "user" => job.user.as_str(),
            "log_level" => level.or(job.log_level.as_deref()).unwrap_or("DEBUG"),
            "env" => env,
            "path" => paths,
            "shared" => self.shared_libraries().map(|path| path.display().to_string()),
            "cwd" => self.host.settings.cwd.display().to_string(),
        }
    }

    /// A fresh interpreter that becomes the action.
    async fn run_fresh(
        &self,
        job: &Job,
        prepared: &Prepared,
        masker: &Masker,
        output: OutputSink,
        cancel: CancelSignal,
    ) -> io::Result<Ended> {
        let (ours, theirs) = zygote::socket_pair()?;
        zygote::send_fresh(&ours, &prepared.document, &prepared.result)?;
        let launch = Launch {
            program: prepared.python.clone(),
            args: zygote::arguments(&prepared.library),
            env: prepared.env.clone(),
            cwd: self.host.settings.cwd.clone(),
            stdin: Stdio::from(theirs),
            sudo: None,
            timeout: prepared.timeout,
        };
        run(&self.host, job, launch, masker, output, cancel).await
    }

    /// Stays with a forked process until its end.
    async fn watch(
        &self,
        job: &Job,
        prepared: &Prepared,
        mut forked: Forked,
        masker: &Masker,
        output: OutputSink,
        cancel: CancelSignal,
    ) -> Ended {
        let host = &*self.host;
        let collector = Collector::new(output, masker.clone(), host.settings.output_bytes_max);
        let tree = Tree {
            leader: forked.pid,
            execution_id: job.execution_id.clone(),
            server_id: host.settings.server_id.clone(),
            sudo: None,
        };
        let (stdout, stderr) = (forked.stdout.take(), forked.stderr.take());
        let watched = async {
            let end = tokio::select! {
                biased;
                code = forked.ended() => match code {
                    Some(code) => End::Exited(code),
                    // The interpreter that forked it is gone, and with it the only one who could
                    // tell how the process ends.
                    None => End::Exited(-1),
                },
                () = cancel.canceled() => End::Canceled,
                () = after(host, prepared.timeout) => End::TimedOut,
            };
            if !matches!(end, End::Exited(code) if code != -1) {
                tree.end(&*host.env, host.settings.grace).await;
            }
            crate::process::journal::remove(&host.journal_path(&job.execution_id));
            end
        };
        let (end, stdout, stderr) = collect(host, &collector, stdout, stderr, watched).await;
        Ended {
            end,
            stdout,
            stderr,
        }
    }
}

/// What stands before the interpreter's own path, in StackStorm's order.
fn import_paths(job: &Job) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let own = job
        .virtualenv
        .as_deref()
        .and_then(squall_python::library_paths);
    if let Some((version, packages)) = own {
        paths.extend([version, packages]);
    }
    paths.push(job.pack_dir.join("actions/lib"));
    paths
}

fn anonymous_file() -> io::Result<File> {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    Ok(nix::sys::memfd::memfd_create(c"squall", flags)?.into())
}

/// What the process wrote about its end: its status, if it gave one, and its result.
fn read_result(file: &mut File) -> (Option<bool>, Value) {
    // What is said where there is no result; clients know it.
    let nothing = || (None, Value::from("None"));
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if length > RESULT_BYTES_MAX {
        let text = format!("the result is too large: {length} bytes, {RESULT_BYTES_MAX} at most");
        return (Some(false), Value::from(text));
    }
    let mut text = String::new();
    if file.rewind().is_err() || file.read_to_string(&mut text).is_err() || text.is_empty() {
        return nothing();
    }
    match json::read(&text) {
        Ok(outcome) => (
            outcome.get("status").and_then(Value::as_bool),
            outcome.get("result").cloned().unwrap_or_default(),
        ),
        Err(error) => {
            let text = format!("the result can't be read: {error}");
            (Some(false), Value::from(text))
        }
    }
}

fn outcome(ended: Ended, mut prepared: Prepared, masker: &Masker) -> Outcome {
    let (status, result) = read_result(&mut prepared.result);
    let mut error = None;
    let (code, ending) = match ended.end {
        End::Exited(0) if status != Some(false) => (0, Ending::Succeeded),
        End::Exited(code) => (code, Ending::Failed),
        End::TimedOut => {
            let after = &prepared.timeout_text;
            error = Some(format!("Action failed to complete in {after} seconds"));
            (-9, Ending::TimedOut)
        }
        End::Canceled => (-15, Ending::Canceled),
    };
    let mut shown = Dict::with_capacity(5);
    shown.insert("stdout", ended.stdout);
    shown.insert("stderr", ended.stderr);
    shown.insert("exit_code", code);
    shown.insert("result", result);
    if let Some(error) = error {
        shown.insert("error", error);
    }
    Outcome {
        verdict: Verdict::Ended(ending),
        result: masker.value(&Value::from(shown)),
        exit_code: Some(code),
    }
}

#[async_trait]
impl Runner for Python {
    fn name(&self) -> &str {
        "python-script"
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    async fn run(&self, mut job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome {
        let _content = match content::check_out(&mut job).await {
            Ok(content) => content,
            Err(reason) => return Outcome::failed(reason),
        };
        if !matches!(job.config, Value::Null | Value::Dict(_)) {
            let kind = job.config.kind();
            return Outcome::failed(format!(
                "the configuration of a pack is an object, not {kind}"
            ));
        }
        let masker = Masker::new(&job.secrets);
        let prepared = match self.prepare(&job) {
            Ok(prepared) => prepared,
            Err(reason) => return Outcome::failed(reason),
        };
        let forked = match job.isolation {
            Isolation::Fork => {
                let zygote = (&prepared.python, &prepared.library);
                self.pool
                    .fork(zygote.0, zygote.1, &prepared.document, &prepared.result)
                    .await
            }
            Isolation::Process => Err(zygote::Error::NotStarted),
        };
        let ended = match forked {
            Ok(forked) => {
                self.watch(&job, &prepared, forked, &masker, output, cancel)
                    .await
            }
            Err(zygote::Error::Lost) => {
                return Outcome::failed("the Python host ended while it started the action");
            }
            Err(zygote::Error::NotStarted) => {
                let fresh = self.run_fresh(&job, &prepared, &masker, output, cancel);
                match fresh.await {
                    Ok(ended) => ended,
                    Err(error) => {
                        let python = prepared.python.display();
                        return Outcome::failed(format!("{python} can't be started: {error}"));
                    }
                }
            }
        };
        outcome(ended, prepared, &masker)
    }
}
