//! `stdio`: an action in any language, which talks to Squall in lines of JSON.
//!
//! The program is told what to do by one line on its standard input. A line of its standard output
//! that is a message says what came of it; all other output is output.
//!
//! | to the program | meaning |
//! |---|---|
//! | `run` | `execution_id`, `action`, `pack`, `user`, `parameters`, `config` |
//!
//! | from the program | meaning |
//! |---|---|
//! | `result` | `result`, any value; perhaps `status`, `succeeded` or `failed`. The last one counts |
//! | `log` | `message`, perhaps `level`: a line of the error output |

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use squall_model::{Outcome as Ending, OutputStream};
use squall_value::{Dict, Str, Value, dict, json};

use crate::host::Host;
use crate::mask::Masker;
use crate::port::{CancelSignal, Job, Outcome, Output, OutputSink, Runner, Verdict};
use crate::process::run::{End, Ended, Launch, run};
use crate::registry;
use crate::shell::{environment, interpreter, private_stdin, timeout};

/// The number of the protocol; a program may refuse one that it does not know.
const PROTOCOL: i64 = 1;
const TIMEOUT_CODE: i32 = -9;
const CANCEL_CODE: i32 = -15;

/// Runs programs that speak in lines of JSON.
pub(crate) struct Program {
    host: Arc<Host>,
}

/// What a program says.
#[derive(Debug, PartialEq)]
enum Message {
    Result {
        result: Value,
        succeeded: Option<bool>,
    },
    Log(String),
}

/// Reads a line of output; `None` when it is no message.
fn message(line: &str) -> Option<Message> {
    if !line.starts_with('{') {
        return None;
    }
    let said = json::read_python(line.trim_end()).ok()?;
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    match text("type")? {
        "result" => Some(Message::Result {
            result: said.get("result").cloned().unwrap_or_default(),
            succeeded: text("status").map(|status| status == "succeeded"),
        }),
        "log" => {
            let level = text("level").unwrap_or("INFO");
            Some(Message::Log(format!("{level}: {}\n", text("message")?)))
        }
        _ => None,
    }
}

/// Passes on what a program prints, except for its messages.
struct Listener {
    sink: OutputSink,
    /// The beginning of a line that may become a message. One line, so not more than all output.
    begun: Mutex<Option<String>>,
    /// Whether the last piece of other output ended in the middle of a line.
    is_within: Mutex<bool>,
}

impl Listener {
    fn new(sink: OutputSink) -> Listener {
        Listener {
            sink,
            begun: Mutex::new(None),
            is_within: Mutex::new(false),
        }
    }

    /// What a piece of output is passed on as.
    fn heard(&self, text: &str) -> Vec<(OutputStream, String)> {
        let mut heard = Vec::new();
        for piece in text.split_inclusive('\n') {
            let whole = match self.begun.lock().take() {
                Some(begun) => begun + piece,
                None if *self.is_within.lock() => {
                    *self.is_within.lock() = !piece.ends_with('\n');
                    heard.push((OutputStream::Stdout, piece.to_owned()));
                    continue;
                }
                None => piece.to_owned(),
            };
            if whole.starts_with('{') && !whole.ends_with('\n') {
                *self.begun.lock() = Some(whole);
                continue;
            }
            *self.is_within.lock() = !whole.ends_with('\n');
            match message(&whole) {
                Some(Message::Log(line)) => heard.push((OutputStream::Stderr, line)),
                Some(Message::Result { .. }) => {}
                None => heard.push((OutputStream::Stdout, whole)),
            }
        }
        heard
    }

    /// The end of the output: what was begun is no message any more, unless it is a whole one.
    async fn finish(&self) {
        let begun = self.begun.lock().take();
        if let Some(text) = begun.filter(|text| message(text).is_none()) {
            self.sink.write(OutputStream::Stdout, text.into()).await;
        }
    }
}

#[async_trait]
impl Output for Listener {
    async fn write(&self, stream: OutputStream, text: Str) {
        if stream == OutputStream::Stderr {
            return self.sink.write(stream, text).await;
        }
        for (stream, text) in self.heard(&text) {
            self.sink.write(stream, text.into()).await;
        }
    }
}

impl Program {
    pub(crate) fn new(host: Arc<Host>) -> Program {
        Program { host }
    }

