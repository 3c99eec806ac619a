//! Validation of input: all violations are reported at once, each with a JSON pointer and a code. Parses into the
//! domain's types; nothing behind it handles unparsed input.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::text::{Lines, composed, refuse};
use domain::{
    AMOUNT_MINOR_MAX, Currency, CustomerId, HoldPoint, LINES_MAX, MONEY_LINES_MAX, Money, MoneyLine,
    MoneyLineKind, OrderId, Quantity, Sku, WhenShort,
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::commands::{CreateOrderCommand, CreateOrderLine, HoldWish, OrderChanges, Violation};
use crate::countries::{is_country, not_a_country};
use crate::messages::Amount;
use crate::order_details::{
    ADDRESS_LINES_MAX, Address, Contact, METADATA_MAX, MoneyLineView, OrderDetails, TAGS_MAX,
    money_line_kinds,
};
use crate::ports::{Caller, IMPORTED};

/// Longest idempotency key, payment token or external reference, in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// Most holds that an order may have from the beginning.
pub const HOLDS_AT_FIRST_MAX: usize = 10;

/// An order as a client writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderDraft {
    /// The customer.
    pub customer_id: String,
    /// The requested lines.
    pub lines: Vec<LineDraft>,
    /// How the customer pays, in the gateway's terms.
    #[serde(default)]
    pub payment_token: Option<String>,
    /// Another system's name for it.
    #[serde(default)]
    pub external_reference: Option<String>,
    /// When the customer ordered, RFC 3339.
    #[serde(default)]
    pub ordered_at: Option<String>,
    /// What it comes to in all, as the caller reckons.
    #[serde(default)]
    pub total: Option<Amount>,
    /// Whom to reach about it.
    #[serde(default)]
    pub contact: Option<Contact>,
    /// Where the goods go.
    #[serde(default)]
    pub shipping_address: Option<Address>,
    /// Whom the bill is for.
    #[serde(default)]
    pub billing_address: Option<Address>,
    /// What it costs beside the goods.
    #[serde(default)]
    pub money_lines: Vec<MoneyLineView>,
    /// Words of the shop's own.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What the customer or the shop has to say.
    #[serde(default)]
    pub order_note: Option<String>,
    /// What the shop wants to remember.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The holds that it is to have from the beginning.
    #[serde(default)]
    pub holds: Vec<HoldDraft>,
    /// What becomes of it if its goods are short.
    #[serde(default)]
    pub when_short: Option<String>,
}

/// A hold of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldDraft {
    /// The step that it keeps the order from: `payment` or `shipping`.
    pub before: String,
    /// Why.
    pub reason: String,
}

impl OrderDraft {
    /// What it says beside who wants what; none if nothing.
    #[must_use]
    pub fn details(&self) -> Option<OrderDetails> {
        let details = OrderDetails {
            contact: self.contact.clone().filter(|contact| *contact != Contact::default()),
            shipping_address: self.shipping_address.clone(),
            billing_address: self.billing_address.clone(),
            money_lines: self.money_lines.clone(),
            tags: self.tags.clone(),
            order_note: self.order_note.clone(),
            metadata: self.metadata.clone(),
        };
        (!details.is_empty()).then_some(details)
    }
}

/// A draft that says this, and wants nothing yet.
impl From<OrderDetails> for OrderDraft {
    fn from(details: OrderDetails) -> Self {
        let OrderDetails {
            contact,
            shipping_address,
            billing_address,
            money_lines,
            tags,
            order_note,
            metadata,
        } = details;
        Self {
            contact,
            shipping_address,
            billing_address,
            money_lines,
            tags,
            order_note,
            metadata,
            ..Self::default()
        }
    }
}

/// One line of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineDraft {
    /// The product.
    pub sku: String,
    /// Units.
    #[serde(deserialize_with = "crate::whole_number::read")]
    pub quantity: i64,
    /// The agreed price; the catalogue's if none.
    #[serde(default)]
    pub unit_price: Option<Amount>,
}

/// Collects violations while values are parsed.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(Violation { pointer: pointer.into(), code, message: message.into() });
    }

    fn take<T, E: std::fmt::Display>(
        &mut self,
        pointer: &str,
        code: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        parsed.map_err(|error| self.add(pointer, code, error.to_string())).ok()
    }
}

