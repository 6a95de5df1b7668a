//! Random expressions and templates from a seed; whatever comes out must end without a panic:
//! `cargo run --release -p squall-expr --example fuzz -- SECONDS SEED`
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // A program for people, with a clock.

use std::time::{Duration, Instant};

use squall_expr::{Context, Expressions, Limits, Undefined};
use squall_value::{Value, dict, list};
use squall_yaql::{Budget, Detached, Engine};

const TEMPLATE: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{# ",
    " #}",
    "a",
    "l",
    "d.x",
    "s",
    " | ",
    "upper",
    "map('abs')",
    "join(',')",
    "sort",
    "list",
    "regex_replace('(a|b)*', '\\1')",
    "regex_search('",
    "[a-z]+",
    "tojson",
    "format(1)",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "1",
    "-1",
    "1.5",
    "'x'",
    "'",
    "\"",
    " if ",
    " else ",
    "for x in l",
    "endfor",
    "if a",
    "endif",
    "set a = ",
    "macro m()",
    "endmacro",
    "m()",
    "-",
    "~",
    "**",
    "*",
    "//",
    ".",
    ",",
    " is ",
    " not ",
    " in ",
    "raw",
    "endraw",
    "\n",
    "é",
    "\\",
    "'%s'",
    ".append(l)",
    "loop.index",
    "=",
];

const EXPRESSION: &[&str] = &[
    "$",
    "$.l",
    "$.d",
    ".x",
    ".where($ > 1)",
    ".select($ * 2)",
    ".toList()",
    "sequence()",
    "range(5)",
    ".len()",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    " => ",
    " -> ",
    "let(x => 1)",
    "$x",
    "1",
    "-1",
    "2.5",
    "'a'",
    "\"b\"",
    "'",
    "`",
    " and ",
    " or ",
    " not ",
    " in ",
    " =~ ",
    "'(a|b)*'",
    " + ",
    " - ",
    " * ",
    " / ",
    " mod ",
    "?.",
    ".",
    ",",
    " > ",
    " = ",
    "null",
    "true",
    "foo",
    "str($)",
    ".orderBy($)",
    ".groupBy($)",
    "datetime('2020-01-01')",
    "timespan(days => 1)",
    ".format('%Y')",
    ".replace('a', 'b')",
    "dict(a => 1)",
    "switch($ = 1 => 2)",
    "é",
    "\n",
    ".limit(3)",
    ".aggregate($1 + $2)",
    ".join($, $1 = $2, [$1, $2])",
    "regex('",
    ".matches('a')",
    ".cycle()",
];

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or(0)
    }

    fn text(&mut self, pieces: &[&str]) -> String {
        let length = 1 + self.below(16);
        (0..length)
            .map(|_| pieces[self.below(pieces.len())])
            .collect()
    }
}

fn data() -> Value {
    dict! { "a" => 1, "l" => list![3, 1, 2], "s" => "a-b", "d" => dict! { "x" => list![1, 2] } }
}

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u64>().ok());
    let (seconds, seed) = (args.next().unwrap_or(10), args.next().unwrap_or(1));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let expressions = Expressions::new(Limits {
        steps: 20_000,
        bytes: 1 << 20,
        ..Limits::default()
    });
    let engine = Engine::default();
    let variables = data();
    let variables = variables.as_dict().expect("the data is a dictionary");
    let start = Instant::now();
    let (mut rounds, mut valid, mut slowest) = (0_u64, 0_u64, (Duration::ZERO, String::new()));
    while start.elapsed().as_secs() < seconds {
        let template = random.text(TEMPLATE);
        let expression = random.text(EXPRESSION);
        // The last line tells what brought it down.
        if std::env::var_os("FUZZ_VERBOSE").is_some() {
            println!("{template:?}\n{expression:?}");
        }
        let before = Instant::now();
        valid += u64::from(render(&expressions, &template, variables));
        valid += u64::from(evaluate(&engine, &expression));
        let took = before.elapsed();
        if took > slowest.0 {
            slowest = (took, format!("{template:?} {expression:?}"));
        }
        rounds += 1;
    }
    println!("{rounds} rounds of seed {seed}, {valid} texts had a value");
    println!("slowest: {:?} for {}", slowest.0, slowest.1);
}

fn render(expressions: &Expressions, template: &str, variables: &squall_value::Dict) -> bool {
    let _ = expressions.undeclared_variables(template);
    let _ = expressions.validate(&Value::from(template));
    let _ = expressions.references(&Value::from(template));
    let context = Context::new(variables);
    expressions
        .render(template, &context, Undefined::Strict)
        .is_ok()
}

fn evaluate(engine: &Engine, text: &str) -> bool {
    let parsed = match engine.parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let end = text.chars().count();
            assert!(
                error.position.is_none_or(|at| at <= end),
                "{text:?}: {error:?}"
            );
            return false;
        }
    };
    let context = squall_yaql::Context::new(engine.library());
    context
        .set("$", engine.input(data()))
        .expect("the data is shallow");
    let mut budget = Budget {
        steps: 20_000,
        memory: 4 << 20,
        ..Budget::new()
    };
    match parsed.evaluate(&context, &Detached, &mut budget) {
        Ok(value) => {
            let _ = value.to_python_str();
            value.to_data().is_ok()
        }
        Err(_) => false,
    }
}
