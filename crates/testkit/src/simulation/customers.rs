//! Customers: each asks for an order until it is accepted, whatever happens to the workers meanwhile; some press the button
//! twice, some think better of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::commands::{
    CancelOrderCommand, CancelReply, ChangeOrderCommand, ChangeOrderReply, CreateOrderCommand,
    CreateOrderReply, HoldOrderCommand, HoldOrderReply, HoldWish, OrderAccepted, OrderChanges, OrderKey,
};
use application::order_details::{Address, OrderDetails};
use application::ports::Caller;
use bus::{Clock, IdSource as _, RandomIds};
use domain::{CancelReason, CustomerId, HoldPoint, OrderId};

use super::destinations::{Destinations, address_of, move_of};
use super::findings::{Finding, Findings};
use super::fleet::Fleet;
use super::holds::Holds;
use super::journal::Journal;
use super::provider_line::pause;
use super::script::Wish;

/// How long a customer waits for an answer, and then before asking again.
const PATIENCE: Duration = Duration::from_secs(4);

/// How often a customer asks again.
const TRIES_MAX: u32 = 60;

/// What customers were told, by idempotency key.
#[derive(Debug, Default)]
pub(super) struct Receipts(Mutex<BTreeMap<String, OrderAccepted>>);

impl Receipts {
    /// Every order that was accepted.
    pub(super) fn all(&self) -> Vec<OrderAccepted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Keeps an answer; gives back another answer to the same key, which must not be.
    fn keep(&self, key: &str, accepted: &OrderAccepted) -> Option<OrderAccepted> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.entry(key.to_owned()).or_insert_with(|| accepted.clone());
        (first != accepted).then(|| first.clone())
    }
}

/// What customers need.
pub(super) struct Street {
    pub(super) fleet: Arc<Fleet>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: RandomIds,
    pub(super) receipts: Receipts,
    pub(super) destinations: Destinations,
    pub(super) holds: Holds,
    pub(super) findings: Arc<Findings>,
    pub(super) journal: Arc<Journal>,
}

impl Street {
    /// One customer's whole story.
    pub(super) async fn shop(self: Arc<Self>, number: usize, wish: Wish) {
        pause(wish.at).await;
        let key = format!("key-{number}");
        let mut accepted = None;
        for _ in 0..wish.presses {
            accepted = self.order(&key, number, &wish).await.or(accepted);
        }
        let Some(accepted) = accepted else { return };
        if let Some((after, before)) = wish.second_thought {
            pause(after).await;
            self.hold(accepted.order_id, before).await;
        }
        self.want_fewer(accepted.order_id, &wish).await;
        if let Some((address, after)) = move_of(accepted.order_id) {
            pause(after).await;
            self.change(accepted.order_id, address).await;
        }
        let Some(regret) = wish.regret else { return self.send_back(accepted.order_id).await };
        pause(regret).await;
        self.cancel(accepted.order_id).await;
    }

    /// Asks until there is an answer. Each press of the button proposes an id of its own, as each request does.
    async fn order(&self, key: &str, number: usize, wish: &Wish) -> Option<OrderAccepted> {
        let command = self.command(key, number, wish);
        for _ in 0..TRIES_MAX {
            if let Some(door) = self.fleet.door()
                && let Ok(Ok(reply)) =
                    tokio::time::timeout(PATIENCE, door.create.submit(command.clone())).await
            {
                return self.take(key, number, reply);
            }
            pause(PATIENCE).await;
        }
        self.findings.add(Finding::of(0, key, "nobody ever answered the customer"));
        None
    }

    fn command(&self, key: &str, number: usize, wish: &Wish) -> CreateOrderCommand {
        let order_id = OrderId(self.ids.next(self.clock.now()));
        let details = address_of(order_id)
            .map(|address| OrderDetails { shipping_address: Some(address), ..OrderDetails::default() });
        let wished = |(number, before): (usize, &HoldPoint)| HoldWish {
            before: *before,
            reason: format!("wish {number}"),
        };
        let holds: Vec<HoldWish> = wish.holds.iter().enumerate().map(wished).collect();
        holds.iter().for_each(|hold| self.holds.placed(order_id, hold));
        CreateOrderCommand {
            order_id,
            caller: Caller::without_key(),
            key: Some(OrderKey {
                key: key.to_owned(),
                digest: [u8::try_from(number % 256).expect("below 256"); 32],
            }),
            customer_id: CustomerId::parse(&format!("customer-{number}")).expect("a short text"),
            lines: wish.lines.clone(),
            ordered_at: None,
            external_reference: None,
            payment_token: Some("token".to_owned()),
            total: None,
            money_lines: Vec::new(),
            details: details.map(Arc::new),
            holds,
            when_short: wish.when_short,
            traceparent: None,
        }
    }

