//! Inspection of action chains.
//!
//! StackStorm holds only the first node of a chain against its schema, and takes what it knows from
//! the others. Chains rely on that, so what is wrong with a later node is an error only where it
//! could never run, and else a warning.

use std::collections::HashSet;
use std::sync::LazyLock;

use squall_expr::{Expressions, Language};
use squall_value::{Dict, Str, Value, dict, list};
use squall_yaml::Options;

use super::contents;
use super::path::Path;
use super::suggest::nearest;
use super::{Category, Finding, Inspection, Report, Surroundings, schema};

/// The schema of a node's parts.
static NODE: LazyLock<Value> = LazyLock::new(|| {
    let text = || dict! { "type" => "string" };
    let object = || dict! { "type" => "object" };
    dict! {
        "type" => "object",
        "properties" => dict! {
            "name" => text(), "ref" => text(), "params" => object(), "parameters" => object(),
            "on-success" => text(), "on-failure" => text(), "publish" => object(),
            "notify" => object(),
        },
        "required" => list!["name", "ref"],
        "additionalProperties" => false,
    }
});

/// The schema of a chain, its nodes left out.
static CHAIN: LazyLock<Value> = LazyLock::new(|| {
    dict! {
        "type" => "object",
        "properties" => dict! {
            "chain" => dict! { "type" => "array" },
            "default" => dict! { "type" => "string" },
            "vars" => dict! { "type" => "object" },
        },
        "required" => list!["chain"],
        "additionalProperties" => false,
    }
});

const NODE_SCHEMA: &str = "properties.chain.items";

/// Finds all errors in the text of an action chain.
#[must_use]
pub fn inspect_chain(
    text: &str,
    expressions: &Expressions,
    surroundings: &Surroundings<'_>,
) -> Inspection {
    // Like StackStorm, which reads chains with the plain loader: of repeated keys the last one wins.
    let document = match squall_yaml::load(text, &Options::default()) {
        Ok(document) => document,
        Err(failure) => return Inspection::unreadable(&failure.diagnostics),
    };
    let mut report = Report {
        lines: text.split('\n').collect(),
        root: &document.root,
        inspection: Inspection {
            warnings: document.warnings.clone(),
            ..Inspection::default()
        },
        unset: HashSet::new(),
        is_cut: false,
    };
    let chain = without_nulls(&document.root.to_value());
    for violation in schema::check(&CHAIN, &chain) {
        super::add_violation(&mut report, violation);
    }
    let nodes = chain
        .get("chain")
        .and_then(Value::as_list)
        .unwrap_or_default();
    for (index, node) in nodes.iter().enumerate() {
        check_node(index, node, &mut report);
        check_templates(index, node, expressions, &mut report);
        if let Some(actions) = surroundings.actions {
            check_call(index, node, actions, &mut report);
        }
    }
    check_names(&chain, nodes, &mut report);
    report.finish()
}

/// StackStorm takes null for "not given" wherever there is a default.
fn without_nulls(chain: &Value) -> Value {
    let strip = |value: &Value| match value {
        Value::Dict(dict) => Value::from(
            dict.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect::<Dict>(),
        ),
        other => other.clone(),
    };
    let Value::Dict(dict) = strip(chain) else {
        return chain.clone();
    };
    let mut dict = (*dict).clone();
    if let Some(Value::List(nodes)) = dict.get("chain") {
        let nodes: Value = nodes.iter().map(strip).collect();
        dict.insert("chain", nodes);
    }
    Value::from(dict)
}

fn node_path(index: usize) -> Path {
    Path::root().key("chain").index(index)
}

fn check_node(index: usize, node: &Value, report: &mut Report<'_>) {
    let path = node_path(index);
    for violation in schema::check(&NODE, node) {
        let is_fatal =
            index == 0 || violation.schema_path == "required" || violation.schema_path == "type";
        let violation = violation.below(&path, NODE_SCHEMA);
        if is_fatal {
            super::add_violation(report, violation);
        } else {
            report.warn(&violation.path.clone(), violation.message, None);
        }
    }
    let has = |name: &str| node.get(name).is_some_and(Value::is_truthy);
    if has("params") && has("parameters") {
        let message =
            "Either \"params\" or \"parameters\" attribute needs to be provided, but not both";
        let finding = Finding::new(Category::Semantics, message, NODE_SCHEMA);
        report.add_at_key(finding, &path.key("params"));
    }
}

