//! Laws of messages in a store: outbox, inbox, timers, parking and dead letters commit with everything else, or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus::limits::BATCH_MAX;
use bus::{
    Admission, Archived, DEAD_LETTER_NOTICE, DeadLetter, DeadLetterFilter, DeadLetterGroups, Delivery,
    Disposition, Envelope, GROUPED_MAX, Origin, Receipt, Routing, Shelf, Signed, Timer, Verdict, addressed,
    put_back, unmarked, without_mark,
};
use uuid::Uuid;

use crate::BusHome;
use crate::stage::*;

/// The route of a message, from the unit that published it to the one that was done with it.
pub async fn a_message_reaches_every_queue_that_wants_it_and_is_gone_when_it_is_settled(
    home: &mut impl BusHome,
) {
    let bus = home.bus(Routing::Store).await;
    let mut q = bus.transport.subscribe("q").await.unwrap();
    let mut other = bus.transport.subscribe("other").await.unwrap();
    publish(&bus, vec![message(1), of_kind("B", 2), of_kind("unwanted", 3)]).await.unwrap();
    let received = receive(q.as_mut(), 2).await;
    assert_eq!(envelopes(&received), [message(1), of_kind("B", 2)]);
    assert_eq!(envelopes(&receive(other.as_mut(), 1).await), [of_kind("B", 2)]);
    finish(&bus, q.as_mut(), &received, Disposition::Done).await;
    drop(q);
    let mut again = bus.transport.subscribe("q").await.unwrap();
    nothing_comes(again.as_mut()).await;
}

/// A unit that is dropped has sent nothing.
pub async fn what_is_not_committed_is_not_received(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    let mut dropped = bus.unit().await;
    dropped.publish(vec![message(1)]).await.unwrap();
    drop(dropped);
    publish(&bus, vec![message(2)]).await.unwrap();
    assert_eq!(envelopes(&receive(feed.as_mut(), 1).await), [message(2)]);
}

/// With a broker in between a unit may do the same, and others still hear of it.
pub async fn what_its_own_unit_reclaims_leaves_for_the_broker_as_news(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Outbox).await;
    let mut unit = bus.unit().await;
    unit.publish(vec![message(1), of_kind("N", 2), of_kind("B", 3)]).await.unwrap();
    let own = unit.reclaim(&["q".into()]).await.unwrap();
    assert_eq!(envelopes(&own), [message(1), of_kind("B", 3)]);
    assert!(unit.reclaim(&["q".into()]).await.unwrap().is_empty(), "they are given back once");
    unit.settle(settlements(&own, &Disposition::Done)).await.unwrap();
    unit.commit().await.unwrap();
    let left = bus.outbox.lease(Uuid::from_u128(1), NOW, later(30), 9).await.unwrap();
    let mut left: Vec<Envelope> = left.into_iter().map(|row| row.envelope).collect();
    left.sort_by_key(|envelope| envelope.id);
    assert_eq!(
        left.iter().map(without_mark).collect::<Vec<_>>(),
        [message(1), of_kind("N", 2), of_kind("B", 3)]
    );
    let marks: Vec<Option<&str>> = left.iter().map(|envelope| unmarked(&envelope.kind).0).collect();
    assert_eq!(marks, [Some("q"), None, Some("q")]);
}

/// Who comes second learns that it is too late.
pub async fn a_delivery_is_settled_once(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, vec![message(1), message(2)]).await.unwrap();
    let received = receive(feed.as_mut(), 2).await;
    settle(&bus, &received[..1], Disposition::Done).await.unwrap();
    let stale = settle(&bus, &received, Disposition::Done).await.unwrap_err();
    assert_eq!(stale.verdict, Verdict::Stale);
    settle(&bus, &received[1..], Disposition::Done).await.unwrap();
}