    fn take(&self, key: &str, number: usize, reply: CreateOrderReply) -> Option<OrderAccepted> {
        match reply {
            CreateOrderReply::Created(accepted) | CreateOrderReply::Replayed(accepted) => {
                self.journal.note(format_args!("order {number} is accepted as {}", accepted.order_id));
                if let Some(first) = self.receipts.keep(key, &accepted) {
                    self.findings.add(Finding::of(
                        5,
                        key,
                        format!("answered {first:?}, and then {accepted:?}"),
                    ));
                }
                Some(accepted)
            }
            CreateOrderReply::KeyReused { .. }
            | CreateOrderReply::ReferenceReused { .. }
            | CreateOrderReply::Rejected(_) => {
                self.findings.add(Finding::of(0, key, format!("a sound order was refused: {reply:?}")));
                None
            }
        }
    }

    /// Has the goods sent elsewhere, if it is not too late. What an answer that was lost had done is known only if the next
    /// one says so.
    async fn change(&self, order_id: OrderId, address: Address) {
        self.destinations.may_become(order_id, &address);
        let changes = OrderChanges { shipping_address: Some(address.clone()), ..OrderChanges::default() };
        let (actor, note) = ("customer".to_owned(), "moved".to_owned());
        let command = ChangeOrderCommand { order_id, changes, actor, note };
        let mut was_asked = false;
        for _ in 0..TRIES_MAX {
            if let Some(door) = self.fleet.door() {
                match tokio::time::timeout(PATIENCE, door.commands.run(&command)).await {
                    Ok(Ok(ChangeOrderReply::Changed(_))) => {
                        return self.destinations.is(order_id, Some(&address));
                    }
                    Ok(Ok(ChangeOrderReply::TooLate(_))) if was_asked => return,
                    Ok(Ok(ChangeOrderReply::TooLate(_))) => return self.destinations.is(order_id, None),
                    Ok(Ok(ChangeOrderReply::NotFound)) => {
                        let finding =
                            Finding::of(1, &order_id.to_string(), "an accepted order was not found");
                        return self.findings.add(finding);
                    }
                    Ok(Err(_)) | Err(_) => was_asked = true,
                }
            }
            pause(PATIENCE).await;
        }
    }

    /// Has the order wait, if it is not too late. An answer that was lost may have done it, so only one that came counts.
    async fn hold(&self, order_id: OrderId, before: HoldPoint) {
        let wish = HoldWish { before, reason: "second thoughts".to_owned() };
        let (reason, actor) = (wish.reason.clone(), "customer".to_owned());
        let command = HoldOrderCommand { order_id, before, reason, actor };
        for _ in 0..TRIES_MAX {
            if let Some(door) = self.fleet.door()
                && let Ok(Ok(reply)) = tokio::time::timeout(PATIENCE, door.commands.run(&command)).await
            {
                self.journal.note(format_args!("holding {order_id}: {reply:?}"));
                match reply {
                    HoldOrderReply::Placed(_) => self.holds.placed(order_id, &wish),
                    HoldOrderReply::Refused(_) => {}
                    HoldOrderReply::NotFound => {
                        let what = "an accepted order was not found";
                        self.findings.add(Finding::of(1, &order_id.to_string(), what));
                    }
                }
                return;
            }
            pause(PATIENCE).await;
        }
    }

    async fn cancel(&self, order_id: OrderId) {
        let command = CancelOrderCommand {
            order_id,
            reason: CancelReason::Customer,
            actor: "customer".to_owned(),
            note: "changed my mind".to_owned(),
        };
        for _ in 0..TRIES_MAX {
            if let Some(door) = self.fleet.door()
                && let Ok(Ok(reply)) = tokio::time::timeout(PATIENCE, door.commands.run(&command)).await
            {
                self.journal.note(format_args!("cancelling {order_id}: {reply:?}"));
                if reply == CancelReply::NotFound {
                    self.findings.add(Finding::of(
                        1,
                        &order_id.to_string(),
                        "an accepted order was not found",
                    ));
                }
                return;
            }
            pause(PATIENCE).await;
        }
        self.findings.add(Finding::of(0, &order_id.to_string(), "nobody ever answered its cancellation"));
    }
}
