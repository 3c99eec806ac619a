//! Laws that hold for an order, whatever is asked of it.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    CancelReason, Currency, LEGAL_MOVES, MONEY_LINES_MAX, MoneyLineKind, OrderEvent, QUANTITY_MAX,
    TransitionReason,
};

const ORDER: OrderId = OrderId(Uuid::from_u128(7));
const NOON: Timestamp = Timestamp::UNIX_EPOCH;

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::parse("USD").unwrap())
}

fn line(sku: &str, units: u32, unit_price: Money) -> NewOrderLine {
    let sku = Sku::parse(sku).unwrap();
    NewOrderLine { product_id: ProductId::of(&sku), sku, quantity: Quantity::new(units).unwrap(), unit_price }
}

fn wish(lines: Vec<NewOrderLine>) -> NewOrder {
    let customer_id = CustomerId::parse("ALFKI").unwrap();
    NewOrder {
        id: ORDER,
        customer_id,
        lines,
        ordered_at: NOON,
        external_reference: None,
        money_lines: Vec::new(),
    }
}

fn order() -> Order {
    Order::place(wish(vec![line("CHAI", 2, usd(1800))]), NOON).unwrap()
}

fn cancellation(reason: CancelReason) -> Cancellation {
    Cancellation { reason, actor: "test".into(), note: String::new() }
}

/// The change that leads to a status.
fn change(to: OrderStatus) -> OrderChange {
    let event = OrderEvent::ALL.iter().copied().find(|event| event.leads_to() == Some(to)).unwrap();
    let cancellation = (to == OrderStatus::Cancelled).then(|| cancellation(CancelReason::Customer));
    OrderChange { order_id: ORDER, event, at: NOON, cancellation }
}

/// An order that went along legal moves until it got there.
fn order_at(status: OrderStatus) -> Order {
    let path: &[OrderStatus] = match status {
        OrderStatus::Cancelled => &[OrderStatus::Cancelled],
        OrderStatus::Pending
        | OrderStatus::Validated
        | OrderStatus::PaymentProcessing
        | OrderStatus::Authorised
        | OrderStatus::Paid
        | OrderStatus::Shipped
        | OrderStatus::Delivered => &OrderStatus::ALL[1..=usize::from(status.code())],
    };
    let mut order = order();
    for &step in path {
        order.apply(&change(step)).unwrap();
    }
    order
}

fn statuses() -> impl Strategy<Value = Vec<OrderStatus>> {
    prop::collection::vec(prop::sample::select(&OrderStatus::ALL[1..]), 0..30)
}

prop_compose! {
    fn wished_line()(sku in 0_u8..5, units in 1..=QUANTITY_MAX, minor in prop_oneof![9 => -5_i64..1_000_000_000, 1 => AMOUNT_MINOR_MAX - 5..=i64::MAX], code in prop::sample::select(vec!["USD", "USD", "USD", "USD", "JPY"])) -> NewOrderLine {
        line(&format!("SKU-{sku}"), units, Money::new(minor, Currency::parse(code).unwrap()))
    }
}

