//! Providers that are not there, over real connections: orders wait for them, for longer than a stage may take, and all are
//! delivered once they are back.

mod whole_service;

use std::time::Duration;

use orderwright::config::Config;
use orderwright::demo::Stage;
use orderwright::import::OrderAnswer;
use sandbox::{FaultSettings, Faults, Sandbox, Settings};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;
use whole_service::{Folder, client, sell_tea, wait};

const ORDERS: u64 = 60;

/// Stages that may take no longer than half a second, with providers at an address where nobody is.
async fn config(folder: &Folder) -> (Config, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut config = folder.config();
    config.providers.payment_url = format!("http://{address}");
    config.providers.shipping_url = format!("http://{address}");
    config.limits.payment_ms = 500;
    config.limits.shipping_ms = 500;
    config.limits.undo_ms = 500;
    config.limits.delivery_poll_ms = 200;
    config.pipeline.away_pause_first_ms = 20;
    config.pipeline.away_pause_max_ms = 200;
    (config, address)
}

async fn place_orders(stage: &Stage) {
    let client = client(stage);
    sell_tea(stage, 1_000).await;
    for number in 0..ORDERS {
        let body = json!({"customer_id": "alfki", "lines": [{"sku": "TEA", "quantity": 1}]}).to_string();
        let answer = client.create_order(&format!("key-{number}"), body.into()).await.expect("an answer");
        assert!(matches!(answer, OrderAnswer::New(_)), "it is new");
    }
}

async fn orders(stage: &Stage, status: &str) -> u64 {
    let overview = stage.service.store.readers.overview().await.expect("the store");
    overview.orders.iter().find(|(name, _)| name == status).map_or(0, |(_, count)| *count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_placed_while_nobody_is_at_the_gateway_are_all_delivered_once_it_is_back() {
    let folder = Folder::new("away-back");
    let (config, address) = config(&folder).await;
    let limit = Duration::from_millis(config.limits.payment_ms);
    let stage = Stage::open(config, None).await.expect("a stage");
    place_orders(&stage).await;
    let placed_at = Instant::now();
    wait("three times the limit to pass", async || placed_at.elapsed() > 3 * limit).await;
    assert_eq!(orders(&stage, "cancelled").await, 0, "nobody was asked, so nobody took too long");
    let listener = TcpListener::bind(&address).await.expect("the port is free again");
    let settings = Settings { delivery_delay_ms: (0, 1), ..Settings::default() };
    let sandbox = Sandbox::start(listener, settings).expect("a sandbox");
    wait("all to be delivered", async || orders(&stage, "delivered").await == ORDERS).await;
    let stats = sandbox.stats().payments;
    assert_eq!((stats.charges, stats.keys_charged_twice), (ORDERS, 0));
    stage.close().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_lets_few_through_is_asked_at_its_own_rate_and_within_the_budget_never_turned_away() {
    for (budget, retry_after_s) in [(0, 0), (0, 1), (30, 1)] {
        let folder = Folder::new(&format!("away-rate-{budget}-{retry_after_s}"));
        let (mut config, address) = config(&folder).await;
        config.providers.payment_calls_per_second = budget;
        config.providers.shipping_calls_per_second = budget;
        let listener = TcpListener::bind(&address).await.expect("the port is free again");
        let slow = || Faults { rate_per_second: 40, rate_retry_after_s: retry_after_s, ..Faults::default() };
        let faults = FaultSettings { payments: slow(), shipping: slow(), ..FaultSettings::default() };
        let settings = Settings { delivery_delay_ms: (0, 1), faults, ..Settings::default() };
        let sandbox = Sandbox::start(listener, settings).expect("a sandbox");
        let stage = Stage::open(config, None).await.expect("a stage");
        place_orders(&stage).await;
        wait("all to be delivered", async || orders(&stage, "delivered").await == ORDERS).await;
        let stats = sandbox.stats();
        assert_eq!((stats.payments.charges, stats.payments.keys_charged_twice), (ORDERS, 0));
        assert_eq!(orders(&stage, "cancelled").await, 0);
        assert!(
            budget == 0 || stats.payments.charges > 0 && stats.faults.throttled == 0,
            "{:?}",
            stats.faults
        );
        stage.close().await;
        sandbox.stop().await;
    }
}
