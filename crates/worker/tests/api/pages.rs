//! The operators' page over its real router: who sees what, what each page holds and how large it is, what can be done and
//! by whom, and what a page of another site cannot do.

use std::sync::Arc;
use std::time::Duration;

use application::ports::{Readers, Scope};
use application::saga::EventKind;
use axum::Router;
use axum::body::Body;
use bus::{Clock, RandomIds};
use http::{Method, Request};
use http_body_util::BodyExt;
use jiff::SignedDuration;
use orderwright::config::{PageMode, Telemetry};
use orderwright::http::{Inside, below, router_beside};
use orderwright::observe::{self, Observation, Providers, Recording};
use orderwright::page::{self, LiveService, Page, Parts, router};
use orderwright::security::{Gate, GateSettings, KeyRing, Rate, Reach, Sessions};
use providers::{HttpPaymentGateway, HttpShippingProvider, ProviderSettings};
use serde_json::json;
use tower::ServiceExt;

use crate::dead_letters::set_aside;
use crate::harness::{Answer, PAYMENTS_SECRET, Service, api_key, request};

/// Bytes of a page at most.
const PAGE_BYTES_MAX: usize = 30 << 10;

/// Every page that is reached without naming a thing.
pub(crate) fn pages() -> impl Iterator<Item = String> {
    page::paths().map(|path| format!("/ui{path}"))
}

/// A service, its API without a gate, and its pages behind one.
pub(crate) struct Site {
    pub(crate) service: Service,
    router: Router,
    pub(crate) live: LiveService,
}

/// A gate for a service that others reach, with keys of these scopes; their texts beside it.
pub(crate) fn keys(scopes: &[&[Scope]]) -> (Arc<KeyRing>, Vec<String>) {
    let made: Vec<_> = scopes
        .iter()
        .zip(1_u8..)
        .map(|(scopes, number)| api_key(number, &format!("key {number}"), scopes))
        .collect();
    let ring = Arc::new(KeyRing::new(None));
    ring.refresh(&made.iter().map(|(_, stored)| stored.clone()).collect::<Vec<_>>());
    (ring, made.iter().map(|(text, _)| text.expose()).collect())
}

impl Site {
    /// On a service without keys.
    pub(crate) async fn open() -> Self {
        let service = Service::start().await;
        let gate = Gate::open(Arc::clone(&service.clock) as Arc<dyn Clock>);
        Self::behind(service, gate, PageMode::On, "")
    }

    /// On a service that takes these keys.
    pub(crate) async fn closed(ring: &Arc<KeyRing>) -> Self {
        let service = Service::start().await;
        let rate = Rate { per_second: 0, burst: 0 };
        let settings = GateSettings { rate, public: Vec::new(), reach: Reach::Beyond };
        let gate = Gate::new(settings, Arc::clone(ring), Arc::clone(&service.clock) as Arc<dyn Clock>);
        Self::behind(service, gate, PageMode::On, "")
    }

    pub(crate) fn behind(service: Service, gate: Gate, mode: PageMode, base_path: &str) -> Self {
        let clock = Arc::clone(&service.clock) as Arc<dyn Clock>;
        let nobody = || ProviderSettings::at("http://127.0.0.1:1");
        let gateway = HttpPaymentGateway::new(nobody(), Arc::clone(&clock)).expect("an address");
        let shipping = HttpShippingProvider::new(nobody(), Arc::clone(&clock)).expect("an address");
        let providers = Providers { gateway: Arc::new(gateway), shipping: Arc::new(shipping) };
        let recording = Recording { registry: Arc::new(observe::registry()), tracer: None };
        let gate = Arc::new(gate);
        let page = Page::new(Parts {
            inside: Inside::new(Arc::clone(&service.api)),
            gate: Arc::clone(&gate),
            sessions: Sessions::new("a secret of the deployment, long enough", Duration::from_secs(3_600)),
            is_encrypted: false,
            mode,
            base_path: base_path.to_owned(),
            observation: Observation::new(&providers, &clock, &Telemetry::default(), recording),
            readers: Arc::new(service.store.clone()) as Arc<dyn Readers>,
            statuses: Box::new(Vec::new),
            channels: Arc::clone(&service.api.channels),
            trace_link: "http://traces.example/{trace_id}".to_owned(),
            endpoints: Arc::new(service.store.clone()),
            broker: None,
            pauses: service.api.commands.context().pauses.clone(),
            clock,
            ids: Arc::new(RandomIds::seeded(11)),
        });
        let router = router_beside(Arc::clone(&service.api), gate, router(Arc::clone(&page)));
        let live = page.live_service(Duration::from_secs(1));
        Self { service, router, live }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("a router answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str, session: &str) -> Answer {
        let headers = [("host", "localhost"), ("cookie", session)];
        self.send(request(Method::GET, path, &headers, Body::empty())).await
    }

    /// Sends a form as a page of this very host does.
    pub(crate) async fn submit(&self, path: &str, session: &str, fields: &[(&str, &str)]) -> Answer {
        let headers = [("host", "localhost"), ("origin", "http://localhost"), ("cookie", session)];
        self.send(request(Method::POST, path, &headers, Body::from(form(fields)))).await
    }

    /// Signs in with a key and returns the cookie.
    pub(crate) async fn signed_in(&self, key: &str) -> String {
        let answer = self.submit("/ui/sign-in", "", &[("key", key), ("next", "/ui/orders")]).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, Some("/ui/orders")));
        let cookie = answer.header("set-cookie").expect("a session");
        cookie.split(';').next().expect("its value").to_owned()
    }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(crate) fn html(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).expect("UTF-8")
}

