//! What a carrier says of parcels.

use super::*;

#[tokio::test]
async fn a_parcel_of_another_order_is_no_answer() {
    for (member, value) in [("reference", "order-2"), ("key", "ship-2")] {
        let body = format!(
            r#"{{"id":"sh_1","tracking_number":"T1","carrier":"C","status":"booked","{member}":"{value}"}}"#
        );
        let server = Server::with([say(201, &body)]).await;
        let outcome = server.carrier().create_shipment(&booking()).await;
        assert!(is_unknown(&outcome), "{member}: {outcome:?}");
    }
}

/// The body of the one request.
async fn booked_with(request: &BookingRequest) -> serde_json::Value {
    let server = Server::with([say(201, &shipment_json("booked"))]).await;
    server.carrier().create_shipment(request).await.expect("it is booked");
    let asked = server.requests().remove(0);
    let (_, body) = asked.split_once("\r\n\r\n").expect("it has a body");
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test]
async fn the_carrier_is_told_what_is_in_the_parcel_and_nothing_that_is_not_known() {
    assert_eq!(booked_with(&booking()).await, serde_json::json!({"reference": "order-1"}));
    let price = Money::new(1250, Currency::parse("USD").unwrap());
    let item = |sku: &str, shipping| ParcelItem {
        sku: Sku::parse(sku).unwrap(),
        name: format!("A {sku}"),
        quantity: 3,
        unit_price: price,
        shipping,
    };
    let shirt = ShippingFacts {
        weight_g: Some(180),
        length_mm: Some(300),
        width_mm: Some(200),
        height_mm: Some(20),
        hs_code: Some("6109.10".to_owned()),
        origin_country: Some("PT".to_owned()),
    };
    let known = BookingRequest { items: vec![item("shirt", shirt)], ..booking() };
    let price = serde_json::json!({"minor": 1250, "currency": "USD"});
    let told = serde_json::json!({"reference": "order-1", "weight_g": 540, "items": [
        {"sku": "shirt", "name": "A shirt", "quantity": 3, "unit_price": price, "weight_g": 180, "length_mm": 300,
            "width_mm": 200, "height_mm": 20, "hs_code": "6109.10", "origin_country": "PT"},
    ]});
    assert_eq!(booked_with(&known).await, told);
    let unknown = BookingRequest { items: vec![item("mug", ShippingFacts::default())], ..booking() };
    let told = serde_json::json!({"reference": "order-1", "items": [
        {"sku": "mug", "name": "A mug", "quantity": 3, "unit_price": price},
    ]});
    assert_eq!(booked_with(&unknown).await, told);
}

#[tokio::test]
async fn a_booking_ends_as_the_provider_says() {
    let booked = BookingOutcome::Booked { tracking_number: "T1".to_owned(), carrier: "C".to_owned() };
    let refused = |code: &str| BookingOutcome::Refused { code: code.to_owned() };
    let cases = [
        (201, shipment_json("booked"), Ok(booked.clone())),
        (200, shipment_json("in_transit"), Ok(booked)),
        (422, r#"{"code":"address_rejected"}"#.to_owned(), Ok(refused("address_rejected"))),
        (400, String::new(), Err(unknown("answered 400"))),
        (409, r#"{"code":"key_closed"}"#.to_owned(), Ok(BookingOutcome::Closed)),
        (409, r#"{"code":"in_progress"}"#.to_owned(), Err(unknown("answered 409 in_progress"))),
        (502, String::new(), Err(unknown("answered 502"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, &body)]).await;
        assert_eq!(server.carrier().create_shipment(&booking()).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_parcel_is_where_the_provider_says() {
    let tracking_number = "T1".to_owned();
    let carrier = "C".to_owned();
    let booked =
        TrackingOutcome::Booked { tracking_number: tracking_number.clone(), carrier: carrier.clone() };
    let cases = [
        (200, shipment_json("booked"), Ok(booked.clone())),
        (200, shipment_json("in_transit"), Ok(booked)),
        (200, shipment_json("delivered"), Ok(TrackingOutcome::Delivered { tracking_number, carrier })),
        (200, shipment_json("cancelled"), Ok(TrackingOutcome::Cancelled)),
        (200, shipment_json("rejected"), Ok(TrackingOutcome::UnknownKey)),
        (404, r#"{"code":"unknown_key"}"#.to_owned(), Ok(TrackingOutcome::UnknownKey)),
        (404, String::new(), Err(unknown("answered 404"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, &body)]).await;
        assert_eq!(server.carrier().look_up("ship-1").await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn a_parcel_can_be_called_off_until_it_is_handed_over() {
    let cases = [
        (200, r#"{"outcome":"cancelled"}"#, Ok(ShipmentCancelOutcome::Cancelled)),
        (409, r#"{"code":"already_handed_over"}"#, Ok(ShipmentCancelOutcome::AlreadyHandedOver)),
        (200, r#"{"outcome":"perhaps"}"#, Err(unknown(""))),
        (400, "", Err(unknown("answered 400"))),
        (400, r#"{"code":"invalid_request"}"#, Err(refused("protocol_400"))),
    ];
    for (status, body, expected) in cases {
        let server = Server::with([say(status, body)]).await;
        let outcome = server.carrier().cancel("ship-1").await;
        match expected {
            Err(Unanswered::Unknown { .. }) => assert!(is_unknown(&outcome), "{outcome:?}"),
            expected => assert_eq!(outcome, expected, "{status} {body}"),
        }
    }
}
