//! Sagas and events for the laws: any at all, whether or not an order could ever come there.

use std::time::Duration;

use application::saga::{
    Attention, Attentions, EventKind, OrderProcessingSaga, PaymentStep, SAGA_VERSION, STATES, SagaEvent,
    SagaState, ShipmentStep, StageLimits, StockStep, TABLE,
};
use domain::{
    CancelReason, Capture, Currency, HoldPoint, HoldPoints, Money, OrderId, OrderStatus, WhenShort,
};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;

/// Any state beneath which anything may have been done.
pub(crate) fn any_saga() -> impl Strategy<Value = OrderProcessingSaga> {
    let states = (select(STATES.to_vec()), select(OrderStatus::ALL.to_vec()));
    let steps = (
        select(StockStep::ALL.to_vec()),
        select(PaymentStep::ALL.to_vec()),
        select(ShipmentStep::ALL.to_vec()),
    );
    let details = (
        proptest::option::of(select(CancelReason::ALL.to_vec())),
        proptest::collection::vec(select(Attention::ALL.to_vec()), 0..3),
        (
            any::<u32>(),
            any::<bool>(),
            any_holds(),
            select(Capture::ALL.to_vec()),
            select(WhenShort::ALL.to_vec()),
        ),
    );
    (states, steps, details).prop_map(
        |(
            (state, order),
            (stock, payment, shipment),
            (reason, attention, (timer_generation, has_address, holds, capture, when_short)),
        )| {
            OrderProcessingSaga {
                order_id: OrderId(uuid::Uuid::from_u128(7)),
                state,
                version: SAGA_VERSION,
                total: Money::new(4_200, Currency::parse("EUR").expect("a known currency")),
                order,
                stock,
                payment,
                shipment,
                reason,
                attention: attentions(if state == SagaState::NeedsAttention { &attention } else { &[] }),
                timer_generation,
                created_at: Timestamp::UNIX_EPOCH,
                expires_at: Timestamp::UNIX_EPOCH,
                has_address,
                holds,
                capture,
                when_short,
            }
        },
    )
}

/// Holds before some steps, or none.
fn any_holds() -> impl Strategy<Value = HoldPoints> {
    proptest::sample::subsequence(HoldPoint::ALL.to_vec(), 0..=HoldPoint::ALL.len())
        .prop_map(|points| points.into_iter().collect())
}

/// These reasons.
pub(crate) fn attentions(each: &[Attention]) -> Attentions {
    let mut all = Attentions::default();
    each.iter().for_each(|attention| all.add(*attention));
    all
}

/// Any event, with any details.
pub(crate) fn any_event() -> impl Strategy<Value = SagaEvent> {
    (
        any_kind(),
        proptest::option::of(any::<u64>().prop_map(Duration::from_secs)),
        proptest::option::of(select(CancelReason::ALL.to_vec())),
        proptest::option::of(select(HoldPoint::ALL.to_vec())),
        any_limits(),
    )
        .prop_map(|(kind, authorised_for, reason, hold, limits)| SagaEvent {
            kind,
            reason,
            authorised_for,
            hold,
            limits,
        })
}

/// Any kind of event.
pub(crate) fn any_kind() -> impl Strategy<Value = EventKind> {
    select(TABLE.iter().map(|(kind, _)| *kind).collect::<Vec<_>>())
}

fn any_limits() -> impl Strategy<Value = StageLimits> {
    any::<[u64; 7]>().prop_map(|seconds| {
        let [order, payment, shipping, delivery_poll, capture, undo, stock] =
            seconds.map(Duration::from_secs);
        StageLimits { order, payment, shipping, delivery_poll, capture, undo, stock }
    })
}

/// Whether a saga that stands here has come to its end.
pub(crate) fn is_over(state: SagaState) -> bool {
    state.is_final()
}
