//! Accepting and cancelling orders.

use application::commands::{
    CancelOrderCommand, CancelReply, CreateOrderCommand, CreateOrderReply, Violation,
};
use application::ports::{Caller, OrderFilter, Readers};
use application::saga::SagaState;
use domain::{CancelReason, Currency, CustomerId, Money, OrderId};
use orderwright_testkit::simulation::{line, sku};

use super::shop::{Shop, request};

#[tokio::test(start_paused = true)]
async fn a_sound_request_is_accepted_and_priced_from_the_catalogue() {
    let shop = Shop::open().await;
    let replies = shop.create(&[request(1)]).await;
    let CreateOrderReply::Created(accepted) = &replies[0] else { panic!("{replies:?}") };
    assert_eq!(accepted.total.minor, 2 * 1_250 + 100);
    let order = shop.store.order(accepted.order_id).await.unwrap().expect("it is stored");
    assert_eq!((order.status.as_str(), order.saga_state.as_str()), ("pending", "created"));
    assert_eq!(order.lines.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_never_makes_two_orders_not_even_in_one_flush() {
    let shop = Shop::open().await;
    let mut again = request(1);
    again.order_id = OrderId(uuid::Uuid::from_u128(99));
    let replies = shop.create(&[request(1), again.clone()]).await;
    let [CreateOrderReply::Created(first), CreateOrderReply::Replayed(second)] = replies.as_slice() else {
        panic!("{replies:?}")
    };
    assert_eq!(first, second);
    assert_eq!(shop.create(&[again]).await, [CreateOrderReply::Replayed(first.clone())]);
    assert_eq!(shop.store.orders(&OrderFilter::default(), 10).await.unwrap().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_with_another_request_is_refused() {
    let shop = Shop::open().await;
    shop.create(&[request(1)]).await;
    let mut other = request(1);
    other.key.as_mut().expect("it has one").digest = [2; 32];
    assert_eq!(shop.create(&[other]).await, [CreateOrderReply::KeyReused { differences: Vec::new() }]);
}

fn of(shop: &str, mut request: CreateOrderCommand) -> CreateOrderCommand {
    request.caller = Caller::new(format!("id of {shop}").into(), shop.into());
    request
}

#[tokio::test(start_paused = true)]
async fn two_callers_may_choose_the_same_key_and_the_same_reference() {
    let shop = Shop::open().await;
    let named = |number: u128| {
        let mut request = request(number);
        request.key.as_mut().expect("it has one").key = "1".to_owned();
        request.external_reference = Some("PO-1".to_owned());
        request
    };
    let asked = [of("one", named(1)), of("two", named(2)), of("one", named(3)), named(4)];
    let replies = shop.create(&asked).await;
    assert_eq!(shop.create(&asked).await.len(), 4);
    let kinds: Vec<&str> = replies
        .iter()
        .map(|reply| match reply {
            CreateOrderReply::Created(_) => "created",
            CreateOrderReply::Replayed(_) => "replayed",
            CreateOrderReply::KeyReused { .. }
            | CreateOrderReply::ReferenceReused { .. }
            | CreateOrderReply::Rejected(_) => "refused",
        })
        .collect();
    assert_eq!(kinds, ["created", "created", "replayed", "created"]);
    assert_eq!(shop.store.orders(&OrderFilter::default(), 10).await.unwrap().items.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_with_another_order_says_what_differs() {
    let shop = Shop::open().await;
    shop.create(&[request(1)]).await;
    let mut other = request(1);
    other.key.as_mut().expect("it has one").digest = [2; 32];
    other.lines[1] = line(sku(1), 2);
    let CreateOrderReply::KeyReused { differences } = shop.create(&[other]).await.remove(0) else {
        panic!("it is another order")
    };
    assert_eq!(differences[0].message, "line 2: quantity 2, was 1");
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_same_name_goes_on_with_the_references_of_the_old_one() {
    let shop = Shop::open().await;
    let asked = |number: u128, id: &str| {
        let mut request = request(number);
        request.caller = Caller::new(id.into(), "shop".into());
        request.external_reference = Some("PO-1".to_owned());
        request
    };
    let replies = shop.create(&[asked(1, "old"), asked(2, "new")]).await;
    let [CreateOrderReply::Created(first), CreateOrderReply::Replayed(second)] = replies.as_slice() else {
        panic!("{replies:?}")
    };
    assert_eq!(first, second);
}

#[tokio::test(start_paused = true)]
async fn the_same_reference_of_another_system_is_the_same_order() {
    let shop = Shop::open().await;
    let mut first = request(1);
    first.external_reference = Some("10248".to_owned());
    let mut second = request(2);
    second.external_reference = Some("10248".to_owned());
    let mut third = second.clone();
    third.key = None;
    third.lines[1] = line(sku(1), 2);
    let created = shop.create(&[first]).await;
    let CreateOrderReply::Created(accepted) = &created[0] else { panic!("{created:?}") };
    let replies = shop.create(&[second, third]).await;
    assert_eq!(
        replies,
        [
            CreateOrderReply::Replayed(accepted.clone()),
            CreateOrderReply::ReferenceReused {
                order_id: accepted.order_id,
                differences: vec![Violation {
                    pointer: "/lines/1/quantity".to_owned(),
                    code: "differs",
                    message: "line 2: quantity 2, was 1".to_owned(),
                }],
            }
        ]
    );
}

/// Each change of what a reference stands for is told; what only looks different is the same.
#[tokio::test(start_paused = true)]
async fn what_differs_under_a_reference_is_said() {
    let shop = Shop::open().await;
    let named = |number: u128| CreateOrderCommand {
        key: None,
        external_reference: Some("10248".to_owned()),
        ..request(number)
    };
    shop.create(&[named(1)]).await;
    let euro = |minor| Some(Money::new(minor, Currency::parse("EUR").unwrap()));
    let changed = |change: &dyn Fn(&mut CreateOrderCommand)| {
        let mut request = named(2);
        change(&mut request);
        request
    };
    let cases: [(CreateOrderCommand, &[&str]); 8] = [
        (changed(&|_| ()), &[]),
        (changed(&|request| request.lines.reverse()), &[]),
        (changed(&|request| request.lines[0].unit_price = euro(1_250)), &[]),
        (
            changed(&|request| request.customer_id = CustomerId::parse("OTHER").unwrap()),
            &["customer_id 'OTHER', was 'ALFKI'"],
        ),
        (
            changed(&|request| request.lines[0].unit_price = euro(1_000)),
            &["line 1: unit price 10.00 EUR, was 12.50 EUR"],
        ),
        (changed(&|request| request.lines.truncate(1)), &["line 2: not there, was 1 of 'P-1'"]),
        (changed(&|request| request.lines.push(line(sku(7), 3))), &["line 3: 3 of 'P-7', was not there"]),
        (
            changed(&|request| request.lines[1] = line(sku(7), 3)),
            &["line 2: sku 'P-7', was 'P-1'", "line 2: quantity 3, was 1"],
        ),
    ];
    for (request, expected) in cases {
        let told: Vec<String> = match shop.create(&[request]).await.remove(0) {
            CreateOrderReply::Replayed(_) => Vec::new(),
            CreateOrderReply::ReferenceReused { differences, .. } => {
                differences.into_iter().map(|difference| difference.message).collect()
            }
            other @ (CreateOrderReply::Created(_)
            | CreateOrderReply::KeyReused { .. }
            | CreateOrderReply::Rejected(_)) => panic!("{other:?}"),
        };
        assert_eq!(told, expected);
    }
    assert_eq!(shop.store.orders(&OrderFilter::default(), 10).await.unwrap().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_line_that_cannot_be_sold_is_named_and_spoils_nobody_elses_order() {
    let shop = Shop::open().await;
    let yen = Money::new(5, Currency::parse("JPY").unwrap());
    let mut wrong = request(1);
    wrong.lines = vec![line(sku(7), 1), line(sku(0), 1), line(sku(1), 1)];
    wrong.lines[2].unit_price = Some(yen);
    let replies = shop.create(&[wrong, request(2)]).await;
    let CreateOrderReply::Rejected(violations) = &replies[0] else { panic!("{replies:?}") };
    let told: Vec<_> =
        violations.iter().map(|Violation { pointer, code, .. }| (pointer.as_str(), *code)).collect();
    assert_eq!(told, [("/lines/0/sku", "unknown_sku"), ("/lines/2/unit_price/currency", "wrong_currency")]);
    assert!(matches!(replies[1], CreateOrderReply::Created(_)));
}

fn cancel(order_id: OrderId) -> CancelOrderCommand {
    let (actor, note) = ("ALFKI".to_owned(), "changed my mind".to_owned());
    CancelOrderCommand { order_id, reason: CancelReason::Customer, actor, note }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_order_is_cancelled_once_and_says_why() {
    let shop = Shop::open().await;
    let id = shop.order(1, 2).await.order_id;
    assert_eq!(shop.run(&cancel(id)).await, CancelReply::Accepted);
    assert_eq!(shop.run(&cancel(id)).await, CancelReply::Already);
    let order = shop.store.order(id).await.unwrap().expect("it is stored");
    assert_eq!((order.status.as_str(), order.saga_state.as_str()), ("cancelled", "failed"));
    assert_eq!(order.cancel_reason.as_deref(), Some("customer"));
    assert_eq!(order.cancel_note.as_deref(), Some("changed my mind"));
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_is_not_cancelled_and_the_answer_says_what_to_do() {
    let shop = Shop::open().await;
    let id = shop.order(1, 2).await.order_id;
    for state in [SagaState::Shipped, SagaState::Completed] {
        let mut saga = shop.saga(id).await;
        saga.state = state;
        shop.put(saga).await;
        let CancelReply::Refused { state: stands, why } = shop.run(&cancel(id)).await else {
            panic!("{state} can be cancelled")
        };
        assert_eq!(stands, state);
        assert!(why.contains("pay back"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_there_is_not_found() {
    let shop = Shop::open().await;
    assert_eq!(shop.run(&cancel(OrderId(uuid::Uuid::max()))).await, CancelReply::NotFound);
}
