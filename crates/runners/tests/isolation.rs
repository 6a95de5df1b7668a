//! Python actions that share a warm interpreter: none sees what another did, and none harms
//! another.

mod support;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use squall_model::Outcome as Ending;
use squall_runners::{Isolation, Job};
use squall_value::{Value, dict};
use support::{Fixture, job, lives};

const RUNNER: &str = "python-script";

/// Tells all that a run could leave to the next.
const LOOK: &str = r#"
import builtins, gc, json, locale, os, random, re, resource, signal, sys, threading

SEEDED = random.Random(1).random()


def memory():
    """Whether the text is anywhere in what this process may write to."""
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as mem:
        for line in maps:
            bounds, modes = line.split()[:2]
            if not modes.startswith("rw") or "[v" in line:
                continue
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            mem.seek(start)
            try:
                if re.search(rb"stained[-]memory", mem.read(end - start)):
                    return True
            except OSError:
                pass
    return False


class Look(Action):
    def run(self):
        own = ("SQUALL_", "ST2_ACTION_EXECUTION_ID")
        files = sorted(os.readlink("/proc/self/fd/%s" % fd).split(":")[0]
                       for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/%s" % fd))
        return {
            "globals": [hasattr(builtins, "stain"), hasattr(os, "stain"), "stain" in sys.modules],
            "functions": json.loads is not os.getcwd,
            "modules": sorted(name for name in sys.modules if "stain" in name),
            "environment": {k: v for k, v in os.environ.items() if not k.startswith(own)},
            "cwd": os.getcwd(),
            "umask": [os.umask(0o22), os.umask(0o22)][0],
            "files": files,
            "threads": [thread.name for thread in threading.enumerate()],
            "signals": {s.name: str(signal.getsignal(s)) for s in signal.valid_signals() if hasattr(s, "name")},
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            "timer": signal.getitimer(signal.ITIMER_REAL),
            "seeded": random.random() == SEEDED,
            "path": [p for p in sys.path if "stain" in p],
            "recursion": sys.getrecursionlimit(),
            "gc": gc.isenabled(),
            "limits": [resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
            "nice": os.nice(0),
            "locale": locale.setlocale(locale.LC_ALL),
            "memory": memory(),
            "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
        }
"#;

/// Leaves whatever it can, and stays for as long as it is let.
const STAIN: &str = r#"
import builtins, gc, json, locale, os, random, resource, signal, sys, threading, types

KEPT = []


class Stain(Action):
    def run(self, wait=None):
        builtins.stain = os.stain = 1
        sys.modules["stain"] = types.ModuleType("stain")
        json.loads = os.getcwd
        sys.path.append("/stain")
        KEPT.append("stained" + "-memory" * 100_000)
        os.environ["STAIN"] = "1"
        os.putenv("STAIN_TOO", "1")
        os.chdir("/usr")
        os.umask(0o777)
        os.set_inheritable(os.open("/etc/passwd", os.O_RDONLY), True)
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        signal.setitimer(signal.ITIMER_REAL, 1000)
        random.seed(1)
        sys.setrecursionlimit(77777)
        gc.disable()
        resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))
        os.nice(3)
        locale.setlocale(locale.LC_ALL, "C")
        if wait:
            print("ready", flush=True)
            open(wait).read()
"#;

fn action(fixture: &Fixture, name: &str, source: &str) -> Job {
    let mut job = job(dict! { "timeout" => 60 });
    job.pack_dir = fixture.path("packs/tests");
    let head = "from st2common.runners.base_action import Action\n";
    let file = format!("packs/tests/actions/{name}.py");
    job.entry_point = Some(fixture.file(&file, &format!("{head}{source}")));
    job.isolation = Isolation::Fork;
    job
}

/// A body of `run`.
fn body(fixture: &Fixture, name: &str, lines: &str) -> Job {
    let lines = lines.replace('\n', "\n        ");
    let head =
        "import os, resource, signal, sys, time\nclass A(Action):\n    def run(self):\n        ";
    action(fixture, name, &format!("{head}{lines}\n"))
}

