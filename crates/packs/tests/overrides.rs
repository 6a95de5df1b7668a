//! What the operator says over a pack's files.
#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};
use squall_packs::{Files, Known, Loaded, load};
use squall_value::{Str, Value};

const PACK: [(&str, &str); 6] = [
    ("pack.yaml", "name: p\nversion: 1.0.0\n"),
    ("actions/a.yaml", "name: a\nrunner_type: noop\n"),
    (
        "actions/idle.yaml",
        "name: idle\nrunner_type: noop\nenabled: false\n",
    ),
    (
        "aliases/say.yaml",
        "name: say\naction_ref: p.a\nformats: [say]\n",
    ),
    (
        "rules/r.yaml",
        "name: r\ntrigger: {type: core.st2.webhook}\naction: {ref: p.a}\nenabled: true\n",
    ),
    ("sensors/s.yaml", "class_name: S\nentry_point: s.sh\n"),
];

fn load_with(global: Option<&str>, own: Option<&str>) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("_global", global), ("p", own)] {
        if let Some(text) = text {
            std::fs::write(directory.path().join(format!("{name}.yaml")), text).unwrap();
        }
    }
    let texts: Vec<_> = PACK
        .iter()
        .map(|(name, text)| (Str::from(*name), Str::from(*text)))
        .collect();
    let mut files = Files {
        directory: "p".into(),
        names: texts.iter().map(|(name, _)| name.clone()).collect(),
        texts,
        ..Files::default()
    };
    files.names.push("sensors/s.sh".into());
    files.names.sort();
    let known = Known {
        runners: vec!["noop".into()],
    };
    let pack = files.pack().unwrap();
    files.overrides = squall_packs::read_overrides(directory.path(), &pack);
    for read in &mut files.overrides {
        let name = std::path::Path::new(&*read.file).file_name().unwrap();
        read.file = Str::from(name.to_string_lossy());
    }
    load(&files, &known)
}

fn shown(loaded: &Loaded) -> String {
    let findings = loaded.findings.iter();
    let findings = findings.map(|finding| format!("{finding}\n"));
    let enabled = loaded.definitions.iter().filter_map(|found| {
        let enabled = found.body.get("enabled").and_then(Value::as_bool)?;
        let mark = if enabled { '+' } else { '-' };
        Some(format!("{mark} {} {}\n", found.kind.as_str(), found.key))
    });
    findings.chain(enabled).collect()
}

#[track_caller]
fn check(global: Option<&str>, own: Option<&str>, expected: Expect) {
    expected.assert_eq(&shown(&load_with(global, own)));
}

#[test]
fn resources_are_switched_on_and_off() {
    check(
        None,
        None,
        expect![[r#"
            + action p.a
            - action p.idle
            + sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
    check(
        Some("actions:\n  defaults:\n    enabled: false\n"),
        None,
        expect![[r#"
            - action p.a
            - action p.idle
            + sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
    check(
        Some("rules: {defaults: {enabled: false}}\naliases: {defaults: {enabled: false}}\n"),
        Some("rules: {defaults: {enabled: true}}\n"),
        expect![[r#"
            + action p.a
            - action p.idle
            + sensor p.S
            + rule p.r
            - action_alias p.say
        "#]],
    );
    check(
        None,
        Some(concat!(
            "---\n",
            "actions:\n  defaults: {enabled: false}\n  exceptions:\n    a: {enabled: true}\n",
            "sensors:\n  exceptions: {S: {enabled: false}}\n",
        )),
        expect![[r#"
            + action p.a
            - action p.idle
            - sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
    check(
        None,
        Some("actions:\n  exceptions: {idle: {enabled: true}}\n"),
        expect![[r#"
            + action p.a
            + action p.idle
            + sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
}

#[test]
fn files_that_say_nothing_change_nothing() {
    check(
        Some("# later\n"),
        Some("---\n"),
        expect![[r#"
            + action p.a
            - action p.idle
            + sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
    check(
        None,
        Some("actions:\nrules:\n  defaults:\n  exceptions:\n    r:\n"),
        expect![[r#"
            + action p.a
            - action p.idle
            + sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
}

#[test]
fn slips_are_told() {
    check(
        Some("actions:\n  exceptions: {a: {enabled: false}}\n"),
        None,
        expect![[r#"
            _global.yaml:2:15: warning: exceptions of all packs are not looked at (write them in `PACK.yaml`)
            + action p.a
            - action p.idle
            + sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
    check(
        None,
        Some(
            "policies: {defaults: {enabled: false}}\nactions:\n  exceptions: {idl: {enabled: true}}\n",
        ),
        expect![[r#"
            p.yaml:1:11: warning: `policies` cannot be overridden (`sensors`, `actions`, `rules` and `aliases` can)
            p.yaml:3:16: warning: pack `p` has no action `idl` (did you mean `idle`?)
            + action p.a
            - action p.idle
            + sensor p.S
            + rule p.r
            + action_alias p.say
        "#]],
    );
}

/// Without what it says, something would be in force that was switched off.
#[test]
fn a_pack_waits_for_overrides_that_can_be_read() {
    for text in [
        "actions: [a]\n",
        "actions: {default: {enabled: false}}\n",
        "actions: {defaults: {enabled: no-way}}\n",
        "actions: {defaults: {timeout: 5}}\n",
        "actions: {exceptions: {a: false}}\n",
        "actions: {defaults: {enabled: [}}\n",
        "- actions\n",
    ] {
        let loaded = load_with(None, Some(text));
        assert_eq!(loaded.pack, None, "{text}");
        assert_eq!(loaded.definitions, [], "{text}");
    }
    check(
        Some("actions: {defaults: {enabled: 2}}\n"),
        Some("actions: [a]\nrules: {defaults: {timeout: 5}}\n"),
        expect![[r#"
            _global.yaml:1:31: error: `enabled` must be true or false, not a integer
            p.yaml:1:10: error: expected `defaults` or `exceptions`
            p.yaml:2:29: error: `timeout` cannot be overridden (only `enabled` can)
        "#]],
    );
}
