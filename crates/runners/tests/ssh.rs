//! Commands and scripts on other machines, which a real `sshd` on this one plays.

#[path = "support/sshd.rs"]
mod sshd;
mod support;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use squall_model::Outcome as Ending;
use squall_runners::{HostKeys, Job};
use squall_value::{Value, dict};
use sshd::{Sshd, make_key};
use support::{Fixture, dict, job, lives};

const COMMAND: &str = "remote-shell-cmd";
const SCRIPT: &str = "remote-shell-script";

fn fixture(sshd: &Sshd) -> Fixture {
    Fixture::with(|settings| sshd.settings(&mut settings.ssh))
}

fn command(hosts: impl Into<Value>, text: &str) -> Job {
    job(dict! { "hosts" => hosts.into(), "cmd" => text, "timeout" => 300, "cwd" => "/" })
}

fn with(mut job: Job, name: &str, value: impl Into<Value>) -> Job {
    Arc::make_mut(&mut job.runner_parameters).insert(name, value.into());
    job
}

/// What came of `host`.
fn of<'a>(ran: &'a support::Ran, host: &str) -> &'a Value {
    let found = ran.outcome.result.get(host);
    found.unwrap_or_else(|| panic!("no {host} in {}", ran.result()))
}

fn text<'a>(ran: &'a support::Ran, host: &str, key: &str) -> &'a str {
    let found = of(ran, host).get(key).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text `{key}` of {host} in {}", ran.result()))
}

/// A named pipe through which commands tell that they have come to a point.
struct Arrivals(std::path::PathBuf);

impl Arrivals {
    fn new(dir: &Path) -> Arrivals {
        let path = dir.join("arrivals");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        Arrivals(path)
    }

    /// Waits for `count` lines.
    async fn wait(&self, count: usize) -> Vec<String> {
        let path = self.0.clone();
        let lines = tokio::task::spawn_blocking(move || {
            // Open for writing too, so that it does not end between two writers.
            let file = File::options().read(true).write(true).open(path);
            let lines = BufReader::new(file.expect("a pipe")).lines();
            lines
                .take(count)
                .map(|line| line.expect("a line"))
                .collect()
        });
        lines.await.expect("a reader")
    }

    fn shown(&self) -> String {
        self.0.display().to_string()
    }
}

#[tokio::test]
async fn results_of_commands() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let hosts = sshd.hosts(&["127.0.0.1"]);
    for (text, expected) in [
        (
            "echo hi; echo oops >&2",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"hi","stderr":"oops"}"#,
        ),
        (
            "exit 3",
            r#"{"failed":true,"succeeded":false,"return_code":3,"stdout":"","stderr":""}"#,
        ),
        (
            r#"echo '{"a": [1, 2.5]}'"#,
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":{"a":[1,2.5]},"stderr":""}"#,
        ),
        (
            "pwd; cat; echo \"$GREETING\" $ST2_ACTION_PACK_NAME $TOKEN # a comment",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"/usr\ngrüße 'n' 😀 tests ********","stderr":""}"#,
        ),
        (
            "printf '\\377ok'",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"�ok","stderr":""}"#,
        ),
    ] {
        let mut job = with(command(hosts.as_str(), text), "cwd", "/usr");
        job = with(job, "env", dict! { "GREETING" => "grüße 'n' 😀" });
        job.env = vec![("TOKEN".to_owned(), "t0p-secret".to_owned())];
        job.secrets = vec!["t0p-secret".into()];
        let ran = fixture.run(COMMAND, job).await;
        assert_eq!(of(&ran, "127.0.0.1").to_json(), expected, "{text}");
    }
    let large = format!("c={}; echo ${{#c}}", "x".repeat(300 << 10));
    let ran = fixture.run(COMMAND, command(hosts.as_str(), &large)).await;
    let length = of(&ran, "127.0.0.1").get("stdout").and_then(Value::as_int);
    assert_eq!(length, Some(300 << 10));
}

#[tokio::test]
async fn nothing_of_the_job_is_on_a_command_line() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let look = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; done 2>/dev/null; : w0rd";
    let mut job = command(sshd.hosts(&["127.0.0.1"]), look);
    job = with(job, "env", dict! { "SECRET" => "w0rd-of-env" });
    let ran = fixture.run(COMMAND, job).await;
    assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    let all = text(&ran, "127.0.0.1", "stdout");
    assert!(all.contains("sshd") && !all.contains("w0rd"), "{all}");
}

