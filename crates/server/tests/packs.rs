//! The life of packs on a real server, without a network, and packs' own tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, outside their functions"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const SQUALL: &str = env!("CARGO_BIN_EXE_squall");

/// A server with a directory of its own; ended with its children when dropped.
struct Server {
    child: Child,
    place: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new(SQUALL)
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
            .arg("--data")
            .arg(place.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("squall is ready")));
        assert!(ready, "the server ended");
        // Nobody else reads on, and a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Server { child, place };
        server.file(
            "packs.yaml",
            "shared_environment: false\nindex: INDEX\n"
                .replace("INDEX", &server.path("index.json").to_string_lossy())
                .as_str(),
        );
        let config = server.path("packs.yaml");
        server.works(&[
            "pack",
            "config",
            "packs",
            "--file",
            config.to_str().unwrap(),
        ]);
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(SQUALL)
            .args(words)
            .arg("--data")
            .arg(self.path("data"))
            .env_remove("SQUALL_SERVER")
            .env_remove("ST2_API_URL")
            .output()
            .unwrap()
    }

    /// What a command prints that has to succeed.
    fn works(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{words:?}: {stdout}{stderr}");
        stdout
    }

    /// What a command prints that has to fail.
    fn fails(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {stdout}{stderr}");
        format!("{stdout}{stderr}")
    }

    /// Commits a version of a pack, whose action says it, in a repository below `sources`.
    fn release(&self, pack: &str, version: &str, more: &str) -> String {
        let root = format!("sources/{pack}");
        let metadata = format!(
            "name: {pack}\ndescription: x\nversion: {version}\nauthor: x\nemail: x@example.org\n{more}"
        );
        self.file(&format!("{root}/pack.yaml"), &metadata);
        self.file(
            &format!("{root}/actions/say.yaml"),
            "name: say\nrunner_type: python-script\nentry_point: say.py\n",
        );
        self.file(
            &format!("{root}/actions/say.py"),
            "import os\nfrom lib.words import WORDS\nfrom st2common.runners.base_action import Action\n\n\
             class Say(Action):\n    def run(self):\n        return [WORDS, os.path.realpath(__file__)]\n",
        );
        self.file(
            &format!("{root}/actions/lib/words.py"),
            &format!("WORDS = '{version}'\n"),
        );
        let directory = self.path(&root);
        if !directory.join(".git").exists() {
            git(&directory, &["init", "-q", "-b", "main"]);
        }
        git(&directory, &["add", "-A"]);
        git(&directory, &["commit", "-q", "-m", version]);
        git(&directory, &["tag", &format!("v{version}")]);
        format!("file://{}", directory.display())
    }

    fn said(&self, pack: &str) -> String {
        self.works(&["run", &format!("{pack}.say"), "-j"])
    }

    fn versions(&self) -> usize {
        let versions = fs::read_dir(self.path("data/pack-versions"));
        versions.map_or(0, Iterator::count)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn git(directory: &Path, words: &[&str]) {
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(identity).args(words);
    assert!(command.status().unwrap().success(), "git {words:?}");
}

#[test]
fn packs_are_installed_updated_and_removed() {
    let server = Server::start();
    let url = server.release("shop", "1.0.0", "");
    server.release("shop", "2.0.0", "");
    server.works(&["pack", "install", &format!("{url}=1.0.0")]);
    assert!(server.said("shop").contains("1.0.0"));
    server.works(&["pack", "install", &url]);
    assert!(server.said("shop").contains("2.0.0"));
    assert!(server.works(&["pack", "get", "shop"]).contains("2.0.0"));
    // The version before stays for runs in flight, those before it go.
    assert_eq!(server.versions(), 2);
    server.release("shop", "3.0.0", "");
    server.works(&["pack", "install", &url]);
    assert_eq!(server.versions(), 2);
    server.works(&["pack", "remove", "shop"]);
    server.fails(&["pack", "get", "shop"]);
    assert_eq!(server.versions(), 0);
    assert!(
        server
            .fails(&["pack", "remove", "shop"])
            .contains("there is no pack shop")
    );
    assert!(
        server
            .fails(&["pack", "remove", "core"])
            .contains("part of the server")
    );
}

#[test]
fn packs_are_upgraded_from_where_they_came() {
    let server = Server::start();
    let upgrade = |names: &[&str]| {
        let words = ["pack", "upgrade", "-j"].iter().chain(names);
        server.works(&words.copied().collect::<Vec<_>>())
    };
    assert!(upgrade(&[]).contains("Nothing is newer"));
    for pack in ["shop", "pinned"] {
        server.release(pack, "1.0.0", "");
    }
    let url = |pack: &str| format!("file://{}", server.path("sources").join(pack).display());
    server.file("plain/plain/pack.yaml", "name: plain\nversion: 1.0.0\n");
    let plain = server.path("plain/plain");
    server.works(&[
        "pack",
        "install",
        &format!("{}=main", url("shop")),
        plain.to_str().unwrap(),
    ]);
    server.works(&["pack", "install", &format!("{}=1.0.0", url("pinned"))]);

    let told = upgrade(&["shop", "pinned"]);
    assert!(
        told.contains("it is the newest") && told.contains("it stays at 1.0.0"),
        "{told}"
    );
    for pack in ["shop", "pinned"] {
        server.release(pack, "2.0.0", "");
    }
    server.file("plain/plain/pack.yaml", "name: plain\nversion: 2.0.0\n");
    let told = upgrade(&[]);
    assert!(told.contains("Installed plain, shop"), "{told}");
    assert!(server.said("shop").contains("2.0.0"));
    assert!(server.said("pinned").contains("1.0.0"));
    assert!(server.works(&["pack", "get", "plain"]).contains("2.0.0"));

    let told = server.fails(&["pack", "upgrade", "core"]);
    assert!(
        told.contains("it was not installed by packs.install"),
        "{told}"
    );
    // What is gone keeps nobody else from the newest.
    fs::remove_dir_all(server.path("plain")).unwrap();
    server.release("shop", "3.0.0", "");
    upgrade(&[]);
    assert!(server.said("shop").contains("3.0.0"));
}

#[test]
fn an_install_that_fails_changes_nothing() {
    let server = Server::start();
    let url = server.release("shop", "1.0.0", "");
    server.works(&["pack", "install", &url]);
    let before = server.versions();
    let cases = [
        (format!("{url}=9.9.9"), "has no version 9.9.9"),
        (
            server.release("old", "1.0.0", "python_versions: ['2']\n"),
            "it is for Python 2",
        ),
        (
            server.release("new", "1.0.0", "stackstorm_version: '>=4.0.0, <5.0.0'\n"),
            "it is for StackStorm >=4.0.0",
        ),
        (
            server.release("needy", "1.0.0", "dependencies: [shop=2.0.0]\n"),
            "depends on shop=2.0.0",
        ),
        (
            server.release("lost", "1.0.0", "dependencies: [nowhere]\n"),
            "index",
        ),
        (
            format!("file://{}", server.path("nowhere").display()),
            "git clone failed",
        ),
        ("nowhere".to_owned(), "index"),
    ];
    for (wanted, reason) in cases {
        let told = server.fails(&["pack", "install", &wanted]);
        assert!(told.contains(reason), "{wanted}: {told}");
        assert_eq!(server.versions(), before, "{wanted}");
    }
    // One of several that can't be built keeps all of them out.
    let broken = server.release("broken", "1.0.0", "");
    server.file("sources/broken/requirements.txt", "no-such-package==1\n");
    git(&server.path("sources/broken"), &["add", "-A"]);
    git(&server.path("sources/broken"), &["commit", "-q", "-m", "x"]);
    server.release("shop", "2.0.0", "");
    fs::create_dir(server.path("wheels")).unwrap();
    let wheels = format!("wheels={}", server.path("wheels").display());
    server.works(&["pack", "config", "packs", "--set", &wheels]);
    server.fails(&["pack", "install", &url, &broken]);
    assert!(server.said("shop").contains("1.0.0"));
    assert_eq!(server.versions(), before);
    let misfit = format!("file://{}", server.path("sources/old").display());
    server.works(&["pack", "install", "--force", &misfit]);
}

#[test]
fn packs_are_found_in_the_index_with_what_they_depend_on() {
    let server = Server::start();
    let shop = server.release("shop", "1.0.0", "dependencies: [linen]\n");
    let linen = server.release("linen", "1.0.0", "");
    server.fails(&["pack", "search", "shop"]);
    let index = r#"{"packs": {
        "shop": {"name": "shop", "description": "sells things", "version": "1.0.0", "repo_url": "SHOP"},
        "linen": {"name": "linen", "keywords": ["cloth"], "version": "1.0.0", "repo_url": "LINEN"}}}"#;
    server.file(
        "index.json",
        &index.replace("SHOP", &shop).replace("LINEN", &linen),
    );
    assert!(server.works(&["pack", "search", "CLOTH"]).contains("linen"));
    assert!(
        server
            .works(&["pack", "show", "shop"])
            .contains("sells things")
    );
    server.fails(&["pack", "show", "silk"]);
    server.works(&["pack", "install", "shop"]);
    assert!(server.said("linen").contains("1.0.0"));
    let found = server.works(&["run", "packs.search", "query=sells", "-j"]);
    assert!(
        found.contains("shop") && !found.contains("linen"),
        "{found}"
    );
    let got = server.works(&["run", "packs.get", "pack=shop", "-j"]);
    assert!(got.contains("Status:"), "{got}");
}

