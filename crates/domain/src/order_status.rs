//! The headline status of an order and the table of its legal moves. It knows nothing of payments or parcels; they
//! have a status of their own.

use crate::{Move, TransitionReason, closed_set::closed_set};

closed_set! {
    /// The headline status of an order.
    pub enum OrderStatus {
        /// Accepted, not validated yet.
        Pending = 0, "pending";
        /// Validated.
        Validated = 1, "validated";
        /// Stock is reserved, the payment is requested.
        PaymentProcessing = 2, "payment_processing";
        /// The money is authorised; it is captured once the goods are shipped.
        Authorised = 3, "authorised";
        /// Paid.
        Paid = 4, "paid";
        /// Shipped.
        Shipped = 5, "shipped";
        /// Delivered.
        Delivered = 6, "delivered";
        /// Cancelled.
        Cancelled = 7, "cancelled";
    }
}

/// Every legal move of an order; all others are forbidden.
pub const LEGAL_MOVES: &[(OrderStatus, OrderStatus)] = &[
    (OrderStatus::Pending, OrderStatus::Validated),
    (OrderStatus::Pending, OrderStatus::Cancelled),
    (OrderStatus::Validated, OrderStatus::PaymentProcessing),
    (OrderStatus::Validated, OrderStatus::Cancelled),
    (OrderStatus::PaymentProcessing, OrderStatus::Authorised),
    (OrderStatus::PaymentProcessing, OrderStatus::Paid),
    (OrderStatus::PaymentProcessing, OrderStatus::Cancelled),
    (OrderStatus::Authorised, OrderStatus::Paid),
    (OrderStatus::Authorised, OrderStatus::Shipped),
    (OrderStatus::Authorised, OrderStatus::Cancelled),
    (OrderStatus::Paid, OrderStatus::Shipped),
    (OrderStatus::Paid, OrderStatus::Cancelled),
    (OrderStatus::Shipped, OrderStatus::Delivered),
];

impl OrderStatus {
    /// What the table says about a move from here to `to`. Staying is a no-op.
    pub fn may_become(self, to: Self) -> Move {
        if self == to {
            Move::NoOp
        } else if LEGAL_MOVES.contains(&(self, to)) {
            Move::Legal
        } else {
            Move::Illegal
        }
    }

    /// Whether the status is final.
    pub fn is_terminal(self) -> bool {
        !LEGAL_MOVES.iter().any(|&(from, _)| from == self)
    }

    /// Why the table has no move from here to `to`. Meaningful only if it has none.
    pub(crate) fn why_not(self, to: Self) -> TransitionReason {
        if self.is_terminal() {
            TransitionReason::AlreadyEnded
        } else if to == Self::Cancelled {
            TransitionReason::AlreadyShipped
        } else if to < self {
            TransitionReason::Backwards
        } else {
            TransitionReason::StepSkipped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_pair() -> impl Iterator<Item = (OrderStatus, OrderStatus)> {
        let all = OrderStatus::ALL.iter().copied();
        all.clone().flat_map(move |from| all.clone().map(move |to| (from, to)))
    }

    #[test]
    fn a_move_is_legal_exactly_if_the_table_has_it() {
        for (from, to) in every_pair() {
            let expected = match (from == to, LEGAL_MOVES.contains(&(from, to))) {
                (true, _) => Move::NoOp,
                (false, true) => Move::Legal,
                (false, false) => Move::Illegal,
            };
            assert_eq!(from.may_become(to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn every_legal_move_goes_forward() {
        assert!(LEGAL_MOVES.iter().all(|(from, to)| from < to));
    }

    #[test]
    fn every_status_is_reached_from_pending_and_reaches_an_end() {
        for &status in OrderStatus::ALL {
            assert!(status == OrderStatus::Pending || LEGAL_MOVES.iter().any(|&(_, to)| to == status));
        }
        let ends: Vec<_> = OrderStatus::ALL.iter().copied().filter(|status| status.is_terminal()).collect();
        assert_eq!(ends, [OrderStatus::Delivered, OrderStatus::Cancelled]);
    }

    #[test]
    fn goods_on_their_way_cannot_be_cancelled_and_the_reason_says_so() {
        assert_eq!(OrderStatus::Shipped.may_become(OrderStatus::Cancelled), Move::Illegal);
        assert_eq!(OrderStatus::Shipped.why_not(OrderStatus::Cancelled), TransitionReason::AlreadyShipped);
        assert_eq!(OrderStatus::Cancelled.why_not(OrderStatus::Paid), TransitionReason::AlreadyEnded);
        assert_eq!(OrderStatus::Paid.why_not(OrderStatus::Pending), TransitionReason::Backwards);
        assert_eq!(OrderStatus::Pending.why_not(OrderStatus::Paid), TransitionReason::StepSkipped);
    }
}
