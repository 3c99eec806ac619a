//! An order of a file is taken once and whole: whichever key the import comes with, and in however many parts it is sent.

use std::sync::Arc;

use application::commands::{CreateOrderCommand, CreateOrderLine, CreateOrderReply};
use application::ports::{ApiKey, Caller, Scope};
use base64::Engine;
use domain::{CustomerId, Money, OrderId, Quantity, Sku};
use http::Method;
use orderwright::security::{GateSettings, KeyRing, KeyText, Rate, Reach};
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, api_key, places, request};

const OWN: &str = "name = \"mine\"\ncurrency = \"USD\"\nprice_unit = \"major\"\ntime_format = \"%Y-%m-%d\"\nrepeated_rows = \"take\"\n\
                   [columns]\norder = \"no\"\ncustomer = \"who\"\nordered_at = \"when\"\nsku = \"what\"\nquantity = \"many\"\n\
                   price = \"each\"\n";

const FILE: &str =
    "no,who,when,what,many,each\n7,ann,2026-01-05,CHAI,2,18.00\n8,bob,2026-01-05,CHAI,1,18.00\n";

async fn send(service: &Service, key: Option<&KeyText>, dry: bool, file: &str) -> Answer {
    let own = base64::engine::general_purpose::STANDARD.encode(OWN);
    let key = key.map(KeyText::expose);
    let mut headers = vec![("content-type", "text/csv"), ("import-mapping", own.as_str())];
    headers.extend(key.iter().map(|key| ("x-api-key", &**key)));
    let path = format!("/imports?dry_run={dry}");
    service.send(request(Method::POST, &path, &headers, file.to_owned().into())).await
}

/// Orders that would be new or are, that are here already, and that are rejected.
async fn import(service: &Service, key: Option<&KeyText>, dry: bool, file: &str) -> [u64; 3] {
    let report = send(service, key, dry, file).await.expect(200);
    ["created", "replayed", "rejected"].map(|what| report[what].as_u64().expect("a number"))
}

/// References and totals of all orders.
async fn here(service: &Service) -> Vec<(String, i64)> {
    let listed = service.api.readers.orders(&application::ports::OrderFilter::default(), 100).await;
    let orders = listed.expect("the store is there").items.into_iter();
    orders.map(|order| (order.external_reference.unwrap_or_default(), order.total.minor)).collect()
}

fn guarded(service: Service, keys: &[&ApiKey]) -> Service {
    let ring = Arc::new(KeyRing::new(None));
    ring.refresh(&keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>());
    let rate = Rate { per_second: 0, burst: 0 };
    service.behind(GateSettings { rate, public: Vec::new(), reach: Reach::Beyond }, &ring)
}

#[tokio::test]
async fn an_order_of_a_file_is_one_order_whichever_key_the_import_comes_with() {
    let service = Service::start().await;
    assert_eq!(import(&service, None, false, FILE).await, [2, 0, 0]);
    let scopes = [Scope::OrdersRead, Scope::OrdersWrite, Scope::OrdersImport];
    let (first, first_stored) = api_key(1, "import", &scopes);
    let (second, second_stored) = api_key(2, "another", &scopes);
    let service = guarded(service, &[&first_stored, &second_stored]);
    let more = format!("{FILE}9,eve,2026-01-06,CHAI,1,18.00\n");
    for (key, file, expected) in [
        (&first, FILE, [0, 2, 0]),
        (&second, FILE, [0, 2, 0]),
        (&second, &more, [1, 2, 0]),
        (&first, &more, [0, 3, 0]),
    ] {
        assert_eq!(import(&service, Some(key), true, file).await, expected, "a dry run");
        assert_eq!(import(&service, Some(key), false, file).await, expected, "as the dry run said");
    }
    assert_eq!(here(&service).await.len(), 3);
}

/// As an import of earlier builds placed it: in the name of its key.
async fn placed_by(service: &Service, source: &str, reference: &str) {
    let command = CreateOrderCommand {
        order_id: OrderId(uuid::Uuid::from_u128(1)),
        caller: Caller::new(source.into(), source.into()),
        key: None,
        customer_id: CustomerId::parse("ann").expect("a customer"),
        lines: vec![CreateOrderLine {
            sku: Sku::parse("CHAI").expect("a sku"),
            quantity: Quantity::try_from(2).expect("a quantity"),
            unit_price: Some(Money::new(1800, domain::Currency::parse("USD").expect("a currency"))),
        }],
        ordered_at: None,
        external_reference: Some(reference.to_owned()),
        payment_token: None,
        total: None,
        money_lines: Vec::new(),
        details: None,
        holds: Vec::new(),
        when_short: None,
        traceparent: None,
    };
    let reply = service.api.create.submit(command).await;
    assert!(matches!(reply, Ok(CreateOrderReply::Created(_))), "{reply:?}");
}

#[tokio::test]
async fn an_order_that_was_imported_in_the_name_of_a_key_is_found() {
    let service = Service::start().await;
    placed_by(&service, "the shop", "import-mine-7").await;
    assert_eq!(import(&service, None, true, FILE).await, [1, 1, 0]);
    assert_eq!(import(&service, None, false, FILE).await, [1, 1, 0]);
    assert_eq!(here(&service).await.len(), 2);
}

