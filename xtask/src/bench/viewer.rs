//! A user who may see about a tenth of all executions: those of some actions, and the own ones.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::fill;
use crate::http::Client;
use crate::server::{Person, Server};

/// The name. A twentieth of what fills the store is asked for on this user's behalf.
pub(crate) const VIEWER: &str = "bench-viewer";

const PERSON: Person = Person {
    name: VIEWER,
    credentials: "YmVuY2gtdmlld2VyOmJlbmNoLXZpZXdlcg==",
};

/// The actions whose executions the role shows: one of twenty that are asked for often, and the
/// workflows, which are few.
const ACTIONS: &[&str] = &["bench.noop_3", "bench.items", "bench.failing"];

/// What is counted as the viewer and as one who sees everything. `FROM` is a moment before which two
/// thirds of all lie.
const COUNTED: &[&str] = &[
    "",
    "parent=null",
    "status=succeeded",
    "status=failed&parent=null",
    "runner=noop",
    "timestamp_gt=FROM",
    "timestamp_lt=FROM&parent=null&status=succeeded",
];

/// Makes the user with the role, if that has not been done; returns a client with these rights.
///
/// # Errors
///
/// When the server refuses.
pub(crate) fn appoint(server: &Server) -> Result<Client> {
    let mut client = server.client();
    let rule = client.get("/v1/rules/bench.matching")?.json()?;
    let Some(trigger) = rule.pointer("/trigger/ref").and_then(Value::as_str) else {
        bail!("the rule of the benchmark has no trigger");
    };
    let files = json!({ "files": [
        { "path": "roles/viewer.yaml", "content": role(&trigger.replacen('.', ":", 1)) },
        {
            "path": "assignments/viewer.yaml",
            "content": format!("username: {VIEWER}\nroles: [viewer]\n"),
        },
    ]});
    let applied = client.post("/v1/rbac/apply", &[], &files)?;
    ensure!(
        applied.is_success(),
        "the role was refused: {}",
        applied.json()?
    );
    Ok(server.client_with(&server.sign_up(&PERSON)?))
}

/// The role, as StackStorm's files have it.
fn role(trigger: &str) -> String {
    let mut text = format!(
        "name: viewer\npermission_grants:\n- permission_types: [execution_list, rule_list, \
         trigger_list]\n- resource_uid: rule:bench:matching\n  permission_types: [rule_view]\n- \
         resource_uid: trigger:{trigger}\n  permission_types: [trigger_view]\n"
    );
    for action in ACTIONS {
        let uid = action.replacen('.', ":", 1);
        text += &format!("- resource_uid: action:{uid}\n  permission_types: [action_view]\n");
    }
    text
}

/// What the viewer is told to be there is what one who sees everything finds of it, and about a
/// tenth of all.
///
/// # Errors
///
/// When the server refuses, or a total is wrong.
pub(crate) fn check_share(all: &mut Client, viewer: &mut Client, from: &str) -> Result<()> {
    for filter in COUNTED {
        let filter = filter.replace("FROM", from);
        let mut expect = fill::total(all, &format!("user={VIEWER}&{filter}"))?;
        for action in ACTIONS {
            // The own ones of these actions have been counted.
            expect += fill::total(all, &format!("action={action}&{filter}"))?;
            expect -= fill::total(all, &format!("action={action}&user={VIEWER}&{filter}"))?;
        }
        let told = fill::total(viewer, &filter)?;
        ensure!(
            told == expect,
            "the viewer is told of {told} executions instead of {expect} with `{filter}`"
        );
    }
    let (whole, seen) = (fill::total(all, "")?, fill::total(viewer, "")?);
    ensure!(
        (whole / 20..whole / 5).contains(&seen),
        "the viewer sees {seen} executions of {whole}, which is not about a tenth"
    );
    Ok(())
}
