//! Programs of others that follow the orders of a whole service: by asking, as the example in Python does, and by webhooks, to a
//! receiver that is away, refuses, and wants no more.

mod whole_service;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::commands::{AddEndpointCommand, ChangeEndpointCommand, Command, RedeliverCommand};
use application::ports::{
    DeliveryFilter, DeliveryState, EndpointChange, EndpointState, EventFilter, EventsRead, Redelivery,
    WebhookEndpoint,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bus::{Clock, Signed, SystemClock};
use domain::OrderId;
use orderwright::config::{Allowance, Config};
use orderwright::demo::Stage;
use orderwright::import::OrderAnswer;
use orderwright::webhook_endpoints::{self, EndpointView, NewEndpoint};
use orderwright::wiring;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use uuid::Uuid;
use whole_service::{Folder, client, sell_tea, wait};

async fn stage(folder: &Folder) -> Stage {
    let mut config = folder.config();
    config.notifications.webhook_private_addresses = Allowance::Allow;
    config.notifications.call_limit_ms = 5_000;
    let sandbox = sandbox::Settings { delivery_delay_ms: (0, 1), ..sandbox::Settings::default() };
    let stage = Stage::open(config, Some(sandbox)).await.expect("a stage");
    sell_tea(&stage, 1_000).await;
    stage
}

/// An order that is delivered.
async fn delivered(stage: &Stage, key: &str) -> Uuid {
    let body = json!({"customer_id": "alfki", "lines": [{"sku": "TEA", "quantity": 2}]}).to_string();
    let answer = client(stage).create_order(key, body.into()).await.expect("an answer");
    let OrderAnswer::New(id) = answer else { panic!("it is new") };
    wait("the order is delivered", async || {
        let order = stage.service.store.readers.order(OrderId(id)).await.expect("the store");
        order.is_some_and(|order| order.status == "delivered")
    })
    .await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_carrier_is_told_where_the_goods_go_and_its_no_undoes_the_order() {
    let folder = Folder::new("addressed");
    let stage = stage(&folder).await;
    for (street, becomes) in [("1 Road", "delivered"), ("REJECT-ADDRESS", "cancelled")] {
        let body = json!({
            "customer_id": "alfki",
            "lines": [{"sku": "TEA", "quantity": 2}],
            "shipping_address": {"lines": [street], "city": "Cork", "country": "IE"},
        });
        let answer = client(&stage).create_order(street, body.to_string().into()).await.expect("an answer");
        let OrderAnswer::New(id) = answer else { panic!("it is new") };
        wait("the carrier has answered", async || {
            let order = stage.service.store.readers.order(OrderId(id)).await.expect("the store");
            order.is_some_and(|order| order.status == becomes)
        })
        .await;
    }
}

/// What happened to an order, as the log tells it: from its creation to its delivery.
async fn way(stage: &Stage, order: Uuid) -> Vec<String> {
    let mut filter = EventFilter::default();
    let mut way = Vec::new();
    loop {
        let read = stage.service.store.events.events(&filter, 100).await.expect("the store");
        let EventsRead::Page(page) = read else { panic!("{read:?}") };
        let about = page.events.into_iter().filter(|event| event.order_id == order);
        way.extend(about.map(|event| event.event_type));
        filter.after = page.next;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(way.first().map(String::as_str), Some("OrderCreated"));
    assert_eq!(way.last().map(String::as_str), Some("OrderDelivered"));
    way
}

/// Waits until a receiver has all that happened to an order, and in that order.
async fn has_all(stage: &Stage, receiver: &Receiver, order: Uuid) {
    let way = way(stage, order).await;
    wait("every event is sent", async || receiver.about(order).len() >= way.len()).await;
    assert_eq!(receiver.about(order), way);
}

/// What a receiver does about the next events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    IsAway,
    RefusesDeliveries,
    WantsNoMore,
}

/// A receiver of webhooks: what it took, in order, and how it is.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    asked: Arc<Mutex<u32>>,
    secret: Arc<Mutex<String>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let receiver = Self {
            address: listener.local_addr().expect("an address"),
            mood: Arc::new(Mutex::new(Mood::Takes)),
            taken: Arc::default(),
            asked: Arc::default(),
            secret: Arc::default(),
        };
        let router = Router::new().route("/events", post(hear)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }

    /// The types of what it took about an order, in order.
    fn about(&self, order: Uuid) -> Vec<String> {
        let taken = self.taken.lock().expect("not poisoned");
        let about = taken.iter().filter(|(_, event)| event["data"]["order_id"] == order.to_string());
        about.map(|(_, event)| event["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// The ids of what it took.
    fn ids(&self) -> BTreeSet<String> {
        self.taken.lock().expect("not poisoned").iter().map(|(id, _)| id.clone()).collect()
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().expect("not poisoned")
    }
}

async fn hear(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    *receiver.asked.lock().expect("not poisoned") += 1;
    let secret = receiver.secret.lock().expect("not poisoned").clone();
    if Webhook::new(&secret).and_then(|webhook| webhook.verify(&body, &headers)).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    match *receiver.mood.lock().expect("not poisoned") {
        Mood::IsAway => return StatusCode::SERVICE_UNAVAILABLE,
        Mood::WantsNoMore => return StatusCode::GONE,
        Mood::RefusesDeliveries if event["type"] == "OrderDelivered" => {
            return StatusCode::UNPROCESSABLE_ENTITY;
        }
        Mood::RefusesDeliveries | Mood::Takes => {}
    }
    let id = headers["webhook-id"].to_str().expect("text").to_owned();
    receiver.taken.lock().expect("not poisoned").push((id, event));
    StatusCode::NO_CONTENT
}

fn by_eve() -> Signed<'static> {
    Signed { actor: "eve", note: "", at: SystemClock.now() }
}

async fn run<C: Command>(stage: &Stage, command: &C) -> C::Reply {
    wiring::commands(&stage.service.store, &Config::default()).run(command).await.expect("the store")
}

async fn made(stage: &Stage, url: String) -> EndpointView {
    let store = &stage.service.store;
    let position = store.events.newest_event().await.expect("the store");
    let new = NewEndpoint { id: Uuid::from_u128(7), url, types: Vec::new(), note: String::new(), position };
    let endpoint = webhook_endpoints::fresh(new, SystemClock.now()).expect("random bytes");
    let add = AddEndpointCommand { endpoint: &endpoint, by: by_eve() };
    assert!(run(stage, &add).await, "there is room");
    EndpointView::with_secret(endpoint)
}

async fn endpoint(stage: &Stage, receiver: &Receiver) -> Uuid {
    let view = made(stage, format!("http://{}/events", receiver.address)).await;
    *receiver.secret.lock().expect("not poisoned") = view.secret.expect("it is shown once");
    view.id
}

async fn change(stage: &Stage, id: Uuid, change: EndpointChange) {
    run(stage, &ChangeEndpointCommand { id, change: &change, by: by_eve() }).await.expect("it is there");
}

async fn standing(stage: &Stage, id: Uuid) -> WebhookEndpoint {
    let endpoints = stage.service.store.webhook_endpoints.endpoints().await.expect("the store");
    endpoints.into_iter().find(|endpoint| endpoint.id == id).expect("it is there")
}

async fn deliveries(stage: &Stage, id: Uuid, state: DeliveryState) -> Vec<i64> {
    let filter = DeliveryFilter { state: Some(state), before: None };
    let page = stage.service.store.webhook_endpoints.deliveries(id, filter, 100).await.expect("the store");
    page.items.iter().map(|delivery| delivery.position).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_gets_every_event_signed_and_those_of_an_order_in_order() {
    let folder = Folder::new("integrating-all");
    let stage = stage(&folder).await;
    let before = delivered(&stage, "before").await;
    let receiver = Receiver::start().await;
    let id = endpoint(&stage, &receiver).await;
    let mut orders = Vec::new();
    for number in 0..4 {
        orders.push(delivered(&stage, &format!("key-{number}")).await);
    }
    for order in &orders {
        has_all(&stage, &receiver, *order).await;
    }
    assert!(receiver.about(before).is_empty(), "it gets what happens from then on");
    // All that went before is sent when it is asked for.
    change(&stage, id, EndpointChange { position: Some(0), ..EndpointChange::default() }).await;
    has_all(&stage, &receiver, before).await;
    let events = 5 * way(&stage, before).await.len();
    wait("all is sent once more", async || receiver.ids().len() == events).await;
    let taken = receiver.taken.lock().expect("not poisoned").clone();
    let mut by_id: BTreeMap<String, Value> = BTreeMap::new();
    for (id, event) in taken {
        let first = by_id.entry(id).or_insert_with(|| event.clone());
        assert_eq!(*first, event, "a repeat is the same");
    }
    assert_eq!(by_id.len(), events, "and has the same id");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_endpoint_misses_while_it_is_away_comes_later_and_a_refused_event_holds_up_no_other() {
    let folder = Folder::new("integrating-away");
    let stage = stage(&folder).await;
    let receiver = Receiver::start().await;
    receiver.be(Mood::IsAway);
    let id = endpoint(&stage, &receiver).await;
    let first = delivered(&stage, "first").await;
    wait("it is noticed to be away", async || standing(&stage, id).await.failures >= 2).await;
    let away = standing(&stage, id).await;
    assert!(away.trouble.contains("503") && away.next_attempt_at.is_some() && away.failing_since.is_some());
    assert!(receiver.about(first).is_empty());
    receiver.be(Mood::RefusesDeliveries);
    let whole = way(&stage, first).await;
    wait("it gets what it missed", async || receiver.about(first).len() >= whole.len() - 1).await;
    assert_eq!(receiver.about(first), whole[..whole.len() - 1]);
    let second = delivered(&stage, "second").await;
    wait("the next order goes on", async || receiver.about(second).len() >= whole.len() - 1).await;
    wait("both are set aside", async || deliveries(&stage, id, DeliveryState::Waiting).await.len() == 2)
        .await;
    let well = standing(&stage, id).await;
    assert_eq!((well.trouble.as_str(), well.failures), ("", 0));
    receiver.be(Mood::Takes);
    let waiting = deliveries(&stage, id, DeliveryState::Waiting).await;
    for position in &waiting {
        let what = Redelivery::One(*position);
        assert_eq!(run(&stage, &RedeliverCommand { id, what, by: by_eve() }).await, 1);
    }
    wait("they are sent once more", async || {
        receiver.about(first).len() == whole.len() && receiver.about(second).len() == whole.len()
    })
    .await;
    wait("nothing waits", async || deliveries(&stage, id, DeliveryState::Waiting).await.is_empty()).await;
    assert!(deliveries(&stage, id, DeliveryState::Delivered).await.contains(&waiting[0]));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_wants_no_more_is_left_alone_until_it_is_opened_again() {
    let folder = Folder::new("integrating-gone");
    let stage = stage(&folder).await;
    let receiver = Receiver::start().await;
    receiver.be(Mood::WantsNoMore);
    let id = endpoint(&stage, &receiver).await;
    let first = delivered(&stage, "first").await;
    wait("it is closed", async || standing(&stage, id).await.state == EndpointState::Closed).await;
    assert!(standing(&stage, id).await.trouble.contains("410"));
    receiver.be(Mood::Takes);
    let asked = receiver.asked();
    let second = delivered(&stage, "second").await;
    assert_eq!(receiver.asked(), asked, "it is left alone");
    change(&stage, id, EndpointChange { state: Some(EndpointState::Active), ..EndpointChange::default() })
        .await;
    has_all(&stage, &receiver, second).await;
    has_all(&stage, &receiver, first).await;
    stage.close().await;
}

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_in_python_follow_orders_and_take_webhooks() {
    let folder = Folder::new("integrating-python");
    let stage = stage(&folder).await;
    let follow = async || {
        let mut python = tokio::process::Command::new("python3");
        python
            .arg(example("follow_orders.py"))
            .arg(stage.address())
            .arg("--state")
            .arg(folder.0.join("s.db"));
        let ended = python.arg("--until-idle").output().await.expect("python3");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).expect("text")
    };
    delivered(&stage, "first").await;
    let told = follow().await;
    assert_eq!(told.lines().last(), Some(r#"{"delivered": 1}"#));
    assert_eq!(follow().await, "", "nothing counts twice");
    let mut python = tokio::process::Command::new("python3");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    python.arg(example("receive_events.py")).env("WEBHOOK_SECRET", secret).kill_on_drop(true);
    let mut receiving = python.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3");
    let mut errors = BufReader::new(receiving.stderr.take().expect("it is piped")).lines();
    let line = errors.next_line().await.expect("it is read").expect("it listens");
    let port = line.rsplit(' ').next().expect("a port").to_owned();
    let id = made(&stage, format!("http://127.0.0.1:{port}/")).await.id;
    // The example has its secret from its environment, so the endpoint gets that one.
    change(&stage, id, EndpointChange { secret: Some(secret.to_owned()), ..EndpointChange::default() }).await;
    let second = delivered(&stage, "second").await;
    let whole = way(&stage, second).await;
    let mut lines = BufReader::new(receiving.stdout.take().expect("it is piped")).lines();
    let mut heard = Vec::new();
    let hearing = async {
        while heard.len() < whole.len() {
            let line = lines.next_line().await.expect("it is read").expect("it goes on");
            let (kind, order) = line.split_once(' ').expect("two words");
            assert!(order.starts_with(&second.to_string()), "{line}");
            heard.push(kind.to_owned());
        }
    };
    tokio::time::timeout(Duration::from_secs(60), hearing).await.expect("the events come");
    assert_eq!(heard, whole);
    stage.close().await;
}
