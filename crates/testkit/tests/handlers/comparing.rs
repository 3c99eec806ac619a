//! Our books against a gateway's: whatever differs is told once, as what it is, and nothing else is.

use application::against_gateway::{Comparer, Comparison, DifferenceKind, Incomparable};
use application::ports::{ChargePage, GatewayBooks, ListedCharge, Listing, Unanswered};
use application::saga::{OrderProcessingSaga, SagaState};
use async_trait::async_trait;
use domain::{Currency, Money, OrderId, Payment};

use super::shop::Shop;

/// A gateway that lists these, so many at a time.
struct Listed {
    charges: Vec<ListedCharge>,
    page: usize,
}

#[async_trait]
impl GatewayBooks for Listed {
    async fn listed_charges(&self, after: Option<&str>, max: usize) -> Result<Listing, Unanswered> {
        let from: usize = after.map_or(0, |after| after.parse().expect("a place of ours"));
        let to = self.charges.len().min(from + self.page.min(max));
        let next = (to < self.charges.len()).then(|| to.to_string());
        Ok(Listing::Page(ChargePage { charges: self.charges[from..to].to_vec(), next }))
    }

    async fn listed_charge(&self, key: &str) -> Result<Option<ListedCharge>, Unanswered> {
        Ok(self.charges.iter().find(|charge| charge.key == key).cloned())
    }
}

/// An order whose money was taken under the name `ch-NUMBER`, and whose saga stands here.
async fn paid(shop: &Shop, number: u128, state: SagaState) -> ListedCharge {
    let accepted = shop.order(number, 1).await;
    let mut payment = Payment::request(accepted.order_id, accepted.total);
    assert!(payment.capture(accepted.total, &format!("ch-{number}")).expect("the first").is_applied());
    let mut unit = shop.unit().await;
    unit.payments().insert(&[payment.clone()], shop.context.clock.now()).await.unwrap();
    unit.commit().await.unwrap();
    let saga = shop.saga(accepted.order_id).await;
    shop.put(OrderProcessingSaga { state, ..saga }).await;
    ListedCharge {
        key: payment.key,
        reference: accepted.order_id.to_string(),
        id: format!("ch-{number}"),
        amount: accepted.total,
        captured_minor: payment.captured_minor,
        refunded_minor: 0,
    }
}

async fn compared(shop: &Shop, books: &Listed, max: usize) -> Comparison {
    let comparer = Comparer { readers: &shop.store, books, max };
    let first = comparer.first_look().await.expect("it can be compared");
    comparer.second_look(first).await.expect("it can be compared")
}

/// What differs, by kind and charge.
fn told(comparison: &Comparison) -> Vec<(DifferenceKind, String)> {
    let pair = |one: &application::against_gateway::Difference| {
        (one.kind, one.charge_id.clone().unwrap_or_else(|| one.key.clone()))
    };
    let mut told: Vec<_> = comparison.differences.iter().map(pair).collect();
    told.sort();
    told
}

