//! Definitions: diagnostics, merging, immutables, masks, outputs, configurations, forms.
#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};
use squall_schema::{ActionParameters, ConfigSchema, Diagnostic, OutputSchema};
use squall_value::json;
use squall_value::{Dict, Value};

fn value(text: &str) -> Value {
    json::read(text).unwrap()
}

fn dict(text: &str) -> Dict {
    value(text).as_dict().unwrap().clone()
}

fn told(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| format!("{:?}: {diagnostic}\n", diagnostic.severity))
        .collect()
}

#[track_caller]
fn check_definition(runner: &str, action: &str, expect: Expect) {
    let (_, diagnostics) = ActionParameters::new(&value(runner), &value(action));
    expect.assert_eq(&told(&diagnostics));
}

const RUNNER: &str = r#"{
    "cmd": {"type": "string", "description": "what to run"},
    "sudo": {"type": "boolean", "default": false},
    "fixed": {"type": "string", "default": "x", "immutable": true},
    "timeout": {"type": "integer", "default": 60}}"#;

#[test]
fn a_sound_definition_is_silent() {
    check_definition(
        RUNNER,
        r#"{"cmd": {"immutable": true, "default": "ls {{ dir }}"}, "timeout": {"default": 5},
            "dir": {"type": "string", "required": true, "position": 0},
            "n": {"type": ["integer", "null"], "position": 1, "default": "wrong"},
            "o": {"type": "object", "properties": {"k": {"type": "string", "secret": true}}},
            "any": null, "u": {"oneOf": [{"type": "string"}]}}"#,
        expect![[""]],
    );
}

