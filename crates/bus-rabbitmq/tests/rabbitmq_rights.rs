//! What the user is allowed at a real broker, and what somebody has made there otherwise: the least rights are enough, what is missing
//! is named, and one queue that is not as it should be stops no other.

mod rabbitmq_stage;

use bus::{ErrorQueues, Transport, Verdict};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use rabbitmq_stage::{Eye, consume, envelopes, ids, node, soon, transport};
use uuid::Uuid;

const ALL: &str = ".*";
const NONE: &str = "^$";

/// Rights to configure, write and read, for connections that are opened from now on.
fn permit(address: &str, rights: [&str; 3]) {
    tokio::task::block_in_place(|| node().permit(address, rights)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_configure_works_where_all_is_there_and_is_told_what_is_not() {
    let address = node().vhost().unwrap();
    permit(&address, [NONE, ALL, ALL]);
    let fault = transport(&address).declare().await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::GiveUp, "{fault}");
    let told = fault.to_string();
    assert!(told.contains("is not there, and the user lacks a right"), "{told}");
    permit(&address, [ALL; 3]);
    transport(&address).declare().await.unwrap();
    permit(&address, [NONE, ALL, ALL]);
    let (transport, all) = (transport(&address), envelopes("K", 3));
    transport.declare().await.unwrap();
    soon("a sending", transport.send(&all)).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 3).await, ids(&all));
    // Nor is the right needed to declare what gives processes their turns at an error queue.
    let seen = soon("a look", transport.look_at_errors("q_error", 5)).await.unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told_as_such_with_what_it_is_missing_on() {
    let address = node().vhost().unwrap();
    transport(&address).declare().await.unwrap();
    permit(&address, [NONE, NONE, ALL]);
    let unsent = transport(&address).send(&envelopes("K", 1)).await.unwrap_err();
    let told = unsent.fault.to_string();
    assert!(told.contains("may not write") && told.contains("K"), "{told}");
    permit(&address, [NONE, ALL, NONE]);
    let mut feed = transport(&address).subscribe("q").await.unwrap();
    let told = soon("an answer", feed.receive(1)).await.unwrap_err().to_string();
    assert!(told.contains("the user may not read the queue 'q'"), "{told}");
    // Where all is there, the rights to use it are enough; where nothing is, it cannot be made.
    let bare = node().vhost().unwrap();
    permit(&bare, [ALL, NONE, ALL]);
    let told = transport(&bare).declare().await.unwrap_err().to_string();
    assert!(told.contains("is not there, and the user lacks a right"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_somebody_made_anew_otherwise_is_told_of_and_the_others_go_on() {
    let address = node().vhost().unwrap();
    let (transport, all) = (transport(&address), envelopes("K", 2));
    let database = Uuid::from_u128(1);
    transport.send(&all[..1]).await.unwrap();
    let eye = Eye::on(&address).await;
    eye.channel.queue_delete("other".into(), QueueDeleteOptions::default()).await.unwrap();
    // A classic queue without our arguments.
    let plain = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    eye.channel.queue_declare("other".into(), plain, FieldTable::default()).await.unwrap();
    transport.claim(database).await.unwrap();
    let unfit = transport.unfit();
    assert!(
        unfit.len() == 1 && unfit[0].contains("the broker has the queue 'other' with other arguments"),
        "{unfit:?}"
    );
    soon("a sending", transport.send(&all[1..])).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 2).await, ids(&all), "what the queue 'q' wants goes on");
    eye.channel.queue_delete("other".into(), QueueDeleteOptions::default()).await.unwrap();
    transport.claim(database).await.unwrap();
    assert_eq!(transport.unfit(), Vec::<String>::new(), "it is declared again once it is gone");
}
