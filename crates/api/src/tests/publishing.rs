//! Who publishes needs the right to run what is named; who asks does not.

use axum::http::StatusCode;
use squall_value::{Value, dict};

use super::world::{Wishes, World, text};

/// How an execution ended, and the texts of its errors.
async fn ended(world: &World, id: &str) -> (String, String) {
    loop {
        let shown = world.make("GET", &format!("/v1/executions/{id}"), "").await;
        let status = text(&shown, "status");
        if matches!(&*status, "succeeded" | "failed") {
            let errors = shown.get_path(&["result", "errors"]);
            return (status, errors.map(Value::to_json).unwrap_or_default());
        }
        tokio::task::yield_now().await;
    }
}

/// A request that publishes a workflow of one task.
fn workflow(name: &str, action: &str) -> String {
    let text = format!("version: 1.0\ninput: [action]\ntasks:\n  one:\n    action: {action}\n");
    let file = format!("workflows/{name}.yaml");
    dict! {
        "pack" => "p",
        "name" => name,
        "runner_type" => "orquesta",
        "entry_point" => file.as_str(),
        "parameters" => dict! { "action" => dict! { "type" => "string", "default" => "q.noop" } },
        "data_files" => vec![
            dict! { "file_path" => format!("actions/{file}"), "content" => text },
        ],
    }
    .to_json()
}

#[tokio::test]
async fn a_workflow_names_only_what_its_publisher_may_run() {
    let world = World::new(Wishes::default()).await;
    let (status, refused) = world
        .ask("editor", "POST", "/v1/actions", &workflow("bad", "q.noop"))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        text(&refused, "faultstring"),
        "User \"editor\" doesn't have required permission \"action_execute\" on resource \
         \"action:q:noop\""
    );
    let left = world.dir.path().join("packs/p/actions/workflows/bad.yaml");
    assert!(
        !left.exists(),
        "what was refused must not lie there for the next registration"
    );
    let (status, made) = world
        .ask("editor", "POST", "/v1/actions", &workflow("good", "p.noop"))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{}", made.to_json());
    assert!(!made.to_json().contains("published_by"));
    // A copy of what others published is published by who copies.
    let copy = r#"{"dest_pack":"p","dest_action":"copied"}"#;
    let (status, _) = world
        .ask("editor", "POST", "/v1/actions/p.flow/clone", copy)
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn files_of_others_are_not_written_along_the_way() {
    let world = World::new(Wishes::default()).await;
    for (path, status) in [
        ("actions/other.yaml", 403),
        ("rules/other.yaml", 403),
        ("pack.yaml", 403),
        ("actions/lib/mine.py", 403),
        ("actions/mine.py", 201),
    ] {
        let body = dict! {
            "pack" => "p", "name" => "sneak", "runner_type" => "noop", "entry_point" => "mine.py",
            "data_files" => vec![dict! { "file_path" => path, "content" => "x" }],
        };
        let (got, answer) = world
            .ask("coder", "POST", "/v1/actions", &body.to_json())
            .await;
        assert_eq!(got.as_u16(), status, "{path}: {}", answer.to_json());
    }
}

/// A coder's wish to publish an action that runs `entry_point`, with that file.
async fn publish_with(world: &World, entry_point: &str, path: &str) -> (StatusCode, Value) {
    let body = dict! {
        "pack" => "p", "name" => "sneak", "runner_type" => "python-script",
        "entry_point" => entry_point,
        "data_files" => vec![dict! { "file_path" => path, "content" => "sneaked" }],
    };
    world
        .ask("coder", "POST", "/v1/actions", &body.to_json())
        .await
}

#[tokio::test]
async fn a_file_is_no_other_for_being_written_in_another_way() {
    let world = World::new(Wishes::default()).await;
    let pack = world.dir.path().join("packs/p");
    std::fs::create_dir_all(pack.join("actions/lib")).unwrap();
    std::fs::write(pack.join("actions/helper.py"), "shared").unwrap();
    for (entry_point, path, status) in [
        // Roundabout, and another pack's.
        ("./noop.py", "actions/./noop.py", 400),
        ("/noop.py", "actions//noop.py", 400),
        ("./new.yaml", "actions/./new.yaml", 400),
        ("../../q/actions/noop.py", "actions/new.py", 400),
        // What all actions of the pack may import.
        ("lib/new.py", "actions/lib/new.py", 403),
        ("helper.py", "actions/helper.py", 403),
        ("new.py", "actions/new.py", 201),
    ] {
        let (got, answer) = publish_with(&world, entry_point, path).await;
        let told = answer.to_json();
        assert_eq!(got.as_u16(), status, "{entry_point} {path}: {told}");
    }
    let text = |file| std::fs::read_to_string(pack.join(file)).unwrap();
    assert_eq!(text("actions/noop.py"), "print('nothing')\n");
    assert_eq!(text("actions/helper.py"), "shared");
    // Nor in two steps: first named, then written.
    for entry_point in ["helper.py", "../../q/actions/noop.py", "/bin/true"] {
        let named = dict! {
            "name" => "sneak", "runner_type" => "python-script", "entry_point" => entry_point,
        };
        let named = named.to_json();
        let (got, answer) = world
            .ask("coder", "PUT", "/v1/actions/p.sneak", &named)
            .await;
        let told = answer.to_json();
        assert!(
            matches!(got.as_u16(), 400 | 403),
            "{entry_point}: {got} {told}"
        );
    }
}

