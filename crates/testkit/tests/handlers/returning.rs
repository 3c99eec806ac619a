//! Returns: what may come back of an order, what becomes of it, and what is paid back for it.

use std::sync::Arc;

use application::commands::{
    CancelReturnCommand, CancelReturnReply, ReceiveReturnCommand, ReceiveReturnReply, RequestReturnCommand,
    RequestReturnReply, TakeProviderNewsCommand,
};
use application::consumers::{PaymentProcessedConsumer, ShippingCompletedConsumer};
use application::messages::{ParcelNews, ParcelReported};
use application::ports::{NewsKind, Provider, ProviderNews, Readers, ReturnView};
use application::saga::{EventKind, SagaState};
use bus::Consumer;
use domain::{
    Arrival, Currency, Money, OrderId, OrderReturn, ParcelTrouble, Restock, ReturnId, ReturnStatus, Sku,
};
use orderwright_testkit::simulation::sku;

use super::deliveries::{brought, hear, waiting};
use super::shop::Shop;

const TO_THE_CARRIER: [EventKind; 4] = [
    EventKind::OrderValidated,
    EventKind::InventoryReserved,
    EventKind::PaymentCaptured,
    EventKind::ShipmentBooked,
];

async fn sent(shop: &Shop, units: u32) -> OrderId {
    let id = shop.order(1, units).await.order_id;
    shop.happen(id, &TO_THE_CARRIER).await;
    id
}

async fn request(shop: &Shop, order_id: OrderId, lines: &[(Sku, i64)]) -> RequestReturnReply {
    let (reason, actor) = ("too small".to_owned(), "eve".to_owned());
    shop.run(&RequestReturnCommand { order_id, lines: lines.to_vec(), reason, actor }).await
}

async fn requested(shop: &Shop, order_id: OrderId, lines: &[(Sku, i64)]) -> OrderReturn {
    match request(shop, order_id, lines).await {
        RequestReturnReply::Requested(it) => *it,
        other @ (RequestReturnReply::Refused(_) | RequestReturnReply::NotFound) => {
            panic!("goods that were sent may come back: {other:?}")
        }
    }
}

fn receipt(it: &OrderReturn) -> ReceiveReturnCommand {
    ReceiveReturnCommand {
        order_id: it.order_id,
        return_id: it.id,
        arrived: Vec::new(),
        restock: Restock::None,
        refund: None,
        actor: "ann".to_owned(),
        note: "opened".to_owned(),
    }
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::parse("EUR").expect("a currency"))
}

async fn returns_of(shop: &Shop, id: OrderId) -> Vec<ReturnView> {
    shop.store.order(id).await.expect("it can be read").expect("it is there").returns
}

