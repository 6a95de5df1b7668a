//! What fuzzed texts are given to: the languages, YAML, parameters and criteria, with limits so low
//! that an input which is slow or large has found a way around them.
//!
//! Whatever comes out must come within the limits and without a panic; where a property can be
//! checked, such as that written YAML is read again the same, it is.

use std::sync::{Arc, LazyLock};

use squall_expr::{
    Context, CurrentTask, Error, Expressions, Host, HostError, KeyScope, Limits, Scope, Undefined,
};
use squall_rules::{CompiledRule, Operator, Surroundings};
use squall_schema::{ActionParameters, OutputSchema, Sources, TYPES, cast, check};
use squall_value::{Dict, Str, Value, dict, list};
use squall_yaql::{Budget, Detached, Engine, Options};

/// How many steps an input may take.
const STEPS: u64 = 20_000;
/// How many bytes it may make.
const BYTES: u64 = 1 << 20;

fn expressions() -> &'static Expressions {
    static EXPRESSIONS: LazyLock<Expressions> = LazyLock::new(|| {
        Expressions::new(Limits {
            steps: STEPS,
            bytes: BYTES,
            // No input comes twice.
            cached: 0,
            ..Limits::default()
        })
    });
    &EXPRESSIONS
}

/// A world with one item in its datastore.
struct World;

impl Host for World {
    fn key(&self, _: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok((name == "x").then(|| Value::from("a{{ l }}")))
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        Ok(ciphertext.into())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        7
    }
}

impl Scope for World {
    fn variable(&self, name: &str) -> Option<Value> {
        data().get(name).cloned()
    }

    fn variables(&self) -> Arc<Dict> {
        Arc::new(data().as_dict().cloned().unwrap_or_default())
    }

    fn current_task(&self) -> Option<CurrentTask> {
        Some(CurrentTask {
            id: "t".into(),
            route: 0,
            result: Some(data()),
        })
    }

    fn task_status(&self, _: &str, _: Option<usize>) -> Option<Str> {
        Some("succeeded".into())
    }

    fn task(&self, task: &str, _: Option<usize>) -> Result<Value, Error> {
        Err(Error::function(task))
    }

    fn item(&self) -> Option<Value> {
        Some(list!["<% ctx().s %>", 1])
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

fn data() -> Value {
    dict! {
        "a" => 1, "l" => list![3, 1, 2], "s" => "a-b", "d" => dict! { "x" => list![1, 2] },
        "again" => "<% ctx().again + ctx().again %>", "j" => "{{ ctx().j }}{{ ctx().j }}",
        "vms" => list![dict! { "name" => "n", "up" => true }, dict! { "up" => false }],
    }
}

/// A template outside workflows.
pub fn template(text: &str) {
    let expressions = expressions();
    let _ = expressions.undeclared_variables(text);
    let _ = expressions.validate(&Value::from(text));
    let _ = expressions.references(&Value::from(text));
    let variables = data();
    let context = Context::new(variables.as_dict().expect("the data is a dictionary"));
    let _ = expressions.render(text, &context, Undefined::Lenient);
    let _ = expressions.render(text, &context, Undefined::Strict);
}

/// A statement of a workflow: in the language of its marks, without marks in either.
pub fn statement(text: &str) {
    if text.contains("<%") || text.contains("{{") || text.contains("{%") {
        return evaluate(text);
    }
    evaluate(&format!("<% {text} %>"));
    evaluate(&format!("{{{{ {text} }}}}"));
}

fn evaluate(text: &str) {
    let expressions = expressions();
    let statement = Value::from(text);
    let _ = expressions.validate(&statement);
    let _ = expressions.references(&statement);
    let compiled = expressions.compile(&statement);
    let _ = expressions.evaluate(&compiled, &World);
}

/// A YAQL text for the lexer and the parser, under either grammar. An error tells a place in it.
pub fn yaql_parse(text: &str) {
    static DELEGATES: LazyLock<Engine> = LazyLock::new(|| {
        Engine::new(Options {
            delegates: true,
            ..Options::default()
        })
    });
    for engine in [&Engine::default(), &*DELEGATES] {
        match engine.parse(text) {
            Ok(parsed) => assert_eq!(parsed.text(), text),
            Err(error) => {
                let end = text.chars().count();
                let is_within = error.position.is_none_or(|at| at <= end);
                assert!(is_within, "{text:?}: {error:?}");
            }
        }
    }
}

/// A YAQL expression on its own. What it gives has a text and is data, or it says why not.
pub fn yaql(text: &str) {
    let engine = Engine::default();
    let Ok(parsed) = engine.parse(text) else {
        return;
    };
    let context = squall_yaql::Context::new(engine.library());
    context
        .set("$", engine.input(data()))
        .expect("the data is shallow");
    let mut budget = Budget {
        steps: STEPS,
        memory: 4 * BYTES,
        ..Budget::new()
    };
    if let Ok(value) = parsed.evaluate(&context, &Detached, &mut budget) {
        let _ = value.to_python_str();
        let _ = value.to_data();
    }
}

/// A YAML text. What was read is read again the same when it was written.
pub fn yaml(text: &str) {
    let options = squall_yaml::Options::default();
    let _ = squall_yaml::load_all(text, &options);
    let document = match squall_yaml::load(text, &options) {
        Ok(document) => document,
        Err(failure) => {
            let _ = failure.first().render("fuzz.yaml", text);
            return;
        }
    };
    for diagnostic in &document.warnings {
        let _ = diagnostic.render("fuzz.yaml", text);
    }
    let value = document.root.to_value();
    for style in [
        squall_yaml::EmitStyle::people(),
        squall_yaml::EmitStyle::pyyaml(),
    ] {
        let written = squall_yaml::emit(&value, &style);
        let again = squall_yaml::value(&written);
        assert!(
            again.as_ref().is_ok_and(|again| same(again, &value)),
            "{text:?} was written as {written:?}, read as {again:?}"
        );
    }
    let _ = squall_rules::RuleDefinition::parse(&value);
}

/// Equality in which not-a-number equals itself.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        (Value::Dict(a), Value::Dict(b)) => {
            let found = |key: &Str, a: &Value| b.get(key).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(|(key, value)| found(key, value))
        }
        _ => a == b,
    }
}