/// A unit may handle what it published; only what is not done with it then is stored.
pub async fn what_its_own_unit_reclaims_never_lies_in_its_queue(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    let mut other = bus.transport.subscribe("other").await.unwrap();
    let mut unit = bus.unit().await;
    unit.publish(vec![message(1), message(2), message(3), of_kind("B", 4)]).await.unwrap();
    let own = unit.reclaim(&["q".into()]).await.unwrap();
    assert_eq!(envelopes(&own), [message(1), message(2), message(3), of_kind("B", 4)]);
    assert!(unit.reclaim(&["q".into()]).await.unwrap().is_empty(), "they are given back once");
    unit.settle(settlements(&own[..1], &Disposition::Done)).await.unwrap();
    unit.settle(settlements(&own[1..2], &Disposition::Park { until: later(60) })).await.unwrap();
    let dead = Disposition::DeadLetter { reason: "nothing there".to_owned() };
    unit.settle(settlements(&own[2..3], &dead)).await.unwrap();
    let again = Disposition::Redeliver { due_at: later(5), reason: "not now".to_owned() };
    unit.settle(settlements(&own[3..], &again)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(envelopes(&receive(other.as_mut(), 1).await), [of_kind("B", 4)]);
    nothing_comes(feed.as_mut()).await;
    let mut unit = bus.unit().await;
    assert_eq!(unit.requeue_due(later(60), 9).await.unwrap(), 2);
    unit.commit().await.unwrap();
    let mut kept = receive(feed.as_mut(), 2).await;
    kept.sort_by_key(|delivery| delivery.envelope.id);
    assert_eq!(envelopes(&kept), [message(2), Envelope { attempt: 1, ..of_kind("B", 4) }]);
    assert_eq!(bus.dead_letters.count_dead_letters(&DeadLetterFilter::default()).await.unwrap(), 1);
}

/// What was decided about a message that was somebody else's is not stored either.
pub async fn nothing_of_a_unit_is_stored_if_its_delivery_was_lost(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    let mut other = bus.transport.subscribe("other").await.unwrap();
    publish(&bus, vec![message(1)]).await.unwrap();
    let received = receive(feed.as_mut(), 1).await;
    settle(&bus, &received, Disposition::Done).await.unwrap();
    let mut late = bus.unit().await;
    let stored = async {
        late.publish(vec![of_kind("L", 2)]).await?;
        late.set_timers(vec![timer(1, "expiry", 1)]).await?;
        late.settle(settlements(&received, &Disposition::Done)).await?;
        late.commit().await
    };
    assert_eq!(stored.await.unwrap_err().verdict, Verdict::Stale);
    nothing_comes(other.as_mut()).await;
    assert_eq!(bus.unit().await.lease_due_timers(later(9), 9).await.unwrap(), []);
}

/// A retry waits for its time and counts; what came too early waits for its saga and does not.
pub async fn delayed_messages_come_again_when_due_and_parked_ones_when_named(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, vec![message(1), message(2)]).await.unwrap();
    let mut received = receive(feed.as_mut(), 2).await;
    received.sort_by_key(|delivery| delivery.envelope.id);
    let redeliver = Disposition::Redeliver { due_at: later(5), reason: "not now".to_owned() };
    finish(&bus, feed.as_mut(), &received[..1], redeliver).await;
    finish(&bus, feed.as_mut(), &received[1..], Disposition::Park { until: later(60) }).await;
    nothing_comes(feed.as_mut()).await;
    let mut unit = bus.unit().await;
    assert_eq!(unit.requeue_due(later(4), 9).await.unwrap(), 0);
    assert_eq!(unit.requeue_due(later(5), 9).await.unwrap(), 1);
    let named = [message(1), message(2), message(9)].map(|message| message.correlation_id);
    assert_eq!(unit.unpark(&named, NOW).await.unwrap(), 1);
    unit.commit().await.unwrap();
    let again = envelopes(&receive(feed.as_mut(), 2).await);
    assert_eq!(again, [Envelope { attempt: 1, ..message(1) }, message(2)]);
}

type Fate = fn(i64) -> Disposition;

/// What waited because nothing could be tried has failed no oftener than before.
pub async fn a_postponed_message_comes_again_when_due_and_is_not_counted(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, vec![message(1)]).await.unwrap();
    let fates: [(Fate, u32); 4] = [(postponed, 0), (failed, 1), (postponed, 1), (failed, 2)];
    for ((fate, attempt), at) in fates.into_iter().zip(1..) {
        let received = receive(feed.as_mut(), 1).await;
        finish(&bus, feed.as_mut(), &received, fate(at)).await;
        let mut unit = bus.unit().await;
        assert_eq!(unit.requeue_due(later(at - 1), 9).await.unwrap(), 0);
        assert_eq!(unit.unpark(&[message(1).correlation_id], NOW).await.unwrap(), 0, "it is not parked");
        assert_eq!(unit.requeue_due(later(at), 9).await.unwrap(), 1);
        unit.commit().await.unwrap();
        let again = receive(feed.as_mut(), 1).await;
        assert_eq!(envelopes(&again), [Envelope { attempt, ..message(1) }]);
        finish(&bus, feed.as_mut(), &again, postponed(at)).await;
        let mut unit = bus.unit().await;
        assert_eq!(unit.requeue_due(later(at), 9).await.unwrap(), 1);
        unit.commit().await.unwrap();
    }
}