#[test]
fn every_fault_is_told_at_once() {
    check_definition(
        RUNNER,
        r#"{"cmd": {"type": "integer", "position": 0}, "fixed": {"immutable": false},
            "a": {"type": "strng"}, "b": {"requird": true}, "c": {"required": "yes"},
            "d": 5, "e": {"position": 2}, "f": {"position": 2}, "g": {"position": 5},
            "h": {"immutable": true}, "i": {"enum": []}, "j": {"position": -1},
            "k": {"type": "string", "pattern": "("},
            "l": {"type": "object", "properties": {"m": {"type": "objet"}}},
            "o": {"items": 5}, "p": {"type": []}}"#,
        expect![[r#"
            Error: cmd.type: The attribute "type" for the runner parameter "cmd" cannot be overridden; an action may change only default, description, enum, immutable, required
            Error: cmd.position: The attribute "position" for the runner parameter "cmd" cannot be overridden; an action may change only default, description, enum, immutable, required
            Error: fixed.immutable: Param fixed is declared immutable in runner. Cannot override in action.
            Error: a.type: unknown type 'strng'; did you mean `string`?
            Warning: b.requird: unknown attribute `requird` is ignored; did you mean `required`?
            Error: c.required: `required` must be true or false, but is 'yes' (of type string)
            Error: d: a definition must be a mapping such as `{type: string}`, but is of type integer
            Warning: h.immutable: Immutable param h requires a default value: without one, nobody can ever give it a value
            Error: i.enum: `enum` must be a list of the allowed values, at least one
            Error: j.position: `position` must be an integer from 0
            Error: l.properties.m.type: unknown type 'objet'; did you mean `object`?
            Error: o.items: `items` must be the definition of each element
            Error: p.type: `type` names no type; known are array, boolean, integer, null, number, object, string
            Error: e.position: Positions supplied [-1, 0, 2, 2, 5] for parameters are not contiguous.
            Error: f.position: Parameters f and e have same position 2. Position values have to be unique.
            Error: g.position: Positions supplied [-1, 0, 2, 2, 5] for parameters are not contiguous.
            Error: k: the definition of `k` is no valid JSON Schema: "(" is not a "regex"
        "#]],
    );
    check_definition(
        "{}",
        "[]",
        expect![[r#"
        Error: `parameters` must map names to definitions, but is of type array
    "#]],
    );
}

#[test]
fn deep_definitions_are_refused() {
    let deep = "{\"type\": \"array\", \"items\": ".repeat(120) + "{}" + &"}".repeat(120);
    let (parameters, diagnostics) =
        ActionParameters::new(&Value::empty_dict(), &value(&format!("{{\"a\": {deep}}}")));
    assert!(diagnostics.iter().any(Diagnostic::is_error));
    assert_eq!(parameters.validate(&dict(r#"{"a": []}"#)), Ok(()));
}

#[test]
fn an_override_inherits_what_it_does_not_say() {
    let action =
        r#"{"cmd": {"default": "ls"}, "sudo": {"immutable": true}, "x": {"type": "string"}}"#;
    let (parameters, _) = ActionParameters::new(&value(RUNNER), &value(action));
    let merged: Vec<String> = parameters
        .merged()
        .iter()
        .map(|(name, parameter)| format!("{name}: {}", parameter.attributes().to_json()))
        .collect();
    expect![[r#"
        cmd: {"type":"string","description":"what to run","default":"ls"}
        sudo: {"type":"boolean","default":false,"immutable":true}
        fixed: {"type":"string","default":"x","immutable":true}
        timeout: {"type":"integer","default":60}
        x: {"type":"string"}"#]]
    .assert_eq(&merged.join("\n"));
    let refused = parameters.check_immutable(&dict(r#"{"cmd": 1, "sudo": 1, "fixed": 1}"#));
    expect!["Override of immutable parameter(s) ['sudo', 'fixed'] is unsupported."]
        .assert_eq(&refused.unwrap_err().to_string());
    assert_eq!(parameters.check_immutable(&dict(r#"{"cmd": 1}"#)), Ok(()));
}

const SECRETS: &str = r#"{
    "plain": {"type": "string"},
    "password": {"type": "string", "secret": true},
    "tree": {"type": "object", "secret": true, "properties": {"k": {"type": "string"}}},
    "users": {"type": "array", "items": {"type": "object", "properties":
        {"name": {"type": "string"}, "key": {"type": "string", "secret": true}}}},
    "map": {"type": "object", "patternProperties": {"^s_": {"secret": true}},
        "additionalProperties": {"type": "object", "properties": {"pin": {"secret": true}}}},
    "pair": {"type": "array", "items": [{}, {"secret": true}]},
    "either": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"t": {"secret": true}}}]}}"#;

const GIVEN: &str = r#"{"plain": "p", "password": "hunter2", "tree": {"k": "v"}, "unknown": "u",
    "users": [{"name": "n", "key": "k1"}, {"name": "m", "key": 42}], "either": {"t": "t1", "u": "u1"},
    "map": {"s_a": "s1", "b": {"pin": "1234", "x": 1}, "c": 5}, "pair": ["a", "b", "c"]}"#;

#[test]
fn secrets_are_masked_at_any_depth_and_collected() {
    let (parameters, _) = ActionParameters::new(&Value::empty_dict(), &value(SECRETS));
    let masked = parameters.mask().apply(&value(GIVEN));
    let mut secrets = Vec::new();
    parameters.mask().collect(&value(GIVEN), &mut secrets);
    expect![[r#"
        {"plain":"p","password":"********","tree":"********","unknown":"u","users":[{"name":"n","key":"********"},{"name":"m","key":"********"}],"either":{"t":"********","u":"u1"},"map":{"s_a":"********","b":{"pin":"********","x":1},"c":5},"pair":["a","********","c"]}
        ["hunter2", "v", "k1", "42", "t1", "s1", "1234", "b"]"#]].assert_eq(&format!("{}\n{secrets:?}", masked.to_json()));
}

#[test]
fn masks_do_not_touch_what_has_no_secrets() {
    let (parameters, _) = ActionParameters::new(&Value::empty_dict(), &value(RUNNER));
    assert!(parameters.mask().is_open());
    assert_eq!(parameters.mask().apply(&value(GIVEN)), value(GIVEN));
    // A value of another shape than the schema's is not an error.
    let (parameters, _) = ActionParameters::new(&Value::empty_dict(), &value(SECRETS));
    let odd = value(r#"{"users": "x", "map": [1], "pair": {}, "either": "e"}"#);
    assert_eq!(parameters.mask().apply(&odd), odd);
}

#[test]
fn messages_never_show_secrets() {
    let definition = r#"{"pin": {"type": "integer", "secret": true},
        "o": {"type": "object", "properties": {"k": {"type": "integer", "secret": true}}}}"#;
    let (parameters, _) = ActionParameters::new(&Value::empty_dict(), &value(definition));
    let given = dict(r#"{"pin": "hunter2", "o": {"k": "hunter3"}}"#);
    let invalid = parameters.validate(&given).unwrap_err();
    let told: Vec<String> = invalid
        .violations
        .iter()
        .map(|violation| format!("{}: {}", violation.path.join("."), violation.message))
        .collect();
    expect![[r#"
        pin: '********' is not of type 'integer', 'null'
        o.k: '********' is not of type 'integer', 'null'"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn outputs_are_checked_and_masked() {
    let schema = r#"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"},
        "token": {"type": "string", "secret": true}}, "additionalProperties": false}"#;
    let (output, diagnostics) = OutputSchema::new(&value(schema));
    assert_eq!(told(&diagnostics), "");
    assert_eq!(
        output.validate(&value(r#"{"id": 1, "token": "t"}"#)),
        Ok(())
    );
    let messages: Vec<String> = [r#"{}"#, r#"{"id": null}"#, r#"{"id": 1, "x": 2}"#, "5"]
        .iter()
        .map(|text| output.validate(&value(text)).unwrap_err().to_string())
        .collect();
    expect![[r#"
        'id' is a required property
        None is not of type 'integer'
        Additional properties are not allowed ('x' was unexpected)
        5 is not of type 'object'"#]]
    .assert_eq(&messages.join("\n"));
    let result = value(r#"{"result": {"id": 1, "token": "t"}, "stdout": "t"}"#);
    expect![[r#"{"result":{"id":1,"token":"********"},"stdout":"t"}"#]]
        .assert_eq(&output.mask_result(&result, "result").to_json());
}

#[test]
fn old_output_schemas_only_mask() {
    let (output, diagnostics) = OutputSchema::new(&value(
        r#"{"id": {"type": "integer"}, "t": {"secret": true}}"#,
    ));
    assert!(diagnostics.iter().all(|diagnostic| !diagnostic.is_error()));
    assert_eq!(output.validate(&value(r#"{"id": "x"}"#)), Ok(()));
    let result = value(r#"{"result": {"id": "x", "t": "s"}}"#);
    expect![[r#"{"result":{"id":"x","t":"********"}}"#]]
        .assert_eq(&output.mask_result(&result, "result").to_json());
    let (output, diagnostics) = OutputSchema::new(&Value::Null);
    assert_eq!(
        (diagnostics.len(), output.validate(&Value::Null)),
        (0, Ok(()))
    );
    let (output, diagnostics) = OutputSchema::new(&value(r#"{"type": "wrong"}"#));
    assert!(diagnostics.iter().any(Diagnostic::is_error));
    assert_eq!(output.validate(&Value::Null), Ok(()));
}

const CONFIG: &str = r#"{
    "url": {"type": "string", "required": true},
    "token": {"type": "string", "secret": true, "required": true},
    "port": {"type": "integer", "default": 443},
    "proxy": {"type": "object", "additionalProperties": false, "properties": {
        "host": {"type": "string", "required": true},
        "auth": {"type": "object", "properties": {
            "user": {"type": "string", "default": "guest"}, "pass": {"type": "string", "secret": true}}}}},
    "sites": {"type": "object", "patternProperties": {"^s": {"type": "object", "properties":
        {"ttl": {"type": "integer", "default": 60}}}}},
    "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}}}"#;

#[test]
fn configurations_get_defaults_at_every_depth() {
    let (config, diagnostics) = ConfigSchema::new(&value(CONFIG));
    assert_eq!(told(&diagnostics), "");
    let values = dict(
        r#"{"url": "u", "sites": {"s1": {}, "s2": {"ttl": 5}, "t": {}}, "list": [{}, {"n": 2}], "x": 1}"#,
    );
    let text = config.with_defaults(&values).to_json();
    expect![[r#"{"url":"u","sites":{"s1":{"ttl":60},"s2":{"ttl":5},"t":{}},"list":[{"n":1},{"n":2}],"x":1,"port":443,"proxy":{"auth":{"user":"guest"}}}"#]].assert_eq(&text);
}

#[test]
fn configurations_are_checked_at_every_depth() {
    let (config, _) = ConfigSchema::new(&value(CONFIG));
    let messages: Vec<String> = [
        r#"{"url": "u", "token": "t", "more": 1}"#,
        r#"{"url": "u"}"#,
        r#"{"url": "u", "token": "t", "port": "{{ st2kv.system.port }}"}"#,
        r#"{"url": "u", "token": 5}"#,
        r#"{"url": "u", "token": "t", "proxy": {}}"#,
        r#"{"url": "u", "token": "t", "proxy": {"host": "h", "hots": 1}}"#,
        r#"{"url": "u", "token": "t", "proxy": {"host": "h", "auth": {"pass": 12}}}"#,
        r#"{"url": "u", "token": "t", "sites": {"s1": {"ttl": "x"}}}"#,
        r#"{"url": "u", "token": "t", "sites": {"s1": {"ttl": "{{ st2kv.system.ttl }}"}}}"#,
    ]
    .iter()
    .map(|text| match config.validate(&dict(text)) {
        Ok(()) => "valid".to_owned(),
        Err(invalid) => invalid.to_string(),
    })
    .collect();
    expect![[r#"
        valid
        'token' is a required property
        valid
        '********' is not of type 'string'
        'host' is a required property
        Additional properties are not allowed ('hots' was unexpected)
        '********' is not of type 'string', 'null'
        'x' is not of type 'integer', 'null'
        valid"#]]
    .assert_eq(&messages.join("\n"));
}

#[test]
fn forms_speak_json_schema_2020() {
    let action = r#"{
        "cmd": {"immutable": true, "default": "ls {{ dir }}"},
        "dir": {"type": "string", "required": true, "position": 0, "description": "where"},
        "n": {"type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "default": 5},
        "t": {"type": "string", "default": "{{ dir }}/x"},
        "pw": {"type": "string", "secret": true, "default": "hunter2"},
        "o": {"type": "object", "properties": {"k": {"type": "string", "required": true}}},
        "l": {"type": "array"}, "p": {"type": "array", "items": [{"type": "string"}], "additionalItems": false}}"#;
    let runner = r#"{"cmd": {"type": "string"}}"#;
    let (parameters, _) = ActionParameters::new(&value(runner), &value(action));
    expect![[r#"{"type":"object","properties":{"dir":{"type":"string","description":"where","x-position":0},"n":{"type":"integer","exclusiveMinimum":0,"maximum":9,"default":5},"t":{"type":"string","x-default-template":"{{ dir }}/x"},"pw":{"type":"string","writeOnly":true,"format":"password"},"o":{"type":"object","properties":{"k":{"type":"string"}},"required":["k"]},"l":{"type":"array","items":{}},"p":{"type":"array","prefixItems":[{"type":"string"}],"items":false}},"required":["dir"],"additionalProperties":false}"#]].assert_eq(&parameters.json_schema().to_json());
}
