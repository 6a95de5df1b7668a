//! Replays recorded behaviour of the reference implementation, where it lies beside the repository.
//!
//! The directory is `../shared/conformance` from the repository's root; `SQUALL_CONFORMANCE` names
//! another. Without it the test says so and passes: the crate's own cases are in `tests/data`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use squall_value::{Value as Data, json};
use squall_yaql::{Budget, Context, Engine, Error, Host, Options, Value};

fn directory() -> PathBuf {
    match std::env::var_os("SQUALL_CONFORMANCE") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    }
}

fn read(path: &Path) -> Data {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    json::read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Functions of the `st2` profile that are not the language's: cases with them belong to the crate
/// that registers them.
const EXTRA: [&str; 42] = [
    "basename",
    "completed",
    "ctx",
    "dirname",
    "failed",
    "from_json_string",
    "from_yaml_string",
    "item",
    "json",
    "json_dump",
    "json_escape",
    "json_parse",
    "jsonpath_query",
    "regex_match",
    "regex_replace",
    "regex_search",
    "regex_substring",
    "result",
    "st2kv",
    "succeeded",
    "task",
    "task_status",
    "to_complex",
    "to_human_time_from_seconds",
    "to_json_string",
    "to_yaml_string",
    "use_none",
    "version_bump_major",
    "version_bump_minor",
    "version_bump_patch",
    "version_compare",
    "version_equal",
    "version_less_than",
    "version_match",
    "version_more_than",
    "version_strip_patch",
    "yaml_dump",
    "yaml_parse",
    "zip",
    "decrypt_kv",
    "__task",
    "__zip",
];

fn calls_extra_function(text: &str) -> bool {
    EXTRA.iter().any(|name| {
        text.match_indices(&format!("{name}(")).any(|(at, _)| {
            // A method of the same name is the language's own.
            !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
        })
    })
}

fn options(profile: &Data, overrides: Option<&Data>) -> Options {
    let mut options = Options {
        delegates: profile.get("delegates").and_then(Data::as_bool) == Some(true),
        ..Options::default()
    };
    for source in [profile.get("options"), overrides].into_iter().flatten() {
        for (name, value) in source.as_dict().expect("options are an object").iter() {
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

/// Recorded data with its special values.
fn decode(data: &Data) -> Value {
    match (data, data.get("$t").and_then(Data::as_str)) {
        (_, Some("float")) => Value::Float(
            data.get("v")
                .and_then(Data::as_str)
                .expect("text")
                .parse()
                .expect("float"),
        ),
        (_, Some("bigint")) => {
            let digits = data.get("v").and_then(Data::as_str).expect("digits");
            Value::from(Data::from(
                squall_value::BigInt::parse_bytes(digits.as_bytes(), 10).expect("digits"),
            ))
        }
        (_, Some("dict")) => {
            let mut map = squall_yaql::Map::default();
            for pair in data.get("v").and_then(Data::as_list).expect("pairs") {
                let pair = pair.as_list().expect("pair");
                map.insert(
                    squall_yaql::Key::new(decode(&pair[0])).expect("hashable"),
                    decode(&pair[1]),
                );
            }
            Value::dict(map).expect("shallow")
        }
        (_, Some(kind @ ("tuple" | "set" | "iter"))) => {
            let items = data.get("v").and_then(Data::as_list).expect("elements");
            let items: Vec<Value> = items.iter().map(decode).collect();
            match kind {
                "tuple" => Value::tuple(items).expect("shallow"),
                "set" => Value::Set(squall_yaql::Set::from_values(items).expect("hashable")),
                _ => Value::lazy(items.into_iter()).expect("shallow"),
            }
        }
        (_, Some("timespan")) => {
            let micros = data.get("us").and_then(Data::as_int).expect("micros");
            Value::TimeSpan(squall_yaql::TimeSpan::new(i128::from(micros)).expect("in range"))
        }
        (_, Some("datetime")) => {
            let text = data.get("v").and_then(Data::as_str).expect("text");
            Value::from(squall_yaql::DateTime::from_iso(text).expect("ISO 8601"))
        }
        (_, Some(other)) => panic!("data with a {other}"),
        (Data::List(items), None) if items.iter().any(needs_decoding) => {
            Value::tuple(items.iter().map(decode).collect()).expect("shallow")
        }
        (Data::Dict(dict), None) if dict.values().any(needs_decoding) => {
            let entries = dict
                .iter()
                .map(|(key, value)| (squall_yaql::Key::from_text(key.clone()), decode(value)));
            Value::dict(entries.collect()).expect("shallow")
        }
        _ => Value::from(data.clone()),
    }
}

fn needs_decoding(data: &Data) -> bool {
    match data {
        Data::List(items) => items.iter().any(needs_decoding),
        Data::Dict(dict) => dict.contains_key("$t") || dict.values().any(needs_decoding),
        _ => false,
    }
}

/// The recorded form of a result.
fn encode(value: &Value, out: &mut String) {
    let list = |out: &mut String, items: Vec<Value>| {
        out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            encode(item, out);
        }
        out.push(']');
    };
    match value {
        Value::Float(number) if number.is_nan() => out.push_str(r#"{"$t":"float","v":"nan"}"#),
        Value::Float(number) if number.is_infinite() => {
            let _ = write!(
                out,
                r#"{{"$t":"float","v":"{}inf"}}"#,
                if *number < 0.0 { "-" } else { "" }
            );
        }
        Value::BigInt(number) => {
            let _ = write!(out, r#"{{"$t":"bigint","v":"{number}"}}"#);
        }
        Value::Sequence(items) => list(out, items.iter().collect()),
        Value::Set(set) => {
            let mut members: Vec<String> = set.iter().map(encoded).collect();
            members.sort();
            let _ = write!(out, r#"{{"$t":"set","v":[{}]}}"#, members.join(","));
        }
        Value::Dict(dict) => encode_dict(dict, out),
        Value::DateTime(time) => {
            let _ = write!(out, r#"{{"$t":"datetime","v":"{}"}}"#, time.to_iso());
        }
        Value::TimeSpan(span) => {
            let _ = write!(out, r#"{{"$t":"timespan","us":{}}}"#, span.micros);
        }
        Value::Regex(regex) => {
            let flags = regex.flags();
            let letters: String = [
                (flags.ignore_case, 'i'),
                (flags.multi_line, 'm'),
                (flags.dot_all, 's'),
            ]
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, c)| *c)
            .collect();
            let _ = write!(
                out,
                r#"{{"$t":"regex","flags":"{letters}","pattern":{}}}"#,
                Data::from(regex.pattern()).to_json()
            );
        }
        Value::Context(_) => out.push_str(r#"{"$t":"context"}"#),
        Value::Function(_) => out.push_str(r#"{"$t":"function"}"#),
        Value::Iterator(_) | Value::Ordering(_) | Value::View(_) => {
            out.push_str(r#"{"$t":"iter"}"#)
        }
        scalar => out.push_str(&scalar.to_data().expect("scalar").to_json()),
    }
}

fn encode_dict(dict: &squall_yaql::Dict, out: &mut String) {
    let mut entries: Vec<(Value, Value)> = dict.iter().collect();
    if entries
        .iter()
        .all(|(key, _)| matches!(key, Value::String(_)))
    {
        entries.sort_by_key(|(key, _)| key.as_str().map(str::to_owned));
        out.push('{');
        for (index, (key, item)) in entries.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            encode(key, out);
            out.push(':');
            encode(item, out);
        }
        out.push('}');
    } else {
        let mut pairs: Vec<String> = entries
            .iter()
            .map(|(key, item)| format!("[{},{}]", encoded(key), encoded(item)))
            .collect();
        pairs.sort();
        let _ = write!(out, r#"{{"$t":"dict","v":[{}]}}"#, pairs.join(","));
    }
}

fn encoded(value: &Value) -> String {
    let mut out = String::new();
    encode(value, &mut out);
    out
}

/// The recorded expectation in the same canonical form.
fn canonical(data: &Data) -> String {
    let sorted = |items: &Data| {
        let mut items: Vec<String> = items
            .as_list()
            .expect("list")
            .iter()
            .map(canonical)
            .collect();
        items.sort();
        items.join(",")
    };
    match (data, data.get("$t").and_then(Data::as_str)) {
        (_, Some(kind @ ("set" | "dict"))) => {
            format!(
                r#"{{"$t":"{kind}","v":[{}]}}"#,
                sorted(data.get("v").expect("v"))
            )
        }
        (_, Some("tuple")) => canonical(data.get("v").expect("v")),
        (_, Some("iter")) => r#"{"$t":"iter"}"#.to_owned(),
        (Data::Dict(dict), _) => {
            let mut entries: Vec<String> = dict
                .iter()
                .map(|(key, value)| {
                    (
                        key,
                        format!("{}:{}", Data::from(&**key).to_json(), canonical(value)),
                    )
                })
                .collect::<BTreeMap<_, _>>()
                .into_values()
                .collect();
            if data.get("$t").is_some() {
                entries.sort();
                let kind = entries
                    .iter()
                    .position(|entry| entry.starts_with("\"$t\""))
                    .expect("$t");
                let kind = entries.remove(kind);
                entries.insert(0, kind);
            }
            format!("{{{}}}", entries.join(","))
        }
        (Data::List(items), _) => {
            format!(
                "[{}]",
                items.iter().map(canonical).collect::<Vec<_>>().join(",")
            )
        }
        (scalar, _) => scalar.to_json(),
    }
}

fn unordered(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars
}

/// A fixed time and a fixed chance: recorded cases hold for any.
struct Clock;

impl Host for Clock {
    fn now_micros(&self) -> Option<i64> {
        Some(1_767_225_600_000_000)
    }

    fn random(&self) -> Option<u64> {
        Some(0x9e37_79b9_7f4a_7c15)
    }
}

struct Case<'a> {
    case: &'a Data,
    fixtures: &'a Data,
}

impl Case<'_> {
    fn text(&self, field: &str) -> &str {
        self.case
            .get(field)
            .and_then(Data::as_str)
            .unwrap_or_default()
    }

    fn evaluate(&self, profile: &str) -> Result<Value, Error> {
        let profile = self
            .fixtures
            .get_path(&["engine_profiles", profile])
            .expect("known profile");
        let engine = Engine::new(options(profile, self.case.get("options")));
        let expression = engine.parse(self.text("expr"))?;
        let context = Context::new(engine.library())
            .child()
            .expect("a short chain");
        let data = match self.case.get("data") {
            Some(Data::String(name)) if **name == *"@default" => {
                self.fixtures.get_path(&["yaql", "default_data"]).cloned()
            }
            other => other.cloned(),
        };
        let data = data.unwrap_or_default();
        let input = if needs_decoding(&data) {
            decode(&data)
        } else {
            engine.input(data)
        };
        context.set("$", input).expect("shallow data");
        if let Some(Data::Dict(vars)) = self.case.get("vars") {
            for (name, value) in vars.iter() {
                context.set(name, decode(value)).expect("shallow data");
            }
        }
        expression.evaluate(&context, &Clock, &mut Budget::new())
    }

    /// `None` when the profile gives what was recorded.
    fn difference(&self, profile: &str) -> Option<String> {
        let expected = self.case.get("expected").expect("expected");
        let result = self.evaluate(profile);
        match (expected.get("error"), result) {
            (Some(error), Err(found)) => {
                let field = |name: &str| error.get(name).and_then(Data::as_str).unwrap_or_default();
                let kind = format!("{:?}", found.kind);
                let same = |a: &str, b: &str| a.replace('_', "").eq_ignore_ascii_case(b);
                let exact = ["parse", "unknown_function", "unknown_method", "no_match"]
                    .contains(&field("kind"));
                let same_message = !exact
                    || field("message").is_empty()
                    // Recorded messages end after 600 characters.
                    || found.message.chars().take(600).eq(field("message").chars())
                    || field("message").contains("0x..");
                let right =
                    same(field("kind"), &kind) && field("class") == found.class && same_message;
                (!right).then(|| {
                    format!(
                        "error {kind} {}: {} instead of {}",
                        found.class,
                        found.message,
                        error.to_json()
                    )
                })
            }
            (Some(error), Ok(value)) => Some(format!(
                "{} instead of error {}",
                encoded(&value),
                error.to_json()
            )),
            (None, Err(found)) => Some(format!(
                "error {:?} {}: {} instead of {}",
                found.kind,
                found.class,
                found.message,
                canonical(expected.get("value").expect("value"))
            )),
            (None, Ok(value)) => {
                let (found, wanted) = (
                    encoded(&value),
                    canonical(expected.get("value").expect("value")),
                );
                let same = found == wanted
                    || self.text("compare") == "unordered"
                        && unordered(&found) == unordered(&wanted);
                (!same).then(|| format!("{found} instead of {wanted}"))
            }
        }
    }
}

#[test]
fn recorded_behaviour_is_reproduced() {
    let root = directory().join("expressions");
    if !root.is_dir() {
        println!("skipped: no recorded cases at {}", root.display());
        return;
    }
    let fixtures = read(&root.join("fixtures.json"));
    let allowed = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("differences.json"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("yaql"))
        .expect("the directory of the cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let (mut passed, mut skipped, mut differing) = (0, 0, 0);
    let mut failures = Vec::new();
    for file in files {
        for case in read(&file).as_list().expect("a list of cases") {
            let case = Case {
                case,
                fixtures: &fixtures,
            };
            if case.text("op") != "yaql" || case.case.get("implementation_defined").is_some() {
                continue;
            }
            for profile in case
                .case
                .get("profiles")
                .and_then(Data::as_list)
                .expect("profiles")
            {
                let profile = profile.as_str().expect("a name");
                if profile == "st2" && calls_extra_function(case.text("expr")) {
                    skipped += 1;
                    continue;
                }
                match case.difference(profile) {
                    None => passed += 1,
                    Some(_) if allowed.get(case.text("id")).is_some() => differing += 1,
                    Some(difference) => failures.push(format!(
                        "{} [{profile}] {}\n    {difference}",
                        case.text("id"),
                        case.text("expr")
                    )),
                }
            }
        }
    }
    println!(
        "{passed} as recorded, {differing} different on purpose, {skipped} with functions of another crate"
    );
    assert!(
        failures.is_empty(),
        "{} failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}