fn postponed(until: i64) -> Disposition {
    Disposition::Postpone { due_at: later(until), reason: "the other side is away".to_owned() }
}

fn failed(until: i64) -> Disposition {
    Disposition::Redeliver { due_at: later(until), reason: "no answer".to_owned() }
}

/// Nothing waits for ever.
pub async fn a_parked_message_that_nobody_names_comes_again_at_its_deadline(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, (1..=3).map(message).collect()).await.unwrap();
    let received = receive(feed.as_mut(), 3).await;
    finish(&bus, feed.as_mut(), &received, Disposition::Park { until: later(60) }).await;
    for (at, max, expected) in [(59, 9, 0), (60, 2, 2), (60, 9, 1)] {
        let mut unit = bus.unit().await;
        assert_eq!(unit.requeue_due(later(at), max).await.unwrap(), expected);
        unit.commit().await.unwrap();
    }
    assert_eq!(ids(&receive(feed.as_mut(), 3).await).len(), 3);
}

/// A person finds what was set aside, and can put it back.
pub async fn a_dead_letter_is_listed_found_and_redriven_with_a_fresh_count(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, vec![message(1), message(2)]).await.unwrap();
    let received = receive(feed.as_mut(), 2).await;
    let dead = Disposition::DeadLetter { reason: "nothing there".to_owned() };
    finish(&bus, feed.as_mut(), &received, dead).await;
    let letters = &bus.dead_letters;
    let all = letters.list_dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].envelope.attempt, &*all[0].queue, all[0].died_at), (1, "q", later(1)));
    let any = DeadLetterFilter::default;
    for (filter, count) in [
        (DeadLetterFilter { queue: Some("q".into()), ..any() }, 2),
        (DeadLetterFilter { queue: Some("other".into()), ..any() }, 0),
        (DeadLetterFilter { kind: Some("K".into()), ..any() }, 2),
        (DeadLetterFilter { reason_contains: Some("thing".into()), ..any() }, 2),
        (DeadLetterFilter { reason_contains: Some("%".into()), ..any() }, 0),
        (DeadLetterFilter { message_id: Some(all[1].envelope.id), ..any() }, 1),
        (DeadLetterFilter { after: Some(all[0].position), ..any() }, 1),
    ] {
        assert_eq!(letters.list_dead_letters(&filter, 10).await.unwrap().len(), count, "{filter:?}");
        assert_eq!(letters.count_dead_letters(&filter).await.unwrap(), count as u64, "{filter:?}");
    }
    let positions: Vec<i64> = all.iter().map(|letter| letter.position).chain([999]).collect();
    let by = Signed { actor: "me", note: "mended", at: later(2) };
    assert_eq!(letters.redrive(&positions, &by).await.unwrap(), positions[..2]);
    assert!(letters.redrive(&positions, &by).await.unwrap().is_empty());
    let put_back = [message(1), message(2)].map(put_back);
    assert_eq!(envelopes(&receive(feed.as_mut(), 2).await), put_back);
}

