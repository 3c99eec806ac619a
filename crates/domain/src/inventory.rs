//! The stock of one product: counters that are the sum of the ledger. A counter changes only by applying a
//! [`StockMovement`], and can never go below zero or overflow.

use jiff::Timestamp;

use crate::{
    Availability, BrokenInvariant, MovementCause, MovementKind, OrderId, ProductId, Rejection, StockMovement,
    UNITS_MAX, invariant::check_all,
};

/// The sums of a product's ledger, in units. Always `available + reserved + shipped = received + adjusted + short`,
/// and `available` is 0 while `short` is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct StockCounters {
    /// In stock and for sale.
    pub available: i64,
    /// In stock, reserved for an order.
    pub reserved: i64,
    /// Shipped in total.
    pub shipped: i64,
    /// Received in total.
    pub received: i64,
    /// Corrections in total: found minus missing.
    pub adjusted: i64,
    /// Promised to orders but not in stock. Units that come in, come back or are found cover this first.
    pub short: i64,
}

/// The stock of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    product_id: ProductId,
    counters: StockCounters,
    reorder_level: i64,
    last_updated: Timestamp,
}

impl Inventory {
    /// Decides to reserve units for an order.
    pub fn reserve(&self, units: i64, order_id: OrderId) -> Result<StockMovement, Rejection> {
        self.decide(MovementKind::Reserved, units, MovementCause::Order(order_id))
    }

    /// Decides to release an order's reserved units.
    pub fn release(&self, units: i64, order_id: OrderId) -> Result<StockMovement, Rejection> {
        self.decide(MovementKind::Released, units, MovementCause::Order(order_id))
    }

    /// Decides to ship an order's reserved units.
    pub fn ship(&self, units: i64, order_id: OrderId) -> Result<StockMovement, Rejection> {
        self.decide(MovementKind::Shipped, units, MovementCause::Order(order_id))
    }

    /// Decides to receive units.
    pub fn receive(&self, units: i64, cause: MovementCause) -> Result<StockMovement, Rejection> {
        self.decide(MovementKind::Received, units, cause)
    }

    /// Decides to correct the available units, up or down. Reserved units are not taken away like this: count the
    /// shelf for that.
    pub fn adjust(&self, units: i64, reason: &str) -> Result<StockMovement, Rejection> {
        let movement = self.decide(MovementKind::Adjusted, units, adjustment(reason))?;
        let (product_id, available) = (self.product_id, self.counters.available);
        if units < -available {
            return Err(Rejection::InsufficientStock { product_id, requested: -units, available });
        }
        Ok(movement)
    }

    /// Decides to book a count of all units on the shelf, reserved ones included. A count below the reserved units
    /// leaves the difference short. If the count equals the books, nothing moves.
    pub fn count(&self, counted: i64, reason: &str) -> Result<Option<StockMovement>, Rejection> {
        let product_id = self.product_id;
        if !(0..=UNITS_MAX).contains(&counted) {
            return Err(Rejection::InvalidCount { product_id, counted });
        }
        let difference = counted - self.on_hand();
        if difference == 0 {
            return Ok(None);
        }
        let cause = adjustment(&format!("counted {counted}: {reason}"));
        self.decide(MovementKind::Adjusted, difference, cause).map(Some)
    }

    /// Applies a movement: the only way a counter changes. A movement that does not fit changes nothing.
    pub fn apply(&mut self, movement: &StockMovement, at: Timestamp) -> Result<(), Rejection> {
        self.counters = self.after(movement)?;
        self.last_updated = self.last_updated.max(at);
        Ok(())
    }

