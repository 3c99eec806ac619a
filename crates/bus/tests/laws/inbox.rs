//! Laws of the inbox and of undoing: an id is new once, and what was not committed never happened.

use std::collections::BTreeSet;

use jiff::Timestamp;
use orderwright_bus as bus;
use proptest::prelude::*;

use bus::harness::MemoryStore;
use bus::{Admission, Store, Unit};

use crate::ledger::{Ledger, add, numbered, on_virtual_time, topology};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_id_of_a_source_is_new_once_and_only_if_its_unit_was_committed(
        visits in prop::collection::vec((0_u8..2, prop::collection::vec(0_u8..6, 0..5), any::<bool>()), 0..20),
    ) {
        on_virtual_time(async {
            let store = MemoryStore::<Ledger>::new(topology());
            let mut seen = BTreeSet::new();
            for (source, ids, committed) in visits {
                let (before, source) = (seen.clone(), format!("source-{source}"));
                let expect = |id: &u8| if seen.insert((source.clone(), *id)) { Admission::New } else { Admission::Repeat };
                let expected: Vec<_> = ids.iter().map(expect).collect();
                let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
                let mut unit = store.begin().await.expect("no mishap is planned");
                let admitted = unit.admit(&source, &ids, Timestamp::UNIX_EPOCH).await.expect("no mishap is planned");
                prop_assert_eq!(admitted, expected);
                if committed {
                    unit.commit().await.expect("no mishap is planned");
                } else {
                    seen = before;
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_unit_did_never_happened() {
    let store = MemoryStore::<Ledger>::new(topology());
    let mut unit = store.begin().await.expect("no mishap is planned");
    unit.data.totals.insert("rain".into(), 1);
    unit.publish(vec![numbered(1, &add(1))]).await.expect("no mishap is planned");
    drop(unit);
    assert_eq!(store.data(), Ledger::default());
    assert!(store.published().is_empty() && store.queued("bookkeeper").is_empty());
}