/// An environment without a network or pip, for tests of packs.
fn environment(place: &Path) -> PathBuf {
    let target = place.join("environment");
    let made = Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(&target)
        .status();
    assert!(
        made.unwrap().success(),
        "python3 -m venv: install python3-venv"
    );
    target
}

fn squall(directory: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(SQUALL)
        .current_dir(directory)
        .args(words)
        .output()
        .unwrap();
    let (stdout, stderr) = texts(&output);
    (output.status.code(), format!("{stdout}{stderr}"))
}

#[test]
fn a_new_pack_passes_its_tests_until_it_is_broken() {
    let place = tempfile::tempdir().unwrap();
    let (here, words) = (
        place.path(),
        ["pack", "create", "shop", "--author", "Ann: \"x\""],
    );
    assert_eq!(squall(here, &words).0, Some(0));
    assert_eq!(squall(here, &words).0, Some(2), "it is there already");
    environment(here);
    let test = [
        "pack",
        "test",
        "shop",
        "--virtualenv",
        "environment",
        "--cache",
        "cache",
    ];
    let (code, told) = squall(here, &test);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("2 passed, 0 failed"), "{told}");
    let action = here.join("shop/actions/greet.py");
    let text = fs::read_to_string(&action).unwrap();
    fs::write(&action, text.replace("\"Hello\"", "\"Bye\"")).unwrap();
    let (code, told) = squall(here, &test);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("1 passed, 1 failed"), "{told}");
    fs::remove_dir_all(here.join("shop/tests")).unwrap();
    assert_eq!(squall(here, &test).0, Some(5), "there are no tests");
    assert_eq!(squall(here, &["pack", "test", "nowhere"]).0, Some(2));
}