/// What a person puts away is listed only if asked for, with who and why, and can be put back.
pub async fn an_archived_dead_letter_is_kept_apart_and_can_be_redriven(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, (1..=3).map(message).collect()).await.unwrap();
    let received = receive(feed.as_mut(), 3).await;
    finish(&bus, feed.as_mut(), &received, Disposition::DeadLetter { reason: "of no use".to_owned() }).await;
    let letters = &bus.dead_letters;
    let waiting = DeadLetterFilter::default();
    let archived = DeadLetterFilter { shelf: Shelf::Archived, ..DeadLetterFilter::default() };
    let all = letters.list_dead_letters(&waiting, 9).await.unwrap();
    let positions: Vec<i64> = all.iter().map(|letter| letter.position).collect();
    let by = Signed { actor: "eve", note: "an old 'test'", at: later(5) };
    assert_eq!(letters.archive(&[positions[0], 999_999, positions[1]], &by).await.unwrap(), positions[..2]);
    assert!(letters.archive(&positions[..2], &by).await.unwrap().is_empty(), "once is enough");
    let left = letters.list_dead_letters(&waiting, 9).await.unwrap();
    assert_eq!(left, all[2..], "{left:?}");
    assert_eq!(letters.count_dead_letters(&waiting).await.unwrap(), 1);
    assert_eq!(letters.group_dead_letters(&waiting, 9).await.unwrap().groups[0].count, 1);
    let kept = letters.list_dead_letters(&archived, 9).await.unwrap();
    let mark = Archived { at: later(5), by: "eve".to_owned(), note: "an old 'test'".to_owned() };
    let marked = all[..2].iter().map(|letter| DeadLetter { archived: Some(mark.clone()), ..letter.clone() });
    assert_eq!(kept, marked.collect::<Vec<_>>());
    assert_eq!(letters.count_dead_letters(&archived).await.unwrap(), 2);
    assert_eq!(letters.group_dead_letters(&archived, 9).await.unwrap().groups[0].count, 2);
    let one = DeadLetterFilter { message_id: Some(all[1].envelope.id), ..archived.clone() };
    assert_eq!(letters.list_dead_letters(&one, 9).await.unwrap(), kept[1..]);
    assert_eq!(letters.redrive(&positions[1..2], &by).await.unwrap(), positions[1..2]);
    assert_eq!(letters.count_dead_letters(&archived).await.unwrap(), 1);
    let again = put_back(all[1].envelope.clone());
    assert_eq!(envelopes(&receive(feed.as_mut(), 1).await), [again]);
    drop((feed, bus));
    let bus = home.bus(Routing::Store).await;
    assert_eq!(bus.dead_letters.list_dead_letters(&archived, 9).await.unwrap(), kept[..1], "it stays");
}

/// Errors that differ in ids, numbers, quoted texts and times have one cause; a person sees it once, and finds all of it.
pub async fn dead_letters_of_one_cause_are_a_group_of_their_own(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let letters = &bus.dead_letters;
    let any = DeadLetterFilter::default;
    let none = letters.group_dead_letters(&any(), 9).await.unwrap();
    assert_eq!(none, DeadLetterGroups { groups: Vec::new(), is_partial: false, has_more: false });
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, (1..=6).map(message).collect()).await.unwrap();
    let mut received = receive(feed.as_mut(), 6).await;
    received.sort_by_key(|delivery| delivery.envelope.id);
    let reasons = [
        "no order 'A' after 3 tries",
        "no parcel of 7",
        "no order 'B' after 12 tries",
        "no order \"c\" after 1 tries",
        "no parcel of 8",
        "unheard of",
    ];
    for (delivery, reason) in received.iter().zip(reasons) {
        let dead = Disposition::DeadLetter { reason: reason.to_owned() };
        finish(&bus, feed.as_mut(), std::slice::from_ref(delivery), dead).await;
    }
    let found = letters.group_dead_letters(&any(), 9).await.unwrap();
    assert!(!found.is_partial && !found.has_more);
    let told: Vec<(&str, u64)> = found.groups.iter().map(|it| (it.pattern.as_str(), it.count)).collect();
    assert_eq!(told, [("no order '…' after # tries", 3), ("no parcel of #", 2), ("unheard of", 1)]);
    for group in &found.groups {
        let of_group = DeadLetterFilter { group: Some(group.key), ..any() };
        let listed = letters.list_dead_letters(&of_group, 9).await.unwrap();
        assert_eq!(letters.count_dead_letters(&of_group).await.unwrap(), group.count);
        assert_eq!(listed.len() as u64, group.count);
        assert!(listed.iter().all(|letter| letter.group() == group.key), "{listed:?}");
        assert_eq!(listed.last().map(|letter| letter.position), Some(group.sample));
        assert_eq!(
            (&*group.queue, &*group.kind, group.first_died_at, group.last_died_at),
            ("q", "K", later(1), later(1))
        );
        let alone = letters.group_dead_letters(&of_group, 9).await.unwrap().groups;
        assert_eq!(alone, std::slice::from_ref(group));
    }
    let first = letters.group_dead_letters(&any(), 2).await.unwrap();
    assert_eq!((first.groups.as_slice(), first.has_more), (&found.groups[..2], true));
    let parcels = DeadLetterFilter { reason_contains: Some("parcel".into()), ..any() };
    assert_eq!(letters.group_dead_letters(&parcels, 9).await.unwrap().groups, found.groups[1..2]);
}

