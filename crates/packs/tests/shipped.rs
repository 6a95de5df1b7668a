//! The packs that ship: they load without a finding, and define what they always did.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use expect_test::expect;
use squall_packs::{Files, Known, Loaded};
use squall_value::{Str, Value, json};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The runners that the server knows, from the table that it is built with.
fn known() -> Known {
    let table = repository().join("crates/runners/src/runner_types.json");
    let table = json::read(&std::fs::read_to_string(table).unwrap()).unwrap();
    let names = |entry: &Value| {
        let aliases = entry.get("aliases").and_then(Value::as_list);
        let names = entry.get("name").into_iter();
        let names = names.chain(aliases.unwrap_or_default());
        names
            .map(|name| Str::from(name.as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    Known {
        runners: table.as_list().unwrap().iter().flat_map(names).collect(),
    }
}

fn packs() -> Vec<(String, Files, Loaded)> {
    let entries = std::fs::read_dir(repository().join("packs")).unwrap();
    let mut packs: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| {
            let files = squall_packs::read(&path).unwrap();
            let loaded = squall_packs::load(&files, &known());
            (files.directory.to_string(), files, loaded)
        })
        .collect();
    packs.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    packs
}

#[test]
fn shipped_packs_have_no_findings() {
    for (directory, _, loaded) in packs() {
        let findings: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings, Vec::<String>::new(), "in packs/{directory}");
        assert_eq!(loaded.pack.as_deref(), Some(&*directory));
    }
}

#[test]
fn shipped_packs_define_these() {
    let mut text = String::new();
    for (directory, _, loaded) in packs() {
        text += &format!("{directory}\n");
        let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
        for definition in &loaded.definitions {
            let kind = definition.kind.as_str();
            let name = definition.key.split_once('.').map_or("", |(_, name)| name);
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, names)) => names.push(name),
                None => kinds.push((kind, vec![name])),
            }
        }
        for (kind, names) in kinds.iter().filter(|(kind, _)| *kind != "pack") {
            text += &format!("  {} {kind}: {}\n", names.len(), names.join(" "));
        }
    }
    expect![[r#"
        chatops
          6 action: format_execution_result match match_and_execute post_message post_result run
          2 rule: notify-errbot notify
        core
          19 trigger_type: directory.changed etcd.key_changed file.line git.branch_moved report.run st2.CronTimer st2.DateTimer st2.IntervalTimer st2.action.file_written st2.generic.actiontrigger st2.generic.inquiry st2.generic.notifytrigger st2.key_value_pair.create st2.key_value_pair.delete st2.key_value_pair.update st2.key_value_pair.value_change st2.sensor.process_exit st2.sensor.process_spawn st2.webhook
          16 action: announcement ask echo error http inject_trigger local local_sudo noop pause remote remote_sudo sendmail uuid winrm_cmd winrm_ps_cmd
        default
        examples
          6 action: disk_usage fan_out greet is_prime load word_count
          2 trigger_type: load spooled
          2 sensor: LoadSensor SpoolSensor
          6 rule: every_minute on_ansible_report on_puppet_report on_push on_terraform_report on_webhook
        linux
          1 trigger_type: file_watch.line
          19 action: check_loadavg check_processes cp diag_loadavg dig file_touch lsof lsof_pids mv netstat netstat_grep pkill rm rsync scp service traceroute vmstat wait_for_ssh
        packs
          1 config_schema: 
          17 action: activate delete discard download get get_config install load look_for_upgrades prepare search setup_virtualenv show uninstall unload update_virtualenv upgrade
          4 action_alias: pack_get pack_install pack_search pack_show
    "#]].assert_eq(&text);
}

/// Every action and trigger type that a shipped rule or workflow names is shipped too.
#[test]
fn shipped_packs_refer_to_what_is_shipped() {
    let packs = packs();
    let definitions = packs.iter().flat_map(|(_, _, loaded)| &loaded.definitions);
    let defined: Vec<&str> = definitions.clone().map(|found| &*found.key).collect();
    let mut named = Vec::new();
    for definition in definitions {
        for (member, inner) in [("action", "ref"), ("trigger", "type")] {
            let found = definition
                .body
                .get(member)
                .and_then(|found| found.get(inner));
            named.extend(found.cloned());
        }
    }
    for (_, files, _) in &packs {
        for (name, text) in &files.texts {
            if !name.contains("/workflows/") {
                continue;
            }
            let document = squall_yaml::load(text, &squall_yaml::Options::default()).unwrap();
            let document = document.root.to_value();
            let tasks = document.get("tasks").and_then(Value::as_dict);
            let tasks = tasks.into_iter().flat_map(|tasks| tasks.values());
            named.extend(tasks.filter_map(|task| task.get("action").cloned()));
            let chain = document.get("chain").and_then(Value::as_list);
            let chain = chain.unwrap_or_default().iter();
            named.extend(chain.filter_map(|task| task.get("ref").cloned()));
        }
    }
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let name = name.as_str().unwrap();
        assert!(defined.contains(&name), "{name} is not shipped");
    }
}

#[test]
fn shipped_scripts_name_their_interpreter() {
    for (directory, _, loaded) in packs() {
        for definition in &loaded.definitions {
            let member = |name: &str| definition.body.get(name).and_then(Value::as_str);
            if member("runner_type") != Some("local-shell-script") {
                continue;
            }
            let actions = repository().join("packs").join(&directory).join("actions");
            let path = actions.join(member("entry_point").unwrap());
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("#!/"), "{}", path.display());
        }
    }
}
