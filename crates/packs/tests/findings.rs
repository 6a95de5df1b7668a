//! What is wrong in a pack is told with file, line and column, and hides nothing else.
#![allow(clippy::unwrap_used)]

use std::fs;

use expect_test::{Expect, expect};
use squall_packs::{Files, Known, Loaded, load};
use squall_value::Str;

const PACK: &str = "name: p\nversion: 1.0.0\n";

fn known() -> Known {
    Known {
        runners: ["noop", "local-shell-cmd", "python-script"]
            .map(Str::from)
            .to_vec(),
    }
}

fn load_files(texts: &[(&str, &str)]) -> Loaded {
    let mut files = Files {
        directory: "p".into(),
        ..Files::default()
    };
    for (name, text) in texts {
        files.names.push((*name).into());
        files.texts.push(((*name).into(), (*text).into()));
    }
    load(&files, &known())
}

fn shown(loaded: &Loaded) -> String {
    let findings = loaded.findings.iter();
    let findings = findings.map(|finding| format!("{finding}\n"));
    let definitions = loaded.definitions.iter();
    let definitions = definitions.filter(|found| *found.key != *"p");
    let definitions = definitions.map(|found| format!("= {} {}\n", found.kind.as_str(), found.key));
    findings.chain(definitions).collect()
}

/// Loads one file in an otherwise good pack.
#[track_caller]
fn check(name: &str, text: &str, expected: Expect) {
    expected.assert_eq(&shown(&load_files(&[("pack.yaml", PACK), (name, text)])));
}

/// Loads a directory without other files.
#[track_caller]
fn check_pack(text: &str, expected: Expect) {
    expected.assert_eq(&shown(&load_files(&[("pack.yaml", text)])));
}