/// What is read is bounded, and it is told that there is more.
pub async fn of_many_dead_letters_the_latest_are_grouped_and_counts_are_lower_bounds(
    home: &mut impl BusHome,
) {
    const MORE: usize = 3;
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    let all = u128::try_from(GROUPED_MAX + MORE).unwrap();
    publish(&bus, (1..=all).map(message).collect()).await.unwrap();
    let received = receive(feed.as_mut(), GROUPED_MAX + MORE).await;
    let (old, new) = received.split_at(MORE);
    finish(&bus, feed.as_mut(), old, Disposition::DeadLetter { reason: "old".to_owned() }).await;
    let exactly = bus.dead_letters.group_dead_letters(&DeadLetterFilter::default(), 9).await.unwrap();
    assert_eq!((exactly.groups[0].count, exactly.is_partial), (MORE as u64, false));
    for batch in new.chunks(BATCH_MAX) {
        finish(&bus, feed.as_mut(), batch, Disposition::DeadLetter { reason: "new".to_owned() }).await;
    }
    let found = bus.dead_letters.group_dead_letters(&DeadLetterFilter::default(), 9).await.unwrap();
    let told: Vec<(&str, u64)> = found.groups.iter().map(|it| (it.pattern.as_str(), it.count)).collect();
    assert_eq!((told, found.is_partial), (vec![("new", GROUPED_MAX as u64)], true));
}

/// Earliest first; a timer set again is another one; a cancelled one is none.
pub async fn timers_come_due_in_order_once_and_the_latest_setting_counts(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut setting = bus.unit().await;
    let timers = vec![
        timer(1, "expiry", 30),
        timer(2, "expiry", 10),
        timer(3, "expiry", 20),
        timer(1, "reminder", 40),
    ];
    setting.set_timers(timers).await.unwrap();
    setting.set_timers(vec![Timer { generation: 2, ..timer(1, "expiry", 5) }]).await.unwrap();
    setting.cancel_timers(vec![timer(3, "expiry", 0).key, timer(9, "expiry", 0).key]).await.unwrap();
    setting.commit().await.unwrap();
    let mut taking = bus.unit().await;
    let due = taking.lease_due_timers(later(39), 1).await.unwrap();
    assert_eq!((&due[0].key, due[0].generation), (&timer(1, "expiry", 0).key, 2));
    assert_eq!(taking.lease_due_timers(later(39), 9).await.unwrap(), [timer(2, "expiry", 10)]);
    assert_eq!(taking.lease_due_timers(later(39), 9).await.unwrap(), []);
    taking.commit().await.unwrap();
    let mut dropped = bus.unit().await;
    assert_eq!(dropped.lease_due_timers(later(40), 9).await.unwrap(), [timer(1, "reminder", 40)]);
    drop(dropped);
    // A server may still be undoing the dropped unit, and passes over what that has locked.
    let again = async {
        loop {
            let due = bus.unit().await.lease_due_timers(later(40), 9).await.unwrap();
            if !due.is_empty() {
                return due;
            }
        }
    };
    let due = tokio::time::timeout(Duration::from_secs(30), again).await.expect("it comes due again");
    assert_eq!(due, [timer(1, "reminder", 40)]);
}

/// The inbox: the mark commits with everything else.
pub async fn an_id_from_outside_is_new_once_per_source(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let ids = ["b".to_owned(), "a".to_owned(), "b".to_owned()];
    let mut dropped = bus.unit().await;
    let admitted = dropped.admit("bank", &ids, NOW).await.unwrap();
    assert_eq!(admitted, [Admission::New, Admission::New, Admission::Repeat]);
    drop(dropped);
    let mut first = bus.unit().await;
    assert_eq!(first.admit("bank", &ids[..1], NOW).await.unwrap(), [Admission::New]);
    first.commit().await.unwrap();
    let mut second = bus.unit().await;
    let admitted = second.admit("bank", &ids[..2], NOW).await.unwrap();
    assert_eq!(admitted, [Admission::Repeat, Admission::New]);
    assert_eq!(second.admit("post", &ids[..1], NOW).await.unwrap(), [Admission::New]);
}

