//! A playbook run by a real Ansible tells the server, and the worked rule answers. Needs `python3`
//! with `venv`; `ansible-core` is installed from PyPI beside the build's files.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod serving;

use std::path::{Path, PathBuf};
use std::process::Command;

use serving::Server;
use squall_value::Value;

/// The directory with Ansible's programs.
fn ansible() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible-core");
    let done = place.join("installed");
    if !done.is_file() {
        let run = |program: &Path, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output();
            let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "ansible-core could not be installed from PyPI, which this test needs: {told}"
            );
        };
        let path = place.to_str().unwrap();
        run(Path::new("python3"), &["-m", "venv", "--clear", path]);
        let arguments = ["install", "--quiet", "ansible-core>=2.14,<2.20"];
        run(&place.join("bin/pip"), &arguments);
        std::fs::write(done, "").unwrap();
    }
    place.join("bin")
}

const PLAYBOOK: &str = "
- name: web
  hosts: all
  gather_facts: false
  tasks:
    - name: write the page
      ansible.builtin.copy: {content: hello, dest: '{{ playbook_dir }}/{{ inventory_hostname }}'}
    - name: a secret
      ansible.builtin.command: echo hunter2hunter2
      no_log: true
    - name: start the service
      ansible.builtin.command: \"{{ service }}\"
";

/// Runs the playbook on two hosts that are this machine; `service` is a task's command.
fn play(server: &Server, secret: &str, service: &str) -> String {
    let place = server.data.path();
    std::fs::write(place.join("site.yaml"), PLAYBOOK).unwrap();
    let plugins =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/examples/ansible/callback_plugins");
    let output = Command::new(ansible().join("ansible-playbook"))
        .args(["-i", "web1,web2,", "-c", "local", "-e"])
        .arg(format!("service={service}"))
        .arg("site.yaml")
        .current_dir(place)
        .env("HOME", place)
        .env("ANSIBLE_CALLBACK_PLUGINS", plugins)
        .env("ANSIBLE_CALLBACKS_ENABLED", "squall")
        .env("ANSIBLE_PYTHON_INTERPRETER", ansible().join("python"))
        .env("SQUALL_URL", &server.url)
        .env("SQUALL_WEBHOOK_SECRET", secret)
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_playbook_that_fails_runs_the_worked_rule() {
    let server = Server::start(&[]);
    server.squall(&["rule", "enable", "examples.on_ansible_report"]);
    let secret = server.squall(&["webhook", "set-secret", "reports/ansible"]);
    let secret = secret.trim();
    assert_eq!(secret.len(), 64, "{secret}");

    let said = play(&server, "another secret", "true");
    assert!(said.contains("Squall was not told"), "{said}");
    let said = play(&server, secret, "true");
    assert!(!said.contains("Squall was not told"), "{said}");
    let said = play(&server, secret, "false");
    assert!(!said.contains("Squall was not told"), "{said}");

    let events = server.json(&["trigger-instance", "list"]);
    let shown: Vec<String> = events
        .as_list()
        .unwrap()
        .iter()
        .filter(|event| {
            let trigger = event.get("trigger").and_then(Value::as_str);
            trigger.is_some_and(|trigger| trigger.starts_with("core.report.run"))
        })
        .map(|event| {
            let payload = event.get("payload").unwrap();
            let member = |name: &str| payload.get(name).unwrap().to_json();
            let hosts = payload.get("hosts").unwrap().as_dict().unwrap();
            let hosts: Vec<&str> = hosts.keys().map(|host| &**host).collect();
            format!(
                "{} {} changed {} failed of {} on {hosts:?}",
                member("status"),
                member("changed"),
                member("failed"),
                member("total")
            )
        })
        .collect();
    // The newest first. The first run, of which nothing was told, has written the pages.
    assert_eq!(
        shown,
        [
            r#""failed" 2 changed 2 failed of 6 on ["web1", "web2"]"#,
            r#""changed" 4 changed 0 failed of 6 on ["web1", "web2"]"#,
        ],
        "{events:?}"
    );
    assert!(!events.to_json().contains("hunter2"), "{events:?}");

    // The event and the execution that answers it are one commit, so it is there.
    let found = server.json(&["execution", "list", "--action", "core.echo"]);
    let found = found.as_list().unwrap();
    assert_eq!(found.len(), 1, "only the failure has an answer");
    let id = found[0].get("id").unwrap().as_str().unwrap();
    let printed = server.squall(&["execution", "tail", id]);
    assert!(
        printed.contains("Ansible: 2 of 6 failed, 2 changed"),
        "{printed}"
    );
}