/// Are the Jinja templates of the node readable?
fn check_templates(index: usize, node: &Value, expressions: &Expressions, report: &mut Report<'_>) {
    for part in [
        "params",
        "parameters",
        "publish",
        "on-success",
        "on-failure",
        "ref",
    ] {
        let Some(value) = node.get(part) else {
            continue;
        };
        let mut texts = Vec::new();
        collect_texts(value, &mut texts);
        for text in texts {
            if !squall_expr::is_jinja_expression(&Value::String(text.clone())) {
                continue;
            }
            if let Err(error) = expressions.undeclared_variables(&text) {
                let schema = format!("{NODE_SCHEMA}.properties.{part}");
                let mut finding = Finding::new(Category::Expressions, error.message, schema);
                finding.language = Some(Language::Jinja);
                finding.expression = Some(text.to_string());
                report.add(finding, &node_path(index).key(part));
            }
        }
    }
}

fn collect_texts(value: &Value, texts: &mut Vec<Str>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::List(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Dict(dict) => dict.values().for_each(|item| collect_texts(item, texts)),
        _ => {}
    }
}

fn check_call(
    index: usize,
    node: &Value,
    actions: &dyn contents::Actions,
    report: &mut Report<'_>,
) {
    let Some(reference) = node.get("ref").and_then(Value::as_str) else {
        return;
    };
    let path = node_path(index);
    let input = ["parameters", "params"].iter().find_map(|part| {
        let value = node.get(part).filter(|value| value.is_truthy())?;
        Some((path.key(*part), value.clone()))
    });
    let (input_path, input) = input.unwrap_or_else(|| (path.clone(), Value::empty_dict()));
    contents::check_action(
        &contents::Call {
            reference,
            path: &path.key("ref"),
            schema: &format!("{NODE_SCHEMA}.properties.ref"),
            input: &input,
            input_path: &input_path,
            input_schema: &format!("{NODE_SCHEMA}.properties.parameters"),
        },
        actions,
        report,
    );
}

fn check_names(chain: &Value, nodes: &[Value], report: &mut Report<'_>) {
    let name_of = |node: &Value| node.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut first: HashSet<String> = HashSet::new();
    for (index, node) in nodes.iter().enumerate() {
        let Some(name) = name_of(node) else { continue };
        if !first.insert(name.clone()) {
            let message = format!(
                "a second node is called `{name}`; only the first one can be reached by its name"
            );
            let path = node_path(index).key("name");
            report.warn(&path, message, Some("rename one of the two"));
        }
    }
    let mut referenced: HashSet<String> = HashSet::new();
    let mut check =
        |target: &Value, place: String, path: &Path, schema: String, report: &mut Report<'_>| {
            let Some(target) = target.as_str().filter(|target| !target.is_empty()) else {
                return;
            };
            referenced.insert(target.to_owned());
            if contents::is_expression(target) || first.contains(target) {
                return;
            }
            let message =
                format!("Unable to find node with name \"{target}\" referenced in {place}.");
            let mut finding = Finding::new(Category::Semantics, message, schema);
            if let Some(near) = nearest(target, first.iter().map(String::as_str)) {
                finding = finding.with_suggestion(format!("did you mean `{near}`?"));
            }
            report.add(finding, path);
        };
    for (index, node) in nodes.iter().enumerate() {
        let name = name_of(node).unwrap_or_default();
        for part in ["on-success", "on-failure"] {
            if let Some(target) = node.get(part) {
                let place = format!("\"{part}\" in task \"{name}\"");
                let schema = format!("{NODE_SCHEMA}.properties.{part}");
                check(target, place, &node_path(index).key(part), schema, report);
            }
        }
    }
    let default = chain.get("default").cloned().unwrap_or_default();
    let path = Path::root().key("default");
    check(
        &default,
        "\"default\"".to_owned(),
        &path,
        "properties.default".to_owned(),
        report,
    );
    warn_unreachable(nodes, &default, &referenced, report);
    if chain
        .get("chain")
        .and_then(Value::as_list)
        .is_some_and(<[Value]>::is_empty)
    {
        let message = "Failed to find default node: the chain is empty";
        report.add(
            Finding::new(Category::Semantics, message, "properties.chain"),
            &Path::root().key("chain"),
        );
    }
}

/// Nodes that nothing leads to, beyond the one that is first.
fn warn_unreachable(
    nodes: &[Value],
    default: &Value,
    referenced: &HashSet<String>,
    report: &mut Report<'_>,
) {
    // A name that is computed may be any.
    if referenced.iter().any(|name| contents::is_expression(name)) {
        return;
    }
    let mut entry = default
        .as_str()
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    for (index, node) in nodes.iter().enumerate() {
        let Some(name) = node.get("name").and_then(Value::as_str) else {
            continue;
        };
        if referenced.contains(name) {
            continue;
        }
        if entry.get_or_insert_with(|| name.to_owned()) != name {
            let message = format!("the node `{name}` can't be reached: nothing leads to it");
            report.warn(
                &node_path(index).key("name"),
                message,
                Some("name it in `on-success` or `on-failure` of another node"),
            );
        }
    }
}
