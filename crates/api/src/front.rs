//! Where a request comes from: what the connection tells, and the proxies that stand in front.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

/// The other end of a connection. Whoever accepts connections puts it into each request's
/// extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub is_encrypted: bool,
}

/// Whether cookies are for encrypted connections only (the attribute `Secure`, RFC 6265).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecureCookies {
    /// Where the request came over one: a browser drops a `Secure` cookie that comes by plain HTTP.
    #[default]
    Auto,
    /// Always: a proxy with TLS stands in front, and does not tell.
    Always,
    /// Never.
    Never,
}

/// What stands in front of the server.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// Proxies whose word about a request (`X-Forwarded-For`, `X-Forwarded-Proto`) is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether cookies are for encrypted connections only.
    pub secure_cookies: SecureCookies,
    /// Whether trusted proxies say who signs in (`X-Forwarded-User`), instead of a password.
    pub proxies_sign_in: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// The client's address, as far as it can be believed. `None` in tests without a network.
    pub(crate) address: Option<IpAddr>,
    /// Whether the client's connection is TLS.
    pub(crate) is_encrypted: bool,
    /// Whether a trusted proxy hands the request on, so that its headers can be believed.
    pub(crate) is_proxied: bool,
}

impl Source {
    /// That of a request that has passed the router's first layer.
    pub(crate) fn of(parts: &Parts) -> Source {
        parts.extensions.get().copied().unwrap_or_default()
    }
}

impl Front {
    /// Whether an address is that of a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let mut proxies = self.trusted_proxies.iter();
        proxies.any(|proxy| proxy.contains(&address))
    }

    /// Where a request comes from. Each proxy adds the address it was called from at the end of
    /// `X-Forwarded-For`, so the last that is no trusted proxy is the client's; what stands before
    /// it anybody may have written.
    pub(crate) fn source(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Source {
        let Some(peer) = peer else {
            return Source::default();
        };
        let mut address = peer.address.ip().to_canonical();
        let mut is_encrypted = peer.is_encrypted;
        let is_proxied = self.trusts(address);
        if is_proxied {
            for forwarded in listed(headers, "x-forwarded-for").rev() {
                let Some(forwarded) = read_address(forwarded) else {
                    break;
                };
                address = forwarded;
                if !self.trusts(address) {
                    break;
                }
            }
            if let Some(scheme) = listed(headers, "x-forwarded-proto").next_back() {
                is_encrypted = scheme.eq_ignore_ascii_case("https");
            }
        }
        Source {
            address: Some(address),
            is_encrypted,
            is_proxied,
        }
    }

    /// Whether the answer's cookies are for encrypted connections only.
    pub(crate) fn is_cookie_secure(&self, source: Source) -> bool {
        match self.secure_cookies {
            SecureCookies::Auto => source.is_encrypted,
            SecureCookies::Always => true,
            SecureCookies::Never => false,
        }
    }
}

/// The members of a header that is a list, or several headers that are one (RFC 9110, 5.3).
fn listed<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
    let values = headers.get_all(name).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let members = texts.flat_map(|text| text.split(',').map(str::trim));
    members.filter(|member| !member.is_empty())
}

/// An address as proxies write it, with or without a port.
fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, headers: &[(&'static str, &str)], expect: &str) {
        let front = Front {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            ..Front::default()
        };
        let peer = Peer {
            address: peer.parse().unwrap(),
            is_encrypted: false,
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let source = front.source(Some(&peer), &map);
        let address = source.address.unwrap();
        let scheme = if source.is_encrypted { "https" } else { "http" };
        assert_eq!(format!("{scheme} {address}"), expect, "{headers:?}");
    }

    #[test]
    fn only_trusted_proxies_tell_where_a_request_comes_from() {
        let forwarded = &[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
        ];
        check("192.0.2.1:5", forwarded, "http 192.0.2.1");
        check("10.1.1.1:5", forwarded, "https 1.2.3.4");
        check("[::ffff:10.1.1.1]:5", forwarded, "https 1.2.3.4");
        check("[::1]:5", forwarded, "https 1.2.3.4");
        check("10.1.1.1:5", &[], "http 10.1.1.1");
    }

    #[test]
    fn what_a_client_wrote_before_the_proxies_counts_for_nothing() {
        for (list, expect) in [
            ("6.6.6.6, 1.2.3.4", "http 1.2.3.4"),
            ("6.6.6.6, 1.2.3.4, 10.2.2.2", "http 1.2.3.4"),
            ("6.6.6.6, nonsense", "http 10.1.1.1"),
            ("10.3.3.3, 10.2.2.2", "http 10.3.3.3"),
            ("1.2.3.4:8080", "http 1.2.3.4"),
            ("[2001:db8::7]:8080", "http 2001:db8::7"),
        ] {
            check("10.1.1.1:5", &[("x-forwarded-for", list)], expect);
        }
        let several = &[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "1.2.3.4"),
        ];
        check("10.1.1.1:5", several, "http 1.2.3.4");
        let both = &[("x-forwarded-proto", "https, http")];
        check("10.1.1.1:5", both, "http 10.1.1.1");
    }
}
