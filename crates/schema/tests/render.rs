//! Rendering of parameters and configurations: order, precedence, failures.
#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};
use squall_expr::{Expressions, Host, HostError, KeyScope};
use squall_schema::{ActionParameters, ConfigSchema, ConfigSources, Sources};
use squall_value::{Dict, Str, Value, json};

struct World;

impl Host for World {
    fn key(&self, scope: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok(match (scope, name) {
            (KeyScope::System, "host") => Some(Value::from("db.local")),
            (KeyScope::System, "sealed") => Some(Value::from("C0FFEE")),
            (KeyScope::User(user), "me") => Some(Value::String(user.clone())),
            _ => None,
        })
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        match ciphertext {
            "C0FFEE" => Ok("hunter2".to_owned()),
            _ => Err(HostError {
                class: "ValueError",
                message: "this is not encrypted".to_owned(),
            }),
        }
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        0
    }
}

fn dict(text: &str) -> Dict {
    json::read(text).unwrap().as_dict().unwrap().clone()
}

/// Live, then final parameters, as text.
#[track_caller]
fn check(definition: &str, given: &str, expect: Expect) {
    let (parameters, _) =
        ActionParameters::new(&Value::empty_dict(), &json::read(definition).unwrap());
    let expressions = Expressions::default();
    let context = Value::from(dict(r#"{"user": "joe", "pack": "p"}"#));
    let sources = Sources {
        action_context: &context,
        config: &|| Value::from(dict(r#"{"region": "eu"}"#)),
        additional: &dict(r#"{"trigger": {"n": 5}}"#),
        system_user: &Str::from("stanley"),
        expressions: &expressions,
        host: &World,
    };
    let live = parameters.live(&dict(given), &sources);
    let text = match live {
        Err(error) => format!("{error}"),
        Ok(live) => match parameters.finalize(&live, &sources) {
            Err(error) => format!("live {}\n{error}", Value::from(live).to_json()),
            Ok(last) => format!(
                "live {}\nfinal {}",
                Value::from(live).to_json(),
                Value::from(last.action).to_json()
            ),
        },
    };
    expect.assert_eq(&text);
}

#[test]
fn plain_values_need_no_templates() {
    check(
        r#"{"a": {"type": "integer"}, "b": {"default": "x"}, "c": {"type": "string"}}"#,
        r#"{"a": "5"}"#,
        expect![[r#"
            live {"a":5}
            final {"a":5,"b":"x","c":null}"#]],
    );
}

#[test]
fn templates_are_rendered_in_the_order_of_their_needs() {
    check(
        r#"{"a": {"type": "string", "default": "{{ b }}-{{ trigger.n }}"}, "b": {"default": "{{ c | upper }}"},
            "c": {"default": "x"}, "r": {"default": "{{ config_context.region }}/{{ action_context.user }}"}}"#,
        "{}",
        expect![[r#"
            live {"a":"X-5","b":"X","r":"eu/joe"}
            final {"a":"X-5","b":"X","r":"eu/joe","c":"x"}"#]],
    );
}

#[test]
fn what_was_given_counts_as_data_when_it_is_final() {
    check(
        r#"{"a": {"type": "string"}, "b": {"type": "string"}}"#,
        r#"{"a": "{{ b }}", "b": "{% raw %}{{ a }}{% endraw %}"}"#,
        expect![[r#"
            live {"a":"{{ a }}","b":"{{ a }}"}
            final {"a":"{{ a }}","b":"{{ a }}"}"#]],
    );
}

#[test]
fn cycles_name_their_members_only() {
    let definition = r#"{"a": {"default": "{{ b }}"}, "b": {"default": "{{ c }}"}, "c": {"default": "{{ a }}"},
        "into": {"default": "{{ a }}"}, "from": {"default": "1"}, "d": {"default": "{{ from }}{{ d }}"}}"#;
    check(
        definition,
        "{}",
        expect![
            "Cyclic dependency found in the following variables: a, b, c, d. Likely the variable is referencing itself"
        ],
    );
    check(
        definition,
        r#"{"a": 1, "d": 2}"#,
        expect![[r#"
        live {"a":1,"d":2,"b":"1","c":"1","into":"1"}
        final {"a":1,"d":2,"b":"1","c":"1","into":"1","from":"1"}"#]],
    );
}

#[test]
fn a_context_of_a_parameters_name_is_its_value() {
    check(
        r#"{"trigger": {"type": "object", "default": "{{ b }}"}, "b": {"default": "{{ trigger.n }}"}}"#,
        "{}",
        expect![[r#"
            live {"trigger":{"n":5},"b":"5"}
            final {"trigger":{"n":5},"b":"5"}"#]],
    );
}

#[test]
fn a_missing_name_is_told() {
    check(
        r#"{"a": {"type": "string"}}"#,
        r#"{"a": "{{ nobody | default('x') }}"}"#,
        expect![[r#"Dependency unsatisfied in variable "nobody""#]],
    );
}

#[test]
fn callers_cannot_set_what_is_immutable() {
    check(
        r#"{"a": {"type": "string", "immutable": true, "default": "fixed"},
            "b": {"type": "string", "immutable": true, "default": "{{ a }}!"}}"#,
        r#"{"a": "{{ 'sneaky' }}", "b": "{{ 'sneaky' }}"}"#,
        expect![[r#"
            live {"a":"fixed","b":"fixed!"}
            final {"a":"fixed","b":"fixed!"}"#]],
    );
}

#[test]
fn containers_keep_the_type_of_bare_names() {
    check(
        r#"{"a": {"type": "object"}, "l": {"type": "array", "default": [1, "x"]}}"#,
        r#"{"a": {"k": "{{l}}", "t": "{{ l }}", "n": ["{{l}}"]}}"#,
        expect![[r#"
            live {"a":{"k":[1,"x"],"t":"[1, 'x']","n":[[1,"x"]]}}
            final {"a":{"k":[1,"x"],"t":"[1, 'x']","n":[[1,"x"]]},"l":[1,"x"]}"#]],
    );
}

#[test]
fn casts_and_templates_fail_with_the_parameter() {
    check(
        r#"{"a": {"type": "integer"}}"#,
        r#"{"a": "{{ trigger.n }}x"}"#,
        expect!["invalid literal for int() with base 10: '5x'"],
    );
    check(
        r#"{"a": {"type": "integer"}}"#,
        r#"{"a": "{{ trigger.nope }}"}"#,
        expect![[r#"Failed to render parameter "a": 'dict object' has no attribute 'nope'"#]],
    );
}

#[test]
fn text_that_is_no_template_stays() {
    check(
        r#"{"a": {"type": "string"}, "b": {"type": "string"}}"#,
        r#"{"a": "{{ unclosed", "b": "awk '{print $1}' {{"}"#,
        expect![[r#"
            live {"a":"{{ unclosed","b":"awk '{print $1}' {{"}
            final {"a":"{{ unclosed","b":"awk '{print $1}' {{"}"#]],
    );
}

#[test]
fn configurations_are_resolved_and_their_secrets_decrypted() {
    let schema = r#"{"host": {"type": "string"}, "token": {"type": "string", "secret": true},
        "deep": {"type": "object", "properties": {"who": {"type": "string"}, "port": {"default": 1}}},
        "none": {"type": "string"}}"#;
    let (config, _) = ConfigSchema::new(&json::read(schema).unwrap());
    let expressions = Expressions::default();
    let sources = ConfigSources {
        expressions: &expressions,
        host: &World,
        user: &Str::from("joe"),
    };
    let resolve = |values: &str| match config.resolve(&dict(values), &sources) {
        Ok(resolved) => resolved.to_json(),
        Err(error) => error.to_string(),
    };
    let values = r#"{"host": "{{ st2kv.system.host }}", "token": "{{ st2kv.system.sealed }}",
        "deep": {"who": "{{ st2kv.user.me }}"}, "none": "{{ st2kv.system.nope }}", "plain": "p"}"#;
    expect![[r#"{"host":"db.local","token":"hunter2","deep":{"who":"joe","port":1},"none":null,"plain":"p"}"#]].assert_eq(&resolve(values));
    expect!["configuration value `token` can't be rendered: it is secret, so what the template gives is decrypted, which failed: this is not encrypted; store the datastore item encrypted, and don't use `decrypt_kv` here"].assert_eq(&resolve(r#"{"token": "{{ st2kv.system.host }}"}"#));
    expect!["configuration value `deep.who` can't be rendered: 'nope' is undefined"]
        .assert_eq(&resolve(r#"{"deep": {"who": "{{ nope }}"}}"#));
}

#[test]
fn failures_quote_no_secrets() {
    check(
        r#"{"key": {"type": "string", "secret": true},
            "cmd": {"type": "string", "default": "{{ action_context[key] }}"}}"#,
        r#"{"key": "hush-hush"}"#,
        expect![[r#"Failed to render parameter "cmd": 'dict object' has no attribute '********'"#]],
    );
}