#[tokio::test]
async fn only_who_may_import_speaks_for_an_import() {
    let (shop, shop_stored) = api_key(1, "import", &[Scope::OrdersRead, Scope::OrdersWrite]);
    let (importer, stored) = api_key(2, "files", &[Scope::OrdersWrite, Scope::OrdersImport]);
    let service = guarded(Service::start().await, &[&shop_stored, &stored]);
    send(&service, Some(&shop), false, FILE).await.problem(403, "scope_missing");
    let order = |reference: &str| {
        json!({"customer_id": "ann", "external_reference": reference, "lines": [{"sku": "CHAI", "quantity": 2}]}).to_string()
    };
    let placed = async |key: &KeyText, import: &str, reference: &str| {
        let text = key.expose();
        let headers = [JSON, ("x-api-key", &*text), ("order-import", import)];
        service.send(request(Method::POST, "/orders", &headers, order(reference).into())).await
    };
    placed(&shop, "true", "import-mine-7").await.problem(403, "scope_missing");
    for reference in ["import-mine-7", "import-", "import-x"] {
        let refused = placed(&shop, "false", reference).await.problem(422, "validation_failed");
        let reserved = [("/external_reference".to_owned(), "reserved_reference".to_owned())];
        assert_eq!(places(&refused), reserved, "{reference}");
    }
    placed(&importer, "true", "mine-7").await.problem(422, "validation_failed");
    placed(&shop, "false", "imports-7").await.expect(201);
    assert_eq!(import(&service, Some(&importer), false, FILE).await, [2, 0, 0]);
    let again = placed(&importer, "true", "import-mine-7").await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, Some("true")));
}

/// One order of so many lines, and then these rows.
fn long(lines: usize, more: &str) -> String {
    let rows = "1,ann,2026-01-05,CHAI,1,18.00\n".repeat(lines);
    format!("no,who,when,what,many,each\n{rows}{more}")
}

/// What a dry run says and then a real one does, which must be the same; and the last line of the latter.
async fn both(service: &Service, file: &str) -> ([u64; 3], Value) {
    let dry = import(service, None, true, file).await;
    let report = send(service, None, false, file).await.expect(200);
    let real = ["created", "replayed", "rejected"].map(|what| report[what].as_u64().expect("a number"));
    assert_eq!(dry, real, "{}", report["file"]["verdict"]);
    (real, report["file"].clone())
}

#[tokio::test]
async fn no_part_of_a_long_order_is_sent_before_all_are_looked_at() {
    let service = Service::start().await;
    let gone = json!({"products": [{"sku": "GONE", "name": "Gone", "price": {"minor": 1, "currency": "USD"},
        "availability": "discontinued"}]});
    service.put_products(&gone).await.expect(200);
    for bad in ["1,ann,2026-01-05,GONE,1,18.00\n", "1,ann,2026-01-05,CHAI,2,9999999999999.99\n"] {
        // In the first part and in the last: whichever is sent first, the other may be the wrong one.
        let first = long(0, &format!("{bad}{}", "1,ann,2026-01-05,CHAI,1,18.00\n".repeat(1_000)));
        for file in [first, long(1_000, bad)] {
            let (counts, told) = both(&service, &file).await;
            assert_eq!((counts, here(&service).await), ([0, 0, 1], Vec::new()), "{bad}");
            assert_eq!(told["verdict"], "Nothing was imported: all 1001 rows were rejected.");
        }
    }
    assert_eq!(both(&service, &long(1_001, "")).await.0, [1, 0, 0]);
    assert_eq!(both(&service, &long(1_001, "")).await.0, [0, 1, 0]);
    let parts = [("import-mine-1".to_owned(), 1_800_000), ("import-mine-1 (part 2)".to_owned(), 1_800)];
    let mut orders = here(&service).await;
    orders.sort();
    assert_eq!(orders, parts);
}

#[tokio::test]
async fn an_order_that_is_here_whole_is_not_taken_again_in_parts_nor_the_other_way_round() {
    for (before, after) in
        [(1_000, 1_001), (5, 1_001), (1_001, 1_000), (2_001, 2_000), (2_000, 2_001), (1_001, 5)]
    {
        let service = Service::start().await;
        assert_eq!(both(&service, &long(before, "")).await.0, [1, 0, 0]);
        let orders = here(&service).await;
        let (counts, file) = both(&service, &long(after, "")).await;
        assert_eq!(
            (counts, here(&service).await),
            ([0, 0, 1], orders),
            "{before}, then {after}: {}",
            file["verdict"]
        );
        assert_eq!(file["told"][0]["why"], "changed_since_import");
        assert_eq!(both(&service, &long(before, "")).await.0, [0, 1, 0], "what is here stays");
    }
}

#[tokio::test]
async fn an_import_that_was_interrupted_between_two_parts_goes_on() {
    let service = Service::start().await;
    let part = json!({"customer_id": "ann", "external_reference": "import-mine-1 (part 2)", "lines":
        [{"sku": "CHAI", "quantity": 1, "unit_price": {"minor": 1800, "currency": "USD"}}]});
    let headers = [JSON, ("order-import", "true")];
    service.send(request(Method::POST, "/orders", &headers, part.to_string().into())).await.expect(201);
    let full = long(1_000, "");
    assert_eq!(both(&service, &full).await.0, [0, 0, 1], "it was longer");
    assert_eq!(both(&service, &long(1_001, "")).await.0, [1, 0, 0]);
    assert_eq!(here(&service).await.len(), 2);
}
