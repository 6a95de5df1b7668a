//! `rule`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::{CriterionReport, Resource, RuleTest};
use squall_value::Value;

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::failure::FAILED;
use crate::input;
use crate::output::{Column, Format, Paint, Show, safe};

/// List, change and test rules.
#[derive(Debug, Subcommand)]
pub enum Rule {
    /// List rules
    #[command(after_help = "Example:\n  squall rule list --pack shop")]
    List {
        /// Only those of this pack
        #[arg(short, long)]
        pack: Option<String>,
        /// Only those that run this action
        #[arg(long, value_name = "ACTION")]
        action: Option<String>,
        /// Only those that wait for this trigger
        #[arg(long, value_name = "TRIGGER")]
        trigger: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a rule
    #[command(after_help = "Example:\n  squall rule get shop.on_order")]
    Get {
        /// Reference or id
        #[arg(value_name = "RULE")]
        rule: String,
    },
    /// Put a rule in force
    #[command(after_help = "Example:\n  squall rule create on_order.yaml")]
    Create {
        /// File of YAML or JSON, or `-` for standard input
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Put a rule in the place of one that exists
    #[command(after_help = "Example:\n  squall rule update shop.on_order on_order.yaml")]
    Update {
        /// Reference or id
        #[arg(value_name = "RULE")]
        rule: String,
        /// File of YAML or JSON, or `-` for standard input
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Remove a rule
    #[command(after_help = "Example:\n  squall rule delete shop.on_order")]
    Delete {
        /// Reference or id
        #[arg(value_name = "RULE")]
        rule: String,
    },
    /// Put a rule in force that was not
    #[command(after_help = "Example:\n  squall rule enable shop.on_order")]
    Enable {
        /// Reference or id
        #[arg(value_name = "RULE")]
        rule: String,
    },
    /// Take a rule out of force, and keep it
    #[command(after_help = "Example:\n  squall rule disable shop.on_order")]
    Disable {
        /// Reference or id
        #[arg(value_name = "RULE")]
        rule: String,
    },
    /// Try an event against a rule: what each criterion compared, and why it failed
    ///
    /// Nothing is run. Exits with 0 if the rule matches, with 1 if it does not.
    #[command(after_help = "\
Examples:
  squall rule test shop.on_order --payload '{\"kind\": \"gift\", \"amount\": 120}'
  squall rule test shop.on_order --trigger-instance 65a14b2135b6ad228a105f2a")]
    Test {
        /// Reference or id
        #[arg(value_name = "RULE")]
        rule: String,
        /// The event's payload: JSON, a file of JSON or YAML, or `-` for standard input
        #[arg(
            short,
            long,
            value_name = "FILE|JSON",
            required_unless_present = "trigger_instance"
        )]
        payload: Option<String>,
        /// Take the payload of an event that came in
        #[arg(long, value_name = "ID", conflicts_with = "payload")]
        trigger_instance: Option<String>,
    },
}

const COLUMNS: [Column; 5] = [
    Column::new("ref", "ref", Show::Plain),
    Column::new("enabled", "enabled", Show::Enabled),
    Column::new("trigger", "trigger.type", Show::Plain),
    Column::new("action", "action.ref", Show::Plain),
    Column::new("description", "description", Show::Plain),
];

const FIRST: [&str; 7] = [
    "ref",
    "description",
    "enabled",
    "id",
    "trigger",
    "criteria",
    "action",
];

impl Rule {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        match self {
            Rule::List {
                pack,
                action,
                trigger,
                list,
            } => {
                let query = list.query().maybe("pack", pack);
                let mut page = client.list(Resource::Rules, &query).await?;
                // Not every server narrows by these.
                let before = page.items.len();
                page.items.retain(|rule| {
                    is(rule, &["action", "ref"], action.as_deref())
                        && (is(rule, &["trigger", "type"], trigger.as_deref())
                            || is(rule, &["trigger", "ref"], trigger.as_deref()))
                });
                if page.items.len() < before {
                    page.total = None;
                }
                list::print(invocation, &page, &list.columns(&COLUMNS), "rules")
            }
            Rule::Get { rule } => show::one(invocation, Resource::Rules, &rule, &FIRST).await,
            Rule::Create { file } => {
                let rule = input::data(&file)?;
                let made = client.create_rule(&rule).await?;
                told(invocation, &made, "is in force", "is created, not enabled")
            }
            Rule::Update { rule, file } => {
                let body = input::data(&file)?;
                let made = client.update_rule(&rule, &body).await?;
                told(invocation, &made, "is updated", "is updated, not enabled")
            }
            Rule::Delete { rule } => {
                client.delete_rule(&rule).await?;
                invocation.console.note(&format!("{rule} is deleted"));
                Ok(DONE)
            }
            Rule::Enable { rule } => show::switched(invocation, Resource::Rules, &rule, true).await,
            Rule::Disable { rule } => {
                show::switched(invocation, Resource::Rules, &rule, false).await
            }
            Rule::Test {
                rule,
                payload,
                trigger_instance,
            } => {
                let payload = match (payload, trigger_instance) {
                    (Some(payload), _) => input::inline_or_file(&payload)?,
                    (None, Some(id)) => {
                        let instance = client.one(Resource::TriggerInstances, &id).await?;
                        instance.get("payload").cloned().unwrap_or_default()
                    }
                    (None, None) => Value::empty_dict(),
                };
                let test = client.test_rule(&rule, &payload).await?;
                tested(invocation, &rule, &test)
            }
        }
    }
}

