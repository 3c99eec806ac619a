//! From the text of an order to a command, or to everything that is wrong with it. The straight way is one typed parse;
//! only a text that fails there is looked at member by member.

use application::commands::{CreateOrderCommand, Violation};
use application::messages::Amount;
use application::ports::Caller;
use application::validators::{LineDraft, OrderDraft, validate_order};
use domain::OrderId;
use serde_json::Value;

use super::body;
use super::detail_schemas::{ADDRESS, CONTACT, MONEY_LINE};
use super::hold_schemas::HOLD_POINTS;
use super::problem::{Place, Problem, Wrong};
use super::shape::{AMOUNT, Schema, Shape, may, need};

/// Why a text is no order.
pub(super) enum Refused {
    /// It is not even JSON.
    Unreadable(Problem),
    /// These things are wrong with it.
    Wrong(Vec<Wrong>),
}

impl Refused {
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Unreadable(problem) => problem,
            Self::Wrong(wrongs) => Problem::invalid(wrongs),
        }
    }
}

/// The command that a text asks for.
pub(super) fn command(
    text: &[u8],
    order_id: OrderId,
    caller: &Caller,
) -> Result<CreateOrderCommand, Refused> {
    match serde_json::from_slice::<OrderDraft>(text) {
        Ok(draft) => validate_order(&draft, order_id, caller)
            .map_err(|violations| Refused::Wrong(violations.into_iter().map(Wrong::from).collect())),
        Err(error) => Err(diagnosed(text, &error, caller)),
    }
}

/// All violations of a text that is not an order draft: of its form, and of the content of the rest.
pub(super) fn diagnosed(text: &[u8], error: &serde_json::Error, caller: &Caller) -> Refused {
    let (value, mut wrongs) = match body::examined(text, &ORDER_REQUEST.shape, error) {
        Ok(found) => found,
        Err(problem) => return Refused::Unreadable(problem),
    };
    let sense = validate_order(&mended(&value), OrderId(uuid::Uuid::nil()), caller);
    let news: Vec<Wrong> = sense
        .err()
        .unwrap_or_default()
        .into_iter()
        .filter(|violation| !explained(violation, &wrongs))
        .map(Wrong::from)
        .collect();
    wrongs.extend(news);
    Refused::Wrong(wrongs)
}

/// Whether a violation is inside a part whose form is wrong already.
fn explained(violation: &Violation, wrongs: &[Wrong]) -> bool {
    wrongs.iter().any(|wrong| match &wrong.place {
        Place::Pointer(pointer) => !pointer.is_empty() && violation.pointer.starts_with(pointer.as_str()),
        Place::Parameter(_) | Place::UnknownParameter(_) => false,
    })
}

/// The draft that is left of a value; what has not its form is replaced by something that makes sense.
fn mended(value: &Value) -> OrderDraft {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    fn part<T: serde::de::DeserializeOwned>(value: &Value, name: &str) -> Option<T> {
        serde_json::from_value(value[name].clone()).ok()
    }
    let lines = value["lines"]
        .as_array()
        .map_or_else(|| vec![mended_line(&Value::Null)], |lines| lines.iter().map(mended_line).collect());
    OrderDraft {
        customer_id: text("customer_id").unwrap_or_else(|| PLACEHOLDER.to_owned()),
        lines,
        payment_token: text("payment_token"),
        external_reference: text("external_reference"),
        ordered_at: text("ordered_at"),
        // Parts of another form are named as such already; the others are looked into.
        total: part(value, "total"),
        contact: part(value, "contact"),
        shipping_address: part(value, "shipping_address"),
        billing_address: part(value, "billing_address"),
        money_lines: part(value, "money_lines").unwrap_or_default(),
        tags: part(value, "tags").unwrap_or_default(),
        order_note: text("order_note"),
        metadata: part(value, "metadata").unwrap_or_default(),
        holds: part(value, "holds").unwrap_or_default(),
        when_short: text("when_short"),
    }
}

fn mended_line(line: &Value) -> LineDraft {
    let price = &line["unit_price"];
    let amount = price["minor"]
        .as_i64()
        .zip(price["currency"].as_str())
        .map(|(minor, currency)| Amount { minor, currency: currency.to_owned() });
    LineDraft {
        sku: line["sku"].as_str().unwrap_or(PLACEHOLDER).to_owned(),
        quantity: line["quantity"].as_i64().unwrap_or(1),
        unit_price: amount,
    }
}

/// Replaces an unreadable value.
const PLACEHOLDER: &str = "x";

const LINE: Shape = Shape::Named(&Schema {
    name: "OrderLineRequest",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product: 1 to 64 printable characters."),
        need(
            "quantity",
            Shape::Units,
            "Whole units, 1 to 1000000; goods by weight are sold in a smaller unit, such as grams.",
        ),
        may(
            "unit_price",
            AMOUNT,
            "The price agreed on; the catalogue's, if none. At most 10^15 minor units.",
        ),
    ]),
});

const HOLD: Shape = Shape::Named(&Schema {
    name: "OrderHoldRequest",
    shape: Shape::Object(&[
        need("before", Shape::Choice(HOLD_POINTS), "The step that it keeps the order from."),
        need("reason", Shape::Text, "Why: 1 to 255 bytes."),
    ]),
});

/// An order as a client writes it.
pub(super) static ORDER_REQUEST: Schema = Schema {
    name: "OrderRequest",
    shape: Shape::Object(&[
        need("customer_id", Shape::Text, "Whom it is for: 1 to 64 characters."),
        need(
            "lines",
            Shape::List(&LINE),
            "What is wanted: 1 to 1000 lines, that come to at most 10^15 minor units.",
        ),
        may("payment_token", Shape::Text, "How the customer pays, in the gateway's terms."),
        may(
            "external_reference",
            Shape::Text,
            "Your own name for it: 1 to 255 bytes; one order of yours bears it, for good.",
        ),
        may("ordered_at", Shape::Time, "When the customer ordered; now, if not said."),
        may(
            "total",
            AMOUNT,
            "What it comes to in all; refused if lines and money lines do not add up to it.",
        ),
        may("contact", CONTACT, "Whom to reach about it."),
        may("shipping_address", ADDRESS, "Where the goods go."),
        may("billing_address", ADDRESS, "Whom the bill is for."),
        may(
            "money_lines",
            Shape::List(&MONEY_LINE),
            "What it costs beside the goods: at most 50, in the order's currency.",
        ),
        may("tags", Shape::List(&Shape::Text), "Words of the shop's own, at most 20; they are not searched."),
        may("order_note", Shape::Text, "What the customer or the shop has to say: at most 4000 bytes."),
        may("metadata", Shape::Texts, "What the shop wants to remember: at most 50 names with a text each."),
        may("holds", Shape::List(&HOLD), "The holds that it is to have from the beginning, at most 10."),
        may(
            "when_short",
            Shape::Choice(&["cancel", "wait"]),
            "What becomes of it if not all its goods are in stock: it is cancelled, or waits for them. As is configured, unless said.",
        ),
    ]),
};
