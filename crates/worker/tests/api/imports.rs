//! Imports: row by row, repeatable, whichever way they are written, and never all or nothing.

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Service, request};

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
