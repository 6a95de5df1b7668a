//! What wants to break the server, through every door: each gets a bounded, clear answer, and the
//! server goes on. Needs `python3` on the path.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod serving;

use std::fmt::Write;
use std::path::Path;

use serving::Server;
use squall_value::Value;

/// Writes a pack, `file` and text each.
fn pack(directory: &Path, files: &[(&str, &str)]) {
    for (file, text) in files {
        let path = directory.join("packs/hostile").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Nine lists of nine aliases each: a thousand million values in a kilobyte.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let inner = format!("*a{}", level - 1);
        let inner = vec![inner; 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{inner}]").unwrap();
    }
    text
}

const FLOOD: &str = "
from st2reactor.sensor.base import Sensor

class Flood(Sensor):
    def setup(self): pass
    def run(self):
        count = 0
        while True:
            count += 1
            self.sensor_service.dispatch('hostile.drop', {'count': count, 'filler': 'x' * 10000})
    def cleanup(self): pass
    def add_trigger(self, trigger): pass
    def update_trigger(self, trigger): pass
    def remove_trigger(self, trigger): pass
";

/// One that is not configured.
const WRONG: &str = "
from st2reactor.sensor.base import Sensor

class Wrong(Sensor):
    def __init__(self, sensor_service, config=None):
        super().__init__(sensor_service=sensor_service, config=config)
        self.url = self.config['endpoint']['url']
    def setup(self): pass
    def run(self): pass
    def cleanup(self): pass
    def add_trigger(self, trigger): pass
    def update_trigger(self, trigger): pass
    def remove_trigger(self, trigger): pass
";

#[test]
fn the_server_goes_on_whatever_comes() {
    let place = tempfile::tempdir().unwrap();
    let (bomb, deep) = (
        bomb(),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
    );
    pack(
        place.path(),
        &[
            (
                "pack.yaml",
                "name: hostile\nversion: 1.0.0\ndescription: x\n",
            ),
            ("actions/bomb.yaml", &bomb),
            ("actions/deep.yaml", &deep),
            (
                "actions/print.yaml",
                "name: print\nrunner_type: local-shell-cmd\nparameters:\n  cmd:\n    default: head -c 300000000 /dev/zero | tr '\\0' x\n    immutable: true\n",
            ),
            (
                "actions/loop.yaml",
                "name: loop\nrunner_type: noop\nparameters:\n  text:\n    type: string\n    default: \"{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}\"\n",
            ),
            ("triggers/drop.yaml", "name: drop\n"),
            (
                "sensors/flood.yaml",
                "class_name: Flood\nentry_point: flood.py\ntrigger_types: []\n",
            ),
            ("sensors/flood.py", FLOOD),
            (
                "sensors/dead.yaml",
                "class_name: Dead\nentry_point: dead.py\ntrigger_types: []\n",
            ),
            ("sensors/dead.py", "import os\nos._exit(7)\n"),
            (
                "sensors/absent.yaml",
                "class_name: Absent\nentry_point: absent.py\ntrigger_types: []\n",
            ),
            ("sensors/absent.py", "import no_such_module\n"),
            (
                "sensors/wrong.yaml",
                "class_name: Wrong\nentry_point: wrong.py\ntrigger_types: []\n",
            ),
            ("sensors/wrong.py", WRONG),
            (
                "rules/any.yaml",
                "name: any\ntrigger: {type: core.st2.webhook, parameters: {url: any}}\ncriteria: {}\naction: {ref: core.noop}\n",
            ),
        ],
    );
    std::fs::write(
        place.path().join("packs/hostile/rules/bad.yaml"),
        b"name: \xff\xfe\n",
    )
    .unwrap();
    let server = Server::start_in(place, &["--packs", "packs"]);
    let refused = |path: &str, body: &[u8], status: u16| {
        let (found, told) = server.request("POST", path, body);
        let told: String = told.chars().take(500).collect();
        assert_eq!(found, status, "{path}: {told}");
        assert!(told.contains("faultstring"), "{told}");
    };

    // The webhook: too large, too deep, no text.
    let large = vec![b' '; 100 << 20];
    refused("/api/v1/webhooks/any", &large, 413);
    drop(large);
    let deep = deep.as_bytes();
    refused("/api/v1/webhooks/any", deep, 400);
    refused("/api/v1/webhooks/any", b"{\"a\": \"\xff\"}", 400);
    refused("/api/v1/executions", deep, 400);
    refused("/api/v1/rules", deep, 400);

    // Files that explode are told, and the rest of their pack is there.
    let (code, out, err) = server.run(&["pack", "register", "hostile"]);
    assert_eq!(code, Some(1), "{out}{err}");
    for file in ["actions/bomb.yaml", "actions/deep.yaml", "rules/bad.yaml"] {
        let line = out.lines().find(|line| line.contains(file));
        let line = line.unwrap_or_else(|| panic!("{file} is not told:\n{out}"));
        assert!(line.contains("error"), "{line}");
        assert!(line.len() < 1000, "{line}");
    }

    // A template that does not end fails the request, or the execution.
    let (code, out, err) = server.run(&["run", "hostile.loop"]);
    assert_ne!(code, Some(0), "{out}{err}");
    let told = format!("{out}{err}");
    assert!(
        told.contains("Failed to render parameter \"text\""),
        "{told}"
    );
    assert!(told.len() < 1000, "{told}");

    // An action that prints without measure succeeds, and what is kept of it is bounded.
    let printed = server.json(&["run", "hostile.print"]);
    assert_eq!(printed.get("status").unwrap().as_str(), Some("succeeded"));
    let kept = printed
        .get_path(&["result", "stdout"])
        .unwrap()
        .as_str()
        .unwrap();
    assert!(kept.len() < 32 << 20, "{}", kept.len());

    // The sensor that floods waits for each event; those that fail are started later and later.
    let sensors = server.json(&["sensor", "list", "--pack", "hostile"]);
    let state = |name: &str| {
        let sensors = sensors.as_list().unwrap().iter();
        let mut found =
            sensors.filter(|sensor| sensor.get("ref").and_then(Value::as_str) == Some(name));
        found.next().unwrap().get("process").unwrap().clone()
    };
    let flood = state("hostile.Flood");
    assert_eq!(
        flood.get("state").unwrap().as_str(),
        Some("running"),
        "{flood:?}"
    );
    for (name, reason) in [
        ("hostile.Dead", "exit status: 7"),
        ("hostile.Absent", "No module named 'no_such_module'"),
        (
            "hostile.Wrong",
            "perhaps for its config: KeyError: 'endpoint'",
        ),
    ] {
        let process = state(name);
        let error = process.get("last_error").and_then(Value::as_str);
        let error = error.unwrap_or_else(|| panic!("{name}: {process:?}"));
        assert!(error.contains(reason), "{name}: {error}");
    }
    let events = server.json(&[
        "trigger-instance",
        "list",
        "--trigger",
        "hostile.drop",
        "-n",
        "1",
    ]);
    assert_eq!(events.as_list().unwrap().len(), 1);

    // And it works as before, in bounded memory.
    let (status, told) = server.request("POST", "/api/v1/webhooks/any", b"{}");
    assert_eq!(status, 202, "{told}");
    let peak = server.peak_memory();
    assert!(peak < 700 << 20, "the server had {} MiB", peak >> 20);
}
