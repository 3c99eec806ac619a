//! The way to a broker over TLS: messages come through, and a broker that proves nothing gets none. Before a real broker stands
//! a door that speaks TLS with certificates made for the test.

mod rabbitmq_stage;

use std::net::SocketAddr;
use std::sync::Arc;

use bus::{Clock, IdSource, RandomIds, SystemClock, Transport, Verdict};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn certificate() -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

/// Speaks TLS to whoever comes, and passes on what they say.
async fn door(shown: &CertifiedKey<rcgen::KeyPair>, broker: SocketAddr) -> u16 {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(shown.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![shown.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((outside, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(outside).await?;
                let mut inside = TcpStream::connect(broker).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    port
}

fn over(address: &str, vouching: &CertifiedKey<rcgen::KeyPair>) -> RabbitMqTransport {
    let settings = RabbitMqSettings { more_roots: Some(vouching.cert.pem().into()), ..settings(&[address]) };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    RabbitMqTransport::new(&settings, topology(), clock, &ids).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_travel_over_tls_and_only_to_a_broker_that_proves_who_it_is() {
    let address = node().vhost().unwrap();
    let port = node().port();
    let (own, stranger) = (certificate(), certificate());
    let door = door(&own, SocketAddr::from(([127, 0, 0, 1], port))).await;
    let outside = address
        .replace("amqp://", "amqps://")
        .replace(&format!("127.0.0.1:{port}"), &format!("localhost:{door}"));
    assert!(outside.starts_with("amqps://") && outside.contains(&format!("localhost:{door}")), "{outside}");
    let transport = over(&outside, &own);
    transport.declare().await.unwrap();
    transport.send(&[envelope("K", 1), envelope("K", 2)]).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(&mut *feed, 2).await.len(), 2);
    let refused = over(&outside, &stranger).declare().await.unwrap_err();
    assert!(matches!(refused.verdict, Verdict::Retry | Verdict::GiveUp), "{refused}");
}
