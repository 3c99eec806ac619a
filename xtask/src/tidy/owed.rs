//! The names that the requirements promise, so that their reader finds each by searching. It says nothing about what a name
//! does.

use std::collections::HashSet;

use crate::tree::{Finding, TextFile, Tree};

/// Names that one crate owes.
struct Owed {
    crate_name: &'static str,
    names: &'static [&'static str],
}

/// Types, events and methods that the requirements name. One that is renamed is renamed there first.
const OWED: &[Owed] = &[
    Owed {
        crate_name: "domain",
        names: &[
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
        ],
    },
    Owed {
        crate_name: "application",
        names: &[
            "CreateOrderCommand",
            "ReserveInventoryCommand",
            "CancelOrderCommand",
            "AdjustStockCommand",
            "ProcessPaymentCommand",
            "ShipOrderCommand",
            "RefundPaymentCommand",
            "GetOrderStatusQuery",
            "GetInventoryLevelsQuery",
            "GetOrderHistoryQuery",
            "OrderTimeoutService",
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
            "PaymentGateway",
            "ShippingProvider",
            "NotificationService",
        ],
    },
    Owed { crate_name: "worker", names: &["InventoryMonitoringService", "MetricsCollectionService"] },
];

/// What stands before a name where it is declared.
const KEYWORDS: &[&str] = &["struct", "enum", "trait", "type", "fn"];

/// Every owed name is declared in the source of its crate.
pub(super) fn names_are_there(tree: &Tree) -> Vec<Finding> {
    OWED.iter().flat_map(|owed| absent(tree, owed)).collect()
}

fn absent(tree: &Tree, owed: &Owed) -> Vec<Finding> {
    let folder = format!("crates/{}/src/", owed.crate_name);
    let sources = tree.ending(".rs").filter(|file| file.path.starts_with(&folder) && !file.is_test());
    let declared: HashSet<&str> = sources.flat_map(declared).collect();
    let absent = owed.names.iter().filter(|name| !declared.contains(**name));
    let finding = |name: &&str| Finding {
        path: folder.clone(),
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
        let is_named = first.starts_with(|c: char| c.is_ascii_uppercase());
        let is_in_closed_set = line.contains(" = ") && line.trim_end().ends_with("\";");
        let is_variant = is_named && (line.trim_end().ends_with([',', '{']) || is_in_closed_set);
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

    const TRY: Owed = Owed {
        crate_name: "a",
        names: &["Order", "OrderRepository", "get_by_id", "OrderCreated", "OrderTimeoutEvent"],
    };

    fn missing(path: &str, text: &str) -> usize {
        absent(&tree_of(&[(path, text)]), &TRY).len()
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
            assert_eq!(missing("crates/a/src/a.rs", text), TRY.names.len() - 1, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_only_mentioned_does_not_count() {
        for text in ["// struct Order\n", "let order = Order::new();\n", "pub struct Orders {\n"] {
            assert_eq!(missing("crates/a/src/a.rs", text), TRY.names.len(), "{text}");
        }
        for path in ["crates/a/tests/a.rs", "crates/b/src/a.rs"] {
            assert_eq!(
                missing(
                    path,
                    "struct Order {}
"
                ),
                TRY.names.len(),
                "{path}"
            );
        }
    }
}
