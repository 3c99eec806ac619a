//! Requests that no handler ever sees, or that no handler can read: each is a problem like any other.

use axum::body::Body;
use bytes::Bytes;
use http::Method;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use crate::harness::{JSON, Service, order_request, request};

#[tokio::test]
async fn an_unknown_address_and_an_unknown_method_are_problems() {
    let service = Service::start().await;
    let problem = service.get("/nowhere").await.problem(404, "route_not_found");
    assert_eq!(problem["instance"], "/nowhere");
    let answer = service.send(request(Method::DELETE, "/orders", &[], Body::empty())).await;
    let allow = answer.header("allow").expect("the methods").to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    answer.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_body_of_another_kind_is_refused() {
    let service = Service::start().await;
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("idempotency-key", "k")];
    let answer = service.send(request(Method::POST, "/orders", &headers, Body::from("a=b"))).await;
    answer.problem(415, "unsupported_media_type");
    let answer = service.send(request(Method::POST, "/imports", &[JSON], Body::from("[]"))).await;
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
