//! The meaning of a request as a digest: equal requests have the same one, however their text is spelled. Made from
//! the parsed request, never from the text. A new member of a request must be added here, or a different request
//! counts as a repeat.

use application::commands::{CreateOrderCommand, CreateOrderLine, Seen};
use application::messages::Amount;
use application::validators::{LineDraft, OrderDraft};
use sha2::{Digest, Sha256};

/// The meaning of a request for an operation.
pub(super) struct Meaning {
    operation: &'static str,
    digest: Sha256,
}

impl Meaning {
    /// Of a request that says nothing yet.
    pub(super) fn of(operation: &'static str) -> Self {
        Self { operation, digest: Sha256::new() }
    }

    /// The operation that is asked for.
    pub(super) const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The next member; every one says how long it is, so that none runs into the next.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.digest.update([1]);
        self.digest.update((text.len() as u64).to_be_bytes());
        self.digest.update(text);
        self
    }

    /// The next member, if it is there.
    pub(super) fn optional(mut self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => {
                self.digest.update([0]);
                self
            }
        }
    }

    /// A whole number.
    pub(super) fn number(mut self, number: i64) -> Self {
        self.digest.update([2]);
        self.digest.update(number.to_be_bytes());
        self
    }

    /// What the caller has seen before it decided, if it says so.
    pub(super) fn seen(self, seen: Option<&Seen>) -> Self {
        match seen {
            Some(Seen::Order(_, moved_at)) => self.number(moved_at.as_microsecond()),
            Some(Seen::Stock(_, booked)) => self.number(*booked),
            None => self,
        }
    }

    /// The digest of all that was said.
    pub(super) fn digest(self) -> [u8; 32] {
        self.digest.finalize().into()
    }
}

/// The meaning of an order.
pub(super) fn of_order(operation: &'static str, command: &CreateOrderCommand) -> Meaning {
    let CreateOrderCommand {
        order_id: _,
        caller: _,
        key: _,
        customer_id,
        lines,
        ordered_at,
        external_reference,
        payment_token,
        total,
        // The same as in the details.
        money_lines: _,
        details,
        holds,
        when_short,
        traceparent: _,
    } = command;
    let said = Meaning::of(operation)
        .text(customer_id.as_str())
        .optional(payment_token.as_deref())
        .optional(external_reference.as_deref());
    let said = match ordered_at {
        Some(at) => said.number(at.as_microsecond()),
        None => said.optional(None),
    };
    let said = match total {
        Some(total) => said.number(total.minor).text(total.currency.code()),
        None => said.optional(None),
    };
    let said = said.optional(details.as_ref().map(|details| details.to_stored()).as_deref());
    let said = holds.iter().fold(said, |said, hold| said.text(hold.before.as_str()).text(&hold.reason));
    // Whoever does not say it means the same as before it could be said.
    let said = when_short.iter().fold(said, |said, choice| said.text(choice.as_str()));
    lines.iter().fold(said, line)
}

/// What was said so far, and then this draft of an order.
pub(super) fn of_draft(said: Meaning, draft: &OrderDraft) -> Meaning {
    let OrderDraft {
        customer_id,
        lines,
        payment_token,
        external_reference,
        ordered_at,
        total,
        holds,
        when_short,
        ..
    } = draft;
    let details = draft.details().map(|details| details.to_stored());
    let said = said.text(customer_id).optional(payment_token.as_deref());
    let said = said.optional(external_reference.as_deref()).optional(ordered_at.as_deref());
    let said = said.optional(details.as_deref());
    let said = holds.iter().fold(said, |said, hold| said.text(&hold.before).text(&hold.reason));
    let said = when_short.iter().fold(said, |said, choice| said.text(choice));
    let said = match total {
        Some(Amount { minor, currency }) => said.number(*minor).text(currency),
        None => said.optional(None),
    };
    lines.iter().fold(said, |said, line| {
        let LineDraft { sku, quantity, unit_price } = line;
        let said = said.text(sku).number(*quantity);
        match unit_price {
            Some(Amount { minor, currency }) => said.number(*minor).text(currency),
            None => said.optional(None),
        }
    })
}

fn line(said: Meaning, line: &CreateOrderLine) -> Meaning {
    let CreateOrderLine { sku, quantity, unit_price } = line;
    let said = said.text(sku.as_str()).number(quantity.get().into());
    match unit_price {
        Some(price) => said.number(price.minor).text(price.currency.code()),
        None => said.optional(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_elsewhere_is_another_meaning() {
        let said = || Meaning::of("any");
        let meanings = [
            said().digest(),
            said().text("").digest(),
            said().optional(None).digest(),
            said().text("ab").text("c").digest(),
            said().text("a").text("bc").digest(),
            said().text("1").digest(),
            said().number(1).digest(),
            said().optional(None).number(1).digest(),
            said().number(1).optional(None).digest(),
        ];
        for (index, meaning) in meanings.iter().enumerate() {
            assert!(!meanings[..index].contains(meaning), "{index}");
        }
        assert_eq!(said().optional(Some("a")).digest(), said().text("a").digest());
    }
}
