//! Cases whose rules live in other crates: YAQL on its own, parameters and casts, criteria.

use squall_expr::Error;
use squall_rules::{CompiledRule, Operator, Surroundings};
use squall_schema::{Final, Parameters, Sources, Type, cast, render};
use squall_value::{Dict, Str, Value as Data, dict};
use squall_yaql::{Budget, Context, Engine, Options};

use crate::data::{canonical, decode, encode, needs_decoding, plain, snake, text};
use crate::world::{Workflow, World};
use crate::{Outcome, Replay};

fn options(profile: &Data, overrides: Option<&Data>) -> Options {
    let mut options = Options {
        delegates: profile.get("delegates").and_then(Data::as_bool) == Some(true),
        ..Options::default()
    };
    for source in [profile.get("options"), overrides].into_iter().flatten() {
        for (name, value) in source.as_dict().unwrap().iter() {
            let truth = value.as_bool().unwrap_or_default();
            let limit = value.as_int().and_then(|number| u64::try_from(number).ok());
            match &**name {
                "yaql.limitIterators" => options.limit_iterators = limit,
                "yaql.memoryQuota" => options.memory_quota = limit.filter(|limit| *limit > 0),
                "yaql.convertInputData" => options.convert_input_data = truth,
                "yaql.convertOutputData" => options.convert_output_data = truth,
                "yaql.convertTuplesToLists" => options.convert_tuples_to_lists = truth,
                "yaql.convertSetsToLists" => options.convert_sets_to_lists = truth,
                "yaql.iterableDicts" => options.iterable_dicts = truth,
                other => panic!("unknown option {other}"),
            }
        }
    }
    options
}

pub(crate) fn yaql(replay: &Replay, case: &Data, profile_name: &str) -> Outcome {
    let profile = replay
        .fixtures
        .get_path(&["engine_profiles", profile_name])
        .unwrap();
    let engine = Engine::new(options(profile, case.get("options")));
    let result = engine
        .parse(text(case, "expr"))
        .map_err(squall_yaql::Error::from)
        .and_then(|expression| evaluate_yaql(replay, case, profile_name, &engine, &expression));
    match result {
        Ok(value) => Outcome::Value(encode(&value)),
        Err(error) => Outcome::Error {
            class: error.class.to_string(),
            // A failure of the host's function; recordings have no kind of their own for those.
            kind: match error.kind {
                squall_yaql::ErrorKind::Host => "other".into(),
                kind => snake(&format!("{kind:?}")),
            },
            message: error.message,
        },
    }
}

/// A fixed time and a fixed chance: recorded cases hold for any.
struct Clock;

impl squall_yaql::Host for Clock {
    fn now_micros(&self) -> Option<i64> {
        Some(1_767_225_600_000_000)
    }

    fn random(&self) -> Option<u64> {
        Some(0x9e37_79b9_7f4a_7c15)
    }
}

fn evaluate_yaql(
    replay: &Replay,
    case: &Data,
    profile: &str,
    engine: &Engine,
    expression: &squall_yaql::Expression,
) -> Result<squall_yaql::Value, squall_yaql::Error> {
    let data = match case.get("data") {
        Some(Data::String(name)) if &**name == "@default" => {
            replay.fixtures.get_path(&["yaql", "default_data"]).cloned()
        }
        other => other.cloned(),
    };
    let data = data.unwrap_or_default();
    let input = if needs_decoding(&data) {
        decode(&data)
    } else {
        engine.input(data)
    };
    let mut variables = vec![("$", input)];
    if let Some(Data::Dict(vars)) = case.get("vars") {
        variables.extend(vars.iter().map(|(name, value)| (&**name, decode(value))));
    }
    if profile == "st2" {
        let workflow = Workflow {
            data: Data::empty_dict(),
            executions: Data::Null,
            world: World::new(&replay.fixtures, "orquesta"),
        };
        return replay
            .expressions
            .evaluate_yaql(expression, &variables, &workflow);
    }
    let context = Context::new(engine.library()).child()?;
    for (name, value) in variables {
        context.set(name, value)?;
    }
    expression.evaluate(&context, &Clock, &mut Budget::new())
}

