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