    /// The stock that a ledger adds up to, as of `at`.
    pub fn rebuild<'a>(
        product_id: ProductId,
        reorder_level: i64,
        movements: impl IntoIterator<Item = &'a StockMovement>,
        at: Timestamp,
    ) -> Result<Self, Rejection> {
        let mut inventory = Self::empty(product_id, reorder_level, at);
        movements.into_iter().try_for_each(|movement| inventory.apply(movement, at))?;
        Ok(inventory)
    }

    /// The stock of a product that has no ledger yet. A negative reorder level means zero.
    pub fn empty(product_id: ProductId, reorder_level: i64, at: Timestamp) -> Self {
        let counters = StockCounters::default();
        Self { product_id, counters, reorder_level: reorder_level.max(0), last_updated: at }
    }

    /// The stock as stored, if it holds its invariants.
    pub fn restore(
        product_id: ProductId,
        counters: StockCounters,
        reorder_level: i64,
        last_updated: Timestamp,
    ) -> Result<Self, BrokenInvariant> {
        let inventory = Self { product_id, counters, reorder_level, last_updated };
        inventory.check().map(|()| inventory)
    }

    /// Whether to reorder: no more available than the reorder level. A product that is no longer sold is never low.
    pub const fn is_low(&self, availability: Availability) -> bool {
        match availability {
            Availability::Active => self.counters.available <= self.reorder_level,
            Availability::Discontinued => false,
        }
    }

    /// Units that the books expect on the shelf. Negative if more was shipped than there was.
    pub const fn on_hand(&self) -> i64 {
        self.counters.available + self.counters.reserved - self.counters.short
    }

    /// Sets the reorder level. A negative level means zero.
    pub fn set_reorder_level(&mut self, units: i64, at: Timestamp) {
        self.reorder_level = units.max(0);
        self.last_updated = self.last_updated.max(at);
    }

    /// Checks the invariants: nothing negative, nothing beyond [`UNITS_MAX`], nothing lost or made up.
    pub fn check(&self) -> Result<(), BrokenInvariant> {
        check_all(
            || format!("inventory of product {}", self.product_id),
            &[
                (self.counters.are_in_bounds(), "no counter is negative or beyond the bound"),
                (
                    self.counters.are_conserved(),
                    "available + reserved + shipped = received + adjusted + short",
                ),
                (self.counters.are_honest(), "nothing is available while anything is short"),
                (self.reorder_level >= 0, "the reorder level is not negative"),
            ],
        )
    }

    /// The product.
    pub const fn product_id(&self) -> ProductId {
        self.product_id
    }

    /// All counters at once, as they are stored.
    pub const fn counters(&self) -> StockCounters {
        self.counters
    }

    /// Units for sale.
    pub const fn available(&self) -> i64 {
        self.counters.available
    }

    /// Units reserved for orders.
    pub const fn reserved(&self) -> i64 {
        self.counters.reserved
    }

    /// Units promised to orders that are not there.
    pub const fn short(&self) -> i64 {
        self.counters.short
    }

    /// The reorder level.
    pub const fn reorder_level(&self) -> i64 {
        self.reorder_level
    }

    /// When anything here last changed.
    pub const fn last_updated(&self) -> Timestamp {
        self.last_updated
    }

    fn decide(
        &self,
        kind: MovementKind,
        quantity: i64,
        cause: MovementCause,
    ) -> Result<StockMovement, Rejection> {
        let movement = StockMovement { product_id: self.product_id, kind, quantity, cause };
        self.after(&movement).map(|_| movement)
    }

    fn after(&self, movement: &StockMovement) -> Result<StockCounters, Rejection> {
        let StockMovement { product_id, kind, quantity, .. } = *movement;
        if product_id != self.product_id {
            return Err(Rejection::WrongSubject { expected: self.product_id.0, found: product_id.0 });
        }
        if !is_movable(kind, quantity) {
            return Err(Rejection::InvalidMovement { product_id, kind, quantity });
        }
        self.refuse_shortage(kind, quantity)?;
        let after = self.counters.moved(kind, quantity);
        if after.are_in_bounds() {
            Ok(after)
        } else {
            Err(Rejection::StockOutOfRange { product_id, quantity })
        }
    }

    fn refuse_shortage(&self, kind: MovementKind, quantity: i64) -> Result<(), Rejection> {
        let (product_id, StockCounters { available, reserved, .. }) = (self.product_id, self.counters);
        match kind {
            MovementKind::Received => Ok(()),
            MovementKind::Reserved if quantity > available => {
                Err(Rejection::InsufficientStock { product_id, requested: quantity, available })
            }
            MovementKind::Released | MovementKind::Shipped if quantity > reserved => {
                Err(Rejection::InsufficientReservation { product_id, requested: quantity, reserved })
            }
            MovementKind::Reserved
            | MovementKind::Adjusted
            | MovementKind::Released
            | MovementKind::Shipped => Ok(()),
        }
    }
}

