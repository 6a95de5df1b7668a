//! Action chains: what their templates see, and what their results say.

use squall_engine::Change;
use squall_model::{DocumentKind, Status};
use squall_value::{Value, dict, json};

use crate::world::World;
use crate::{answer, put_workflow, with_inquiries};

/// A server with a chain, in a pack whose configuration has a secret.
fn world(chain: &str) -> World {
    let world = World::new(&[("p.c", chain.to_owned())]);
    let put = |kind, body: &str| Change::Put {
        kind,
        key: "p".into(),
        pack: Some("p".into()),
        body: json::read(body).unwrap(),
        expires: None,
        new: true,
    };
    let changes = vec![
        put(
            DocumentKind::ConfigSchema,
            r#"{"pack":"p","attributes":{"place":{"type":"string"},"word":{"type":"string","secret":true}}}"#,
        ),
        put(
            DocumentKind::Config,
            r#"{"pack":"p","values":{"place":"here","word":"abracadabra"}}"#,
        ),
    ];
    world.steps.drive(world.engine.change(changes)).unwrap();
    world
}

/// The status and the result of a chain, its times and ids left out; the same with the server
/// restarted at any step.
fn run(chain: &str, parameters: &Value) -> (Status, Value) {
    let mut undisturbed = None;
    for disturbed_at in 0.. {
        let world = world(chain);
        let id = world.ask("p.c", parameters.clone());
        let has_steps = (0..disturbed_at).all(|_| world.steps.step());
        let world = match undisturbed {
            None => world,
            Some(_) => world.restarted(),
        };
        for _ in 0..5 {
            world.steps.settle();
            world.env.advance(std::time::Duration::from_secs(3));
        }
        let result = json::read(&world.result(id)).unwrap();
        let seen = (world.status(id), without_ids(&result));
        match &undisturbed {
            None => undisturbed = Some(seen),
            Some(undisturbed) => assert_eq!(seen, *undisturbed, "at step {disturbed_at}"),
        }
        if !has_steps {
            break;
        }
    }
    undisturbed.unwrap()
}

fn without_ids(result: &Value) -> Value {
    let mut result = result.as_dict().unwrap().clone();
    let tasks = result.get("tasks").unwrap().as_list().unwrap().iter();
    let tasks = tasks.map(|task| {
        let mut short = squall_value::Dict::new();
        for key in ["name", "state", "result"] {
            short.insert(key, task.get(key).cloned());
        }
        short.insert(
            "ran",
            task.get("execution_id").is_some_and(Value::is_truthy),
        );
        Value::from(short)
    });
    let tasks: Value = tasks.collect();
    result.insert("tasks", tasks);
    Value::from(result)
}

#[test]
fn a_chain_tells_of_each_task_and_of_what_was_published() {
    let chain = "
chain:
  - name: first
    ref: core.noop
    publish: {said: '{{ first.succeeded }} {{ place }}', said_again: 'no'}
    on-success: second
  - name: second
    ref: core.strict
    params: {n: 'x{{ said }}'}
    publish: {said_again: 'never'}
    on-success: never
    on-failure: fail
  - name: fail
    ref: core.noop
    publish: {said_again: '{{ __results.first.succeeded }} {{ second.error[:21] }}'}
  - {name: never, ref: core.noop}
vars: {place: '{{ config_context.place }} by {{ action_context.parent.user }}'}
";
    let (status, result) = run(chain, &Value::empty_dict());
    assert_eq!(status, Status::Succeeded, "{}", result.to_json());
    assert_eq!(
        result.get("published").unwrap().to_json(),
        r#"{"said":"True here by ann","said_again":"True Failed running task \""}"#
    );
    assert_eq!(result.get("error"), None);
    let tasks = result.get("tasks").unwrap().as_list().unwrap();
    let told = |task: &Value| {
        let text = |key| task.get(key).and_then(Value::as_str).unwrap().to_owned();
        (
            text("name"),
            text("state"),
            task.get("ran").unwrap().is_truthy(),
        )
    };
    let of = |name: &str, state: &str, ran| (name.to_owned(), state.to_owned(), ran);
    assert_eq!(
        tasks.iter().map(told).collect::<Vec<_>>(),
        [
            of("first", "succeeded", true),
            of("second", "failed", false),
            of("fail", "succeeded", true)
        ]
    );
}

