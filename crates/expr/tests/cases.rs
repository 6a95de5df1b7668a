//! Templates and what becomes of them, as data: `tests/data/*.txt`.
//!
//! A line is `template => text` or `template !! Class`; blank lines and lines that begin with `##`
//! are passed over. `\n` in a line is a newline.
#![allow(clippy::unwrap_used)]

use squall_expr::{Context, Expressions, Host, HostError, KeyScope, Limits, Undefined};
use squall_value::{Str, Value, json};

struct World;

impl Host for World {
    fn key(&self, scope: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok((*scope == KeyScope::System && name == "a.b").then(|| Value::from("stored")))
    }
    fn decrypt(&self, _: &str) -> Result<String, HostError> {
        Ok("clear".into())
    }
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
    fn random(&self) -> u64 {
        1
    }
}

fn render(expressions: &Expressions, template: &str) -> Result<String, squall_expr::Error> {
    let context = json::read(
        r#"{"a": 1, "f": 2.5, "s": "Hello World", "l": [3, 1, 2], "n": null, "u": "žluť",
            "d": {"x": 1, "y": {"z": [10, 20]}, "items": "shadow"},
            "vms": [{"name": "a", "cpu": 2, "up": true}, {"name": "b", "cpu": 1, "up": false}]}"#,
    )
    .unwrap();
    let user = Str::from("stanley");
    let context = Context::new(context.as_dict().unwrap()).with_datastore(&World, Some(&user));
    expressions.render(template, &context, Undefined::Strict)
}

#[test]
fn templates_become_the_texts_that_jinja_makes_of_them() {
    let expressions = Expressions::default();
    let mut wrong = Vec::new();
    for line in include_str!("data/templates.txt").lines() {
        if line.is_empty() || line.starts_with("##") {
            continue;
        }
        let line = line.replace("\\n", "\n");
        let (is_right, result) = match (line.split_once(" => "), line.split_once(" !! ")) {
            (Some((template, wanted)), _) => {
                let result = render(&expressions, template);
                (result.as_deref() == Ok(wanted), result)
            }
            (None, Some((template, class))) => {
                let result = render(&expressions, template);
                (
                    result.as_ref().is_err_and(|error| error.class == class),
                    result,
                )
            }
            (None, None) => panic!("no `=>` or `!!` in {line}"),
        };
        if !is_right {
            wrong.push(format!("{line}\n    got {result:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hostile_templates_end_with_an_error() {
    let expressions = Expressions::new(Limits {
        steps: 200_000,
        bytes: 1 << 20,
        ..Limits::default()
    });
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000));
    let filters = format!("{{{{ a{} }}}}", "|abs".repeat(5_000));
    let blocks = "{% if a %}".repeat(5_000);
    for template in [
        nested.as_str(),
        &filters,
        &blocks,
        "{{ 'x' * 100000000000 }}",
        "{{ [1] * 100000000000 }}",
        "{{ 2 ** 100000000 }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ s.ljust(9999999999) }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set _ = l.append(l) %}{{ l == [3, 1, 2, l] }}{{ l | tojson }}",
        "{{ s | regex_match('(a*)*$b') and ('a' * 40) | regex_search('(a|a)*(?<=b)c') }}{{ range(100001) }}",
    ] {
        let result = render(&expressions, template);
        let shown: String = template.chars().take(60).collect();
        assert!(result.is_err(), "{shown}: {result:?}");
    }
}

/// Values nested more deeply than the stack bears are made, and freed again.
#[test]
fn deeply_nested_values_are_freed() {
    let expressions = Expressions::default();
    for step in [
        "{% set ns.x = [ns.x] %}",
        "{% set ns.x = (ns.x,) %}",
        "{% set ns.x = {'k': ns.x} %}",
        "{% set ns.x = namespace(k=ns.x) %}",
        "{% set ns.x = cycler(ns.x) %}",
        "{% set ns.x = [ns.x] | map('default') %}",
        "{% set p = ns.x %}{% macro m() %}{{ p }}{% endmacro %}{% set ns.x = m %}",
    ] {
        let template = format!(
            "{{% set ns = namespace(x=0) %}}{{% for i in range(100000) %}}{step}{{% endfor %}}done"
        );
        assert_eq!(
            render(&expressions, &template).as_deref(),
            Ok("done"),
            "{step}"
        );
    }
    let cyclic = "{% set _ = l.append(l) %}{{ l }}";
    assert_eq!(
        render(&expressions, cyclic).as_deref(),
        Ok("[3, 1, 2, [...]]")
    );
}

/// Fragments put together by a generator with a fixed seed: whatever comes out, it ends.
#[test]
fn random_templates_end() {
    const PIECES: [&str; 32] = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        " a",
        " l",
        " d.x",
        "|",
        "upper",
        "map('abs')",
        "(",
        ")",
        "[",
        "]",
        "1",
        "'",
        " if ",
        " else ",
        " for x in l ",
        "endfor",
        "endif",
        "-",
        "~",
        "**",
        ".",
        ",",
        " is ",
        " not ",
        "raw",
        "\n",
    ];
    let expressions = Expressions::new(Limits {
        steps: 20_000,
        bytes: 1 << 20,
        ..Limits::default()
    });
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..5_000 {
        let mut template = String::new();
        for _ in 0..12 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            template.push_str(PIECES[usize::try_from(state % 32).unwrap()]);
        }
        let _ = render(&expressions, &template);
        let _ = expressions.undeclared_variables(&template);
        let _ = expressions.validate(&Value::from(template));
    }
}
