//! Orders held against the catalogue: what has changed since they were accepted, and what a message from outside may ask.

use std::sync::Arc;

use application::commands::ChangeProductCommand;
use application::hold_rules::HoldRules;
use application::messages::{Amount, Demand, OrderCreatedEvent, correlation};
use application::pipeline::{Context, HandOver, PipelineSettings, chain};
use application::ports::{OrderView, Readers};
use bus::{Message, MessageId, PauseBoard};
use domain::{Availability, OrderId, ProductId};
use orderwright_testkit::simulation::sku;

use super::shop::Shop;

/// Lets the shop hold this order against its catalogue, and do all that follows from it.
async fn validate(shop: &Shop, message: &OrderCreatedEvent) -> OrderView {
    let settings = PipelineSettings { hand_over: HandOver::InUnit, ..PipelineSettings::default() };
    let (clock, ids) = (Arc::clone(&shop.context.clock), Arc::clone(&shop.context.ids));
    let context = Arc::new(Context {
        clock,
        ids,
        settings,
        pauses: PauseBoard::default(),
        hold_rules: HoldRules::default(),
    });
    let now = context.clock.now();
    let id = MessageId(context.ids.next(now));
    let envelope = message.first(id, correlation(OrderId(message.order_id)), now);
    let mut unit = shop.unit().await;
    unit.publish(vec![envelope]).await.unwrap();
    chain(&context).follow(unit.as_mut()).await.unwrap();
    unit.commit().await.unwrap();
    shop.store.order(OrderId(message.order_id)).await.unwrap().expect("it is stored")
}

async fn accepted(shop: &Shop, number: u128) -> OrderCreatedEvent {
    let accepted = shop.order(number, 2).await;
    OrderCreatedEvent {
        order_id: accepted.order_id.0,
        customer_id: "ALFKI".to_owned(),
        total: accepted.total.into(),
        lines: vec![Demand { product_id: ProductId::of(&sku(0)).0, quantity: 2 }],
    }
}

async fn discontinue(shop: &Shop) {
    let command = ChangeProductCommand {
        sku: sku(0),
        name: None,
        description: None,
        price: None,
        availability: Some(Availability::Discontinued),
        reorder_level: None,
        shipping: None,
        actor: "anna".to_owned(),
        note: "recalled".to_owned(),
    };
    shop.run(&command).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_for_what_has_gone_off_sale_meanwhile_is_cancelled_with_its_reason() {
    let shop = Shop::open().await;
    let (before, after) = (accepted(&shop, 1).await, accepted(&shop, 2).await);
    let served = validate(&shop, &before).await;
    discontinue(&shop).await;
    let refused = validate(&shop, &after).await;
    assert_eq!((refused.status.as_str(), refused.cancel_reason.as_deref()), ("cancelled", Some("rejected")));
    assert!(refused.cancel_note.is_some_and(|note| note.starts_with("P-0 is no longer sold")));
    let served = shop.store.order(OrderId(served.order_id)).await.unwrap().expect("it is stored");
    assert_eq!(served.status, "validated", "what was taken before is served");
    assert_eq!((shop.stock(0).await.reserved, shop.stock(0).await.low), (2, false));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_asks_for_what_no_order_may_is_refused_by_sku_and_never_by_an_internal_id() {
    for (quantity, total, product, words) in [
        (0, 1, 0, "P-0: an order is for 1 to 1000000000 units"),
        (i64::MAX, 1, 0, "P-0: an order is for 1 to 1000000000 units"),
        (1, i64::MAX, 0, "at most 1000000000000000 minor units"),
        (1, -1, 0, "at most 1000000000000000 minor units"),
        (1, 1, 9, "a product of the order is not in the catalogue"),
    ] {
        let shop = Shop::open().await;
        let message = accepted(&shop, 1).await;
        let product_id = ProductId::of(&sku(product)).0;
        let lines = vec![Demand { product_id, quantity }];
        let total = Amount { minor: total, ..message.total.clone() };
        let refused = validate(&shop, &OrderCreatedEvent { lines, total, ..message }).await;
        let note = refused.cancel_note.expect("a reason");
        assert!(note.contains(words) && !note.contains(&product_id.to_string()), "{note}");
    }
}
