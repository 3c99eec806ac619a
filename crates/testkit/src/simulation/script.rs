//! What people do in a simulated shop, and when: orders, changes of mind, goods received, and the clocks and processes of the
//! house at their worst. Decided before anything runs.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Currency, HoldPoint, Money, Quantity, ShippingFacts, Sku, WhenShort};
use jiff::SignedDuration;

use application::commands::{CreateOrderLine, NewProduct};
use application::hold_rules::HoldRules;

use super::dice::Dice;

/// Broker and file are away at most so long: longer than most stages, shorter than an order may take.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// An order to be, in the words of its customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// When the customer asks for it, from the start.
    pub at: Duration,
    /// What is wanted.
    pub lines: Vec<CreateOrderLine>,
    /// How long after that the customer thinks better of it.
    pub regret: Option<Duration>,
    /// How many times the customer presses the button.
    pub presses: u32,
    /// Before which steps it is to wait from the beginning; a hold for each.
    pub holds: Vec<HoldPoint>,
    /// Whether it is to wait if its goods are short.
    pub when_short: Option<WhenShort>,
    /// Another hold, and how long after the order.
    pub second_thought: Option<(Duration, HoldPoint)>,
}

/// Something that happens to the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Goods come in.
    Receipt(Sku, i64),
    /// The clock jumps.
    ClockJump(SignedDuration),
    /// The whole process dies.
    ProcessDies,
    /// Somebody sends a message that nobody can read.
    Rubbish,
    /// Every queue at the broker is deleted, with what lies in it and what was handed out of it.
    QueuesDeleted,
    /// The broker loses its quorum, and finds it again after so long.
    QuorumLost(Duration),
    /// A second database uses the same virtual host: its request to charge for an order comes to us.
    SecondDatabase,
    /// Another file lies in the place of the database for so long.
    FileReplaced(Duration),
}

/// The script of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What the shop sells.
    pub products: Vec<NewProduct>,
    /// What is ordered.
    pub wishes: Vec<Wish>,
    /// What else happens, and when.
    pub events: Vec<(Duration, Event)>,
    /// How long the storm lasts.
    pub storm: Duration,
    /// Which orders wait by rule.
    pub hold_rules: HoldRules,
}

impl Script {
    /// The script of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let dice = Dice::of(seed, "script");
        let products: Vec<NewProduct> = (0..=dice.below(3)).map(|number| product(&dice, number)).collect();
        let orders = 3 + dice.below(8);
        let holding = Dice::of(seed, "holds");
        let patience = Dice::of(seed, "backorders");
        let wishes =
            (0..orders).map(|_| patient(&patience, holding_back(&holding, wish(&dice, &products)))).collect();
        let mut events: Vec<_> = (0..dice.below(5)).map(|_| event(&dice, &products)).collect();
        let ground = Dice::of(seed, "broker and file");
        events.extend((0..ground.below(4)).map(|_| event_beneath(&ground)));
        let storm = Duration::from_secs(30 + dice.below(60));
        Self { products, wishes, events, storm, hold_rules: hold_rules(&holding) }
    }
}

/// A product: its number, what one costs in minor units, and how many there are.
#[must_use]
pub fn new_product(number: u64, price_minor: i64, stock: i64) -> NewProduct {
    NewProduct {
        sku: sku(number),
        name: format!("Product {number}"),
        description: None,
        price: Money::new(price_minor, currency()),
        stock,
        reorder_level: Some(1),
        availability: None,
        shipping: Some(facts_of(number)),
    }
}

/// What is known of one of a product: of every second nothing.
#[must_use]
pub fn facts_of(number: u64) -> ShippingFacts {
    if number.is_multiple_of(2) {
        return ShippingFacts::default();
    }
    let weight_g = i64::try_from(number).ok().map(|number| 10 * number);
    ShippingFacts { weight_g, origin_country: Some("IE".to_owned()), ..ShippingFacts::default() }
}

/// The name of a product.
#[must_use]
pub fn sku(number: u64) -> Sku {
    Sku::parse(&format!("P-{number}")).expect("a short printable text")
}

/// A line of an order at the catalogue's price.
#[must_use]
pub fn line(sku: Sku, units: u32) -> CreateOrderLine {
    let quantity = Quantity::try_from(i64::from(units)).expect("a few units");
    CreateOrderLine { sku, quantity, unit_price: None }
}

fn product(dice: &Dice, number: u64) -> NewProduct {
    let price_minor = *dice.pick(&[0, 1, 999, 10_000, 123_456]);
    new_product(number, price_minor, i64::try_from(dice.below(25)).expect("a few units"))
}

fn wish(dice: &Dice, products: &[NewProduct]) -> Wish {
    let lines = (0..=dice.below(3))
        .map(|_| {
            line(dice.pick(products).sku.clone(), u32::try_from(1 + dice.below(4)).expect("a few units"))
        })
        .collect();
    Wish {
        at: dice.time(Duration::from_secs(20)),
        lines,
        regret: dice.chance(300).then(|| dice.time(Duration::from_secs(30))),
        presses: if dice.chance(200) { 2 } else { 1 },
        holds: Vec::new(),
        when_short: None,
        second_thought: None,
    }
}

/// Of every fourth order or so its customer wants that it waits; of some others that comes later.
fn holding_back(dice: &Dice, wish: Wish) -> Wish {
    let point = || *dice.pick(HoldPoint::ALL);
    let holds = if dice.chance(250) { (0..=dice.below(3)).map(|_| point()).collect() } else { Vec::new() };
    let second_thought = dice.chance(150).then(|| (dice.time(Duration::from_secs(8)), point()));
    Wish { holds, second_thought, ..wish }
}

/// Every third order or so waits for its goods.
fn patient(dice: &Dice, wish: Wish) -> Wish {
    Wish { when_short: dice.chance(333).then_some(WhenShort::Wait), ..wish }
}

/// Each rule in every fourth shop.
fn hold_rules(dice: &Dice) -> HoldRules {
    let before = || dice.chance(250).then(|| *dice.pick(HoldPoint::ALL));
    HoldRules {
        large_order_from: BTreeMap::from([(currency(), 20_000)]),
        large_order: before(),
        new_customer: before(),
        address_missing: before(),
    }
}

pub(super) fn currency() -> Currency {
    Currency::parse("EUR").expect("a known currency")
}

fn event(dice: &Dice, products: &[NewProduct]) -> (Duration, Event) {
    let units = i64::try_from(1 + dice.below(10)).expect("a few units");
    let jump_s = *dice.pick(&[-300, -45, -5, 5, 45, 3_600, 7_200]);
    let event = match dice.below(5) {
        0 | 1 => Event::Receipt(dice.pick(products).sku.clone(), units),
        2 => Event::ClockJump(SignedDuration::from_secs(jump_s)),
        3 => Event::ProcessDies,
        _ => Event::Rubbish,
    };
    (dice.time(Duration::from_secs(40)), event)
}

/// Something happens to what the house stands on.
fn event_beneath(dice: &Dice) -> (Duration, Event) {
    let event = match dice.below(4) {
        0 => Event::QueuesDeleted,
        1 => Event::QuorumLost(dice.time(AWAY_MAX)),
        2 => Event::SecondDatabase,
        _ => Event::FileReplaced(dice.time(AWAY_MAX)),
    };
    (dice.time(Duration::from_secs(40)), event)
}
