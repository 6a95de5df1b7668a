//! Random and hostile expressions: none may panic, hang, overflow the stack or outrun its budget.

use squall_value::{Value as Data, json};
use squall_yaql::{Budget, Context, Detached, Engine, Error, ErrorKind, Options, Value};

/// A small generator of numbers: the same seed gives the same run (PCG, 32 bits of output).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = ((self.0 >> 18) ^ self.0) >> 27;
        u32::try_from(mixed & 0xffff_ffff)
            .expect("32 bits")
            .rotate_right(u32::try_from(self.0 >> 59).expect("5 bits"))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const LEAVES: [&str; 30] = [
    "1",
    "0",
    "-3",
    "2.5",
    "'abc'",
    "''",
    "null",
    "true",
    "false",
    "$",
    "$1",
    "$2",
    "$x",
    "word",
    "[]",
    "[1, 2, 3]",
    "{a => 1}",
    "{}",
    "set(1, 2)",
    "99999999999999999999",
    "range(5)",
    "sequence()",
    "datetime(2024, 2, 29)",
    "timespan(hours => 1)",
    "regex('(a)b?')",
    "$.l",
    "$.d",
    "$.s",
    "'a,b c'",
    "1.repeat()",
];

const OPERATORS: [&str; 22] = [
    "+", "-", "*", "/", "mod", "=", "!=", "<", ">", "<=", ">=", "in", "and", "or", "=~", "!~", ".",
    "?.", "->", "+", ".", ".",
];

fn expression(random: &mut Random, names: &[squall_value::Str], depth: usize) -> String {
    if depth == 0 {
        return random.pick(&LEAVES).to_owned();
    }
    let inner = |random: &mut Random| expression(random, names, depth - 1);
    match random.below(10) {
        0 => random.pick(&LEAVES).to_owned(),
        1 | 2 => {
            let (left, right) = (inner(random), inner(random));
            format!("({left} {} {right})", random.pick(&OPERATORS))
        }
        3 => format!("[{}, {}]", inner(random), inner(random)),
        4 => format!("{{{} => {}}}", inner(random), inner(random)),
        5 => format!("{}[{}]", inner(random), inner(random)),
        _ => {
            let name = &names[random.below(names.len())];
            let args: Vec<String> = (0..random.below(4)).map(|_| inner(random)).collect();
            let args = args.join(", ");
            if random.below(3) == 0 {
                format!("{name}({args})")
            } else {
                format!("{}.{name}({args})", inner(random))
            }
        }
    }
}

fn run(engine: &Engine, text: &str, data: &Data, budget: &mut Budget) -> Result<Value, Error> {
    let expression = engine.parse(text)?;
    let context = Context::new(engine.library());
    context.set("$", Value::from(data.clone()))?;
    let value = expression.evaluate(&context, &Detached, budget)?;
    let _ = value.to_python_str();
    let _ = value.to_data();
    Ok(value)
}

fn small_budget() -> Budget {
    Budget {
        steps: 20_000,
        memory: 4 << 20,
        ..Budget::new()
    }
}