/// What a form's hidden field holds.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let at = format!("name=\"{name}\" value=\"");
    let from = page.find(&at).unwrap_or_else(|| panic!("no field {name} in {page}")) + at.len();
    page[from..].split('"').next().expect("its value").to_owned()
}

/// What came of an action, as the next page says it.
pub(crate) async fn said(site: &Site, answer: &Answer, session: &str) -> String {
    assert_eq!(answer.status.as_u16(), 303, "{}", html(answer));
    let cookie = answer.header("set-cookie").expect("an outcome").split(';').next().expect("its value");
    let cookies = format!("{session}; {cookie}");
    let page = html(&site.get(answer.header("location").expect("a page"), &cookies).await);
    let from = page.find("class=\"notice").unwrap_or_else(|| panic!("no notice in {page}"));
    let text = page[from..].split_once('>').expect("a tag").1;
    text.split('<').next().expect("its text").to_owned()
}

#[tokio::test]
async fn every_page_is_small_safe_and_works_without_script() {
    let site = Site::open().await;
    let order = site.service.placed("one", 2).await;
    site.live.look().await.expect("a look");
    let of_things = [format!("/ui/orders/{order}"), "/ui/stock/CHAI".to_owned()];
    for path in pages().chain(of_things) {
        let answer = site.get(&path, "").await;
        let page = html(&answer);
        assert_eq!(answer.status.as_u16(), 200, "{path} {page}");
        assert!(answer.body.len() <= PAGE_BYTES_MAX, "{path}: {} bytes", answer.body.len());
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (answer.header("x-frame-options"), answer.header("cache-control")),
            (Some("DENY"), Some("no-store"))
        );
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(inline), "{path} holds {inline}");
        }
        assert_eq!(page.matches("<script").count(), 1, "{path}");
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
    }
}

/// The longest text that may say why.
fn long() -> String {
    "why ".repeat(125)
}

