//! Laws of transports: at least once, as it was sent, to each queue that wants it, and never again once it is acknowledged.

use std::collections::BTreeSet;

use bus::{Envelope, Verdict, addressed};

use crate::CarrierHome;
use crate::stage::*;

/// Messages arrive whole, in each queue whose kinds they are, and nowhere else.
pub async fn what_is_sent_is_received_as_it_was_by_each_queue_that_wants_it(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let (mut q, mut other) =
        (transport.subscribe("q").await.unwrap(), transport.subscribe("other").await.unwrap());
    let sent = [message(1), of_kind("L", 2), of_kind("B", 3)];
    transport.send(&sent).await.unwrap();
    assert_eq!(envelopes(&receive(q.as_mut(), 2).await), [sent[0].clone(), sent[2].clone()]);
    assert_eq!(envelopes(&receive(other.as_mut(), 2).await), sent[1..]);
    nothing_comes(q.as_mut()).await;
    nothing_comes(other.as_mut()).await;
}

/// What comes again is for one queue; the others that want its kind have had it.
pub async fn what_is_for_one_queue_alone_reaches_no_other(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let (mut q, mut other) =
        (transport.subscribe("q").await.unwrap(), transport.subscribe("other").await.unwrap());
    let again = Envelope { attempt: 2, ..of_kind("B", 1) };
    transport.send(&[Envelope { kind: addressed("other", "B").into(), ..again.clone() }]).await.unwrap();
    assert_eq!(envelopes(&receive(other.as_mut(), 1).await), [again]);
    transport.send(&[message(2)]).await.unwrap();
    assert_eq!(envelopes(&receive(q.as_mut(), 1).await), [message(2)]);
}

/// Nobody waits for messages that can never come.
pub async fn a_queue_that_nobody_knows_is_refused(home: &mut impl CarrierHome) {
    let refused = home.connect().await.subscribe("elsewhere").await.err().unwrap();
    assert_eq!(refused.verdict, Verdict::GiveUp, "{refused}");
}

/// A consumer that goes takes nothing along but what it has acknowledged.
pub async fn what_a_feed_held_comes_again_when_it_goes(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let mut feed = transport.subscribe("q").await.unwrap();
    let sent: Vec<Envelope> = (1..=5).map(message).collect();
    transport.send(&sent).await.unwrap();
    let received = receive(feed.as_mut(), 3).await;
    feed.acknowledge(&receipts(&received[..1])).await.unwrap();
    drop(feed);
    let mut again = transport.subscribe("q").await.unwrap();
    let left: BTreeSet<_> = sent.iter().map(|it| it.id).filter(|id| *id != received[0].envelope.id).collect();
    assert_eq!(ids(&receive(again.as_mut(), 4).await), left);
}

/// Neither on this connection nor on the next.
pub async fn what_is_acknowledged_never_comes_again(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let mut feed = transport.subscribe("q").await.unwrap();
    transport.send(&[message(1), message(2)]).await.unwrap();
    let received = receive(feed.as_mut(), 2).await;
    feed.acknowledge(&receipts(&received)).await.unwrap();
    nothing_comes(feed.as_mut()).await;
    drop((feed, transport));
    let transport = home.connect().await;
    let mut feed = transport.subscribe("q").await.unwrap();
    nothing_comes(feed.as_mut()).await;
    transport.send(&[message(3)]).await.unwrap();
    assert_eq!(envelopes(&receive(feed.as_mut(), 1).await), [message(3)]);
}

/// Each delivery is in one pair of hands.
pub async fn two_feeds_share_a_queue_without_overlap(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let (mut one, mut two) =
        (transport.subscribe("q").await.unwrap(), transport.subscribe("q").await.unwrap());
    let sent: Vec<Envelope> = (1..=200).map(message).collect();
    transport.send(&sent).await.unwrap();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    while left.len() + right.len() < sent.len() {
        tokio::select! {
            received = one.receive(7) => {
                let received = received.unwrap();
                one.acknowledge(&receipts(&received)).await.unwrap();
                left.extend(received);
            }
            received = two.receive(7) => {
                let received = received.unwrap();
                two.acknowledge(&receipts(&received)).await.unwrap();
                right.extend(received);
            }
            () = tokio::time::sleep(crate::SOON) => panic!("{} and {} came", left.len(), right.len()),
        }
    }
    assert!(ids(&left).is_disjoint(&ids(&right)));
    assert_eq!(ids(&left).len() + ids(&right).len(), sent.len());
}

/// A consumer looks up from its queue whenever it likes.
pub async fn a_wait_that_is_given_up_loses_nothing(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let mut feed = transport.subscribe("q").await.unwrap();
    let sent: Vec<Envelope> = (1..=20).map(message).collect();
    let mut received = Vec::new();
    for envelope in &sent {
        transport.send(std::slice::from_ref(envelope)).await.unwrap();
        tokio::select! {
            biased;
            more = feed.receive(9) => received.extend(more.unwrap()),
            () = tokio::task::yield_now() => {}
        }
    }
    let there = ids(&received).len();
    received.extend(receive(feed.as_mut(), sent.len() - there).await);
    assert_eq!(ids(&received).len(), sent.len());
    assert_eq!(received.len(), sent.len(), "none came twice");
}

/// A queue keeps what it gets while no consumer is there.
pub async fn messages_that_nobody_reads_wait_for_who_comes_later(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let sent: Vec<Envelope> = (1..=300).map(message).collect();
    transport.send(&sent).await.unwrap();
    drop(transport);
    let mut feed = home.connect().await.subscribe("q").await.unwrap();
    assert_eq!(envelopes(&receive(feed.as_mut(), sent.len()).await), sent);
}

/// A batch is as large as its consumer wants it at most.
pub async fn no_more_is_received_than_was_asked_for(home: &mut impl CarrierHome) {
    let transport = home.connect().await;
    let mut feed = transport.subscribe("q").await.unwrap();
    transport.send(&(1..=20).map(message).collect::<Vec<_>>()).await.unwrap();
    for max in [1, 3, 2] {
        let received = feed.receive(max).await.unwrap();
        assert!((1..=max).contains(&received.len()), "{} of {max}", received.len());
    }
}
