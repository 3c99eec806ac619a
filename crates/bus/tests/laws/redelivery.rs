//! What becomes of a message that is not done: it comes again later, waits for its turn, or waits for a person.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use orderwright_bus as bus;

use bus::harness::{Harness, MemoryStore, MemoryUnit, WaitCause};
use bus::{
    Clock, Consumer, CorrelationId, DeadLetterFilter, DeadLetters, EndpointPolicy, Envelope, Fault,
    LetterAct, Message, RetryPolicy, Signed, Store, Unit, Work,
};
use uuid::Uuid;

use crate::ledger::{Add, Added, AskingBookkeeper, Bookkeeper, Conduct, Ledger, add, harness, with_conduct};

const EVERYTHING: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_comes_again_after_growing_pauses_and_then_goes_to_the_dead_letters() {
    let mut harness = harness();
    let redelivery = RetryPolicy::exponential(3, Duration::from_secs(10), Duration::from_secs(60));
    harness
        .consume_with(Bookkeeper, EndpointPolicy { redelivery, batch_max: 8, ..EndpointPolicy::default() });
    let sent_at = harness.clock().now();
    let id = harness.send(with_conduct(1, Conduct::FailsAlways)).await;
    harness.run_until_idle().await;
    let waiting = harness.store().waiting();
    assert_eq!(waiting[0].cause, WaitCause::Failed("ledger.add failed: refused".into()));
    assert_eq!(waiting[0].envelope.attempt, 1);
    harness.advance(EVERYTHING).await;
    let [letter] = harness.dead_letters().try_into().expect("exactly one dead letter");
    assert_eq!((letter.envelope.id, letter.envelope.attempt), (id, 4), "the first attempt and three more");
    assert_eq!((&*letter.queue, letter.reason.as_str()), ("bookkeeper", "ledger.add failed: refused"));
    let took = letter.died_at.duration_since(sent_at).as_secs();
    assert!((35..=71).contains(&took), "pauses of 10, 20 and 40 s, each 50-100 %, but it took {took} s");
    assert_eq!(harness.data(), Ledger::default(), "nothing of it is left");
    assert!(harness.published::<Added>().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_newer_program_comes_again_for_ever_uncounted_and_holds_up_nobody() {
    let mut harness = harness();
    let policy =
        EndpointPolicy { redelivery: RetryPolicy::immediate(1), batch_max: 8, ..EndpointPolicy::default() };
    harness.consume_with(Bookkeeper, policy);
    harness.send(with_conduct(1, Conduct::NeedsNewer)).await;
    harness.send(add(2)).await;
    harness.advance(EVERYTHING).await;
    harness.run_until_idle().await;
    assert!(harness.dead_letters().is_empty());
    assert_eq!(harness.published::<Added>().len(), 1, "the other one was handled");
    let waiting = harness.store().waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].cause.clone(), waiting[0].envelope.attempt), (WaitCause::Early, 0));
}

