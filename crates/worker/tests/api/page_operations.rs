//! What operators do with consumers, error queues and webhook endpoints on their page: shown to all of them, done by those who may.

use std::sync::Arc;

use application::ports::Scope;
use bus::Clock;
use bus::harness::MemoryErrorQueues;
use orderwright::config::PageMode;
use orderwright::security::{Gate, GateSettings, Rate, Reach};
use serde_json::json;

use crate::harness::{PAYMENTS_SECRET, Service};
use crate::once::webhook_endpoint;
use crate::pages::{Site, hidden, html, keys, said};

#[tokio::test]
async fn a_consumer_is_paused_and_resumed_by_administrators_and_every_page_says_so() {
    let (ring, texts) = keys(&[&[Scope::Operate], &[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let operator = site.signed_in(&texts[0]).await;
    let page = html(&site.get("/ui/workers", &operator).await);
    assert!(page.contains("Not now: your key lacks the scope admin"), "{page}");
    let fields = [("queue", "payment"), ("note", "the gateway <is> ill")];
    let refused = site.submit("/ui/workers/queues/pause", &operator, &fields).await;
    assert!(said(&site, &refused, &operator).await.contains("lacks the scope admin"));
    let admin = site.signed_in(&texts[1]).await;
    let paused = site.submit("/ui/workers/queues/pause", &admin, &fields).await;
    assert!(said(&site, &paused, &admin).await.starts_with("The consumer is paused"));
    for path in ["/ui", "/ui/workers"] {
        let page = html(&site.get(path, &operator).await);
        assert!(page.contains("for 0 s by key 2: the gateway &lt;is&gt; ill"), "{path} {page}");
    }
    let again = site.submit("/ui/workers/queues/pause", &admin, &fields).await;
    assert_eq!(said(&site, &again, &admin).await, "It was so before; nothing was changed.");
    let resumed = site.submit("/ui/workers/queues/resume", &admin, &fields).await;
    assert!(said(&site, &resumed, &admin).await.starts_with("The consumer goes on"));
    let page = html(&site.get("/ui", &operator).await);
    assert!(!page.contains("Paused consumers"), "{page}");
    let audit = html(&site.get("/ui/audit", &admin).await);
    assert!(audit.contains("queues resume") && audit.contains("queue payment"), "{audit}");
}

#[tokio::test]
async fn what_lies_in_an_error_queue_is_shown_put_back_and_discarded_by_those_who_may() {
    let (ring, texts) = keys(&[&[Scope::Operate], &[Scope::Admin]]);
    let queues = MemoryErrorQueues::beside(&["payment"]);
    queues.set_aside("payment", "{\"payment_token\": \"tok_visa\"}", "it makes <no> sense");
    queues.set_aside("payment", "2", "nor does this");
    let service = Service::with_error_queues(&queues).await;
    let rate = Rate { per_second: 0, burst: 0 };
    let settings = GateSettings { rate, public: Vec::new(), reach: Reach::Beyond };
    let gate = Gate::new(settings, Arc::clone(&ring), Arc::clone(&service.clock) as Arc<dyn Clock>);
    let site = Site::behind(service, gate, PageMode::On, "");
    let operator = site.signed_in(&texts[0]).await;
    let list = html(&site.get("/ui/workers", &operator).await);
    assert!(list.contains("it makes &lt;no&gt; sense") && list.contains("nor does this"), "{list}");
    let path = "/ui/workers/errors/payment_error";
    let page = html(&site.get(path, &operator).await);
    assert!(page.contains("Put these 2 back") && !page.contains("tok_visa"), "{page}");
    assert!(page.contains("Not now: your key lacks the scope admin"), "it may not discard: {page}");
    let (mark, once) = (hidden(&page, "mark"), hidden(&page, "once"));
    let one = [("note", "mended"), ("count", "1"), ("mark", mark.as_str()), ("once", once.as_str())];
    let refused = site.submit(&format!("{path}/discard"), &operator, &one).await;
    assert!(said(&site, &refused, &operator).await.contains("lacks the scope admin"));
    let back = site.submit(&format!("{path}/put-back"), &operator, &one).await;
    assert_eq!(said(&site, &back, &operator).await, "They are back in the queue that they came from.");
    assert_eq!(queues.returned().len(), 1);
    let again = [("note", "mended"), ("count", "1"), ("mark", mark.as_str())];
    let again = site.submit(&format!("{path}/put-back"), &operator, &again).await;
    assert!(said(&site, &again, &operator).await.contains("something else lies at the head"));
    let admin = site.signed_in(&texts[1]).await;
    let mark = hidden(&html(&site.get(path, &admin).await), "mark");
    let gone = [("note", "a test"), ("count", "1"), ("mark", mark.as_str())];
    let gone = site.submit(&format!("{path}/discard"), &admin, &gone).await;
    assert_eq!(said(&site, &gone, &admin).await, "They are discarded.");
    assert!(html(&site.get(path, &admin).await).contains("Nothing lies here."));
}

#[tokio::test]
async fn a_webhook_endpoint_is_made_paused_and_removed_by_administrators_and_its_secret_shown_once() {
    let (ring, texts) = keys(&[&[Scope::Operate], &[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let id = webhook_endpoint(&site.service).await;
    let (operator, admin) = (site.signed_in(&texts[0]).await, site.signed_in(&texts[1]).await);
    let one = format!("/ui/webhooks/{id}");
    for path in ["/ui/webhooks", &one] {
        let page = html(&site.get(path, &operator).await);
        assert!(page.contains("https://shop.example/"), "{page}");
        assert!(page.contains("Not now: your key lacks the scope admin"), "{page}");
        assert!(!page.contains("whsec_"), "{page}");
    }
    let refused = site.submit("/ui/webhooks", &operator, &[("url", "https://other.example/")]).await;
    assert!(said(&site, &refused, &operator).await.contains("lacks the scope admin"));
    let wrong =
        site.submit("/ui/webhooks", &admin, &[("url", "https://other.example/"), ("types", "Eaten")]).await;
    assert!(said(&site, &wrong, &admin).await.contains("no event is called 'Eaten'"));
    let once = hidden(&html(&site.get("/ui/webhooks", &admin).await), "once");
    let fields = [("url", "https://other.example/"), ("about", "<b>new</b>"), ("once", once.as_str())];
    let made = html(&site.submit("/ui/webhooks", &admin, &fields).await);
    assert!(made.contains("whsec_") && made.contains("https://other.example/"), "{made}");
    let again = html(&site.submit("/ui/webhooks", &admin, &fields).await);
    assert_eq!(
        made.split("whsec_").nth(1).map(|rest| &rest[..20]),
        again.split("whsec_").nth(1).map(|rest| &rest[..20])
    );
    let list = html(&site.get("/ui/webhooks", &admin).await);
    assert!(list.contains("&lt;b&gt;new&lt;/b&gt;") && !list.contains("whsec_"), "{list}");
    let sent = html(&site.get(&format!("{one}?state=failed"), &admin).await);
    assert!(sent.contains("answered 500") && sent.contains("OrderShipped"), "{sent}");
    let act = async |action: &str, fields: &[(&str, &str)]| {
        let answer = site.submit(&format!("{one}/{action}"), &admin, fields).await;
        said(&site, &answer, &admin).await
    };
    assert_eq!(act("redeliver", &[("position", "7")]).await, "Sent once more within a second.");
    assert!(act("redeliver", &[("position", "8")]).await.contains("was not sent to this endpoint"));
    assert_eq!(act("pause", &[("note", "it moves")]).await, "The endpoint is paused and is sent nothing.");
    assert_eq!(act("resume", &[]).await, "The endpoint goes on where it stopped.");
    let change = [("types", "OrderShipped, OrderDelivered"), ("after", "3"), ("note", "more")];
    assert_eq!(act("change", &change).await, "The endpoint is changed.");
    let changed = html(&site.get(&one, &admin).await);
    assert!(
        changed.contains("OrderShipped, OrderDelivered") && changed.contains("https://shop.example/"),
        "{changed}"
    );
    assert!(act("change", &[("after", "soon")]).await.contains("no whole number"));
    assert!(act("change", &[("url", "gopher://x")]).await.contains("no address for webhooks"));
    assert_eq!(act("eat", &[]).await, "Nothing was done: there is no such action.");
    let fresh = html(&site.submit(&format!("{one}/rotate-secret"), &admin, &[]).await);
    assert!(fresh.contains("whsec_"), "{fresh}");
    assert_eq!(act("remove", &[("note", "of no use")]).await, "The endpoint is removed.");
    let gone = site.get(&one, &admin).await;
    assert_eq!(gone.status, 404);
    let audit = html(&site.get("/ui/audit", &admin).await);
    assert!(audit.contains("webhook-endpoints remove") && !audit.contains("whsec_"), "{audit}");
}

#[tokio::test]
async fn what_the_providers_told_lately_is_shown_with_its_order_and_what_came_of_it() {
    let site = Site::open().await;
    let page = html(&site.get("/ui/providers", "").await);
    assert!(page.contains("It has received none since its start."), "{page}");
    let order = site.service.placed("one", 1).await;
    let event = json!({"id": "evt-<1>", "type": "payment.captured", "created_at": 1, "data": {
        "reference": order, "idempotency_key": "another", "charge_id": "ch_1",
        "amount_minor": 3600, "currency": "USD", "status": "captured"}});
    let batch = json!({"events": [event]});
    site.service.webhook("/webhooks/payments", PAYMENTS_SECRET, "w-1", &batch).await.expect(200);
    site.service
        .webhook("/webhooks/payments", "wrong", "w-2", &batch)
        .await
        .problem(401, "signature_refused");
    let page = html(&site.get("/ui/providers", "").await);
    for shown in [
        "evt-&lt;1&gt;",
        "unmatched",
        "no signature fits",
        "in the memory of the worker that shows this page",
        &format!("href=\"/ui/orders/{order}\""),
    ] {
        assert!(page.to_lowercase().contains(shown), "{shown}: {page}");
    }
}
