//! One signed-in connection to a Windows host.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use squall_env::Env;

use super::ntlm::{self, Challenge, Chance, Login};
use super::soap::{Fault, Head, Message};

/// An answer is one envelope, of which Windows limits the size to much less.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Between 1601, from which Windows counts, and 1970, in microseconds.
const EPOCH_MICROS: u64 = 11_644_473_600_000_000;

/// How a user proves to be the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Basic,
    Ntlm,
}

/// Why a host was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Http(String),
    #[error("the user or the password is refused")]
    Refused,
    #[error("the host does not offer to sign in by {wanted}; it offers {offered}")]
    NotOffered {
        wanted: &'static str,
        offered: String,
    },
    #[error("the host's NTLM challenge can't be read")]
    Challenge,
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the host answered with status {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Error {
        Error::Http(crate::http::explain(&error))
    }
}

/// A connection that messages are sent over, one after the other.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) scheme: Scheme,
    pub(super) name: String,
    pub(super) login: Login,
    /// How long the host may take to answer that there is nothing to tell.
    pub(super) patience: Duration,
    pub(super) env: Arc<dyn Env>,
}

/// A client whose requests go over one connection: NTLM signs in a connection, not a request.
pub(super) fn client(checks: bool) -> Result<Client, Error> {
    // The first to install wins; another provider would do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .http1_only()
        .pool_max_idle_per_host(1)
        .tls_info(true)
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(!checks)
        .user_agent(concat!("squall/", env!("CARGO_PKG_VERSION")));
    Ok(builder.build()?)
}

impl Connection {
    /// Sends a message; `read` understands the answer.
    pub(super) async fn ask<T>(
        &self,
        message: &Message<'_>,
        read: fn(&str) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        let head = Head {
            url: &self.url,
            message: uuid(&*self.env),
            patience: self.patience,
        };
        let envelope = message.envelope(&head);
        let mut response = self.post(None, envelope.clone()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            response = match self.scheme {
                Scheme::Basic => return Err(refusal(response.headers(), "Basic")),
                Scheme::Ntlm => self.sign_in(response, envelope).await?,
            };
        }
        let status = response.status();
        let text = text(response).await?;
        // A fault comes with status 500 and says more than that.
        if !status.is_success() && !text.contains("Fault") {
            return Err(Error::Status(status));
        }
        Ok(read(&text)?)
    }

    async fn post(&self, authorization: Option<String>, body: String) -> Result<Response, Error> {
        let mut request = self.client.post(&self.url);
        request = request.header("Content-Type", "application/soap+xml;charset=UTF-8");
        request = match (authorization, self.scheme) {
            (Some(authorization), _) => request.header(AUTHORIZATION, authorization),
            (None, Scheme::Basic) => request.basic_auth(&self.name, Some(&self.login.password)),
            (None, Scheme::Ntlm) => request,
        };
        Ok(request.body(body).send().await?)
    }

    /// Signs the connection in, and sends what was refused before.
    async fn sign_in(&self, refused: Response, envelope: String) -> Result<Response, Error> {
        let word = ["Negotiate", "NTLM"]
            .into_iter()
            .find(|word| offered(refused.headers()).any(|scheme| scheme.eq_ignore_ascii_case(word)))
            .ok_or_else(|| refusal(refused.headers(), "NTLM"))?;
        // The connection is free for the next request only when this answer was read.
        text(refused).await?;
        let first = format!("{word} {}", STANDARD.encode(ntlm::negotiate()));
        let answer = self.post(Some(first), String::new()).await?;
        let challenge = challenge(answer.headers(), word).ok_or(Error::Challenge)?;
        let certificate = answer.extensions().get::<reqwest::tls::TlsInfo>();
        let certificate = certificate.and_then(|info| info.peer_certificate());
        let binding = certificate.and_then(ntlm::channel_binding);
        text(answer).await?;
        let now = u64::try_from(self.env.now().as_microsecond()).unwrap_or(0);
        let chance = Chance {
            client: self.env.random().to_le_bytes(),
            time: now.saturating_add(EPOCH_MICROS).saturating_mul(10),
        };
        let proof = challenge.answer(&self.login, binding, &chance);
        let last = format!("{word} {}", STANDARD.encode(proof));
        let answer = self.post(Some(last), envelope).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(Error::Refused);
        }
        Ok(answer)
    }
}

/// The names of the ways to sign in that an answer offers.
fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .filter_map(|offer| offer.split_whitespace().next())
}

fn challenge(headers: &HeaderMap, word: &str) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut texts = values.filter_map(|value| value.to_str().ok());
    texts.find_map(|text| {
        let (scheme, token) = text.split_once(' ')?;
        let token = STANDARD.decode(token.trim()).ok()?;
        let fits = scheme.eq_ignore_ascii_case(word);
        fits.then(|| Challenge::read(token)).flatten()
    })
}

fn refusal(headers: &HeaderMap, wanted: &'static str) -> Error {
    let mut schemes: Vec<&str> = offered(headers).collect();
    schemes.dedup();
    if schemes
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case(wanted))
    {
        return Error::Refused;
    }
    let offered = match schemes.is_empty() {
        true => "nothing".to_owned(),
        false => schemes.join(", "),
    };
    Error::NotOffered { wanted, offered }
}

async fn text(mut response: Response) -> Result<String, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Error::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// A UUID of version 4.
fn uuid(env: &dyn Env) -> String {
    let number = u128::from(env.random()) << 64 | u128::from(env.random());
    let number = number & !(0xf << 76) & !(0x3 << 62) | (4 << 76) | (2 << 62);
    let digits = format!("{number:032X}");
    let (a, b, c, d, e) = (
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}