/// Parses a draft into a command without a key, or lists every violation.
///
/// # Errors
/// All violations, in the order of the document.
pub fn validate_order(
    draft: &OrderDraft,
    order_id: OrderId,
    caller: &Caller,
) -> Result<CreateOrderCommand, Vec<Violation>> {
    let mut findings = Findings::default();
    let customer_id =
        findings.take("/customer_id", "invalid_customer_id", CustomerId::parse(&draft.customer_id));
    let lines = lines(&draft.lines, &mut findings);
    check_text("/payment_token", draft.payment_token.as_deref(), &mut findings);
    check_text("/external_reference", draft.external_reference.as_deref(), &mut findings);
    check_reference(draft.external_reference.as_deref(), caller, &mut findings);
    let ordered_at = draft
        .ordered_at
        .as_deref()
        .and_then(|text| findings.take("/ordered_at", "invalid_time", text.parse::<Timestamp>()));
    let total = draft.total.as_ref().and_then(|total| amount("/total", total, &mut findings));
    let details = draft.details();
    let money_lines =
        details.as_ref().map(|details| check_details(details, &mut findings)).unwrap_or_default();
    let holds = holds(&draft.holds, &mut findings);
    let when_short = draft
        .when_short
        .as_deref()
        .and_then(|text| findings.take("/when_short", "unknown_value", when_short(text)));
    match customer_id {
        Some(customer_id) if findings.0.is_empty() => Ok(CreateOrderCommand {
            order_id,
            caller: caller.clone(),
            key: None,
            customer_id,
            lines,
            ordered_at,
            // Composed, so that what looks the same is the same.
            external_reference: draft.external_reference.as_deref().map(|text| composed(text).into_owned()),
            payment_token: draft.payment_token.clone(),
            total,
            money_lines,
            details: details.map(Arc::new),
            holds,
            when_short,
            traceparent: None,
        }),
        Some(_) | None => Err(findings.0),
    }
}

/// Checks what is to be changed of an order, or lists every violation.
///
/// # Errors
/// All violations, in the order of the document.
pub fn validate_changes(changes: &OrderChanges) -> Result<(), Vec<Violation>> {
    let (details, _) = changes.made_to(&OrderDetails::default());
    let mut findings = Findings::default();
    check_details(&details, &mut findings);
    if findings.0.is_empty() { Ok(()) } else { Err(findings.0) }
}

fn holds(drafts: &[HoldDraft], findings: &mut Findings) -> Vec<HoldWish> {
    check_count("/holds", drafts.len(), HOLDS_AT_FIRST_MAX, findings);
    let drafts = drafts.iter().take(HOLDS_AT_FIRST_MAX).enumerate();
    drafts.filter_map(|(index, draft)| hold(index, draft, findings)).collect()
}

fn hold(index: usize, draft: &HoldDraft, findings: &mut Findings) -> Option<HoldWish> {
    check_text(&format!("/holds/{index}/reason"), Some(&draft.reason), findings);
    let before = hold_point(&draft.before);
    let before = findings.take(&format!("/holds/{index}/before"), "unknown_value", before)?;
    Some(HoldWish { before, reason: draft.reason.clone() })
}

/// Checks why an order is to wait.
///
/// # Errors
/// What is wrong with it.
pub fn hold_reason(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("1 to {KEY_BYTES_MAX} bytes in one line"));
    }
    let mut findings = Findings::default();
    check_text("", Some(text), &mut findings);
    match findings.0.into_iter().next() {
        Some(violation) => Err(violation.message),
        None => Ok(()),
    }
}

/// What this says about goods that are short.
///
/// # Errors
/// What it would have to be.
fn when_short(text: &str) -> Result<WhenShort, String> {
    let known: Vec<&str> = WhenShort::ALL.iter().map(|choice| choice.as_str()).collect();
    text.parse().map_err(|_| format!("one of {}, not '{text}'", known.join(", ")))
}

/// The step that this names.
///
/// # Errors
/// What it would have to be.
pub fn hold_point(text: &str) -> Result<HoldPoint, String> {
    let known: Vec<&str> = HoldPoint::ALL.iter().map(|point| point.as_str()).collect();
    text.parse().map_err(|_| format!("an order waits before {}, not '{text}'", known.join(" or ")))
}

fn lines(drafts: &[LineDraft], findings: &mut Findings) -> Vec<CreateOrderLine> {
    if drafts.is_empty() {
        findings.add("/lines", "no_lines", "an order has at least one line");
    }
    if drafts.len() > LINES_MAX {
        findings.add(
            "/lines",
            "too_many_lines",
            format!("an order has at most {LINES_MAX} lines, not {}", drafts.len()),
        );
        return Vec::new();
    }
    drafts.iter().enumerate().filter_map(|(index, draft)| line(index, draft, findings)).collect()
}

fn line(index: usize, draft: &LineDraft, findings: &mut Findings) -> Option<CreateOrderLine> {
    let at = |member: &str| format!("/lines/{index}/{member}");
    let sku = findings.take(&at("sku"), "invalid_sku", Sku::parse(&draft.sku));
    let quantity = findings.take(&at("quantity"), "invalid_quantity", Quantity::try_from(draft.quantity));
    let price = draft.unit_price.as_ref().map(|amount| price(index, amount, findings));
    let unit_price = match price {
        None => None,
        Some(parsed) => Some(parsed?),
    };
    Some(CreateOrderLine { sku: sku?, quantity: quantity?, unit_price })
}