#[tokio::test(start_paused = true)]
async fn a_redriven_dead_letter_has_all_its_chances_again_and_it_is_known_who_asked() {
    let mut harness = harness();
    let policy =
        EndpointPolicy { redelivery: RetryPolicy::immediate(1), batch_max: 8, ..EndpointPolicy::default() };
    harness.consume_with(Bookkeeper, policy);
    harness.send(with_conduct(1, Conduct::FailsAlways)).await;
    harness.advance(EVERYTHING).await;
    let position = harness.dead_letters()[0].position;
    let now = harness.clock().now();
    let by = Signed { actor: "ada", note: "mended", at: now };
    assert_eq!(harness.store().redrive(&[position, 99_999], &by).await.expect("no mishap"), [position]);
    let record = harness.store().letter_records().remove(0);
    assert_eq!((record.act, record.count, record.at), (LetterAct::Redrive, 1, now));
    assert_eq!((record.actor.as_str(), record.note.as_str()), ("ada", "mended"));
    assert_eq!(harness.store().queued("bookkeeper")[0].attempt, 1);
    harness.advance(EVERYTHING).await;
    let [letter] = harness.dead_letters().try_into().expect("it died again, once");
    assert_eq!(letter.envelope.attempt, 2, "one attempt and one more, counted afresh");
    assert!(letter.died_at >= now);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_listed_by_any_mixture_of_properties_and_in_pages() {
    let mut harness = harness();
    let policy =
        EndpointPolicy { redelivery: RetryPolicy::immediate(0), batch_max: 8, ..EndpointPolicy::default() };
    harness.consume_effects(AskingBookkeeper::default(), policy);
    for conduct in [Conduct::FailsAlways, Conduct::PanicsInPerform, Conduct::FailsAlways] {
        harness.send(with_conduct(1, conduct)).await;
    }
    harness.run_until_idle().await;
    let store = harness.store();
    let refused = DeadLetterFilter { reason_contains: Some("refused".into()), ..Default::default() };
    assert_eq!(store.count_dead_letters(&refused).await.expect("no mishap"), 2);
    let page = store.list_dead_letters(&refused, 1).await.expect("no mishap");
    let rest = DeadLetterFilter { after: Some(page[0].position), ..refused };
    assert_eq!(store.count_dead_letters(&rest).await.expect("no mishap"), 1);
    let elsewhere = DeadLetterFilter { queue: Some("elsewhere".into()), ..Default::default() };
    assert_eq!(store.count_dead_letters(&elsewhere).await.expect("no mishap"), 0);
}

/// Handles nothing before its instance is opened; "by" says what a message wants: 0 opens, 1 is early before that,
/// 2 asks for a person, 3 asks to come again in a minute.
struct Doorkeeper;

const PATIENCE: Duration = Duration::from_secs(90);

#[async_trait]
impl Consumer<MemoryUnit<Ledger>> for Doorkeeper {
    const QUEUE: &'static str = "bookkeeper";
    type Message = Add;

    async fn handle(&self, unit: &mut MemoryUnit<Ledger>, batch: &mut [Work<Add>]) -> Result<(), Fault> {
        for work in batch {
            let sent_at = work.envelope().sent_at;
            let (correlation_id, attempt) = (work.envelope().correlation_id, work.envelope().attempt);
            let door = correlation_id.to_string();
            match work.message.by {
                0 => {
                    unit.data.totals.insert(door, 0);
                    unit.unpark(&[correlation_id], sent_at).await?;
                }
                1 if !unit.data.totals.contains_key(&door) => work.park(deadline(sent_at)),
                2 => work.dead_letter("somebody should look at this"),
                3 if attempt < 2 => work.redeliver(sent_at, Duration::from_secs(60), "busy"),
                _ => *unit.data.totals.entry(door).or_default() += work.message.by,
            }
        }
        Ok(())
    }
}

fn deadline(sent_at: Timestamp) -> Timestamp {
    sent_at + PATIENCE
}

fn doors() -> (Harness<Ledger>, CorrelationId, CorrelationId) {
    let mut harness = harness();
    harness.consume(Doorkeeper);
    (harness, CorrelationId(Uuid::from_u128(1)), CorrelationId(Uuid::from_u128(2)))
}

#[tokio::test(start_paused = true)]
async fn a_parked_message_comes_when_its_own_correlation_is_unparked_and_no_other() {
    let (mut harness, one, other) = doors();
    harness.send_about(one, add(1)).await;
    harness.send_about(other, add(1)).await;
    harness.run_until_idle().await;
    assert_eq!(harness.store().waiting().len(), 2);
    assert!(harness.store().waiting().iter().all(|row| row.cause == WaitCause::Early));
    harness.send_about(one, add(0)).await;
    harness.run_until_idle().await;
    assert_eq!(harness.data().totals.get(&one.to_string()), Some(&1));
    let [left] = harness.store().waiting().try_into().expect("the other one still waits");
    assert_eq!((left.envelope.correlation_id, left.envelope.attempt), (other, 0), "parking is no failure");
}

#[tokio::test(start_paused = true)]
async fn a_parked_message_comes_by_itself_at_its_deadline_and_not_before() {
    let (mut harness, one, _) = doors();
    let id = harness.send_about(one, add(1)).await;
    harness.advance(PATIENCE - Duration::from_secs(1)).await;
    assert_eq!(harness.store().waiting()[0].envelope.id, id);
    let due_at = harness.store().waiting()[0].due_at;
    open_secretly(harness.store(), one).await;
    harness.advance(Duration::from_secs(1)).await;
    assert!(harness.store().waiting().is_empty());
    assert_eq!(harness.clock().now(), due_at);
    assert_eq!(harness.data().totals[&one.to_string()], 1);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_may_ask_for_a_person_or_for_later_itself() {
    let (mut harness, one, _) = doors();
    harness.send_about(one, add(2)).await;
    harness.send_about(one, add(3)).await;
    harness.run_until_idle().await;
    assert_eq!(harness.dead_letters()[0].reason, "somebody should look at this");
    assert_eq!(harness.store().waiting()[0].cause, WaitCause::Failed("busy".into()));
    harness.advance(Duration::from_secs(60)).await;
    assert_eq!(harness.data().totals[&one.to_string()], 3);
}

/// Opens a door behind the consumer's back, so that nobody unparks.
async fn open_secretly(store: &MemoryStore<Ledger>, door: CorrelationId) {
    let mut unit = store.begin().await.expect("no mishap is planned");
    unit.data.totals.insert(door.to_string(), 0);
    unit.commit().await.expect("no mishap is planned");
}

#[tokio::test(start_paused = true)]
async fn nothing_about_a_message_changes_on_its_way_through_redelivery_but_its_attempt() {
    let mut harness = harness();
    let mut envelope = crate::ledger::numbered(7, &with_conduct(1, Conduct::FailsAlways));
    envelope.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    harness.consume(Bookkeeper);
    harness.send_envelope(envelope.clone()).await;
    harness.advance(EVERYTHING).await;
    let letter = harness.dead_letters().remove(0);
    assert_eq!(Envelope { attempt: 0, ..letter.envelope }, envelope);
    assert_eq!(Add::decode(&envelope.kind, &envelope.body).expect("it is one of ours").by, 1);
}
