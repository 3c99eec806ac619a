//! What becomes of instances that were started under an older definition: each released version but the latest has one way to
//! the next, and an instance goes all of it before it reacts to anything. Never decides what a definition does.

use super::{OrderProcessingSaga, SAGA_VERSION};

/// The way from one released version of the definition to the next.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The version that is left behind.
    pub from: u16,
    /// What an instance of it becomes, wherever it stands. It has the instance and nothing else: no clock, no store.
    pub apply: fn(OrderProcessingSaga) -> OrderProcessingSaga,
}

/// Every way there is, from version 1 on.
///
/// From 1 to 2: limits run from the first call that was let through, and an undoing is asked for again. The timers that an
/// instance of version 1 has are longer than it needs, and mean the same.
///
/// From 1 to 2 as well: orders are held for news that only a person can judge. What waited for a person before has an undoing
/// that does not get on, which is what an instance without a cause is taken for.
pub const MIGRATIONS: &[Migration] = &[Migration { from: 1, apply: |saga| saga }];

const _: () = assert!(
    unmigrated(MIGRATIONS, SAGA_VERSION).is_none(),
    "a released version of the saga has no migration to the next; its instances that are under way would be lost"
);

/// The first version before `latest` from which no way leads on, or after which there is one too many.
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

/// The instance as the latest definition knows it.
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
        // The digits tell which steps were gone, and in which order.
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