fn adjustment(reason: &str) -> MovementCause {
    MovementCause::Adjustment { reason: reason.to_owned() }
}

/// Whether a movement may have this quantity. The bound also keeps later sums from overflowing.
const fn is_movable(kind: MovementKind, quantity: i64) -> bool {
    let smallest = match kind {
        MovementKind::Adjusted => -UNITS_MAX,
        MovementKind::Received | MovementKind::Reserved | MovementKind::Released | MovementKind::Shipped => 1,
    };
    smallest <= quantity && quantity <= UNITS_MAX && quantity != 0
}

impl StockCounters {
    /// What a movement does to the counters. Cannot overflow while counters and quantity are in bounds.
    const fn moved(mut self, kind: MovementKind, quantity: i64) -> Self {
        match kind {
            MovementKind::Received => {
                self.received += quantity;
                self.free(quantity);
            }
            MovementKind::Reserved => {
                self.reserved += quantity;
                self.free(-quantity);
            }
            MovementKind::Released => {
                self.reserved -= quantity;
                self.free(quantity);
            }
            MovementKind::Shipped => {
                self.reserved -= quantity;
                self.shipped += quantity;
            }
            MovementKind::Adjusted => {
                self.adjusted += quantity;
                self.free(quantity);
            }
        }
        self
    }

    /// Units become free, or are taken; a shortage is covered before anything becomes available.
    const fn free(&mut self, units: i64) {
        let balance = self.available - self.short + units;
        (self.available, self.short) = if balance < 0 { (0, -balance) } else { (balance, 0) };
    }

    const fn are_honest(self) -> bool {
        self.available == 0 || self.short == 0
    }

    fn are_in_bounds(self) -> bool {
        let natural = [self.available, self.reserved, self.shipped, self.received, self.short];
        natural.iter().all(|units| (0..=UNITS_MAX).contains(units))
            && (-UNITS_MAX..=UNITS_MAX).contains(&self.adjusted)
    }

