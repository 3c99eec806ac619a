//! Answers that other news has overtaken, and calls that come twice: nobody is told twice or of the wrong thing, and the
//! timeline has them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use application::commands::{CommandPipeline, TakeProviderNewsCommand};
use application::consumers::{
    NotificationConsumer, PaymentConsumer, PaymentProcessedConsumer, ShippingConsumer,
};
use application::pipeline::Context;
use application::ports::{
    AnyUnit, BookingOutcome, BookingRequest, CancelOutcome, ChargeOutcome, ChargeRequest, NewsKind,
    PaymentGateway, Provider, ProviderNews, Readers, ShipmentCancelOutcome, ShippingProvider,
    TrackingOutcome, Unanswered,
};
use application::saga::{OrderProcessingSaga, PaymentStep, SagaState, ShipmentStep};
use async_trait::async_trait;
use bus::{Consumer, EffectConsumer, Store};
use domain::{Payment, Shipment};
use infrastructure::sqlite::SqliteStore;
use jiff::Timestamp;

use super::deliveries::{brought, read, requests, waiting};
use super::shop::Shop;

/// How a gateway answers the first call for a charge.
#[async_trait]
trait Charges: Send + Sync + 'static {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered>;
}

/// A gateway that is asked for nothing but charges.
struct Only<C>(C);

#[async_trait]
impl<C: Charges> PaymentGateway for Only<C> {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        self.0.charge(request).await
    }

    async fn authorise(&self, _: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        unreachable!("it is charged at once")
    }

    async fn capture(&self, _: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        unreachable!("it is charged at once")
    }

    async fn look_up(&self, _: &ChargeRequest) -> Result<Option<ChargeOutcome>, Unanswered> {
        unreachable!("the first call is answered")
    }

    async fn cancel(&self, _: &str) -> Result<CancelOutcome, Unanswered> {
        unreachable!("nothing is undone")
    }

    async fn refund(&self, _: &str, _: &str, _: i64) -> Result<CancelOutcome, Unanswered> {
        unreachable!("nothing is undone")
    }
}

/// A gateway whose webhook about a charge is here before its answer; if so, the saga has heard of it by then.
struct Hasty {
    store: SqliteStore,
    context: Arc<Context>,
    saga: OrderProcessingSaga,
    has_heard: bool,
}

#[async_trait]
impl Charges for Hasty {
    async fn charge(&self, request: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        let reference = "ch-1".to_owned();
        let kind = NewsKind::PaymentCaptured { amount: request.amount, reference: reference.clone() };
        let news = vec![ProviderNews::honest("evt-1", self.saga.order_id, kind, Timestamp::UNIX_EPOCH)];
        let told = TakeProviderNewsCommand { provider: Provider::Payments, news };
        let commands = CommandPipeline::new(Arc::new(self.store.clone()), Arc::clone(&self.context));
        commands.run(&told).await.expect("a store in memory is never away");
        if self.has_heard {
            let paid = OrderProcessingSaga {
                state: SagaState::Paid,
                payment: PaymentStep::Captured,
                ..self.saga.clone()
            };
            let mut unit: Box<AnyUnit> =
                Store::begin(&self.store).await.expect("a store in memory is never away");
            unit.update_sagas(&[paid], self.context.clock.now()).await.expect("it can be written");
            unit.commit().await.expect("a store in memory is never away");
        }
        Ok(ChargeOutcome::Captured { reference, refunded_minor: 0 })
    }
}

/// How often it is published that the money came, when a webhook was here before the answer.
async fn told_of_money(shop: &Shop, number: u128, has_heard: bool) -> u64 {
    let before = waiting(shop, PaymentProcessedConsumer::QUEUE).await;
    let id = shop.order(number, 1).await.order_id;
    let fresh = shop.saga(id).await;
    let saga =
        OrderProcessingSaga { state: SagaState::InventoryReserved, payment: PaymentStep::Requested, ..fresh };
    let mut unit = shop.unit().await;
    let row = Payment::request(id, saga.total);
    unit.payments().insert(&[row], shop.context.clock.now()).await.expect("it can be written");
    unit.commit().await.expect("a store in memory is never away");
    shop.put(saga.clone()).await;
    let (store, context) = (shop.store.clone(), Arc::clone(&shop.context));
    let asked = requests(&saga).charge;
    let gateway = Arc::new(Only(Hasty { store, context, saga, has_heard }));
    let consumer = PaymentConsumer::new(gateway, Arc::clone(&shop.context));
    read(shop, consumer, vec![brought(shop, PaymentConsumer::QUEUE, 1, id.0, &asked)]).await;
    waiting(shop, PaymentProcessedConsumer::QUEUE).await - before
}

#[tokio::test(start_paused = true)]
async fn what_a_webhook_has_told_the_saga_before_the_answer_came_is_not_published_once_more() {
    let shop = Shop::open().await;
    assert_eq!(told_of_money(&shop, 1, true).await, 1, "the webhook has told it");
    assert_eq!(told_of_money(&shop, 2, false).await, 2, "the saga may not have heard the webhook yet");
}

