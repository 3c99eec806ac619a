//! The definition may not change in silence: an instance that was started under one table must not be finished under
//! another that nobody thought about.

use std::fmt::Write as _;

use application::saga::{
    OrderProcessingSaga, PaymentStep, SAGA_VERSION, STATES, SagaEvent, SagaState, ShipmentStep, StockStep,
    TABLE, diagram,
};
use bus::{Reaction, Saga, TimerChange};
use domain::{Currency, Money, OrderId, OrderStatus};
use jiff::Timestamp;

/// What each version does, for ever. A version that was released is never changed here: a saga that behaves otherwise
/// needs a new version, a line of its own, and a migration of the instances that are still under way.
const RELEASED: &[(u16, u64)] = &[(1, 0x87d0_e4a6_295f_dd78)];

#[test]
fn a_version_of_the_saga_always_does_the_same() {
    let (_, released) = RELEASED.iter().find(|(version, _)| *version == SAGA_VERSION).unwrap_or_else(|| {
        panic!("version {SAGA_VERSION} has no fingerprint; add ({SAGA_VERSION}, {:#018x})", fingerprint())
    });
    assert_eq!(
        fingerprint(),
        *released,
        "the saga does something else than version {SAGA_VERSION} did ({:#018x}); raise SAGA_VERSION, add its fingerprint, \
         and migrate the instances that are under way",
        fingerprint()
    );
}

#[test]
fn versions_are_numbered_without_gaps_and_the_latest_is_the_one_in_use() {
    let versions: Vec<u16> = RELEASED.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..=SAGA_VERSION).collect::<Vec<_>>());
}

#[test]
fn a_fingerprint_sees_a_change_of_a_single_letter() {
    assert_ne!(fold("reserve"), fold("reserved"));
    assert_ne!(fold("ab"), fold("ba"));
}

/// Of the table, and of what the reaction makes of it for every combination of what was done.
fn fingerprint() -> u64 {
    let mut text = diagram::table();
    for state in STATES {
        for (stock, payment, shipment) in every_combination() {
            for (kind, _) in TABLE {
                let saga = saga(state, stock, payment, shipment);
                note(&mut text, &saga.react(&SagaEvent::of(kind), Timestamp::UNIX_EPOCH));
            }
        }
    }
    fold(&text)
}

/// Everything that decides what an order does next; how long a stage may take is a setting and no part of it.
fn note(text: &mut String, reaction: &Reaction<OrderProcessingSaga>) {
    let next = &reaction.next;
    let _ = write!(text, "{} {} {} {} {}", next.state, next.order, next.stock, next.payment, next.shipment);
    let _ = write!(text, " {:?} {:?} {:?};", next.reason, reaction.outcome, reaction.commands);
    for change in &reaction.timers {
        let _ = match change {
            TimerChange::Set { name, .. } => write!(text, "+{name}"),
            TimerChange::Cancel { name } => write!(text, "-{name}"),
        };
    }
}

fn every_combination() -> impl Iterator<Item = (StockStep, PaymentStep, ShipmentStep)> {
    let shipments =
        |stock, payment| ShipmentStep::ALL.iter().map(move |shipment| (stock, payment, *shipment));
    let payments = move |stock| PaymentStep::ALL.iter().flat_map(move |payment| shipments(stock, *payment));
    StockStep::ALL.iter().flat_map(move |stock| payments(*stock))
}

fn saga(
    state: SagaState,
    stock: StockStep,
    payment: PaymentStep,
    shipment: ShipmentStep,
) -> OrderProcessingSaga {
    let total = Money::new(1, Currency::parse("EUR").expect("a known currency"));
    let epoch = Timestamp::UNIX_EPOCH;
    let mut saga = OrderProcessingSaga::start(OrderId(uuid::Uuid::nil()), total, epoch, epoch);
    saga.order = match state {
        SagaState::Created | SagaState::Compensating | SagaState::NeedsAttention => OrderStatus::Pending,
        SagaState::InventoryReserved => OrderStatus::Validated,
        SagaState::PaymentProcessing => OrderStatus::PaymentProcessing,
        SagaState::Paid => OrderStatus::Paid,
        SagaState::Shipped => OrderStatus::Shipped,
        SagaState::Completed => OrderStatus::Delivered,
        SagaState::Failed => OrderStatus::Cancelled,
    };
    (saga.state, saga.stock, saga.payment, saga.shipment) = (state, stock, payment, shipment);
    saga.version = 0;
    saga
}

/// FNV-1a.
fn fold(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
