//! Who comes in: no key, a wrong one, one that may not, one that may; how often; and that every route is closed unless the
//! policy opens it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use application::ports::{ApiKey, Scope};
use axum::Extension;
use axum::body::Body;
use http::Method;
use jiff::Timestamp;
use orderwright::http::document;
use orderwright::security::{GateSettings, KeyRing, KeyText, Part, Peer, Rate, Reach};

use crate::harness::{Answer, Service, api_key, request};

/// What the ring reads from the store, and the key of each scope.
fn keys() -> (Arc<KeyRing>, Vec<(Scope, KeyText, ApiKey)>) {
    let made = Scope::ALL.into_iter().zip(1_u8..).map(|(scope, number)| {
        let (text, stored) = api_key(number, &scope.to_string(), &[scope]);
        (scope, text, stored)
    });
    let made: Vec<_> = made.collect();
    let ring = Arc::new(KeyRing::new(None));
    ring.refresh(&made.iter().map(|(_, _, stored)| stored.clone()).collect::<Vec<_>>());
    (ring, made)
}

fn settings(per_second: u32) -> GateSettings {
    let rate = Rate { per_second, burst: per_second };
    GateSettings { rate, public: vec![Part::Health], reach: Reach::Beyond }
}

async fn ask(service: &Service, method: &Method, path: &str, key: Option<&str>) -> Answer {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    service.send(request(method.clone(), path, &headers, Body::empty())).await
}

/// Every operation of the document, with the scope that it says it needs.
fn operations() -> Vec<(Method, String, Option<Scope>)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").clone();
    let of_path = |(path, methods): (String, serde_json::Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(move |(method, operation)| {
            let method = method.to_ascii_uppercase().parse().expect("a method");
            let scope = operation["x-scope"].as_str().map(|scope| scope.parse().expect("a scope"));
            (method, path.replace("{sku}", "CHAI").replace("{code}", "internal"), scope)
        })
    };
    paths.into_iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn every_operation_asks_for_the_scope_that_the_document_names_and_for_no_other() {
    let (ring, keys) = keys();
    let service = Service::start().await.behind(settings(0), &ring);
    for (method, path, needed) in operations() {
        let path = path.replace("{order_id}", "00000000-0000-0000-0000-000000000000");
        let Some(needed) = needed else {
            assert!(path.starts_with("/webhooks/"), "{method} {path} is for anybody");
            continue;
        };
        if !path.starts_with("/health/") {
            ask(&service, &method, &path, None).await.problem(401, "key_missing");
        }
        for (scope, text, _) in &keys {
            let answer = ask(&service, &method, &path, Some(&text.expose())).await;
            let may = *scope == needed || *scope == Scope::Admin || path.starts_with("/health/");
            assert_eq!(answer.status.as_u16() != 403, may, "{scope} for {method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_address_that_nobody_opened_is_for_administrators() {
    let (ring, keys) = keys();
    let service = Service::start().await.behind(settings(0), &ring);
    for path in ["/orders2", "/webhooks", "/webhooks/payments/x", "/health/live/x", "//health/live", "/new"] {
        ask(&service, &Method::GET, path, None).await.problem(401, "key_missing");
        for (scope, text, _) in &keys {
            let status = ask(&service, &Method::GET, path, Some(&text.expose())).await.status.as_u16();
            let opened = *scope == Scope::Operate && path.starts_with("/health/");
            let expected = if *scope == Scope::Admin || opened { 404 } else { 403 };
            assert_eq!(status, expected, "{scope} for {path}");
        }
    }
}

#[tokio::test]
async fn a_key_may_stand_in_either_header_and_is_refused_as_soon_as_it_is_revoked() {
    let (ring, mut keys) = keys();
    let service = Service::start().await.behind(settings(0), &ring);
    let text = keys[0].1.expose();
    let own_header = request(Method::GET, "/orders", &[("x-api-key", &text)], Body::empty());
    service.send(own_header).await.expect(200);
    ask(&service, &Method::GET, "/orders", Some(&text)).await.expect(200);
    keys[0].2.revoked_at = Some(Timestamp::UNIX_EPOCH);
    ring.refresh(&[keys[0].2.clone()]);
    let refused = ask(&service, &Method::GET, "/orders", Some(&text)).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    refused.problem(401, "key_unknown");
    ask(&service, &Method::GET, "/orders", Some("ow_garbage")).await.problem(401, "key_unknown");
    ask(&service, &Method::GET, "/health/live", None).await.expect(200);
}

#[tokio::test]
async fn on_one_s_own_machine_everything_is_open_until_the_first_key_is_made() {
    let (_, keys) = keys();
    let ring = Arc::new(KeyRing::new(None));
    let here = GateSettings { reach: Reach::Here, ..settings(1) };
    let service = Service::start().await.behind(here, &ring);
    for _ in 0..20 {
        ask(&service, &Method::GET, "/orders", None).await.expect(200);
    }
    ring.refresh(&[keys[0].2.clone()]);
    ask(&service, &Method::GET, "/orders", None).await.problem(401, "key_missing");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again_and_others_are_not_held_up() {
    let (ring, keys) = keys();
    let mut service = Service::start().await.behind(settings(2), &ring);
    let (one, other) = (keys[0].1.expose(), keys[keys.len() - 1].1.expose());
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(ask(&service, &Method::GET, "/orders", Some(&one)).await);
    }
    let refused = answers.pop().expect("four");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.problem(429, "too_many_requests")["retryable"], true);
    ask(&service, &Method::GET, "/orders", Some(&other)).await.expect(200);
    let far_away = Peer(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)));
    service.router = service.router.clone().layer(Extension(far_away));
    for expected in [401, 401, 429] {
        assert_eq!(ask(&service, &Method::GET, "/orders", None).await.status.as_u16(), expected);
    }
}

#[tokio::test]
async fn while_no_key_is_there_no_page_of_another_site_reads_or_writes_and_no_other_host_is_served() {
    let (_, keys) = keys();
    let ring = Arc::new(KeyRing::new(None));
    let here = GateSettings { reach: Reach::Here, ..settings(0) };
    let service = Service::start().await.behind(here, &ring);
    let ask = async |method: &Method, path: &str, headers: &[(&str, &str)]| {
        service.send(request(method.clone(), path, headers, Body::empty())).await
    };
    let (local, evil) = (("host", "localhost:8080"), ("host", "evil.example:8080"));
    for (method, path, needed) in operations() {
        let path = path.replace("{order_id}", "00000000-0000-0000-0000-000000000000");
        if needed.is_none() {
            continue;
        }
        ask(&method, &path, &[evil]).await.problem(421, "host_unknown");
        for page in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            ask(&method, &path, &[local, page]).await.problem(403, "cross_site");
        }
    }
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        ask(&Method::GET, "/orders", &[("host", host)]).await.expect(200);
        let own = format!("http://{host}");
        let page = [("host", host), ("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
        ask(&Method::GET, "/orders", &page).await.expect(200);
    }
    ring.refresh(&[keys[0].2.clone()]);
    ask(&Method::GET, "/orders", &[evil]).await.problem(401, "key_missing");
}
