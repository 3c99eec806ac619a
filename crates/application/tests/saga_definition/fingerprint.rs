//! The definition may not change in silence: an instance that was started under one table must not be finished under
//! another that nobody thought about.

use std::fmt::{self, Write};
use std::time::Duration;

use application::saga::{
    Attention, Attentions, OrderProcessingSaga, PaymentStep, SAGA_VERSION, STATES, SagaEvent, SagaState,
    ShipmentStep, StageLimits, StockStep, TABLE, diagram,
};
use bus::{Reaction, Saga, TimerChange};
use domain::{
    CancelReason, Capture, Currency, HoldPoint, HoldPoints, Money, OrderId, OrderStatus, WhenShort,
};
use jiff::Timestamp;

/// What each version does, for ever. A version that was released is never changed here: a saga that behaves otherwise needs a
/// new version, a line of its own, and its way from the version before in `MIGRATIONS`, without which nothing compiles.
const RELEASED: &[(u16, u64)] = &[
    (1, 0xd8d7_7280_77f4_c32b),
    (2, 0x5075_8267_cd09_772d),
    (3, 0xaa9f_89c9_4eca_a5f5),
    (4, 0x3ae0_afcd_33fb_153c),
    (5, 0xc3b6_c9e4_7667_efc0),
];

/// All limits that are set, no two alike, so that it is seen which of them a timer goes by. How long each of them is, is a
/// setting and no part of the definition.
const LIMITS: StageLimits = StageLimits {
    order: Duration::from_secs(1),
    payment: Duration::from_secs(2),
    shipping: Duration::from_secs(3),
    delivery_poll: Duration::from_secs(4),
    undo: Duration::from_secs(5),
    capture: Duration::from_secs(6),
    stock: Duration::from_secs(7),
};

#[test]
fn a_version_of_the_saga_always_does_the_same() {
    let fingerprint = fingerprint();
    let (_, released) = RELEASED.iter().find(|(version, _)| *version == SAGA_VERSION).unwrap_or_else(|| {
        panic!("version {SAGA_VERSION} has no fingerprint; add ({SAGA_VERSION}, {fingerprint:#018x})")
    });
    assert_eq!(
        fingerprint, *released,
        "the saga does something else than version {SAGA_VERSION} did ({fingerprint:#018x}); raise SAGA_VERSION, add its \
         fingerprint, and say in MIGRATIONS what becomes of the instances that are under way"
    );
}

#[test]
fn versions_are_numbered_without_gaps_and_the_latest_is_the_one_in_use() {
    let versions: Vec<u16> = RELEASED.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..=SAGA_VERSION).collect::<Vec<_>>());
}

#[test]
fn a_fingerprint_sees_a_change_of_a_single_letter() {
    let fold = |text: &str| {
        let mut print = Fingerprint::new();
        print.write_str(text).expect("it takes everything");
        print.0
    };
    assert_ne!(fold("reserve"), fold("reserved"));
    assert_ne!(fold("ab"), fold("ba"));
}

/// Of the table, of how an instance begins, and of what the reaction makes of whatever was done and whatever happens.
fn fingerprint() -> u64 {
    let mut print = Fingerprint::new();
    let _ = print.write_str(&diagram::table());
    note_saga(&mut print, &started());
    for standing in every_standing() {
        for (kind, _) in TABLE {
            for (reason, event) in every_way_to_tell(SagaEvent::of(kind).within(LIMITS)) {
                note(&mut print, &standing.saga(reason).react(&event, Timestamp::UNIX_EPOCH));
            }
        }
    }
    note_waiting(&mut print);
    print.0
}

/// What becomes of an order that wants to wait if its goods are short.
fn note_waiting(print: &mut Fingerprint) {
    for state in [SagaState::Created, SagaState::AwaitingStock] {
        let saga = OrderProcessingSaga { state, when_short: WhenShort::Wait, ..started() };
        for (kind, _) in TABLE {
            note(print, &saga.react(&SagaEvent::of(kind).within(LIMITS), Timestamp::UNIX_EPOCH));
        }
    }
}

/// Where an instance stands and what was done for it, reachable or not.
#[derive(Clone, Copy)]
struct Standing(SagaState, Attentions, OrderStatus, StockStep, PaymentStep, ShipmentStep, HoldPoints);

