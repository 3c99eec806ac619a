//! What consumers ask of the outside, and messages as a broker brings them to those who do it.

use std::sync::{Arc, Mutex};

use application::messages::{
    OrderShippingRequested, PaymentCaptureRequested, PaymentProcessingRequested, PaymentRefundRequested,
    ShipmentCancellationRequested, ShipmentTrackingRequested, correlation,
};
use application::ports::{AnyUnit, Readers};
use application::saga::OrderProcessingSaga;
use async_trait::async_trait;
use bus::{
    Clock, Consumer, Delivery, EffectConsumer, Endpoint, EndpointPolicy, Fault, Feed, IdSource, Message,
    MessageId, Origin, Receipt, Stop, Store, Timer, TimerFired,
};
use domain::{OrderId, Payment, Shipment};
use tokio::sync::Notify;
use uuid::Uuid;

use super::shop::Shop;

/// One request of each kind for the outside, as the saga itself would write it.
pub(crate) struct Requests {
    pub(crate) charge: PaymentProcessingRequested,
    pub(crate) refund: PaymentRefundRequested,
    pub(crate) book: OrderShippingRequested,
    pub(crate) recall: ShipmentCancellationRequested,
    pub(crate) track: ShipmentTrackingRequested,
    pub(crate) capture: PaymentCaptureRequested,
}

pub(crate) fn requests(saga: &OrderProcessingSaga) -> Requests {
    let order_id = saga.order_id.0;
    let money = Payment::request(saga.order_id, saga.total).key;
    let parcel = || Shipment::request(saga.order_id).key;
    Requests {
        charge: PaymentProcessingRequested {
            order_id,
            amount: saga.total.into(),
            idempotency_key: money.clone(),
            payment_token: None,
            capture: saga.capture,
        },
        capture: PaymentCaptureRequested {
            order_id,
            amount: saga.total.into(),
            idempotency_key: money.clone(),
        },
        refund: PaymentRefundRequested { order_id, idempotency_key: money, part: None },
        book: OrderShippingRequested { order_id, idempotency_key: parcel(), has_address: false },
        recall: ShipmentCancellationRequested { order_id, idempotency_key: parcel() },
        track: ShipmentTrackingRequested { order_id, idempotency_key: parcel() },
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

/// A message as a broker brings it.
pub(crate) fn brought(
    shop: &Shop,
    queue: &str,
    mark: i64,
    order_id: Uuid,
    message: &impl Message,
) -> Delivery {
    let now = shop.context.clock.now();
    let (id, about) = (shop.context.ids.next(now), correlation(OrderId(order_id)));
    let receipt = Receipt { queue: queue.into(), origin: Origin::Broker(mark) };
    Delivery { envelope: Arc::new(message.first(MessageId(id), about, now)), receipt }
}

/// Lets a consumer read these.
pub(crate) async fn read<C: EffectConsumer<AnyUnit>>(shop: &Shop, consumer: C, deliveries: Vec<Delivery>) {
    read_at(&endpoint(shop, Endpoint::with_effects, consumer), deliveries).await;
}

/// Lets a consumer without effects read these.
pub(crate) async fn hear<C: Consumer<AnyUnit>>(shop: &Shop, consumer: C, deliveries: Vec<Delivery>) {
    read_at(&endpoint(shop, Endpoint::new, consumer), deliveries).await;
}

/// How an endpoint is made for a consumer of one kind.
type Make<C> = fn(
    Arc<C>,
    Arc<dyn Store<AnyUnit>>,
    Arc<dyn Clock>,
    Arc<dyn IdSource>,
    EndpointPolicy,
) -> Endpoint<AnyUnit>;

fn endpoint<C>(shop: &Shop, make: Make<C>, consumer: C) -> Endpoint<AnyUnit> {
    let context = &shop.context;
    let (clock, ids) = (Arc::clone(&context.clock), Arc::clone(&context.ids));
    make(Arc::new(consumer), Arc::new(shop.store.clone()), clock, ids, EndpointPolicy::default())
}

async fn read_at(endpoint: &Endpoint<AnyUnit>, deliveries: Vec<Delivery>) {
    let count = deliveries.len();
    let (done, stop) = (Arc::new(Done::default()), Stop::new());
    let feed = Given { deliveries, done: Arc::clone(&done) };
    let all_done = async {
        while done.receipts.lock().expect("nobody panics").len() < count {
            done.told.notified().await;
        }
        stop.stop();
    };
    tokio::join!(endpoint.run(Box::new(feed), stop.clone()), all_done);
}

/// The timers that are due, as the service fires them.
pub(crate) async fn fire(shop: &Shop) -> Vec<TimerFired> {
    let mut unit = shop.unit().await;
    let now = shop.context.clock.now();
    let due = unit.lease_due_timers(now, 9).await.expect("a store in memory is never away");
    unit.commit().await.expect("a store in memory is never away");
    let fired = |timer: &Timer| TimerFired {
        saga: timer.key.saga.0,
        name: timer.key.name.to_string(),
        generation: timer.generation,
        due_at_us: timer.due_at.as_microsecond(),
    };
    due.iter().map(fired).collect()
}

/// Messages that wait in a queue.
pub(crate) async fn waiting(shop: &Shop, queue: &str) -> u64 {
    let overview = shop.store.overview().await.expect("it can be read");
    overview.queues.iter().find(|(name, _)| name == queue).map_or(0, |(_, count)| *count)
}