    fn launch(&self, job: &Job) -> Result<Launch, String> {
        let script = job.entry_point.as_ref();
        let script = script.ok_or("Missing entry_point action metadata attribute")?;
        let told = |error: io::Error| format!("{}: {error}", script.display());
        let shell = self.host.bash.clone().unwrap_or_else(|| "/bin/sh".into());
        let (program, args) = interpreter(script, &shell).map_err(told)?;
        let parameters = &job.runner_parameters;
        let cwd = parameters.get("cwd").and_then(Value::as_str);
        let cwd = match cwd.filter(|cwd| !cwd.is_empty()) {
            Some(cwd) => job.pack_dir.join(cwd),
            None => job.pack_dir.clone(),
        };
        if !cwd.is_dir() {
            let cwd = cwd.display();
            return Err(format!("the working directory {cwd} does not exist"));
        }
        let additions = environment(parameters.get("env"));
        let first = dict! {
            "type" => "run",
            "protocol" => PROTOCOL,
            "execution_id" => job.execution_id.as_str(),
            "action" => job.action.as_str(),
            "pack" => job.pack.as_str(),
            "user" => job.user.as_str(),
            "parameters" => Value::Dict(Arc::clone(&job.action_parameters)),
            "config" => job.config.clone(),
        };
        Ok(Launch {
            program,
            args,
            env: self.host.environment(job, &additions, false),
            cwd,
            stdin: private_stdin(&[&json::write(&first), "\n"]).map_err(told)?,
            sudo: None,
            timeout: timeout(job).0,
        })
    }
}

fn outcome(ended: Ended, job: &Job, masker: &Masker) -> Outcome {
    let mut stdout = String::with_capacity(ended.stdout.len());
    let mut stderr = ended.stderr;
    let (mut result, mut said) = (Value::Null, None);
    for line in ended.stdout.split_inclusive('\n') {
        match message(line) {
            Some(Message::Result {
                result: last,
                succeeded,
            }) => (result, said) = (last, succeeded),
            Some(Message::Log(line)) => stderr.push_str(&line),
            None => stdout.push_str(line),
        }
    }
    let mut shown = Dict::with_capacity(5);
    let (code, ending) = match ended.end {
        End::Exited(0) if said != Some(false) => (0, Ending::Succeeded),
        End::Exited(code) => (code, Ending::Failed),
        End::TimedOut => {
            let after = timeout(job).1;
            shown.insert(
                "error",
                format!("Action failed to complete in {after} seconds"),
            );
            (TIMEOUT_CODE, Ending::TimedOut)
        }
        End::Canceled => (CANCEL_CODE, Ending::Canceled),
    };
    shown.insert("stdout", stdout);
    shown.insert("stderr", stderr);
    shown.insert("exit_code", code);
    shown.insert("result", result);
    Outcome {
        verdict: Verdict::Ended(ending),
        result: masker.value(&Value::from(shown)),
        exit_code: Some(code),
    }
}

#[async_trait]
impl Runner for Program {
    fn name(&self) -> &str {
        "stdio"
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    async fn run(&self, job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome {
        let masker = Masker::new(&job.secrets);
        let launch = match self.launch(&job) {
            Ok(launch) => launch,
            Err(reason) => return Outcome::failed(reason),
        };
        let program = launch.program.display().to_string();
        let listener = Arc::new(Listener::new(output));
        let sink: OutputSink = Arc::clone(&listener) as OutputSink;
        let ended = match run(&self.host, &job, launch, &masker, sink, cancel).await {
            Ok(ended) => ended,
            Err(error) => return Outcome::failed(format!("{program} can't be started: {error}")),
        };
        listener.finish().await;
        outcome(ended, &job, &masker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::DiscardOutput;

    #[test]
    fn messages_are_told_from_output() {
        let result = |result: Value, succeeded| Some(Message::Result { result, succeeded });
        for (line, expect) in [
            ("plain", None),
            ("{", None),
            ("{\"type\": 1}", None),
            ("{\"type\": \"other\"}", None),
            ("[{\"type\": \"result\"}]", None),
            (" {\"type\": \"result\"}", None),
            ("{\"type\": \"result\"}\r\n", result(Value::Null, None)),
            (
                "{\"type\": \"result\", \"result\": [1], \"status\": \"failed\"}",
                result(squall_value::list![1], Some(false)),
            ),
            (
                "{\"type\": \"log\", \"message\": \"m\"}",
                Some(Message::Log("INFO: m\n".to_owned())),
            ),
        ] {
            assert_eq!(message(line), expect, "{line}");
        }
    }

    #[test]
    fn messages_are_heard_in_pieces() {
        let listener = Listener::new(Arc::new(DiscardOutput));
        let mut heard = String::new();
        for piece in [
            "one\n{\"type\": \"res",
            "ult\"}\ntwo {",
            "\n{\"type\": \"log\", \"message\": \"m\"}\n{no}\n",
            "part",
            "{\"type\": \"result\"}\n",
        ] {
            for (stream, text) in listener.heard(piece) {
                heard += &format!("{}:{text:?} ", stream.as_str());
            }
        }
        assert_eq!(
            heard,
            r#"stdout:"one\n" stdout:"two {" stdout:"\n" stderr:"INFO: m\n" stdout:"{no}\n" "#
                .to_owned()
                + r#"stdout:"part" stdout:"{\"type\": \"result\"}\n" "#
        );
    }
}
