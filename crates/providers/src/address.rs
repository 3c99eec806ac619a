//! Where a provider is and what its paths are called. The only place that opens a socket, and the one to change for TLS.

use std::fmt::Write;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use thiserror::Error;
use tokio::net::TcpStream;

use super::settings::Protocol;

/// A connection, before HTTP is spoken on it.
pub(super) type Stream = TcpStream;

/// A text that is not the address of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{address:?} is not an address of the form http://host:port")]
pub struct InvalidAddress {
    /// The text.
    pub address: String,
}

/// The address of a provider, taken apart once.
#[derive(Clone, Debug)]
pub(super) struct Address {
    host: String,
    port: u16,
    authority: Authority,
    prefix: String,
    protocol: Protocol,
}

impl Address {
    pub(super) fn parse(base_url: &str, protocol: Protocol) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress { address: base_url.to_owned() };
        let uri: Uri = base_url.parse().map_err(|_| invalid())?;
        let (Some("http"), Some(authority), None) = (uri.scheme_str(), uri.authority(), uri.query()) else {
            return Err(invalid());
        };
        // User names in addresses end up in logs; there are none.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(invalid());
        }
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.clone(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            protocol,
        })
    }

    pub(super) async fn connect(&self) -> std::io::Result<Stream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The value of `Host`, where the protocol wants one.
    pub(super) fn host_header(&self) -> Option<HeaderValue> {
        match self.protocol {
            Protocol::Http1 => HeaderValue::from_str(self.authority.as_str()).ok(),
            Protocol::Http2 => None,
        }
    }

    /// The target of a path that needs no encoding.
    pub(super) fn target(&self, path: &'static str) -> Uri {
        self.uri(format!("{}{path}", self.prefix))
    }

    /// The target `{before}{key}{after}`, with the key encoded as one segment.
    pub(super) fn keyed(&self, before: &'static str, key: &str, after: &'static str) -> Uri {
        let mut path = String::with_capacity(self.prefix.len() + before.len() + key.len() + after.len());
        path.push_str(&self.prefix);
        path.push_str(before);
        push_segment(&mut path, key);
        path.push_str(after);
        self.uri(path)
    }

    /// The target `{path}{limit}`, and from where to go on, encoded, if it is not the beginning.
    pub(super) fn listed(&self, path: &'static str, limit: usize, after: Option<&str>) -> Uri {
        let mut target = format!("{}{path}{limit}", self.prefix);
        if let Some(after) = after {
            target.push_str("&after=");
            push_segment(&mut target, after);
        }
        self.uri(target)
    }

    fn uri(&self, path: String) -> Uri {
        let path = PathAndQuery::from_maybe_shared(Bytes::from(path)).expect("encoded paths are valid");
        match self.protocol {
            Protocol::Http1 => Uri::from(path),
            Protocol::Http2 => Uri::builder()
                .scheme(Scheme::HTTP)
                .authority(self.authority.clone())
                .path_and_query(path)
                .build()
                .expect("scheme, authority and path make a URI"),
        }
    }
}

/// Everything but unreserved characters is encoded, so that no key can become another path.
fn push_segment(path: &mut String, key: &str) {
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b':' => {
                path.push(char::from(byte));
            }
            _ => write!(path, "%{byte:02X}").expect("writing to a string works"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(protocol: Protocol) -> Address {
        Address::parse("http://127.0.0.1:9000/api/", protocol).expect("valid")
    }

    proptest! {
        #[test]
        fn any_key_is_one_segment_of_the_path(key in "\\PC{0,40}") {
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let uri = address(protocol).keyed("/charges/by-key/", &key, "/cancel");
                prop_assert_eq!(uri.path().split('/').count(), 6);
                prop_assert_eq!(uri.query(), None);
            }
        }
    }

    #[test]
    fn a_target_has_the_form_that_its_protocol_wants() {
        assert_eq!(address(Protocol::Http1).target("/x").to_string(), "/api/x");
        assert_eq!(address(Protocol::Http2).target("/x").to_string(), "http://127.0.0.1:9000/api/x");
        let dots = address(Protocol::Http1).keyed("/k/", "..", "");
        assert_eq!(dots.to_string(), "/api/k/%2E%2E", "a key of dots does not climb");
    }

    #[test]
    fn what_is_no_plain_http_address_is_refused() {
        for text in ["", "127.0.0.1:80", "https://bank.example", "http://", "http://me:pw@bank.example", "/x"]
        {
            assert!(Address::parse(text, Protocol::Http1).is_err(), "{text:?}");
        }
        assert!(Address::parse("http://[::1]:80", Protocol::Http1).is_ok_and(|parsed| parsed.host == "::1"));
    }
}
