//! Sign-in, and the webhook that takes any event.

use std::time::Duration;

use reqwest::Method;
use squall_value::{Dict, Value, json};

use crate::client::{send, with_json};
use crate::{Client, Error, Query, Token};

impl Client {
    /// A token for a name and a password, sent as HTTP basic authentication (RFC 7617).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 401 when they are wrong.
    pub async fn sign_in(
        &self,
        user: &str,
        password: &str,
        ttl: Option<Duration>,
    ) -> Result<Token, Error> {
        let mut body = Dict::new();
        if let Some(ttl) = ttl {
            body.insert("ttl", ttl.as_secs());
        }
        let base = self.endpoints().auth();
        let request = self.request(Method::POST, base, &["tokens"], &Query::new())?;
        let request = with_json(request, &Value::from(body)).basic_auth(user, Some(password));
        let token = Token::new(answer(request).await?);
        if token.token().is_empty() {
            return Err(Error::Answer {
                url: format!("{base}/tokens"),
                reason: "it holds no token".to_owned(),
            });
        }
        Ok(token)
    }

    pub(crate) async fn generic_webhook(
        &self,
        body: &Value,
        trace_tag: Option<&str>,
    ) -> Result<Value, Error> {
        let base = self.endpoints().api();
        let mut request = self.request(Method::POST, base, &["webhooks", "st2"], &Query::new())?;
        if let Some(tag) = trace_tag {
            request = request.header("st2-trace-tag", tag);
        }
        let response = send(with_json(request, body)).await?;
        let event = response.headers().get("x-squall-event");
        let event = event.and_then(|id| id.to_str().ok()).map(str::to_owned);
        let url = response.url().to_string();
        let mut told = match read(response, url).await? {
            Value::Dict(told) => (*told).clone(),
            _ => Dict::new(),
        };
        if let Some(event) = event {
            told.insert("id", event);
        }
        Ok(Value::from(told))
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Value, Error> {
    let response = send(request).await?;
    let url = response.url().to_string();
    read(response, url).await
}

async fn read(response: reqwest::Response, url: String) -> Result<Value, Error> {
    let text = response.text().await.map_err(|source| Error::Broken {
        url: url.clone(),
        source: source.without_url(),
    })?;
    json::read(&text).map_err(|error| Error::Answer {
        url,
        reason: error.to_string(),
    })
}