fn pipe(fixture: &Fixture, name: &str) -> String {
    let path = fixture.path(name);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    path.display().to_string()
}

/// Lets go who waits to read from `path`.
async fn let_go(path: &str) {
    let path = Path::new(path).to_owned();
    let write = move || {
        std::fs::File::options()
            .write(true)
            .open(path)?
            .write_all(b"go")
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.expect("a writer").expect("written");
}

#[tokio::test]
async fn nothing_of_one_run_is_seen_by_another() {
    let fixture = Fixture::new();
    let look = async || {
        let ran = fixture.run(RUNNER, action(&fixture, "look", LOOK)).await;
        assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
        ran.outcome.result.get("result").expect("a result").clone()
    };
    let before = look().await;
    for (key, expected) in [
        ("globals", "[false,false,false]"),
        ("seeded", "false"),
        ("memory", "false"),
        ("leads", "true"),
        ("threads", "[\"MainThread\"]"),
        ("blocked", "[]"),
    ] {
        assert_eq!(before.get(key).expect("told").to_json(), expected, "{key}");
    }
    let ran = fixture.run(RUNNER, action(&fixture, "stain", STAIN)).await;
    assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    assert_eq!(look().await, before, "after it");

    let gate = pipe(&fixture, "gate");
    let mut stain = action(&fixture, "stain", STAIN);
    let parameters = dict! { "wait" => &*gate };
    stain.action_parameters = Arc::new(parameters.as_dict().expect("a dictionary").clone());
    let lines = support::Lines::new();
    let runner = fixture.registry.runner(RUNNER).expect("the runner");
    let (ended, ()) = tokio::join!(
        runner.run(stain, lines.clone(), squall_runners::CancelSignal::never()),
        async {
            lines.wait_for("ready").await;
            assert_eq!(look().await, before, "beside it");
            let_go(&gate).await;
        }
    );
    assert_eq!(ended.exit_code, Some(0), "{}", ended.result.to_json());
}

/// The look itself would find what a run has left, if it were left.
#[tokio::test]
async fn the_look_sees_the_stains_of_its_own_process() {
    let fixture = Fixture::new();
    let parts = [STAIN, LOOK].concat();
    let parts = parts.replace("(Action)", "").replace("def run(", "def go(");
    let run = "class Both(Action):\n    def run(self):\n        Stain().go()\n        return Look().go()\n";
    let source = format!("{parts}\n{run}");
    let ran = fixture.run(RUNNER, action(&fixture, "both", &source)).await;
    let seen = ran.outcome.result.get("result").expect("a result");
    for (key, expected) in [
        ("globals", "[true,true,true]"),
        ("cwd", "\"/usr\""),
        ("umask", "511"),
        ("memory", "true"),
        ("seeded", "true"),
        ("recursion", "77777"),
        ("gc", "false"),
        ("path", "[\"/stain\"]"),
        ("functions", "false"),
    ] {
        let told = seen.get(key).unwrap_or_else(|| panic!("{}", ran.result()));
        assert_eq!(told.to_json(), expected, "{key}");
    }
}

#[tokio::test]
async fn whoever_crashes_harms_nobody_else() {
    let fixture = Fixture::new();
    let gate = pipe(&fixture, "gate");
    let wait = format!("print('ready', flush=True)\nreturn open({gate:?}).read()");
    let neighbour = body(&fixture, "neighbour", &wait);
    let lines = support::Lines::new();
    let runner = fixture.registry.runner(RUNNER).expect("the runner");
    let crashes = async {
        lines.wait_for("ready").await;
        for (name, lines, code) in [
            ("segfault", "import ctypes\nctypes.string_at(0)", -11),
            ("abort", "os.abort()", -6),
            ("exit", "os._exit(9)", 9),
            ("kill", "os.kill(os.getpid(), signal.SIGKILL)", -9),
            ("group", "os.killpg(0, signal.SIGKILL)", -9),
            ("files", "os.closerange(0, 1000)\nos._exit(3)", 3),
            (
                "memory",
                "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nreturn len(bytearray(10 << 30))",
                1,
            ),
        ] {
            let ran = fixture.run(RUNNER, body(&fixture, name, lines)).await;
            assert_eq!(
                ran.outcome.exit_code,
                Some(code),
                "{name}: {}",
                ran.result()
            );
            assert_eq!(ran.ending(), Ending::Failed, "{name}");
            let ran = fixture
                .run(RUNNER, body(&fixture, "well", "return 'well'"))
                .await;
            assert_eq!(ran.text("result"), "well", "after {name}");
        }
        let_go(&gate).await;
    };
    let never = squall_runners::CancelSignal::never();
    let (ended, ()) = tokio::join!(runner.run(neighbour, lines.clone(), never), crashes);
    let result = ended.result.get("result").and_then(Value::as_str);
    assert_eq!(result, Some("go"), "{}", ended.result.to_json());
}

#[tokio::test]
async fn the_kernel_would_rather_end_an_action_than_the_server() {
    let fixture = Fixture::new();
    let read = "return int(open('/proc/self/oom_score_adj').read())";
    let score = |text: &str| text.trim().parse::<i64>().expect("a number");
    let own = score(&std::fs::read_to_string("/proc/self/oom_score_adj").expect("Linux"));
    for isolation in [Isolation::Fork, Isolation::Process] {
        let mut job = body(&fixture, "score", read);
        job.isolation = isolation;
        let ran = fixture.run(RUNNER, job).await;
        let found = ran.outcome.result.get("result").and_then(Value::as_int);
        assert_eq!(
            found,
            Some((own + 500).min(1000)),
            "{isolation:?}: {}",
            ran.result()
        );
    }
}

/// Forks without end, as a user who may have so many processes and no more, and heeds no SIGTERM.
/// It tells so in one write: text and end of a `print` could mingle with those of its siblings.
/// Should the test itself be killed, the kernel ends each process after 5 seconds of its own work.
const BOMB: &str = r#"
mine = sum(os.stat('/proc/' + pid).st_uid == os.getuid() for pid in os.listdir('/proc') if pid.isdigit())
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    mine = 0
resource.setrlimit(resource.RLIMIT_NPROC, (mine + 100, mine + 100))
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
first = True
while True:
    try:
        os.fork()
    except OSError:
        if first:
            first = False
            os.write(1, b'full\n')
"#;

#[tokio::test]
async fn a_fork_bomb_is_ended_and_harms_nobody_else() {
    let fixture = Fixture::new();
    let bomb = body(&fixture, "bomb", BOMB.trim());
    let id = bomb.execution_id.clone();
    let lines = support::Lines::new();
    let (handle, signal) = squall_runners::CancelSignal::new();
    let runner = fixture.registry.runner(RUNNER).expect("the runner");
    let (ended, ()) = tokio::join!(runner.run(bomb, lines.clone(), signal), async {
        lines.wait_for("full").await;
        let neighbour = body(
            &fixture,
            "well",
            "import subprocess\nreturn subprocess.check_output(['echo', 'well'], text=True)",
        );
        let ran = fixture.run(RUNNER, neighbour).await;
        assert_eq!(ran.text("result"), "well\n", "{}", ran.result());
        handle.cancel();
    });
    assert_eq!(ended.exit_code, Some(-15), "{}", ended.result.to_json());
    let mark = format!("SQUALL_EXECUTION_ID={id}");
    let left = std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter(|entry| {
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let pid = entry.file_name().to_string_lossy().into_owned();
            String::from_utf8_lossy(&environ).contains(&mark) && lives(&pid)
        });
    assert_eq!(left.count(), 0, "processes of the bomb live");
}

#[tokio::test]
async fn an_interpreter_that_was_killed_is_replaced() {
    let fixture = Fixture::new();
    let kill = body(
        &fixture,
        "kill",
        "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(1000)",
    );
    let ran = fixture.run(RUNNER, kill).await;
    assert_eq!(ran.ending(), Ending::Failed, "{}", ran.result());
    let ran = fixture
        .run(RUNNER, body(&fixture, "well", "return 'well'"))
        .await;
    assert_eq!(ran.text("result"), "well", "{}", ran.result());
}
