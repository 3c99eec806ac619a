//! Requests that no handler ever sees, or that no handler can read: each is a problem like any other.

use axum::body::Body;
use bytes::Bytes;
use http::Method;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use crate::conformance::DOCUMENT;
use crate::harness::{JSON, Service, order_request, request};

#[tokio::test]
async fn an_unknown_address_and_an_unknown_method_are_problems() {
    let service = Service::start().await;
    let problem = service.get("/nowhere").await.problem(404, "route_not_found");
    assert_eq!(problem["instance"], "/nowhere");
}

/// Of every address of the document, whatever is asked of it.
#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_told_which_ones_it_takes() {
    let service = Service::start().await;
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        let taken: Vec<String> =
            item.as_object().expect("methods").keys().map(|name| name.to_uppercase()).collect();
        let mut right = taken.clone();
        right.extend(taken.iter().filter(|method| *method == "GET").map(|_| "HEAD".to_owned()));
        right.sort();
        let right = right.join(", ");
        let address = path.replace("{order_id}", "7").replace("{sku}", "A").replace("{code}", "internal");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            if taken.iter().any(|known| known == method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let answer = service.send(request(method.clone(), &address, &[], Body::empty())).await;
            let allow: Vec<_> = answer.headers.get_all("allow").iter().cloned().collect();
            assert_eq!(allow, [right.as_str()], "{method} {path}");
            let problem = answer.problem(405, "method_not_allowed");
            assert_eq!(problem["detail"], format!("this address takes {right}, not {method}"), "{path}");
        }
    }
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let service = Service::start().await;
    for path in ["/orders", "/inventory/CHAI", "/nowhere", "/orders/7"] {
        let (get, head) =
            (service.get(path).await, service.send(request(Method::HEAD, path, &[], Body::empty())).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn an_address_with_a_slash_too_many_is_told_the_right_one() {
    let service = Service::start().await;
    for (path, meant) in
        [("/orders/", "/orders"), ("/inventory/CHAI/movements//", "/inventory/CHAI/movements")]
    {
        let problem = service.get(path).await.problem(404, "route_not_found");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.ends_with(&format!("it is {meant}")), "{detail}");
    }
    let problem = service.get("/nowhere/").await.problem(404, "route_not_found");
    assert_eq!(problem["detail"], "nothing here takes GET /nowhere/");
}

/// By every route that takes a body, those of the providers too.
#[tokio::test]
async fn a_packed_body_is_refused_by_the_name_of_its_packing() {
    let service = Service::start().await;
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys().filter(|method| *method != "get") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let address = path.replace("{order_id}", "7").replace("{sku}", "A");
            let (taken, refused) = match path.as_str() {
                "/imports" => ("gzip, identity", &["br", "deflate", "identity, zstd"][..]),
                _ => ("identity", &["gzip", "br", "deflate", "identity, zstd"][..]),
            };
            for coding in refused {
                let headers = [JSON, ("content-encoding", *coding), ("idempotency-key", "k")];
                let packed = Body::from(&b"\x1f\x8b\x08"[..]);
                let answer = service.send(request(method.clone(), &address, &headers, packed)).await;
                assert_eq!(answer.header("accept-encoding"), Some(taken));
                let problem = answer.problem(415, "unsupported_media_type");
                let detail = problem["detail"].as_str().unwrap_or_default();
                assert!(detail.contains(&format!("Content-Encoding: {coding}")), "{method} {path}: {detail}");
            }
        }
    }
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]}).to_string();
    let headers = [JSON, ("content-encoding", "Identity"), ("idempotency-key", "k")];
    service.send(request(Method::POST, "/orders", &headers, Body::from(order))).await.expect(201);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_why_where_that_can_be_seen() {
    let service = Service::start().await;
    let utf_16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (body, word) in [
        (b"\x1f\x8b\x08".to_vec(), "gzip"),
        ("\u{feff}{}".into(), "byte order mark"),
        (utf_16, "UTF-16"),
        (vec![], "empty"),
    ] {
        let problem = service.send(order_request("k", body)).await.problem(400, "malformed_json");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{problem}");
    }
}

#[tokio::test]
async fn a_plus_that_was_not_encoded_is_told_of_as_such() {
    let service = Service::start().await;
    let path = "/orders?created_from=2026-03-04T09:00:00+01:00";
    let problem = service.get(path).await.problem(400, "invalid_parameter");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("%2B")), "{problem}");
    service.get(&path.replace('+', "%2B")).await.expect(200);
    let problem = service.get("/orders?created_from=yesterday").await.problem(400, "invalid_parameter");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.contains("%2B")), "{problem}");
}

#[tokio::test]
async fn a_body_of_another_kind_is_refused() {
    let service = Service::start().await;
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("idempotency-key", "k")];
    let answer = service.send(request(Method::POST, "/orders", &headers, Body::from("a=b"))).await;
    answer.problem(415, "unsupported_media_type");
    let answer = service
        .send(request(Method::POST, "/imports", &[("content-type", "text/plain")], Body::from("a,b")))
        .await;
    answer.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() {
    let service = Service::start().await;
    let large = vec![b' '; 256 * 1024 + 1];
    service.send(order_request("k", large.clone())).await.problem(413, "body_too_large");
    let pieces: Vec<Result<Frame<Bytes>, std::io::Error>> =
        large.chunks(1000).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    service.send(order_request("k", body)).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_in_pieces_is_the_body() {
    let service = Service::start().await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]}).to_string();
    let pieces: Vec<Result<Frame<Bytes>, std::io::Error>> =
        order.as_bytes().chunks(7).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    let first = service.send(order_request("k", body)).await;
    let again = service.send(order_request("k", order)).await;
    assert_eq!(first.expect(201), again.expect(201));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_problem() {
    let service = Service::start().await;
    let pieces = [Ok(Frame::data(Bytes::from_static(b"{"))), Err(std::io::Error::other("gone"))];
    let body = Body::new(StreamBody::new(futures_util::stream::iter(pieces)));
    service.send(order_request("k", body)).await.problem(400, "body_broken");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_not_waited_for() {
    let service = Service::start().await;
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
    let answer = service.send(order_request("k", Body::new(StreamBody::new(never)))).await;
    assert_eq!(answer.problem(408, "body_too_slow")["retryable"], true);
}

#[tokio::test]
async fn every_problem_that_a_problem_points_to_is_there() {
    let service = Service::start().await;
    let problem = service.get("/nowhere").await.problem(404, "route_not_found");
    let shown = service.get(problem["type"].as_str().expect("an address")).await.expect(200);
    assert_eq!(shown["title"], problem["title"]);
    service.get("/problems/unheard_of").await.problem(404, "problem_not_found");
    let all = service.get("/problems").await.expect(200);
    assert!(all["items"].as_array().is_some_and(|items| items.len() > 20));
}