/// The outbox of a store with a broker.
pub async fn a_relay_leases_what_nobody_holds_and_removes_only_its_own(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Outbox).await;
    let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert_eq!(bus.outbox.lease(mine, NOW, later(30), 2).await.unwrap(), []);
    publish(&bus, vec![message(1), message(2), message(3)]).await.unwrap();
    let first = bus.outbox.lease(mine, NOW, later(30), 2).await.unwrap();
    assert_eq!(first.iter().map(|row| row.envelope.clone()).collect::<Vec<_>>(), [message(1), message(2)]);
    let second = bus.outbox.lease(other, NOW, later(30), 9).await.unwrap();
    assert_eq!(second.len(), 1);
    let positions: Vec<i64> = first.iter().chain(&second).map(|row| row.position).collect();
    assert_eq!(bus.outbox.remove(mine, &positions).await.unwrap(), 2);
    assert_eq!(bus.outbox.lease(mine, later(29), later(60), 9).await.unwrap(), []);
    assert_eq!(bus.outbox.lease(mine, later(30), later(60), 9).await.unwrap(), second);
    assert_eq!(bus.outbox.remove(other, &positions).await.unwrap(), 0);
}

/// However a store keeps news, what a relay has not removed is there for the next, and what it has removed bit by bit is gone.
pub async fn news_that_was_sent_in_part_comes_again(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Outbox).await;
    let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    publish(&bus, (1..=30).map(|number| of_kind("N", number)).collect()).await.unwrap();
    let first = bus.outbox.lease(mine, NOW, later(30), 9).await.unwrap();
    let sent: Vec<i64> = first.iter().take(4).map(|row| row.position).collect();
    bus.outbox.remove(mine, &sent).await.unwrap();
    let (mut again, mut positions) = (BTreeSet::new(), Vec::new());
    loop {
        let rows = bus.outbox.lease(other, later(31), later(60), 9).await.unwrap();
        if rows.is_empty() {
            break;
        }
        positions.extend(rows.iter().map(|row| row.position));
        again.extend(rows.into_iter().map(|row| row.envelope.id));
    }
    again.extend(first.iter().take(4).map(|row| row.envelope.id));
    assert_eq!(again, (1..=30).map(|number| of_kind("N", number).id).collect());
    let (some, rest) = positions.split_at(positions.len() / 3);
    bus.outbox.remove(other, some).await.unwrap();
    bus.outbox.remove(other, rest).await.unwrap();
    assert_eq!(bus.outbox.lease(mine, later(99), later(120), 99).await.unwrap(), []);
}

/// With a broker, the news of a dead letter commits with it, for whoever listens there.
pub async fn what_is_set_aside_is_told_of_by_the_same_commit(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Outbox).await;
    let receipt = Receipt { queue: Arc::from("q"), origin: Origin::Broker(7) };
    let delivery = Delivery { envelope: Arc::new(message(1)), receipt };
    let dead = Disposition::DeadLetter { reason: "nothing there".to_owned() };
    let mut dropped = bus.unit().await;
    dropped.settle(settlements(std::slice::from_ref(&delivery), &dead)).await.unwrap();
    drop(dropped);
    settle(&bus, std::slice::from_ref(&delivery), dead).await.unwrap();
    let kept = bus.dead_letters.list_dead_letters(&DeadLetterFilter::default(), 9).await.unwrap();
    let told = bus.outbox.lease(Uuid::from_u128(1), NOW, later(30), 9).await.unwrap();
    let told: Vec<_> = told.iter().map(|row| DeadLetter::told_by(&row.envelope).unwrap()).collect();
    let kept: Vec<_> = kept.into_iter().map(|kept| DeadLetter { position: 0, ..kept }).collect();
    assert_eq!((told.len(), told), (1, kept));
}