#[tokio::test]
async fn connections_are_used_again_by_the_same_user_only() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let job = || command(sshd.hosts(&["127.0.0.1"]), "echo $SSH_CONNECTION");
    let mut connections = Vec::new();
    for runner in [COMMAND, COMMAND] {
        let ran = fixture.run(runner, job()).await;
        connections.push(text(&ran, "127.0.0.1", "stdout").to_owned());
    }
    assert_eq!(connections[0], connections[1]);
    assert_eq!(sshd.sign_ins(), 1);
    // The same key, given by the action: these may not be the credentials of the server.
    let key = std::fs::read_to_string(sshd.path("user_key")).expect("a key");
    let ran = fixture.run(COMMAND, with(job(), "private_key", key)).await;
    assert_eq!(text(&ran, "127.0.0.1", "stdout"), connections[0]);
    let other = sshd.path("other_host_key").display().to_string();
    let ran = fixture
        .run(COMMAND, with(job(), "private_key", other))
        .await;
    assert!(
        ran.text("error").contains("the private key was refused"),
        "{}",
        ran.result()
    );
    assert_eq!(sshd.sign_ins(), 1);
}

#[tokio::test]
async fn more_at_once_than_a_connection_takes_get_more_connections() {
    let sshd = Sshd::with("MaxSessions 2");
    let fixture = fixture(&sshd);
    let gate = File::create(sshd.path("gate")).expect("a file");
    let gate = nix::fcntl::Flock::lock(gate, nix::fcntl::FlockArg::LockExclusive).expect("a lock");
    let arrivals = Arrivals::new(sshd.dir.path());
    let line = format!(
        "echo x >{}; flock -s {} true",
        arrivals.shown(),
        sshd.path("gate").display()
    );
    let runs = (0..6).map(|_| fixture.run(COMMAND, command(sshd.hosts(&["127.0.0.1"]), &line)));
    let (runs, ()) = tokio::join!(futures::future::join_all(runs), async {
        arrivals.wait(6).await;
        drop(gate);
    });
    for ran in runs {
        assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    }
    let sign_ins = sshd.sign_ins();
    assert!((3..=6).contains(&sign_ins), "{sign_ins}");
}

