//! The form of returns, in answers.

use super::shape::{Schema, Shape, may, need};

/// Where a return may stand.
const STATUSES: &[&str] = &["requested", "received", "cancelled"];

/// A return.
pub(super) static RETURN_SCHEMA: Schema = Schema {
    name: "Return",
    shape: Shape::Object(&[
        need("return_id", Shape::Id, "Its id."),
        need("status", Shape::Choice(STATUSES), "Where it stands."),
        need("reason", Shape::Text, "Why the goods come back."),
        may("actor", Shape::Text, "Who asked for it; none for the carrier, which turned back."),
        need("requested_at", Shape::Time, "When."),
        need("lines", Shape::List(&LINE), "Its products, one line each."),
        may("ended_at", Shape::Time, "When it was received or cancelled."),
        may("ended_by", Shape::Text, "Who received or cancelled it."),
        may("end_note", Shape::Text, "What they said to it."),
        may(
            "refund_minor",
            Shape::Integer,
            "What is paid back for it, in minor units of the order's currency.",
        ),
        may("refund_key", Shape::Text, "The key under which the gateway gives it back once."),
        may("refunded_at", Shape::Time, "When the gateway had given it back."),
    ]),
};
/// A return as an order shows it.
pub(super) const RETURN: Shape = Shape::Named(&RETURN_SCHEMA);

const LINE: Shape = Shape::Named(&Schema {
    name: "ReturnLine",
    shape: Shape::Object(&[
        need("sku", Shape::Text, "The product."),
        need("quantity", Shape::Integer, "Units awaited."),
        need("received", Shape::Integer, "Units that arrived."),
        need("restocked", Shape::Integer, "Of these, for sale again."),
    ]),
});

#[cfg(test)]
mod tests {
    use domain::ReturnStatus;

    use super::STATUSES;

    #[test]
    fn the_document_names_every_status_of_a_return() {
        let statuses: Vec<&str> = ReturnStatus::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(STATUSES, statuses);
    }
}
