//! Where the three services of a server are.

use std::fmt;

/// The addresses of the API, the sign-in and the stream, none with a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoints {
    api: String,
    auth: String,
    stream: String,
}

/// An address that cannot be that of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no address of a server: {reason}")]
pub struct EndpointsError {
    /// The address as given.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Endpoints {
    /// The services of a server by its base address, such as `http://127.0.0.1:9101`. A scheme that
    /// is left out is `http` for loopback addresses and `https` for all others.
    ///
    /// # Errors
    ///
    /// [`EndpointsError`] when it is no absolute HTTP address, or carries a user, query or fragment.
    pub fn from_base(base: &str) -> Result<Endpoints, EndpointsError> {
        let base = checked(base)?;
        Ok(Endpoints {
            api: format!("{base}/api/v1"),
            auth: format!("{base}/auth/v1"),
            stream: format!("{base}/stream/v1"),
        })
    }

    /// The services by the addresses that StackStorm's tools are given: the API's with its version
    /// (`https://host/api/v1`); those of sign-in and stream follow from it unless given.
    ///
    /// # Errors
    ///
    /// As [`Endpoints::from_base`].
    pub fn from_parts(
        api: &str,
        auth: Option<&str>,
        stream: Option<&str>,
    ) -> Result<Endpoints, EndpointsError> {
        let api = checked(api)?;
        let unversioned = api.strip_suffix("/v1").unwrap_or(&api);
        let base = unversioned.strip_suffix("/api").unwrap_or(unversioned);
        let auth = auth.map_or_else(|| Ok(format!("{base}/auth/v1")), checked)?;
        let stream = stream.map_or_else(|| Ok(format!("{base}/stream/v1")), checked)?;
        Ok(Endpoints {
            api: format!("{unversioned}/v1"),
            auth,
            stream,
        })
    }

    /// The API, version included.
    #[must_use]
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Sign-in.
    #[must_use]
    pub fn auth(&self) -> &str {
        &self.auth
    }

    /// The stream of events.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The base address that people write: the API's without path.
    #[must_use]
    pub fn base(&self) -> &str {
        let base = self.api.strip_suffix("/v1").unwrap_or(&self.api);
        base.strip_suffix("/api").unwrap_or(base)
    }

    /// Whether the API is on this very machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.api)
    }
}

/// The base address.
impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base())
    }
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn checked(given: &str) -> Result<String, EndpointsError> {
    let text = given.trim();
    let wrong = |reason: &str| EndpointsError {
        url: given.to_owned(),
        reason: reason.to_owned(),
    };
    let text = if text.contains("://") {
        text.to_owned()
    } else if is_loopback(&format!("http://{text}")) {
        format!("http://{text}")
    } else {
        format!("https://{text}")
    };
    let url = reqwest::Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not carry a user or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must not carry a query or fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(made: Result<Endpoints, EndpointsError>, expect: &str) {
        let shown = match made {
            Ok(made) => format!("{} {} {}", made.api, made.auth, made.stream),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn a_base_address_gives_all_three() {
        check(
            Endpoints::from_base("http://127.0.0.1:9101/"),
            "http://127.0.0.1:9101/api/v1 http://127.0.0.1:9101/auth/v1 http://127.0.0.1:9101/stream/v1",
        );
        check(
            Endpoints::from_base("ops.example.com/squall"),
            "https://ops.example.com/squall/api/v1 https://ops.example.com/squall/auth/v1 \
             https://ops.example.com/squall/stream/v1",
        );
        check(
            Endpoints::from_base("localhost:9101"),
            "http://localhost:9101/api/v1 http://localhost:9101/auth/v1 http://localhost:9101/stream/v1",
        );
    }

    #[test]
    fn stackstorm_addresses_are_understood() {
        check(
            Endpoints::from_parts("https://h/api/v1", None, None),
            "https://h/api/v1 https://h/auth/v1 https://h/stream/v1",
        );
        check(
            Endpoints::from_parts("http://h:9101/v1", Some("http://h:9100"), None),
            "http://h:9101/v1 http://h:9100 http://h:9101/stream/v1",
        );
        check(
            Endpoints::from_parts("https://h/api", None, Some("https://s/stream/v1/")),
            "https://h/api/v1 https://h/auth/v1 https://s/stream/v1",
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check(
            Endpoints::from_base("ftp://h"),
            "`ftp://h` is no address of a server: it must begin with http:// or https://",
        );
        check(
            Endpoints::from_base("http://bob:secret@h"),
            "`http://bob:secret@h` is no address of a server: it must not carry a user or password",
        );
        check(
            Endpoints::from_base("http://"),
            "`http://` is no address of a server: empty host",
        );
    }

    #[test]
    fn loopback_is_recognised() {
        for (base, expect) in [
            ("http://127.0.0.1:9101", true),
            ("http://[::1]:9101", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            let endpoints = Endpoints::from_base(base).unwrap();
            assert_eq!(endpoints.is_loopback(), expect, "{base}");
        }
    }
}
