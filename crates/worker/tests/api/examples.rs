//! A request for each operation that writes, with what says the same in other words and what says something else.

use application::consumers::OrderCreatedConsumer;
use bus::harness::MemoryErrorQueues;
use bus::{Consumer, ErrorQueues};
use futures_util::FutureExt;
use serde_json::{Value, json};

/// A request that has an effect, the same in other words, and one that asks for something else.
pub(crate) struct Example {
    pub(crate) body: String,
    pub(crate) same: String,
    pub(crate) other: String,
    /// Each member with another value.
    pub(crate) changed: Vec<String>,
}

impl Example {
    /// Of a JSON body; the other request differs in this.
    fn json(body: &Value, pointer: &str, other: Value) -> Self {
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).expect("it is there") = other;
        let other = changed.to_string();
        let changed = leaves(body, "").iter().map(|leaf| altered(body, leaf)).collect();
        Self { body: body.to_string(), same: respelled(body), other, changed }
    }
}

/// Pointers to everything in a value that holds nothing else.
fn leaves(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| leaves(value, &format!("{at}/{name}"))).collect()
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, value)| leaves(value, &format!("{at}/{index}")))
            .collect(),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => vec![at.to_owned()],
    }
}

/// The value with something else in one place, of the same kind.
fn altered(body: &Value, leaf: &str) -> String {
    let mut altered = body.clone();
    let place = altered.pointer_mut(leaf).expect("it is there");
    *place = match &*place {
        // A time stays one.
        Value::String(text) if text.ends_with('Z') => json!(text.replace("09:00", "08:00")),
        // So does an id.
        Value::String(text) if text.parse::<uuid::Uuid>().is_ok() => json!(uuid::Uuid::nil()),
        Value::String(text) => json!(format!("{text}x")),
        Value::Bool(is_so) => json!(!is_so),
        number @ (Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_)) => {
            json!(number.as_i64().expect("a number") + 1)
        }
    };
    altered.to_string()
}

/// The same value with its members the other way round, spaces between, and its letters escaped.
fn respelled(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .rev()
                .map(|(name, value)| format!("{} :\n {}", respelled(&json!(name)), respelled(value)))
                .collect();
            format!("{{ {} }}", members.join(" ,\t"))
        }
        Value::Array(items) => {
            format!("[ {} ]", items.iter().map(respelled).collect::<Vec<_>>().join(" , "))
        }
        Value::String(text) => {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{escaped}\"")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The error queue that is acted on.
pub(crate) const ERRORS: &str = "payment_error";

pub(crate) fn error_queues() -> MemoryErrorQueues {
    let queues = MemoryErrorQueues::beside(&["payment"]);
    queues.set_aside("payment", "{}", "it makes no sense");
    queues.set_aside("payment", "[]", "nor does this");
    queues
}

fn of_errors() -> Example {
    let look = error_queues().look_at_errors(ERRORS, 1).now_or_never().expect("it is in memory");
    let mark = look.expect("a message")[0].mark;
    let wish = json!({"count": 1, "mark": mark, "actor": "eve", "reason": "mended"});
    Example::json(&wish, "/count", json!(2))
}

fn of_order() -> Example {
    let price = json!({"minor": 1800, "currency": "USD"});
    let order = json!({
        "customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 1, "unit_price": price}],
        "payment_token": "tok_visa", "ordered_at": "2026-03-04T09:00:00Z", "external_reference": "PO-1",
        "total": {"minor": 2300, "currency": "USD"},
        "money_lines": [{"kind": "shipping", "label": "post", "amount": {"minor": 500, "currency": "USD"}}],
        "contact": {"name": "Ann", "email": "ann@example.org", "phone": "1"},
        "shipping_address": {"name": "Ann", "lines": ["1 Road"], "city": "Cork", "country": "IE"},
        "billing_address": {"company": "Ann Ltd", "country": "IE"},
        "tags": ["gift"], "order_note": "ring twice", "metadata": {"basket": "7"},
        "holds": [{"before": "payment", "reason": "a check"}],
    });
    Example::json(&order, "/order_note", json!("ring once"))
}

fn of_change() -> Example {
    let address = json!({"name": "Ann", "lines": ["2 Strand"], "city": "Galway", "country": "IE"});
    let wish = json!({
        "shipping_address": address, "billing_address": address, "contact": {"name": "Ann"}, "actor": "eve", "note": "moved",
    });
    Example::json(&wish, "/contact/name", json!("Bea"))
}

fn of_hold() -> Example {
    let wish = json!({"before": "shipping", "reason": "a check", "actor": "eve"});
    Example::json(&wish, "/reason", json!("another check"))
}

fn of_fewer() -> Example {
    let wish = json!({
        "lines": [{"sku": "CHAI", "quantity": 1}], "amount": {"minor": 100, "currency": "USD"}, "actor": "eve", "note": "regret",
    });
    Example::json(&wish, "/note", json!("out of season"))
}

