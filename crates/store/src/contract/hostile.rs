//! Data that nobody expects.

use std::sync::Arc;

use squall_model::{DocumentKind, EnforcementOutcome, Execution, ExecutionId, Origin, TaskOrigin};
use squall_value::{BigInt, Dict, Str, Value, dict, list};

use super::{World, at, emit, insert, payload, put, requested, text};
use crate::{Command, DocumentFilter, Page, Refusal};

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\0",
        "a\0b\0",
        "\0a",
        "\u{1}",
        "\u{1}0\u{1}1",
        "'",
        "''; DROP TABLE execution; --",
        "\"\\\"\\",
        "%_*?[x]",
        "{a,b}",
        "NULL",
        "\\N",
        "line\r\nline\ttab\u{b}\u{7f}",
        "äöü € 😀 \u{202e}rtl \u{feff}",
        "\u{fffd}\u{ffff}\u{10ffff}",
        "e\u{301} é",
        "0x00",
        "1e999",
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    texts.push("x".repeat(100_000));
    texts.push((0..60_000_u32).filter_map(char::from_u32).collect());
    texts
}

/// An execution in which the texts stand wherever they can.
fn execution_of(world: &World, hostile: &Str, name: &Str) -> Arc<Execution> {
    let mut request = world.request("core.local", 1);
    request.user = name.clone();
    request.trace_tag = Some(name.clone());
    request.runner = name.clone();
    request.definition = name.clone();
    request.tags = vec![hostile.clone(), name.clone()];
    request.origin = Origin::Task(TaskOrigin {
        task: name.clone(),
        route: 3,
        item: Some(4),
        turn: u64::from(u32::MAX),
    });
    request.parameters = dict! { "cmd" => hostile.clone(), &**name => 1 };
    request.context = list![hostile.clone()];
    request.notify = Value::from(hostile.clone());
    requested(request)
}

/// What else can be kept under a name.
fn named(
    world: &World,
    execution: ExecutionId,
    hostile: &Str,
    name: &Str,
    unique: &str,
) -> Vec<Command> {
    vec![
        Command::AppendPieces {
            execution,
            at: 0,
            pieces: vec![hostile.clone(), name.clone()],
        },
        Command::AppendOutput {
            execution,
            at: 0,
            chunks: super::chunks(&[hostile, name]),
        },
        Command::PutContent {
            hash: text(unique),
            text: hostile.clone(),
        },
        Command::Remember {
            key: text(unique),
            id: world.id(),
            expires: at(9),
        },
        Command::HoldLease {
            name: text(unique),
            holder: squall_model::Lease(1),
            until: at(9),
        },
    ]
}

/// What [`named`] and the lists give back.
async fn check_named(world: &World, id: ExecutionId, hostile: &Str, name: &Str, unique: &str) {
    let store = &world.store;
    let pieces = store.pieces(id).await.expect("readable");
    assert_eq!(pieces, vec![(0, hostile.clone()), (1, name.clone())]);
    let output = store.output(id, 0, 9).await.expect("readable");
    assert_eq!(output, *super::chunks(&[hostile, name]));
    let content = store.content(unique).await.expect("readable");
    assert_eq!(content, Some(hostile.clone()));
    let filter = crate::ExecutionFilter {
        user: Some(name.clone()),
        trace_tag: Some(name.clone()),
        task: Some(name.clone()),
        runner: Some(name.clone()),
        ..Default::default()
    };
    let listed = store
        .executions(&filter, Page::ALL)
        .await
        .expect("readable");
    assert!(listed.items.iter().any(|one| one.id() == id), "{name:?}");
    assert_eq!(listed.total, listed.items.len() as u64);
}

/// Every text comes back as it was, wherever it stands: as a key, a name, a value, an output.
pub async fn texts_survive(world: &World) {
    for (index, hostile) in texts().into_iter().enumerate() {
        let hostile = text(&hostile);
        // Index keys of a megabyte are nobody's need; half a kilobyte is.
        let name = text(&hostile.chars().take(100).collect::<String>());
        let execution = execution_of(world, &hostile, &name);
        let mut event = (*world.event("core.webhook", 1)).clone();
        event.payload = Value::from(hostile.clone());
        event.trace_tag = Some(name.clone());
        let event = Arc::new(event);
        let failed = EnforcementOutcome::Failed(hostile.clone());
        let enforcement = world.enforcement("acme.r", event.id, 1, failed);
        let mut document = world.document(DocumentKind::Key, &format!("{index}:{name}"), 1);
        document.pack = Some(name.clone());
        document.body = dict! { "value" => hostile.clone() };
        let result = payload(&Value::from(hostile.clone()).to_json());
        let mut commands = vec![
            Command::InsertExecution {
                execution: Arc::clone(&execution),
                result: Some(result.clone()),
            },
            emit(&event),
            Command::InsertEnforcement(Arc::clone(&enforcement)),
            put(&document),
        ];
        let unique = format!("{index}{name}");
        commands.extend(named(world, execution.id(), &hostile, &name, &unique));
        world.hold(1, commands).await;

        let store = &world.store;
        let id = execution.id();
        assert_eq!(
            store.execution(id).await.expect("readable"),
            Some(execution)
        );
        assert_eq!(store.result(id).await.expect("readable"), Some(result));
        assert_eq!(
            store.trigger_instance(event.id).await.expect("readable"),
            Some(event)
        );
        assert_eq!(
            store.enforcement(enforcement.id).await.expect("readable"),
            Some(enforcement)
        );
        let read = store
            .document(document.kind, &document.key, at(1))
            .await
            .expect("readable");
        assert_eq!(read.as_deref(), Some(&document));
        let filter = DocumentFilter {
            key_prefix: Some(document.key.clone()),
            pack: Some(name.clone()),
        };
        let listed = store
            .documents(document.kind, &filter, Page::ALL, at(1))
            .await
            .expect("readable");
        assert_eq!(listed.items, vec![Arc::new(document)]);
        check_named(world, id, &hostile, &name, &unique).await;
    }
}

