//! One order is one trace, whole, whatever became of it.

use std::collections::BTreeMap;

use orderwright::config::OtlpProtocol;
use sandbox::{FaultSettings, Faults};
use serde_json::{Value, json};

use crate::collector::Collector;
use crate::stage::{Running, config, until};

/// Whose request places an order.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn attribute(span: &Value, name: &str) -> Option<Value> {
    let all = span["attributes"].as_array()?;
    all.iter().find(|attribute| attribute["key"] == name).map(|attribute| attribute["value"].clone())
}

/// One root, and every other span hangs below it.
#[track_caller]
fn assert_tree(spans: &BTreeMap<String, Value>) {
    let roots: Vec<&Value> = spans.values().filter(|span| text(&span["parentSpanId"]).is_empty()).collect();
    assert_eq!(roots.len(), 1, "{roots:#?}");
    assert_eq!(roots[0]["name"], "accept order");
    for span in spans.values().filter(|span| !text(&span["parentSpanId"]).is_empty()) {
        assert!(spans.contains_key(&text(&span["parentSpanId"])), "no parent of {span:#}");
    }
    for span in spans.values() {
        let time = |name: &str| text(&span[name]).parse::<u64>().expect("nanoseconds");
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span:#}");
        assert!(
            attribute(span, "order.id").is_some() && attribute(span, "order.stage").is_some(),
            "{span:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_tree_over_grpc_whether_it_is_delivered_or_undone() {
    orders_are_whole_trees(OtlpProtocol::Grpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_tree_in_binary_over_http_whether_it_is_delivered_or_undone() {
    orders_are_whole_trees(OtlpProtocol::HttpProtobuf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_tree_in_json_over_http_whether_it_is_delivered_or_undone() {
    orders_are_whole_trees(OtlpProtocol::HttpJson).await;
}

async fn orders_are_whole_trees(protocol: OtlpProtocol) {
    let collector = Collector::default();
    let folder = std::env::temp_dir().join(format!("orderwright-traces-{protocol:?}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut config = config(&folder.join("orders.db").to_string_lossy());
    config.telemetry.otlp_endpoint = collector.start(protocol).await;
    config.telemetry.otlp_protocol = protocol;
    config.telemetry.otlp_interval_ms = 200;
    let running = Running::with(config).await;
    running.stock().await;
    delivered_order_is_a_tree(&running, &collector).await;
    undone_order_is_a_tree(&running, &collector).await;

    let all = collector.spans();
    let batch = all.iter().find(|span| text(&span["name"]).starts_with("process batch")).expect("a batch");
    let links = batch["links"].as_array().expect("links");
    assert!(!links.is_empty() && attribute(batch, "messaging.batch.message_count").is_some(), "{batch:#}");
    until("metrics to arrive", async || {
        let told = collector.metrics();
        ["orderwright.orders.accepted", "messaging.process.duration"].iter().all(|name| told.contains(*name))
    })
    .await;
    running.stop().await;
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}

async fn delivered_order_is_a_tree(running: &Running, collector: &Collector) {
    let order = json!({
        "key": "delivered",
        "traceparent": CALLER,
        "customer_id": "ALFKI",
        "lines": [{"sku": "CHAI", "quantity": 2}],
    });
    let (_, answer) = running.call(http::Method::POST, "/orders", Some(&order)).await;
    let delivered = text(&answer["order_id"]);
    running.until_orders("delivered", 1).await;
    let wanted =
        ["accept order", "inventory check", "charge payment-gateway", "create_shipment shipping-provider"];
    until("every step of the delivered order to arrive", async || {
        let names = collector.names(&delivered);
        let processed = names.iter().filter(|name| name.starts_with("process ")).count();
        wanted.iter().all(|name| names.contains(*name)) && processed >= 6
    })
    .await;
    let spans = collector.of(&delivered);
    assert_tree(&spans);
    let root = spans.values().find(|span| span["name"] == "accept order").expect("a root");
    assert_eq!(attribute(root, "customer.id").expect("a customer")["stringValue"], "ALFKI");
    let products = attribute(root, "product.ids").expect("products");
    assert_eq!(products["arrayValue"]["values"].as_array().map(Vec::len), Some(1));
    let caller: Vec<&str> = CALLER.split('-').collect();
    let link = &root["links"][0];
    assert_eq!((link["traceId"].as_str(), link["spanId"].as_str()), (Some(caller[1]), Some(caller[2])));
    let strays = collector.spans().into_iter().filter(|span| span["traceId"] == caller[1]).count();
    assert_eq!(strays, 0, "nothing of ours is in the caller's own trace");
}

async fn undone_order_is_a_tree(running: &Running, collector: &Collector) {
    let faults = running.stage.sandbox.as_ref().expect("a sandbox").faults();
    let well = faults.current();
    faults
        .replace(FaultSettings { shipping: Faults { decline_permille: 1_000, ..Faults::default() }, ..well });
    let undone = running.order("undone", "CHAI", 1).await;
    running.until_orders("cancelled", 1).await;
    until("the undoing to arrive", async || {
        let names = collector.names(&undone);
        names.contains("charge payment-gateway") && names.contains("cancel payment-gateway")
    })
    .await;
    until("the tree of the undone order to be whole", async || {
        let spans = collector.of(&undone);
        let has = |id: &Value| text(id).is_empty() || spans.contains_key(&text(id));
        spans.values().all(|span| has(&span["parentSpanId"]))
    })
    .await;
    assert_tree(&collector.of(&undone));
}
