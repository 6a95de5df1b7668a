//! Can every expression be read?

use squall_expr::Expressions;
use squall_value::Value;

use super::document::Document;
use super::path::Path;
use super::suggest::nearest;
use super::{Category, Finding, Report, TASK_SCHEMA};

pub(crate) fn inspect(document: &Document, expressions: &Expressions, report: &mut Report<'_>) {
    let mut check = |value: &Value, path: &Path, schema_path: &str| {
        for invalid in expressions.validate(value) {
            let mut finding = Finding::new(Category::Expressions, invalid.message, schema_path);
            finding.language = invalid.language;
            finding.expression = Some(invalid.expression);
            if finding.language.is_none() {
                finding = finding.with_suggestion("write the whole text in one language");
            }
            report.add(finding, path);
        }
        for (name, expression) in expressions.unknown_functions(value) {
            let names = expressions.function_names();
            let near = nearest(&name, names.iter().map(|name| &**name));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("there is no function `{name}`, in `{expression}`");
            report.warn(path, message, help.as_deref());
        }
    };
    let root = Path::root();
    check(&document.vars, &root.key("vars"), "properties.vars");
    check(&document.input, &root.key("input"), "properties.input");
    check(&document.output, &root.key("output"), "properties.output");
    check(
        &document.timeout,
        &root.key("timeout"),
        "properties.timeout",
    );
    let tasks = root.key("tasks");
    for (name, task) in &document.tasks {
        let path = tasks.key(name.clone());
        let mut property = |parent: &str, name: &str, value: &Value| {
            let (path, schema) = if parent.is_empty() {
                (path.key(name), format!("{TASK_SCHEMA}.properties.{name}"))
            } else {
                let schema = format!("{TASK_SCHEMA}.properties.{parent}.properties.{name}");
                (path.key(parent).key(name), schema)
            };
            check(value, &path, &schema);
        };
        property("", "delay", &task.delay);
        property("", "timeout", &task.timeout);
        property("", "join", &task.join);
        property("with", "items", &task.items);
        property("with", "concurrency", &task.concurrency);
        property("", "action", &task.action);
        property("", "input", &task.input);
        if let Some(retry) = &task.retry {
            property("retry", "when", &retry.when);
            property("retry", "count", &retry.count);
            property("retry", "delay", &retry.delay);
        }
        for (index, transition) in task.next.iter().enumerate() {
            let path = path.key("next").index(index);
            let parts = [
                ("when", &transition.when),
                ("publish", &transition.publish),
                ("do", &transition.action),
            ];
            for (name, value) in parts {
                let schema = format!("{TASK_SCHEMA}.properties.next.items.properties.{name}");
                check(value, &path.key(name), &schema);
            }
        }
    }
}