/// A definition of parameters, or a line of a table: definition, given values.
pub fn schema(text: &str) {
    let Ok(value) = squall_yaml::value(text) else {
        return;
    };
    let (definition, given) = match value.as_list() {
        Some([definition, given, ..]) => (definition.clone(), given.clone()),
        _ => (value, data()),
    };
    let _ = check::parameters(&definition);
    let _ = check::schema(&definition);
    let (output, _) = OutputSchema::new(&definition);
    let _ = output.validate(&given);
    let _ = output.mask_result(&given, "x");
    for kind in TYPES {
        let _ = cast::cast(kind, &given);
    }
    let (parameters, _) = ActionParameters::new(&definition, &definition);
    let _ = parameters.json_schema();
    let Some(given) = given.as_dict() else {
        return;
    };
    let context = dict! {"user" => "stanley", "pack" => "core"};
    let sources = Sources {
        action_context: &context,
        config: &|| Value::Null,
        additional: &Dict::new(),
        system_user: &Str::from("stanley"),
        expressions: expressions(),
        host: &World,
    };
    let Ok(live) = parameters.live(given, &sources) else {
        return;
    };
    let _ = parameters.mask().apply(&Value::from(live.clone()));
    let _ = parameters.check_immutable(given);
    let _ = parameters.finalize(&live, &sources);
    let _ = parameters.validate(&live);
}

/// The criteria of a rule, or a line of a table: operator, value, pattern.
pub fn criteria(text: &str) {
    let text = match text.starts_with('{') {
        true => text.to_owned(),
        false => format!("[{text}"),
    };
    let Ok(value) = squall_yaml::value(&text) else {
        return;
    };
    let surroundings = Surroundings {
        expressions: expressions(),
        host: &World,
    };
    let (criteria, payload) = match value.as_list() {
        Some([Value::String(operator), found, pattern, ..]) => {
            if let Ok(operator) = Operator::parse(operator) {
                let _ = operator.apply(found, pattern, jiff::Timestamp::UNIX_EPOCH);
            }
            let criterion = dict! {"type" => operator.clone(), "pattern" => pattern.clone()};
            (
                dict! {"trigger.a" => criterion},
                dict! {"a" => found.clone()},
            )
        }
        _ => (value, data()),
    };
    let rule = CompiledRule::compile(&criteria);
    let _ = rule.explain(&payload, &surroundings);
    let _ = rule.matches(&payload, &surroundings);
}