#[tokio::test]
async fn every_page_stays_small_however_much_there_is() {
    let site = Site::open().await;
    let service = &site.service;
    let lines = vec![json!({"sku": "CHAI", "quantity": 1}); domain::LINES_MAX];
    let hold = json!({"before": "payment", "reason": &long()[..255]});
    let body = json!({"customer_id": "ALFKI", "lines": lines, "holds": vec![hold; 10]});
    let longest = service.order("longest", &body).await.expect(201)["order_id"].clone();
    let longest = longest.as_str().expect("an id").to_owned();
    for number in 0..60 {
        let order = service.placed(&format!("order-{number}"), 1).await;
        service.happen(&order, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
        let body = json!({"actor": "eve", "note": long()});
        service.post(&format!("/orders/{order}/cancel"), &body).await.expect(202);
        let events = (0..5).map(|event| {
            json!({"id": format!("evt-{number}-{event}-{}", "x".repeat(60)), "type": "payment.captured",
                "created_at": 1_772_000_000_000_000_i64, "data": {
                "reference": "somebody else's order", "idempotency_key": "pay-of-somebody-else",
                "charge_id": "ch_1", "amount_minor": 1, "currency": "USD", "status": "captured"}})
        });
        let batch = json!({"events": events.collect::<Vec<_>>()});
        let webhook = format!("w-{number}");
        service.webhook("/webhooks/payments", PAYMENTS_SECRET, &webhook, &batch).await.expect(200);
    }
    site.live.look().await.expect("a look");
    let of_things = [format!("/ui/orders/{longest}"), "/ui/stock/CHAI".to_owned()];
    let mut large = Vec::new();
    for path in pages().chain(of_things) {
        let answer = site.get(&path, "").await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        if answer.body.len() > PAGE_BYTES_MAX {
            large.push(format!("{path}: {} bytes", answer.body.len()));
        }
    }
    assert!(large.is_empty(), "{large:?}");
    let shown = html(&site.get(&format!("/ui/orders/{longest}"), "").await);
    assert!(shown.contains("25 of 1000 are shown.") && shown.contains(r#"href="?all=yes""#), "{shown}");
    let whole = html(&site.get(&format!("/ui/orders/{longest}?all=yes"), "").await);
    assert_eq!(whole.matches("/ui/stock/CHAI").count(), domain::LINES_MAX);
}

#[tokio::test]
async fn what_a_page_loads_is_there_and_kept_for_good() {
    let site = Site::open().await;
    let page = html(&site.get("/ui", "").await);
    for (mark, media_type) in [("href=\"/ui/assets/", "text/css"), ("src=\"/ui/assets/", "text/javascript")] {
        let name = page.split(mark).nth(1).and_then(|rest| rest.split('"').next()).expect("an asset");
        let asset = site.get(&format!("/ui/assets/{name}"), "").await;
        assert_eq!(asset.status.as_u16(), 200);
        assert!(asset.header("content-type").is_some_and(|found| found.starts_with(media_type)));
        assert!(asset.header("cache-control").is_some_and(|found| found.contains("immutable")));
    }
    let root = site.get("/", "").await;
    assert_eq!((root.status.as_u16(), root.header("location")), (303, Some("/ui")));
    assert_eq!(site.get("/ui/", "").await.header("location"), Some("/ui"));
    assert_eq!(site.get("/ui/nowhere", "").await.status.as_u16(), 404);
}

#[tokio::test]
async fn a_person_signs_in_with_a_key_and_stays_until_the_session_or_the_key_ends() {
    let (ring, texts) = keys(&[&[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let away = site.get("/ui/orders?status=paid", "").await;
    let wanted = "/ui/sign-in?next=%2Fui%2Forders%3Fstatus%3Dpaid";
    assert_eq!((away.status.as_u16(), away.header("location")), (303, Some(wanted)));
    let wrong = site.submit("/ui/sign-in", "", &[("key", "ow_0_wrong")]).await;
    assert_eq!(wrong.status.as_u16(), 401);
    assert!(
        wrong.header("set-cookie").is_none() && html(&wrong).contains("unknown, revoked or past its time")
    );
    let answer = site.submit("/ui/sign-in", "", &[("key", &texts[0]), ("next", "/ui/orders")]).await;
    let cookie = answer.header("set-cookie").expect("a session").to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/ui"),
        "{cookie}"
    );
    assert!(!cookie.contains(&texts[0]), "the key itself is never kept");
    assert!(!cookie.contains("Secure"), "this browser would not send it back");
    let headers = [("host", "localhost"), ("origin", "https://localhost")];
    let by_tls = request(Method::POST, "/ui/sign-in", &headers, Body::from(form(&[("key", &texts[0])])));
    let by_tls = site.send(by_tls).await;
    assert!(
        by_tls.header("set-cookie").is_some_and(|cookie| cookie.contains("; Secure")),
        "behind a proxy's TLS"
    );
    let session = cookie.split(';').next().expect("its value");
    assert_eq!(site.get("/ui/orders", session).await.status.as_u16(), 200);
    assert_eq!(
        site.get("/orders", session).await.status.as_u16(),
        401,
        "a session opens the page, not the API"
    );
    let out = site.submit("/ui/sign-out", session, &[]).await;
    assert!(out.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    site.service.clock.jump(SignedDuration::from_secs(3_500));
    assert_eq!(site.get("/ui/orders", session).await.status.as_u16(), 200);
    site.service.clock.jump(SignedDuration::from_secs(100));
    assert_eq!(site.get("/ui/orders", session).await.status.as_u16(), 303, "its time is over");
    let session = site.signed_in(&texts[0]).await;
    ring.refresh(&[]);
    assert_eq!(site.get("/ui/orders", &session).await.status.as_u16(), 303, "its key is revoked");
}

#[tokio::test]
async fn signing_in_leads_to_pages_of_ours_alone() {
    let (ring, texts) = keys(&[&[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    for (next, wanted) in [
        ("/ui/orders?find=a%20b", "/ui/orders?find=a%20b"),
        ("/ui", "/ui"),
        ("https://evil.example/ui", "/ui"),
        ("//evil.example", "/ui"),
        ("/ui//evil.example", "/ui"),
        ("/uixx", "/ui"),
        ("/ui\\evil", "/ui"),
        ("", "/ui"),
    ] {
        let answer = site.submit("/ui/sign-in", "", &[("key", &texts[0]), ("next", next)]).await;
        assert_eq!(answer.header("location"), Some(wanted), "{next}");
    }
}

#[tokio::test]
async fn no_page_of_another_site_can_act_or_frame() {
    let (ring, texts) = keys(&[&[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let order = site.service.placed("one", 1).await;
    let session = site.signed_in(&texts[0]).await;
    let target = format!("/ui/orders/{order}/cancel");
    let body = form(&[("note", "forged"), ("reason", "customer")]);
    for forged in [
        vec![],
        vec![("origin", "http://evil.example")],
        vec![("origin", "null")],
        vec![("origin", "http://localhost"), ("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "none")],
    ] {
        let mut headers = vec![("host", "localhost"), ("cookie", session.as_str())];
        headers.extend(&forged);
        let answer = site.send(request(Method::POST, &target, &headers, Body::from(body.clone()))).await;
        assert_eq!(answer.status.as_u16(), 403, "{forged:?}");
    }
    let shown =
        site.service.store.order(order.parse().expect("an id")).await.expect("a store").expect("an order");
    assert_eq!(shown.status, "pending");
    let fine = site.submit(&target, &session, &[("note", "wished"), ("reason", "customer")]).await;
    assert_eq!(said(&site, &fine, &session).await, "The order is being cancelled.");
}

#[tokio::test]
async fn a_key_shows_what_its_scopes_allow_and_offers_nothing_else() {
    let viewer: &[Scope] = &[Scope::OrdersRead, Scope::StockRead];
    let (ring, texts) = keys(&[viewer, &[Scope::Operate]]);
    let site = Site::closed(&ring).await;
    let order = site.service.placed("one", 1).await;
    let session = site.signed_in(&texts[0]).await;
    for path in pages() {
        let wanted = match path.as_str() {
            "/ui/orders" | "/ui/stock" => 200,
            "/ui" => 303,
            _ => 403,
        };
        assert_eq!(site.get(&path, &session).await.status.as_u16(), wanted, "{path}");
    }
    let home = site.get("/ui", &session).await;
    assert_eq!(home.header("location"), Some("/ui/orders"), "they are led to what they may see");
    let page = html(&site.get(&format!("/ui/orders/{order}"), &session).await);
    assert!(page.contains("Not now: your key lacks the scope orders:write"), "{page}");
    assert!(!page.contains("/cancel\"><p") || !page.contains("type=\"submit\">Cancel the order"));
    assert!(!page.contains("Dead letters"), "the navigation leads nowhere that is closed");
    let refused = site.submit(&format!("/ui/orders/{order}/cancel"), &session, &[("note", "no")]).await;
    assert!(said(&site, &refused, &session).await.contains("lacks the scope orders:write"));
    let operator = site.signed_in(&texts[1]).await;
    assert_eq!(site.get("/ui", &operator).await.status.as_u16(), 200);
    assert_eq!(site.get("/ui/orders", &operator).await.status.as_u16(), 403);
    assert_eq!(site.get(&format!("/ui/orders.csv?find={order}"), &operator).await.status.as_u16(), 403);
}

#[tokio::test]
async fn a_page_that_only_shows_changes_nothing() {
    let service = Service::start().await;
    let gate = Gate::open(Arc::clone(&service.clock) as Arc<dyn Clock>);
    let site = Site::behind(service, gate, PageMode::ReadOnly, "");
    let order = site.service.placed("one", 1).await;
    let headers = [("host", "localhost"), ("origin", "http://localhost")];
    let target = format!("/ui/orders/{order}/cancel");
    let answer =
        site.send(request(Method::POST, &target, &headers, Body::from(form(&[("note", "x")])))).await;
    assert!(said(&site, &answer, "").await.contains("only shows"));
    assert!(
        html(&site.get(&format!("/ui/orders/{order}"), "").await).contains("Not now: this page only shows")
    );
}

#[tokio::test]
async fn below_a_path_every_link_and_form_leads_below_it() {
    let service = Service::start().await;
    let gate = Gate::open(Arc::clone(&service.clock) as Arc<dyn Clock>);
    let site = Site::behind(service, gate, PageMode::On, "/shop/orders");
    let order = site.service.placed("one", 1).await;
    for path in ["/ui", "/ui/orders", &format!("/ui/orders/{order}"), "/ui/stock/CHAI"] {
        let page = html(&site.get(path, "").await);
        for mark in ["href=\"", "src=\"", "action=\"", "data-live=\""] {
            for target in page.split(mark).skip(1).map(|rest| rest.split('"').next().unwrap_or("")) {
                let is_own = target.starts_with("/shop/orders/ui") || target.starts_with('#');
                assert!(is_own || target.starts_with("http://traces.example/"), "{path}: {target}");
            }
        }
    }
}

#[tokio::test]
async fn every_link_of_every_page_leads_to_a_page() {
    let site = Site::open().await;
    let order = site.service.placed("one", 1).await;
    set_aside(&site.service, &["it makes no sense"]).await;
    let stuck = [EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentStarted];
    site.service.happen(&order, &stuck).await;
    site.service.happen(&order, &[EventKind::CancelRequested, EventKind::UndoFailed]).await;
    site.live.look().await.expect("a look");
    let mut open = vec!["/ui".to_owned()];
    let mut seen: Vec<String> = Vec::new();
    while let Some(path) = open.pop() {
        let answer = site.get(&path, "").await;
        assert_eq!(answer.status.as_u16(), 200, "{path} after {seen:?}");
        let page = html(&answer);
        seen.push(path);
        for link in page.split("<a ").skip(1).filter_map(|rest| rest.split("href=\"").nth(1)) {
            let link = link.split('"').next().unwrap_or_default().replace("&amp;", "&");
            // This one is another at every moment.
            let is_momentary = link.contains("created_from=");
            if link.starts_with("/ui") && !is_momentary && !seen.contains(&link) && !open.contains(&link) {
                open.push(link);
            }
        }
    }
    assert!(seen.len() > 40, "{seen:?}");
}

#[tokio::test]
async fn markup_in_a_text_from_outside_stays_text_on_every_page() {
    let site = Site::open().await;
    let evil = "<img src=x onerror=alert(1)>\"'&";
    let order =
        json!({"customer_id": evil, "external_reference": evil, "lines": [{"sku": "CHAI", "quantity": 1}]});
    let placed = site.service.order("evil", &order).await.expect(201);
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    let headers = [("host", "localhost"), ("origin", "http://localhost")];
    for (target, fields) in [
        (format!("/ui/orders/{id}/cancel"), vec![("note", evil), ("reason", "customer")]),
        ("/ui/stock/CHAI/receive".to_owned(), vec![("quantity", "1"), ("note", evil)]),
    ] {
        let answer = site.send(request(Method::POST, &target, &headers, Body::from(form(&fields)))).await;
        assert!(!said(&site, &answer, "").await.starts_with("Nothing"), "{target}");
    }
    let query =
        form(&[("find", evil), ("customer_id", evil), ("actor", evil), ("group", evil), ("check", evil)]);
    let mut paths: Vec<String> = pages().map(|path| format!("{path}?{query}")).collect();
    paths.extend([format!("/ui/orders/{id}"), "/ui/stock/CHAI".to_owned(), "/ui/orders".to_owned()]);
    paths.push(format!("/ui/orders/{}", "%3Cimg%20src=x%3E"));
    let mut seen = 0;
    for path in paths {
        let page = html(&site.get(&path, "").await);
        assert!(!page.contains("<img") && !page.contains("alert(1)>\""), "{path}: {page}");
        seen += page.matches("&lt;img").count();
    }
    assert!(seen >= 6, "the text is shown, and was shown {seen} times");
    let csv = html(&site.get("/ui/orders.csv", "").await);
    assert!(csv.lines().count() == 2 && csv.contains("\"\"'&\""), "{csv}");
}

#[tokio::test]
async fn a_stream_names_the_topics_that_changed_and_ends_with_the_session() {
    let (ring, texts) = keys(&[&[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let session = site.signed_in(&texts[0]).await;
    let order = site.service.placed("one", 1).await;
    site.live.look().await.expect("a look");
    let target = format!("/ui/live?topics=orders+order:{order}+dead-letters");
    let headers = [("host", "localhost"), ("cookie", session.as_str())];
    let asked = request(Method::GET, &target, &headers, Body::empty());
    let response = site.router.clone().oneshot(asked).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    site.live.look().await.expect("a look");
    let frame = async |body: &mut Body| {
        let frame = body.frame().await.expect("a line").expect("whole");
        String::from_utf8(frame.into_data().expect("text").to_vec()).expect("UTF-8")
    };
    let first = frame(&mut body).await;
    assert!(first.contains(&format!("data: order:{order}")) && !first.contains("dead-letters"), "{first}");
    site.service.clock.jump(SignedDuration::from_secs(1));
    site.service.happen(&order, &[EventKind::OrderValidated]).await;
    site.live.look().await.expect("a look");
    let second = frame(&mut body).await;
    assert!(second.contains("event: changed") && second.contains(&format!("order:{order}")), "{second}");
    ring.refresh(&[]);
    site.service.happen(&order, &[EventKind::InventoryReserved]).await;
    site.live.look().await.expect("a look");
    assert!(frame(&mut body).await.contains("event: ended"));
    assert!(body.frame().await.is_none(), "nothing follows");
    assert_eq!(site.get("/ui/live", &session).await.status.as_u16(), 303);
}

/// The text of a page, a line for each piece of it, with what differs from run to run left out.
fn golden(page: &str) -> String {
    let body = page.split_once("<main").expect("a page has content").1;
    let pieces =
        body.split('<').skip(1).filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.trim());
    let words = |line: &str| {
        let word = |word: &str| match word.trim_matches('…').parse::<uuid::Uuid>() {
            Ok(_) => "ID".to_owned(),
            Err(_) if word.starts_with('…') => "…ID".to_owned(),
            Err(_) => word.to_owned(),
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    };
    pieces.filter(|text| !text.is_empty()).map(words).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn what_each_page_says_is_what_it_said() {
    let site = Site::open().await;
    let open = site.service.placed("one", 2).await;
    let stuck = site.service.placed("two", 1).await;
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::CancelRequested,
        EventKind::UndoFailed,
    ];
    site.service.happen(&stuck, &way).await;
    site.live.look().await.expect("a look");
    site.service.clock.jump(SignedDuration::from_mins(5));
    let mut pages: Vec<(String, String)> =
        pages().map(|path| (path.trim_start_matches('/').replace('/', "-"), path)).collect();
    pages.push(("ui-order-open".to_owned(), format!("/ui/orders/{open}")));
    pages.push(("ui-order-stuck".to_owned(), format!("/ui/orders/{stuck}")));
    pages.push(("ui-stock-product".to_owned(), "/ui/stock/CHAI".to_owned()));
    for (name, path) in pages {
        let text = golden(&html(&site.get(&path, "").await));
        insta::assert_snapshot!(name, text);
    }
}

#[tokio::test]
async fn below_a_path_nothing_is_open_that_is_closed_at_the_root() {
    let (ring, texts) = keys(&[&[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let router = below("/shop", site.router.clone()).expect("it is free");
    let status = async |path: &str, key: &str| {
        let headers = [("host", "localhost"), ("x-api-key", key)];
        let headers = if key.is_empty() { &headers[..1] } else { &headers[..] };
        let asked = request(Method::GET, path, headers, Body::empty());
        router.clone().oneshot(asked).await.expect("an answer").status().as_u16()
    };
    for path in ["/orders", "/shop/orders", "/shop/health", "/shop/audit", "/shop/nothing", "/shop//orders"] {
        assert_eq!(status(path, "").await, 401, "{path}");
    }
    assert_eq!((status("/orders", &texts[0]).await, status("/shop/orders", &texts[0]).await), (200, 200));
    assert_eq!((status("/ui/orders", "").await, status("/shop/ui/orders", "").await), (303, 303));
    assert_eq!((status("/shop", "").await, status("/shop/", "").await), (303, 303));
    for taken in ["/orders", "/ui", "/webhooks/x", "/docs", "/health"] {
        assert!(below(taken, router.clone()).is_err(), "{taken}");
    }
}