fn price(index: usize, amount: &Amount, findings: &mut Findings) -> Option<Money> {
    let at = |member: &str| format!("/lines/{index}/unit_price/{member}");
    if amount.minor < 0 {
        findings.add(
            at("minor"),
            "negative_price",
            format!("a price is not negative, this is {}", amount.minor),
        );
    }
    if amount.minor > AMOUNT_MINOR_MAX {
        let limit = format!("a price is at most {AMOUNT_MINOR_MAX} minor units, this is {}", amount.minor);
        findings.add(at("minor"), "price_too_high", limit);
    }
    let currency = findings.take(&at("currency"), "invalid_currency", Currency::parse(&amount.currency))?;
    (0..=AMOUNT_MINOR_MAX).contains(&amount.minor).then(|| Money::new(amount.minor, currency))
}

/// Checks what an order says beside who wants what, and takes its money lines.
fn check_details(details: &OrderDetails, findings: &mut Findings) -> Vec<MoneyLine> {
    for (pointer, text, bytes_max, lines) in details.texts() {
        match text.len() {
            0 => findings.add(&pointer, "empty", "leave it out rather than empty"),
            length if length > bytes_max => {
                findings.add(&pointer, "too_long", format!("at most {bytes_max} bytes, this has {length}"));
            }
            _ => {}
        }
        if let Err(error) = refuse(text, lines) {
            findings.add(&pointer, "forbidden_character", error.to_string());
        }
    }
    let counts = [
        ("/tags", details.tags.len(), TAGS_MAX),
        ("/metadata", details.metadata.len(), METADATA_MAX),
        ("/money_lines", details.money_lines.len(), MONEY_LINES_MAX),
    ];
    for (pointer, count, most) in counts {
        check_count(pointer, count, most, findings);
    }
    let addresses =
        [("shipping_address", &details.shipping_address), ("billing_address", &details.billing_address)];
    for (place, address) in addresses {
        let Some(Address { lines, country, .. }) = address else { continue };
        check_count(&format!("/{place}/lines"), lines.len(), ADDRESS_LINES_MAX, findings);
        if !is_country(country) {
            findings.add(format!("/{place}/country"), "unknown_country", not_a_country(country));
        }
    }
    let lines = details.money_lines.iter().take(MONEY_LINES_MAX).enumerate();
    lines.filter_map(|(index, line)| money_line(index, line, findings)).collect()
}

fn check_count(pointer: &str, count: usize, most: usize, findings: &mut Findings) {
    if count > most {
        findings.add(pointer, "too_many", format!("at most {most}, these are {count}"));
    }
}

fn money_line(index: usize, line: &MoneyLineView, findings: &mut Findings) -> Option<MoneyLine> {
    let at = format!("/money_lines/{index}");
    let kind = line.kind.parse::<MoneyLineKind>().map_err(|_| {
        let message = format!("a money line is one of {}, not '{}'", money_line_kinds(), line.kind);
        findings.add(format!("{at}/kind"), "unknown_value", message);
    });
    let amount = amount(&format!("{at}/amount"), &line.amount, findings);
    Some(MoneyLine { kind: kind.ok()?, amount: amount? })
}

/// An amount that is not negative and in bounds.
fn amount(pointer: &str, amount: &Amount, findings: &mut Findings) -> Option<Money> {
    let is_within = (0..=AMOUNT_MINOR_MAX).contains(&amount.minor);
    if !is_within {
        let message = format!("from 0 to {AMOUNT_MINOR_MAX} minor units, this is {}", amount.minor);
        findings.add(format!("{pointer}/minor"), "out_of_range", message);
    }
    let currency = findings.take(
        &format!("{pointer}/currency"),
        "invalid_currency",
        Currency::parse(&amount.currency),
    )?;
    is_within.then(|| Money::new(amount.minor, currency))
}

/// What an import calls an order is one order's, whichever key sends it; so nothing else may give such a reference, and an
/// import no other.
fn check_reference(reference: Option<&str>, caller: &Caller, findings: &mut Findings) {
    let imported = reference.is_some_and(|reference| composed(reference).starts_with(IMPORTED));
    let message = match (imported, caller.is_import()) {
        (true, true) | (false, false) => return,
        (true, false) => format!("'{IMPORTED}' is how references of imports begin; choose another one"),
        (false, true) => format!("an imported order has a reference that begins with '{IMPORTED}'"),
    };
    findings.add("/external_reference", "reserved_reference", message);
}

fn check_text(pointer: &str, text: Option<&str>, findings: &mut Findings) {
    match text.map(str::len) {
        Some(0) => findings.add(pointer, "empty", "leave it out rather than empty"),
        Some(length) if length > KEY_BYTES_MAX => {
            findings.add(pointer, "too_long", format!("at most {KEY_BYTES_MAX} bytes, this has {length}"));
        }
        Some(_) | None => {}
    }
    if let Some(error) = text.and_then(|text| refuse(text, Lines::One).err()) {
        findings.add(pointer, "forbidden_character", error.to_string());
    }
}
