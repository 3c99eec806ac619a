//! The whole service tells what becomes of its orders, once by each way, and stores nothing about it if nobody is to be told.

mod whole_service;

use std::path::Path;

use application::commands::{TellAgainCommand, TellAgainReply};
use application::ports::NotificationKind;
use domain::OrderId;
use orderwright::config::{Config, Way};
use orderwright::demo::Stage;
use orderwright::import::OrderAnswer;
use orderwright::{notifying, wiring};
use serde_json::{Value, json};
use uuid::Uuid;
use whole_service::{Folder, client, sell_tea, wait};

/// The settings of a service that tells by these ways.
fn telling(folder: &Folder, ways: &[Way]) -> Config {
    let mut config = folder.config();
    config.notifications.ways = ways.to_vec();
    config.notifications.file = folder.0.join("told.jsonl").display().to_string();
    config
}

fn sandbox() -> sandbox::Settings {
    sandbox::Settings { delivery_delay_ms: (0, 1), ..sandbox::Settings::default() }
}

/// An order that is delivered and one that is cancelled for want of stock.
async fn two_orders(stage: &Stage) -> [Uuid; 2] {
    let client = client(stage);
    sell_tea(stage, 3).await;
    let mut placed = Vec::new();
    for quantity in [2, 2] {
        let body =
            json!({"customer_id": "alfki", "lines": [{"sku": "TEA", "quantity": quantity}]}).to_string();
        let answer = client.create_order(&format!("key-{}", placed.len()), body.into()).await;
        let OrderAnswer::New(id) = answer.expect("an answer") else { panic!("it is new") };
        settled(stage, id).await;
        placed.push(id);
    }
    placed.try_into().expect("two were placed")
}

/// Waits until an order is delivered or cancelled.
async fn settled(stage: &Stage, id: Uuid) {
    wait("the order is settled", async || {
        let order = stage.service.store.readers.order(OrderId(id)).await.expect("the store");
        order.is_some_and(|order| ["delivered", "cancelled"].contains(&order.status.as_str()))
    })
    .await;
}

/// What an operator does whose customer has missed it.
async fn tell_again(stage: &Stage, config: &Config, order: Uuid) {
    let command = TellAgainCommand {
        order_id: OrderId(order),
        channels: notifying::channels(config),
        actor: "eve".to_owned(),
        note: "the mail was lost".to_owned(),
    };
    let reply = wiring::commands(&stage.service.store, config).run(&command).await.expect("an answer");
    assert_eq!(reply, TellAgainReply::Asked { kind: NotificationKind::OrderDelivered, channels: 2 });
}

fn told(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_an_order_is_told_once_by_each_way() {
    let folder = Folder::new("notifying-told");
    let config = telling(&folder, &[Way::Log, Way::File]);
    let stage = Stage::open(config.clone(), Some(sandbox())).await.expect("a stage");
    let [delivered, cancelled] = two_orders(&stage).await;
    let file = folder.0.join("told.jsonl");
    wait("everything is told", async || told(&file).len() >= 4).await;
    wait("nothing waits", async || {
        let overview = stage.service.store.readers.overview().await.expect("the store");
        overview.queues.iter().all(|(_, waiting)| *waiting == 0)
    })
    .await;
    let about = |order: Uuid| -> Vec<String> {
        let told = told(&file);
        let about = told.iter().filter(|line| line["order_id"] == order.to_string());
        about.map(|line| line["kind"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let mut of_delivered = about(delivered);
    of_delivered.sort();
    assert_eq!(of_delivered, ["order.confirmed", "order.delivered", "order.shipped"]);
    assert_eq!(about(cancelled), ["order.cancelled"]);
    let history = stage.service.store.readers.history(OrderId(delivered)).await.expect("the store");
    let history = history.expect("it has one");
    let entries = history.iter().filter(|entry| entry.event == "Notification").count();
    assert_eq!(entries, 6, "three by each of two ways");
    tell_again(&stage, &config, delivered).await;
    wait("it is told again", async || about(delivered).len() > 3).await;
    let ids: Vec<Value> = told(&file)
        .into_iter()
        .filter(|line| line["order_id"] == delivered.to_string() && line["kind"] == "order.delivered")
        .map(|line| line["id"].clone())
        .collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "under the same id");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stored_for_it_if_nobody_is_to_be_told() {
    let folder = Folder::new("notifying-untold");
    let stage = Stage::open(telling(&folder, &[]), Some(sandbox())).await.expect("a stage");
    two_orders(&stage).await;
    let overview = stage.service.store.readers.overview().await.expect("the store");
    assert!(overview.queues.iter().all(|(queue, _)| !queue.starts_with("notification")), "{overview:?}");
    assert!(!folder.0.join("told.jsonl").exists());
    stage.close().await;
}