#[test]
fn packs() {
    expect![[r#"
        pack.yaml:1:1: error: the directory has no `pack.yaml`, so it is not a pack
    "#]]
    .assert_eq(&shown(&load_files(&[])));
    check_pack("name: p\nversion: 1.0.0\n", expect![[""]]);
    check_pack(
        "name: p\n",
        expect![[r#"
        pack.yaml:1:1: warning: `version` is missing (add `version: 1.0.0`)
    "#]],
    );
    check_pack(
        "- p\n",
        expect![[r#"
        pack.yaml:1:1: error: expected a mapping, found list
    "#]],
    );
    check_pack(
        "version: 1.0.0\n",
        expect![[r#"
        pack.yaml:1:1: error: `name` is missing (add `name:`)
    "#]],
    );
    check_pack(
        "name: [p]\nversion: 1.0.0\n",
        expect![[r#"
        pack.yaml:1:7: error: `name` must be text, not a list
    "#]],
    );
    check_pack(
        "name: ''\nversion: 1.0.0\n",
        expect![[r#"
        pack.yaml:1:7: error: `name` is empty (give it a value)
    "#]],
    );
    check_pack(
        "name: p\nversion: 1.0.0\nref: a.b\n",
        expect![[r#"
        pack.yaml:3:6: error: `a.b` cannot be a pack's reference (add `ref:` with letters, digits, `_` and `-` only)
    "#]],
    );
    check_pack(
        "name: p\nversion: 1.0.0\nkeywords: one\n",
        expect![[r#"
        pack.yaml:3:11: error: `keywords` must be a list, not a text
    "#]],
    );
    check_pack(
        "name: p\nversion: [1\n",
        expect![[r#"
        pack.yaml:2:10: error: a `[` is never closed (add the missing `]`)
    "#]],
    );
    check_pack(
        "name: p\nname: q\nversion: 1.0.0\n",
        expect![[r#"
        pack.yaml:2:1: warning: the key `name` is set twice; the value in line 1 is lost (remove one of the two)
        = pack q
    "#]],
    );
}

#[test]
fn actions() {
    check(
        "actions/a.yaml",
        "name: a\nrunner_type: noop\n",
        expect![[r#"
            = action p.a
        "#]],
    );
    check(
        "actions/a.yaml",
        "runner_type: noop\n",
        expect![[r#"
        actions/a.yaml:1:1: error: `name` is missing (add `name:`)
    "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\n",
        expect![[r#"
        actions/a.yaml:1:1: error: `runner_type` is missing (add `runner_type:`)
    "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\nrunner_type: local-shell-cmdd\n",
        expect![[r#"
            actions/a.yaml:2:14: error: there is no runner `local-shell-cmdd` (did you mean `local-shell-cmd`?)
        "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\nrunner_type: noop\nenabled: 'yes'\n",
        expect![[r#"
            actions/a.yaml:3:10: error: `enabled` must be true or false, not a text
        "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\npack: other\nrunner_type: noop\n",
        expect![[r#"
            actions/a.yaml:2:7: error: `pack` is `other`, but the file lies in pack `p` (correct it, or leave it out)
        "#]],
    );
    check(
        "actions/a.yaml",
        "name: a/b\nrunner_type: noop\n",
        expect![[r#"
            actions/a.yaml:1:7: error: `name` must not contain slashes or control characters (use letters, digits, `_`, `-` and `.`)
        "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\nrunner_type: python-script\nentry_point: a.py\n",
        expect![[r#"
            actions/a.yaml:3:14: warning: `entry_point` names `actions/a.py`, which is not in the pack (the action fails until the file is there)
            = action p.a
        "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\nrunner_type: noop\nparameters:\n  x:\n    type: strin\n",
        expect![[r#"
            actions/a.yaml:4:3: error: `parameters.x.type`: unknown type 'strin'; did you mean `string`?
        "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\nrunner_type: noop\nparameters: [x]\n",
        expect![[r#"
            actions/a.yaml:3:13: error: `parameters` must be a mapping, not a list
        "#]],
    );
    check(
        "actions/a.yaml",
        "name: a\n\trunner_type: noop\n",
        expect![[r#"
            actions/a.yaml:1:7: error: a tab is used where YAML allows only spaces (replace the tab by spaces)
        "#]],
    );
    check(
        "actions/a.yaml",
        "",
        expect![[r#"
        actions/a.yaml:1:1: error: expected a mapping, found null
    "#]],
    );
}

#[test]
fn rules() {
    const GOOD: &str = "name: r\ntrigger:\n  type: core.st2.webhook\n  parameters: {url: x}\naction:\n  ref: core.noop\n";
    check(
        "rules/r.yaml",
        GOOD,
        expect![[r#"
        = rule p.r
    "#]],
    );
    check(
        "rules/r.yaml",
        "name: r\n",
        expect![[r#"
        rules/r.yaml:1:1: error: `trigger.type` must name a trigger type as `pack.name` (for example `type: core.st2.webhook`)
        rules/r.yaml:1:1: error: `action.ref` must name an action as `pack.name` (for example `ref: core.local`)
    "#]],
    );
    check(
        "rules/r.yaml",
        "name: r\ntrigger: {type: webhook}\naction: {ref: noop}\n",
        expect![[r#"
            rules/r.yaml:2:10: error: `trigger.type` must name a trigger type as `pack.name` (for example `type: core.st2.webhook`)
            rules/r.yaml:3:9: error: `action.ref` must name an action as `pack.name` (for example `ref: core.local`)
        "#]],
    );
    check(
        "rules/r.yaml",
        &format!("{GOOD}criteria:\n  trigger.a: 1\n  trigger.b: {{type: equals}}\n"),
        expect![[r#"
            rules/r.yaml:8:3: error: the criterion `trigger.a` must be a mapping, not integer
            rules/r.yaml:8:3: error: the criterion `trigger.b` has no `pattern`
        "#]],
    );
    check(
        "rules/r.yaml",
        &format!("{GOOD}criteria: [1]\n"),
        expect![[r#"
            rules/r.yaml:7:11: error: `criteria` must be a mapping, not a list
        "#]],
    );
}

#[test]
fn sensors_and_trigger_types() {
    const GOOD: &str = "class_name: S\nentry_point: s.py\n";
    check(
        "sensors/s.yaml",
        GOOD,
        expect![[r#"
        sensors/s.yaml:2:14: error: `entry_point` names `sensors/s.py`, which is not in the pack
    "#]],
    );
    let with_file = |text: &str| {
        let mut files = Files {
            directory: "p".into(),
            ..Files::default()
        };
        for (name, text) in [
            ("pack.yaml", PACK),
            ("sensors/s.py", ""),
            ("sensors/s.yaml", text),
        ] {
            files.names.push(name.into());
            if name.ends_with(".yaml") {
                files.texts.push((name.into(), text.into()));
            }
        }
        shown(&load(&files, &known()))
    };
    expect![[r#"
        = sensor p.S
    "#]]
    .assert_eq(&with_file(GOOD));
    expect![[r#"
        sensors/s.yaml:3:16: error: `poll_interval` must be 4 seconds or more
    "#]]
    .assert_eq(&with_file(&format!("{GOOD}poll_interval: 1\n")));
    expect![[r#"
        sensors/s.yaml:3:16: error: `poll_interval` must be a number of seconds, not string
    "#]]
    .assert_eq(&with_file(&format!("{GOOD}poll_interval: often\n")));
    expect![[r#"
        sensors/s.yaml:6:5: error: `name` is missing (add `name:`)
    "#]]
    .assert_eq(&with_file(&format!(
        "{GOOD}trigger_types:\n  - name: t\n  - other.t\n  - description: nameless\n"
    )));
    check(
        "triggers/t.yaml",
        "name: t\n",
        expect![[r#"
        = trigger_type p.t
    "#]],
    );
    check(
        "triggers/t.yaml",
        "name: t\npayload_schema: 1\n",
        expect![[r#"
            triggers/t.yaml:2:17: error: `payload_schema` must be a mapping, not a integer
        "#]],
    );
}

#[test]
fn aliases_and_policies() {
    check(
        "aliases/a.yaml",
        "name: a\naction_ref: core.noop\nformats: [do it]\n",
        expect![[r#"
            = action_alias p.a
        "#]],
    );
    check(
        "aliases/a.yaml",
        "name: a\n",
        expect![[r#"
        aliases/a.yaml:1:1: error: `action_ref` is missing (add `action_ref:`)
        aliases/a.yaml:1:1: error: `formats` is missing or empty (add at least one text to match)
    "#]],
    );
    check(
        "policies/p.yaml",
        "name: p\nresource_ref: p.a\npolicy_type: action.concurrency\nparameters: {threshold: 1}\n",
        expect![[r#"
            = policy p.p
        "#]],
    );
    check(
        "policies/p.yaml",
        "name: p\nresource_ref: p.a\npolicy_type: action.magic\nparameters: {}\n",
        expect![[r#"
            policies/p.yaml:1:1: error: policy type `action.magic` is unknown: use `action.concurrency`, `action.concurrency.attr` or `action.retry`
        "#]],
    );
    check(
        "policies/p.yaml",
        "name: p\n",
        expect![[r#"
        policies/p.yaml:1:1: error: `resource_ref` is missing (add `resource_ref:`)
        policies/p.yaml:1:1: error: `policy_type` is missing (add `policy_type:`)
    "#]],
    );
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let loaded = load_files(&[
        ("pack.yaml", PACK),
        ("actions/bad.yaml", "name: [\n"),
        ("actions/good.yaml", "name: good\nrunner_type: noop\n"),
        ("actions/worse.yaml", "name: worse\nrunner_type: nope\n"),
        (
            "rules/good.yaml",
            "name: good\ntrigger: {type: core.t}\naction: {ref: p.good}\n",
        ),
        ("rules/bad.yaml", "name: bad\n"),
    ]);
    expect![[r#"
        actions/bad.yaml:1:7: error: a `[` is never closed (add the missing `]`)
        actions/worse.yaml:2:14: error: there is no runner `nope` (did you mean `noop`?)
        rules/bad.yaml:1:1: error: `trigger.type` must name a trigger type as `pack.name` (for example `type: core.st2.webhook`)
        rules/bad.yaml:1:1: error: `action.ref` must name an action as `pack.name` (for example `ref: core.local`)
        = action p.good
        = rule p.good
    "#]].assert_eq(&shown(&loaded));
}

#[test]
fn what_is_defined_twice_is_told() {
    let loaded = load_files(&[
        ("pack.yaml", PACK),
        ("actions/a.yaml", "name: a\nrunner_type: noop\n"),
        ("actions/b.yaml", "name: a\nrunner_type: noop\n"),
    ]);
    expect![[r#"
        actions/b.yaml:1:1: error: action `p.a` is defined in `actions/a.yaml` already
        = action p.a
    "#]]
    .assert_eq(&shown(&loaded));
}

#[test]
fn the_content_of_workflows_is_no_metadata() {
    let loaded = load_files(&[
        ("pack.yaml", PACK),
        ("actions/workflows/w.yaml", "version: 1.0\ntasks: {}\n"),
    ]);
    expect![[""]].assert_eq(&shown(&loaded));
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p");
    std::fs::create_dir_all(path.join("actions")).unwrap();
    std::fs::write(path.join("pack.yaml"), PACK).unwrap();
    std::fs::write(path.join("actions/binary.yaml"), b"name: \xff\n").unwrap();
    std::fs::write(path.join("actions/huge.yaml"), vec![b'#'; 5 << 20]).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", path.join("actions/out.yaml")).unwrap();
    std::os::unix::fs::symlink("nowhere", path.join("actions/lost.yaml")).unwrap();
    std::os::unix::fs::symlink("..", path.join("actions/up")).unwrap();
    std::fs::write(path.join("actions/a.yaml"), "name: a\nrunner_type: noop\n").unwrap();
    let files = squall_packs::read(&path).unwrap();
    expect![[r#"
        actions/binary.yaml:1:1: error: the file is not UTF-8: byte 6 is wrong
        actions/huge.yaml:1:1: error: the file has 5242880 bytes, more than the 4194304 that are read
        actions/lost.yaml:1:1: error: the link leads nowhere
        actions/out.yaml:1:1: error: the link leads out of the pack
        = action p.a
    "#]].assert_eq(&shown(&load(&files, &known())));
    let missing = squall_packs::read(&directory.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
}

/// Hostile texts end in findings, not in a panic.
#[test]
fn hostile_files_are_bounded() {
    let deep = format!("name: {}\n", "[".repeat(100_000));
    let bomb = "a: &a [x, x, x, x, x, x, x, x]\n".to_owned()
        + &('b'..='k')
            .zip('a'..)
            .map(|(name, of)| {
                format!(
                    "{name}: &{name} [{}]\n",
                    vec![format!("*{of}"); 8].join(", ")
                )
            })
            .collect::<String>();
    for text in [
        &*deep,
        &*bomb,
        "name: \u{0}\n",
        "? [a]\n: b\n",
        "!!python/object:os.system x\n",
    ] {
        let loaded = load_files(&[("pack.yaml", PACK), ("actions/a.yaml", text)]);
        let errors = loaded.findings.iter().filter(|finding| finding.is_error());
        assert!(errors.count() > 0, "{}", &text[..text.len().min(40)]);
    }
}

/// Of packs with one name, that of the last directory is used: an operator's for a shipped one.
#[test]
fn a_pack_replaces_one_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    for pack in ["shipped/core", "shipped/examples", "own/examples", "own/a"] {
        fs::create_dir_all(place(pack)).unwrap();
    }
    fs::write(place("own/core"), "a file is no pack").unwrap();
    let found = squall_packs::find(&[place("shipped"), place("own"), place("none")]);
    let packs = ["shipped/core", "own/a", "own/examples"].map(place);
    assert_eq!(found.packs, packs);
    assert_eq!(found.replaced, [place("shipped/examples")]);
}
