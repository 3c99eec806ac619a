//! Events about an order's money: updates the payment row and the timeline, and informs the saga if it must react. An
//! event that contradicts the row changes no amount; a person decides.

use domain::{Change, Dispute, Money, OrderId, Payment, PaymentStatus, Rejection};

use super::desk::Desk;
use crate::messages::{MoneyMatter, PaymentFailed, PaymentProcessed, PaymentReported, PaymentResult};
use crate::ports::{Mismatch, NewsKind, ProviderNews};

impl Desk<'_> {
    pub(super) fn take_money_news(&mut self, order_id: OrderId, news: &ProviderNews) -> Result<(), Mismatch> {
        let payment = self.payment(order_id, news)?;
        match &news.kind {
            NewsKind::PaymentCaptured { amount, reference } => {
                self.captured(payment, *amount, reference, news);
            }
            NewsKind::PaymentDeclined { code } => self.declined(payment, code, news),
            NewsKind::PaymentLapsed { code } => self.lapsed(payment, code, news),
            NewsKind::PaymentRefunded { amount, total, reference } => {
                self.refunded(payment, *amount, *total, reference, news);
            }
            NewsKind::PaymentDisputed { dispute, .. } => self.disputed(payment, *dispute, news),
            NewsKind::ShipmentInTransit { .. }
            | NewsKind::ShipmentDelivered { .. }
            | NewsKind::ShipmentTroubled { .. } => return Err(Mismatch::WrongProvider),
            NewsKind::Unknown { .. } | NewsKind::Malformed { .. } => return Err(Mismatch::Malformed),
        }
        Ok(())
    }

    fn captured(&mut self, mut payment: Payment, amount: Money, reference: &str, news: &ProviderNews) {
        let order_id = payment.order_id;
        match payment.capture(amount, reference) {
            Ok(Change::Applied) => {
                self.put_payment(payment);
                self.tell(order_id, news);
                self.send(order_id, &processed(order_id, amount, reference), reference);
            }
            // The timeline has this charge already, from our own call.
            Ok(Change::NoChange) if payment.provider_reference.as_deref() == Some(reference) => {}
            Ok(Change::NoChange) => self.tell(order_id, news),
            Err(Rejection::DuplicateCharge { .. }) => {
                let change = payment.notes.second_charge(reference, amount);
                self.tell(order_id, news);
                if change == Change::Applied && payment.notes.has_second_charge_open() {
                    self.send_report(order_id, MoneyMatter::SecondCharge, news);
                }
                self.put_payment(payment);
            }
            Err(rejection) => self.contradicted(order_id, &rejection, news),
        }
    }

    /// Events come in any order: that an attempt was refused says nothing about an authorisation that came of another.
    fn declined(&mut self, payment: Payment, code: &str, news: &ProviderNews) {
        if payment.status == PaymentStatus::Authorised {
            let told = format!("{}; the payment is authorised", news.in_words());
            return self.tell_more(payment.order_id, told);
        }
        let order_id = payment.order_id;
        if let Err(rejection) = self.refused(payment, code, news) {
            // A late event about an earlier attempt takes nothing back; it is still recorded.
            self.tell_more(order_id, format!("{}; {rejection}", news.in_words()));
        }
    }

    fn lapsed(&mut self, payment: Payment, code: &str, news: &ProviderNews) {
        let (order_id, is_captured) = (payment.order_id, payment.captured_minor > 0);
        match self.refused(payment, code, news) {
            Ok(()) => {}
            // Money that we hold and that the gateway says it never took, or gave up: a person must look.
            Err(rejection) if is_captured => self.contradicted(order_id, &rejection, news),
            Err(rejection) => self.tell_more(order_id, format!("{}; {rejection}", news.in_words())),
        }
    }

    /// Records that nothing is taken.
    fn refused(&mut self, mut payment: Payment, code: &str, news: &ProviderNews) -> Result<(), Rejection> {
        let order_id = payment.order_id;
        match payment.decline(code)? {
            Change::Applied => {
                self.put_payment(payment);
                self.tell(order_id, news);
                let failed = PaymentFailed { order_id: order_id.0, code: code.to_owned() };
                self.send(order_id, &PaymentResult::Failed(failed), code);
            }
            // Our own call has recorded it.
            Change::NoChange if payment.status == PaymentStatus::Declined => {}
            Change::NoChange => self.tell(order_id, news),
        }
        Ok(())
    }

    fn refunded(
        &mut self,
        mut payment: Payment,
        amount: Money,
        total: Option<Money>,
        reference: &str,
        news: &ProviderNews,
    ) {
        let order_id = payment.order_id;
        if payment.captured_minor > 0 && !payment.is_charge(reference) {
            return self.second_charge_refunded(payment, (amount, total), reference, news);
        }
        // A refund implies a capture, whichever event comes first.
        let captured = payment.captured_minor == 0 && payment.status != PaymentStatus::Waived;
        if captured && let Err(rejection) = payment.capture(payment.amount, reference) {
            return self.contradicted(order_id, &rejection, news);
        }
        match payment.note_refund(amount, total) {
            Ok(change) => {
                if captured {
                    self.send(order_id, &processed(order_id, payment.amount, reference), reference);
                }
                self.tell(order_id, news);
                // What a person of ours asked for is no news, though the gateway's answer to us may still be on its way.
                let is_ours = payment.refunded_minor <= payment.notes.asked_back_minor();
                if change == Change::Applied && !is_ours {
                    let all = payment.is_refunded_completely();
                    let matter = if all { MoneyMatter::Refunded } else { MoneyMatter::PartlyRefunded };
                    self.send_report(order_id, matter, news);
                }
                self.put_payment(payment);
            }
            Err(rejection) => self.contradicted(order_id, &rejection, news),
        }
    }

    /// The order goes on only once every charge beside its own is refunded completely.
    fn second_charge_refunded(
        &mut self,
        mut payment: Payment,
        (amount, total): (Money, Option<Money>),
        reference: &str,
        news: &ProviderNews,
    ) {
        let order_id = payment.order_id;
        let currencies = [Some(amount), total].into_iter().flatten().map(|money| money.currency);
        if amount.minor < 0 || currencies.into_iter().any(|currency| currency != payment.amount.currency) {
            let expected = payment.amount;
            let rejection = Rejection::AmountMismatch { order_id, expected, found: total.unwrap_or(amount) };
            return self.contradicted(order_id, &rejection, news);
        }
        self.tell(order_id, news);
        let change = payment.notes.second_refund(reference, amount, total);
        if change == Change::Applied && payment.notes.are_second_charges_back() {
            self.send_report(order_id, MoneyMatter::SecondChargeReturned, news);
        }
        self.put_payment(payment);
    }

    fn disputed(&mut self, mut payment: Payment, dispute: Dispute, news: &ProviderNews) {
        let order_id = payment.order_id;
        self.tell(order_id, news);
        if payment.note_dispute(dispute) == Change::Applied {
            let matter = match dispute {
                Dispute::Open => MoneyMatter::Disputed,
                Dispute::Won => MoneyMatter::DisputeWon,
                Dispute::Lost => MoneyMatter::DisputeLost,
            };
            self.send_report(order_id, matter, news);
            self.put_payment(payment);
        }
    }

    /// The row keeps that there was a contradiction, and nothing else of it.
    fn contradicted(&mut self, order_id: OrderId, rejection: &Rejection, news: &ProviderNews) {
        self.tell_more(order_id, format!("{}; {rejection}", news.in_words()));
        self.send_report(order_id, MoneyMatter::AmountMismatch, news);
        if let Ok(mut payment) = self.payment(order_id, news) {
            payment.notes.contradicted();
            self.put_payment(payment);
        }
    }

    fn send_report(&mut self, order_id: OrderId, matter: MoneyMatter, news: &ProviderNews) {
        let report = PaymentReported { order_id: order_id.0, matter, detail: news.in_words() };
        self.send(order_id, &PaymentResult::Reported(report), &format!("{matter:?} {}", news.event_id));
    }
}

fn processed(order_id: OrderId, amount: Money, reference: &str) -> PaymentResult {
    PaymentResult::Processed(PaymentProcessed {
        order_id: order_id.0,
        amount: amount.into(),
        provider_reference: reference.to_owned(),
    })
}
