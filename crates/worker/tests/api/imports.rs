//! Imports: row by row, repeatable, whichever way they are written, and never all or nothing.

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Service, pairs, places, request};

const CSV: &str = "order_ref,customer_id,ordered_at,sku,quantity,unit_price_minor,currency
10248,VINET,2025-07-04T00:00:00Z,CHAI,12,1400,USD
10249,TOMSP,,TOFU,9,,
10248,VINET,,TOFU,1,980,USD
10250,HANAR,,NONE,1,,
";

async fn import(service: &Service, kind: &str, body: impl Into<Body>) -> Answer {
    service.send(request(Method::POST, "/imports", &[("content-type", kind)], body.into())).await
}

fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let items = report["results"].as_array().expect("results");
    items
        .iter()
        .map(|item| (item["order_ref"].as_str().expect("a text"), item["outcome"].as_str().expect("a text")))
        .collect()
}

#[tokio::test]
async fn the_rows_of_an_order_make_one_order_and_a_bad_order_spoils_no_other() {
    let service = Service::start().await;
    let report = import(&service, "text/csv; charset=utf-8", CSV).await.expect(200);
    assert_eq!(outcomes(&report), [("10248", "created"), ("10249", "created"), ("10250", "rejected")]);
    assert_eq!(report["results"][2]["errors"][0]["code"], "unknown_sku");
    assert_eq!((report["created"].as_u64(), report["rejected"].as_u64()), (Some(2), Some(1)));
    let id = report["results"][0]["order_id"].as_str().expect("an id");
    let order = service.get(&format!("/orders/{id}")).await.expect(200);
    assert_eq!(order["external_reference"], "10248");
    assert_eq!(order["total"]["minor"], 12 * 1400 + 980);
    assert_eq!(order["ordered_at"], "2025-07-04T00:00:00Z");
}

const IN_JSON: &str = r#"[
    {"external_reference": "10248", "customer_id": "VINET", "ordered_at": "2025-07-04T00:00:00Z", "lines": [
        {"sku": "CHAI", "quantity": 12, "unit_price": {"minor": 1400, "currency": "USD"}},
        {"sku": "TOFU", "quantity": 1, "unit_price": {"minor": 980, "currency": "USD"}}]},
    {"external_reference": "10249", "customer_id": "TOMSP", "lines": [{"sku": "TOFU", "quantity": 9}]},
    {"external_reference": "10250", "customer_id": "HANAR", "lines": [{"sku": "NONE", "quantity": 1}]}
]"#;

