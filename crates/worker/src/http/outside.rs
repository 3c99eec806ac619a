//! The parsers of client input, without a service behind them, for fuzzing. They parse exactly as the handlers do.

use application::ports::Caller;
use domain::OrderId;
use http::StatusCode;
use uuid::Uuid;

use super::cursor::{Cursor, Position};
use super::draft::{self, Refused};
use super::import_answer::ImportedOrder;
use super::problem::Problem;
use super::{csv_orders, inventory, ndjson_orders, orders, products, sagas};

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// An order.
    Order,
    /// Orders, a row for each line.
    OrdersInCsv,
    /// Orders, one a line.
    OrdersInNdjson,
    /// A batch of products.
    Products,
    /// A change of stock.
    StockChange,
    /// The wish to cancel an order.
    Cancellation,
    /// A person's hand on a saga.
    SagaOperation,
    /// Where a listing goes on.
    Cursor,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It says something.
    Taken,
    /// It is refused with this status.
    Refused(StatusCode),
}

impl Reader {
    /// Reads this as the API would.
    #[must_use]
    pub fn read(self, bytes: &[u8]) -> Verdict {
        let order_id = OrderId(Uuid::nil());
        let read = match self {
            Self::Order => {
                draft::command(bytes, order_id, &Caller::without_key()).map(drop).map_err(Refused::problem)
            }
            Self::OrdersInCsv => csv_orders::read(bytes).map(|orders| judge(&orders)),
            Self::OrdersInNdjson => {
                judge(&ndjson_orders::read(bytes));
                Ok(())
            }
            Self::Products => products::command(bytes).map(drop),
            Self::StockChange => inventory::is_adjustment(bytes),
            Self::Cancellation => orders::cancellation(order_id, bytes).map(drop),
            Self::SagaOperation => sagas::operation_in(order_id, bytes).map(drop),
            Self::Cursor => {
                cursors(&String::from_utf8_lossy(bytes));
                Ok(())
            }
        };
        read.map_or_else(|problem: Problem| Verdict::Refused(problem.code().status()), |()| Verdict::Taken)
    }
}

/// Each order is refused or accepted by itself.
fn judge(orders: &[ImportedOrder]) {
    for order in orders {
        if let Ok(draft) = &order.draft {
            let _ =
                application::validators::validate_order(draft, OrderId(Uuid::nil()), &Caller::without_key());
        }
    }
}

/// A place that is read is written back as it came.
fn cursors(text: &str) {
    if let Ok(order) = OrderId::decode(text) {
        assert_eq!(order.encode(), text, "a cursor has one form only");
    }
    let _ = domain::Sku::decode(text);
    let _ = Position::decode(text);
}
