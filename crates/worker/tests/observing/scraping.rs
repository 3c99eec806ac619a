//! Metrics as Prometheus reads them from a service that has handled orders.

use std::path::Path;

use http::StatusCode;
use orderwright::config::Config;
use serde_json::Value;
use testkit::servers::prometheus::{Prometheus, get, promtool};

use crate::stage::{Running, config, until};

/// Ten orders that are delivered, one that wants more than there is.
async fn busy() -> Running {
    let running = Running::on_file().await;
    running.stock().await;
    for number in 0..10 {
        running.order(&format!("chai-{number}"), "CHAI", 2).await;
    }
    running.order("tofu", "TOFU", 50).await;
    running.until_orders("delivered", 10).await;
    running.until_orders("cancelled", 1).await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_scrape_is_clean_and_says_what_happened() {
    let running = busy().await;
    let addr = running.stage.service.addr;
    let wanted = [
        "orderwright_orders_accepted_total 11",
        "orderwright_orders_finished_total{outcome=\"delivered\",reason=\"\"} 10",
        "orderwright_orders_finished_total{outcome=\"cancelled\",reason=\"out_of_stock\"} 1",
        "orderwright_order_duration_seconds_count{outcome=\"delivered\"} 10",
        "orderwright_reservations_total{outcome=\"reserved\"} 10",
        "orderwright_reservations_total{outcome=\"short\"} 1",
        "orderwright_stock_units_total{kind=\"shipped\"} 20",
        "orderwright_orders_stored{status=\"delivered\"} 10",
        "orderwright_sagas_stored{state=\"completed\"} 10",
        "orderwright_products_low 1",
        "orderwright_dead_letters 0",
        "orderwright_breaker_state{provider=\"payment-gateway\",state=\"closed\"} 1",
        "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_route=\"/orders\",http_response_status_code=\"201\"} 11",
        "orderwright_service_up{service=\"housekeeping-service\"} 1",
    ];
    let mut text = String::new();
    until("the gauges to be read", async || {
        text = get(addr, "/metrics").expect("metrics");
        wanted.iter().all(|line| text.lines().any(|written| written == *line))
    })
    .await;
    let complaints = promtool(&["check", "metrics"], &text).expect("metrics that promtool is content with");
    assert!(complaints.trim().is_empty(), "{complaints}");
    assert!(!text.contains("ALFKI") && !text.contains("tofu"), "no label names a customer or a key");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_it_and_answers_what_dashboards_ask() {
    let running = busy().await;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/rules.yml");
    let rules = rules.canonicalize().expect("the rules are there");
    let prometheus = Prometheus::scraping(&[running.stage.service.addr], &rules).expect("a Prometheus");
    let value = |query: &str| -> Option<String> {
        let answer = prometheus.query(query).expect("an answer");
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    let asked = [
        ("up{job=\"orderwright\"}", "1"),
        ("sum(orderwright_orders_accepted_total)", "11"),
        ("sum by (reason) (orderwright_orders_finished_total{reason=\"out_of_stock\"})", "1"),
        ("sum(orderwright_order_duration_seconds_count{outcome=\"delivered\"})", "10"),
        ("max(orderwright_sagas_stored{state=\"completed\"})", "10"),
        ("max(orderwright_products_low)", "1"),
        (
            "sum(orderwright_provider_call_duration_seconds_count{operation=\"charge\",outcome=\"captured\"})",
            "10",
        ),
        ("count(ALERTS{alertstate=\"firing\",severity=\"critical\"}) or vector(0)", "0"),
    ];
    for (query, wanted) in asked {
        until(query, async || value(query).as_deref() == Some(wanted)).await;
    }
    for query in [
        "histogram_quantile(0.95, sum by (le) (orderwright_order_duration_seconds_bucket))",
        "sum(db_client_operation_duration_seconds_count{db_operation_name=\"commit\"})",
        "sum(messaging_client_consumed_messages_total{disposition=\"done\"})",
        "sum(messaging_process_duration_seconds_count)",
        "process_memory_usage_bytes",
    ] {
        until(query, async || {
            value(query).is_some_and(|number| number.parse::<f64>().is_ok_and(|it| it > 0.0))
        })
        .await;
    }
    let rules = prometheus.get("/api/v1/rules").expect("the rules");
    let ill: Vec<&Value> = rules["data"]["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().into_iter().flatten())
        .filter(|rule| rule["health"] == "err")
        .collect();
    assert!(ill.is_empty(), "{ill:#?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_with_a_listener_of_their_own_are_not_on_the_api() {
    let folder = std::env::temp_dir().join(format!("orderwright-metrics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut config: Config = config(&folder.join("orders.db").to_string_lossy());
    "127.0.0.1:0".clone_into(&mut config.telemetry.metrics_listen);
    let running = Running::with(config).await;
    let (status, problem) = running.get("/metrics").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &Value::from("route_not_found")));
    let addr = running.stage.service.metrics_addr.expect("a listener of their own");
    assert!(get(addr, "/metrics").expect("metrics").contains("orderwright_build_info"));
    until("health there", async || get(addr, "/health").is_ok_and(|text| text.contains("order-processing")))
        .await;
    running.stop().await;
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}
