//! `bus` and its adapters could be published on their own: they must not know what is traded over them. This file knows the
//! words that would give them away, and must let pass the everyday meanings of "order".

use crate::tree::{Finding, Tree};

/// Where the bus and its adapters are: `crates/bus/`, `crates/bus-rabbitmq/`.
const BUSES: [&str; 2] = ["crates/bus/", "crates/bus-"];

/// Words that are about trade wherever they stand, alone or as part of a name.
const TRADE: &[&str] = &[
    "orders",
    "payment",
    "payments",
    "inventory",
    "inventories",
    "shipping",
    "shipment",
    "shipments",
    "sku",
    "skus",
    "customer",
    "customers",
];

/// Before a bare "order" these make it a thing that is bought; "in order to" and "in id order" stay free.
const ARTICLES: &[&str] = &["an", "each", "every", "per", "whose"];

/// Before `Order` in a CamelCase name these mean sequence, as in `OutOfOrder`.
const SEQUENCE: &[&str] = &["of", "in", "by", "sort", "lock", "byte"];

/// The bus speaks of messages, sagas and timers, never of what they are about.
pub(super) fn bus_knows_no_trade(tree: &Tree) -> Vec<Finding> {
    let files = tree.ending(".rs").filter(|file| BUSES.iter().any(|bus| file.path.starts_with(bus)));
    let lines = files.flat_map(|file| file.lines().map(move |(number, line)| (file, number, line)));
    lines.filter_map(|(file, number, line)| Some(file.finding(number, message(&trade_word(line)?)))).collect()
}

fn message(word: &str) -> String {
    format!("`{word}` is a word of the trade; `bus` speaks of messages and sagas only, so use a neutral word")
}

fn trade_word(line: &str) -> Option<String> {
    let mut previous = "";
    for name in line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|name| !name.is_empty()) {
        if is_trade(name, previous) {
            return Some(name.to_owned());
        }
        previous = name;
    }
    None
}

fn is_trade(name: &str, previous: &str) -> bool {
    let words = words_of(name);
    if words.iter().any(|word| TRADE.contains(&word.as_str())) {
        return true;
    }
    match words.as_slice() {
        [only] => only == "order" && ARTICLES.contains(&previous.to_lowercase().as_str()),
        several => {
            several.iter().enumerate().any(|(at, word)| word == "order" && names_an_order(name, several, at))
        }
    }
}

/// Whether "order" at this place of a compound name is a thing: `order_id`, `CreateOrder`, but not `lock_order`, `order_by`.
fn names_an_order(name: &str, words: &[String], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|index| words.get(index));
    let after = words.get(at + 1).map(String::as_str);
    if before.is_some_and(|word| SEQUENCE.contains(&word.as_str())) || after == Some("by") {
        return false;
    }
    after.is_some() || !name.contains('_')
}

/// The words of a name, in lower case: `OrderId`, `order_id` and `ORDER_ID` alike.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        if let Some(word) = words.last_mut().filter(|_| c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn is_found(line: &str) -> bool {
        !bus_knows_no_trade(&tree_of(&[("crates/bus/src/lib.rs", line)])).is_empty()
    }

    #[test]
    fn words_of_the_trade_are_found_in_code_and_comments() {
        for line in [
            "struct OrderId(Uuid);",
            "let order_id = 1;",
            "const ORDER_TTL_MS: u64 = 1;",
            "enum Kind { CreateOrder }",
            "// when an order arrives",
            "// the batch of orders",
            "fn take_payment() {}",
            "/// Reserves the inventory.",
            "PaymentProcessingRequested",
            "// the customer's name",
            "shipping_done",
            "sku: String",
        ] {
            assert!(is_found(line), "{line}");
        }
    }

    #[test]
    fn order_as_sequence_is_no_trade() {
        for line in [
            "use std::cmp::Ordering;",
            "Ordering::SeqCst",
            "// in order to",
            "// rows are locked in id order",
            "ORDER BY id",
            "out_of_order: bool",
            "ParkReason::OutOfOrder",
            "order_by(id)",
            "let lock_order = ids;",
            "// Order matters here, and the order of the locks too",
            "reordered, border, shipped",
        ] {
            assert!(!is_found(line), "{line}");
        }
    }

    #[test]
    fn other_crates_may_speak_of_trade() {
        assert!(
            bus_knows_no_trade(&tree_of(&[("crates/domain/src/order.rs", "struct OrderId;")])).is_empty()
        );
    }
}
