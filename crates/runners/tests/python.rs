//! Python actions: forked from a warm interpreter, and in a fresh one.

mod support;

use std::sync::Arc;

use squall_model::Outcome as Ending;
use squall_runners::{Isolation, Job};
use squall_value::{Value, dict};
use support::{Fixture, dict, job, lives};

const HEAD: &str = "from st2common.runners.base_action import Action\n";

/// The action in `source`, in a pack of its own.
fn action(fixture: &Fixture, name: &str, source: &str, isolation: Isolation) -> Job {
    let mut job = job(dict! { "timeout" => 60 });
    job.pack_dir = fixture.path("packs/tests");
    let file = format!("packs/tests/actions/{name}.py");
    job.entry_point = Some(fixture.file(&file, &format!("{HEAD}{source}")));
    job.isolation = isolation;
    job
}

const BOTH: [Isolation; 2] = [Isolation::Fork, Isolation::Process];

/// Source of the body of a module; the ending; the exit code; the result as JSON; a piece of
/// standard error.
const CASES: &[(&str, Ending, i32, &str, &str)] = &[
    (
        "class A(Action):\n  def run(self, **kw):\n    return kw",
        Ending::Succeeded,
        0,
        r#"{"a":1,"n":null,"t":"grüße"}"#,
        "",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    return (False, {'why': 'no'})",
        Ending::Failed,
        0,
        r#"{"why":"no"}"#,
        "",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    return [False, 'x']",
        Ending::Succeeded,
        0,
        r#"[false,"x"]"#,
        "",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    return (1, 'x')",
        Ending::Failed,
        220,
        r#""None""#,
        "must either be True or False, got: 1",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    pass",
        Ending::Succeeded,
        0,
        "null",
        "",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    return (True, {1, })",
        Ending::Succeeded,
        0,
        r#""{1}""#,
        "",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    return {1}",
        Ending::Succeeded,
        0,
        r#""{1}, 'status': None}""#,
        "",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    raise KeyError('gone')",
        Ending::Failed,
        1,
        r#""None""#,
        "KeyError: 'gone'",
    ),
    (
        "import sys\nclass A(Action):\n  def run(self, **kw):\n    sys.exit(7)",
        Ending::Failed,
        7,
        r#""None""#,
        "",
    ),
    (
        "class A(Action):\n  def __init__(self, config):\n    super().__init__(config)\n  def run(self, **kw):\n    return [self.config['k'], self.config.get('x'), 'k' in self.config, self.action_service is not None]",
        Ending::Succeeded,
        0,
        r#"["v",null,true,true]"#,
        "",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    return self.config['absent']",
        Ending::Failed,
        1,
        r#""None""#,
        "ValueError: \nConfig for pack \"tests\" is missing key \"absent\"",
    ),
    (
        "class Z:\n  def run(self): pass\nclass B:\n  def __init__(self, config=None, action_service=None): pass\n  def run(self, **kw): return 'B'\nclass A: pass",
        Ending::Succeeded,
        0,
        r#""B""#,
        "",
    ),
    (
        "X = 1",
        Ending::Failed,
        1,
        r#""None""#,
        "has no action class",
    ),
    (
        "def",
        Ending::Failed,
        1,
        r#""None""#,
        "Failed to load action class",
    ),
    (
        "class A(Action):\n  def run(self, **kw):\n    self.logger.info('hi')\n    self.logger.debug('no')",
        Ending::Succeeded,
        0,
        "null",
        "actions.python.A: INFO     hi\n",
    ),
    (
        "import os\nclass A(Action):\n  def run(self, **kw):\n    return [os.getsid(0) == os.getpid(), os.environ['ST2_ACTION_PACK_NAME'], os.environ['X'], os.path.isdir(os.getcwd()), os.read(0, 1).decode()]",
        Ending::Succeeded,
        0,
        r#"[SESSION,"tests","y",true,""]"#,
        "",
    ),
    (
        "import os, signal\nclass A(Action):\n  def run(self, **kw):\n    os.kill(os.getpid(), signal.SIGKILL)",
        Ending::Failed,
        -9,
        r#""None""#,
        "",
    ),
];