/// Numbers of any size and shape come back as they were.
pub async fn values_survive(world: &World) {
    let huge = "123456789".repeat(50);
    let huge = BigInt::parse_bytes(huge.as_bytes(), 10).expect("digits");
    let mut many = Dict::new();
    for key in (0..500).rev() {
        many.insert(format!("k{key}"), key);
    }
    let values = vec![
        Value::Null,
        Value::from(i64::MIN),
        Value::from(u64::MAX),
        Value::from(huge),
        Value::from(0.1 + 0.2),
        Value::from(-0.0),
        Value::from(1e300),
        Value::from(5e-324),
        Value::from(f64::INFINITY),
        Value::from(f64::NEG_INFINITY),
        Value::from(1.0),
        Value::empty_dict(),
        Value::empty_list(),
        Value::from(many),
        list![
            true,
            false,
            list![list![]],
            dict! { "" => dict! { "\n" => "\0" } }
        ],
    ];
    for value in values {
        let mut request = world.request("core.local", 1);
        request.parameters = value.clone();
        request.context = value.clone();
        request.notify = value.clone();
        let execution = requested(request);
        let mut document = world.document(DocumentKind::Key, &format!("k{}", world.id::<()>()), 1);
        document.body = value.clone();
        world
            .hold(1, vec![insert(&execution), put(&document)])
            .await;
        let read = world
            .store
            .execution(execution.id())
            .await
            .expect("readable");
        let read = read.expect("there");
        assert_eq!(read, execution);
        // Equality of dictionaries does not see the order of keys; the text does.
        assert_eq!(read.request.parameters.to_json(), value.to_json());
        let read = world
            .store
            .document(document.kind, &document.key, at(1))
            .await;
        assert_eq!(read.expect("readable").as_deref(), Some(&document));
    }
    let mut request = world.request("core.local", 1);
    request.parameters = Value::from(f64::NAN);
    let execution = requested(request);
    world.hold(1, vec![insert(&execution)]).await;
    let read = world
        .store
        .execution(execution.id())
        .await
        .expect("readable")
        .expect("there");
    assert!(read.request.parameters.as_number().is_some_and(f64::is_nan));
}

/// There is no wall at some number of megabytes.
pub async fn large_things_survive(world: &World) {
    // Text that no compression makes small: the digits of a multiplicative sequence.
    let mut state = 1_u64;
    let mut noise = String::new();
    while noise.len() < 20_000_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        noise.push_str(&format!("{state:016x}"));
    }
    let mut request = world.request("core.local", 1);
    request.parameters = Value::from(noise.clone());
    let execution = requested(request);
    let result = payload(&format!("\"{noise}\""));
    let insert = Command::InsertExecution {
        execution: Arc::clone(&execution),
        result: Some(result.clone()),
    };
    world.hold(1, vec![insert]).await;
    let read = world
        .store
        .execution(execution.id())
        .await
        .expect("readable");
    assert!(
        read == Some(execution.clone()),
        "the execution is what it was"
    );
    let read = world.store.result(execution.id()).await.expect("readable");
    assert!(read == Some(result), "the result is what it was");
}

/// What could be written but not read again is refused; what is as deep as JSON may be is kept.
pub async fn deep_values_are_refused(world: &World) {
    let nested = |depth| (0..depth).fold(Value::Null, |value, _| list![value]);
    let mut request = world.request("core.local", 1);
    request.parameters = nested(squall_value::json::DEPTH_MAX);
    request.context = request.parameters.clone();
    request.notify = request.parameters.clone();
    let deep = requested(request.clone());
    let mut document = world.document(DocumentKind::Key, "deep", 1);
    document.body = request.parameters.clone();
    let mut event = (*world.event("core.webhook", 1)).clone();
    event.payload = request.parameters.clone();
    world
        .hold(
            1,
            vec![
                insert(&deep),
                put(&document),
                emit(&Arc::new(event.clone())),
            ],
        )
        .await;
    let read = world.store.execution(deep.id()).await.expect("readable");
    assert_eq!(read, Some(deep));
    let read = world.store.document(document.kind, "deep", at(1)).await;
    assert_eq!(read.expect("readable").as_deref(), Some(&document));
    let read = world
        .store
        .trigger_instance(event.id)
        .await
        .expect("readable");
    assert_eq!(read.as_deref(), Some(&event));

    request.id = world.id();
    request.context = nested(squall_value::json::DEPTH_MAX + 1);
    document.key = text("deeper");
    document.id = world.id();
    document.body = request.context.clone();
    event.id = world.id();
    event.payload = request.context.clone();
    for command in [
        insert(&requested(request)),
        put(&document),
        emit(&Arc::new(event)),
    ] {
        let (_, refusal) = world.refuse(1, vec![command]).await;
        assert!(matches!(refusal, Refusal::Invalid(_)));
    }
}