impl Standing {
    /// Only money that is captured later is ever authorised.
    fn capture(self) -> Capture {
        let is_authorised = matches!(self.4, PaymentStep::Authorised | PaymentStep::Capturing);
        if is_authorised { Capture::AtShipment } else { Capture::AtOnce }
    }

    fn saga(self, reason: Option<CancelReason>) -> OrderProcessingSaga {
        let Self(state, attention, order, stock, payment, shipment, holds) = self;
        OrderProcessingSaga {
            state,
            attention,
            order,
            stock,
            payment,
            shipment,
            reason,
            holds,
            capture: self.capture(),
            ..started()
        }
    }
}

fn started() -> OrderProcessingSaga {
    let total = Money::new(1, Currency::parse("EUR").expect("a known currency"));
    let epoch = Timestamp::UNIX_EPOCH;
    OrderProcessingSaga::start(OrderId(uuid::Uuid::nil()), total, epoch, epoch)
}

fn every_standing() -> impl Iterator<Item = Standing> {
    let together = |attention: &Attention| {
        let alone = Attentions::only(*attention);
        let mut disputed = alone;
        disputed.add(Attention::Disputed);
        [alone, disputed]
    };
    let waiting = Attention::ALL.iter().flat_map(together).map(|all| (SagaState::NeedsAttention, all));
    let states = STATES.into_iter().map(|state| (state, Attentions::default())).chain(waiting);
    let statuses = states.flat_map(|state| OrderStatus::ALL.iter().map(move |order| (state, *order)));
    let stocks =
        statuses.flat_map(|(state, order)| StockStep::ALL.iter().map(move |stock| (state, order, *stock)));
    let payments = stocks.flat_map(|(state, order, stock)| {
        PaymentStep::ALL.iter().map(move |payment| (state, order, stock, *payment))
    });
    let shipments = payments.flat_map(|(state, order, stock, payment)| {
        ShipmentStep::ALL.iter().map(move |shipment| (state, order, stock, payment, *shipment))
    });
    shipments.flat_map(|(state, order, stock, payment, shipment)| {
        every_set_of_holds()
            .map(move |holds| Standing(state.0, state.1, order, stock, payment, shipment, holds))
    })
}

fn every_set_of_holds() -> impl Iterator<Item = HoldPoints> {
    let all: HoldPoints = HoldPoint::ALL.iter().copied().collect();
    (0..=all.code()).map(HoldPoints::of_code)
}

/// About each step before which there may be holds; without details; with a reason, to an instance that has one; of an
/// authorisation that ends.
fn every_way_to_tell(event: SagaEvent) -> [(Option<CancelReason>, SagaEvent); 5] {
    let before = Some(CancelReason::OutOfStock);
    [
        (None, event),
        (None, event.before(HoldPoint::Payment)),
        (None, event.before(HoldPoint::Shipping)),
        (before, event.because(CancelReason::Operator)),
        (None, event.authorised_for(Some(Duration::from_secs(7)))),
    ]
}

/// Everything that decides what an order does next.
fn note(print: &mut Fingerprint, reaction: &Reaction<OrderProcessingSaga>) {
    note_saga(print, &reaction.next);
    let _ = write!(print, " {:?} {:?};", reaction.outcome, reaction.commands);
    for change in &reaction.timers {
        let _ = match change {
            TimerChange::Set { name, after } => write!(print, "+{name} {}", after.as_secs()),
            TimerChange::Cancel { name } => write!(print, "-{name}"),
        };
    }
}

fn note_saga(print: &mut Fingerprint, saga: &OrderProcessingSaga) {
    let _ = write!(print, "{} {} {} {} {}", saga.state, saga.order, saga.stock, saga.payment, saga.shipment);
    let _ = write!(print, " {:?} {:?} {}", saga.reason, saga.attention, saga.timer_generation);
    let _ = write!(print, " {} {} {}", saga.holds.code(), saga.capture, saga.when_short);
}

/// FNV-1a of whatever is written to it.
struct Fingerprint(u64);

impl Fingerprint {
    const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl fmt::Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text
            .bytes()
            .fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
        Ok(())
    }
}
