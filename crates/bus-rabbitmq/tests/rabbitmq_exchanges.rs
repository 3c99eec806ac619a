//! Users of a real broker who may not do everything, and exchanges that cannot be used: what can be done is done.

mod rabbitmq_stage;

use bus::{Envelope, Transport, Unsent, marked};
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use orderwright_bus_rabbitmq::RabbitMqTransport;
use rabbitmq_stage::{Eye, consume, envelope, ids, node, soon, transport};

const ALL: &str = ".*";

async fn restrict(address: &str, rights: [&'static str; 3]) {
    let address = address.to_owned();
    tokio::task::spawn_blocking(move || node().permit(&address, rights)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_configure_publishes_to_what_is_there_and_news_without_an_exchange_has_no_reader() {
    let address = node().vhost().unwrap();
    transport(&address).send(&[envelope("News", 1)]).await.unwrap();
    let eye = Eye::on(&address).await;
    let (options, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    eye.channel.queue_declare("theirs".into(), options, none.clone()).await.unwrap();
    let (queue, exchange) = ("theirs".into(), "Contracts:News".into());
    eye.channel.queue_bind(queue, exchange, "".into(), QueueBindOptions::default(), none).await.unwrap();
    restrict(&address, ["^$", ALL, ALL]).await;
    let humble = transport(&address);
    for round in 0..3 {
        let handled = Envelope { kind: marked("q", "K").into(), ..envelope("K", 10 * round + 2) };
        let all = [
            envelope("K", 10 * round + 3),
            envelope("News", 10 * round + 4),
            envelope("Absent", 10 * round + 5),
            handled,
        ];
        humble.send(&all).await.expect("all of it is sent, or has no reader");
        assert_eq!(
            eye.take("theirs").await.properties.message_id().as_ref().unwrap().as_str(),
            all[1].id.to_string()
        );
        let mut feed = humble.subscribe("q").await.unwrap();
        assert_eq!(consume(feed.as_mut(), 1).await, ids(&all[..1]));
    }
    assert!(humble.unfit().is_empty(), "{:?}", humble.unfit());
}

/// Sends something to an exchange that cannot be used, and something to others, until the exchange is the only one that fails.
async fn fails_alone(transport: &RabbitMqTransport, kind: &str) {
    let all = [envelope("K", 1), envelope(kind, 2), envelope("L", 3), envelope("News", 4)];
    for sending in 0..3 {
        let Unsent { confirmed, refused, fault } = transport.send(&all).await.unwrap_err();
        assert_eq!((confirmed, refused), (vec![0, 2, 3], vec![1]), "sending {sending}: {fault}");
        let amiss = transport.unfit().join("; ");
        assert!(amiss.contains(&format!("'Contracts:{kind}'")), "{amiss}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_may_not_be_written_to_holds_up_nothing_else() {
    let address = node().vhost().unwrap();
    transport(&address).declare().await.unwrap();
    restrict(&address, [ALL, "^(?!Contracts:Closed$).*", ALL]).await;
    let transport = transport(&address);
    fails_alone(&transport, "Closed").await;
    restrict(&address, [ALL, ALL, ALL]).await;
    let mended = async {
        while transport.send(&[envelope("Closed", 5)]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("the right to write", mended).await;
    assert!(transport.unfit().is_empty(), "{:?}", transport.unfit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_of_another_type_holds_up_nothing_else() {
    let address = node().vhost().unwrap();
    let eye = Eye::on(&address).await;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let theirs = "Contracts:Direct".into();
    eye.channel.exchange_declare(theirs, ExchangeKind::Direct, options, FieldTable::default()).await.unwrap();
    fails_alone(&transport(&address), "Direct").await;
}
