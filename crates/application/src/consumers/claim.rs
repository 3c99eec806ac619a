//! Claims: what a message says about a provider, compared with the row that we wrote when the provider told us. A
//! message published by the same unit needs no check; one from a queue may come from any program, and moves nothing
//! that the row does not confirm.

use std::collections::BTreeSet;
use std::time::Duration;

use bus::{Envelope, Fault, Step, Work};
use domain::{Dispute, OrderId, ParcelTrouble, Payment, PaymentStatus, Shipment, ShipmentStatus};
use jiff::Timestamp;

use super::early::park_if_early;
use crate::messages::{
    Amount, MoneyMatter, PaymentAuthorised, PaymentProcessed, PaymentResult, ShippingCompleted,
};
use crate::ports::AnyUnit;
use crate::saga::{Happening, OrderProcessingSaga, carry_out};

/// Where a consumer's messages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The same unit, which has written the rows.
    ThisUnit,
    /// A queue, which other programs may write to.
    Queue,
}

/// What our rows say about a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The same.
    BorneOut,
    /// It was so, and is over.
    Overtaken,
    /// Nothing yet.
    Unconfirmed,
    /// Something else.
    Contradicted(String),
}

/// What is to be done about a claim.
pub(super) struct Examined {
    pub(super) finding: Finding,
    /// What the provider is asked about it.
    pub(super) question: Option<Envelope>,
}

impl Examined {
    /// Nothing is asked about it.
    pub(super) const fn without_question(finding: Finding) -> Self {
        Self { finding, question: None }
    }
}

/// How long an unconfirmed claim waits before the next comparison, and how often: long enough for the provider to
/// answer.
const CLAIM_PAUSE: Duration = Duration::from_secs(5);
const CLAIM_LOOKS_MAX: u32 = 6;

/// The orders that a batch is about, each once.
pub(super) fn orders<M>(batch: &[Work<M>], order_id: impl Fn(&M) -> OrderId) -> Vec<OrderId> {
    let ids: BTreeSet<OrderId> = batch.iter().map(|work| order_id(&work.message)).collect();
    ids.into_iter().collect()
}

/// Takes confirmed claims to the saga, publishes the questions, and postpones or dead-letters the rest. Returns the
/// saga's step for each confirmed claim, with its place in the batch.
pub(super) async fn carry_on<M: Send + Sync>(
    unit: &mut AnyUnit,
    batch: &mut [Work<M>],
    examined: Vec<Examined>,
    happening: impl for<'a> Fn(&'a Work<M>) -> Happening<'a> + Send + Sync,
    now: Timestamp,
) -> Result<Vec<(usize, Step<OrderProcessingSaga>)>, Fault> {
    let borne_out: Vec<usize> =
        (0..batch.len()).filter(|place| examined[*place].finding == Finding::BorneOut).collect();
    let happenings: Vec<_> = borne_out.iter().map(|place| happening(&batch[*place])).collect();
    let steps = carry_out(unit, &happenings, now).await?;
    drop(happenings);
    let steps: Vec<_> = borne_out.into_iter().zip(steps).collect();
    steps.iter().for_each(|(place, step)| park_if_early(&mut batch[*place], step, now));
    let mut questions = Vec::new();
    for (work, examined) in batch.iter_mut().zip(examined) {
        settle(work, &examined.finding, now);
        questions.extend(examined.question);
    }
    if !questions.is_empty() {
        unit.publish(questions).await?;
    }
    Ok(steps)
}

/// Postpones an unconfirmed claim; a claim that is never confirmed, or that the rows contradict, becomes a dead
/// letter.
fn settle<M, A>(work: &mut Work<M, A>, finding: &Finding, now: Timestamp) {
    match finding {
        Finding::BorneOut | Finding::Overtaken => {}
        Finding::Contradicted(why) => work.dead_letter(why.clone()),
        Finding::Unconfirmed if work.envelope().attempt >= CLAIM_LOOKS_MAX => {
            work.dead_letter(
                "the provider has never confirmed what this message claims, so nothing was moved",
            );
        }
        Finding::Unconfirmed => {
            work.redeliver(now, CLAIM_PAUSE, "the provider has not confirmed it yet; it is asked");
        }
    }
}

