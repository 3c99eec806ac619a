//! How somebody is told: webhooks as another implementation of the standard verifies them, mail as a real server takes it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::messages::Amount;
use application::ports::{
    Channel, ClosedEndpoints, Notification, NotificationKind, NotificationService, Said, Untold,
};
use async_trait::async_trait;
use bus::{Clock, Fault, SystemClock};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use orderwright_providers::notifications::{
    MailSettings, Mailer, Notifier, PrivateAddresses, Signer, WebhookSender, WebhookSettings,
};
use standardwebhooks::Webhook;
use testkit::servers::Smtp;
use tokio::net::TcpListener;
use uuid::Uuid;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_c29tZSBvbGQgc2VjcmV0IG9mIDI0IGJ5dGVzIG9yIG1vcmU=";

fn notification(kind: NotificationKind) -> Notification {
    Notification {
        id: Uuid::from_u128(7),
        kind,
        order_id: Uuid::from_u128(9),
        customer_id: "alfki".to_owned(),
        email: None,
        total: Amount { minor: 1_999, currency: "EUR".to_owned() },
        at: Timestamp::UNIX_EPOCH,
        carrier: Some("Swift".to_owned()),
        tracking_number: Some("SW-1".to_owned()),
        reason: Some("out_of_stock".to_owned()),
    }
}

type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that hears everything and always answers so.
async fn receiver(status: StatusCode, retry_after: Option<&'static str>) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Heard::default();
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let hearing = Arc::clone(&hearing);
            let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
                let hearing = Arc::clone(&hearing);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    hearing.lock().unwrap().push((head.headers, body));
                    let mut response = Response::builder().status(status).header("location", "/elsewhere");
                    if let Some(pause) = retry_after {
                        response = response.header("retry-after", pause);
                    }
                    Ok::<_, hyper::Error>(response.body(Full::<Bytes>::default()).unwrap())
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    (address, heard)
}

/// Receivers that want no more, as a store keeps them.
#[derive(Clone, Default)]
struct Closed(Arc<Mutex<BTreeMap<String, (String, Timestamp)>>>);

#[async_trait]
impl ClosedEndpoints for Closed {
    async fn close_endpoint(&self, address: &str, reason: &str, now: Timestamp) -> Result<bool, Fault> {
        let closed = (reason.to_owned(), now);
        Ok(self.0.lock().unwrap().insert(address.to_owned(), closed).is_none())
    }

    async fn reopen_endpoint(&self, address: &str, _: &str, _: Timestamp) -> Result<bool, Fault> {
        Ok(self.0.lock().unwrap().remove(address).is_some())
    }

    async fn closed_endpoints(&self) -> Result<Vec<(String, String, Timestamp)>, Fault> {
        let closed = self.0.lock().unwrap();
        Ok(closed.iter().map(|(address, (reason, at))| (address.clone(), reason.clone(), *at)).collect())
    }
}

fn notifier(private: PrivateAddresses) -> (Notifier, Closed) {
    let closed = Closed::default();
    let signer = Signer::new([SECRET, OLD_SECRET]).unwrap();
    let settings = WebhookSettings { signer, private, limit: Duration::from_secs(5), more_roots: None };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sender = WebhookSender::new(settings, Arc::new(closed.clone()), clock).unwrap();
    (Notifier::default().with_webhooks(sender), closed)
}

fn webhook(address: SocketAddr) -> Channel {
    Channel::Webhook(format!("http://{address}/hooks?from=us"))
}

#[tokio::test]
async fn a_webhook_is_one_by_the_standard_under_the_same_id_each_time() {
    let (notifier, _) = notifier(PrivateAddresses::Allowed);
    let (address, heard) = receiver(StatusCode::NO_CONTENT, None).await;
    let shipped = notification(NotificationKind::OrderShipped);
    for _ in 0..2 {
        assert_eq!(notifier.tell(&shipped, &webhook(address)).await, Ok(Said::Told));
    }
    let heard = heard.lock().unwrap();
    for (headers, body) in heard.iter() {
        for secret in [SECRET, OLD_SECRET] {
            Webhook::new(secret).unwrap().verify(body, headers).expect("another implementation believes it");
        }
        let changed = [body.as_ref(), b" "].concat();
        assert!(Webhook::new(SECRET).unwrap().verify(&changed, headers).is_err());
    }
    assert_eq!(heard[0].0["webhook-id"], heard[1].0["webhook-id"]);
    assert!(!heard[0].0["webhook-id"].to_str().unwrap().contains('.'));
    let told: serde_json::Value = serde_json::from_slice(&heard[0].1).unwrap();
    assert_eq!((&told["type"], &told["data"]["tracking_number"]), (&"order.shipped".into(), &"SW-1".into()));
}