proptest! {
    #[test]
    fn an_order_only_ever_moves_along_the_table(asked in statuses()) {
        let mut order = order();
        for to in asked {
            let from = order.status();
            match order.apply(&change(to)) {
                Ok(()) => {
                    prop_assert!(from == to || LEGAL_MOVES.contains(&(from, to)));
                    prop_assert_eq!(order.status(), to);
                }
                Err(rejection) => {
                    let named = matches!(rejection, Rejection::IllegalTransition { from: f, to: t, .. } if (f, t) == (from, to));
                    prop_assert!(named, "{rejection:?}");
                    prop_assert!(!LEGAL_MOVES.contains(&(from, to)));
                    prop_assert_eq!(order.status(), from);
                }
            }
            prop_assert_eq!(order.check(), Ok(()));
        }
    }

    #[test]
    fn telling_every_fact_twice_leaves_the_order_as_telling_it_once(asked in statuses()) {
        let (mut once, mut twice) = (order(), order());
        for to in asked {
            if once.apply(&change(to)).is_ok() {
                twice.apply(&change(to)).unwrap();
                twice.apply(&OrderChange { at: Timestamp::MAX, ..change(to) }).unwrap();
            }
        }
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_wish_becomes_a_sound_order_or_is_refused_for_a_reason(lines in prop::collection::vec(wished_line(), 0..8)) {
        let is_sound = !lines.is_empty()
            && lines.iter().all(|line| (0..=AMOUNT_MINOR_MAX).contains(&line.unit_price.minor))
            && lines.iter().all(|line| line.unit_price.currency == lines[0].unit_price.currency);
        let exact: i128 =
            lines.iter().map(|line| i128::from(line.unit_price.minor) * i128::from(line.quantity.get())).sum();
        let units: i64 = lines.iter().map(|line| i64::from(line.quantity)).sum();
        match Order::place(wish(lines), NOON) {
            Ok(order) => {
                prop_assert!(is_sound && exact <= i128::from(AMOUNT_MINOR_MAX));
                prop_assert_eq!(order.check(), Ok(()));
                prop_assert_eq!(i128::from(order.total().minor), exact);
                prop_assert_eq!(order.merged_demand().iter().map(|(_, units)| units).sum::<i64>(), units);
                prop_assert!(order.merged_demand().is_sorted_by(|a, b| a.0 < b.0));
                prop_assert_eq!(Order::restore(order.clone().into_snapshot()), Ok(order));
            }
            Err(rejections) => {
                prop_assert!(!is_sound || exact > i128::from(AMOUNT_MINOR_MAX));
                prop_assert!(!rejections.is_empty());
                prop_assert!(rejections.is_sorted_by_key(Rejection::precedence));
            }
        }
    }
}

#[test]
fn from_every_status_every_other_is_reached_or_refused_as_the_table_says() {
    for &from in OrderStatus::ALL {
        for &to in OrderStatus::ALL {
            let mut order = order_at(from);
            let expected = match from.may_become(to) {
                Move::Legal | Move::NoOp => Ok(to),
                Move::Illegal => Err(Rejection::IllegalTransition { from, to, reason: from.why_not(to) }),
            };
            assert_eq!(order.apply(&change(to)).map(|()| order.status()), expected, "{from} to {to}");
        }
    }
}

#[test]
fn an_illegal_move_names_where_from_where_to_and_why() {
    let (from, to) = (OrderStatus::Shipped, OrderStatus::Cancelled);
    let refused = order_at(from).apply(&change(to)).unwrap_err();
    assert_eq!(refused, Rejection::IllegalTransition { from, to, reason: TransitionReason::AlreadyShipped });
    assert_eq!(refused.to_string(), "an order that is shipped cannot become cancelled: already_shipped");
}

#[test]
fn the_first_cancellation_stands() {
    let mut order = order();
    for reason in [CancelReason::Timeout, CancelReason::Customer] {
        let cancellation = Some(cancellation(reason));
        order.apply(&OrderChange { cancellation, ..change(OrderStatus::Cancelled) }).unwrap();
    }
    assert_eq!(order.cancellation().unwrap().reason, CancelReason::Timeout);
}

#[test]
fn a_clock_that_goes_back_does_not_take_the_order_along() {
    let mut order = Order::place(wish(vec![line("CHAI", 1, usd(1))]), Timestamp::MAX).unwrap();
    order.apply(&change(OrderStatus::Validated)).unwrap();
    assert_eq!(order.snapshot().updated_at, Timestamp::MAX);
}

#[test]
fn facts_beneath_the_headline_and_facts_about_others_leave_the_order_alone() {
    let mut order = order_at(OrderStatus::Paid);
    let before = order.clone();
    let shipped = change(OrderStatus::Shipped);
    let beneath = OrderChange { event: OrderEvent::InventoryReserved, at: Timestamp::MAX, ..shipped.clone() };
    assert_eq!(order.apply(&beneath), Ok(()));
    let foreign = OrderChange { order_id: OrderId(Uuid::nil()), ..shipped };
    assert!(matches!(order.apply(&foreign), Err(Rejection::WrongSubject { .. })));
    assert_eq!(order, before);
}

#[test]
fn lines_for_one_product_are_wanted_together() {
    let lines = vec![line("CHAI", 2, usd(1800)), line("TOFU", 1, usd(500)), line("CHAI", 3, usd(1700))];
    let order = Order::place(wish(lines), NOON).unwrap();
    assert_eq!(order.total(), usd(2 * 1800 + 500 + 3 * 1700));
    let chai = ProductId::of(&Sku::parse("CHAI").unwrap());
    assert!(order.merged_demand().contains(&(chai, 5)));
    assert_eq!(order.merged_demand().len(), 2);
}

#[test]
fn everything_wrong_with_an_order_is_said_at_once() {
    let yen = Money::new(1, Currency::parse("JPY").unwrap());
    let lines = vec![line("CHAI", 1, usd(-1)), line("TOFU", 1, yen), line("KONBU", 1, usd(-2))];
    let codes: Vec<_> = Order::place(wish(lines), NOON).unwrap_err().iter().map(Rejection::code).collect();
    assert_eq!(codes, ["negative_price", "negative_price", "mixed_currencies"]);
}

#[test]
fn an_order_is_refused_without_lines_with_too_many_or_if_it_comes_to_too_much() {
    assert_eq!(Order::place(wish(vec![]), NOON).unwrap_err(), [Rejection::NoLines]);
    let many = vec![line("CHAI", 1, usd(1)); LINES_MAX + 1];
    assert_eq!(Order::place(wish(many), NOON).unwrap_err()[0].code(), "too_many_lines");
    for (units, minor) in
        [(2, AMOUNT_MINOR_MAX), (1_000_000, AMOUNT_MINOR_MAX), (1_000_000, AMOUNT_MINOR_MAX / 1_000)]
    {
        let dear = vec![line("CHAI", units, usd(minor)); 10];
        assert_eq!(Order::place(wish(dear), NOON).unwrap_err(), [Rejection::TotalTooHigh]);
    }
    assert!(Order::place(wish(vec![line("CHAI", 1, usd(AMOUNT_MINOR_MAX))]), NOON).is_ok());
    let dearest = Order::place(wish(vec![line("CHAI", 1, usd(i64::MAX))]), NOON).unwrap_err();
    assert_eq!(dearest[0].code(), "price_too_high");
    assert!(Order::place(wish(vec![line("CHAI", 1, usd(1)); LINES_MAX]), NOON).is_ok());
}

#[test]
fn an_order_that_contradicts_itself_is_not_restored() {
    let sound = order().into_snapshot();
    let cancelled = Some(cancellation(CancelReason::Operator));
    for broken in [
        OrderSnapshot { lines: vec![], ..sound.clone() },
        OrderSnapshot { lines: [sound.lines.clone(), sound.lines.clone()].concat(), ..sound.clone() },
        OrderSnapshot { total: usd(1), ..sound.clone() },
        OrderSnapshot { status: OrderStatus::Cancelled, ..sound.clone() },
        OrderSnapshot { cancellation: cancelled, ..sound.clone() },
        OrderSnapshot { updated_at: Timestamp::MIN, ..sound.clone() },
    ] {
        assert!(Order::restore(broken).is_err());
    }
    assert!(Order::restore(sound).is_ok());
}

fn money_line(kind: MoneyLineKind, minor: i64) -> MoneyLine {
    MoneyLine { kind, amount: usd(minor) }
}

fn with_money_lines(money_lines: Vec<MoneyLine>) -> Result<Order, Vec<Rejection>> {
    Order::place(NewOrder { money_lines, ..wish(vec![line("CHAI", 2, usd(1800))]) }, NOON)
}

#[test]
fn the_total_is_the_goods_and_the_money_lines_and_never_below_zero() {
    let lines = vec![
        money_line(MoneyLineKind::Shipping, 500),
        money_line(MoneyLineKind::Tax, 700),
        money_line(MoneyLineKind::Fee, 30),
        money_line(MoneyLineKind::Discount, 1_000),
    ];
    let order = with_money_lines(lines).unwrap();
    assert_eq!((order.total(), order.snapshot().added_minor), (usd(3_830), 230));
    assert_eq!(order.check(), Ok(()));
    let free = with_money_lines(vec![money_line(MoneyLineKind::Discount, 3_600)]).unwrap();
    assert_eq!(free.total(), usd(0));
    let below = with_money_lines(vec![money_line(MoneyLineKind::Discount, 3_601)]);
    assert_eq!(below, Err(vec![Rejection::NegativeTotal { excess: usd(1) }]));
    let tampered = OrderSnapshot { added_minor: 231, ..order.into_snapshot() };
    assert!(Order::restore(tampered).is_err());
}

#[test]
fn a_money_line_is_in_bounds_and_of_the_orders_currency() {
    let euro = Money::new(1, Currency::parse("EUR").unwrap());
    let foreign = MoneyLine { kind: MoneyLineKind::Tax, amount: euro };
    assert!(matches!(
        with_money_lines(vec![foreign]).unwrap_err()[..],
        [Rejection::MoneyLineCurrency { .. }]
    ));
    for minor in [-1, AMOUNT_MINOR_MAX + 1] {
        let refused = with_money_lines(vec![money_line(MoneyLineKind::Fee, minor)]);
        assert_eq!(refused, Err(vec![Rejection::MoneyLineOutOfRange { kind: MoneyLineKind::Fee, minor }]));
    }
    let most = money_line(MoneyLineKind::Fee, AMOUNT_MINOR_MAX);
    assert_eq!(with_money_lines(vec![most]), Err(vec![Rejection::TotalTooHigh]));
    let many = vec![money_line(MoneyLineKind::Fee, 1); MONEY_LINES_MAX + 1];
    assert!(matches!(with_money_lines(many).unwrap_err()[..], [Rejection::TooManyMoneyLines { .. }]));
}