#[test]
fn random_expressions_end_within_their_budget() {
    let engine = Engine::new(Options {
        delegates: true,
        ..Options::default()
    });
    let names = engine.library().names();
    let data = json::read(r#"{"l": [3, 1, 2, null], "d": {"a": [1, {"b": 2}]}, "s": "a-b"}"#)
        .expect("JSON");
    let mut random = Random(20_240_229);
    let mut succeeded = 0;
    for _ in 0..6000 {
        let depth = 1 + random.below(5);
        let text = expression(&mut random, &names, depth);
        let mut budget = small_budget();
        succeeded += u32::from(run(&engine, &text, &data, &mut budget).is_ok());
        assert!(budget.steps <= 20_000 && budget.memory <= 4 << 20, "{text}");
    }
    // A generator whose expressions all fail early would test nothing.
    assert!(succeeded > 300, "only {succeeded} expressions succeeded");
}

#[test]
fn random_texts_parse_or_fail_with_a_position_inside() {
    const PIECES: [&str; 36] = [
        "$",
        "a",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "=>",
        "->",
        ".",
        "?.",
        "'",
        "\"",
        "`",
        "\\",
        "1",
        "2.5",
        " ",
        "\n",
        "and",
        "not",
        "f(",
        "__x",
        "=",
        "!=",
        "~",
        "é",
        "𝒳",
        "٣",
        "-",
        "+",
        "mod",
        "\\N{DIGIT ONE}",
        "\u{0}",
    ];
    let engine = Engine::default();
    let mut random = Random(7);
    for _ in 0..20_000 {
        let text: String = (0..random.below(12))
            .map(|_| random.pick(&PIECES))
            .collect();
        if let Err(error) = engine.parse(&text)
            && let Some(position) = error.position
        {
            assert!(position <= text.chars().count(), "{text:?}: {error}");
        }
    }
}

/// Each must fail with a limit (or, where that is as good, another error) and soon.
#[test]
fn hostile_expressions_meet_a_limit() {
    let engine = Engine::default();
    let nested = |open: &str, close: &str, count: usize| {
        format!("{}1{}", open.repeat(count), close.repeat(count))
    };
    let cases: Vec<String> = vec![
        "'a' * 1000000000000".into(),
        "[1] * 1000000000000".into(),
        "pow(10, 1000000000)".into(),
        "pow(pow(10, 4000), 4000)".into(),
        "shiftBitsLeft(1, 1000000000000)".into(),
        "range(1000000000000).len()".into(),
        "range(1000000000000).toList()".into(),
        "sequence().toList()".into(),
        "sequence().any($ < 0)".into(),
        "[1].cycle().toSet().len()".into(),
        "1.repeat().count()".into(),
        "range(0).repeat().selectMany($).first()".into(),
        "generate(1, true, $ * 2).last()".into(),
        "generate(1, true, [$, $]).last()".into(),
        "generate('x', true, $ + $).last()".into(),
        "generateMany(1, [$, $]).count()".into(),
        "generateMany(1, []).concat(sequence()).count()".into(),
        "def(f, f($)) -> f(1)".into(),
        "def(f, f($) + f($)) -> f(1)".into(),
        "def(f, [$].select(f($)).toList()) -> f(1)".into(),
        "range(100000).aggregate($1.select($), [1]).toList()".into(),
        "range(100000).aggregate([$1], 1)".into(),
        "range(100000).aggregate({a => $1}, 1)".into(),
        "range(100000).aggregate($1 -> let(x => $2), let())".into(),
        "range(100000).aggregate(let(x => $1), let())".into(),
        "str(range(40).aggregate([$1, $1], 1))".into(),
        "range(60).aggregate([$1, $1], 1)".into(),
        "range(60).aggregate($1 + $1, [1])".into(),
        "range(60).aggregate($1 + $1, 'x')".into(),
        "('a' * 40) =~ '^((a|a)*)*\\\\2(?=b)c'".into(),
        "('a' * 5000) =~ '(.*)*(.*)*\\\\1x'".into(),
        "regex('(((((a{1000}){1000}){1000}){1000}){1000})')".into(),
        "'a'.replace('', 'x' * 1000000).replace('x', 'y' * 1000000)".into(),
        "range(1000).select(range(1000).select(range(1000).sum()).sum()).sum()".into(),
        "range(1000000).select(str($)).join('x' * 1000)".into(),
        nested("(", ")", 100_000),
        nested("[", "]", 100_000),
        nested("f(", ")", 100_000),
        nested("- ", "", 100_000),
        nested("not ", "", 100_000),
        format!("1{}", " + 1".repeat(100_000)),
        format!("${}", ".a".repeat(100_000)),
        format!("${}", "[0]".repeat(100_000)),
        format!("{}1", "let() -> ".repeat(100_000)),
        format!("{}1", "1 or ".repeat(100_000)),
    ];
    for text in cases {
        let shown: String = text.chars().take(80).collect();
        let mut budget = Budget {
            steps: 300_000,
            memory: 64 << 20,
            ..Budget::new()
        };
        match run(&engine, &text, &Data::Null, &mut budget) {
            Ok(value) => panic!("{shown} gave a {}", value.type_name()),
            Err(error) => assert!(
                matches!(
                    error.kind,
                    ErrorKind::Limit | ErrorKind::Parse | ErrorKind::Regex | ErrorKind::Value
                ),
                "{shown}: {:?} {error}",
                error.kind
            ),
        }
    }
}

/// What is just within the limits must fit the stack of a test thread, in a debug build too.
#[test]
fn the_deepest_allowed_expressions_fit_the_stack() {
    let engine = Engine::default();
    for text in [
        format!("{}1{}", "(".repeat(140), ")".repeat(140)),
        format!("{}1{}", "[".repeat(70), "]".repeat(70)),
        format!("1{}", " + 1".repeat(140)),
        format!("{}1", "let() -> ".repeat(100)),
        "def(f, switch($ > 0 => f($ - 1) + 1, true => 0)) -> f(30)".to_owned(),
        "def(f, [$].select(f($ + 1)).toList()) -> f(1)".to_owned(),
        "range(140).aggregate($1.select($), [1]).toList()".to_owned(),
        "range(130).aggregate([$1], 1)".to_owned(),
        "range(250).aggregate({a => $1}, 1).len()".to_owned(),
        "set(range(250).aggregate([$1], 1)).len()".to_owned(),
    ] {
        let shown: String = text.chars().take(60).collect();
        if let Err(error) = run(&engine, &text, &Data::Null, &mut Budget::new()) {
            assert_eq!(error.kind, ErrorKind::Limit, "{shown}: {error}");
        }
    }
}

#[test]
fn a_host_can_stop_an_expression() {
    let engine = Engine::default();
    let mut budget = Budget::new();
    budget.interrupt = Some(std::sync::Arc::new(|| true));
    let error = run(&engine, "sequence().count()", &Data::Null, &mut budget).expect_err("stopped");
    assert_eq!(error.class, "InterruptedException");
    assert!(budget.steps > 9_000_000);
}

#[test]
fn expressions_and_libraries_are_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    shared::<squall_yaql::Expression>();
    shared::<squall_yaql::Library>();
    shared::<Error>();
    let expression = Engine::default().parse("$ + 1").expect("valid");
    let sum = std::thread::spawn(move || {
        let context = Context::new(squall_yaql::Library::standard());
        context.set("$", Value::Int(2)).expect("shallow");
        expression
            .evaluate_data(&context, &Detached, &mut Budget::new())
            .expect("a sum")
    });
    assert_eq!(sum.join().expect("no panic").as_int(), Some(3));
}
