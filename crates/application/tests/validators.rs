//! What a client may write: everything wrong is told at once, each thing with its place, and nothing sound is refused.

use domain::OrderId;
use domain::text::composed;
use orderwright_application::commands::Violation;
use orderwright_application::messages::Amount;
use orderwright_application::ports::Caller;
use orderwright_application::validators::{KEY_BYTES_MAX, LineDraft, OrderDraft, validate_order};
use proptest::prelude::*;

fn draft() -> OrderDraft {
    OrderDraft {
        customer_id: "ALFKI".to_owned(),
        lines: vec![LineDraft { sku: "CHAI".to_owned(), quantity: 2, unit_price: None }],
        ..OrderDraft::default()
    }
}

fn validate(draft: &OrderDraft) -> Result<(), Vec<(String, &'static str)>> {
    let order_id = OrderId(uuid::Uuid::nil());
    let places =
        |violations: Vec<Violation>| violations.into_iter().map(|it| (it.pointer, it.code)).collect();
    validate_order(draft, order_id, &Caller::without_key()).map(drop).map_err(places)
}

fn refused_for(draft: &OrderDraft) -> Vec<(String, &'static str)> {
    validate(draft).expect_err("this draft is not sound")
}

#[test]
fn a_reference_that_looks_the_same_is_the_same() {
    let of = |reference: &str| {
        let mut draft = draft();
        draft.external_reference = Some(reference.to_owned());
        let command = validate_order(&draft, OrderId(uuid::Uuid::nil()), &Caller::without_key());
        command.expect("it is sound").external_reference
    };
    assert_eq!(of("Bu\u{308}ro-7"), of("B\u{fc}ro-7"));
    assert_ne!(of("Buro-7"), of("B\u{fc}ro-7"));
}

#[test]
fn a_sku_that_looks_the_same_is_the_same() {
    let of = |sku: &str| {
        let mut draft = draft();
        sku.clone_into(&mut draft.lines[0].sku);
        let command = validate_order(&draft, OrderId(uuid::Uuid::nil()), &Caller::without_key());
        command.expect("it is sound").lines[0].sku.as_str().to_owned()
    };
    assert_eq!(of("Bu\u{308}ro-7"), "B\u{fc}ro-7");
    assert_eq!(of("\u{b5c}"), "\u{b21}\u{b3c}", "a letter that Unicode never composes");
}

