//! Health, proven by breaking the very thing: that check turns, and only what depends on it.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use sandbox::{FaultSettings, Faults};
use serde_json::json;
use testkit::servers::rabbitmq::RabbitMq;
use testkit::servers::{Durability, Postgres};

use crate::stage::{Running, config, until};

/// A service on a server of its own, with two delivered orders.
async fn on_postgres() -> (Running, Arc<Postgres>, String) {
    let server = Arc::new(Postgres::start(Durability::None).expect("a server of our own"));
    let address = server.database().expect("a database");
    let name = address.rsplit('/').next().expect("a name").to_owned();
    let mut config = config(&address);
    config.postgres.connect_limit_ms = 500;
    config.postgres.lock_limit_ms = 200;
    let running = Running::with(config).await;
    running.stock().await;
    running.order("first", "CHAI", 2).await;
    running.order("second", "CHAI", 3).await;
    running.until_orders("delivered", 2).await;
    running.until_ill(&[]).await;
    (running, server, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_well_says_so_of_every_part_and_to_every_probe() {
    let running = Running::on_file().await;
    running.stock().await;
    running.order("only", "CHAI", 1).await;
    running.until_orders("delivered", 1).await;
    running.until_ill(&[]).await;
    let (status, report) = running.get("/health").await;
    assert_eq!((status, report["status"].as_str()), (StatusCode::OK, Some("up")), "{report:#}");
    let names: Vec<&str> = report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter_map(|check| check["name"].as_str())
        .collect();
    for name in [
        "order-processing",
        "consumers",
        "background-services",
        "database",
        "inventory",
        "money",
        "saga-integrity",
        "provider-events",
        "webhook-endpoints",
        "message-rates",
        "payment-gateway",
        "shipping-provider",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    let probe = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderwright"));
        command.arg("health").args(arguments).output().expect("the program runs")
    };
    let address = running.stage.address();
    let said = probe(&["--url", &address, "--whole"]);
    assert!(said.status.success(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("up (can serve)"), "{said:?}");
    running.stop().await;
    let said = probe(&["--url", &address]);
    assert!(!said.status.success(), "nobody answers any more: {said:?}");
    assert_eq!(String::from_utf8_lossy(&said.stderr).lines().count(), 1, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_consumer_is_told_of_and_is_not_stuck_however_long_its_messages_wait() {
    let running = Running::on_file().await;
    running.stock().await;
    let turn = async |act: &str| {
        let wish = json!({"actor": "eve", "reason": "the gateway is ill", "key": act});
        let (status, answer) =
            running.call(Method::POST, &format!("/queues/payment/{act}"), Some(&wish)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    };
    turn("pause").await;
    running.order("one", "CHAI", 1).await;
    until("its message to wait", async || running.get("/overview").await.1["queues"]["payment"] == 1).await;
    running.until_ill(&["consumers"]).await;
    let began_at = Instant::now();
    // Three times as long as a queue may stand still.
    until("time to pass", async || began_at.elapsed() > Duration::from_millis(4_500)).await;
    let (_, report) = running.get("/health").await;
    let check = report["checks"].as_array().expect("checks").iter().find(|it| it["name"] == "consumers");
    let check = check.expect("a check");
    assert_eq!(check["status"], "degraded", "{check}");
    let detail = check["detail"].as_str().expect("words");
    assert!(detail.starts_with("payment is paused since "), "{detail}");
    assert!(detail.ends_with(" by eve: the gateway is ill"), "{detail}");
    assert_eq!(running.get("/overview").await.1["queues"]["payment"], 1, "it waits");
    turn("resume").await;
    running.until_orders("delivered", 1).await;
    running.until_ill(&[]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_turns_what_needs_it_and_all_is_well_when_it_is_back() {
    let (running, server, _) = on_postgres().await;
    let mut server = Arc::into_inner(server).expect("nobody else holds it");
    server.kill9();
    until("the database check to turn", async || running.ill().await.contains(&"database".to_owned())).await;
    until("what needs the store to turn", async || {
        let ill = running.ill().await;
        ["order-processing", "consumers", "saga-integrity"].iter().all(|name| ill.iter().any(|it| it == name))
    })
    .await;
    let (status, report) = running.get("/health").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    for name in ["payment-gateway", "shipping-provider", "money", "message-rates"] {
        let check = report["checks"].as_array().into_iter().flatten().find(|check| check["name"] == name);
        assert_eq!(check.expect(name)["status"], "up", "{report:#}");
    }
    assert_eq!(running.get("/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(running.get("/health/live").await.0, StatusCode::OK);
    let text = report["checks"].to_string();
    assert!(!text.contains("postgres://") && !text.contains("127.0.0.1"), "no address is told: {text}");
    server.restart().expect("the server starts again");
    running.until_ill(&[]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_differs_from_its_ledger_turns_inventory_alone_and_wrong_money_turns_money_alone() {
    let (running, server, name) = on_postgres().await;
    let sql = |text: &str| server.query(&name, text).expect("it is done");
    sql("update inventory set available_stock = available_stock - 1, shipped = shipped + 1
         where product_id = (select product_id from products where sku = 'CHAI')");
    running.until_ill(&["inventory"]).await;
    sql("update inventory set available_stock = available_stock + 1, shipped = shipped - 1
         where product_id = (select product_id from products where sku = 'CHAI')");
    running.until_ill(&[]).await;
    sql("update payments set captured_minor = captured_minor + 1");
    running.until_ill(&["money"]).await;
    sql("update payments set captured_minor = captured_minor - 1");
    running.until_ill(&[]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_without_an_order_turns_saga_integrity_alone() {
    let (running, server, name) = on_postgres().await;
    let columns = server
        .query(
            &name,
            "select string_agg(column_name, ', ') from information_schema.columns
             where table_name = 'order_saga' and is_generated = 'NEVER'
             and column_name not in ('correlation_id', 'order_id', 'state', 'expires_at', 'stock')",
        )
        .expect("the columns");
    let sql = format!(
        "insert into order_saga (correlation_id, order_id, state, expires_at, stock, {columns})
         select '00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000001', 'paid',
             9000000000000000, 'none', {columns} from order_saga limit 1"
    );
    server.query(&name, &sql).expect("an orphan");
    running.until_ill(&["saga-integrity"]).await;
    server
        .query(&name, "delete from order_saga where order_id = '00000000-0000-7000-8000-000000000001'")
        .expect("no orphan");
    running.until_ill(&[]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_hangs_turns_the_gateway_alone_and_an_order_past_its_limit_turns_order_processing() {
    let (running, server, name) = on_postgres().await;
    let faults = running.stage.sandbox.as_ref().expect("a sandbox").faults();
    let well = faults.current();
    faults.replace(FaultSettings {
        payments: Faults { hang_permille: 1_000, hang_ms: 30_000, ..Faults::default() },
        fault_repeat_max: u32::MAX,
        ..well.clone()
    });
    for number in 0..4 {
        running.order(&format!("hung-{number}"), "CHAI", 1).await;
    }
    running.until_ill(&["payment-gateway"]).await;
    server
        .query(
            &name,
            "with late as (
                 update order_saga set expires_at = created_at - 3600000000
                 where order_id = (select order_id from order_saga where is_open limit 1) returning correlation_id
             )
             update timers set fired = 1 from late where timers.correlation_id = late.correlation_id and name = 'order'",
        )
        .expect("an order past its limit, whose timer has fired while nobody handled it");
    running.until_ill(&["order-processing", "payment-gateway"]).await;
    faults.replace(well);
    server
        .query(
            &name,
            "update order_saga set expires_at = created_at + 1800000000 where expires_at < created_at",
        )
        .expect("an order within its limit");
    running.order("after", "CHAI", 1).await;
    running.until_ill(&[]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_gone_turns_the_broker_alone_and_all_is_well_when_it_is_back() {
    let mut node = RabbitMq::start().expect("a node of our own");
    let server = Postgres::start(Durability::None).expect("a server of our own");
    let mut config = config(&server.database().expect("a database"));
    config.rabbitmq.addresses = node.vhost().expect("a virtual host").as_str().into();
    let running = Running::with(config).await;
    running.stock().await;
    running.order("first", "CHAI", 2).await;
    running.until_orders("delivered", 1).await;
    running.until_ill(&[]).await;
    // Killed earlier, RabbitMQ would have forgotten the queue that it was told of last, which would have no leader then.
    let began_at = std::time::Instant::now();
    until("the node to have written down its queues", async || began_at.elapsed().as_secs() >= 3).await;
    node.kill9();
    running.until_ill(&["broker"]).await;
    let (_, report) = running.get("/health").await;
    assert!(!report["checks"].to_string().contains("amqp://"), "no address is told: {report}");
    node.restart().expect("the node starts again");
    running.until_ill(&[]).await;
    running.order("second", "CHAI", 2).await;
    running.until_orders("delivered", 2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_cannot_get_on_turns_consumers_alone() {
    let (running, server, name) = on_postgres().await;
    let (locking, database) = (Arc::clone(&server), name.clone());
    let holder = std::thread::spawn(move || {
        // Ends with an error when it is called off.
        let _ =
            locking.query(&database, "begin; lock table shipments in exclusive mode; select pg_sleep(120)");
    });
    until("the table to be locked", async || {
        let sql =
            "select count(*) from pg_locks where mode = 'ExclusiveLock' and relation = 'shipments'::regclass";
        server.query(&name, sql).is_ok_and(|count| count.trim() == "1")
    })
    .await;
    running.order("stuck", "CHAI", 1).await;
    running.until_ill(&["consumers"]).await;
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity
         where query like '%pg_sleep(120)%' and pid <> pg_backend_pid()";
    server.query(&name, sql).expect("the lock is given back");
    holder.join().expect("it has ended");
    running.until_orders("delivered", 3).await;
    running.until_ill(&[]).await;
    running.stop().await;
}
