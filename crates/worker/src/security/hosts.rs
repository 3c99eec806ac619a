//! Keeps other sites' pages out of a service without keys: a browser on the same machine would carry their requests
//! to it. A request must name this machine (`Host`, against DNS rebinding), and must not come from another site's
//! page (`Origin`, `Sec-Fetch-Site`). Programs other than browsers send neither of the latter.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::{Access, Part};

/// The names under which the service may be reached without a key, beside those of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// It is meant for another host.
    Host,
    /// A page of another site sent it.
    Page,
}

impl Hosts {
    /// These names, without a port.
    #[must_use]
    pub fn named(names: &[String]) -> Self {
        Self(names.iter().map(|name| plain(name)).collect())
    }

    /// Whether a request is meant for here and comes from here.
    pub(crate) fn check(
        &self,
        access: Access,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
    ) -> Result<(), Stranger> {
        if access == Access::Anybody {
            // Its signature proves the sender; no other site's page can make one.
            return Ok(());
        }
        let asked = uri.authority().cloned().map(Ok);
        let named = headers.get_all(HOST).iter().map(authority);
        let hosts = asked.into_iter().chain(named).collect::<Result<Vec<_>, _>>()?;
        if hosts.iter().any(|host| !self.knows(host))
            || hosts.windows(2).any(|pair| !is_same(&pair[0], &pair[1]))
        {
            return Err(Stranger::Host);
        }
        for origin in headers.get_all(ORIGIN) {
            hosts.first().filter(|host| is_page_of(origin, host)).ok_or(Stranger::Page)?;
        }
        let sites = headers.get_all("sec-fetch-site").iter();
        let from_elsewhere = sites.into_iter().any(|site| site != "same-origin" && site != "none");
        if from_elsewhere && !follows_a_link(access, method, headers) {
            return Err(Stranger::Page);
        }
        Ok(())
    }

    fn knows(&self, authority: &Authority) -> bool {
        let host = plain(authority.host());
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        address.is_some_and(|address| address.to_canonical().is_loopback())
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.0.contains(&host)
    }
}

/// Whether a page of this host sent the request. `Sec-Fetch-Site` says so in every browser of today, `Origin` in older
/// ones.
pub(super) fn is_of_own_page((_, uri, headers): (&Method, &Uri, &HeaderMap)) -> bool {
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    let named = headers.get(HOST).and_then(|host| authority(host).ok());
    let host = uri.authority().cloned().or(named);
    match (headers.get(ORIGIN), host) {
        (Some(origin), Some(host)) => is_page_of(origin, &host),
        (Some(_), None) => false,
        (None, _) => site.is_some(),
    }
}

/// Any page may link to the pages for people: the person who follows the link sees them, the linking page does not.
fn follows_a_link(access: Access, method: &Method, headers: &HeaderMap) -> bool {
    let is = |name: &str, wanted: &str| headers.get(name).is_some_and(|value| value == wanted);
    matches!(access, Access::Part(Part::Docs, _) | Access::Page)
        && *method == Method::GET
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

fn authority(value: &HeaderValue) -> Result<Authority, Stranger> {
    let parsed = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
    parsed.filter(|authority| !authority.as_str().contains('@')).ok_or(Stranger::Host)
}

/// Names are the same however they are written, and whether or not they end with the dot of the root.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_same(one: &Authority, other: &Authority) -> bool {
    plain(one.host()) == plain(other.host()) && one.port_u16() == other.port_u16()
}

