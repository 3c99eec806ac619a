//! The law of texts: whatever may be taken is kept as it is, on every engine.

use domain::text::is_unfit;
use domain::{CustomerId, Order, TEXT_CHARS_MAX};

use super::Home;
use super::stage::*;

/// Every character of two bytes that a text may hold, and one of every so many of the others.
fn fit_characters() -> Vec<char> {
    let rare = ('\u{800}'..=char::MAX).step_by(199);
    ('\0'..'\u{800}').chain(rare).filter(|c| !is_unfit(*c)).collect()
}

/// Whatever the rule lets in comes out as it went in, and is found again.
pub async fn every_text_that_may_be_taken_is_kept_as_it_is(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A")];
    let characters = fit_characters();
    for (part, number) in characters.chunks(TEXT_CHARS_MAX).zip(1..) {
        let text: String = part.iter().collect();
        let mut snapshot = order(number, &products).into_snapshot();
        snapshot.customer_id = CustomerId::parse(&text).unwrap();
        snapshot.external_reference = Some(text.clone());
        let order = Order::restore(snapshot).unwrap();
        let mut unit = process.unit().await;
        create(unit.as_mut(), &order).await.unwrap();
        unit.commit().await.unwrap();
        let mut unit = process.unit().await;
        assert_eq!(unit.orders().get_by_id(order.id()).await.unwrap(), Some(order.clone()), "{text:?}");
        let found = unit.orders().find_by_external_reference(std::slice::from_ref(&text)).await.unwrap();
        let bearers: Vec<_> = found.iter().map(|one| (one.reference.as_str(), one.order_id)).collect();
        assert_eq!(bearers, [(text.as_str(), order.id())]);
    }
}