/// A carrier that books a second parcel while another of our workers hears of the first.
struct Doubling {
    store: SqliteStore,
    saga: OrderProcessingSaga,
}

#[async_trait]
impl ShippingProvider for Doubling {
    async fn create_shipment(&self, _: &BookingRequest) -> Result<BookingOutcome, Unanswered> {
        let id = self.saga.order_id;
        let (state, shipment) = (SagaState::Shipped, ShipmentStep::Booked);
        let shipped = OrderProcessingSaga { state, shipment, ..self.saga.clone() };
        let mut unit: Box<AnyUnit> =
            Store::begin(&self.store).await.expect("a store in memory is never away");
        let mut rows = unit.shipments().get(&[id]).await.expect("it can be read");
        let _ = rows[0].book("T1", "C").expect("it was asked for");
        unit.shipments().update(&rows, Timestamp::UNIX_EPOCH).await.expect("it can be written");
        unit.update_sagas(&[shipped], Timestamp::UNIX_EPOCH).await.expect("it can be written");
        unit.commit().await.expect("a store in memory is never away");
        Ok(BookingOutcome::Booked { tracking_number: "T2".to_owned(), carrier: "C".to_owned() })
    }

    async fn look_up(&self, _: &str) -> Result<TrackingOutcome, Unanswered> {
        unreachable!("the first call is answered")
    }

    async fn cancel(&self, _: &str) -> Result<ShipmentCancelOutcome, Unanswered> {
        unreachable!("nothing is undone")
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_parcel_is_told_to_no_customer_and_stands_in_the_timeline() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let (state, shipment) = (SagaState::Paid, ShipmentStep::Requested);
    let saga = OrderProcessingSaga { state, shipment, ..shop.saga(id).await };
    let mut unit = shop.unit().await;
    unit.shipments()
        .insert(&[Shipment::request(id)], shop.context.clock.now())
        .await
        .expect("it can be written");
    unit.commit().await.expect("a store in memory is never away");
    shop.put(saga.clone()).await;
    let before = waiting(&shop, NotificationConsumer::QUEUE).await;
    let asked = requests(&saga).book;
    let store = shop.store.clone();
    let carrier = Arc::new(Doubling { store: store.clone(), saga });
    let consumer = ShippingConsumer::new(carrier, Arc::new(store), Arc::clone(&shop.context));
    read(&shop, consumer, vec![brought(&shop, ShippingConsumer::QUEUE, 1, id.0, &asked)]).await;
    assert_eq!(waiting(&shop, NotificationConsumer::QUEUE).await, before);
    let order = shop.store.order(id).await.expect("it can be read").expect("there is such an order");
    let parcel = order.shipment.expect("it has a parcel");
    assert_eq!(parcel.tracking_number.as_deref(), Some("T1"));
    let timeline = shop.store.history(id).await.expect("it can be read").expect("there is such an order");
    let told: Vec<_> = timeline.iter().filter(|entry| entry.event == "ShippingCall").collect();
    assert_eq!(told.len(), 1, "{timeline:?}");
    let detail = told[0].detail.as_deref();
    assert_eq!(detail, Some("create_shipment (attempt 1): booked with C as T2"));
}

/// A gateway whose first answer is lost.
#[derive(Default)]
struct Mumbling(AtomicUsize);

#[async_trait]
impl Charges for Mumbling {
    async fn charge(&self, _: &ChargeRequest) -> Result<ChargeOutcome, Unanswered> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Unanswered::Unknown { why: "no answer in time".to_owned() }),
            _ => Ok(ChargeOutcome::Captured { reference: "ch-1".to_owned(), refunded_minor: 0 }),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_for_one_order_in_a_batch_the_timeline_has_both_answers() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let (state, payment) = (SagaState::InventoryReserved, PaymentStep::Requested);
    let saga = OrderProcessingSaga { state, payment, ..shop.saga(id).await };
    let mut unit = shop.unit().await;
    let row = Payment::request(id, saga.total);
    unit.payments().insert(&[row], shop.context.clock.now()).await.expect("it can be written");
    unit.commit().await.expect("a store in memory is never away");
    shop.put(saga.clone()).await;
    let asked = requests(&saga).charge;
    let consumer = PaymentConsumer::new(Arc::new(Only(Mumbling::default())), Arc::clone(&shop.context));
    let twice = [1, 2].map(|mark| brought(&shop, PaymentConsumer::QUEUE, mark, id.0, &asked));
    read(&shop, consumer, twice.into()).await;
    let timeline = shop.store.history(id).await.expect("it can be read").expect("there is such an order");
    let told: Vec<_> = timeline.iter().filter_map(|entry| entry.detail.as_deref()).collect();
    let answers =
        ["charge (attempt 1): outcome unknown: no answer in time", "charge (attempt 1): captured as ch-1"];
    assert!(answers.iter().all(|answer| told.contains(answer)), "{told:?}");
}