#[test]
fn the_base_classes_of_tests_do_what_packs_expect() {
    let place = tempfile::tempdir().unwrap();
    let here = place.path();
    let write = |path: &str, text: &str| {
        let path = here.join("shop").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("pack.yaml", "name: shop\nversion: 1.0.0\n");
    write("sensors/door.py", DOOR);
    write("actions/count.py", COUNT);
    write(
        "aliases/greet.yaml",
        "name: greet\naction_ref: shop.greet\nformats:\n  - greet {{name}}\n  - display: x\n    \
         representation: ['wave at {{name}} in {{place=town}}']\n",
    );
    write("tests/fixtures/a.txt", "fixture");
    write("tests/test_all.py", include_str!("packs/test_all.py"));
    environment(here);
    let test = [
        "pack",
        "test",
        "shop",
        "--virtualenv",
        "environment",
        "--cache",
        "cache",
    ];
    let (code, told) = squall(here, &test);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("7 passed, 0 failed"), "{told}");
}

const DOOR: &str = "
from st2reactor.sensor.base import PollingSensor


class Door(PollingSensor):
    def setup(self):
        pass

    def poll(self):
        self.sensor_service.set_value('seen', 1)
        self.sensor_service.dispatch('shop.door', {'open': True}, trace_tag='t')

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    update_trigger = remove_trigger = add_trigger
";

const COUNT: &str = "
from st2common.runners.base_action import Action


class Count(Action):
    def __init__(self, config):
        super(Count, self).__init__(config)

    def run(self):
        count = int(self.action_service.get_value('count') or 0) + 1
        self.action_service.set_value('count', count)
        return count
";