async fn is_sound(shop: &Shop) {
    let broken = shop.store.broken_invariants(shop.context.clock.now(), 9).await.expect("it can be read");
    assert_eq!(broken, []);
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_back_that_was_not_sent_and_no_more_than_was() {
    let shop = Shop::open().await;
    let id = shop.order(1, 3).await.order_id;
    let early = request(&shop, id, &[]).await;
    assert!(matches!(&early, RequestReturnReply::Refused(why) if why.contains("so cancel it")), "{early:?}");
    shop.happen(id, &TO_THE_CARRIER).await;

    let two = requested(&shop, id, &[(sku(0), 2)]).await;
    let more = request(&shop, id, &[(sku(0), 2)]).await;
    assert_eq!(more, RequestReturnReply::Refused("2 units of P-0, where 1 to 1 can come back".to_owned()));
    let other = request(&shop, id, &[(sku(1), 1)]).await;
    assert_eq!(other, RequestReturnReply::Refused("P-1 is not part of it; it has P-0".to_owned()));
    let rest = requested(&shop, id, &[]).await;
    assert_eq!(rest.lines[0].quantity, 1);
    let none = request(&shop, id, &[]).await;
    assert!(
        matches!(&none, RequestReturnReply::Refused(why) if why.contains("nothing of this order is left"))
    );

    let (actor, note) = ("ann".to_owned(), String::new());
    let cancel = CancelReturnCommand { order_id: id, return_id: two.id, actor, note };
    assert!(matches!(shop.run(&cancel).await, CancelReturnReply::Cancelled(_)));
    let over = CancelReturnReply::Refused("the return was cancelled before".to_owned());
    assert_eq!(shop.run(&cancel).await, over);
    assert_eq!(requested(&shop, id, &[]).await.lines[0].quantity, 2, "they may be asked for again");
    is_sound(&shop).await;

    let nobody = OrderId(uuid::Uuid::from_u128(99));
    assert_eq!(request(&shop, nobody, &[]).await, RequestReturnReply::NotFound);
    let unknown = CancelReturnCommand { return_id: ReturnId(uuid::Uuid::from_u128(99)), ..cancel };
    assert_eq!(shop.run(&unknown).await, CancelReturnReply::NoSuchReturn);
}

#[tokio::test(start_paused = true)]
async fn what_is_for_sale_again_is_in_stock_and_what_is_paid_back_is_asked_for_once() {
    let shop = Shop::open().await;
    let id = sent(&shop, 3).await;
    shop.happen(id, &[EventKind::ParcelDelivered]).await;
    let it = requested(&shop, id, &[]).await;
    let before = shop.stock(0).await;
    let arrived = vec![Arrival { sku: sku(0), received: 2, restocked: Some(1) }];
    let most = shop.store.order(id).await.unwrap().unwrap().total.minor;
    for (refund, why) in [(eur(most + 1), "can go back"), (eur(0), "can go back")] {
        let too_much = ReceiveReturnCommand { refund: Some(refund), ..receipt(&it) };
        let reply = shop.run(&too_much).await;
        assert!(matches!(&reply, ReceiveReturnReply::Refused(told) if told.contains(why)), "{reply:?}");
    }
    assert_eq!(returns_of(&shop, id).await[0].status, "requested", "nothing is half done");
    assert_eq!(shop.stock(0).await, before);

    let command = ReceiveReturnCommand { arrived, refund: Some(eur(1_250)), ..receipt(&it) };
    let ReceiveReturnReply::Received(received) = shop.run(&command).await else { panic!("it is awaited") };
    assert_eq!((received.status, received.lines[0].received), (ReturnStatus::Received, 2));
    let after = shop.stock(0).await;
    assert_eq!((after.available, after.shipped), (before.available + 1, before.shipped));
    let again = shop.run(&command).await;
    assert_eq!(again, ReceiveReturnReply::Refused("the return was received before".to_owned()));
    assert_eq!(shop.stock(0).await, after);
    let queues = shop.store.overview().await.expect("it can be read").queues;
    assert!(queues.contains(&("payment-refund".to_owned(), 1)), "{queues:?}");
    let shown = returns_of(&shop, id).await;
    assert_eq!((shown[0].refund_minor, shown[0].refunded_at), (Some(1_250), None));
    assert_eq!(requested(&shop, id, &[]).await.lines[0].quantity, 1, "what did not arrive");
    let timeline = shop.store.history(id).await.expect("it can be read").expect("it is there");
    let told: Vec<&str> = timeline.iter().map(|entry| entry.event.as_str()).collect();
    let end = ["ReturnRequested", "RefundRequested", "ReturnReceived", "ReturnRequested"];
    assert!(told.ends_with(&end), "{told:?}");
    is_sound(&shop).await;
}

#[tokio::test(start_paused = true)]
async fn money_that_we_asked_back_is_no_news_though_its_event_comes_before_the_answer() {
    for (minor, reports) in [(2_500, 0), (2_501, 1)] {
        let shop = Shop::open().await;
        let id = sent(&shop, 3).await;
        let it = requested(&shop, id, &[]).await;
        let command = ReceiveReturnCommand { refund: Some(eur(2_500)), ..receipt(&it) };
        assert!(matches!(shop.run(&command).await, ReceiveReturnReply::Received(_)));
        let kind =
            NewsKind::PaymentRefunded { amount: eur(minor), total: None, reference: "ch_1".to_owned() };
        let news = vec![ProviderNews::honest("evt-1", id, kind, shop.context.clock.now())];
        let before = waiting(&shop, PaymentProcessedConsumer::QUEUE).await;
        let taken = shop.run(&TakeProviderNewsCommand { provider: Provider::Payments, news }).await;
        assert_eq!(taken.fresh(), 1);
        let after = waiting(&shop, PaymentProcessedConsumer::QUEUE).await;
        assert_eq!(after - before, reports, "{minor} minor units told of, 2500 asked for");
        let payment = shop.store.order(id).await.unwrap().unwrap().payment.expect("it was paid");
        assert_eq!(payment.refunded_minor, minor);
    }
}

#[tokio::test(start_paused = true)]
async fn a_parcel_that_the_carrier_sends_back_is_awaited_and_taken_in_before_its_order_is_closed() {
    let shop = Shop::open().await;
    let id = sent(&shop, 2).await;
    let before = shop.stock(0).await;
    for mark in 1..=2 {
        let consumer = ShippingCompletedConsumer::in_unit(Arc::clone(&shop.context));
        let (trouble, detail) = (ParcelTrouble::Returned, "on its way back".to_owned());
        let report = ParcelNews::Reported(ParcelReported { order_id: id.0, trouble, detail });
        let delivery = brought(&shop, ShippingCompletedConsumer::QUEUE, mark, id.0, &report);
        hear(&shop, consumer, vec![delivery]).await;
    }
    assert_eq!(shop.saga(id).await.state, SagaState::NeedsAttention);
    let shown = returns_of(&shop, id).await;
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!((shown[0].actor.as_deref(), shown[0].lines[0].quantity), (None, 2));
    let mut unit = shop.unit().await;
    let it = unit.returns().get(&[id]).await.expect("it can be read").remove(0);
    drop(unit);
    let command = ReceiveReturnCommand { restock: Restock::All, refund: Some(eur(2_500)), ..receipt(&it) };
    let reply = shop.run(&command).await;
    assert!(matches!(reply, ReceiveReturnReply::Received(_)), "{reply:?}");
    assert_eq!(shop.stock(0).await.available, before.available + 2);
    is_sound(&shop).await;
}
