//! What a broker shares, loses and forgets, on a real one: two databases on one virtual host, bindings that are gone.

mod rabbitmq_stage;

use bus::{Transport, Verdict};
use lapin::types::FieldTable;
use rabbitmq_stage::{Eye, consume, envelopes, ids, node, soon, transport};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_host_belongs_to_one_database_and_another_is_refused_by_name() {
    let address = node().vhost().unwrap();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for worker in [transport(&address), transport(&address)] {
        worker.claim(one).await.unwrap();
    }
    let stranger = transport(&address);
    let fault = stranger.claim(other).await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::GiveUp, "{fault}");
    let text = fault.to_string();
    assert!(text.contains("belongs to another database") && text.contains(&other.to_string()), "{text}");
    assert!(text.contains(&one.to_string()), "the broker names the other: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_back_is_sent_again_as_soon_as_its_binding_is_there() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    let all = envelopes("K", 2);
    transport.send(&all[..1]).await.unwrap();
    let eye = Eye::on(&address).await;
    let unbinding = eye.channel.queue_unbind("q".into(), "q".into(), "".into(), FieldTable::default());
    unbinding.await.unwrap();
    soon("the second sending", transport.send(&all[1..])).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 2).await, ids(&all));
}