fn of_return(operation: &str) -> Example {
    match operation {
        "requestReturn" => {
            let line = json!({"sku": "CHAI", "quantity": 1});
            let wish = json!({"lines": [line], "reason": "too small", "actor": "eve"});
            Example::json(&wish, "/reason", json!("too large"))
        }
        _ => {
            let line = json!({"sku": "CHAI", "received": 2, "restocked": 1});
            let refund = json!({"minor": 100, "currency": "USD"});
            let wish = json!({
                "lines": [line], "restock": true, "refund": refund, "actor": "eve", "note": "opened",
            });
            Example::json(&wish, "/lines/0/restocked", json!(2))
        }
    }
}

fn of_refund() -> Example {
    let amount = json!({"minor": 100, "currency": "USD"});
    let wish = json!({"amount": amount, "actor": "eve", "reason": "broken"});
    Example::json(&wish, "/amount/minor", json!(200))
}

/// An example of what is done to webhook endpoints.
fn of_webhooks(operation: &str) -> Example {
    match operation {
        "addWebhookEndpoint" => {
            let wish = json!({
                "url": "https://shop.example/hooks", "types": ["OrderShipped"], "note": "the shop", "after": 3,
                "actor": "eve", "reason": "as agreed",
            });
            Example::json(&wish, "/url", json!("https://other.example/hooks"))
        }
        "changeWebhookEndpoint" => {
            let wish = json!({
                "url": "https://shop.example/hooks", "types": ["OrderShipped"], "note": "the shop", "state": "paused",
                "after": 3, "actor": "eve", "reason": "as agreed",
            });
            Example::json(&wish, "/state", json!("active"))
        }
        "rotateWebhookSecret" | "removeWebhookEndpoint" => {
            Example::json(&json!({"actor": "eve", "reason": "as agreed"}), "/reason", json!("a test"))
        }
        "redeliverEvents" => {
            let wish = json!({"position": 7, "actor": "eve", "reason": "it was mended"});
            Example::json(&wish, "/reason", json!("a test"))
        }
        unknown => panic!("{unknown} is nothing that is done to webhook endpoints"),
    }
}

/// An example for each operation that writes. A new one needs its own.
pub(crate) fn example(operation: &str) -> Example {
    let who = json!({"actor": "eve", "note": "looked into it"});
    match operation {
        "createOrder" => of_order(),
        "cancelOrder" => {
            let wish = json!({"reason": "customer", "actor": "eve", "note": "no more"});
            let changed = Example::json(&wish, "/note", json!("none"));
            // What is not said is said by leaving it out.
            Example { same: json!({"note": "no more", "actor": "eve"}).to_string(), ..changed }
        }
        "refundOrder" => of_refund(),
        "changeOrder" => of_change(),
        "holdOrder" => of_hold(),
        "cancelLines" => of_fewer(),
        "requestReturn" | "receiveReturn" => of_return(operation),
        "retrySaga"
        | "skipSaga"
        | "forceSaga"
        | "seeToUnmatchedEvent"
        | "takeUnmatchedEventAgain"
        | "tellCustomerAgain"
        | "eraseContact"
        | "cancelReturn"
        | "releaseHold" => Example::json(&who, "/note", json!("closer")),
        "redriveDeadLetters" => {
            let wish = json!({
                "queue": OrderCreatedConsumer::QUEUE, "kind": "OrderCreatedEvent", "reason_contains": "no sense",
                "max": 7, "per_second": 1_000, "actor": "eve", "note": "mended",
            });
            Example::json(&wish, "/max", json!(8))
        }
        "discardDeadLetters" => {
            let wish = json!({"reason_contains": "sense", "max": 7, "actor": "eve", "note": "of no use"});
            Example::json(&wish, "/note", json!("a test"))
        }
        "pauseQueue" | "resumeQueue" => {
            let wish = json!({"actor": "eve", "reason": "the carrier asked for it"});
            Example::json(&wish, "/reason", json!("a test"))
        }
        "putBackErrors" | "discardErrors" => of_errors(),
        "addWebhookEndpoint"
        | "changeWebhookEndpoint"
        | "rotateWebhookSecret"
        | "removeWebhookEndpoint"
        | "redeliverEvents" => of_webhooks(operation),
        "receiveStock" | "adjustStock" | "countStock" => {
            let change = json!({"quantity": 10, "reason": "delivery note 77", "actor": "anna"});
            Example::json(&change, "/quantity", json!(11))
        }
        "importProducts" => {
            let product = json!({"sku": "NEW", "name": "N", "price": {"minor": 1, "currency": "USD"}, "stock": 3, "description": "", "reorder_level": 1, "availability": "active"});
            Example::json(
                &json!({"import": "spring", "products": [product]}),
                "/products/0/price/minor",
                json!(2),
            )
        }
        "changeProduct" => {
            let change = json!({
                "name": "Tofu, firm", "description": "It is firm.", "price": {"minor": 2400, "currency": "USD"},
                "reorder_level": 12, "availability": "active", "actor": "eve", "note": "firmer",
            });
            Example::json(&change, "/reorder_level", json!(13))
        }
        "importOrders" => {
            let order = json!({"external_reference": "R", "customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]});
            let mut changed = Example::json(&order, "/external_reference", json!("S"));
            changed.same = changed.same.replace(['\n', '\t'], " ");
            changed
        }
        unknown => panic!("{unknown} writes; say here what it takes, so that it is tried"),
    }
}
