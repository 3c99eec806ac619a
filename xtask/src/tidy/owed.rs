//! The names that the requirements promise: whoever comes from there finds each by searching. Says nothing about what stands
//! behind a name.

use std::collections::HashSet;

use crate::tree::{Finding, TextFile, Tree};

/// Types, events and methods that the requirements name. One that is renamed is renamed there first.
const NAMES: &[&str] = &[
    // D: the domain and its events
    "Order",
    "Product",
    "Inventory",
    "OrderStatus",
    "StockMovement",
    "OrderCreated",
    "OrderValidated",
    "InventoryReserved",
    "InventoryReleased",
    "PaymentProcessed",
    "PaymentFailed",
    "OrderShipped",
    "OrderDelivered",
    "OrderCancelled",
    // A: commands
    "CreateOrderCommand",
    "ReserveInventoryCommand",
    "CancelOrderCommand",
    "AdjustStockCommand",
    // M: messages, consumers, the saga
    "OrderCreatedEvent",
    "InventoryReservationRequested",
    "PaymentProcessingRequested",
    "OrderShippingRequested",
    "OrderTimeoutEvent",
    "OrderCreatedConsumer",
    "InventoryReservationConsumer",
    "PaymentConsumer",
    "PaymentProcessedConsumer",
    "ShippingConsumer",
    "ShippingCompletedConsumer",
    "OrderProcessingSaga",
    // S: repositories
    "OrderRepository",
    "ProductRepository",
    "InventoryRepository",
    "get_by_id",
    "get_by_ids",
    "get_orders_with_items",
    "get_orders_by_status",
    "update_inventory",
    "get_low_stock_products",
    "reserve_stock",
    "release_reservation",
    "update_available_stock",
    // X: the outside
    "PaymentGateway",
    "ShippingProvider",
    "NotificationService",
    // W: background services
    "InventoryMonitoringService",
    "MetricsCollectionService",
];

/// What stands before a name where it is declared.
const KEYWORDS: &[&str] = &["struct", "enum", "trait", "type", "fn"];

/// Every owed name is declared in the source.
pub(super) fn names_are_there(tree: &Tree) -> Vec<Finding> {
    let sources = tree.ending(".rs").filter(|file| file.path.starts_with("crates/") && !file.is_test());
    let declared: HashSet<&str> = sources.flat_map(declared).collect();
    let absent = NAMES.iter().filter(|name| !declared.contains(**name));
    let finding = |name: &&str| Finding {
        path: "crates".into(),
        line: 1,
        message: format!("declares no `{name}`, which the requirements promise; keep the name"),
    };
    absent.map(finding).collect()
}

/// The names that a file declares: items, variants and messages, and names on the wire as string constants.
fn declared(file: &TextFile) -> impl Iterator<Item = &str> {
    file.lines().filter_map(|(_, line)| {
        let mut words =
            line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        if line.trim_start().starts_with("//") {
            return None;
        }
        if line.contains("const ") && line.contains("&str = \"") {
            return line.split('"').nth(1);
        }
        let first = words.clone().next()?;
        let is_variant =
            first.starts_with(|c: char| c.is_ascii_uppercase()) && line.trim_end().ends_with([',', '{']);
        if is_variant {
            Some(first)
        } else {
            words.find(|word| KEYWORDS.contains(word)).and_then(|_| words.next())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn absent(text: &str) -> usize {
        names_are_there(&tree_of(&[("crates/a/src/a.rs", text)])).len()
    }

    #[test]
    fn a_name_counts_where_it_is_declared() {
        for text in [
            "pub struct Order {\n",
            "pub trait OrderRepository: Send {\n",
            "    async fn get_by_id(&self) -> u8;\n",
            "    OrderCreated {\n",
            "pub const ORDER_TIMEOUT_EVENT: &str = \"OrderTimeoutEvent\";\n",
        ] {
            assert_eq!(absent(text), NAMES.len() - 1, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_only_mentioned_does_not_count() {
        for text in ["// struct Order\n", "let order = Order::new();\n", "pub struct Orders {\n"] {
            assert_eq!(absent(text), NAMES.len(), "{text}");
        }
        let test = names_are_there(&tree_of(&[("crates/a/tests/a.rs", "struct Order {}\n")]));
        assert_eq!(test.len(), NAMES.len());
    }
}
