//! Sensors in real Python processes. Needs `python3` on the path.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{MemoryDatastore, MemoryLog, MemorySink, MemoryWitness, fake_env};
use squall_env::{Env, FakeEnv};
use squall_sensors::DispatchError;
use squall_sensors::sensor::{Handle, Level, Limits, Phase, Ports, Protocol, SensorSpec, sensor};
use squall_value::{Value, dict, json, list};
use tokio::task::JoinHandle;

/// A sensor in a directory of its own, and all that it touches.
struct Lab {
    handle: Handle,
    service: JoinHandle<()>,
    sink: Arc<MemorySink>,
    datastore: Arc<MemoryDatastore>,
    log: Arc<MemoryLog>,
    witness: Arc<MemoryWitness>,
    env: Arc<FakeEnv>,
    directory: tempfile::TempDir,
}

impl Lab {
    /// Runs the class `Subject` of `code`.
    fn start(code: &str) -> Lab {
        Lab::start_with(code, MemorySink::new(), |_, _| {})
    }

    fn start_with(
        code: &str,
        sink: Arc<MemorySink>,
        change: impl FnOnce(&mut SensorSpec, &mut Limits),
    ) -> Lab {
        let directory = tempfile::tempdir().unwrap();
        let entry_point = directory.path().join("subject.py");
        std::fs::write(&entry_point, code).unwrap();
        let mut spec = SensorSpec {
            reference: "examples.Subject".into(),
            pack: "examples".into(),
            class_name: "Subject".into(),
            entry_point,
            protocol: Protocol::Python,
            interpreter: "python3".into(),
            host: squall_python::unpack(directory.path()).unwrap(),
            python_path: Vec::new(),
            config: dict! { "color" => "red" },
            poll_interval_seconds: None,
            triggers: Vec::new(),
            environment: vec![(
                "ST2_API_URL".to_owned(),
                "http://127.0.0.1:9101/v1".to_owned(),
            )],
            working_directory: None,
            log_level: Level::Info,
        };
        let mut limits = Limits::default();
        change(&mut spec, &mut limits);
        let (env, log) = (fake_env(), Arc::new(MemoryLog::default()));
        let datastore = Arc::new(MemoryDatastore::default());
        let witness = Arc::new(MemoryWitness::default());
        let ports = Ports {
            env: env.clone(),
            sink: sink.clone(),
            datastore: datastore.clone(),
            log: log.clone(),
            witness: witness.clone(),
        };
        let (handle, service) = sensor(spec, ports, limits);
        Lab {
            handle,
            service: tokio::spawn(service.run()),
            sink,
            datastore,
            log,
            witness,
            env,
            directory,
        }
    }

    async fn phase(&self, wanted: fn(&Phase) -> bool) -> squall_sensors::sensor::SensorState {
        let state = self.handle.wait_for(|state| wanted(&state.phase)).await;
        state.unwrap_or_else(|| panic!("it ended as {:?}", self.handle.state()))
    }

    async fn stop(self) -> Vec<String> {
        self.handle.stop();
        self.service.await.unwrap();
        assert_eq!(self.handle.state().phase, Phase::Stopped);
        self.log.lines()
    }

    /// The payloads of the first `count` events.
    async fn payloads(&self, count: usize) -> String {
        let events = self.sink.wait_for(count).await;
        let texts: Vec<String> = events.iter().map(|event| event.payload.to_json()).collect();
        texts.join(" ")
    }
}

const PRELUDE: &str = r#"
import os, sys, time
from st2reactor.sensor.base import Sensor, PollingSensor

class Base:
    def setup(self): pass
    def cleanup(self): pass
    def add_trigger(self, trigger): pass
    def update_trigger(self, trigger): pass
    def remove_trigger(self, trigger): pass
"#;

fn code(text: &str) -> String {
    format!("{PRELUDE}\n{text}")
}

