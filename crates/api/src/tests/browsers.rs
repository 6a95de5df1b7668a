//! What a browser may be made to do by pages of others.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::world::{Wishes, World};

/// The status of a request that bears a cookie and these headers.
async fn by_cookie(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let token = world.token("admin").await;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "squall.test:9101")
        .header("cookie", format!("a=b; auth-token={token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from("{}")).unwrap();
    let answer = tower::ServiceExt::oneshot(world.router.clone(), request);
    answer.await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_by_the_cookie() {
    let world = World::new(Wishes::default()).await;
    let (key, hook) = ("/v1/keys/none", "/v1/webhooks/p-hook");
    for (headers, method, path, status) in [
        // Whoever is no browser, and pages of the server's own.
        (&[][..], "DELETE", key, 404),
        (&[("origin", "http://squall.test:9101")], "DELETE", key, 404),
        (&[("sec-fetch-site", "same-origin")], "DELETE", key, 404),
        // Another port of the same machine gets the cookie, too: to a browser it is the same site.
        (&[("origin", "http://squall.test:8080")], "DELETE", key, 403),
        (&[("origin", "null")], "POST", hook, 403),
        (&[("sec-fetch-site", "same-site")], "POST", hook, 403),
        (
            &[
                ("origin", "http://squall.test:9101"),
                ("sec-fetch-site", "cross-site"),
            ],
            "DELETE",
            key,
            403,
        ),
        // Looking changes nothing.
        (&[("sec-fetch-site", "cross-site")], "GET", key, 404),
    ] {
        let got = by_cookie(&world, method, path, headers).await;
        assert_eq!(got, status, "{method} {path} {headers:?}");
    }
}

#[tokio::test]
async fn no_answer_is_taken_for_what_it_does_not_say_it_is() {
    let world = World::new(Wishes::default()).await;
    for path in ["/health", "/v1/nowhere", "/v1/executions/last/output"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(world.router.clone(), request);
        let answer = answer.await.unwrap();
        assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let told = answer.headers().get("x-content-type-options");
        assert_eq!(told.unwrap(), "nosniff", "{path}");
    }
}