#[tokio::test]
async fn two_hundred_hosts_run_at_the_same_time() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let hosts: Vec<String> = (1..=200).map(|n| format!("127.0.0.{n}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let gate = File::create(sshd.path("gate")).expect("a file");
    let gate = nix::fcntl::Flock::lock(gate, nix::fcntl::FlockArg::LockExclusive).expect("a lock");
    let arrivals = Arrivals::new(sshd.dir.path());
    // None ends before all have begun.
    let line = format!(
        "echo $SSH_CONNECTION >{}; flock -s {} true; set -- $SSH_CONNECTION; echo $3; [ $3 != 127.0.0.7 ]",
        arrivals.shown(),
        sshd.path("gate").display()
    );
    let (ran, arrived) = tokio::join!(
        fixture.run(COMMAND, command(sshd.hosts(&hosts), &line)),
        async {
            let arrived = arrivals.wait(200).await;
            drop(gate);
            arrived
        }
    );
    assert_eq!(arrived.len(), 200);
    assert_eq!(ran.ending(), Ending::Failed, "one has failed");
    for host in hosts {
        let code = if host == "127.0.0.7" { 1 } else { 0 };
        assert_eq!(
            of(&ran, host).get("return_code").and_then(Value::as_int),
            Some(code)
        );
        assert_eq!(text(&ran, host, "stdout"), host);
    }
}

#[tokio::test]
async fn a_dead_host_does_not_delay_the_rest() {
    let sshd = Sshd::start();
    let fixture = Fixture::with(|settings| {
        sshd.settings(&mut settings.ssh);
        settings.ssh.connect_timeout = Duration::from_secs(3600);
        settings.ssh.allow_partial_failure = true;
    });
    // Takes connections and says nothing.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = dead.local_addr().expect("an address").to_string();
    let arrivals = Arrivals::new(sshd.dir.path());
    let hosts = format!("{address},{}", sshd.hosts(&["127.0.0.2", "127.0.0.3"]));
    let job = command(hosts, &format!("echo done >{}", arrivals.shown()));
    let (ran, ()) = tokio::join!(fixture.run(COMMAND, with(job, "timeout", 3600)), async {
        arrivals.wait(2).await;
        drop(dead);
    });
    assert_eq!(
        ran.ending(),
        Ending::Succeeded,
        "partial failure is allowed: {}",
        ran.result()
    );
    assert!(text(&ran, "127.0.0.1", "error").contains("Failed connecting to host 127.0.0.1"));
    assert_eq!(
        of(&ran, "127.0.0.1")
            .get("return_code")
            .and_then(Value::as_int),
        Some(255)
    );
    for host in ["127.0.0.2", "127.0.0.3"] {
        assert_eq!(of(&ran, host).get("succeeded"), Some(&Value::Bool(true)));
    }
}

#[tokio::test]
async fn a_wrong_host_key_is_refused_before_anybody_signs_in() {
    let sshd = Sshd::start();
    let wrong = std::fs::read_to_string(sshd.path("other_host_key.pub")).expect("a key");
    for (policy, known, expected) in [
        (HostKeys::Strict, "", "in no list of known hosts"),
        (HostKeys::Strict, &*wrong, "is not the one"),
        (HostKeys::AcceptNew, &*wrong, "is not the one"),
    ] {
        let fixture = Fixture::with(|settings| {
            sshd.settings(&mut settings.ssh);
            settings.ssh.host_keys = policy;
            let list = format!("[127.0.0.1]:{} {known}", sshd.port);
            std::fs::write(sshd.path("known_hosts"), list).expect("a file");
        });
        let ran = fixture
            .run(COMMAND, command(sshd.hosts(&["127.0.0.1"]), "echo ran"))
            .await;
        assert_eq!(ran.ending(), Ending::Failed);
        assert!(ran.text("error").contains(expected), "{}", ran.result());
        assert!(
            ran.text("error")
                .starts_with("Unable to connect to any one of the hosts")
        );
    }
    assert_eq!(sshd.sign_ins(), 0);
    let fixture = Fixture::with(|settings| {
        sshd.settings(&mut settings.ssh);
        settings.ssh.host_keys = HostKeys::AcceptNew;
        std::fs::write(sshd.path("known_hosts"), "").expect("a file");
    });
    let ran = fixture
        .run(COMMAND, command(sshd.hosts(&["127.0.0.1"]), "echo ran"))
        .await;
    assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    let learned = std::fs::read_to_string(fixture.path("run/known_hosts")).expect("a list");
    assert!(
        learned.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", sshd.port)),
        "{learned}"
    );
}

/// Leaves processes behind that ignore SIGTERM, have left the session, or bear no mark.
const TREE: &str = "trap '' TERM; sleep 1000 & echo $! >&2; \
    (setsid sh -c 'trap \"\" TERM; echo $$ >&2; sleep 1000 & echo $! >&2; wait' &); \
    env -i sleep 1000 & echo $! >&2; echo $$ >&2; sleep 0.2; echo ready; wait; wait; sleep 1000";

fn assert_gone(pids: &str) {
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert_eq!(pids.len(), 5, "{pids:?}");
    for pid in pids {
        assert!(!lives(pid), "{pid} lives");
    }
}

#[tokio::test]
async fn a_cancel_kills_the_remote_tree() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let ran = fixture
        .cancel_at(COMMAND, command(sshd.hosts(&["127.0.0.1"]), TREE), "ready")
        .await;
    assert_eq!(ran.ending(), Ending::Canceled);
    assert_gone(text(&ran, "127.0.0.1", "stderr"));
    assert_eq!(text(&ran, "127.0.0.1", "stdout"), "ready\n");
}

#[tokio::test]
async fn a_timeout_kills_the_remote_tree() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let job = with(command(sshd.hosts(&["127.0.0.1"]), TREE), "timeout", 2);
    let ran = fixture.run(COMMAND, job).await;
    assert_eq!(ran.ending(), Ending::TimedOut, "{}", ran.result());
    let of_host = of(&ran, "127.0.0.1");
    assert_eq!(of_host.get("timeout"), Some(&Value::Bool(true)));
    assert_eq!(of_host.get("return_code").and_then(Value::as_int), Some(-9));
    assert!(text(&ran, "127.0.0.1", "error").contains("didn't finish in 2 seconds"));
    assert_gone(text(&ran, "127.0.0.1", "stderr"));
}

