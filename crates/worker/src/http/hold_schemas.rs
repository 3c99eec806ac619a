//! The form of holds, in requests and in answers.

use super::shape::{Schema, Shape, may, need};

/// The steps before which an order may wait.
pub(super) const HOLD_POINTS: &[&str] = &["payment", "shipping"];

/// A hold.
pub(super) static HOLD_SCHEMA: Schema = Schema {
    name: "Hold",
    shape: Shape::Object(&[
        need("hold_id", Shape::Id, "Its id, by which it is released."),
        need("before", Shape::Choice(HOLD_POINTS), "The step that it keeps the order from."),
        need("reason", Shape::Text, "Why."),
        may("actor", Shape::Text, "Who placed it; none for a rule of the configuration."),
        need("placed_at", Shape::Time, "When."),
        may("released_at", Shape::Time, "When it was released."),
        may("released_by", Shape::Text, "Who released it."),
        may("release_note", Shape::Text, "Why it was released."),
    ]),
};
/// A hold as an order shows it.
pub(super) const HOLD: Shape = Shape::Named(&HOLD_SCHEMA);

#[cfg(test)]
mod tests {
    use domain::HoldPoint;

    use super::HOLD_POINTS;

    #[test]
    fn the_document_names_every_step_before_which_an_order_may_wait() {
        let points: Vec<&str> = HoldPoint::ALL.iter().map(|point| point.as_str()).collect();
        assert_eq!(HOLD_POINTS, points);
    }
}
