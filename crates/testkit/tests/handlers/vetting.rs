//! No provider is called without an order of this database in that step: what came over a broker is looked up before anything is
//! done on its word.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use application::commands::CancelOrderCommand;
use application::consumers::{
    NotificationDispatchConsumer, PaymentCaptureConsumer, PaymentConsumer, PaymentProcessedConsumer,
    PaymentRefundConsumer, ShipmentCancellationConsumer, ShipmentTrackingConsumer, ShippingConsumer,
    UNKNOWN_ORDER,
};
use application::messages::{
    NotificationDispatchRequested, OrderShippingRequested, PaymentProcessed, PaymentProcessingRequested,
    PaymentRefundRequested, PaymentResult, RefundPart,
};
use application::ports::{
    AnyUnit, Channel, ChargeRequest, Notification, NotificationKind, NotificationService, PaymentGateway,
    Readers, Said, Untold,
};
use application::saga::{OrderProcessingSaga, PaymentStep, STATES, SagaState, ShipmentStep, Undo};
use async_trait::async_trait;
use bus::{Consumer, DeadLetterFilter, DeadLetters, EffectConsumer, MessageId, Transport, Vetted};
use domain::{CancelReason, Capture, OrderId, OrderStatus, Payment};
use orderwright_testkit::agreeable::Agreeable;
use uuid::Uuid;

use super::deliveries::{Requests, brought, hear, read, requests};
use super::shop::Shop;

/// How long what happens at once may take, of virtual time: less than a claim waits before it is looked at again.
const SOON: Duration = Duration::from_secs(1);

/// What the consumers say of them, in the order of the fields.
async fn said(shop: &Shop, asked: &Requests) -> [Vetted; 6] {
    let (provider, _arrivals) = Agreeable::new();
    let (context, store) = (|| Arc::clone(&shop.context), || Arc::new(shop.store.clone()));
    let mut unit = shop.unit().await;
    [
        one(&PaymentConsumer::new(Arc::clone(&provider) as _, context()), unit.as_mut(), &asked.charge).await,
        one(&PaymentRefundConsumer::new(Arc::clone(&provider) as _, context()), unit.as_mut(), &asked.refund)
            .await,
        one(
            &ShippingConsumer::new(Arc::clone(&provider) as _, store(), context()),
            unit.as_mut(),
            &asked.book,
        )
        .await,
        one(
            &ShipmentCancellationConsumer::new(Arc::clone(&provider) as _, context()),
            unit.as_mut(),
            &asked.recall,
        )
        .await,
        one(
            &ShipmentTrackingConsumer::new(Arc::clone(&provider) as _, context()),
            unit.as_mut(),
            &asked.track,
        )
        .await,
        one(&PaymentCaptureConsumer::new(provider, context()), unit.as_mut(), &asked.capture).await,
    ]
}

async fn one<C: EffectConsumer<AnyUnit>>(consumer: &C, unit: &mut AnyUnit, asked: &C::Message) -> Vetted {
    let mut said = consumer.vet(unit, &[asked]).await.expect("a store in memory is never away");
    said.pop().expect("one word for one message")
}