#[tokio::test]
async fn results_of_actions() {
    let fixture = Fixture::new();
    for isolation in BOTH {
        for (at, (source, ending, code, result, stderr)) in CASES.iter().enumerate() {
            let mut job = action(&fixture, &format!("case_{at}"), source, isolation);
            job.action_parameters = dict(r#"{"a": 1, "n": null, "t": "grüße"}"#);
            job.config = dict! { "k" => "v" };
            let parameters = Arc::make_mut(&mut job.runner_parameters);
            parameters.insert("log_level", "INFO");
            parameters.insert("env", dict! { "X" => "y", "PYTHONPATH" => "/nowhere" });
            let ran = fixture.run("python-script", job).await;
            let got = ran.outcome.result.get("result").map(Value::to_json);
            // A fresh process has a session of its own only with the server's own program before it.
            let session = if isolation == Isolation::Fork {
                "true"
            } else {
                "false"
            };
            let result = result.replace("SESSION", session);
            let context = format!("{isolation:?} {source}\n{}", ran.result());
            assert_eq!(got.as_deref(), Some(&*result), "{context}");
            assert_eq!(ran.ending(), *ending, "{context}");
            assert_eq!(ran.outcome.exit_code, Some(*code), "{context}");
            assert!(ran.text("stderr").contains(stderr), "{context}");
        }
    }
}

#[tokio::test]
async fn neighbours_are_imported_and_packs_do_not_see_each_other() {
    let fixture = Fixture::new();
    let source = "from lib.shared import NAME\nimport helper\nimport common\nclass A(Action):\n  def run(self):\n    return [NAME, helper.X, common.Y]";
    for pack in ["one", "two"] {
        fixture.file(
            &format!("packs/{pack}/actions/lib/shared.py"),
            &format!("NAME = '{pack}'"),
        );
        fixture.file(
            &format!("packs/{pack}/actions/lib/common.py"),
            &format!("Y = '{pack}'"),
        );
        fixture.file(
            &format!("packs/{pack}/actions/helper.py"),
            &format!("X = '{pack}'"),
        );
        let mut job = job(dict! { "timeout" => 60 });
        job.pack_dir = fixture.path(&format!("packs/{pack}"));
        let file = format!("packs/{pack}/actions/a.py");
        job.entry_point = Some(fixture.file(&file, &format!("{HEAD}{source}")));
        let ran = fixture.run("python-script", job).await;
        let result = ran.outcome.result.get("result").map(Value::to_json);
        assert_eq!(
            result,
            Some(format!(r#"["{pack}","{pack}","{pack}"]"#)),
            "{}",
            ran.result()
        );
    }
}

#[tokio::test]
async fn shared_libraries_stand_behind_the_packs_own_and_the_interpreters() {
    let shared = tempfile::tempdir().expect("a temporary directory");
    let packages = shared.path().join("lib/python3.11/site-packages");
    std::fs::create_dir_all(&packages).expect("a directory");
    for (module, text) in [
        ("undeclared.py", "X = 'shared'"),
        ("own.py", "X = 'shared'"),
        (
            "string.py",
            "raise Exception('it hides a module of the interpreter')",
        ),
        ("oslo_config.py", "X = 'shared'"),
    ] {
        std::fs::write(packages.join(module), text).expect("a file");
    }
    let fixture =
        Fixture::with(|settings| settings.shared_environment = Some(shared.path().to_owned()));
    fixture.file("packs/tests/actions/lib/own.py", "X = 'pack'");
    let source = "import own, string, undeclared, oslo_config\nclass A(Action):\n  def run(self):\n    return [undeclared.X, own.X, oslo_config.X, string.digits]";
    for isolation in BOTH {
        let job = action(&fixture, "asks", source, isolation);
        let ran = fixture.run("python-script", job).await;
        let result = ran.outcome.result.get("result").map(Value::to_json);
        let wanted = r#"["shared","pack","shared","0123456789"]"#;
        assert_eq!(result.as_deref(), Some(wanted), "{}", ran.result());
    }
}

#[tokio::test]
async fn what_actions_and_sensors_share_can_be_imported_where_it_is_allowed() {
    let source = "import own\nclass A(Action):\n  def run(self):\n    return own.X";
    for is_allowed in [false, true] {
        let fixture = Fixture::with(|settings| settings.common_libs = is_allowed);
        fixture.file("packs/tests/lib/own.py", "X = 'common'");
        for isolation in BOTH {
            let job = action(&fixture, "asks", source, isolation);
            let ran = fixture.run("python-script", job).await;
            let result = ran.result();
            let expected = if is_allowed {
                "common"
            } else {
                "No module named 'own'"
            };
            assert!(result.contains(expected), "{is_allowed}: {result}");
        }
    }
}

/// Statements that give text, and that text: what packs import of StackStorm.
const IMPORTS: &[(&str, &str)] = &[
    (
        "from oslo_config import cfg; x = cfg.CONF.system.base_path",
        "/opt/stackstorm",
    ),
    (
        "from oslo_config import cfg; x = cfg.CONF['api']['port']",
        "9101",
    ),
    (
        "from st2common.config import cfg; x = cfg.CONF.auth.get('no', 'none')",
        "none",
    ),
    (
        "from oslo_config import cfg\n    try: cfg.CONF.api.nothing\n    except cfg.NoSuchOptError as e: x = e.opt_name",
        "nothing",
    ),
    (
        "from st2common.util.jinja import is_jinja_expression as f; x = [f('{{a}}'), f('a'), f(1)]",
        "[True, False, False]",
    ),
    (
        "from st2common.util.jinja_filters import filters; x = filters()['to_human_time_from_seconds'](3720)",
        "1h2m0s",
    ),
    (
        "from st2common.util.jinja_filters import filters; x = filters()['to_human_time_from_seconds'](86400 * 40)",
        "40d0h0m0s",
    ),
    (
        "from st2common.util.jinja_filters import filters; x = filters()['regex_substring']('a1b22', '[0-9]+', 1)",
        "22",
    ),
    (
        "from st2common.util import isotime; x = isotime.format(isotime.parse('2020-01-02T03:04:05Z'), usec=False)",
        "2020-01-02T03:04:05Z",
    ),
    (
        "from st2common.util.date import get_datetime_utc_now as now; x = now().tzinfo",
        "UTC",
    ),
    (
        "from st2common.util.shell import quote_unix, run_command; x = [quote_unix('a b'), run_command('exit 3', shell=True)[0]]",
        "[\"'a b'\", 3]",
    ),
    (
        "from st2common.models.system.action import ShellScriptAction as S; x = S('', '', '/x y', {'--a': 'b c', '--d': True, '--e': ''}, ['f']).get_full_command_string()",
        "'/x y' --a='b c' --d f",
    ),
    (
        "from st2common.content.utils import get_pack_base_path as f; x = f('shop')",
        "/opt/stackstorm/packs/shop",
    ),
    (
        "from st2common.content.utils import get_pack_file_abs_path as f\n    try: f('shop', '../../etc')\n    except ValueError: x = 'outside'",
        "outside",
    ),
    (
        "from st2common import log; x = log.getLogger('a').name",
        "a",
    ),
    (
        "from st2common.runners.utils import get_logger_for_python_runner_action as f; x = f('A').name",
        "actions.python.A",
    ),
    (
        "from st2common.exceptions.action import InvalidActionParameterException as E; x = E('a')",
        "a",
    ),
    (
        "import st2actions.runners.pythonrunner as m; x = m.Action is Action",
        "True",
    ),
    (
        "from python_runner.python_action_wrapper import ActionService; x = ActionService.__name__",
        "ActionService",
    ),
    (
        "from st2reactor.sensor.base import Sensor, PollingSensor; x = PollingSensor.__name__",
        "PollingSensor",
    ),
    (
        "from st2tests.base import BaseActionTestCase, BaseSensorTestCase, BaseActionAliasTestCase; x = BaseActionTestCase.__name__",
        "BaseActionTestCase",
    ),
    (
        "from st2common.models.api.trace import TraceContext; x = TraceContext(trace_tag='t').trace_tag",
        "t",
    ),
];

#[tokio::test]
async fn what_packs_import_of_stackstorm_is_there() {
    let fixture = Fixture::new();
    for (number, (statements, wanted)) in IMPORTS.iter().enumerate() {
        let source =
            format!("class A(Action):\n  def run(self):\n    {statements}\n    return str(x)");
        let mut job = action(&fixture, &format!("i{number}"), &source, Isolation::Fork);
        // An address that says nothing, so that defaults are seen.
        job.env.retain(|(name, _)| name != "ST2_ACTION_API_URL");
        let ran = fixture.run("python-script", job).await;
        let result = ran.outcome.result.get("result").and_then(Value::as_str);
        assert_eq!(result, Some(*wanted), "{statements}: {}", ran.result());
    }
}

#[tokio::test]
async fn output_is_live_and_a_cancel_ends_the_tree() {
    let fixture = Fixture::new();
    let source = "import subprocess, sys\nclass A(Action):\n  def run(self):\n    p = subprocess.Popen(['sleep', '100'], start_new_session=True)\n    print(p.pid, file=sys.stderr)\n    print('ready')\n    p.wait()";
    for isolation in BOTH {
        let job = action(&fixture, "waits", source, isolation);
        let ran = fixture.cancel_at("python-script", job, "ready").await;
        assert_eq!(ran.ending(), Ending::Canceled);
        assert!(!lives(ran.text("stderr")), "{}", ran.result());
    }
}

#[tokio::test]
async fn a_timeout_ends_the_action() {
    let fixture = Fixture::new();
    let source = "import signal, time\nclass A(Action):\n  def run(self):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(100)";
    let mut job = action(&fixture, "sleeps", source, Isolation::Fork);
    Arc::make_mut(&mut job.runner_parameters).insert("timeout", 1);
    let ran = fixture.run("python-script", job).await;
    assert_eq!(ran.ending(), Ending::TimedOut);
    assert_eq!(ran.text("error"), "Action failed to complete in 1 seconds");
}

#[tokio::test]
async fn large_parameters_and_secrets() {
    let fixture = Fixture::new();
    let source = "class A(Action):\n  def run(self, big, key):\n    print(key)\n    return [len(big), 'x' + key]";
    let mut job = action(&fixture, "big", source, Isolation::Fork);
    let mut parameters = squall_value::Dict::new();
    parameters.insert("big", "x".repeat(200 << 10));
    parameters.insert("key", "s3cr3t-key");
    job.action_parameters = Arc::new(parameters);
    job.secrets = vec!["s3cr3t-key".into()];
    let ran = fixture.run("python-script", job).await;
    let result = ran.outcome.result.get("result").map(Value::to_json);
    assert_eq!(
        result.as_deref(),
        Some(r#"[204800,"x********"]"#),
        "{}",
        ran.result()
    );
    assert_eq!(ran.text("stdout"), "********\n");
}

#[tokio::test]
async fn chance_differs_between_actions() {
    let fixture = Fixture::new();
    let source = "import random, uuid\nclass A(Action):\n  def run(self):\n    return [random.random(), str(uuid.uuid4())]";
    let mut seen = Vec::new();
    for _ in 0..3 {
        let job = action(&fixture, "chance", source, Isolation::Fork);
        let ran = fixture.run("python-script", job).await;
        seen.push(ran.outcome.result.get("result").map(Value::to_json));
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let fixture = Fixture::new();
    let mut no_env = action(&fixture, "x", "", Isolation::Fork);
    no_env.virtualenv = Some("/no/such/env".into());
    let mut no_entry = no_env.clone();
    no_entry.entry_point = None;
    for (job, expected) in [(no_env, "/no/such/env"), (no_entry, "missing entry_point")] {
        let ran = fixture.run("python-script", job).await;
        assert_eq!(ran.ending(), Ending::Failed);
        assert!(ran.text("error").contains(expected), "{}", ran.result());
    }
}

/// A datastore with one item; keeps what it is asked.
async fn datastore() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 4096];
            let mut text = String::new();
            while !text.contains("\r\n\r\n") || (text.starts_with("PUT") && !text.ends_with('}')) {
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
            let (status, body) = match text.contains("absent") {
                true => ("404 Not Found", "{}"),
                false => ("200 OK", r#"{"name": "n", "value": "stored"}"#),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            sender.send(text).expect("the test listens");
            stream
                .write_all(answer.as_bytes())
                .await
                .expect("the client listens");
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn an_action_reaches_the_datastore_with_its_token() {
    let fixture = Fixture::new();
    let (url, mut asked) = datastore().await;
    let source = "class A(Action):\n  def run(self):\n    s = self.action_service\n    bad = None\n    try:\n      s.get_value('x', scope='user')\n    except ValueError as e:\n      bad = str(e)\n    return [s.get_value('k'), s.get_value('absent'), s.set_value('k', 5, ttl=9, local=False, encrypt=True), s.delete_value('k'), bad]";
    let mut job = action(&fixture, "data", source, Isolation::Fork);
    job.env = vec![
        ("ST2_ACTION_API_URL".to_owned(), url),
        ("ST2_ACTION_AUTH_TOKEN".to_owned(), "a-token".to_owned()),
    ];
    let ran = fixture.run("python-script", job).await;
    let result = ran.outcome.result.get("result").map(Value::to_json);
    let expected = r#"["stored",null,true,true,"Scope user is unsupported."]"#;
    assert_eq!(result.as_deref(), Some(expected), "{}", ran.result());
    let mut lines = Vec::new();
    while let Ok(text) = asked.try_recv() {
        assert!(text.contains("X-Auth-Token: a-token"), "{text}");
        lines.push(text.split(" HTTP").next().unwrap_or("").to_owned());
        if text.starts_with("PUT") {
            let body = text.split("\r\n\r\n").nth(1).unwrap_or("");
            let expected = r#"{"id": "k", "name": "k", "value": "5", "scope": "system", "secret": true, "ttl": 9}"#;
            assert_eq!(body, expected);
        }
    }
    assert_eq!(
        lines,
        [
            "GET /v1/keys/tests.A%3Ak?decrypt=false&scope=system",
            "GET /v1/keys/tests.A%3Aabsent?decrypt=false&scope=system",
            "PUT /v1/keys/k",
            "DELETE /v1/keys/tests.A%3Ak?scope=system",
        ]
    );
}

#[tokio::test]
async fn threads_and_exit_functions_end_as_in_a_fresh_interpreter() {
    let fixture = Fixture::new();
    let source = "import atexit, threading\nclass A(Action):\n  def run(self):\n    atexit.register(print, 'at exit')\n    go = threading.Event()\n    threading.Thread(target=lambda: (go.wait(), print('thread'))).start()\n    go.set()\n    return 1";
    for isolation in BOTH {
        let job = action(&fixture, "threads", source, isolation);
        let ran = fixture.run("python-script", job).await;
        assert_eq!(ran.text("stdout"), "thread\nat exit\n", "{}", ran.result());
    }
}