#[tokio::test]
async fn a_lost_connection_ends_the_command_over_there() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let arrivals = Arrivals::new(sshd.dir.path());
    let line = format!(
        "echo $$ >{0}; ps -o ppid= -p $(ps -o sid= -p $$) >{0}; sleep 1000",
        arrivals.shown()
    );
    let (ran, pid) = tokio::join!(
        fixture.run(COMMAND, command(sshd.hosts(&["127.0.0.1"]), &line)),
        async {
            let lines = arrivals.wait(2).await;
            let sshd: i32 = lines[1].trim().parse().expect("a pid");
            let sshd = nix::unistd::Pid::from_raw(sshd);
            nix::sys::signal::kill(sshd, nix::sys::signal::Signal::SIGKILL).expect("killed");
            lines[0].clone()
        }
    );
    assert!(text(&ran, "127.0.0.1", "error").contains("The connection was lost"));
    // Nobody tells when the other side is done.
    while lives(&pid) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn scripts_come_with_their_libraries_and_leave_nothing() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let print = "#!/bin/sh\nfor a in \"$@\"; do echo \"<$a>\"; done\npwd; cat \"$(dirname \"$0\")/lib/sub/data\"; echo $0\n";
    let script = fixture.file("actions/print it.sh", print);
    fixture.file("actions/lib/sub/data", "of the library\n");
    let base = sshd.path("uploads");
    std::fs::create_dir(&base).expect("a directory");
    let mut job = job(dict! {
        "hosts" => sshd.hosts(&["127.0.0.1"]), "timeout" => 300, "kwarg_op" => "-", "cwd" => "/usr",
        "dir" => base.display().to_string(),
    });
    job.entry_point = Some(script);
    job.parameters_schema = dict(r#"{"first": {"position": 0, "type": "string"}, "s": {}}"#);
    job.action_parameters =
        dict(r#"{"s": "a 'b' $HOME", "on": true, "off": false, "first": "1 2"}"#);
    let ran = fixture.run(SCRIPT, job.clone()).await;
    let expected = format!(
        "<-s=a 'b' $HOME>\n<-on>\n<1 2>\n/usr\nof the library\n{}/{}/print it.sh",
        base.display(),
        job.execution_id
    );
    assert_eq!(text(&ran, "127.0.0.1", "stdout"), expected);
    let left = std::fs::read_dir(&base).expect("a directory").count();
    assert_eq!(left, 0, "the copy is removed");
    let taken = base.join(&job.execution_id);
    std::fs::create_dir(&taken).expect("a directory");
    let ran = fixture.run(SCRIPT, job.clone()).await;
    assert!(text(&ran, "127.0.0.1", "error").contains("Failed sending the script"));
    assert!(taken.exists(), "what is not ours is left alone");
    let ran = fixture.run(SCRIPT, with(job, "dir", "/no/such/dir")).await;
    assert!(text(&ran, "127.0.0.1", "error").contains("Failed sending the script"));
}

#[tokio::test]
async fn a_script_that_is_canceled_is_removed_too() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let mut job = command(sshd.hosts(&["127.0.0.1"]), "");
    job.entry_point = Some(fixture.file("wait.sh", "#!/bin/sh\necho ready\nsleep 1000\n"));
    job = with(job, "dir", sshd.dir.path().display().to_string());
    let copy = sshd.path(&job.execution_id);
    let ran = fixture.cancel_at(SCRIPT, job, "ready").await;
    assert_eq!(ran.ending(), Ending::Canceled);
    assert!(!copy.exists());
}