/// With a broker, what comes again goes to the queue where it failed, was early, or died, and to no other listener of its kind.
pub async fn what_comes_again_leaves_for_its_own_queue_alone(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Outbox).await;
    let delivery = |number| {
        let receipt = Receipt { queue: Arc::from("other"), origin: Origin::Broker(7) };
        Delivery { envelope: Arc::new(of_kind("B", number)), receipt }
    };
    let failed = Disposition::Redeliver { due_at: later(5), reason: "not now".to_owned() };
    let dead = Disposition::DeadLetter { reason: "nothing there".to_owned() };
    settle(&bus, &[delivery(1)], failed).await.unwrap();
    settle(&bus, &[delivery(2)], Disposition::Park { until: later(60) }).await.unwrap();
    settle(&bus, &[delivery(3)], dead).await.unwrap();
    let mut unit = bus.unit().await;
    assert_eq!(unit.requeue_due(later(5), 9).await.unwrap(), 1);
    assert_eq!(unit.unpark(&[of_kind("B", 2).correlation_id], later(5)).await.unwrap(), 1);
    unit.commit().await.unwrap();
    let letters = bus.dead_letters.list_dead_letters(&DeadLetterFilter::default(), 9).await.unwrap();
    let by = Signed { actor: "ada", note: "mended", at: later(6) };
    bus.dead_letters.redrive(&[letters[0].position], &by).await.unwrap();
    let left = bus.outbox.lease(Uuid::from_u128(1), NOW, later(30), 9).await.unwrap();
    let notice = |envelope: &Envelope| &*envelope.kind == DEAD_LETTER_NOTICE;
    let mut left: Vec<_> = left.into_iter().map(|row| row.envelope).filter(|it| !notice(it)).collect();
    left.sort_by_key(|envelope| envelope.id);
    let kind: Arc<str> = Arc::from(addressed("other", "B"));
    let again = |number, attempt| Envelope { kind: Arc::clone(&kind), attempt, ..of_kind("B", number) };
    assert_eq!(left, [again(1, 1), again(2, 0), again(3, 1)]);
}

/// In the unit that frees it, what was early is handled like anything else, and no other listener hears of it again.
pub async fn what_is_freed_and_taken_back_leaves_no_news(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Outbox).await;
    let receipt = Receipt { queue: Arc::from("other"), origin: Origin::Broker(7) };
    let early = Delivery { envelope: Arc::new(of_kind("B", 1)), receipt };
    settle(&bus, &[early], Disposition::Park { until: later(60) }).await.unwrap();
    let mut unit = bus.unit().await;
    unit.unpark(&[of_kind("B", 1).correlation_id], later(5)).await.unwrap();
    assert!(unit.reclaim(&["q".into()]).await.unwrap().is_empty(), "it is not for that queue");
    let own = unit.reclaim(&["other".into()]).await.unwrap();
    assert_eq!(envelopes(&own), [of_kind("B", 1)]);
    unit.settle(settlements(&own, &Disposition::Done)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(bus.outbox.lease(Uuid::from_u128(1), NOW, later(30), 9).await.unwrap(), []);
}

/// A process that ends leaves everything that it had not settled, of every kind.
pub async fn what_a_process_kept_is_there_for_the_next(home: &mut impl BusHome) {
    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    publish(&bus, (1..=6).map(message).collect()).await.unwrap();
    let received = receive(feed.as_mut(), 6).await;
    let delayed = Disposition::Redeliver { due_at: later(5), reason: "not now".to_owned() };
    let dead = Disposition::DeadLetter { reason: "nothing there".to_owned() };
    finish(&bus, feed.as_mut(), &received[..1], delayed).await;
    finish(&bus, feed.as_mut(), &received[1..2], Disposition::Park { until: later(5) }).await;
    finish(&bus, feed.as_mut(), &received[2..3], dead).await;
    let mut setting = bus.unit().await;
    setting.set_timers(vec![timer(1, "expiry", 3)]).await.unwrap();
    setting.admit("bank", &["a".to_owned()], NOW).await.unwrap();
    setting.commit().await.unwrap();
    drop((feed, bus));

    let bus = home.bus(Routing::Store).await;
    let mut feed = bus.transport.subscribe("q").await.unwrap();
    let left = receive(feed.as_mut(), 3).await;
    assert_eq!(ids(&left), ids(&received[3..]));
    assert_eq!(bus.dead_letters.count_dead_letters(&DeadLetterFilter::default()).await.unwrap(), 1);
    let mut unit = bus.unit().await;
    assert_eq!(unit.requeue_due(later(5), 9).await.unwrap(), 2);
    assert_eq!(unit.lease_due_timers(later(5), 9).await.unwrap(), [timer(1, "expiry", 3)]);
    assert_eq!(unit.admit("bank", &["a".to_owned()], NOW).await.unwrap(), [Admission::Repeat]);
    unit.commit().await.unwrap();
    assert_eq!(ids(&receive(feed.as_mut(), 2).await), ids(&received[..2]));
}
