//! Templates and what becomes of them, as data: `tests/data/*.txt`.
//!
//! A line is `template => text` or `template !! Class`; blank lines and lines that begin with `##`
//! are passed over. `\n` in a line is a newline.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{WORLD, Workflow, World, evaluate, render, render_in, variables};
use squall_expr::{Error, Expressions, Limits};
use squall_value::{Value, json};

/// What a case wants: a text, or the class of an error with a part of its message.
fn check(file: &str, mut outcome: impl FnMut(&str) -> Result<String, Error>) {
    let mut wrong = Vec::new();
    for line in file.lines() {
        if line.is_empty() || line.starts_with("##") {
            continue;
        }
        let (source, wanted) = if let Some((source, class)) = line.rsplit_once(" !! ") {
            (source, Err(class))
        } else if let Some((source, text)) =
            line.split_once(" => ").filter(|_| !line.contains("%> => "))
        {
            (source, Ok(text))
        } else if let Some((source, text)) = line.rsplit_once("%> => ") {
            (&line[..source.len() + 2], Ok(text))
        } else {
            panic!("no `=>` or `!!` in {line}")
        };
        let result = outcome(&source.replace("\\n", "\n"));
        let is_right = match (&result, wanted) {
            (Ok(text), Ok(wanted)) => *text == wanted.replace("\\n", "\n"),
            (Err(error), Err(wanted)) => {
                let (class, part) = wanted.split_once(' ').unwrap_or((wanted, ""));
                error.class == class && error.message.contains(part)
            }
            _ => false,
        };
        if !is_right {
            let got: String = format!("{result:?}").chars().take(300).collect();
            wrong.push(format!("{line}\n    got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn small() -> Expressions {
    Expressions::new(Limits {
        steps: 200_000,
        bytes: 1 << 20,
        ..Limits::default()
    })
}

/// A statement as the workflow gives it: JSON for lists and dictionaries, and the value's text.
fn statement(expressions: &Expressions, source: &str) -> Result<String, Error> {
    let statement = match source.starts_with("{\"") {
        true => json::read(source).unwrap(),
        false => Value::from(source),
    };
    let value = evaluate(expressions, &statement)?;
    Ok(match value.as_str() {
        Some(text) => text.to_owned(),
        None => json::write(&value),
    })
}

#[test]
fn templates_become_the_texts_that_jinja_makes_of_them() {
    let expressions = Expressions::default();
    check(include_str!("data/templates.txt"), |template| {
        render(&expressions, template)
    });
    check(include_str!("data/jinja.txt"), |template| {
        render(&expressions, template)
    });
}

#[test]
fn workflow_statements_have_the_values_of_their_expressions() {
    let expressions = Expressions::default();
    check(include_str!("data/functions.txt"), |source| {
        statement(&expressions, source)
    });
}

#[test]
fn what_takes_too_much_ends_with_an_error() {
    let expressions = small();
    check(include_str!("data/limits.txt"), |template| {
        render(&expressions, template)
    });
    check(include_str!("data/workflow-limits.txt"), |source| {
        statement(&expressions, source)
    });
}

#[test]
fn the_host_can_end_an_evaluation() {
    let expressions = Expressions::default();
    let world = World {
        is_out_of_time: true,
    };
    let template = "{% for i in range(100000) %}{{ i }}{% endfor %}";
    let error = render_in(&expressions, template, &world).unwrap_err();
    assert_eq!(error.class, "LimitError");
    for text in ["<% range(100000).sum() %>", template] {
        let statement = expressions.compile(&Value::from(text));
        let in_time = Workflow(Arc::new(variables()), &WORLD);
        assert!(expressions.evaluate(&statement, &in_time).is_ok(), "{text}");
        let late = Workflow(Arc::new(variables()), &world);
        let error = expressions.evaluate(&statement, &late).unwrap_err();
        assert!(error.class.ends_with("EvaluationException"), "{error}");
    }
}

#[test]
fn hostile_templates_end_with_an_error() {
    let expressions = small();
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000));
    let filters = format!("{{{{ a{} }}}}", "|abs".repeat(5_000));
    let blocks = "{% if a %}".repeat(5_000);
    for template in [
        nested.as_str(),
        &filters,
        &blocks,
        "{{ 2 ** 100000000 }}",
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
