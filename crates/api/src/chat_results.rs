//! `/aliasexecution/{id}/result`: what chat is told of an execution that has ended.
//!
//! StackStorm renders this in a Python action (`chatops.format_execution_result`). Here the server
//! does, with the languages that it has at hand; the action of that name asks it.

use axum::extract::{Path, State as Extract};
use squall_expr::{Context, Expressions, Undefined};
use squall_model::{Document, DocumentKind};
use squall_value::{Dict, Value};

use crate::caller::Caller;
use crate::definitions::document;
use crate::endpoint::{Endpoint, Shape, get};
use crate::error::{Error, Result};
use crate::params::{Members, Secrets};
use crate::reply::Json;
use crate::{State, executions, view};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/aliasexecution/{id}/result", result)
            .summary("Tells what chat is told of an execution, by the `result` of its alias.")
            .object("execution_view")
            .gives(Shape::One("ChatResult")),
    ]
}

/// What is told where the alias does not say.
const DEFAULT: &str = include_str!("chat_result.j2");

async fn result(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let execution = executions::find(&api, &caller, &id).await?;
    let shown = view::execution(&api, &execution, &Members::All, Secrets::Masked).await?;
    let alias = execution
        .request
        .context
        .get_path(&["action_alias_ref", "id"])
        .and_then(Value::as_str);
    let alias = match alias {
        // An alias that is gone since leaves its executions without one.
        Some(id) => document(&api, DocumentKind::Alias, id).await.ok(),
        None => None,
    };
    said(api.engine.expressions(), shown, alias.as_deref()).map(Json)
}

fn said(expressions: &Expressions, execution: Value, alias: Option<&Document>) -> Result<Value> {
    let wanted = alias.and_then(|alias| alias.body.get("result")?.as_dict());
    let member = |name: &str| wanted.and_then(|wanted| wanted.get(name));
    let enabled = member("enabled").is_none_or(Value::is_truthy);
    let mut result = Dict::new();
    result.insert("enabled", enabled);
    let mut variables = Dict::new();
    variables.insert("execution", execution);
    if let Some(alias) = alias {
        variables.insert("alias", squall_wire::definition(alias));
    }
    let context = Context::new(&variables);
    let bad = |error: squall_expr::Error| Error::bad(error.to_string());
    let format = member("format").filter(|_| enabled).and_then(Value::as_str);
    if let Some(Value::Dict(extra)) = member("extra").filter(|_| enabled) {
        let extra = expressions.render_values(extra, &context).map_err(bad)?;
        result.insert("extra", extra);
    }
    let message = expressions.render(format.unwrap_or(DEFAULT), &context, Undefined::Lenient);
    result.insert("message", message.map_err(bad)?);
    Ok(Value::from(result))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use squall_model::{RawId, Timestamp};
    use squall_value::{Str, json};

    use super::*;

    fn execution(runner: &str, result: &str) -> Value {
        json::read(&format!(
            r#"{{"id": "65a1", "status": "succeeded", "action": {{"ref": "p.a"}},
                "runner": {{"name": "{runner}"}}, "web_url": "http://h/65a1",
                "elapsed_seconds": 62.5, "result": {result}}}"#
        ))
        .expect("JSON")
    }

    #[track_caller]
    fn check(runner: &str, result: &str, expect: &Expect) {
        let said = said(&Expressions::default(), execution(runner, result), None);
        let said = said.expect("it can be said");
        let message = said.get("message").and_then(Value::as_str);
        let (_, result) = message
            .and_then(|text| text.split_once("result :"))
            .expect("a result");
        expect.assert_eq(result);
    }

    #[test]
    fn without_an_alias_all_is_told() {
        let text = r#"{"stdout": "one\ntwo\n", "stderr": "", "return_code": 0, "succeeded": true}"#;
        check(
            "local-shell-cmd",
            text,
            &expect![[r#"

            --------
            stdout :
              one
            two
        "#]],
        );
        let hosts =
            format!(r#"{{"a": {text}, "b": {{"error": "unreachable", "return_code": 255}}}}"#);
        check(
            "remote-shell-cmd",
            &hosts,
            &expect![[r#"

            --------
            a :
              stdout :
                one
            two
            b :
              return_code : 255
              error : unreachable
        "#]],
        );
        let other = r#"{"status_code": 200, "headers": {"Server": "x"}, "body": [1, null]}"#;
        check(
            "http-request",
            other,
            &expect![[r#"

            --------
            status_code : 200
            headers :
              Server : x
            body : [1, None]
        "#]],
        );
    }

    #[test]
    fn an_alias_says_what_is_told() {
        let told = |result: &str| {
            let body = json::read(&format!(r#"{{"name": "x", "result": {result}}}"#));
            let alias = Document {
                kind: DocumentKind::Alias,
                key: Str::from("p.x"),
                id: RawId::from_raw(1),
                pack: Some(Str::from("p")),
                body: body.expect("JSON"),
                revision: 1,
                changed: Timestamp::MAX,
                expires: None,
            };
            let execution = execution("noop", r#"{"n": 7}"#);
            match said(&Expressions::default(), execution, Some(&alias)) {
                Ok(said) => said.to_json(),
                Err(error) => format!("{error:?}"),
            }
        };
        let format = r#"{"format": "{{ alias.name }} {~} {{ execution.result.n }}{{ nothing }}",
                         "extra": {"slack": {"color": "{{ execution.status }}"}}}"#;
        let expect =
            r#"{"enabled":true,"extra":{"slack":{"color":"succeeded"}},"message":"x {~} 7"}"#;
        assert_eq!(told(format), expect);
        assert!(
            told(r#"{"enabled": false, "format": "{{ 1 / 0 }}"}"#).contains(r#""enabled":false"#)
        );
        let error =
            told(r#"{"format": "{% for a in execution.result.iteritems() %}{% endfor %}"}"#);
        assert!(error.contains("iteritems"), "{error}");
    }
}
