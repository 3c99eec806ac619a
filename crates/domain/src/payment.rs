//! The payment of one order, with a status of its own beneath the headline status. Verbs record what the gateway
//! said; none may call it, guess an answer, or record more refunds than captures.

use jiff::Timestamp;

use crate::{
    BrokenInvariant, Change, Money, Move, OrderId, PaymentNotes, PaymentStatus, Rejection,
    closed_set::closed_set, invariant::check_all,
};

closed_set! {
    /// Where a dispute of the customer's bank stands.
    pub enum Dispute {
        /// Open: the bank may take the money back.
        Open = 0, "open";
        /// Won: the money is ours.
        Won = 1, "won";
        /// Lost: the money is gone.
        Lost = 2, "lost";
    }
}

closed_set! {
    /// When the money of an order is taken.
    pub enum Capture {
        /// With the order: one call authorises and captures.
        AtOnce = 0, "at_once";
        /// Once its goods are shipped; until then it is authorised.
        AtShipment = 1, "at_shipment";
    }
}

/// The money of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Whose money.
    pub order_id: OrderId,
    /// The idempotency key: the same for every attempt, so that the gateway charges once.
    pub key: String,
    /// Where the money is.
    pub status: PaymentStatus,
    /// The requested amount.
    pub amount: Money,
    /// The captured amount, in minor units of the requested currency.
    pub captured_minor: i64,
    /// The refunded amount, in minor units.
    pub refunded_minor: i64,
    /// The gateway's name for the charge.
    pub provider_reference: Option<String>,
    /// How often the gateway was called.
    pub attempts: u32,
    /// Why the gateway refused, in its own code.
    pub decline_code: Option<String>,
    /// The refunds that the gateway's events reported, in minor units: part of the refunded amount, or all of it.
    /// Kept apart because an event reports one refund, our own answer reports the sum, and both are about the same
    /// money.
    pub refund_told_minor: i64,
    /// Whether the customer's bank disputes it, or did.
    pub dispute: Option<Dispute>,
    /// What is known beside the order's own charge.
    pub notes: PaymentNotes,
    /// Until when the authorisation holds, if the gateway says so.
    pub authorised_until: Option<Timestamp>,
}

impl Payment {
    /// Requests the payment. For an order that costs nothing it is waived at once, and the gateway is not called.
    pub fn request(order_id: OrderId, amount: Money) -> Self {
        let status = if amount.minor == 0 { PaymentStatus::Waived } else { PaymentStatus::Requested };
        Self {
            order_id,
            key: format!("pay-{order_id}"),
            status,
            amount,
            captured_minor: 0,
            refunded_minor: 0,
            provider_reference: None,
            attempts: 0,
            decline_code: None,
            refund_told_minor: 0,
            dispute: None,
            notes: PaymentNotes::default(),
            authorised_until: None,
        }
    }