    fn are_conserved(self) -> bool {
        let sum = |units: &[i64]| units.iter().copied().map(i128::from).sum::<i128>();
        sum(&[self.available, self.reserved, self.shipped])
            == sum(&[self.received, self.adjusted, self.short])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const PRODUCT: ProductId = ProductId(Uuid::from_u128(1));
    const ORDER: OrderId = OrderId(Uuid::from_u128(2));
    const NOON: Timestamp = Timestamp::UNIX_EPOCH;

    fn import() -> MovementCause {
        MovementCause::Import("opening stock".into())
    }

    fn stock(available: i64) -> Inventory {
        let mut inventory = Inventory::empty(PRODUCT, 5, NOON);
        let movement = inventory.receive(available, import()).unwrap();
        inventory.apply(&movement, NOON).unwrap();
        inventory
    }

    fn decide(inventory: &Inventory, kind: MovementKind, units: i64) -> Result<StockMovement, Rejection> {
        match kind {
            MovementKind::Received => inventory.receive(units, import()),
            MovementKind::Reserved => inventory.reserve(units, ORDER),
            MovementKind::Released => inventory.release(units, ORDER),
            MovementKind::Shipped => inventory.ship(units, ORDER),
            MovementKind::Adjusted => inventory.adjust(units, "recount"),
        }
    }

    fn units() -> impl Strategy<Value = i64> {
        prop_oneof![8 => -20_i64..100, 1 => any::<i64>(), 1 => UNITS_MAX - 50..=UNITS_MAX]
    }

    /// What may happen to a stock.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Move(MovementKind, i64),
        Count(i64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let moved = (prop::sample::select(MovementKind::ALL), units())
            .prop_map(|(kind, units)| Act::Move(kind, units));
        prop::collection::vec(prop_oneof![4 => moved, 1 => units().prop_map(Act::Count)], 0..80)
    }

    fn take(inventory: &Inventory, act: Act) -> Result<Option<StockMovement>, Rejection> {
        match act {
            Act::Move(kind, units) => decide(inventory, kind, units).map(Some),
            Act::Count(counted) => inventory.count(counted, "stocktaking"),
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_stock_is_conserved_and_never_negative(acts in acts()) {
            let mut inventory = Inventory::empty(PRODUCT, 5, NOON);
            for act in acts {
                let before = inventory.clone();
                match take(&inventory, act) {
                    Ok(Some(movement)) => prop_assert_eq!(inventory.apply(&movement, NOON), Ok(())),
                    Ok(None) | Err(_) => prop_assert_eq!(&inventory, &before),
                }
                prop_assert_eq!(inventory.check(), Ok(()));
            }
        }

        /// A model that knows only what is on the shelf and what was promised.
        #[test]
        fn what_is_counted_is_what_there_is_and_no_more_is_sold_than_that(acts in acts()) {
            let mut inventory = Inventory::empty(PRODUCT, 5, NOON);
            let (mut shelf, mut promised) = (0_i128, 0_i128);
            for act in acts {
                let Ok(movement) = take(&inventory, act) else { continue };
                if let Some(movement) = &movement {
                    inventory.apply(movement, NOON).unwrap();
                }
                match act {
                    Act::Count(counted) => shelf = counted.into(),
                    Act::Move(MovementKind::Received | MovementKind::Adjusted, units) => shelf += i128::from(units),
                    Act::Move(MovementKind::Released, units) => promised -= i128::from(units),
                    Act::Move(MovementKind::Shipped, units) => {
                        shelf -= i128::from(units);
                        promised -= i128::from(units);
                    }
                    Act::Move(MovementKind::Reserved, units) => {
                        promised += i128::from(units);
                        prop_assert!(promised <= shelf, "sold what is not there");
                    }
                }
                prop_assert_eq!(i128::from(inventory.on_hand()), shelf);
                prop_assert_eq!(i128::from(inventory.available()), (shelf - promised).max(0));
                prop_assert_eq!(i128::from(inventory.short()), (promised - shelf).max(0));
            }
        }

        #[test]
        fn the_ledger_adds_up_to_the_counters(acts in acts()) {
            let mut inventory = Inventory::empty(PRODUCT, 5, NOON);
            let mut ledger = Vec::new();
            for act in acts {
                if let Ok(Some(movement)) = take(&inventory, act) {
                    inventory.apply(&movement, NOON).unwrap();
                    ledger.push(movement);
                }
            }
            prop_assert_eq!(Inventory::rebuild(PRODUCT, 5, &ledger, NOON), Ok(inventory));
        }

        #[test]
        fn a_forged_movement_changes_nothing_or_keeps_the_invariant(
            start in 1_i64..50, kind in prop::sample::select(MovementKind::ALL), quantity: i64,
        ) {
            let mut inventory = stock(start);
            let forged = StockMovement { product_id: PRODUCT, kind, quantity, cause: import() };
            let _ = inventory.apply(&forged, NOON);
            prop_assert_eq!(inventory.check(), Ok(()));
        }

        #[test]
        fn giving_back_what_was_set_aside_undoes_it(start in 1_i64..1000, share in 1_i64..1000) {
            let mut inventory = stock(start);
            let before = inventory.clone();
            if let Ok(reserved) = inventory.reserve(share, ORDER) {
                inventory.apply(&reserved, NOON).unwrap();
                inventory.apply(&inventory.release(share, ORDER).unwrap(), NOON).unwrap();
            }
            prop_assert_eq!(inventory, before);
        }
    }

    #[test]
    fn a_shortage_names_what_was_asked_for_and_what_there_is() {
        let inventory = stock(3);
        let shortage = Rejection::InsufficientStock { product_id: PRODUCT, requested: 4, available: 3 };
        assert_eq!(inventory.reserve(4, ORDER), Err(shortage.clone()));
        assert_eq!(inventory.adjust(-4, "broken"), Err(shortage));
        let unreserved =
            Rejection::InsufficientReservation { product_id: PRODUCT, requested: 1, reserved: 0 };
        assert_eq!(inventory.ship(1, ORDER), Err(unreserved));
    }

    #[test]
    fn the_last_unit_can_be_sold_once() {
        let mut inventory = stock(1);
        inventory.apply(&inventory.reserve(1, ORDER).unwrap(), NOON).unwrap();
        assert!(inventory.reserve(1, ORDER).is_err());
    }

    #[test]
    fn a_count_below_what_is_reserved_leaves_the_rest_short_and_what_comes_in_makes_it_good_first() {
        let mut inventory = stock(25);
        inventory.apply(&inventory.reserve(24, ORDER).unwrap(), NOON).unwrap();
        assert!(inventory.adjust(-4, "missing").is_err(), "what is set aside is not taken away by the way");
        let counted = inventory.count(21, "stocktaking").unwrap().unwrap();
        assert_eq!((counted.kind, counted.quantity), (MovementKind::Adjusted, -4));
        inventory.apply(&counted, NOON).unwrap();
        assert_eq!((inventory.available(), inventory.reserved(), inventory.short()), (0, 24, 3));
        assert!(inventory.reserve(1, ORDER).is_err());
        assert_eq!(inventory.count(21, "again"), Ok(None));
        inventory.apply(&inventory.receive(2, import()).unwrap(), NOON).unwrap();
        assert_eq!((inventory.available(), inventory.short()), (0, 1));
        inventory.apply(&inventory.release(8, ORDER).unwrap(), NOON).unwrap();
        assert_eq!((inventory.available(), inventory.short()), (7, 0));
    }

    #[test]
    fn a_count_is_from_none_to_the_most_there_can_be() {
        for counted in [-1, i64::MIN, UNITS_MAX + 1, i64::MAX] {
            assert_eq!(
                stock(1).count(counted, "x"),
                Err(Rejection::InvalidCount { product_id: PRODUCT, counted })
            );
        }
        assert!(stock(1).count(0, "x").is_ok() && stock(1).count(UNITS_MAX, "x").is_ok());
    }

    #[test]
    fn stock_is_low_at_the_reorder_level_and_below_as_long_as_it_is_sold() {
        assert!(!stock(6).is_low(Availability::Active));
        assert!(stock(5).is_low(Availability::Active));
        assert!(!stock(5).is_low(Availability::Discontinued));
    }

    #[test]
    fn movements_of_nothing_of_too_much_or_of_another_product_are_refused() {
        let mut inventory = stock(9);
        for units in [0, -1, i64::MIN, i64::MAX] {
            assert!(inventory.reserve(units, ORDER).is_err());
        }
        assert!(inventory.adjust(0, "nothing").is_err() && inventory.adjust(i64::MIN, "all").is_err());
        assert!(inventory.receive(UNITS_MAX, import()).is_err());
        let foreign = Inventory::empty(ProductId(Uuid::nil()), 0, NOON).receive(1, import()).unwrap();
        assert!(matches!(inventory.apply(&foreign, NOON), Err(Rejection::WrongSubject { .. })));
    }

    #[test]
    fn counters_that_cannot_be_true_are_not_restored() {
        let sound = stock(9).counters();
        for broken in [
            StockCounters { available: 8, ..sound },
            StockCounters { available: -1, reserved: 10, ..sound },
            StockCounters { available: i64::MAX, received: i64::MAX, ..sound },
            StockCounters { available: 10, short: 1, ..sound },
        ] {
            assert!(Inventory::restore(PRODUCT, broken, 0, NOON).is_err());
        }
        assert!(Inventory::restore(PRODUCT, sound, -1, NOON).is_err());
        assert!(Inventory::restore(PRODUCT, sound, 0, NOON).is_ok());
    }
}
