//! Whatever bytes reach a parser from outside, it gives a value or an error: no panic, and no secret in what it says. The API's
//! bodies, webhooks, envelopes and sheets are held to the same beside their own tests.

use application::messages::*;
use bus::Message;
use orderwright::config::{Config, DatabaseAddress, Overrides};
use orderwright::import::Mapping;
use orderwright::security::KeyText;
use proptest::prelude::*;

/// Text with the words and signs that the parsers here care for.
fn nearly(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(words).prop_map(str::to_owned),
        proptest::sample::select(
            &["=", ".", "_", "__", "[", "]", "\"", "\n", "@", ":", "/", "?", "&", "{", "}", ","][..]
        )
        .prop_map(str::to_owned),
        "\\PC{0,3}",
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

/// Every message that is read from a queue.
fn decode_all(body: &[u8]) {
    let _ = OrderCreatedEvent::decode(OrderCreatedEvent::KIND, body);
    let _ = InventoryReservationRequested::decode(InventoryReservationRequested::KIND, body);
    let _ = PaymentProcessingRequested::decode(PaymentProcessingRequested::KIND, body);
    let _ = PaymentResult::decode(PaymentProcessed::KIND, body);
    let _ = PaymentResult::decode(PaymentFailed::KIND, body);
    let _ = PaymentResult::decode("anything", body);
    let _ = OrderShippingRequested::decode(OrderShippingRequested::KIND, body);
    let _ = ShippingCompleted::decode(ShippingCompleted::KIND, body);
    let _ = ShipmentTrackingRequested::decode(ShipmentTrackingRequested::KIND, body);
    let _ = ShipmentCancellationRequested::decode(ShipmentCancellationRequested::KIND, body);
    let _ = PaymentRefundRequested::decode(PaymentRefundRequested::KIND, body);
    let _ = NotificationDispatchRequested::decode(NotificationDispatchRequested::KIND, body);
    let _ = OrderTimeoutEvent::decode(ORDER_TIMEOUT_EVENT, body);
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_configuration_file_is_a_configuration_or_a_list_of_mistakes(
        text in nearly(&["listen", "limits", "order_ms", "providers", "webhook_secret", "webhook_secret_file", "profile", "true", "1e5"]),
        number in 0..u32::MAX,
    ) {
        let path = std::env::temp_dir().join(format!("orderwright-outside-{}-{number}.toml", std::process::id()));
        std::fs::write(&path, &text).expect("a file for the test");
        let loaded = Config::load(&Overrides { file: Some(path.clone()), ..Overrides::default() });
        std::fs::remove_file(&path).expect("the file is ours");
        if let Err(mistakes) = loaded {
            prop_assert!(!mistakes.0.is_empty() && mistakes.0.iter().all(|mistake| !mistake.contains('\n')), "{mistakes:?}");
        }
    }

    #[test]
    fn any_environment_is_a_configuration_or_a_list_of_mistakes(
        name in nearly(&["LISTEN", "LIMITS", "ORDER_MS", "NOTIFICATIONS", "WEBHOOK_URLS", "SECURITY", "PUBLIC", "DATABASE", "FILE"]),
        value in nearly(&["[\"a\"", "1", "true", "health", "postgres://"]),
    ) {
        let environment = vec![(format!("ORDERWRIGHT__{}", name.replace('=', "")), value)];
        let _ = Config::load(&Overrides { environment, ..Overrides::default() });
    }

    #[test]
    fn no_address_of_a_database_shows_its_password(
        user in "[a-z]{1,5}", password in "[A-Z0-9@:/?&]{0,12}HUSH[A-Z0-9@:]{0,5}", rest in "[a-z]{1,5}(/[a-z]{0,4})?",
    ) {
        let address = DatabaseAddress::from(format!("postgres://{user}:{password}@{rest}"));
        prop_assert!(!address.to_string().contains("HUSH"), "{address}");
        let _ = address.place();
    }

    #[test]
    fn any_text_is_a_key_or_none(text in nearly(&["ow_", "0123456789", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])) {
        if let Some(key) = KeyText::parse(&text) {
            prop_assert_eq!(key.expose(), text);
        }
    }

    #[test]
    fn any_body_is_a_message_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..48),
        text in nearly(&["\"order_id\"", "\"00000000-0000-7000-8000-000000000000\"", "\"lines\"", "null", "\"total\"", "\"minor\""]),
    ) {
        decode_all(&bytes);
        decode_all(text.as_bytes());
        decode_all(format!("{{\"order_id\":\"00000000-0000-7000-8000-000000000000\",{text}}}").as_bytes());
    }

    #[test]
    fn any_mapping_is_one_or_an_error(text in nearly(&["[columns]", "order", "products", "time", "currency", "\"%Y\"", "name"]), number in 0..u32::MAX) {
        let path = std::env::temp_dir().join(format!("orderwright-mapping-{}-{number}.toml", std::process::id()));
        std::fs::write(&path, &text).expect("a file for the test");
        let _ = Mapping::named(&path.display().to_string());
        std::fs::remove_file(&path).expect("the file is ours");
    }
}