/// What a payment's row says about a claim.
pub(crate) fn of_money(claim: &PaymentResult, row: Option<&Payment>) -> Finding {
    let Some(row) = row else {
        return Finding::Contradicted("no payment was ever asked for of such an order".to_owned());
    };
    match claim {
        PaymentResult::Authorised(claim) => of_authorisation(claim, row),
        PaymentResult::Processed(claim) => of_capture(claim, row),
        PaymentResult::Failed(_) => of_refusal(row),
        PaymentResult::Reported(claim) => of_report(claim.matter, row),
    }
}

/// The error for an amount that was not asked for.
fn of_amount(claimed: &Amount, row: &Payment) -> Option<Finding> {
    (claimed.money().ok().as_ref() != Some(&row.amount)).then(|| {
        let Amount { minor, currency } = claimed;
        Finding::Contradicted(format!(
            "it claims {minor} {currency} minor units, and {} was asked for",
            row.amount
        ))
    })
}

fn of_authorisation(claim: &PaymentAuthorised, row: &Payment) -> Finding {
    use PaymentStatus::{
        Authorised, Captured, Declined, NotRequested, Refunded, Refunding, Requested, Unknown, Voided, Waived,
    };
    // More was authorised than is asked for since lines of the order were cancelled.
    let Amount { minor, currency } = &claim.amount;
    let is_enough = currency == row.amount.currency.code() && *minor > row.amount.minor;
    if let Some(wrong) = of_amount(&claim.amount, row).filter(|_| !is_enough) {
        return wrong;
    }
    let is_the_same = row.is_charge(&claim.provider_reference) && row.authorised_until == claim.until;
    match row.status {
        NotRequested | Requested | Unknown => Finding::Unconfirmed,
        Authorised | Captured | Refunding | Refunded if is_the_same => Finding::BorneOut,
        // The message was on its way while the authorisation was given up.
        Declined | Voided if is_the_same => Finding::Overtaken,
        Authorised | Captured | Refunding | Refunded | Declined | Voided | Waived => {
            Finding::Contradicted(format!(
                "it claims the authorisation {}, and the payment is {}",
                claim.provider_reference, row.status
            ))
        }
    }
}

fn of_capture(claim: &PaymentProcessed, row: &Payment) -> Finding {
    if let Some(wrong) = of_amount(&claim.amount, row) {
        return wrong;
    }
    if row.status == PaymentStatus::Waived {
        return Finding::BorneOut;
    }
    match &row.provider_reference {
        Some(_) if row.captured_minor > 0 && row.is_charge(&claim.provider_reference) => Finding::BorneOut,
        Some(charge) if row.captured_minor > 0 => Finding::Contradicted(format!(
            "it claims the charge {}, and the gateway made {charge}",
            claim.provider_reference
        )),
        Some(_) | None => Finding::Unconfirmed,
    }
}

fn of_refusal(row: &Payment) -> Finding {
    use PaymentStatus::{
        Authorised, Captured, Declined, NotRequested, Refunded, Refunding, Requested, Unknown, Voided, Waived,
    };
    match row.status {
        Declined | Voided | Refunded => Finding::BorneOut,
        Captured | Refunding | Waived => Finding::Contradicted(format!(
            "it claims that the gateway refused, and the payment is {}",
            row.status
        )),
        NotRequested | Requested | Unknown | Authorised => Finding::Unconfirmed,
    }
}

/// Other reports ask a person, or say that nobody need be asked any more. The row must confirm each of them.
fn of_report(matter: MoneyMatter, row: &Payment) -> Finding {
    let holds = match matter {
        MoneyMatter::Refunded => row.is_refunded_completely(),
        MoneyMatter::PartlyRefunded => row.refunded_minor > 0,
        MoneyMatter::Disputed => row.dispute.is_some(),
        MoneyMatter::DisputeWon => row.dispute == Some(Dispute::Won),
        MoneyMatter::DisputeLost => row.dispute == Some(Dispute::Lost),
        MoneyMatter::SecondCharge => row.notes.knows_second_charge(),
        MoneyMatter::SecondChargeReturned => row.notes.are_second_charges_back(),
        MoneyMatter::AmountMismatch => row.notes.is_contradicted(),
    };
    if holds {
        Finding::BorneOut
    } else {
        Finding::Contradicted("the payment's books know nothing of what it claims".to_owned())
    }
}

