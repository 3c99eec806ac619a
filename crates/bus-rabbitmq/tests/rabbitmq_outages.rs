//! The transport against a broker that dies, hangs and comes back: what was confirmed is never lost, what was not is an error,
//! and nobody has to be restarted.

mod rabbitmq_stage;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{
    Clock, Envelope, Fault, IdSource, MessageId, RandomIds, Receipt, SystemClock, Topology, Transport,
    Unsent, Verdict,
};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{SOON, consume, envelopes, ids, settings, soon, transport, transport_with};
use testkit::servers::rabbitmq::RabbitMq;

/// Messages of one sending.
const SLICE: usize = 50;

/// Sends slice after slice until one fails; returns what was confirmed, and the fault.
async fn send_until_fault(transport: &RabbitMqTransport, all: &[Envelope]) -> (BTreeSet<MessageId>, Fault) {
    let mut confirmed = BTreeSet::new();
    for slice in all.chunks(SLICE) {
        match transport.send(slice).await {
            Ok(()) => confirmed.extend(ids(slice)),
            Err(unsent) => return (confirmed, unsent.fault),
        }
    }
    panic!("the broker confirmed everything before it was killed");
}

/// Sends again and again, as a relay does, until it is confirmed.
async fn send_in_the_end(transport: &RabbitMqTransport, envelopes: &[Envelope]) {
    let sending = async {
        while let Err(Unsent { fault, .. }) = transport.send(envelopes).await {
            assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
        }
    };
    soon("the confirm", sending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_outlives_a_broker_that_is_killed_and_what_was_not_is_an_error() {
    let mut node = RabbitMq::start().unwrap();
    let address = node.vhost().unwrap();
    let transport = transport(&address);
    let all = envelopes("K", 100_000);
    let (first, rest) = all.split_at(SLICE);
    transport.send(first).await.unwrap();
    let sending = tokio::spawn({
        let (transport, rest) = (transport.clone(), rest.to_vec());
        async move { send_until_fault(&transport, &rest).await }
    });
    // A consumer that holds some of it, acknowledged and not, when the broker goes.
    let mut feed = transport.subscribe("q").await.unwrap();
    let consumed = consume(feed.as_mut(), SLICE).await;
    let held = soon("a delivery", feed.receive(3)).await.unwrap();
    let mut node = tokio::task::spawn_blocking(move || {
        node.kill9();
        node
    })
    .await
    .unwrap();
    let (mut confirmed, fault) = sending.await.unwrap();
    assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
    confirmed.extend(ids(first));
    // What was held is no longer ours to acknowledge.
    let receipts: Vec<_> = held.iter().map(|delivery| delivery.receipt.clone()).collect();
    assert_eq!(feed.acknowledge(&receipts).await.unwrap_err().verdict, Verdict::Retry);
    node = tokio::task::spawn_blocking(move || node.restart().map(|()| node)).await.unwrap().unwrap();
    let unconfirmed: Vec<_> =
        all.iter().filter(|envelope| !confirmed.contains(&envelope.id)).take(SLICE).cloned().collect();
    send_in_the_end(&transport, &unconfirmed).await;
    confirmed.extend(ids(&unconfirmed));
    let mut seen = consumed;
    let consuming = async {
        while !confirmed.is_subset(&seen) {
            seen.extend(consume(feed.as_mut(), 1).await);
        }
    };
    soon("everything that was confirmed", consuming).await;
    assert!(held.iter().all(|delivery| seen.contains(&delivery.envelope.id)));
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_costs_no_more_than_the_limit() {
    let node = RabbitMq::start().unwrap();
    let address = node.vhost().unwrap();
    let limit = Duration::from_secs(1);
    let settings = RabbitMqSettings { connect_limit: limit, confirm_limit: limit, ..settings(&[&address]) };
    let (warm, cold) = (transport_with(&settings), transport_with(&settings));
    soon("the first connection", async { while warm.declare().await.is_err() {} }).await;
    let sent = envelopes("K", 3);
    node.freeze();
    let started = Instant::now();
    for transport in [&warm, &cold] {
        let fault = transport.send(&sent).await.unwrap_err().fault;
        assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
    }
    let taken = started.elapsed();
    node.thaw();
    assert!(taken < limit * 5, "{taken:?}");
    for transport in [&warm, &cold] {
        send_in_the_end(transport, &sent).await;
    }
    let mut feed = warm.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 3).await, ids(&sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_is_replaced_by_another_address() {
    let starting = || tokio::task::spawn_blocking(|| RabbitMq::start().unwrap());
    let (one, two) = tokio::join!(starting(), starting());
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    let addresses = [one.vhost().unwrap(), two.vhost().unwrap(), "amqp://127.0.0.1:1/test_0".to_owned()];
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let transport = transport_with(&settings(&addresses));
    let mut feed = transport.subscribe("q").await.unwrap();
    // Which of them is used first is chance; whichever it is, it is gone for one of these.
    let mut number = 0;
    for node in [&mut one, &mut two] {
        node.kill9();
        // The two nodes are no cluster, so a sending and the feed may have found different ones until both must use the other.
        let sent: Vec<_> = envelopes("K", number + 3).into_iter().skip(number as usize).collect();
        number += 3;
        send_in_the_end(&transport, &sent).await;
        assert_eq!(consume(feed.as_mut(), 3).await, ids(&sent));
        node.restart().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_while_in_use_is_tried_again_until_it_is_not() {
    let node = RabbitMq::start().unwrap();
    let transport = transport(&node.vhost().unwrap());
    let mut feed = transport.subscribe("q").await.unwrap();
    let all = envelopes("K", 6);
    let (before, after) = all.split_at(3);
    send_in_the_end(&transport, before).await;
    assert_eq!(consume(feed.as_mut(), 3).await, ids(before));
    let at_node = |act: fn(&RabbitMq) -> anyhow::Result<()>, node: RabbitMq| {
        tokio::task::spawn_blocking(move || act(&node).map(|()| node))
    };
    let node = at_node(RabbitMq::lock_out, node).await.unwrap().unwrap();
    let is_refused = |fault: &Fault| fault.to_string().contains("does not let us in");
    let sending =
        async { while !transport.send(after).await.is_err_and(|unsent| is_refused(&unsent.fault)) {} };
    soon("the refusal of a sending", sending).await;
    let receiving = async { while !feed.receive(10).await.is_err_and(|fault| is_refused(&fault)) {} };
    soon("the refusal of a feed", receiving).await;
    let node = at_node(RabbitMq::let_in, node).await.unwrap().unwrap();
    send_in_the_end(&transport, after).await;
    assert_eq!(consume(feed.as_mut(), 3).await, ids(after));
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_to_connect_outlives_whoever_waits_for_it_and_is_there_for_the_next() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("amqp://127.0.0.1:{}/test", silent.local_addr().unwrap().port());
    let transport = transport_with(&RabbitMqSettings { connect_limit: SOON, ..settings(&[&address]) });
    let impatience = Duration::from_millis(50);
    let (first, _) = tokio::join!(soon("the attempt", silent.accept()), async {
        for _ in 0..5 {
            assert!(tokio::time::timeout(impatience, transport.declare()).await.is_err());
        }
    });
    let another = tokio::time::timeout(impatience, silent.accept()).await;
    assert!(another.is_err(), "each who waits makes an attempt of his own");
    let (answered, _) =
        tokio::join!(soon("the end of the attempt", transport.declare()), async { drop(first) });
    let fault = answered.unwrap_err();
    assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
}

/// Queues of the kind that a service has, of which only some have much to do.
const QUEUES: [&str; 10] =
    ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "a queue where nothing happens"];

/// Reads a queue as an endpoint does, whatever happens to the broker.
async fn read(transport: RabbitMqTransport, queue: &'static str) {
    let mut feed = transport.subscribe(queue).await.unwrap();
    loop {
        if let Ok(deliveries) = feed.receive(5).await {
            let receipts: Vec<Receipt> = deliveries.into_iter().map(|delivery| delivery.receipt).collect();
            let _ = feed.acknowledge(&receipts).await;
        }
    }
}

/// How long RabbitMQ may take to write down which queues it has. Killed before that, it starts the last one again as one that was
/// never there: without a leader, and nobody can read it until the node is started once more. Not ours to mend.
const WRITTEN_DOWN: Duration = Duration::from_secs(3);

/// Which queues nobody reads, once the broker can be asked.
async fn unread(transport: &RabbitMqTransport) -> Vec<String> {
    match transport.queue_depths().await {
        Ok(depths) => {
            depths.into_iter().filter(|depth| depth.consumers == 0).map(|depth| depth.queue).collect()
        }
        Err(fault) => vec![fault.to_string()],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_queue_is_read_again_however_often_the_broker_is_killed() {
    let mut node = RabbitMq::start().unwrap();
    let address = node.vhost().unwrap();
    let topology =
        QUEUES.iter().fold(Topology::default(), |topology, queue| topology.subscribe(queue, &["K"]));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    let transport = RabbitMqTransport::new(&settings(&[&address]), topology, clock, &ids).unwrap();
    let readers: Vec<_> = QUEUES.iter().map(|queue| tokio::spawn(read(transport.clone(), queue))).collect();
    for round in 0..2 {
        let began_at = Instant::now();
        let mut seen = vec!["nobody has looked yet".to_owned()];
        let all_read = async {
            while !seen.is_empty() || began_at.elapsed() < WRITTEN_DOWN {
                seen = unread(&transport).await;
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(40), all_read).await.is_ok();
        assert!(in_time, "round {round}: nobody reads {seen:?}");
        let restarting = tokio::task::spawn_blocking(move || {
            node.kill9();
            node.restart().map(|()| node)
        });
        node = restarting.await.unwrap().unwrap();
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
}
