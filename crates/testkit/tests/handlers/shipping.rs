//! What the carrier is told of an order.

use std::sync::{Arc, Mutex};

use application::commands::{
    ChangeOrderCommand, ChangeOrderReply, OrderChanges, ShipOrderCommand, ShipOrderHandler,
};
use application::order_details::{Address, Contact, OrderDetails};
use application::ports::Readers;
use application::ports::{
    AnyUnit, BookingOutcome, BookingRequest, ParcelItem, ShipmentCancelOutcome, ShippingProvider,
    TrackingOutcome, Unanswered,
};
use application::saga::{OrderProcessingSaga, SagaState, ShipmentStep};
use async_trait::async_trait;
use bus::{Fault, Store};
use domain::{CancelReason, Currency, Money, OrderId};
use orderwright_testkit::simulation::{facts_of, sku};

use crate::shop::{Shop, request};

/// A store that is away.
struct Away;

#[async_trait]
impl Store<AnyUnit> for Away {
    async fn begin(&self) -> Result<Box<AnyUnit>, Fault> {
        Err(Fault::retry("store.begin", "no route"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_costs_no_attempt_and_no_parcel_goes_out_without_its_address() {
    let shop = Shop::open().await;
    let carrier = Arc::new(Carrier::default());
    let handler = ShipOrderHandler::new(Arc::clone(&carrier) as _, Arc::new(Away), Arc::clone(&shop.context));
    for attempt in 0..2 {
        let (order_id, idempotency_key) = (OrderId(uuid::Uuid::from_u128(1)), "ship-1".to_owned());
        let command = ShipOrderCommand { order_id, idempotency_key, attempt, has_address: true };
        let answer = handler.ask(command).await.expect("nothing is wrong with the order");
        assert!(format!("{answer:?}").contains("NotDone"), "{answer:?}");
    }
    assert!(carrier.0.lock().expect("nobody panics").is_empty());
}

/// Remembers what it was asked to book.
#[derive(Default)]
struct Carrier(Mutex<Vec<BookingRequest>>);

#[async_trait]
impl ShippingProvider for Carrier {
    async fn create_shipment(&self, request: &BookingRequest) -> Result<BookingOutcome, Unanswered> {
        self.0.lock().expect("nobody panics").push(request.clone());
        Ok(BookingOutcome::Booked { tracking_number: "T1".to_owned(), carrier: "C".to_owned() })
    }

    async fn look_up(&self, _key: &str) -> Result<TrackingOutcome, Unanswered> {
        Ok(TrackingOutcome::UnknownKey)
    }

    async fn cancel(&self, _key: &str) -> Result<ShipmentCancelOutcome, Unanswered> {
        Ok(ShipmentCancelOutcome::Cancelled)
    }
}

/// What the carrier is told of two of product 0 and one of product 1.
fn contents() -> Vec<ParcelItem> {
    let item = |number, quantity, minor| ParcelItem {
        sku: sku(number),
        name: format!("Product {number}"),
        quantity,
        unit_price: Money::new(minor, Currency::parse("EUR").expect("a currency")),
        shipping: facts_of(number),
    };
    vec![item(0, 2, 1_250), item(1, 1, 100)]
}

#[test]
fn a_parcel_has_a_weight_once_everything_in_it_has_one() {
    let parcel = |items| BookingRequest { items, ..BookingRequest::default() };
    let [unknown, mut known] = <[ParcelItem; 2]>::try_from(contents()).expect("two products");
    known.quantity = 3;
    assert_eq!(parcel(vec![known.clone()]).weight_g(), Some(30));
    assert_eq!(parcel(vec![known.clone(), unknown]).weight_g(), None);
    assert_eq!(parcel(Vec::new()).weight_g(), None);
    let heavy = ParcelItem { quantity: i64::MAX, ..known };
    assert_eq!(parcel(vec![heavy]).weight_g(), None, "it is beyond any scale");
}

#[tokio::test(start_paused = true)]
async fn the_carrier_is_told_where_the_goods_go_at_each_attempt_and_nothing_of_an_order_that_does_not_say() {
    let shop = Shop::open().await;
    let details = OrderDetails {
        contact: Some(Contact { email: Some("ann@example.org".to_owned()), ..Contact::default() }),
        shipping_address: Some(Address {
            lines: vec!["1 Road".to_owned()],
            country: "IE".to_owned(),
            ..Address::default()
        }),
        order_note: Some("ring twice".to_owned()),
        ..OrderDetails::default()
    };
    let mut addressed = request(1);
    addressed.details = Some(Arc::new(details.clone()));
    let mut billed = request(2);
    billed.details = Some(Arc::new(OrderDetails { shipping_address: None, ..details.clone() }));
    shop.create(&[addressed, billed, request(3)]).await;
    let carrier = Arc::new(Carrier::default());
    let store = Arc::new(shop.store.clone());
    let handler = ShipOrderHandler::new(Arc::clone(&carrier) as _, store, Arc::clone(&shop.context));
    for (number, has_address) in [(1, true), (2, false), (3, false)] {
        let order_id = OrderId(uuid::Uuid::from_u128(number));
        let saga = shop.saga(order_id).await;
        assert_eq!(saga.has_address, has_address, "order {number}");
        for attempt in 0..2 {
            let command = ShipOrderCommand {
                order_id,
                idempotency_key: format!("ship-{number}"),
                attempt,
                has_address: saga.has_address,
            };
            handler.ask(command).await.expect("a store in memory is never away");
        }
        let told = std::mem::take(&mut *carrier.0.lock().expect("nobody panics"));
        let (address, contact) = match has_address {
            true => (details.shipping_address.clone(), details.contact.clone()),
            false => (None, None),
        };
        let wanted = BookingRequest {
            key: format!("ship-{number}"),
            reference: order_id.to_string(),
            address,
            contact,
            items: if has_address { contents() } else { Vec::new() },
        };
        assert_eq!(told, [wanted.clone(), wanted], "order {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_moves_before_the_carrier_is_asked_gets_the_goods_there_and_later_it_is_refused() {
    let shop = Shop::open().await;
    let to =
        |line: &str| Address { lines: vec![line.to_owned()], country: "IE".to_owned(), ..Address::default() };
    let change = |line: &str| ChangeOrderCommand {
        order_id: OrderId(uuid::Uuid::from_u128(1)),
        changes: OrderChanges { shipping_address: Some(to(line)), ..OrderChanges::default() },
        actor: "ann".to_owned(),
        note: "moved".to_owned(),
    };
    shop.create(&[request(1)]).await;
    let order_id = OrderId(uuid::Uuid::from_u128(1));
    assert!(!shop.saga(order_id).await.has_address);
    let changed = ChangeOrderReply::Changed(vec!["shipping_address"]);
    assert_eq!(shop.run(&change("1 Road")).await, changed);
    assert_eq!(shop.run(&change("1 Road")).await, ChangeOrderReply::Changed(Vec::new()), "it says so");
    assert_eq!(shop.run(&change("2 Road")).await, changed);
    let saga = shop.saga(order_id).await;
    assert!(saga.has_address);
    let carrier = Arc::new(Carrier::default());
    let handler = ShipOrderHandler::new(
        Arc::clone(&carrier) as _,
        Arc::new(shop.store.clone()),
        Arc::clone(&shop.context),
    );
    let idempotency_key = "ship-1".to_owned();
    let command = ShipOrderCommand { order_id, idempotency_key, attempt: 0, has_address: saga.has_address };
    handler.ask(command).await.expect("a store in memory is never away");
    assert_eq!(carrier.0.lock().expect("nobody panics")[0].address, Some(to("2 Road")));
    for step in [ShipmentStep::Requested, ShipmentStep::Booked, ShipmentStep::Cancelled] {
        shop.put(OrderProcessingSaga { shipment: step, ..saga.clone() }).await;
        let reply = shop.run(&change("3 Road")).await;
        assert!(matches!(reply, ChangeOrderReply::TooLate(_)), "{step}: {reply:?}");
    }
    for called_off in [
        OrderProcessingSaga { state: SagaState::Failed, ..saga.clone() },
        OrderProcessingSaga { reason: Some(CancelReason::Customer), ..saga.clone() },
    ] {
        shop.put(called_off).await;
        let reply = shop.run(&change("3 Road")).await;
        assert!(matches!(reply, ChangeOrderReply::TooLate(_)), "{reply:?}");
    }
    let mut unit = shop.unit().await;
    let (_, stored) = unit.orders().details(&[order_id]).await.expect("it can be read").remove(0);
    let said = OrderDetails::from_stored(&stored).expect("it was stored");
    assert_eq!(said.shipping_address, Some(to("2 Road")), "what was refused changed nothing");
    drop(unit);
    let timeline = shop.store.history(order_id).await.expect("it can be read").expect("it is there");
    let told: Vec<_> = timeline.iter().filter(|entry| entry.event == "OrderChanged").collect();
    assert_eq!(told.len(), 2, "{timeline:?}");
    assert_eq!(told[0].detail.as_deref(), Some("shipping_address: by ann"));
    let nobody = ChangeOrderCommand { order_id: OrderId(uuid::Uuid::from_u128(9)), ..change("1 Road") };
    assert_eq!(shop.run(&nobody).await, ChangeOrderReply::NotFound);
}