/// What a parcel's row says about its claimed arrival.
pub(crate) fn of_arrival(claim: &ShippingCompleted, row: Option<&Shipment>) -> Finding {
    let Some(row) = row else {
        return Finding::Contradicted("no parcel was ever asked for of such an order".to_owned());
    };
    if let Some(known) = row.tracking_number.as_ref().filter(|known| **known != claim.tracking_number) {
        return Finding::Contradicted(format!(
            "it claims the arrival of {}, and this order's parcel is {known}",
            claim.tracking_number
        ));
    }
    match row.status {
        ShipmentStatus::Delivered | ShipmentStatus::Returned => Finding::BorneOut,
        ShipmentStatus::NotRequested
        | ShipmentStatus::Requested
        | ShipmentStatus::Unknown
        | ShipmentStatus::Booked
        | ShipmentStatus::Shipped
        | ShipmentStatus::Cancelled
        | ShipmentStatus::Failed => Finding::Unconfirmed,
    }
}

/// What a parcel's row says about a report of trouble.
pub(super) fn of_trouble(trouble: ParcelTrouble, row: Option<&Shipment>) -> Finding {
    if row.is_some_and(|row| row.troubles.include(trouble)) {
        return Finding::BorneOut;
    }
    Finding::Contradicted("the carrier has told us of no such trouble with this order's parcel".to_owned())
}

#[cfg(test)]
mod tests {
    use domain::{Currency, Money, OrderId};
    use uuid::Uuid;

