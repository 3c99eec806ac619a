//! Laws of the list of consumers: whatever is on it is subscribed and runs, and what is inline is also handled inline.

use std::sync::Arc;
use std::time::Duration;

use orderwright_bus as bus;
use serde::{Deserialize, Serialize};

use bus::harness::{Harness, MemoryUnit};
use bus::{Chain, Clock, Fault, Message, PauseBoard, Registry, SystemClock, Topology, Unit, Work};

use crate::ledger::{Add, Added, AskingBookkeeper, Bookkeeper, Ledger, add};

type LedgerUnit = MemoryUnit<Ledger>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(kind = "opened")]
struct Opened(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(kind = "closed")]
struct Closed {
    counter: String,
}

#[derive(Clone, Debug, PartialEq, Message)]
enum Account {
    Opened(Opened),
    Closed(Closed),
    #[message(kind = "audited")]
    Audited(u32),
}

/// Opens with a balance of 1, asks for two more, closes with none; an audit is refused.
async fn keep(unit: &mut LedgerUnit, work: &mut Work<Account>) -> Result<(), Fault> {
    match &work.message {
        Account::Opened(Opened(counter)) => {
            unit.data.totals.insert(counter.clone(), 1);
            unit.publish(vec![add(2).caused_by(work.envelope(), 0, work.now())]).await
        }
        Account::Closed(closed) => {
            unit.data.totals.remove(&closed.counter);
            Ok(())
        }
        Account::Audited(_) => Err(Fault::give_up("account.audit", "nothing to see here")),
    }
}

/// Notes how many messages came at once.
async fn count(unit: &mut LedgerUnit, batch: &mut [Work<Added>]) -> Result<(), Fault> {
    *unit.data.totals.entry("largest batch".into()).or_default() += i64::try_from(batch.len()).unwrap_or(0);
    Ok(())
}

fn list() -> Registry<LedgerUnit> {
    Registry::new()
        .handler("accounts", keep)
        .inline(|()| Bookkeeper)
        .batch_handler("counter", count)
        .keep_private(&["audited"])
}

#[tokio::test(start_paused = true)]
async fn whatever_is_listed_is_subscribed_and_handled() {
    let topology = list().topology();
    let queues: Vec<_> = topology.all_queues().iter().map(ToString::to_string).collect();
    assert_eq!(queues, ["accounts", "bookkeeper", "counter"]);
    assert_eq!(topology.kinds("accounts").collect::<Vec<_>>(), ["opened", "closed", "audited"]);
    assert!(topology.is_private("audited") && !topology.is_private("opened"));

    let mut harness = Harness::new(Topology::default());
    harness.host(&list(), &());
    harness.send(Opened("tea".into())).await;
    harness.send(Account::Opened(Opened("rain".into()))).await;
    harness.send(Closed { counter: "tea".into() }).await;
    harness.send(Account::Audited(7)).await;
    harness.advance(Duration::from_secs(600)).await;
    let totals = harness.data().totals;
    assert_eq!((totals.get("tea"), totals["rain"], totals["largest batch"]), (None, 5, 2));
    assert_eq!(harness.dead_letters().len(), 1, "only the audit was refused");
}

#[test]
fn what_is_inline_is_taken_back_and_the_rest_is_not() {
    async fn followed(chain: Arc<Chain<LedgerUnit>>) -> i64 {
        use bus::Store;
        let store = bus::harness::MemoryStore::<Ledger>::new(list().topology());
        let mut unit = store.begin().await.expect("no mishap is planned");
        let added = Added { counter: "rain".into(), by: 3 };
        let envelopes = [crate::ledger::numbered(1, &add(3)), crate::ledger::numbered(2, &add(4))];
        let not_inline = added.caused_by(&envelopes[0], 9, SystemClock.now());
        unit.publish([&envelopes[..], &[not_inline]].concat()).await.expect("no mishap is planned");
        chain.follow(unit.as_mut()).await.expect("both can be handled");
        unit.data.totals.get("rain").copied().unwrap_or(0)
    }
    crate::ledger::on_virtual_time(async {
        assert_eq!(followed(list().chain(&(), Arc::new(SystemClock), &PauseBoard::default())).await, 7);
        assert_eq!(
            followed(list().by_queue().chain(&(), Arc::new(SystemClock), &PauseBoard::default())).await,
            0
        );
    });
}

#[test]
#[should_panic(expected = "two consumers read the queue 'bookkeeper'")]
fn a_queue_has_one_consumer() {
    let _ = list().effects(|()| AskingBookkeeper::default());
}

#[test]
fn a_list_for_a_part_works_for_the_whole() {
    let whole: Registry<LedgerUnit, (u8, ())> = list().within(|(_, part)| part);
    assert_eq!(whole.topology().all_queues(), list().topology().all_queues());
}

#[test]
fn an_enum_of_messages_is_written_and_read_as_the_message_in_it() {
    let all = [
        (Account::Opened(Opened("tea".into())), "opened", "\"tea\""),
        (Account::Closed(Closed { counter: "tea".into() }), "closed", r#"{"counter":"tea"}"#),
        (Account::Audited(7), "audited", "7"),
    ];
    for (message, kind, body) in all {
        assert_eq!((message.kind(), &message.encode()[..]), (kind, body.as_bytes()));
        assert_eq!(Account::decode(kind, body.as_bytes()).expect("it is one of ours"), message);
    }
    assert_eq!(Account::KINDS, [Opened::KIND, Closed::KIND, "audited"]);
    assert!(Account::decode("added", b"{}").is_err() && Account::decode("closed", b"7").is_err());
    assert_eq!(Add::KINDS, ["add"]);
}