#[tokio::test]
async fn a_bastion_host_is_on_the_way() {
    let (bastion, target) = (Sshd::start(), Sshd::start());
    let key = std::fs::read(bastion.path("user_key.pub")).expect("a key");
    std::fs::write(target.path("authorized_keys"), key).expect("a file");
    let fixture = Fixture::with(|settings| {
        bastion.settings(&mut settings.ssh);
        settings.ssh.host_keys = HostKeys::AcceptNew;
        std::fs::write(bastion.path("known_hosts"), "").expect("a file");
    });
    let hosts = target.hosts(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let job = with(
        command(hosts, "echo ok"),
        "bastion_host",
        bastion.hosts(&["127.0.0.9"]),
    );
    let ran = fixture.run(COMMAND, job.clone()).await;
    assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    assert_eq!((bastion.sign_ins(), target.sign_ins()), (1, 3));
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = dead.local_addr().expect("an address").to_string();
    drop(dead);
    let ran = fixture
        .run(COMMAND, with(job, "bastion_host", address))
        .await;
    assert!(
        ran.text("error").contains("can't be reached"),
        "{}",
        ran.result()
    );
}

#[tokio::test]
async fn keys_with_a_passphrase_and_keys_of_an_agent() {
    let sshd = Sshd::start();
    make_key(&sshd.path("protected"), "open sesame");
    let public = std::fs::read(sshd.path("protected.pub")).expect("a key");
    std::fs::write(sshd.path("authorized_keys"), public).expect("a file");
    let fixture = fixture(&sshd);
    let path = sshd.path("protected");
    let text = std::fs::read_to_string(&path).expect("a key");
    let job = command(sshd.hosts(&["127.0.0.1"]), "echo ok");
    for key in [path.display().to_string(), text.trim_end().to_owned()] {
        let job = with(job.clone(), "private_key", key);
        let ran = fixture.run(COMMAND, job.clone()).await;
        assert!(ran.text("error").contains("passphrase"), "{}", ran.result());
        let ran = fixture
            .run(COMMAND, with(job, "passphrase", "open sesame"))
            .await;
        assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    }

    let socket = sshd.path("agent");
    let mut agent = std::process::Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ssh-agent is installed");
    let mut line = String::new();
    let mut said = BufReader::new(agent.stdout.take().expect("its output"));
    said.read_line(&mut line).expect("it says where it listens");
    make_key(&sshd.path("of_agent"), "");
    let public = std::fs::read(sshd.path("of_agent.pub")).expect("a key");
    std::fs::write(sshd.path("authorized_keys"), public).expect("a file");
    for key in ["user_key", "of_agent"] {
        let added = std::process::Command::new("ssh-add")
            .arg("-q")
            .arg(sshd.path(key))
            .env("SSH_AUTH_SOCK", &socket)
            .status();
        assert!(added.expect("ssh-add is installed").success());
    }
    let fixture = Fixture::with(|settings| {
        sshd.settings(&mut settings.ssh);
        settings.ssh.key_file = None;
        settings.ssh.agent = Some(socket.clone());
    });
    let ran = fixture.run(COMMAND, job).await;
    assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    agent.kill().expect("ended");
    agent.wait().expect("ended");
}

#[tokio::test]
async fn sudo_gets_its_password_by_standard_input() {
    let dir = tempfile::tempdir().expect("a directory");
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    // Takes the password as the real one does, and none where there is one not needed.
    let stand_in = "#!/bin/sh\n[ \"$1\" = -S ] || { shift 3; exec env AS=root \"$@\"; }\n\
        IFS= read -r p\n\
        [ \"$p\" = free ] || [ \"$p\" = 'op3n $esame' ] || { \
        echo '[sudo] password for ann: ' >&2; \
        echo 'sudo: 3 incorrect password attempts' >&2; exit 1; }\n\
        shift 3; exec env AS=root \"$@\"\n";
    let sudo = bin.join("sudo");
    std::fs::write(&sudo, stand_in).expect("a file");
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&sudo, mode).expect("executable");
    let sshd = Sshd::with(&format!(
        "SetEnv HOME=/ PATH={}:/usr/bin:/bin",
        bin.display()
    ));
    let fixture = fixture(&sshd);
    let job = with(
        command(sshd.hosts(&["127.0.0.1"]), "echo $AS; cat; exit 4"),
        "sudo",
        true,
    );
    for (password, code) in [
        (Value::Null, 4),
        (Value::from("op3n $esame"), 4),
        (Value::from("no"), 255),
    ] {
        let ran = fixture
            .run(COMMAND, with(job.clone(), "sudo_password", password))
            .await;
        let of_host = of(&ran, "127.0.0.1");
        assert_eq!(
            of_host.get("return_code").and_then(Value::as_int),
            Some(code),
            "{}",
            ran.result()
        );
        if code == 4 {
            assert_eq!(text(&ran, "127.0.0.1", "stdout"), "root");
        } else {
            assert!(text(&ran, "127.0.0.1", "error").contains(
                "Invalid sudo password provided or sudo is not configured for this user (ann)"
            ));
        }
    }
}

#[tokio::test]
async fn what_can_not_be_done_says_why() {
    let sshd = Sshd::start();
    let fixture = fixture(&sshd);
    let job = command(sshd.hosts(&["127.0.0.1"]), "true");
    for (name, value, expected) in [
        ("hosts", Value::from(" , "), "names no host"),
        ("hosts", Value::from("a:b"), "Invalid port"),
        ("cmd", Value::Null, "`cmd` is missing"),
        ("private_key", Value::from("/no/such/key"), "can't be read"),
        ("username", Value::from("no such user"), "was refused"),
        (
            "env",
            dict! { "A-B" => 1 },
            "can't be the name of a variable",
        ),
    ] {
        let ran = fixture.run(COMMAND, with(job.clone(), name, value)).await;
        assert_eq!(ran.ending(), Ending::Failed);
        assert!(
            ran.text("error").contains(expected),
            "{name}: {}",
            ran.result()
        );
    }
}