    use super::*;
    use crate::messages::PaymentFailed;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::parse("EUR").expect("a known currency"))
    }

    fn captured() -> Payment {
        let mut row = Payment::request(OrderId(Uuid::nil()), eur(450));
        let _ = row.capture(eur(450), "ch_1").expect("it was asked for");
        row
    }

    fn claim(minor: i64, currency: &str, charge: &str) -> PaymentResult {
        PaymentResult::Processed(PaymentProcessed {
            order_id: Uuid::nil(),
            amount: Amount { minor, currency: currency.to_owned() },
            provider_reference: charge.to_owned(),
        })
    }

    #[test]
    fn a_claim_of_money_counts_only_if_amount_currency_and_charge_are_those_of_the_row() {
        let row = captured();
        assert_eq!(of_money(&claim(450, "EUR", "ch_1"), Some(&row)), Finding::BorneOut);
        for (minor, currency, charge) in
            [(1, "EUR", "ch_1"), (450, "USD", "ch_1"), (450, "EUR", "ch_2"), (450, "XXZ", "ch_1")]
        {
            let found = of_money(&claim(minor, currency, charge), Some(&row));
            assert!(matches!(found, Finding::Contradicted(_)), "{minor} {currency} {charge}: {found:?}");
        }
        assert!(matches!(of_money(&claim(450, "EUR", "ch_1"), None), Finding::Contradicted(_)));
    }

    #[test]
    fn a_claim_of_an_authorisation_counts_only_if_the_gateway_made_it_and_it_still_holds() {
        let authorised = |until| {
            PaymentResult::Authorised(PaymentAuthorised {
                order_id: Uuid::nil(),
                amount: eur(450).into(),
                provider_reference: "ch_1".to_owned(),
                until,
            })
        };
        let until = Some(Timestamp::UNIX_EPOCH);
        let mut row = Payment::request(OrderId(Uuid::nil()), eur(450));
        assert_eq!(of_money(&authorised(until), Some(&row)), Finding::Unconfirmed);
        let _ = row.authorise("ch_1", until).expect("it was asked for");
        assert_eq!(of_money(&authorised(until), Some(&row)), Finding::BorneOut);
        assert!(matches!(of_money(&authorised(None), Some(&row)), Finding::Contradicted(_)));
        let _ = row.void().expect("it is not captured");
        assert_eq!(of_money(&authorised(until), Some(&row)), Finding::Overtaken);
        assert!(matches!(of_money(&authorised(None), Some(&row)), Finding::Contradicted(_)));
    }

    #[test]
    fn what_the_gateway_has_not_said_to_us_is_not_confirmed() {
        let row = Payment::request(OrderId(Uuid::nil()), eur(450));
        assert_eq!(of_money(&claim(450, "EUR", "ch_1"), Some(&row)), Finding::Unconfirmed);
        let refused =
            PaymentResult::Failed(PaymentFailed { order_id: Uuid::nil(), code: "no_funds".to_owned() });
        assert_eq!(of_money(&refused, Some(&row)), Finding::Unconfirmed);
        assert!(matches!(of_money(&refused, Some(&captured())), Finding::Contradicted(_)));
    }

    #[test]
    fn a_report_of_money_counts_only_if_the_row_says_the_same() {
        let mut row = captured();
        let all = [
            MoneyMatter::Refunded,
            MoneyMatter::PartlyRefunded,
            MoneyMatter::SecondCharge,
            MoneyMatter::SecondChargeReturned,
            MoneyMatter::AmountMismatch,
            MoneyMatter::Disputed,
            MoneyMatter::DisputeWon,
            MoneyMatter::DisputeLost,
        ];
        let borne_out = |row: &Payment| -> Vec<MoneyMatter> {
            all.into_iter().filter(|matter| of_report(*matter, row) == Finding::BorneOut).collect()
        };
        assert_eq!(borne_out(&row), []);
        let _ = row.note_dispute(Dispute::Open);
        assert_eq!(borne_out(&row), [MoneyMatter::Disputed]);
        let _ = row.note_dispute(Dispute::Won);
        assert_eq!(borne_out(&row), [MoneyMatter::Disputed, MoneyMatter::DisputeWon]);
        let mut row = captured();
        let _ = row.notes.second_charge("ch_2", eur(450));
        let _ = row.notes.second_refund("ch_2", eur(1), None);
        assert_eq!(borne_out(&row), [MoneyMatter::SecondCharge]);
        let _ = row.notes.second_refund("ch_2", eur(449), None);
        assert_eq!(borne_out(&row), [MoneyMatter::SecondCharge, MoneyMatter::SecondChargeReturned]);
        row.notes.contradicted();
        assert!(borne_out(&row).contains(&MoneyMatter::AmountMismatch));
    }

    #[test]
    fn trouble_with_a_parcel_counts_only_if_the_carrier_told_us_of_it() {
        let mut row = Shipment::request(OrderId(Uuid::nil()));
        row.troubles.add(ParcelTrouble::Lost);
        assert_eq!(of_trouble(ParcelTrouble::Lost, Some(&row)), Finding::BorneOut);
        for (trouble, row) in [(ParcelTrouble::Returned, Some(&row)), (ParcelTrouble::Lost, None)] {
            assert!(matches!(of_trouble(trouble, row), Finding::Contradicted(_)), "{trouble}");
        }
    }

    #[test]
    fn a_parcel_has_arrived_only_if_the_carrier_told_us_so_of_this_parcel() {
        let claim = ShippingCompleted { order_id: Uuid::nil(), tracking_number: "T1".to_owned() };
        let mut row = Shipment::request(OrderId(Uuid::nil()));
        assert_eq!(of_arrival(&claim, Some(&row)), Finding::Unconfirmed);
        let _ = row.book("T1", "carrier").expect("it was asked for");
        assert_eq!(of_arrival(&claim, Some(&row)), Finding::Unconfirmed);
        let _ = row.deliver().expect("it was booked");
        assert_eq!(of_arrival(&claim, Some(&row)), Finding::BorneOut);
        let other = ShippingCompleted { tracking_number: "T2".to_owned(), ..claim };
        assert!(matches!(of_arrival(&other, Some(&row)), Finding::Contradicted(_)));
    }
}
