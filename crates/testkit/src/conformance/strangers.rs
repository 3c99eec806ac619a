//! Laws of the events that belong to no order: each is kept once and whole, listed in order of arrival, and seen to once.

use application::ports::{
    Mismatch, NewsKind, Provider, ProviderNews, Seen, UnmatchedEvent, UnmatchedFilter, Which,
};
use domain::{Currency, Money, OrderId};
use uuid::Uuid;

use super::Home;
use super::stage::later;

fn event(number: u8, provider: Provider) -> UnmatchedEvent {
    let order_id = OrderId(Uuid::from_u128(u128::from(number)));
    let kind = match provider {
        Provider::Payments => NewsKind::PaymentRefunded {
            amount: Money::new(1_250, Currency::parse("EUR").expect("euros")),
            total: None,
            reference: "ch_'7'".to_owned(),
        },
        Provider::Shipping => NewsKind::ShipmentDelivered { tracking_number: format!("T-{number}") },
    };
    let news = ProviderNews::honest(&format!("evt-{number}"), order_id, kind, later(number.into()));
    UnmatchedEvent { provider, news, mismatch: Mismatch::UnknownOrder }
}

/// Kept twice it is one event; the same id of another provider is another one.
pub async fn an_event_without_an_order_is_kept_once_and_whole_until_a_person_has_seen_to_it(
    home: &mut impl Home,
) {
    let process = home.process().await;
    let events = [event(1, Provider::Payments), event(2, Provider::Shipping)];
    let same_id = event(1, Provider::Shipping);
    for batch in [&events[..], &events[..1], std::slice::from_ref(&same_id)] {
        let mut unit = process.unit().await;
        unit.unmatched().keep(batch, later(9)).await.unwrap();
        unit.commit().await.unwrap();
    }
    let listed = process.readers.unmatched(&UnmatchedFilter::default(), 9).await.unwrap().items;
    let told: Vec<_> =
        listed.iter().map(|event| (event.provider.as_str(), event.event_id.as_str())).collect();
    assert_eq!(told, [("payments", "evt-1"), ("shipping", "evt-2"), ("shipping", "evt-1")]);
    let wanted = [&events[0], &events[1], &same_id];
    let mut unit = process.unit().await;
    for (view, kept) in listed.iter().zip(wanted) {
        let found = unit.unmatched().get(view.position).await.unwrap();
        assert_eq!(found, Some((kept.provider, kept.news.clone())));
    }
    let first = listed[0].position;
    assert_eq!(unit.unmatched().get(i64::MAX).await.unwrap(), None);
    let seen = unit.unmatched().mark_seen(i64::MAX, "eve", "", later(10)).await.unwrap();
    assert_eq!(seen, Seen::NotFound);
    assert_eq!(unit.unmatched().mark_seen(first, "eve", "theirs", later(10)).await.unwrap(), Seen::Now);
    unit.commit().await.unwrap();
    let mut unit = process.unit().await;
    assert_eq!(unit.unmatched().mark_seen(first, "ann", "", later(11)).await.unwrap(), Seen::Before);
    unit.commit().await.unwrap();
    let left = process.readers.unmatched(&UnmatchedFilter::default(), 9).await.unwrap().items;
    assert_eq!(left, listed[1..]);
    let all = UnmatchedFilter { which: Which::All, ..UnmatchedFilter::default() };
    let all = process.readers.unmatched(&all, 9).await.unwrap().items;
    assert_eq!(
        (all.len(), all[0].seen_by.as_deref(), all[0].note.as_deref()),
        (3, Some("eve"), Some("theirs"))
    );
}
