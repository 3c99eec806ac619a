//! Migrations of saga instances that were started under an older definition. Each released version but the latest has
//! one migration to the next; an instance passes all of them before it reacts to an event.

use super::{OrderProcessingSaga, SAGA_VERSION};

/// A migration from one released version of the definition to the next.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The version it starts from.
    pub from: u16,
    /// Converts an instance in any state. It sees the instance alone: no clock, no store.
    pub apply: fn(OrderProcessingSaga) -> OrderProcessingSaga,
}

/// All migrations, from version 1 on.
///
/// From 1 to 2: limits run from the first call that was let through, and compensation steps are repeated. Timers of a
/// version 1 instance are longer than necessary, and mean the same.
///
/// Also from 1 to 2: orders wait for a person because of events that only a person can judge. An order that waited for a person before
/// has a stuck compensation step; that is what an instance without a cause means.
///
/// From 2 to 3: orders can have holds. An instance of version 2 has none.
///
/// From 3 to 4: money can be authorised with the order and captured at its shipment. An instance of version 3 is charged at once.
///
/// From 4 to 5: orders can wait for their goods. An instance of version 4 is cancelled if they are short.
pub const MIGRATIONS: &[Migration] = &[
    Migration { from: 1, apply: |saga| saga },
    Migration { from: 2, apply: |saga| saga },
    Migration { from: 3, apply: |saga| saga },
    Migration { from: 4, apply: |saga| saga },
];

const _: () = assert!(
    unmigrated(MIGRATIONS, SAGA_VERSION).is_none(),
    "a released version of the saga has no migration to the next; its instances that are under way would be lost"
);

/// The first version before `latest` without a migration, or the first with one too many.
const fn unmigrated(migrations: &[Migration], latest: u16) -> Option<u16> {
    let mut version = 1;
    let mut rest = migrations;
    while let [migration, after @ ..] = rest {
        if migration.from != version || version >= latest {
            return Some(version);
        }
        version += 1;
        rest = after;
    }
    if version < latest { Some(version) } else { None }
}

/// The instance, migrated to the latest definition.
pub(super) fn migrated(saga: &OrderProcessingSaga, migrations: &[Migration]) -> OrderProcessingSaga {
    let mut saga = saga.clone();
    for migration in migrations {
        if saga.version == migration.from {
            saga = (migration.apply)(saga);
            saga.version = migration.from + 1;
        }
    }
    saga
}

#[cfg(test)]
mod tests {
    use bus::Outcome;
    use domain::{Currency, Money, OrderId};
    use jiff::Timestamp;

    use super::super::{EventKind, SagaEvent, SagaState};
    use super::*;

    fn instance(version: u16) -> OrderProcessingSaga {
        let total = Money::new(1, Currency::parse("EUR").expect("a known currency"));
        let epoch = Timestamp::UNIX_EPOCH;
        let started = OrderProcessingSaga::start(OrderId(uuid::Uuid::nil()), total, epoch, epoch);
        OrderProcessingSaga { version, ..started }
    }

    const fn way(from: u16, apply: fn(OrderProcessingSaga) -> OrderProcessingSaga) -> Migration {
        Migration { from, apply }
    }

    const fn same(from: u16) -> Migration {
        way(from, |saga| saga)
    }

    #[test]
    fn a_version_without_a_way_to_the_next_is_found() {
        assert_eq!(unmigrated(&[], 1), None);
        assert_eq!(unmigrated(&[same(1), same(2)], 3), None);
        for (migrations, latest, missing) in [
            (&[][..], 2, 1),
            (&[same(1)], 3, 2),
            (&[same(1), same(3)], 4, 2),
            (&[same(2), same(3)], 4, 1),
            (&[same(1), same(1)], 3, 2),
            (&[same(1), same(2)], 2, 2),
        ] {
            assert_eq!(unmigrated(migrations, latest), Some(missing), "{migrations:?} up to {latest}");
        }
    }

    #[test]
    fn an_instance_goes_every_step_that_it_has_not_gone_and_none_twice() {
        // The digits record the steps taken, in order.
        let ways = [
            way(1, |saga| OrderProcessingSaga { timer_generation: saga.timer_generation * 10 + 1, ..saga }),
            way(2, |saga| OrderProcessingSaga { timer_generation: saga.timer_generation * 10 + 2, ..saga }),
        ];
        for (version, steps) in [(1, 12), (2, 2), (3, 0)] {
            let once = migrated(&instance(version), &ways);
            assert_eq!((once.version, once.timer_generation), (3, steps), "from version {version}");
            assert_eq!(migrated(&once, &ways), once);
        }
    }

    #[test]
    fn an_older_instance_is_migrated_before_it_reacts() {
        let ways = [way(1, |saga| OrderProcessingSaga { state: SagaState::Shipped, ..saga })];
        let delivered = SagaEvent::of(EventKind::ParcelDelivered);
        let older = instance(1).react_after(&ways, &delivered).next;
        assert_eq!((older.state, older.version), (SagaState::Completed, 2));
        let of_today = instance(2).react_after(&ways, &delivered);
        assert_eq!((of_today.next, of_today.outcome), (instance(2), Outcome::Early));
    }
}