/// Whether this host served a page of this origin. `null` is the origin of no host.
fn is_page_of(origin: &HeaderValue, host: &Authority) -> bool {
    let Some(origin) = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok()) else { return false };
    let usual = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        Some(_) | None => return false,
    };
    let Some(page) = origin.authority() else { return false };
    plain(page.host()) == plain(host.host())
        && page.port_u16().unwrap_or(usual) == host.port_u16().unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use application::ports::Scope;

    use super::*;

    const ORDERS: Access = Access::Scope(Scope::OrdersWrite);
    const DOCS: Access = Access::Part(Part::Docs, Scope::OrdersRead);

    fn asked(access: Access, target: &str, headers: &[(&'static str, &str)]) -> Result<(), Stranger> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        let hosts = Hosts::named(&["dev.example".to_owned()]);
        hosts.check(access, (&Method::GET, &target.parse().expect("a target"), &map))
    }

    #[test]
    fn a_request_has_to_be_meant_for_this_machine_or_for_a_name_of_the_configuration() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:8080",
            "a.localhost",
            "127.0.0.1:8080",
            "127.8.9.1",
            "[::1]:8080",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "dev.example:8080",
            "Dev.Example",
        ] {
            assert_eq!(asked(ORDERS, "/orders", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "0.0.0.0:8080",
            "192.168.0.1",
            "[::2]",
            "me@localhost",
            "",
            "localhost, evil.example",
            "a.dev.example",
            "127.1",
        ] {
            assert_eq!(asked(ORDERS, "/orders", &[("host", host)]), Err(Stranger::Host), "{host}");
        }
        assert_eq!(asked(ORDERS, "/orders", &[]), Ok(()), "what names no host is no browser");
        assert_eq!(asked(ORDERS, "http://localhost:8080/orders", &[]), Ok(()));
        assert_eq!(asked(ORDERS, "http://evil.example/orders", &[]), Err(Stranger::Host));
        let two = [("host", "localhost"), ("host", "127.0.0.1")];
        assert_eq!(asked(ORDERS, "/orders", &two), Err(Stranger::Host));
        let other = [("host", "evil.example")];
        assert_eq!(asked(ORDERS, "http://localhost/orders", &other), Err(Stranger::Host));
    }

    #[test]
    fn no_page_but_our_own_may_read_or_write() {
        let with = |name, value| asked(ORDERS, "/orders", &[("host", "localhost:8080"), (name, value)]);
        for origin in ["http://localhost:8080", "https://localhost:8080", "http://LOCALHOST:8080"] {
            assert_eq!(with("origin", origin), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://evil.example",
            "http://evil.example:8080",
            "file://",
            "",
            "localhost:8080",
        ] {
            assert_eq!(with("origin", origin), Err(Stranger::Page), "{origin}");
        }
        assert_eq!((with("sec-fetch-site", "same-origin"), with("sec-fetch-site", "none")), (Ok(()), Ok(())));
        for site in ["cross-site", "same-site", ""] {
            assert_eq!(with("sec-fetch-site", site), Err(Stranger::Page), "{site}");
        }
        assert_eq!(asked(ORDERS, "/orders", &[("origin", "http://localhost")]), Err(Stranger::Page));
        let plain = [("host", "dev.example"), ("origin", "https://dev.example")];
        assert_eq!(asked(ORDERS, "/orders", &plain), Ok(()), "behind a proxy that speaks TLS");
    }

    #[test]
    fn a_form_comes_from_a_page_of_the_same_host_or_from_none_of_ours() {
        let sent = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().expect("a value"));
            }
            is_of_own_page((&Method::POST, &"/ui/orders".parse().expect("a path"), &map))
        };
        let host = ("host", "ops.example:8080");
        let own = ("origin", "http://ops.example:8080");
        assert!(sent(&[host, own]) && sent(&[host, own, ("sec-fetch-site", "same-origin")]));
        assert!(sent(&[host, ("sec-fetch-site", "same-origin")]));
        for foreign in [
            vec![host],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "http://evil.example")],
            vec![host, ("origin", "http://ops.example")],
            vec![host, own, ("sec-fetch-site", "cross-site")],
            vec![host, own, ("sec-fetch-site", "same-site")],
            vec![host, ("sec-fetch-site", "none")],
            vec![own],
        ] {
            assert!(!sent(&foreign), "{foreign:?}");
        }
    }

    #[test]
    fn a_link_opens_the_page_of_the_api_and_nothing_else_and_a_signature_needs_no_host() {
        let link = [
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(asked(DOCS, "/docs", &link), Ok(()));
        assert_eq!(asked(DOCS, "/openapi.json", &link[..2]), Err(Stranger::Page));
        assert_eq!(asked(ORDERS, "/orders", &link), Err(Stranger::Page));
        assert_eq!(asked(Access::Anybody, "/webhooks/payments", &[("host", "tunnel.example")]), Ok(()));
    }
}