fn split(result: Final) -> Data {
    dict! { "runner" => Data::from(result.runner), "action" => Data::from(result.action) }
}

pub(crate) fn params(replay: &Replay, case: &Data) -> Outcome {
    match evaluate_params(replay, case) {
        // Keys are texts here, so what is compared is the plain form of both.
        Ok(value) => {
            let wanted = case.get_path(&["expected", "value"]);
            match wanted {
                Some(wanted) if plain(wanted) == value => Outcome::Value(canonical(wanted)),
                _ => Outcome::Value(canonical(&value)),
            }
        }
        Err(error) => error.into(),
    }
}

fn evaluate_params(replay: &Replay, case: &Data) -> Result<Data, Error> {
    let op = text(case, "op");
    if op == "cast" {
        let kind = Type::parse(text(case, "type"))
            .ok_or_else(|| Error::new("TypeError", squall_expr::Kind::Type, "unknown type"))?;
        return cast::cast(kind, &plain(case.get("value").unwrap()));
    }
    let dict = |key: &str| {
        let value = case.get(key).map(plain).unwrap_or_default();
        value.as_dict().cloned().unwrap_or_default()
    };
    let world = World::new(&replay.fixtures, "params");
    let action_context = Data::from(dict("action_context"));
    let pack = text(&action_context, "pack");
    let config = replay.fixtures.get_path(&["params", "pack_config", pack]);
    let config = || config.cloned().unwrap_or_else(Data::empty_dict);
    let additional = dict("additional_contexts");
    let system_user = Str::from(text(replay.fixtures.get("params").unwrap(), "system_user"));
    let sources = Sources {
        action_context: &action_context,
        config: &config,
        additional: &additional,
        system_user: &system_user,
        expressions: &replay.expressions,
        host: &world,
    };
    let runner = Parameters::new(&Data::from(dict("runner_parameters")));
    let action = Parameters::new(&Data::from(dict("action_parameters")));
    let given: Dict = dict("params");
    Ok(match op {
        "render_live_params" => Data::from(render::live(&runner, &action, &given, &sources)?),
        "render_final_params" => split(render::finalize(&runner, &action, &given, &sources)?),
        _ => {
            let live = render::live(&runner, &action, &given, &sources)?;
            split(render::finalize(&runner, &action, &live, &sources)?)
        }
    })
}

pub(crate) fn rules(replay: &Replay, case: &Data) -> Outcome {
    let mut world = World::new(&replay.fixtures, "operators");
    if let Some(now) = case.get("now").and_then(Data::as_str) {
        world.now = now.parse().unwrap();
    }
    let result = match text(case, "op") {
        "lookup" => Operator::parse(text(case, "operator")).map(|_| true),
        "operator" => Operator::parse(text(case, "operator")).and_then(|operator| {
            let value = plain(case.get("value").unwrap());
            operator.apply(&value, &plain(case.get("pattern").unwrap()), world.now)
        }),
        _ => return rule_filter(replay, case, &world),
    };
    match result {
        Ok(truth) => Outcome::Value(truth.to_string()),
        Err(error) => error.into(),
    }
}

fn rule_filter(replay: &Replay, case: &Data, world: &World) -> Outcome {
    let surroundings = Surroundings {
        expressions: &replay.expressions,
        host: world,
    };
    let payload = match case.get("payload").unwrap() {
        Data::String(_) => replay
            .fixtures
            .get_path(&["operators", "default_payload"])
            .unwrap(),
        payload => payload,
    };
    let rule = CompiledRule::compile(case.get("criteria").unwrap());
    let outcome = rule.matches(payload, &surroundings);
    if let Some(failure) = outcome.unknown_operator() {
        return failure.error.clone().into();
    }
    let classes: Vec<&str> = outcome
        .failures
        .iter()
        .map(|failure| &*failure.error.class)
        .collect();
    let wanted = case
        .get("enforcement_failures")
        .and_then(Data::as_list)
        .unwrap_or_default();
    let wanted: Vec<&str> = wanted.iter().filter_map(Data::as_str).collect();
    if classes != wanted {
        return Outcome::Value(format!("{} with failures {classes:?}", outcome.is_match));
    }
    Outcome::Value(outcome.is_match.to_string())
}
