//! What was opened ends with what opened it.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use squall_model::ExecutionId;
use squall_value::Dict;
use tokio_stream::StreamExt;

use super::world::{Wishes, World, text};

#[tokio::test]
async fn an_actions_token_ends_with_its_execution() {
    let world = World::new(Wishes::default()).await;
    let asks = async |execution: &str| {
        let token = world.action_tokens.make("editor", execution);
        let credential = ("x-auth-token", &*token);
        world.ask_with(credential, "GET", "/v1/user", "").await.0
    };
    let running = ExecutionId::from_raw(7).to_string();
    assert_eq!(asks(&running).await, StatusCode::OK);
    let body = r#"{"action":"p.noop"}"#;
    let ended = world.make("POST", "/v1/executions", body).await;
    assert_eq!(text(&ended, "status"), "succeeded");
    assert_eq!(asks(&text(&ended, "id")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stream_ends_with_what_opened_it() {
    let world = World::new(Wishes::default()).await;
    let directory = &world.directory;
    directory.set_password("runner", "first").await.unwrap();
    let token = world.token("runner").await;
    let made = directory.make_api_key("runner", Dict::new(), true).await;
    let (key, record) = made.unwrap();
    for (header, credential) in [("x-auth-token", &token), ("st2-api-key", &key)] {
        let request = Request::builder()
            .uri("/stream/v1/stream")
            .header(header, credential)
            .body(Body::empty());
        let answer = tower::ServiceExt::oneshot(world.router.clone(), request.unwrap());
        let mut told = answer.await.unwrap().into_body().into_data_stream();
        let mut next = async || {
            let piece = told.next().await;
            piece.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap())
        };
        assert_eq!(next().await.as_deref(), Some("\n"));
        let run = || world.make("POST", "/v1/executions", r#"{"action":"p.noop"}"#);
        run().await;
        let heard = next().await.unwrap();
        assert!(heard.contains("st2.execution__"), "{heard}");
        match header {
            "x-auth-token" => directory.set_password("runner", "second").await.unwrap(),
            _ => {
                let changed = directory.change_api_key(&record, None, None, Some(false));
                changed.await.map(drop).unwrap();
            }
        }
        run().await;
        assert_eq!(next().await, None, "{header}");
    }
}

#[tokio::test]
async fn nobody_takes_over_a_key_by_its_hash() {
    let world = World::new(Wishes::default()).await;
    let made = world.directory.make_api_key("admin", Dict::new(), true);
    let (_, record) = made.await.unwrap();
    let body = format!(r#"{{"key_hash":"{}"}}"#, record.key);
    let (status, _) = world.ask("editor", "POST", "/v1/apikeys", &body).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let kept = world.directory.api_key(&record.key).await.unwrap().unwrap();
    assert_eq!(text(&kept.body, "user"), "admin");
}