#[tokio::test]
async fn a_receiver_that_is_gone_gets_no_more_until_it_is_opened_again() {
    let (notifier, closed) = notifier(PrivateAddresses::Allowed);
    let (address, heard) = receiver(StatusCode::GONE, None).await;
    let Channel::Webhook(url) = webhook(address) else { panic!("it is a webhook") };
    let delivered = notification(NotificationKind::OrderDelivered);
    for _ in 0..3 {
        assert_eq!(notifier.tell(&delivered, &webhook(address)).await, Ok(Said::Unwanted));
    }
    assert_eq!(heard.lock().unwrap().len(), 1);
    assert_eq!(closed.closed_endpoints().await.unwrap().len(), 1);
    for expected in [true, false] {
        assert_eq!(closed.reopen_endpoint(&url, "me", Timestamp::UNIX_EPOCH).await.unwrap(), expected);
    }
    assert_eq!(notifier.tell(&delivered, &webhook(address)).await, Ok(Said::Unwanted));
    assert_eq!(heard.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn whatever_else_is_answered_is_tried_again_and_no_redirect_is_followed() {
    let (notifier, _) = notifier(PrivateAddresses::Allowed);
    let confirmed = notification(NotificationKind::OrderConfirmed);
    for (status, pause) in [(301, None), (400, None), (429, Some("7")), (503, Some("soon")), (500, None)] {
        let (address, heard) = receiver(StatusCode::from_u16(status).unwrap(), pause).await;
        let untold = notifier.tell(&confirmed, &webhook(address)).await.unwrap_err();
        let Untold::Later { why, after } = untold else { panic!("{status} may pass") };
        assert!(why.contains(&status.to_string()), "{why}");
        assert_eq!(after, pause.and_then(|pause| pause.parse().ok()).map(Duration::from_secs));
        assert_eq!(heard.lock().unwrap().len(), 1, "{status}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(notifier.tell(&confirmed, &webhook(nobody)).await, Err(Untold::Later { .. })));
}

#[tokio::test]
async fn no_webhook_goes_where_only_we_can_reach() {
    let (notifier, _) = notifier(PrivateAddresses::Refused);
    let (address, heard) = receiver(StatusCode::OK, None).await;
    let port = address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"] {
        let channel = Channel::Webhook(format!("http://{host}:{port}/"));
        let untold = notifier.tell(&notification(NotificationKind::OrderShipped), &channel).await;
        assert!(untold.is_err(), "{host}");
    }
    for nonsense in ["ftp://example.com/", "https://user@example.com/", "no address", "/hooks"] {
        let channel = Channel::Webhook(nonsense.to_owned());
        let untold = notifier.tell(&notification(NotificationKind::OrderShipped), &channel).await;
        assert!(matches!(untold, Err(Untold::Never { .. })), "{nonsense}: {untold:?}");
    }
    assert_eq!(heard.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_mail_is_taken_by_a_real_server_under_the_same_id_each_time() {
    let server = Smtp::start().unwrap();
    let url = format!("smtp://127.0.0.1:{}", server.port());
    let settings = MailSettings {
        url: &url,
        from: "The Shop <orders@shop.example>",
        to: "{customer_id}@customers.example",
        limit: Duration::from_secs(10),
    };
    let notifier = Notifier::default().with_mail(Mailer::new(&settings).unwrap());
    for kind in [
        NotificationKind::OrderConfirmed,
        NotificationKind::OrderShipped,
        NotificationKind::OrderDelivered,
        NotificationKind::OrderCancelled,
    ] {
        assert_eq!(notifier.tell(&notification(kind), &Channel::Smtp).await, Ok(Said::Told));
    }
    let mails = server.mails().unwrap();
    let with = |text: &str| mails.iter().filter(|mail| mail.contains(text)).count();
    assert_eq!((mails.len(), with("alfki@customers.example")), (4, 4), "{mails:?}");
    assert_eq!(with("Message-ID: <00000000-0000-0000-0000-000000000007@shop.example>"), 4, "{mails:?}");
    for text in ["19.99", "Swift as SW-1", "delivered", "out_of_stock"] {
        assert!(with(text) >= 1, "{text}: {mails:?}");
    }
    let named = Notification {
        email: Some("Ann <ann@elsewhere.example>".to_owned()),
        ..notification(NotificationKind::OrderShipped)
    };
    assert_eq!(notifier.tell(&named, &Channel::Smtp).await, Ok(Said::Told));
    let mails = server.mails().unwrap();
    let to_contact = mails.iter().find(|mail| mail.contains("ann@elsewhere.example")).expect("a mail");
    assert!(!to_contact.contains("alfki@"), "to the order's contact alone: {to_contact}");
    let stranger = Notification {
        customer_id: "no address\r\nBcc: x".to_owned(),
        ..notification(NotificationKind::OrderShipped)
    };
    assert!(matches!(notifier.tell(&stranger, &Channel::Smtp).await, Err(Untold::Never { .. })));
    drop(server);
    let later = notifier.tell(&notification(NotificationKind::OrderShipped), &Channel::Smtp).await;
    assert!(matches!(later, Err(Untold::Later { .. })), "{later:?}");
    assert!(Mailer::new(&MailSettings { to: "everybody@shop.example", ..settings.clone() }).is_err());
    assert!(Mailer::new(&MailSettings { url: "gopher://host", ..settings }).is_err());
}

#[test]
fn a_secret_that_could_be_guessed_signs_nothing() {
    for secret in
        ["", "whsec_", "whsec_c2hvcnQ=", "plain text that is long enough to be a secret", "whsec_%%%"]
    {
        assert!(Signer::new([secret]).is_err(), "{secret}");
    }
    assert!(Signer::new([]).is_err());
}
