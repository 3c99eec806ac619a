//! Laws of the chain: whether a message is handled where it was published or goes through its queue is nobody's business,
//! and one that cannot be handled costs nobody else anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use orderwright_bus as bus;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use bus::harness::{Harness, MemoryUnit};
use bus::{Chain, Clock, Consumer, CorrelationId, EndpointPolicy, Fault, Message, MessageId, Unit, Work};

use crate::ledger::{Add, Bookkeeper, Conduct, Ledger, add, harness, on_virtual_time, with_conduct};

/// Long enough for every redelivery of the default policy, and for every pause of a chain.
const EVERYTHING: Duration = Duration::from_secs(600);

/// Asks for several additions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sheet {
    pub(crate) adds: Vec<Add>,
}

impl Message for Sheet {
    const KINDS: &'static [&'static str] = &["sheet"];

    fn kind(&self) -> &'static str {
        "sheet"
    }

    fn encode(&self) -> Bytes {
        bus::to_json(self)
    }

    fn decode(_kind: &str, body: &[u8]) -> Result<Self, Fault> {
        bus::from_json(body)
    }
}

/// Hands on what is on a sheet, line by line, and notes that it did.
pub(crate) struct Clerk;

#[async_trait]
impl Consumer<MemoryUnit<Ledger>> for Clerk {
    const QUEUE: &'static str = "clerk";
    type Message = Sheet;

    async fn handle(&self, unit: &mut MemoryUnit<Ledger>, batch: &mut [Work<Sheet>]) -> Result<(), Fault> {
        for work in batch {
            *unit.data.applied.entry(work.envelope().id).or_default() += 1;
            let envelope = work.envelope();
            let lines = (0..).zip(&work.message.adds);
            let envelopes = lines.map(|(number, add)| add.caused_by(envelope, number, envelope.sent_at));
            unit.publish(envelopes.collect()).await?;
        }
        Ok(())
    }
}

/// How lines get from the clerk to the bookkeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    InUnit,
    ByQueue,
}

fn clerk(harness: &mut Harness<Ledger>, way: Way) {
    let chain = Chain::new(harness.clock() as Arc<dyn Clock>);
    let chain = match way {
        Way::InUnit => chain.with(Arc::new(Bookkeeper)),
        Way::ByQueue => chain,
    };
    harness.consume_following(Clerk, EndpointPolicy::default(), Arc::new(chain));
}

/// What a run leaves: the ledger, and which messages were set aside.
async fn remains(sheets: &[Vec<Add>], way: Way) -> (Ledger, BTreeMap<MessageId, u32>, usize) {
    let mut harness = harness();
    clerk(&mut harness, way);
    harness.consume(Bookkeeper);
    for (number, adds) in (1..).zip(sheets) {
        let id = Uuid::from_u128(number);
        let sheet = Sheet { adds: adds.clone() };
        harness.send_envelope(sheet.first(MessageId(id), CorrelationId(id), Timestamp::UNIX_EPOCH)).await;
    }
    harness.advance(EVERYTHING).await;
    let dead = harness.dead_letters().into_iter();
    let dead = dead.map(|letter| (letter.envelope.id, letter.envelope.attempt)).collect();
    (harness.data(), dead, harness.published::<crate::ledger::Added>().len())
}

fn sheets() -> impl Strategy<Value = Vec<Vec<Add>>> {
    let conduct = prop_oneof![
        8 => Just(Conduct::Good),
        1 => (1_u32..4).prop_map(Conduct::FailsFirst),
        1 => Just(Conduct::FailsAlways),
        1 => Just(Conduct::PanicsInHandle),
        1 => Just(Conduct::FailsInPerform),
        1 => Just(Conduct::PanicsInDecode),
    ];
    let line = ("[a-c]", -5_i64..5, conduct).prop_map(|(counter, by, conduct)| Add { counter, by, conduct });
    prop::collection::vec(prop::collection::vec(line, 0..5), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_ways_leave_the_same(sheets in sheets()) {
        on_virtual_time(async {
            prop_assert_eq!(remains(&sheets, Way::InUnit).await, remains(&sheets, Way::ByQueue).await);
            Ok(())
        })?;
    }
}

#[test]
fn what_is_followed_never_lies_in_its_queue() {
    on_virtual_time(async {
        let mut harness = harness();
        clerk(&mut harness, Way::InUnit);
        harness.send(Sheet { adds: vec![add(2), add(3)] }).await;
        harness.run_until_idle().await;
        assert_eq!(harness.data().totals, BTreeMap::from([("rain".to_owned(), 5)]));
        assert!(harness.store().queued("bookkeeper").is_empty(), "nobody reads that queue here");
    });
}

#[test]
fn a_line_that_cannot_be_followed_goes_through_its_queue_and_its_sheet_stands() {
    on_virtual_time(async {
        let mut harness = harness();
        clerk(&mut harness, Way::InUnit);
        let sheet = Sheet { adds: vec![add(2), with_conduct(4, Conduct::FailsAlways)] };
        let id = harness.send(sheet).await;
        harness.run_until_idle().await;
        let ledger = harness.data();
        assert_eq!(ledger.applied, BTreeMap::from([(id, 1)]), "the sheet is done, and done once");
        assert_eq!(harness.store().queued("bookkeeper").len(), 2, "both lines wait for the bookkeeper");
    });
}