#[tokio::test(start_paused = true)]
async fn no_provider_is_called_without_an_order_of_this_database_in_that_step() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let fresh = shop.saga(id).await;
    for state in STATES {
        for (payment, shipment) in steps() {
            let saga = OrderProcessingSaga { state, payment, shipment, ..fresh.clone() };
            shop.put(saga.clone()).await;
            let undone = matches!(state, SagaState::Compensating | SagaState::NeedsAttention);
            let due = |undo| undone && saga.pending_undo() == Some(undo);
            let expected = [
                matches!(state, SagaState::InventoryReserved | SagaState::PaymentProcessing)
                    && payment != PaymentStep::None,
                due(Undo::RefundPayment),
                state.awaits_shipping() && shipment != ShipmentStep::None,
                due(Undo::CancelShipment),
                state == SagaState::Shipped,
                matches!(state, SagaState::Authorised | SagaState::Shipped | SagaState::OnHold)
                    && payment == PaymentStep::Capturing,
            ];
            let said = said(&shop, &requests(&saga)).await;
            let wanted = said.clone().map(|said| said == Vetted::Wanted);
            assert_eq!(wanted, expected, "{state} {payment} {shipment}: {said:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_parcel_is_booked_without_the_address_that_its_order_has() {
    let shop = Shop::open().await;
    let fresh = shop.saga(shop.order(1, 1).await.order_id).await;
    let (state, shipment) = (SagaState::Paid, ShipmentStep::Requested);
    for has_address in [true, false] {
        let saga = OrderProcessingSaga { state, shipment, has_address, ..fresh.clone() };
        shop.put(saga.clone()).await;
        for asked in [true, false] {
            let book = OrderShippingRequested { has_address: asked, ..requests(&saga).book };
            let said = said(&shop, &Requests { book, ..requests(&saga) }).await[2].clone();
            let is_right = asked == has_address;
            assert_eq!(
                (said == Vetted::Wanted, matches!(said, Vetted::Foreign(_))),
                (is_right, !is_right),
                "{said:?}"
            );
        }
    }
}

fn steps() -> impl Iterator<Item = (PaymentStep, ShipmentStep)> {
    let shipments = |payment: &PaymentStep| {
        let payment = *payment;
        ShipmentStep::ALL.iter().map(move |shipment| (payment, *shipment))
    };
    PaymentStep::ALL.iter().flat_map(shipments)
}

#[tokio::test(start_paused = true)]
async fn a_request_under_another_key_for_another_amount_or_of_nobody_is_foreign_wherever_the_order_stands() {
    let shop = Shop::open().await;
    let (one, other) = (shop.order(1, 1).await.order_id, shop.order(2, 1).await.order_id);
    let fresh = shop.saga(one).await;
    let of_other = requests(&shop.saga(other).await);
    for state in STATES {
        let (payment, shipment) = (PaymentStep::Requested, ShipmentStep::Requested);
        shop.put(OrderProcessingSaga { state, payment, shipment, ..fresh.clone() }).await;
        let mut swapped = requests(&fresh);
        swapped.charge.idempotency_key.clone_from(&of_other.charge.idempotency_key);
        swapped.refund.idempotency_key.clone_from(&of_other.refund.idempotency_key);
        swapped.book.idempotency_key.clone_from(&of_other.book.idempotency_key);
        swapped.recall.idempotency_key.clone_from(&of_other.recall.idempotency_key);
        swapped.track.idempotency_key.clone_from(&of_other.track.idempotency_key);
        swapped.capture.idempotency_key.clone_from(&of_other.capture.idempotency_key);
        for said in said(&shop, &swapped).await {
            assert!(
                matches!(&said, Vetted::Foreign(why) if why.contains("another key")),
                "{state}: {said:?}"
            );
        }
        let mut cheap = requests(&fresh);
        cheap.charge.amount.minor = 1;
        cheap.capture.amount.minor = 1;
        let [charge, .., capture] = said(&shop, &cheap).await;
        for said in [charge, capture] {
            assert!(
                matches!(&said, Vetted::Foreign(why) if why.contains("the request is for 1")),
                "{said:?}"
            );
        }
    }
    let nobody = OrderProcessingSaga { order_id: OrderId(Uuid::max()), ..fresh };
    for said in said(&shop, &requests(&nobody)).await {
        assert_eq!(said, Vetted::Foreign(UNKNOWN_ORDER.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn money_is_paid_back_in_part_only_as_a_person_asked_for_it_here() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let (state, order) = (SagaState::Completed, OrderStatus::Delivered);
    let saga = OrderProcessingSaga { state, order, ..shop.saga(id).await };
    shop.put(saga.clone()).await;
    let mut payment = Payment::request(id, saga.total);
    payment.notes.refund_asked("refund-1", 100);
    let mut unit = shop.unit().await;
    let now = shop.context.clock.now();
    unit.payments().insert(std::slice::from_ref(&payment), now).await.expect("it can be written");
    unit.commit().await.expect("a store in memory is never away");
    for (key, minor, is_asked) in
        [("refund-1", 100, true), ("refund-1", 101, false), ("forged-1", 100, false)]
    {
        let part = Some(RefundPart { key: key.to_owned(), minor, reason: "broken".to_owned() });
        let asked = PaymentRefundRequested { part, ..requests(&saga).refund };
        let (provider, _arrivals) = Agreeable::new();
        let consumer = PaymentRefundConsumer::new(provider as _, Arc::clone(&shop.context));
        let mut unit = shop.unit().await;
        let said = one(&consumer, unit.as_mut(), &asked).await;
        assert_eq!(said == Vetted::Wanted, is_asked, "{key} {minor}: {said:?}");
    }
}

/// An order that is being called off goes on if its carrier keeps the parcel, so what was asked back for its lines is still wanted.
#[tokio::test(start_paused = true)]
async fn money_is_paid_back_in_part_from_the_capture_on_until_all_of_it_is_back() {
    use OrderStatus::{Authorised, Cancelled, Delivered, Paid, Pending, Shipped};
    use PaymentStep::{Captured, Closed, Refunded};
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let fresh = shop.saga(id).await;
    let mut payment = Payment::request(id, fresh.total);
    payment.notes.refund_asked("refund-1", 100);
    let mut unit = shop.unit().await;
    unit.payments().insert(std::slice::from_ref(&payment), shop.context.clock.now()).await.expect("written");
    unit.commit().await.expect("a store in memory is never away");
    for (order, payment, is_called_off, wanted) in [
        (Pending, PaymentStep::None, false, "foreign"),
        (Authorised, PaymentStep::Authorised, false, "foreign"),
        (Paid, Captured, false, "wanted"),
        (Paid, Captured, true, "wanted"),
        (Shipped, Captured, false, "wanted"),
        (Delivered, Captured, false, "wanted"),
        (Cancelled, Refunded, true, "past"),
        (Cancelled, Closed, true, "foreign"),
    ] {
        let reason = is_called_off.then_some(CancelReason::Timeout);
        let saga = OrderProcessingSaga { order, payment, reason, ..fresh.clone() };
        shop.put(saga.clone()).await;
        let part = Some(RefundPart { key: "refund-1".to_owned(), minor: 100, reason: "fewer".to_owned() });
        let asked = PaymentRefundRequested { part, ..requests(&saga).refund };
        let (provider, _arrivals) = Agreeable::new();
        let consumer = PaymentRefundConsumer::new(provider as _, Arc::clone(&shop.context));
        let mut unit = shop.unit().await;
        let said = match one(&consumer, unit.as_mut(), &asked).await {
            Vetted::Wanted => "wanted",
            Vetted::Past => "past",
            Vetted::Foreign(_) => "foreign",
        };
        assert_eq!(said, wanted, "{order}, {payment}, called off: {is_called_off}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_charge_with_another_token_than_the_orders_is_foreign() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let (state, payment) = (SagaState::InventoryReserved, PaymentStep::Requested);
    let saga = OrderProcessingSaga { state, payment, ..shop.saga(id).await };
    shop.put(saga.clone()).await;
    let mut forged = requests(&saga);
    forged.charge.payment_token = Some("tok_of_another".to_owned());
    let [charge, ..] = said(&shop, &forged).await;
    assert!(matches!(&charge, Vetted::Foreign(why) if why.contains("another payment token")), "{charge:?}");
}

#[tokio::test(start_paused = true)]
async fn money_is_taken_when_the_order_says_and_not_when_a_message_says() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let fresh = shop.saga(id).await;
    for capture in Capture::ALL.iter().copied() {
        let (state, payment) = (SagaState::InventoryReserved, PaymentStep::Requested);
        let saga = OrderProcessingSaga { state, payment, capture, ..fresh.clone() };
        shop.put(saga.clone()).await;
        for asked in Capture::ALL.iter().copied() {
            let mut request = requests(&saga);
            request.charge.capture = asked;
            let [charge, ..] = said(&shop, &request).await;
            assert_eq!(charge == Vetted::Wanted, asked == capture, "{capture} {asked}: {charge:?}");
        }
        let waiting =
            OrderProcessingSaga { state: SagaState::Authorised, payment: PaymentStep::Authorised, ..saga };
        shop.put(waiting.clone()).await;
        let [.., early] = said(&shop, &requests(&waiting)).await;
        assert!(matches!(&early, Vetted::Foreign(_)), "nobody has asked for the capture: {early:?}");
    }
}

/// Lets the payment consumer read these from a broker; returns how many charges that came to.
async fn charged_for(shop: &Shop, asked: &[PaymentProcessingRequested]) -> usize {
    let (provider, _arrivals) = Agreeable::new();
    let consumer = PaymentConsumer::new(Arc::clone(&provider) as _, Arc::clone(&shop.context));
    let deliveries = (1..)
        .zip(asked)
        .map(|(mark, message)| brought(shop, PaymentConsumer::QUEUE, mark, message.order_id, message));
    read(shop, consumer, deliveries.collect()).await;
    provider.charged()
}

/// Has a claim that money was taken come over a broker for an order that waits for its payment, and what is asked about it
/// carried out, by a gateway that has or has not charged before; returns the payment's status, and the charges made.
async fn claimed(shop: &Shop, number: u128, was_charged: bool) -> (String, usize) {
    let (provider, _arrivals) = Agreeable::new();
    let id = shop.order(number, 1).await.order_id;
    let saga = OrderProcessingSaga {
        state: SagaState::InventoryReserved,
        payment: PaymentStep::Requested,
        ..shop.saga(id).await
    };
    let row = Payment::request(id, saga.total);
    let mut unit = shop.unit().await;
    unit.payments()
        .insert(std::slice::from_ref(&row), shop.context.clock.now())
        .await
        .expect("it can be written");
    unit.commit().await.expect("a store in memory is never away");
    shop.put(saga).await;
    let (key, reference, amount) = (row.key.clone(), id.to_string(), row.amount);
    if was_charged {
        let request = ChargeRequest { key: key.clone(), reference, amount, payment_token: None };
        provider.charge(&request).await.expect("it says yes to everything");
    }
    let claim = PaymentResult::Processed(PaymentProcessed {
        order_id: id.0,
        amount: amount.into(),
        provider_reference: format!("ch_{key}"),
    });
    let queue = PaymentProcessedConsumer::QUEUE;
    let hearing = PaymentProcessedConsumer::new(Arc::clone(&shop.context));
    hear(shop, hearing, vec![brought(shop, queue, 1, id.0, &claim)]).await;
    let mut feed = shop.store.subscribe(PaymentConsumer::QUEUE).await.expect("it has this queue");
    let questions = tokio::time::timeout(SOON, feed.receive(9)).await.expect("the gateway is asked at once");
    let asking = PaymentConsumer::new(Arc::clone(&provider) as _, Arc::clone(&shop.context));
    read(shop, asking, questions.expect("a store in memory is never away")).await;
    let order = shop.store.order(id).await.expect("it can be read").expect("there is such an order");
    (order.payment.expect("it has a payment").status, provider.charged())
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_money_is_looked_up_at_the_gateway_at_once_and_never_charged_for() {
    let shop = Shop::open().await;
    assert_eq!(claimed(&shop, 1, true).await, ("captured".to_owned(), 1));
    assert_eq!(claimed(&shop, 2, false).await, ("unknown".to_owned(), 0));
}

#[tokio::test(start_paused = true)]
async fn what_comes_over_a_broker_is_charged_only_for_an_order_that_waits_for_it_and_dies_at_once_otherwise()
{
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let fresh = shop.saga(id).await;
    let own = requests(&fresh).charge;
    let nobody = PaymentProcessingRequested { order_id: Uuid::max(), ..own.clone() };
    assert_eq!(charged_for(&shop, &[nobody.clone(), own.clone()]).await, 0, "nothing is reserved yet");
    let dead = shop.store.list_dead_letters(&DeadLetterFilter::default(), 9).await.expect("it can be read");
    let reasons: Vec<&str> = dead.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(dead.len(), 2, "{reasons:?}");
    assert!(reasons.contains(&UNKNOWN_ORDER), "{reasons:?}");
    let (state, payment) = (SagaState::InventoryReserved, PaymentStep::Requested);
    shop.put(OrderProcessingSaga { state, payment, ..fresh.clone() }).await;
    assert_eq!(charged_for(&shop, &[nobody, own.clone()]).await, 1);
    shop.put(OrderProcessingSaga { state: SagaState::Paid, payment: PaymentStep::Captured, ..fresh }).await;
    assert_eq!(charged_for(&shop, &[own]).await, 0, "a repeat of what is paid");
    let dead = shop.store.count_dead_letters(&DeadLetterFilter::default()).await.expect("it can be read");
    assert_eq!(dead, 3, "a repeat is no dead letter");
}

/// Tells everything, and counts.
#[derive(Default)]
struct Teller(AtomicUsize);

#[async_trait]
impl NotificationService for Teller {
    async fn tell(&self, _: &Notification, _: &Channel) -> Result<Said, Untold> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Said::Told)
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_is_told_only_what_is_true_of_an_order_of_this_database() {
    let shop = Shop::open().await;
    let accepted = shop.order(1, 1).await;
    let (id, note) = (accepted.order_id, "changed my mind".to_owned());
    let actor = "ALFKI".to_owned();
    shop.run(&CancelOrderCommand { order_id: id, reason: CancelReason::Customer, actor, note }).await;
    let told = |order_id: OrderId, customer: &str, kind: NotificationKind| NotificationDispatchRequested {
        order_id: order_id.0,
        channel: Channel::Log.to_string(),
        notification: Notification {
            id: MessageId(order_id.0).child(kind.as_str(), 0).0,
            kind,
            order_id: order_id.0,
            customer_id: customer.to_owned(),
            email: None,
            total: accepted.total.into(),
            at: shop.context.clock.now(),
            carrier: None,
            tracking_number: None,
            reason: None,
        },
    };
    let cancelled = NotificationKind::OrderCancelled;
    let mut twice = told(id, "ALFKI", cancelled);
    twice.notification.id = Uuid::max();
    let forged = [
        told(OrderId(Uuid::max()), "ALFKI", cancelled),
        told(id, "SOMEBODY", cancelled),
        told(id, "ALFKI", NotificationKind::OrderDelivered),
        twice,
    ];
    let teller = Arc::new(Teller::default());
    let telling = || NotificationDispatchConsumer::new(Arc::clone(&teller) as _, Arc::clone(&shop.context));
    let queue = NotificationDispatchConsumer::QUEUE;
    let bring = |mark, message: &NotificationDispatchRequested| {
        brought(&shop, queue, mark, message.order_id, message)
    };
    let deliveries = (1..).zip(&forged).map(|(mark, message)| bring(mark, message)).collect();
    read(&shop, telling(), deliveries).await;
    let dead = shop.store.count_dead_letters(&DeadLetterFilter::default()).await.expect("it can be read");
    assert_eq!((teller.0.load(Ordering::Relaxed), dead), (0, forged.len() as u64));
    read(&shop, telling(), vec![bring(9, &told(id, "ALFKI", cancelled))]).await;
    assert_eq!(teller.0.load(Ordering::Relaxed), 1);
}