/// Lists what the gateway has of one order, differing from our books in one way of eight; what should be told of it.
fn disturbed(own: ListedCharge, way: usize) -> (Vec<ListedCharge>, Option<(DifferenceKind, String)>) {
    use DifferenceKind::{Amount, Captured, MissingCharge, Refunded, SecondCharge};
    let second =
        |refunded_minor| ListedCharge { id: format!("{}-again", own.id), refunded_minor, ..own.clone() };
    let yen = Money::new(own.amount.minor, Currency::parse("JPY").expect("a currency"));
    let (all, id) = (own.captured_minor, own.id.clone());
    match way {
        0 => (vec![own], None),
        1 => (vec![ListedCharge { refunded_minor: 1, ..own }], Some((Refunded, id))),
        2 => (vec![ListedCharge { captured_minor: 0, ..own }], Some((Captured, id))),
        3 => (vec![ListedCharge { amount: yen, ..own }], Some((Amount, id))),
        4 => (Vec::new(), Some((MissingCharge, own.key))),
        5 => (vec![own.clone(), second(0)], Some((SecondCharge, format!("{id}-again")))),
        6 => (vec![second(all), own.clone()], None),
        _ => {
            let elsewhere =
                ListedCharge { key: "by hand".to_owned(), id: format!("{id}-by-hand"), ..own.clone() };
            (vec![own, elsewhere], Some((SecondCharge, format!("{id}-by-hand"))))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_differs_is_told_once_and_nothing_else_is() {
    let shop = Shop::open().await;
    let (mut charges, mut wanted) = (Vec::new(), Vec::new());
    for number in 1..=240_usize {
        let own = paid(&shop, number as u128, SagaState::Completed).await;
        let (listed, difference) = disturbed(own, number % 8);
        charges.extend(listed);
        wanted.extend(difference);
    }
    let model = charges[0].clone();
    let foreign = |id: &str, captured_minor| ListedCharge {
        id: id.to_owned(),
        reference: "another shop's".to_owned(),
        key: id.to_owned(),
        captured_minor,
        ..model.clone()
    };
    charges.extend([foreign("foreign", 7), foreign("declined", 0)]);
    wanted.push((DifferenceKind::UnknownCharge, "foreign".to_owned()));
    wanted.sort();
    let count = charges.len() as u64;
    for page in [1, 7, 100] {
        let books = Listed { charges: charges.clone(), page };
        let comparison = compared(&shop, &books, 1_000).await;
        assert_eq!(told(&comparison), wanted, "by {page}");
        assert_eq!((comparison.charges, comparison.payments, comparison.under_way), (count, 240, 0));
        assert!(!comparison.more);
    }
    let some = compared(&shop, &Listed { charges, page: 100 }, 3).await;
    assert_eq!((some.differences.len(), some.more), (3, true), "a bound is a bound, and is told");
}

#[tokio::test(start_paused = true)]
async fn what_differs_while_its_money_is_on_the_move_is_left_out_and_counted() {
    let shop = Shop::open().await;
    let moving = [
        SagaState::Created,
        SagaState::InventoryReserved,
        SagaState::PaymentProcessing,
        SagaState::Compensating,
    ];
    for (number, &state) in SagaState::ALL.iter().enumerate() {
        let own = paid(&shop, 1 + number as u128, state).await;
        let books = Listed { charges: vec![ListedCharge { refunded_minor: 1, ..own.clone() }], page: 9 };
        let comparison = compared(&shop, &books, SagaState::ALL.len()).await;
        // The orders before this one are missing at this gateway.
        let of_this = comparison.differences.iter().any(|one| one.charge_id == Some(own.id.clone()));
        assert_eq!(of_this, !moving.contains(&state), "{state}");
        let left_out = SagaState::ALL[..=number].iter().filter(|state| moving.contains(state)).count();
        assert_eq!(comparison.under_way, left_out as u64, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_is_not_booked_yet_is_on_the_move_while_its_parcel_is() {
    for (number, state, is_moving) in [(1, SagaState::Shipped, true), (2, SagaState::Completed, false)] {
        let shop = Shop::open().await;
        let accepted = shop.order(number, 1).await;
        let mut payment = Payment::request(accepted.order_id, accepted.total);
        let mut unit = shop.unit().await;
        let now = shop.context.clock.now();
        unit.payments().insert(&[payment.clone()], now).await.unwrap();
        assert!(payment.authorise("ch-1", None).expect("it was asked for").is_applied());
        unit.payments().update(&[payment.clone()], now).await.unwrap();
        unit.commit().await.unwrap();
        let saga = shop.saga(accepted.order_id).await;
        shop.put(OrderProcessingSaga { state, ..saga }).await;
        let listed = ListedCharge {
            key: payment.key,
            reference: accepted.order_id.to_string(),
            id: "ch-1".to_owned(),
            amount: accepted.total,
            captured_minor: accepted.total.minor,
            refunded_minor: 0,
        };
        let comparison = compared(&shop, &Listed { charges: vec![listed], page: 9 }, 9).await;
        let found = (comparison.under_way, comparison.differences.len());
        assert_eq!(found, if is_moving { (1, 0) } else { (0, 1) }, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_been_booked_by_the_second_look_is_no_difference() {
    let shop = Shop::open().await;
    let own = paid(&shop, 1, SagaState::Completed).await;
    let id: OrderId = own.reference.parse().expect("an order's id");
    let books = Listed { charges: vec![ListedCharge { refunded_minor: 5, ..own.clone() }], page: 9 };
    let comparer = Comparer { readers: &shop.store, books: &books, max: 9 };
    let first = comparer.first_look().await.expect("it can be compared");
    assert!(!first.is_clear());
    let mut unit = shop.unit().await;
    let mut payment = unit.payments().get(&[id]).await.unwrap().remove(0);
    assert!(payment.refund(Money::new(5, own.amount.currency)).expect("it was taken").is_applied());
    unit.payments().update(&[payment], shop.context.clock.now()).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(comparer.second_look(first).await.expect("it can be compared").differences, []);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_goes_round_and_a_gateway_without_one_are_no_agreement() {
    struct Odd(Option<fn(Option<&str>) -> String>);

    #[async_trait]
    impl GatewayBooks for Odd {
        async fn listed_charges(&self, after: Option<&str>, _: usize) -> Result<Listing, Unanswered> {
            let page = |next: String| ChargePage { charges: Vec::new(), next: Some(next) };
            Ok(self.0.map_or(Listing::CannotList, |next| Listing::Page(page(next(after)))))
        }

        async fn listed_charge(&self, _: &str) -> Result<Option<ListedCharge>, Unanswered> {
            Ok(None)
        }
    }

    let shop = Shop::open().await;
    let look = async |books: &Odd| Comparer { readers: &shop.store, books, max: 9 }.first_look().await;
    assert!(matches!(look(&Odd(None)).await, Err(Incomparable::CannotList)));
    let again = |_: Option<&str>| "7".to_owned();
    let to_and_fro = |after: Option<&str>| if after == Some("a") { "b" } else { "a" }.to_owned();
    let ever_on = |after: Option<&str>| format!("{}x", after.unwrap_or_default());
    assert!(matches!(look(&Odd(Some(again))).await, Err(Incomparable::Circle(_))));
    assert!(matches!(look(&Odd(Some(to_and_fro))).await, Err(Incomparable::Circle(_))));
    assert!(matches!(look(&Odd(Some(ever_on))).await, Err(Incomparable::Empty(_))));
}
