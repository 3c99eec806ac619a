//! What the carrier is told of an order.

use std::sync::{Arc, Mutex};

use application::commands::{ShipOrderCommand, ShipOrderHandler};
use application::order_details::{Address, Contact, OrderDetails};
use application::ports::{
    AnyUnit, BookingOutcome, BookingRequest, ShipmentCancelOutcome, ShippingProvider, TrackingOutcome,
    Unanswered,
};
use async_trait::async_trait;
use bus::{Fault, Store};
use domain::OrderId;

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
        };
        assert_eq!(told, [wanted.clone(), wanted], "order {number}");
    }
}
