//! Carries webhooks to the receiver: takes a batch, signs it, posts it, and keeps trying for a bounded while. Order
//! is not promised: two couriers work each topic, and a batch that has to be tried again arrives late.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::dice::{Question, hash};
use crate::events::{Batch, Event, Topic};
use crate::limits;
use crate::mailbox::Post;
use crate::provider::Provider;
use crate::signature::Signer;

#[derive(Clone)]
pub(crate) struct Courier {
    client: Client<HttpConnector, Full<Bytes>>,
    signer: Signer,
    url: Uri,
    topic: Topic,
}

/// A batch as it is posted, the same at every attempt but for time and signature.
struct Parcel {
    id: String,
    body: Bytes,
}

impl Courier {
    /// A courier for one topic; none if the base address is no plain http one.
    pub(crate) fn new(base_url: &str, topic: Topic, signer: Signer) -> Option<Self> {
        let name = match topic {
            Topic::Payments => "payments",
            Topic::Shipping => "shipping",
        };
        let url: Uri = format!("{}/{name}", base_url.trim_end_matches('/')).parse().ok()?;
        let plain = url.scheme_str() == Some("http") && url.host().is_some();
        plain.then(|| Self { client: client(), signer, url, topic })
    }

    /// Runs until the sandbox stops.
    pub(crate) async fn run(self, provider: Arc<Provider>) {
        let stop = provider.stop.clone();
        stop.run_until_cancelled_owned(self.carry(&provider)).await;
    }

    async fn carry(&self, provider: &Provider) {
        let mail = provider.mail(self.topic);
        loop {
            let events = mail.take(provider.settings.webhook_batch_max).await;
            let post = match parcel(provider, &events) {
                Some(parcel) => self.deliver(provider, &parcel).await,
                None => Post::GivenUp,
            };
            mail.done(events.len(), post);
        }
    }

    async fn deliver(&self, provider: &Provider, parcel: &Parcel) -> Post {
        let mut pause = limits::POST_BACKOFF_MIN;
        for _ in 1..limits::POST_ATTEMPTS_MAX {
            if self.post_once(provider, parcel).await == Post::Accepted {
                return Post::Accepted;
            }
            provider.mail(self.topic).count_retry();
            tokio::time::sleep(pause).await;
            pause = longer(pause);
        }
        self.post_once(provider, parcel).await
    }

    async fn post_once(&self, provider: &Provider, parcel: &Parcel) -> Post {
        let posted = async {
            let request = self.request(parcel, provider.clock.now_micros() / 1_000_000)?;
            let response = self.client.request(request).await.ok()?;
            let status = response.status();
            // Read to the end, so that the connection can carry the next post.
            let answer = Limited::new(response.into_body(), limits::POST_ANSWER_BYTES_MAX);
            drop(answer.collect().await);
            status.is_success().then_some(())
        };
        match tokio::time::timeout(limits::POST_TIMEOUT, posted).await {
            Ok(Some(())) => Post::Accepted,
            Ok(None) | Err(_) => Post::GivenUp,
        }
    }

    fn request(&self, parcel: &Parcel, timestamp_s: i64) -> Option<Request<Full<Bytes>>> {
        Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &parcel.id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", self.signer.sign(&parcel.id, timestamp_s, &parcel.body))
            .body(Full::new(parcel.body.clone()))
            .ok()
    }
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(limits::POST_TIMEOUT));
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

/// Two batches share an id only if they are the same to the last byte.
fn parcel(provider: &Provider, events: &[Event]) -> Option<Parcel> {
    let body = serde_json::to_vec(&Batch { events }).ok()?;
    let first = events.first()?;
    let id = provider.dice.id(Question::BatchId, &first.id, hash(&body));
    Some(Parcel { id: format!("msg_{id:032x}"), body: body.into() })
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(limits::POST_BACKOFF_MAX)
}