    /// Counts a call of the gateway.
    pub const fn note_attempt(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Records that an answer was lost. If a later answer is known already, nothing changes.
    pub fn note_unknown(&mut self) -> Result<Change, Rejection> {
        self.advance(PaymentStatus::Unknown)
    }

    /// Records that the money is authorised, and until when, if the gateway says so.
    pub fn authorise(&mut self, reference: &str, until: Option<Timestamp>) -> Result<Change, Rejection> {
        let change = self.advance(PaymentStatus::Authorised)?;
        if change.is_applied() {
            self.provider_reference = Some(reference.to_owned());
            self.authorised_until = until;
        }
        Ok(change)
    }

    /// Records a capture. The same charge again is a repeat; another charge is one too many.
    pub fn capture(&mut self, amount: Money, reference: &str) -> Result<Change, Rejection> {
        self.refuse_second_charge(reference)?;
        if amount != self.amount {
            return Err(self.mismatch(amount));
        }
        let change = self.advance(PaymentStatus::Captured)?;
        if change.is_applied() {
            self.captured_minor = amount.minor;
            self.provider_reference = Some(reference.to_owned());
            self.decline_code = None;
        }
        Ok(change)
    }

    /// Asks for less than was authorised. The gateway gives up the rest with the capture.
    pub fn lower(&mut self, amount: Money) -> Result<Change, Rejection> {
        let is_less =
            amount.currency == self.amount.currency && (1..=self.amount.minor).contains(&amount.minor);
        if self.status != PaymentStatus::Authorised || !is_less {
            return Err(self.mismatch(amount));
        }
        if amount == self.amount {
            return Ok(Change::NoChange);
        }
        self.amount = amount;
        Ok(Change::Applied)
    }

    /// Records that the gateway refused.
    pub fn decline(&mut self, code: &str) -> Result<Change, Rejection> {
        let change = self.advance(PaymentStatus::Declined)?;
        if change.is_applied() {
            self.decline_code = Some(code.to_owned());
        }
        Ok(change)
    }

    /// Records that the charge was voided before any money was captured.
    pub fn void(&mut self) -> Result<Change, Rejection> {
        self.advance(PaymentStatus::Voided)
    }

    /// Records that a refund was requested.
    pub fn begin_refund(&mut self) -> Result<Change, Rejection> {
        self.advance(PaymentStatus::Refunding)
    }

    /// Records the refunds *in total*, so that the same report again is a repeat and an older total is late. Once
    /// everything is refunded the payment is refunded; until then the rest stays captured.
    pub fn refund(&mut self, refunded_total: Money) -> Result<Change, Rejection> {
        self.refuse_excess_refund(refunded_total)?;
        if refunded_total.minor <= self.refunded_minor {
            return Ok(Change::NoChange);
        }
        self.refunded_minor = refunded_total.minor;
        self.status = match self.captured_minor - self.refunded_minor {
            0 => PaymentStatus::Refunded,
            _ => PaymentStatus::Captured,
        };
        Ok(Change::Applied)
    }

    /// Records a gateway's event about one refund, with `total` if it also reports the sum. Refunds that our own
    /// calls reported are not counted again: the refunded amount grows only if the events alone report more.
    pub fn note_refund(&mut self, amount: Money, total: Option<Money>) -> Result<Change, Rejection> {
        let told = self.money(self.refund_told_minor).checked_add(amount)?;
        let told = total.map_or(told, |total| self.money(total.minor.max(self.refund_told_minor)));
        if amount.minor < 0 || total.is_some_and(|total| total.currency != self.amount.currency) {
            return Err(self.mismatch(total.unwrap_or(amount)));
        }
        self.refuse_excess_refund(told)?;
        self.refund_told_minor = told.minor;
        if told.minor <= self.refunded_minor { Ok(Change::NoChange) } else { self.refund(told) }
    }

    /// Records the state of a dispute. A decided dispute does not reopen because the report of its beginning comes
    /// late.
    pub fn note_dispute(&mut self, to: Dispute) -> Change {
        let is_late = to == Dispute::Open && self.dispute.is_some();
        if is_late || self.dispute == Some(to) {
            return Change::NoChange;
        }
        self.dispute = Some(to);
        Change::Applied
    }

    /// The money that we hold now: captured minus refunded, and none once a dispute is lost.
    pub fn held(&self) -> Money {
        let is_gone = self.dispute == Some(Dispute::Lost);
        self.money(if is_gone { 0 } else { self.captured_minor - self.refunded_minor })
    }

    /// Whether everything that was captured is refunded.
    pub const fn is_refunded_completely(&self) -> bool {
        self.captured_minor > 0 && self.captured_minor == self.refunded_minor
    }

    /// Whether money went back, or a dispute moved, since it stood like this: a change of its order that no status tells.
    pub fn is_moved_since(&self, before: &Self) -> bool {
        self.refunded_minor != before.refunded_minor || self.dispute != before.dispute
    }

    /// Checks the invariants.
    pub fn check(&self) -> Result<(), BrokenInvariant> {
        use PaymentStatus::{Captured, Refunded, Refunding, Waived};
        let holds_money = matches!(self.status, Captured | Refunding | Refunded);
        let all_back = self.refunded_minor == self.captured_minor;
        check_all(
            || format!("payment of order {}", self.order_id),
            &[
                (self.amount.minor >= 0, "the amount is not negative"),
                (self.refunded_minor >= 0, "what went back is not negative"),
                (self.refunded_minor <= self.captured_minor, "no more goes back than arrived"),
                (
                    (0..=self.refunded_minor).contains(&self.refund_told_minor),
                    "what events told to have gone back is part of what went back",
                ),
                (
                    self.captured_minor == if holds_money { self.amount.minor } else { 0 },
                    "exactly what was asked for is captured, or nothing",
                ),
                (!holds_money || self.provider_reference.is_some(), "captured money has a charge"),
                (all_back == (!holds_money || self.status == Refunded), "refunded means all is back"),
                (self.status != Waived || self.amount.minor == 0, "only nothing is waived"),
            ],
        )
    }

    fn advance(&mut self, to: PaymentStatus) -> Result<Change, Rejection> {
        match self.status.may_become(to) {
            Move::NoOp => Ok(Change::NoChange),
            Move::Illegal => {
                Err(Rejection::IllegalPaymentMove { order_id: self.order_id, from: self.status, to })
            }
            Move::Legal => {
                self.status = to;
                Ok(Change::Applied)
            }
        }
    }

    const fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.amount.currency)
    }

    const fn mismatch(&self, found: Money) -> Rejection {
        Rejection::AmountMismatch { order_id: self.order_id, expected: self.amount, found }
    }

    /// Whether this is the recorded charge. If the gateway reported the money under our key alone, before we knew its
    /// name for the charge, the key counts as the name.
    pub fn is_charge(&self, reference: &str) -> bool {
        self.provider_reference.as_ref().is_some_and(|known| known == reference || *known == self.key)
    }

    fn refuse_second_charge(&self, reference: &str) -> Result<(), Rejection> {
        match &self.provider_reference {
            Some(first) if self.captured_minor > 0 && !self.is_charge(reference) => {
                Err(Rejection::DuplicateCharge {
                    order_id: self.order_id,
                    first: first.clone(),
                    second: reference.to_owned(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn refuse_excess_refund(&self, refunded: Money) -> Result<(), Rejection> {
        let (order_id, captured) = (self.order_id, Money { minor: self.captured_minor, ..self.amount });
        let beyond = captured.checked_sub(refunded)?.minor < 0;
        if beyond {
            return Err(Rejection::RefundExceedsCapture { order_id, refunded, captured });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::Currency;

    const ORDER: OrderId = OrderId(Uuid::from_u128(7));

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::parse("USD").unwrap())
    }

    fn requested() -> Payment {
        Payment::request(ORDER, usd(100))
    }

    /// Anything that a gateway's report, or its loss, can record.
    #[derive(Debug, Clone)]
    enum News {
        Lost,
        Authorised,
        Captured(i64, &'static str),
        Lowered(i64),
        Declined,
        Voided,
        RefundBegun,
        Refunded(i64),
        RefundTold(i64, Option<i64>),
        Disputed(Dispute),
    }

    fn news() -> impl Strategy<Value = News> {
        let charge = prop::sample::select(vec!["ch-1", "ch-1", "ch-2"]);
        let captured = (prop::sample::select(vec![100, 100, 100, 99, 0]), charge);
        prop_oneof![
            Just(News::Lost),
            Just(News::Authorised),
            captured.prop_map(|(minor, charge)| News::Captured(minor, charge)),
            prop::sample::select(vec![99, 99, 0, 101]).prop_map(News::Lowered),
            Just(News::Declined),
            Just(News::Voided),
            Just(News::RefundBegun),
            prop_oneof![-5_i64..120, any::<i64>()].prop_map(News::Refunded),
            (prop_oneof![-5_i64..120, any::<i64>()], prop::option::of(-5_i64..120))
                .prop_map(|(minor, total)| News::RefundTold(minor, total)),
            prop::sample::select(Dispute::ALL.to_vec()).prop_map(News::Disputed),
        ]
    }

    fn tell(payment: &mut Payment, news: &News) -> Result<Change, Rejection> {
        match news {
            News::Lost => payment.note_unknown(),
            News::Authorised => payment.authorise("ch-1", None),
            News::Captured(minor, charge) => payment.capture(usd(*minor), charge),
            News::Lowered(minor) => payment.lower(usd(*minor)),
            News::Declined => payment.decline("no_funds"),
            News::Voided => payment.void(),
            News::RefundBegun => payment.begin_refund(),
            News::Refunded(minor) => payment.refund(usd(*minor)),
            News::RefundTold(minor, total) => payment.note_refund(usd(*minor), total.map(usd)),
            News::Disputed(to) => Ok(payment.note_dispute(*to)),
        }
    }

    proptest! {
        #[test]
        fn whatever_the_gateway_says_the_account_stays_sound(amount in 0_i64..=1, told in prop::collection::vec(news(), 0..40)) {
            let mut payment = Payment::request(ORDER, usd(amount * 100));
            for news in told {
                let before = payment.clone();
                match tell(&mut payment, &news) {
                    Ok(Change::Applied) => {}
                    Ok(Change::NoChange) if matches!(news, News::RefundTold(..)) => {
                        prop_assert_eq!(payment.refunded_minor, before.refunded_minor);
                    }
                    Ok(Change::NoChange) | Err(_) => prop_assert_eq!(&payment, &before),
                }
                prop_assert_eq!(payment.check(), Ok(()));
                prop_assert!(payment.captured_minor >= before.captured_minor);
                prop_assert!(payment.refunded_minor >= before.refunded_minor);
                prop_assert!(before.captured_minor == 0 || payment.provider_reference == before.provider_reference);
            }
        }

        #[test]
        fn the_same_news_twice_is_news_once(told in prop::collection::vec(news(), 0..40)) {
            let mut payment = requested();
            for news in told.into_iter().filter(|news| !matches!(news, News::RefundTold(_, None))) {
                if tell(&mut payment, &news).is_ok() {
                    prop_assert_eq!(tell(&mut payment, &news), Ok(Change::NoChange));
                }
            }
        }
    }

    #[test]
    fn the_key_is_that_of_the_order_whatever_happens() {
        assert_eq!(requested().key, format!("pay-{ORDER}"));
    }

    #[test]
    fn a_second_charge_is_named_so_that_it_can_be_given_back() {
        let mut payment = requested();
        assert_eq!(payment.capture(usd(100), "ch-1"), Ok(Change::Applied));
        assert_eq!(payment.capture(usd(100), "ch-1"), Ok(Change::NoChange));
        let (first, second) = ("ch-1".to_owned(), "ch-2".to_owned());
        let duplicate = Rejection::DuplicateCharge { order_id: ORDER, first, second };
        assert_eq!(payment.capture(usd(100), "ch-2"), Err(duplicate));
    }

    #[test]
    fn money_that_arrives_after_all_was_called_off_is_known_and_can_go_back() {
        let mut payment = requested();
        assert_eq!(payment.note_unknown(), Ok(Change::Applied));
        assert_eq!(payment.void(), Ok(Change::Applied));
        assert_eq!(payment.capture(usd(100), "ch-1"), Ok(Change::Applied));
        assert_eq!(payment.held(), usd(100));
        assert_eq!(payment.begin_refund(), Ok(Change::Applied));
        assert_eq!(payment.refund(usd(100)), Ok(Change::Applied));
        assert_eq!((payment.status, payment.held()), (PaymentStatus::Refunded, usd(0)));
    }

    #[test]
    fn no_more_goes_back_than_arrived() {
        let mut payment = requested();
        assert!(matches!(payment.refund(usd(1)), Err(Rejection::RefundExceedsCapture { .. })));
        assert_eq!(payment.capture(usd(100), "ch-1"), Ok(Change::Applied));
        assert!(matches!(payment.refund(usd(101)), Err(Rejection::RefundExceedsCapture { .. })));
        assert_eq!(payment.refund(usd(40)), Ok(Change::Applied));
        assert_eq!((payment.status, payment.held()), (PaymentStatus::Captured, usd(60)));
        assert_eq!(payment.refund(usd(30)), Ok(Change::NoChange));
    }

    #[test]
    fn a_refund_that_our_call_told_of_is_not_counted_again_when_its_event_comes_and_one_by_hand_is() {
        let mut payment = requested();
        assert_eq!(payment.capture(usd(100), "ch-1"), Ok(Change::Applied));
        assert_eq!(payment.refund(usd(30)), Ok(Change::Applied));
        assert_eq!(payment.note_refund(usd(30), None), Ok(Change::NoChange));
        assert_eq!(payment.note_refund(usd(20), None), Ok(Change::Applied));
        assert_eq!((payment.refunded_minor, payment.held()), (50, usd(50)));
        assert_eq!(payment.note_refund(usd(50), Some(usd(100))), Ok(Change::Applied));
        assert_eq!((payment.status, payment.held()), (PaymentStatus::Refunded, usd(0)));
        assert!(payment.note_refund(usd(1), None).is_err(), "more than arrived");
        let eur = Money::new(1, Currency::parse("EUR").unwrap());
        assert!(payment.note_refund(eur, None).is_err(), "another currency");
    }

    #[test]
    fn a_dispute_that_was_decided_is_not_opened_by_late_news() {
        let mut payment = requested();
        assert_eq!(payment.note_dispute(Dispute::Open), Change::Applied);
        assert_eq!(payment.note_dispute(Dispute::Open), Change::NoChange);
        assert_eq!(payment.note_dispute(Dispute::Lost), Change::Applied);
        assert_eq!(payment.note_dispute(Dispute::Open), Change::NoChange);
        assert_eq!(payment.dispute, Some(Dispute::Lost));
    }

    #[test]
    fn a_lost_answer_does_not_unsay_a_known_one() {
        let mut payment = requested();
        assert_eq!(payment.decline("no_funds"), Ok(Change::Applied));
        assert_eq!(payment.note_unknown(), Ok(Change::NoChange));
        assert_eq!(payment.status, PaymentStatus::Declined);
    }

    #[test]
    fn captured_money_can_be_neither_declined_nor_voided() {
        let mut payment = requested();
        assert_eq!(payment.capture(usd(100), "ch-1"), Ok(Change::Applied));
        assert!(matches!(payment.void(), Err(Rejection::IllegalPaymentMove { .. })));
        assert!(matches!(payment.decline("late"), Err(Rejection::IllegalPaymentMove { .. })));
    }

    #[test]
    fn an_order_that_costs_nothing_is_not_charged() {
        let mut payment = Payment::request(ORDER, usd(0));
        assert_eq!(payment.status, PaymentStatus::Waived);
        assert_eq!(payment.capture(usd(0), "ch-1"), Ok(Change::NoChange));
        assert!(matches!(payment.capture(usd(1), "ch-1"), Err(Rejection::AmountMismatch { .. })));
    }

    #[test]
    fn no_move_of_the_table_is_both_legal_and_past() {
        for &to in PaymentStatus::ALL {
            let (legal_from, past) = to.moves();
            assert!(legal_from.iter().all(|from| *from != to && !past.contains(from)), "{to}");
        }
    }
}
