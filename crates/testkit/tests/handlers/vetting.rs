//! No provider is called without an order of this database in that step: what came over a broker is looked up before anything is
//! done on its word.

use std::sync::{Arc, Mutex};

use application::consumers::{
    PaymentConsumer, PaymentRefundConsumer, ShipmentCancellationConsumer, ShipmentTrackingConsumer,
    ShippingConsumer, UNKNOWN_ORDER,
};
use application::messages::{
    OrderShippingRequested, PaymentProcessingRequested, PaymentRefundRequested,
    ShipmentCancellationRequested, ShipmentTrackingRequested, correlation,
};
use application::ports::AnyUnit;
use application::saga::{OrderProcessingSaga, PaymentStep, STATES, SagaState, ShipmentStep, Undo};
use async_trait::async_trait;
use bus::{
    Consumer, DeadLetterFilter, DeadLetters, Delivery, Endpoint, EndpointPolicy, Fault, Feed, Message,
    MessageId, Origin, Receipt, Stop, Vetted,
};
use domain::{OrderId, Payment, Shipment};
use orderwright_testkit::agreeable::Agreeable;
use tokio::sync::Notify;
use uuid::Uuid;

use super::shop::Shop;

/// One request of each kind for the outside, as the saga itself would write it.
struct Requests {
    charge: PaymentProcessingRequested,
    refund: PaymentRefundRequested,
    book: OrderShippingRequested,
    recall: ShipmentCancellationRequested,
    track: ShipmentTrackingRequested,
}

fn requests(saga: &OrderProcessingSaga) -> Requests {
    let order_id = saga.order_id.0;
    let money = Payment::request(saga.order_id, saga.total).key;
    let parcel = || Shipment::request(saga.order_id).key;
    Requests {
        charge: PaymentProcessingRequested {
            order_id,
            amount: saga.total.into(),
            idempotency_key: money.clone(),
            payment_token: None,
        },
        refund: PaymentRefundRequested { order_id, idempotency_key: money, part: None },
        book: OrderShippingRequested { order_id, idempotency_key: parcel() },
        recall: ShipmentCancellationRequested { order_id, idempotency_key: parcel() },
        track: ShipmentTrackingRequested { order_id, idempotency_key: parcel() },
    }
}

/// What the consumers say of them, in the order of the fields.
async fn said(shop: &Shop, asked: &Requests) -> [Vetted; 5] {
    let (provider, _arrivals) = Agreeable::new();
    let context = || Arc::clone(&shop.context);
    let mut unit = shop.unit().await;
    [
        one(&PaymentConsumer::new(Arc::clone(&provider) as _, context()), unit.as_mut(), &asked.charge).await,
        one(&PaymentRefundConsumer::new(Arc::clone(&provider) as _, context()), unit.as_mut(), &asked.refund)
            .await,
        one(&ShippingConsumer::new(Arc::clone(&provider) as _, context()), unit.as_mut(), &asked.book).await,
        one(
            &ShipmentCancellationConsumer::new(Arc::clone(&provider) as _, context()),
            unit.as_mut(),
            &asked.recall,
        )
        .await,
        one(&ShipmentTrackingConsumer::new(provider, context()), unit.as_mut(), &asked.track).await,
    ]
}

async fn one<C: Consumer<AnyUnit>>(consumer: &C, unit: &mut AnyUnit, asked: &C::Message) -> Vetted {
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
                state == SagaState::Paid && shipment != ShipmentStep::None,
                due(Undo::CancelShipment),
                state == SagaState::Shipped,
            ];
            let said = said(&shop, &requests(&saga)).await;
            let wanted = said.clone().map(|said| said == Vetted::Wanted);
            assert_eq!(wanted, expected, "{state} {payment} {shipment}: {said:?}");
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
        for said in said(&shop, &swapped).await {
            assert!(
                matches!(&said, Vetted::Foreign(why) if why.contains("another key")),
                "{state}: {said:?}"
            );
        }
        let mut cheap = requests(&fresh);
        cheap.charge.amount.minor = 1;
        let [charge, ..] = said(&shop, &cheap).await;
        assert!(
            matches!(&charge, Vetted::Foreign(why) if why.contains("the request is for 1")),
            "{charge:?}"
        );
    }
    let nobody = OrderProcessingSaga { order_id: OrderId(Uuid::max()), ..fresh };
    for said in said(&shop, &requests(&nobody)).await {
        assert_eq!(said, Vetted::Foreign(UNKNOWN_ORDER.to_owned()));
    }
}

/// Gives out what it was given, once, and notes what is acknowledged.
struct Given {
    deliveries: Vec<Delivery>,
    done: Arc<Done>,
}

#[derive(Default)]
struct Done {
    receipts: Mutex<Vec<Receipt>>,
    told: Notify,
}

#[async_trait]
impl Feed for Given {
    async fn receive(&mut self, _max: usize) -> Result<Vec<Delivery>, Fault> {
        match std::mem::take(&mut self.deliveries) {
            given if given.is_empty() => std::future::pending().await,
            given => Ok(given),
        }
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        self.done.receipts.lock().expect("nobody panics").extend_from_slice(receipts);
        self.done.told.notify_one();
        Ok(())
    }
}

/// Lets the payment consumer read these from a broker; returns how many charges that came to.
async fn charged_for(shop: &Shop, asked: &[PaymentProcessingRequested]) -> usize {
    let (provider, _arrivals) = Agreeable::new();
    let consumer = Arc::new(PaymentConsumer::new(Arc::clone(&provider) as _, Arc::clone(&shop.context)));
    let context = &shop.context;
    let endpoint = Endpoint::new(
        consumer,
        Arc::new(shop.store.clone()),
        Arc::clone(&context.clock),
        Arc::clone(&context.ids),
        EndpointPolicy::default(),
    );
    let delivery = |(mark, message): (i64, &PaymentProcessingRequested)| {
        let (id, about) = (context.ids.next(context.clock.now()), correlation(OrderId(message.order_id)));
        let envelope = message.first(MessageId(id), about, context.clock.now());
        let receipt = Receipt { queue: PaymentConsumer::QUEUE.into(), origin: Origin::Broker(mark) };
        Delivery { envelope: Arc::new(envelope), receipt }
    };
    let (done, stop) = (Arc::new(Done::default()), Stop::new());
    let feed = Given { deliveries: (1..).zip(asked).map(delivery).collect(), done: Arc::clone(&done) };
    let all_done = async {
        while done.receipts.lock().expect("nobody panics").len() < asked.len() {
            done.told.notified().await;
        }
        stop.stop();
    };
    tokio::join!(endpoint.run(Box::new(feed), stop.clone()), all_done);
    provider.charged()
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