fn is(rule: &Value, path: &[&str], wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| rule.get_path(path).and_then(Value::as_str) == Some(wanted))
}

fn told(invocation: &mut Invocation, rule: &Value, on: &str, off: &str) -> Result<u8> {
    if invocation.console.format != Format::Text {
        return show::print(invocation, rule, &[]);
    }
    let reference = rule
        .get("ref")
        .and_then(Value::as_str)
        .unwrap_or("the rule");
    let enabled = rule.get("enabled") != Some(&Value::Bool(false));
    let text = format!("{reference} {}", if enabled { on } else { off });
    invocation.console.line(&text)?;
    Ok(DONE)
}

fn tested(invocation: &mut Invocation, rule: &str, test: &RuleTest) -> Result<u8> {
    let code = if test.is_match() { DONE } else { FAILED };
    let console = &mut invocation.console;
    if console.format != Format::Text {
        console.value(test.value())?;
        return Ok(code);
    }
    let text = explanation(rule, test, console.screen.color);
    console.write(&text)?;
    Ok(code)
}

/// What each criterion compared, and what follows.
fn explanation(rule: &str, test: &RuleTest, color: bool) -> String {
    let mut text = String::new();
    for report in test.criteria() {
        text.push_str(&criterion(&report, color));
    }
    if test.is_match() {
        let verdict = Paint::Good.apply("matches", color);
        text.push_str(&format!("{rule} {verdict}: it would run its action\n"));
    } else {
        let verdict = Paint::Bad.apply("does not match", color);
        // The server's first line knows what no criterion says, such as an empty payload.
        let first = test.explanation().lines().next().unwrap_or_default();
        let why = first.split_once(": ").map(|(_, why)| why);
        let why = why.map(|why| format!(": {}", safe(why, false)));
        text.push_str(&format!("{rule} {verdict}{}\n", why.unwrap_or_default()));
    }
    text
}

fn criterion(report: &CriterionReport, color: bool) -> String {
    let (mark, paint) = match &*report.outcome {
        "match" => ("yes ", Paint::Good),
        "no match" => ("no  ", Paint::Bad),
        _ => ("fail", Paint::Bad),
    };
    let mark = paint.apply(mark, color);
    let key = Paint::Strong.apply(&safe(&report.key, false), color);
    let operator = safe(&report.operator, false).into_owned();
    let (value, pattern) = (shown(&report.value), shown(&report.pattern));
    let mut text = format!("{mark} {key}  {operator}\n");
    text.push_str(&format!(
        "       found:   {value}\n       pattern: {pattern}\n"
    ));
    if let Some(reason) = &report.reason {
        text.push_str(&format!("       why:     {}\n", safe(reason, false)));
    }
    text
}

fn shown(value: &Value) -> String {
    const SHOWN_MAX: usize = 500;
    let text = match value {
        Value::Null => "nothing".to_owned(),
        value => value.to_json(),
    };
    let text = safe(&text, false).into_owned();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use squall_value::json;

    use super::*;

    #[test]
    fn a_test_tells_what_was_compared() {
        let test = json::read(
            r#"{"matches": false, "text": "the rule does not match\nok ...", "criteria": [
                {"key": "trigger.kind", "operator": "equals", "value": "gift",
                 "pattern": "gift", "outcome": "match", "reason": null},
                {"key": "trigger.level", "operator": "greaterthan", "value": 2,
                 "pattern": 3, "outcome": "no match", "reason": null},
                {"key": "trigger.name", "operator": "matchregex", "value": null,
                 "pattern": "(", "outcome": "failed", "reason": "unclosed group"}]}"#,
        );
        let test = RuleTest::new(test.unwrap());
        expect![[r#"
            yes  trigger.kind  equals
                   found:   "gift"
                   pattern: "gift"
            no   trigger.level  greaterthan
                   found:   2
                   pattern: 3
            fail trigger.name  matchregex
                   found:   nothing
                   pattern: "("
                   why:     unclosed group
            shop.on_order does not match
        "#]]
        .assert_eq(&explanation("shop.on_order", &test, false));
    }
}