#[test]
fn a_sound_draft_becomes_the_command_that_it_describes() {
    let mut sound = draft();
    sound.ordered_at = Some("1996-07-04T00:00:00Z".to_owned());
    sound.external_reference = Some("10248".to_owned());
    let price = Amount { minor: 1_800, currency: "EUR".to_owned() };
    sound.lines[0].unit_price = Some(price.clone());
    let shop = Caller::new("1".into(), "shop".into());
    let command = validate_order(&sound, OrderId(uuid::Uuid::max()), &shop).expect("it is sound");
    assert_eq!(command.order_id, OrderId(uuid::Uuid::max()));
    assert_eq!((command.key, command.caller), (None, shop));
    assert_eq!(command.customer_id.as_str(), "ALFKI");
    assert_eq!(command.external_reference.as_deref(), Some("10248"));
    assert_eq!(command.ordered_at.map(jiff::Timestamp::as_second), Some(836_438_400));
    let line = &command.lines[0];
    assert_eq!((line.sku.as_str(), line.quantity.get()), ("CHAI", 2));
    assert_eq!(line.unit_price.map(Amount::from), Some(price));
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_the_document() {
    let wrong = OrderDraft {
        customer_id: String::new(),
        lines: vec![
            LineDraft { sku: " ".to_owned(), quantity: 0, unit_price: None },
            LineDraft {
                sku: "CHAI".to_owned(),
                quantity: -3,
                unit_price: Some(Amount { minor: -1, currency: "XX".to_owned() }),
            },
        ],
        payment_token: Some(String::new()),
        external_reference: Some("x".repeat(KEY_BYTES_MAX + 1)),
        ordered_at: Some("yesterday".to_owned()),
        ..OrderDraft::default()
    };
    let expected = [
        ("/customer_id", "invalid_customer_id"),
        ("/lines/0/sku", "invalid_sku"),
        ("/lines/0/quantity", "invalid_quantity"),
        ("/lines/1/quantity", "invalid_quantity"),
        ("/lines/1/unit_price/minor", "negative_price"),
        ("/lines/1/unit_price/currency", "invalid_currency"),
        ("/payment_token", "empty"),
        ("/external_reference", "too_long"),
        ("/ordered_at", "invalid_time"),
    ];
    assert_eq!(refused_for(&wrong), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
}

#[test]
fn an_order_has_lines_but_not_without_end() {
    let mut none = draft();
    none.lines.clear();
    assert_eq!(refused_for(&none), [("/lines".to_owned(), "no_lines")]);
    let mut full = draft();
    full.lines = vec![full.lines[0].clone(); domain::LINES_MAX];
    assert_eq!(validate(&full), Ok(()));
    full.lines.push(full.lines[0].clone());
    assert_eq!(refused_for(&full), [("/lines".to_owned(), "too_many_lines")]);
}

#[test]
fn a_price_of_nothing_is_a_price() {
    let mut free = draft();
    free.lines[0].unit_price = Some(Amount { minor: 0, currency: "JPY".to_owned() });
    assert_eq!(validate(&free), Ok(()));
}

#[test]
fn a_member_that_nobody_knows_is_not_ignored() {
    let text = r#"{"customer_id":"A","lines":[{"sku":"B","quantity":1,"qty":2}]}"#;
    let error = serde_json::from_str::<OrderDraft>(text).expect_err("`qty` is no member of a line");
    assert!(error.to_string().contains("qty"), "{error}");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Z]{1,8}", "\\PC{0,80}", Just(String::new()), "x{60,300}"]
}

fn any_draft() -> impl Strategy<Value = OrderDraft> {
    let price = (any::<i64>(), prop_oneof![Just("EUR".to_owned()), any_text()])
        .prop_map(|(minor, currency)| Amount { minor, currency });
    let line = (any_text(), prop_oneof![1_i64..10, any::<i64>()], proptest::option::of(price))
        .prop_map(|(sku, quantity, unit_price)| LineDraft { sku, quantity, unit_price });
    let optional = || proptest::option::of(any_text());
    (any_text(), proptest::collection::vec(line, 0..4), optional(), optional(), optional()).prop_map(
        |(customer_id, lines, payment_token, external_reference, ordered_at)| OrderDraft {
            customer_id,
            lines,
            payment_token,
            external_reference,
            ordered_at,
            ..OrderDraft::default()
        },
    )
}

proptest! {
    #[test]
    fn no_draft_is_too_strange_and_what_is_accepted_is_kept_as_it_looks(draft in any_draft()) {
        match validate_order(&draft, OrderId(uuid::Uuid::nil()), &Caller::without_key()) {
            Ok(command) => {
                prop_assert_eq!(command.lines.len(), draft.lines.len());
                prop_assert_eq!(command.customer_id.as_str(), &draft.customer_id);
                for (line, wish) in command.lines.iter().zip(&draft.lines) {
                    prop_assert_eq!(line.sku.as_str(), composed(&wish.sku));
                    prop_assert_eq!(i64::from(line.quantity), wish.quantity);
                    prop_assert_eq!(line.unit_price.map(Amount::from), wish.unit_price.clone());
                }
            }
            Err(violations) => {
                prop_assert!(!violations.is_empty());
                for violation in violations {
                    prop_assert!(violation.pointer.starts_with('/') && !violation.message.is_empty());
                }
            }
        }
    }

    #[test]
    fn mending_all_that_was_told_makes_a_draft_sound(draft in any_draft()) {
        let mut mended = draft;
        for (pointer, _) in validate(&mended).err().unwrap_or_default() {
            mend(&mut mended, &pointer);
        }
        prop_assert_eq!(validate(&mended), Ok(()), "{:?}", mended);
    }
}

/// Replaces what stands at the pointer by something sound.
fn mend(draft: &mut OrderDraft, pointer: &str) {
    let mut parts = pointer.split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("customer_id"), ..) => "ALFKI".clone_into(&mut draft.customer_id),
        (Some("payment_token"), ..) => draft.payment_token = None,
        (Some("external_reference"), ..) => draft.external_reference = None,
        (Some("ordered_at"), ..) => draft.ordered_at = None,
        (Some("lines"), Some(index), Some(member)) => {
            let index: usize = index.parse().expect("a pointer into the lines has an index");
            let line = &mut draft.lines[index];
            match member {
                "sku" => "CHAI".clone_into(&mut line.sku),
                "quantity" => line.quantity = 1,
                _ => line.unit_price = None,
            }
        }
        _ => draft.lines = vec![LineDraft { sku: "CHAI".to_owned(), quantity: 1, unit_price: None }],
    }
}