#[tokio::test]
async fn a_copy_over_an_action_needs_the_right_to_change_it() {
    let world = World::new(Wishes::default()).await;
    let copy = r#"{"dest_pack":"p","dest_action":"noop","overwrite":true}"#;
    for (user, status) in [("maker", 403), ("coder", 201)] {
        let (got, answer) = world
            .ask(user, "POST", "/v1/actions/p.ask/clone", copy)
            .await;
        assert_eq!(got.as_u16(), status, "{user}: {}", answer.to_json());
    }
    // Nobody moves anything into the packs that are the server's.
    let moved = r#"{"pack":"core","name":"local","runner_type":"noop"}"#;
    let (status, _) = world.ask("admin", "PUT", "/v1/actions/p.noop", moved).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_rule_needs_the_right_to_run_its_action() {
    let world = World::new(Wishes::default()).await;
    let body = r#"{"pack":"p","name":"n","trigger":{"type":"p.event"},"action":{"ref":"q.noop"}}"#;
    let (status, answer) = world.ask("editor", "POST", "/v1/rules", body).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        text(&answer, "faultstring"),
        "User \"editor\" doesn't have required (action_execute) permission to use action q.noop"
    );
}

#[tokio::test]
async fn nested_steps_run_under_the_published_definition() {
    for (every_step, expect) in [(false, "succeeded"), (true, "failed")] {
        let world = World::new(Wishes {
            every_step,
            ..Wishes::default()
        })
        .await;
        // The workflow came from files, and names what the asker may not run.
        let (status, made) = world
            .ask("runner", "POST", "/v1/executions", r#"{"action":"p.flow"}"#)
            .await;
        assert_eq!(status, StatusCode::CREATED, "{}", made.to_json());
        let (status, errors) = ended(&world, &text(&made, "id")).await;
        assert_eq!(status, expect, "{errors}");
        assert_eq!(errors.contains("action:q:noop"), every_step, "{errors}");
        let (status, _) = world
            .ask("runner", "POST", "/v1/executions", r#"{"action":"q.noop"}"#)
            .await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn what_is_named_at_run_time_is_checked_against_the_publisher() {
    let world = World::new(Wishes::default()).await;
    let body = workflow("late", "<% ctx(action) %>");
    let (status, made) = world.ask("editor", "POST", "/v1/actions", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{}", made.to_json());
    for (asker, action, expect) in [
        ("editor", "q.noop", "failed"),
        ("runner", "q.noop", "failed"),
        ("admin", "q.noop", "failed"),
        ("runner", "p.noop", "succeeded"),
    ] {
        let body = format!(r#"{{"action":"p.late","parameters":{{"action":"{action}"}}}}"#);
        let (status, made) = world.ask(asker, "POST", "/v1/executions", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{}", made.to_json());
        let (status, errors) = ended(&world, &text(&made, "id")).await;
        assert_eq!(status, expect, "{asker} {action}: {errors}");
        assert_eq!(
            errors.contains("published by that user"),
            expect == "failed",
            "{errors}"
        );
    }
}

#[tokio::test]
async fn nobody_acts_for_somebody_else() {
    let world = World::new(Wishes::default()).await;
    for (method, path, body) in [
        (
            "POST",
            "/v1/executions",
            r#"{"action":"p.noop","user":"admin"}"#,
        ),
        ("POST", "/v1/apikeys", r#"{"user":"admin"}"#),
        ("GET", "/v1/keys?scope=user&user=admin", ""),
        (
            "PUT",
            "/v1/keys/x",
            r#"{"value":"v","scope":"user","user":"admin"}"#,
        ),
        (
            "PUT",
            "/v1/keys/x",
            r#"{"value":"v","scope":"user","encrypted":true}"#,
        ),
        ("GET", "/v1/keys?decrypt=true", ""),
        ("GET", "/v1/executions?limit=-1", ""),
    ] {
        let (status, answer) = world.ask("editor", method, path, body).await;
        assert_eq!(
            status,
            StatusCode::FORBIDDEN,
            "{method} {path}: {}",
            answer.to_json()
        );
    }
}