#[test]
fn what_was_published_is_not_displayed_where_nobody_wants_it() {
    let chain = "
chain: [{name: a, ref: core.noop, publish: {x: '1'}}]
";
    let (_, result) = run(chain, &dict! { "display_published" => false });
    assert_eq!(result.get("published"), None);
    let (_, result) = run("chain: [{name: a, ref: core.noop}]", &Value::empty_dict());
    assert_eq!(result.get("published"), Some(&Value::empty_dict()));
}

#[test]
fn a_chain_that_fails_says_why() {
    for (chain, status, error) in [
        // A task that has failed speaks for itself.
        (
            "chain: [{name: a, ref: core.strict, params: {n: x}}]",
            Status::Failed,
            None,
        ),
        ("chain: [{name: a, ref: core.late}]", Status::Timeout, None),
        (
            "chain: [{name: a, ref: core.late, on-failure: b}, {name: b, ref: core.noop}]",
            Status::Succeeded,
            None,
        ),
        (
            "chain: [{name: a, ref: core.noop, params: {x: '{{ y.z }}'}}]",
            Status::Failed,
            Some(
                "Failed to run task \"a\". Parameter rendering failed. Failed rendering value for action parameter \"x\" in task \"a\" (template string={{ y.z }}): 'y' is undefined",
            ),
        ),
        (
            "chain: [{name: a, ref: core.noop, publish: {x: '{{ y.z }}'}}]",
            Status::Failed,
            Some(
                "Failed rendering value for publish parameter \"x\" in task \"a\" (template string={{ y.z }}): 'y' is undefined",
            ),
        ),
        (
            "chain: [{name: a, ref: core.noop}]\nvars: {v: '{{ y.z }}'}",
            Status::Failed,
            Some("Failed initializing ``vars`` in chain. \"v\": 'y' is undefined"),
        ),
    ] {
        let (ended, result) = run(chain, &Value::empty_dict());
        let told = result.get("error").and_then(Value::as_str);
        assert_eq!((ended, told), (status, error), "{chain}");
    }
}

#[test]
fn what_a_chain_learns_from_its_configuration_is_kept_secret() {
    let chain = "
chain: [{name: a, ref: core.noop, publish: {said: 'say {{ config_context.word }}'}}]
vars: {word: '{{ config_context.word }}'}
";
    let world = world(chain);
    let id = world.run("p.c");
    assert_eq!(world.status(id), Status::Succeeded, "{}", world.result(id));
    let pieces = world.steps.drive(world.store.pieces(id)).unwrap();
    let kept = pieces
        .iter()
        .any(|(_, piece)| piece.contains("abracadabra"));
    assert!(!kept, "{pieces:?}");
    let result = world.result(id);
    assert!(
        result.contains("say **") && !result.contains("abracadabra"),
        "{result}"
    );
}

const ASKING: &str = "
chain:
  - name: ask
    ref: core.ask
    on-success: tell
  - name: tell
    ref: core.ask
    params: {host: '{{ ask.result.response.continue }} {{ ask.response.continue }}'}
";

#[test]
fn a_chain_sees_what_it_has_waited_for_as_a_result_in_the_result() {
    for restarts in [false, true] {
        let mut world = with_inquiries();
        put_workflow(&world, "p.asking", "action-chain", ASKING);
        let id = world.run("p.asking");
        if restarts {
            world = world.restarted();
            world.steps.settle();
        }
        answer(&world, world.children(id)[0].id());
        let told = world.children(id).last().expect("the task").clone();
        let given = told
            .request
            .parameters
            .get("host")
            .expect("rendered")
            .to_json();
        assert_eq!(given, r#""True True""#, "restarted: {restarts}");
        answer(&world, told.id());
        let result = json::read(&world.result(id)).unwrap();
        let listed = result.get("tasks").and_then(Value::as_list).unwrap();
        let asked = listed[0].get("result").unwrap();
        assert!(asked.get("response").is_some(), "{}", asked.to_json());
        assert!(asked.get("result").is_none(), "{}", asked.to_json());
    }
}