#[tokio::test]
async fn json_is_taken_as_every_other_way_of_writing_is() {
    let service = Service::start().await;
    let wrapped = format!("{{\"orders\": {IN_JSON}}}");
    for body in [IN_JSON, &wrapped] {
        let as_rows = Service::start().await;
        let expected = import(&as_rows, "text/csv", CSV).await.expect(200);
        let service = Service::start().await;
        let report = import(&service, "application/json; charset=utf-8", body.to_owned()).await.expect(200);
        assert_eq!(outcomes(&report), outcomes(&expected));
        let lines: Vec<&Value> =
            report["results"].as_array().expect("results").iter().map(|one| &one["line"]).collect();
        assert_eq!(lines, [2, 5, 6]);
        assert_eq!(report["results"][2]["errors"], expected["results"][2]["errors"]);
        let again = import(&service, "application/json", body.to_owned()).await.expect(200);
        assert_eq!(outcomes(&again), [("10248", "replayed"), ("10249", "replayed"), ("10250", "rejected")]);
        let rows = import(&service, "text/csv", CSV).await.expect(200);
        assert_eq!(outcomes(&rows), outcomes(&again), "the same orders as rows are the same orders");
    }
    // What is no order spoils no other; what is no list of orders is refused as a whole.
    let mixed = r#"{"orders": [7, {"external_reference": "1", "customer_id": "A", "lines": [], "x": 1},
        {"external_reference": "2", "customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]}]}"#;
    let report = import(&service, "application/json", mixed).await.expect(200);
    assert_eq!(outcomes(&report), [("", "rejected"), ("1", "rejected"), ("2", "created")]);
    for (body, place) in [
        (r#"{"orders": {}}"#, ("/orders", "wrong_type")),
        (r#"{"orders": [], "mapping": "x"}"#, ("/mapping", "unknown_member")),
        ("{}", ("/orders", "missing")),
        ("7", ("", "wrong_type")),
    ] {
        let problem = import(&service, "application/json", body).await.problem(422, "validation_failed");
        assert_eq!(places(&problem), pairs(&[place]), "{body}");
    }
    import(&service, "application/json", "[{]").await.problem(400, "malformed_json");
}

#[tokio::test]
async fn an_import_repeated_changes_nothing() {
    let service = Service::start().await;
    let first = import(&service, "text/csv", CSV).await.expect(200);
    let again = import(&service, "text/csv", CSV).await.expect(200);
    assert_eq!(outcomes(&again), [("10248", "replayed"), ("10249", "replayed"), ("10250", "rejected")]);
    assert_eq!(again["results"][0]["order_id"], first["results"][0]["order_id"]);
    assert_eq!(service.get("/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(2));
    let other = "order_ref,customer_id,sku,quantity\n10249,TOMSP,TOFU,8\n";
    assert_eq!(outcomes(&import(&service, "text/csv", other).await.expect(200)), [("10249", "rejected")]);
}

#[tokio::test]
async fn the_same_order_is_the_same_whichever_way_it_is_written() {
    let service = Service::start().await;
    import(&service, "text/csv", CSV).await.expect(200);
    let line = json!({"external_reference": "10249", "customer_id": "TOMSP", "lines": [{"quantity": 9, "sku": "TOFU"}]});
    let report = import(&service, "application/x-ndjson", format!("\n{line}\r\n")).await.expect(200);
    assert_eq!(outcomes(&report), [("10249", "replayed")]);
    assert_eq!(report["results"][0]["row"], 2);
}

#[tokio::test]
async fn lines_that_make_no_sense_are_told_one_by_one() {
    let service = Service::start().await;
    let good =
        json!({"external_reference": "a", "customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]});
    let nameless = json!({"customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]});
    let formless =
        json!({"external_reference": "b", "customer_id": 7, "lines": [{"sku": "CHAI", "quantity": 0}]});
    let body = format!("{good}\n{{oops\n{nameless}\n{formless}\n");
    let report = import(&service, "application/ndjson", body).await.expect(200);
    assert_eq!(outcomes(&report), [("a", "created"), ("", "rejected"), ("", "rejected"), ("b", "rejected")]);
    assert_eq!(report["results"][1]["errors"][0]["code"], "malformed_json");
    assert_eq!(report["results"][2]["errors"][0]["pointer"], "/external_reference");
    assert_eq!(report["results"][3]["errors"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn rows_that_contradict_each_other_or_hold_no_numbers_are_told_with_their_numbers() {
    let service = Service::start().await;
    let body = "order_ref,customer_id,ordered_at,sku,quantity,unit_price_minor,currency
1,A,,CHAI,many,,
1,B,2025-01-01T00:00:00Z,CHAI,1,5,
,C,,CHAI,1,,
";
    let report = import(&service, "text/csv", body).await.expect(200);
    assert_eq!(outcomes(&report), [("1", "rejected"), ("", "rejected")]);
    let errors = report["results"][0]["errors"].as_array().expect("errors");
    let pointers: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert_eq!(pointers, ["/lines/0/quantity", "/customer_id", "/ordered_at", "/lines/1/unit_price"]);
    assert!(errors[1]["detail"].as_str().is_some_and(|detail| detail.contains("line 3")), "{report}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_its_own_order_back_whichever_way_lines_end() {
    for end in ["\n", "\r\n", "\r"] {
        let service = Service::start().await;
        let rows = [
            "order_ref,customer_id,sku,quantity",
            "1,A,CHAI,1",
            "2,A,\"CHAI,1",
            "3,A,CHAI,1",
            "3,,TOFU,1,more",
            "",
            "4,A,CHAI,1",
            ",,TOFU,2",
            "2,A,TOFU,1",
        ];
        let body = rows.join(end);
        let report = import(&service, "text/csv", body.clone()).await.expect(200);
        let expected = [("1", "created"), ("2", "rejected"), ("3", "rejected"), ("4", "created")];
        assert_eq!(outcomes(&report), expected, "{end:?}");
        let lines: Vec<u64> = report["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["line"].as_u64())
            .collect();
        assert_eq!(lines, [2, 3, 4, 7], "{end:?}");
        let told = report["results"][2]["errors"][0]["detail"].as_str().expect("a text");
        assert!(told.contains("line 5"), "{told}");
        let mended = body.replace('"', "").replace(",more", "");
        let report = import(&service, "text/csv", mended).await.expect(200);
        let expected = [("1", "replayed"), ("2", "created"), ("3", "created"), ("4", "replayed")];
        assert_eq!(outcomes(&report), expected, "{end:?}");
        let id = report["results"][3]["order_id"].as_str().expect("an id").to_owned();
        let order = service.get(&format!("/orders/{id}")).await.expect(200);
        assert_eq!(order["lines"].as_array().map(Vec::len), Some(2), "a row that names no order goes on");
    }
    let service = Service::start().await;
    let body = b"order_ref,customer_id,sku,quantity\n1,A,CHAI,1\n1,A,CH\xffAI,1\n2,A,CHAI,1\n".to_vec();
    let report = import(&service, "text/csv", body).await.expect(200);
    assert_eq!(outcomes(&report), [("1", "rejected"), ("2", "created")]);
}

#[tokio::test]
async fn a_header_without_the_needed_columns_is_refused_as_a_whole() {
    let service = Service::start().await;
    let problem =
        import(&service, "text/csv", "order_ref,colour\n1,red\n").await.problem(422, "validation_failed");
    let codes: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["code"].as_str())
        .collect();
    assert_eq!(codes, ["missing_column", "missing_column", "missing_column", "unknown_column"]);
    assert_eq!(import(&service, "text/csv", "").await.problem(422, "validation_failed")["retryable"], false);
}

#[tokio::test]
async fn a_large_import_is_all_answered_in_order() {
    let service = Service::start().await;
    let mut body = String::new();
    for number in 0..3_000 {
        let order = json!({"external_reference": format!("r{number}"), "customer_id": "A", "lines": [{"sku": "CHAI", "quantity": 1}]});
        body.push_str(&order.to_string());
        body.push('\n');
    }
    let report = import(&service, "application/x-ndjson", body).await.expect(200);
    assert_eq!(report["created"], 3_000);
    let rows: Vec<u64> = report["results"]
        .as_array()
        .expect("results")
        .iter()
        .filter_map(|item| item["row"].as_u64())
        .collect();
    assert!(rows.iter().copied().eq(1..=3_000));
}

/// The exports of shops that the mappings which come with the program read, without faults.
const EXPORTS: [(&str, &str); 8] = [
    ("northwind", include_str!("../exports/northwind.csv")),
    ("uci-online-retail", include_str!("../exports/uci-online-retail.csv")),
    ("shopify", include_str!("../exports/shopify.csv")),
    ("woocommerce", include_str!("../exports/woocommerce.csv")),
    ("magento", include_str!("../exports/magento.csv")),
    ("amazon", include_str!("../exports/amazon.csv")),
    ("ebay", include_str!("../exports/ebay.csv")),
    ("etsy", include_str!("../exports/etsy.csv")),
];

/// Skus of the exports, by their currency.
const SOLD: [(&str, &[&str]); 3] = [
    ("USD", &["NW-011", "NW-042", "NW-014", "NW-041", "NW-051", "MUG", "CUP", "LAMP"]),
    ("GBP", &["85123A", "22633", "71053", "84879", "22745", "22960"]),
    ("EUR", &["LAMP-1", "BULB-1", "CUP-1", "WS-03", "WS-04", "953", "954", "AM-MUG", "AM-CUP"]),
];

async fn stocked() -> Service {
    let service = Service::start().await;
    let products: Vec<Value> = SOLD
        .iter()
        .flat_map(|(currency, skus)| {
            skus.iter().map(move |sku| {
                json!({"sku": sku, "name": sku, "price": {"minor": 100, "currency": currency}, "stock": 1_000})
            })
        })
        .collect();
    service.put_products(&json!({"products": products})).await.expect(200);
    service
}

async fn mapped(service: &Service, mapping: &str, more: &str, body: impl Into<Body>) -> Value {
    let path = format!("/imports?mapping={mapping}{more}");
    let headers = [("content-type", "text/csv")];
    service.send(request(Method::POST, &path, &headers, body.into())).await.expect(200)
}

/// Each order with what became of it, or would.
fn told(report: &Value) -> Vec<(String, String)> {
    outcomes(report).into_iter().map(|(order, outcome)| (order.to_owned(), outcome.to_owned())).collect()
}

/// The orders that are here, with their sums.
async fn here(service: &Service) -> Vec<(String, i64)> {
    let listed = service.get("/orders?limit=200").await.expect(200);
    let items = listed["items"].as_array().expect("items");
    let mut orders: Vec<(String, i64)> = items
        .iter()
        .map(|order| {
            let reference = order["external_reference"].as_str().expect("a text").to_owned();
            (reference, order["total"]["minor"].as_i64().expect("a number"))
        })
        .collect();
    orders.sort();
    orders
}

#[tokio::test]
async fn a_dry_run_tells_of_every_mapping_what_is_then_done() {
    for (mapping, export) in EXPORTS {
        let service = stocked().await;
        let none_there = here(&service).await;
        let dry = mapped(&service, mapping, "&dry_run=true", export).await;
        assert_eq!((here(&service).await, &dry["file"]["dry_run"]), (none_there, &json!(true)), "{mapping}");
        let real = mapped(&service, mapping, "", export).await;
        assert_eq!(told(&dry), told(&real), "{mapping}");
        assert_eq!(
            here(&service).await.len() as u64,
            real["created"].as_u64().expect("a number"),
            "{mapping}"
        );
        assert!(real["created"].as_u64() > Some(0), "{mapping}: {real}");
        for more in ["&dry_run=true", ""] {
            let again = mapped(&service, mapping, more, export).await;
            assert_eq!((&again["created"], &again["replayed"]), (&json!(0), &real["created"]), "{mapping}");
        }
        let changed =
            export.replacen(",12,", ",13,", 1).replacen(",6,", ",7,", 1).replacen(",2.0000,", ",3.0000,", 1);
        let dry = mapped(&service, mapping, "&dry_run=true", changed.clone()).await;
        assert_eq!(told(&dry), told(&mapped(&service, mapping, "", changed).await), "{mapping}");
    }
}

#[tokio::test]
async fn an_import_makes_no_product_and_no_stock() {
    let service = Service::start().await;
    let report = mapped(&service, "magento", "", EXPORTS[4].1).await;
    assert_eq!((&report["created"], &report["rejected"]), (&json!(0), &json!(3)));
    let told = report["results"][0]["errors"][0]["detail"].as_str().expect("a text");
    assert!(
        told.contains("no product has the sku 'WS-03'; add it to the catalogue with PUT /products"),
        "{told}"
    );
    assert_eq!(service.get("/products").await.expect(200)["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_order_that_its_shop_has_cancelled_or_paid_back_is_cancelled_here_too() {
    for (word, mapping, export) in [
        ("canceled", "magento", EXPORTS[4].1),
        ("closed", "magento", EXPORTS[4].1),
        ("refunded", "shopify", EXPORTS[2].1),
    ] {
        let service = stocked().await;
        let paid = if mapping == "shopify" { "paid" } else { "processing" };
        mapped(&service, mapping, "", export).await;
        let revoked = export.replacen(paid, word, if mapping == "shopify" { 1 } else { 2 });
        let dry = mapped(&service, mapping, "&dry_run=true", revoked.clone()).await;
        let real = mapped(&service, mapping, "", revoked.clone()).await;
        for report in [dry, real] {
            let cancelled = &report["file"]["tally"]["rows_cancelling"]["cancelled"];
            assert_eq!((cancelled, &report["replayed"]), (&json!(2), &json!(2)), "{word}: {report}");
            assert_eq!(report["file"]["told"][0]["why"], "cancelled");
        }
        let again = mapped(&service, mapping, "", revoked).await;
        assert_eq!(again["file"]["tally"]["orders_cancelled"], 0, "{again}");
    }
}

#[tokio::test]
async fn whichever_way_a_file_is_written_or_packed_it_is_read() {
    let service = Service::start().await;
    let marked: Vec<u8> = format!("\u{feff}{CSV}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, CSV.as_bytes()).expect("memory takes it");
    let packed = packed.finish().expect("memory takes it");
    let expected = |report: &Value| {
        let orders: Vec<String> = outcomes(report).iter().map(|(order, _)| (*order).to_owned()).collect();
        assert_eq!(orders, ["10248", "10249", "10250"], "{report}");
        assert_eq!(report["rejected"], 1, "{report}");
    };
    for body in
        [marked, packed.clone(), CSV.replace(',', ";").into_bytes(), CSV.replace('\n', "\r").into_bytes()]
    {
        expected(&import(&service, "text/csv", body).await.expect(200));
    }
    let headers = [("content-type", "text/csv"), ("content-encoding", "gzip")];
    expected(
        &service.send(request(Method::POST, "/imports", &headers, packed.clone().into())).await.expect(200),
    );
    let broken_off = packed[..packed.len() - 9].to_vec();
    import(&service, "text/csv", broken_off).await.problem(422, "validation_failed");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..=128 {
        std::io::Write::write_all(&mut bomb, &[b' '; 1024 * 1024]).expect("memory takes it");
    }
    let bomb = bomb.finish().expect("memory takes it");
    import(&service, "text/csv", bomb).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_row_without_its_number_keeps_back_what_it_could_belong_to() {
    let service = Service::start().await;
    let rows = ["order_ref,customer_id,sku,quantity", "1,A,CHAI,1", "1,A,TOFU,1", "2,B,CHAI,1", "3,C,CHAI,1"];
    for broken in [",A,TOFU,1", "1\u{200b},A,TOFU,1", "A,TOFU,1", "x,1,A,TOFU,1", "1\",A,TOFU,1"] {
        let body = rows.join("\n").replace("1,A,TOFU,1", broken) + "\n";
        let report = import(&service, "text/csv", body).await.expect(200);
        let rejected: Vec<&str> = outcomes(&report)
            .into_iter()
            .filter(|(_, it)| *it == "rejected")
            .map(|(order, _)| order)
            .collect();
        assert_eq!(rejected, ["1"], "{broken}: {report}");
        let told = report["results"][0]["errors"][0]["detail"].as_str().expect("a text");
        assert!(told.contains("line 3"), "{told}");
    }
}

#[tokio::test]
async fn a_mapping_of_ones_own_and_what_cannot_be_one() {
    use base64::Engine;
    let service = Service::start().await;
    let own = "name = \"mine\"\ncurrency = \"USD\"\nprice_unit = \"major\"\ntime_format = \"%Y-%m-%d\"\n[columns]\n\
               order = \"no\"\ncustomer = \"who\"\nordered_at = \"when\"\nsku = \"what\"\nquantity = \"many\"\nprice = \"each\"\n";
    let own = base64::engine::general_purpose::STANDARD.encode(own);
    let file = "no|who|when|what|many|each\n7|ann|2026-01-05|CHAI|2|18.00\n";
    let headers = [("content-type", "text/csv"), ("import-mapping", own.as_str())];
    let report = service.send(request(Method::POST, "/imports", &headers, file.into())).await.expect(200);
    assert_eq!(told(&report), [("7".to_owned(), "created".to_owned())]);
    assert_eq!(here(&service).await, [("import-mine-7".to_owned(), 3_600)]);
    let headers = [("content-type", "text/csv"), ("import-mapping", "bmFtZQ==")];
    let refused = service.send(request(Method::POST, "/imports", &headers, file.into())).await;
    assert_eq!(refused.problem(422, "validation_failed")["errors"][0]["code"], "invalid_mapping");
    let headers = [("content-type", "text/csv")];
    for path in ["/imports?mapping=other", "/imports?mapping=shopify&dry_run=perhaps"] {
        service
            .send(request(Method::POST, path, &headers, file.into()))
            .await
            .problem(400, "invalid_parameter");
    }
    let refused =
        service.send(request(Method::POST, "/imports?mapping=shopify", &headers, file.into())).await;
    assert_eq!(refused.problem(422, "validation_failed")["errors"][0]["code"], "unreadable_file");
    let workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let headers = [("content-type", workbook)];
    let damaged = "PK\u{3}\u{4} and nothing more";
    for path in ["/imports", "/imports?mapping=shopify"] {
        service
            .send(request(Method::POST, path, &headers, damaged.into()))
            .await
            .problem(422, "validation_failed");
    }
}
