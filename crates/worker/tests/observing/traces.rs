//! One order is one trace, whole, whatever became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use sandbox::{FaultSettings, Faults};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::stage::{Running, config, until};

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Value>>>,
    metrics: Arc<Mutex<BTreeSet<String>>>,
}

fn within(body: &Value, path: [&str; 3]) -> Vec<Value> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let scopes = list(body, path[0]).into_iter().flat_map(|resource| list(&resource, path[1]));
    scopes.flat_map(|scope| list(&scope, path[2])).collect()
}

impl Collector {
    async fn start(&self) -> String {
        let (spans, metrics) = (Arc::clone(&self.spans), Arc::clone(&self.metrics));
        let traces = move |Json(body): Json<Value>| async move {
            let mut all = spans.lock().expect("nobody panics with it");
            all.extend(within(&body, ["resourceSpans", "scopeSpans", "spans"]));
            "{}"
        };
        let counts = move |Json(body): Json<Value>| async move {
            let mut all = metrics.lock().expect("nobody panics with it");
            let told = within(&body, ["resourceMetrics", "scopeMetrics", "metrics"]);
            all.extend(told.iter().filter_map(|metric| metric["name"].as_str().map(str::to_owned)));
            "{}"
        };
        let router = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(counts));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{addr}")
    }

    /// The spans of an order, by their ids.
    fn of(&self, order_id: &str) -> BTreeMap<String, Value> {
        let trace = order_id.replace('-', "");
        let all = self.spans.lock().expect("nobody panics with it");
        let own = all.iter().filter(|span| span["traceId"] == trace.as_str());
        own.map(|span| (text(&span["spanId"]), span.clone())).collect()
    }

    fn names(&self, order_id: &str) -> BTreeSet<String> {
        self.of(order_id).values().map(|span| text(&span["name"])).collect()
    }
}

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
async fn an_order_is_one_tree_from_acceptance_to_delivery_and_so_is_one_that_is_undone() {
    let collector = Collector::default();
    let folder = std::env::temp_dir().join(format!("orderwright-traces-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut config = config(&folder.join("orders.db").to_string_lossy());
    config.telemetry.otlp_endpoint = collector.start().await;
    config.telemetry.otlp_interval_ms = 200;
    let running = Running::with(config).await;
    running.stock().await;

    let delivered = running.order("delivered", "CHAI", 2).await;
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

    let all = collector.spans.lock().expect("nobody panics with it").clone();
    let batch = all.iter().find(|span| text(&span["name"]).starts_with("process batch")).expect("a batch");
    let links = batch["links"].as_array().expect("links");
    assert!(!links.is_empty() && attribute(batch, "messaging.batch.message_count").is_some(), "{batch:#}");
    until("metrics to arrive", async || {
        let told = collector.metrics.lock().expect("nobody panics with it");
        ["orderwright.orders.accepted", "messaging.process.duration"].iter().all(|name| told.contains(*name))
    })
    .await;
    running.stop().await;
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}
