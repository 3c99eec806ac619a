//! The server on a real socket: both protocols on one port, an end in good order.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::middleware::{Next, from_fn};
use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use orderwright::http::serve;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::harness::Service;

async fn listening(service: &Service) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    (address, tokio::spawn(serve(listener, service.router.clone(), service.stop.clone())))
}

fn client(version: Version) -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).http2_only(version == Version::HTTP_2).build_http()
}

async fn order(client: &Client<HttpConnector, Body>, address: &str, key: &str) -> (StatusCode, Bytes) {
    let body = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 1}]}).to_string();
    let request =
        Request::post(format!("{address}/orders")).header("idempotency-key", key).body(Body::from(body));
    let response = client.request(request.expect("a request")).await.expect("an answer");
    let status = response.status();
    (status, response.into_body().collect().await.expect("a body").to_bytes())
}

#[tokio::test]
async fn one_port_speaks_both_protocols_and_many_orders_share_a_connection() {
    let service = Service::start().await;
    let (address, serving) = listening(&service).await;
    let mut bodies = Vec::new();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = client(version);
        let (status, body) = order(&client, &address, "same-key").await;
        assert_eq!(status, StatusCode::CREATED, "{version:?}");
        bodies.push(body);
        let keys: Vec<String> = (0..50).map(|number| format!("{version:?}-{number}")).collect();
        let many = futures_util::future::join_all(keys.iter().map(|key| order(&client, &address, key))).await;
        assert!(many.iter().all(|(status, _)| *status == StatusCode::CREATED));
    }
    assert_eq!(bodies[0], bodies[1]);
    service.stop.stop();
    tokio::time::timeout(Duration::from_secs(30), serving).await.expect("it stops").expect("in good order");
}

#[tokio::test]
async fn an_order_under_way_is_answered_before_the_server_ends() {
    let mut service = Service::without_acceptance().await;
    let arrived = Arc::new(Notify::new());
    let arriving = Arc::clone(&arrived);
    let note_arrival = from_fn(move |request: axum::extract::Request, next: Next| {
        arriving.notify_one();
        next.run(request)
    });
    service.router = service.router.clone().layer(note_arrival);
    let (address, serving) = listening(&service).await;
    let client = client(Version::HTTP_11);
    let waiting = tokio::spawn(async move { order(&client, &address, "k-1").await });
    tokio::time::timeout(Duration::from_secs(30), arrived.notified()).await.expect("it arrives");
    service.stop.stop();
    service.accept();
    let (status, body) = waiting.await.expect("an answer");
    let problem: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status.as_u16(), problem["errors"][0]["code"].as_str()), (422, Some("unknown_sku")));
    tokio::time::timeout(Duration::from_secs(30), serving).await.expect("it stops").expect("in good order");
}

#[tokio::test]
async fn who_has_connected_when_the_server_stops_is_answered() {
    let service = Service::start().await;
    let (address, serving) = listening(&service).await;
    let place = address.trim_start_matches("http://");
    let mut connected = Vec::new();
    for _ in 0..20 {
        connected.push(TcpStream::connect(place).await.expect("a connection"));
    }
    service.stop.stop();
    for stream in &mut connected {
        stream.write_all(b"GET /orders HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it is open");
    }
    for stream in &mut connected {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it ends in good order");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    tokio::time::timeout(Duration::from_secs(30), serving).await.expect("it stops").expect("in good order");
}