#[tokio::test]
async fn a_passive_sensor_lives_its_whole_life() {
    let lab = Lab::start_with(
        &code(
            r#"
class Subject(Base, Sensor):
    def __init__(self, sensor_service, config=None):
        super().__init__(sensor_service=sensor_service, config=config)
        self.log = self._sensor_service.get_logger(__name__)
    def setup(self):
        self.log.info("setup with %s and %s", self.config["color"], self._config is self.config)
    def add_trigger(self, trigger):
        self.sensor_service.dispatch("examples.added", {"path": trigger["parameters"]["path"]})
    def update_trigger(self, trigger):
        self.sensor_service.dispatch("examples.updated", {"path": trigger["parameters"]["path"]})
    def remove_trigger(self, trigger):
        self.sensor_service.dispatch("examples.removed", {"id": trigger["id"]})
    def run(self):
        print("hello from run")
        self.sensor_service.dispatch(trigger="examples.seen", payload={"api": os.environ["ST2_API_URL"]}, trace_tag="t1")
        while True:
            time.sleep(3600)
    def cleanup(self):
        self.log.warning("cleaned up")
"#,
        ),
        MemorySink::new(),
        |spec, _| {
            spec.triggers =
                vec![json::read(r#"{"id": "1", "parameters": {"path": "/a"}}"#).unwrap()]
        },
    );
    let events = lab.sink.wait_for(2).await;
    assert_eq!(&*events[0].trigger, "examples.added");
    assert_eq!(events[1].trace_tag.as_deref(), Some("t1"));
    let state = lab.phase(|phase| *phase == Phase::Running).await;
    assert!(state.pid.is_some());
    let trigger = |path: &str| dict! { "id" => "1", "parameters" => dict! { "path" => path } };
    lab.handle.trigger_updated(trigger("/b")).await;
    lab.handle.trigger_removed(trigger("/b")).await;
    assert_eq!(
        lab.payloads(4).await,
        r#"{"path":"/a"} {"api":"http://127.0.0.1:9101/v1"} {"path":"/b"} {"id":"1"}"#
    );
    let witness = Arc::clone(&lab.witness);
    let lines = lab.stop().await;
    assert_eq!(witness.seen(), ["spawned", "exited Some(0)"]);
    assert_eq!(
        lines,
        [
            "Info SensorWrapper.examples.Subject.subject: setup with red and True",
            "Info stdout: hello from run",
            "Warning SensorWrapper.examples.Subject.subject: cleaned up",
        ]
    );
}

fn in_shell(text: &str) -> Lab {
    let code = format!("#!/bin/sh\n{text}");
    Lab::start_with(&code, MemorySink::new(), |spec, _| {
        spec.protocol = Protocol::Stdio;
    })
}

#[tokio::test]
async fn a_program_in_any_language_is_a_sensor() {
    let lab = in_shell(
        r#"
read start
echo starting up
echo '{"type": "ready"}'
echo '{"type": "dispatch", "trigger": "examples.seen", "payload": {"n": 1}}'
echo '{"type": "dispatch", "id": 7, "trigger": "examples.seen", "payload": {"n": 2}, "dedupe_key": "k"}'
read answer
echo "$answer" >&2
echo '{"type": "get_value", "id": 8, "name": "absent"}'
read answer
echo "$answer" >&2
case $start in *'"color":"red"'*) echo '{"type": "log", "level": "WARNING", "message": "red"}';; esac
read stop
echo "$stop" >&2
"#,
    );
    lab.phase(|phase| *phase == Phase::Running).await;
    assert_eq!(lab.payloads(2).await, r#"{"n":1} {"n":2}"#);
    lab.log.wait_for("Warning : red").await;
    let mut lines = lab.stop().await;
    // Both ways to the log are read at once.
    lines.sort();
    assert_eq!(
        lines,
        [
            "Info stderr: {\"type\":\"answer\",\"id\":7,\"result\":\"0\"}",
            "Info stderr: {\"type\":\"answer\",\"id\":8,\"result\":null}",
            "Info stderr: {\"type\":\"stop\"}",
            "Info stdout: starting up",
            "Warning : red",
        ]
    );
}

#[tokio::test]
async fn a_program_that_fails_says_why() {
    for (text, expect) in [
        ("exit 3", "status: 3"),
        (
            "echo '{\"type\": \"nonsense\"}'; read stop",
            "unknown type `nonsense`",
        ),
        (
            "echo '{\"type\": \"get_value\", \"name\": \"n\"}'; read stop",
            "no `id`",
        ),
        (
            "echo '{\"type\": \"failed\", \"stage\": \"run\", \"message\": \"no disk\"}'",
            "no disk",
        ),
    ] {
        let lab = in_shell(text);
        let state = lab
            .phase(|phase| matches!(phase, Phase::BackingOff { .. }))
            .await;
        let error = state.last_error.unwrap();
        assert!(error.contains(expect), "{text}: {error}");
        lab.stop().await;
    }
}

#[tokio::test]
async fn a_polling_sensor_polls_at_its_interval() {
    for constructor in [
        "",
        "def __init__(self, sensor_service, config): super().__init__(sensor_service, config)",
        "def __init__(self, sensor_service, config=None, poll_interval=9): super().__init__(sensor_service=sensor_service, config=config, poll_interval=poll_interval)",
        "def __init__(self, *args, **kwargs): super().__init__(*args, **kwargs)",
    ] {
        let text = code(&format!(
            r#"
class Subject(Base, PollingSensor):
    {constructor}
    def poll(self):
        self._sensor_service.dispatch("examples.tick", {{"interval": self.get_poll_interval()}})
        self.set_poll_interval(0.001)
"#
        ));
        let lab = Lab::start_with(&text, MemorySink::new(), |spec, _| {
            spec.poll_interval_seconds = Some(1);
        });
        let payloads = lab.payloads(3).await;
        assert!(
            payloads.starts_with(r#"{"interval":1} {"interval":0.001} {"interval":0.001}"#),
            "{constructor}: {payloads}"
        );
        lab.stop().await;
    }
}

#[tokio::test]
async fn the_datastore_is_the_sensors_own_unless_asked() {
    let lab = Lab::start(&code(
        r#"
class Subject(Base, Sensor):
    def run(self):
        s = self.sensor_service
        results = [s.get_value("a"), s.set_value("a", 5, ttl=60), s.get_value("a"),
                   s.set_value("b", "x", local=False, encrypt=True), s.get_value("b", local=False),
                   [item.name for item in s.list_values()], [i.value for i in s.list_values(local=False, prefix="b")],
                   s.delete_value("a"), s.delete_value("a"), s.get_value("broken")]
        try:
            s.get_value("a", scope="user")
        except ValueError as error:
            results.append(str(error))
        s.dispatch("examples.done", {"results": results})
"#,
    ));
    assert_eq!(
        lab.payloads(1).await,
        r#"{"results":[null,true,"5",true,"x",["examples.Subject:a"],["x"],true,false,null,"Scope user is unsupported."]}"#
    );
    lab.phase(|phase| *phase == Phase::Finished).await;
    assert!(lab.datastore.writes.lock()["b"].encrypt);
}

#[tokio::test]
async fn events_that_are_refused_are_dropped_and_logged() {
    let sink = MemorySink::new();
    sink.errors.lock().push(DispatchError::UnknownTrigger {
        trigger: "examples.nope".into(),
    });
    let lab = Lab::start_with(
        &code(
            r#"
class Subject(Base, Sensor):
    def run(self):
        s = self.sensor_service
        s.dispatch("examples.nope", {})
        s.dispatch("examples.large", {"data": "x" * 100000})
        try:
            s.dispatch("examples.list", [1])
        except TypeError as error:
            s.dispatch("examples.done", {"error": str(error), "kinds": [(1, 2), {3}, b"4", time]})
"#,
        ),
        sink,
        |_, limits| limits.message_bytes_max = 10_000,
    );
    let events = lab.sink.wait_for(1).await;
    assert_eq!(
        events[0].payload.get("error").unwrap().as_str(),
        Some("The payload has a value that is not a dictionary (was <class 'list'>).")
    );
    assert_eq!(
        events[0].payload.get("kinds").unwrap().as_list().unwrap()[..3],
        [list![1, 2], list![3], Value::from("4")]
    );
    let line = lab.log.wait_for("examples.nope").await;
    assert!(
        line.contains("no trigger type `examples.nope` is registered"),
        "{line}"
    );
    let line = lab.log.wait_for("examples.large").await;
    assert!(
        line.contains("more than the 10000 that the server accepts"),
        "{line}"
    );
}

#[tokio::test]
async fn a_sensor_waits_while_events_can_not_be_stored() {
    let sink = MemorySink::with_permits(3);
    sink.errors.lock().push(DispatchError::Unavailable {
        reason: "the disk is full".to_owned(),
    });
    let lab = Lab::start_with(
        &code(
            r#"
class Subject(Base, Sensor):
    def run(self):
        n = 0
        while True:
            n += 1
            self.sensor_service.dispatch("examples.n", {"n": n})
            with open(os.path.join(os.path.dirname(__file__), "sent"), "w") as f:
                f.write(str(n))
"#,
        ),
        sink,
        |_, _| {},
    );
    // The first of the three permits goes to the attempt that fails; the next one comes once the
    // clock has moved.
    while lab.sink.events().is_empty() {
        lab.env.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    lab.sink.wait_for(2).await;
    let told = lab.handle.state().last_error.unwrap();
    assert!(
        told.contains("its events wait: the event could not be stored: the disk is full"),
        "{told}"
    );
    let sent = std::fs::read_to_string(lab.directory.path().join("sent")).unwrap_or_default();
    let sent: u32 = sent.parse().unwrap_or(0);
    assert!(sent <= 2, "{sent} were sent with two answers");
    lab.sink.permit(1);
    assert_eq!(lab.payloads(3).await, r#"{"n":1} {"n":2} {"n":3}"#);
    // A fourth event may be waiting for its answer, and with it the sensor's end.
    lab.sink.permit(1_000_000);
    lab.stop().await;
}

#[tokio::test]
async fn a_flood_is_told_and_nothing_of_it_is_lost() {
    let text = code(
        r#"
class Subject(Base, Sensor):
    def run(self):
        for n in range(60):
            self.sensor_service.dispatch("examples.n", {"n": n})
"#,
    );
    for (max, is_told) in [(50, true), (60, false)] {
        let lab = Lab::start_with(&text, MemorySink::new(), |_, limits| {
            limits.flood_events = max
        });
        lab.sink.wait_for(60).await;
        lab.phase(|phase| *phase == Phase::Finished).await;
        let told = lab.handle.state().last_error.unwrap_or_default();
        assert_eq!(
            told.contains("it floods: more than 50 events within 10 s"),
            is_told,
            "{told}"
        );
        assert_eq!(lab.handle.state().restarts, 0);
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told() {
    let cases = [
        (
            "import does_not_exist",
            "importing the sensor's file failed: ModuleNotFoundError: No module named 'does_not_exist'",
        ),
        (
            "class Other(Base, Sensor): pass",
            "has no class Subject; its sensors are: Other",
        ),
        (
            "class Subject: pass",
            "derives neither from Sensor nor from PollingSensor",
        ),
        (
            "def Subject(): pass",
            "has no class Subject; its sensors are: none",
        ),
        (
            "class Subject(Base, PollingSensor): pass",
            "making the sensor failed, perhaps for its config: TypeError: Can't instantiate abstract class Subject with abstract method",
        ),
        (
            "class Subject(Base, Sensor):\n    def run(self): pass\n    def setup(self): self.config['colour']",
            "its setup failed: KeyError: 'colour'",
        ),
        (
            "class Subject(Base, Sensor):\n    def run(self): raise ValueError('é ' + 'x')",
            "it failed while running: ValueError: é x",
        ),
        (
            "class Subject(Base, Sensor):\n    def run(self): sys.exit(3)",
            "it failed while running: it called sys.exit(3)",
        ),
        (
            "class Subject(Base, Sensor):\n    def run(self): os.kill(os.getpid(), 9)",
            "its process ended with signal: 9 (SIGKILL), without saying why",
        ),
        (
            "class Subject(Base, Sensor):\n    def run(self): os._exit(7)",
            "its process ended with exit status: 7, without saying why",
        ),
        (
            "syntax error",
            "importing the sensor's file failed: SyntaxError: invalid syntax",
        ),
    ];
    for (text, expected) in cases {
        let lab = Lab::start_with(&code(text), MemorySink::new(), |_, limits| {
            limits.failures_max = 1
        });
        let state = lab.phase(|phase| *phase == Phase::Failed).await;
        let error = state.last_error.unwrap();
        assert!(error.contains(expected), "{text}: {error}");
        assert_eq!(state.pid, None);
        lab.service.await.unwrap();
    }
}

#[tokio::test]
async fn a_sensor_that_hangs_is_told_and_left_alone() {
    for (method, told) in [("setup", "setup()"), ("poll", "poll()")] {
        let text = code(
            r#"
class Subject(Base, PollingSensor):
    def poll(self): pass
    def METHOD(self):
        self.sensor_service.dispatch("examples.here", {})
        while True: time.sleep(60)
"#,
        );
        let lab = Lab::start(&text.replace("METHOD", method));
        lab.sink.wait_for(1).await;
        assert_eq!(lab.handle.state().last_error, None);
        while lab.handle.state().last_error.is_none() {
            lab.env.advance(Duration::from_secs(30));
            tokio::task::yield_now().await;
        }
        let error = lab.handle.state().last_error.unwrap();
        assert!(error.starts_with(told), "{error}");
        assert!(error.contains("has not returned"), "{error}");
        assert_eq!(lab.handle.state().restarts, 0);
        lab.stop().await;
    }
}

#[tokio::test]
async fn an_interpreter_that_is_missing_is_told() {
    let lab = Lab::start_with("", MemorySink::new(), |spec, limits| {
        spec.interpreter = "/nowhere/python".into();
        limits.failures_max = 1;
    });
    let error = lab
        .phase(|phase| *phase == Phase::Failed)
        .await
        .last_error
        .unwrap();
    assert!(
        error.starts_with("starting /nowhere/python failed: No such file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_sensor_that_crashes_is_started_again_later_and_later() {
    let lab = Lab::start_with(
        &code(
            r#"
class Subject(Base, Sensor):
    def run(self):
        self.sensor_service.dispatch("examples.start", {"triggers": self.seen})
        raise RuntimeError("again")
    seen = 0
    def add_trigger(self, trigger):
        self.seen += 1
"#,
        ),
        MemorySink::new(),
        |_, limits| limits.failures_max = 3,
    );
    for (restarts, pause_ms) in [(0, 2_500), (1, 5_000)] {
        let state = lab
            .handle
            .wait_for(|state| {
                state.restarts == restarts && matches!(state.phase, Phase::BackingOff { .. })
            })
            .await
            .unwrap();
        let pause = Duration::from_millis(pause_ms);
        assert_eq!(
            state.phase,
            Phase::BackingOff {
                until: lab.env.now() + pause
            }
        );
        lab.handle
            .trigger_added(dict! { "id" => restarts as i64 })
            .await;
        while lab.env.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        lab.env.advance(pause);
    }
    let state = lab.phase(|phase| *phase == Phase::Failed).await;
    assert_eq!(
        state.last_error.as_deref(),
        Some("it failed while running: RuntimeError: again")
    );
    // One exit for each start: none is told twice, and none forgotten.
    let life = ["spawned", "exited Some(1)"];
    assert_eq!(lab.witness.seen(), [life, life, life].concat());
    assert_eq!(
        lab.payloads(3).await,
        r#"{"triggers":0} {"triggers":1} {"triggers":2}"#
    );
}

#[tokio::test]
async fn a_sensor_that_will_not_stop_is_killed_with_its_tree() {
    let lab = Lab::start(&code(
        r#"
import subprocess
class Subject(Base, Sensor):
    def run(self):
        child = subprocess.Popen(["sleep", "3600"])
        other = subprocess.Popen(["sleep", "3600"], start_new_session=True)
        pids = {"pids": [child.pid, other.pid]}
        while True:
            try:
                if pids:
                    self.sensor_service.dispatch("examples.pids", pids)
                    pids = None
                time.sleep(3600)
            except BaseException:
                self.sensor_service.dispatch("examples.refused", {})
"#,
    ));
    let events = lab.sink.wait_for(1).await;
    let pids: Vec<i64> = events[0]
        .payload
        .get("pids")
        .unwrap()
        .as_list()
        .unwrap()
        .iter()
        .map(|pid| pid.as_int().unwrap())
        .collect();
    lab.handle.stop();
    // It was asked, and went on; now the grace ends.
    lab.sink.wait_for(2).await;
    while lab.env.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    lab.env.advance(Limits::default().stop_grace);
    lab.service.await.unwrap();
    assert_eq!(lab.handle.state().phase, Phase::Stopped);
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
}

#[tokio::test]
async fn a_pack_may_replace_threads_and_system_calls() {
    // What eventlet and gevent do, without either: the names that the host might use are gone.
    let lab = Lab::start(&code(
        r#"
import _thread, threading, socket, select, json, logging
def broken(*args, **kwargs):
    raise RuntimeError("the host used a name that the pack replaced")
os.read = os.write = json.dumps = json.loads = socket.socket = select.select = broken
_thread.allocate_lock = threading.Lock = broken
class Subject(Base, Sensor):
    def run(self):
        self.sensor_service.get_logger("x").info("logged")
        self.sensor_service.dispatch("examples.alive", {"stdin": sys.stdin.read()})
        time.sleep(3600)
"#,
    ));
    assert_eq!(lab.payloads(1).await, r#"{"stdin":""}"#);
    lab.log.wait_for("logged").await;
    lab.stop().await;
}

#[tokio::test]
async fn threads_dispatch_at_once() {
    let lab = Lab::start(&code(
        r#"
import threading
class Subject(Base, Sensor):
    def run(self):
        def work(start):
            for n in range(start, start + 50):
                self.sensor_service.dispatch("examples.n", {"n": n})
        for start in range(0, 400, 50):
            threading.Thread(target=work, args=(start,)).start()
"#,
    ));
    lab.phase(|phase| *phase == Phase::Finished).await;
    let events = lab.sink.events();
    let mut numbers: Vec<i64> = events
        .iter()
        .map(|event| event.payload.get("n").unwrap().as_int().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..400).collect::<Vec<i64>>());
}
