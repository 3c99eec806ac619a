//! What the rows of an order say beside who wants what, put together.

use application::countries::country;
use application::order_details::{Address, Contact, OrderDetails};

use super::super::Mapping;
use super::super::mapping::{AddressKind, AddressPart, ContactPart, Detail};

/// Puts together what the fields say; an empty one says nothing.
///
/// # Errors
/// What is wrong with an address, and what to do about it.
pub(super) fn order_details<'a>(
    said: impl Iterator<Item = (Detail, &'a str)>,
    mapping: &Mapping,
) -> Result<OrderDetails, String> {
    let mut details = OrderDetails::default();
    let (mut contact, mut shipping, mut billing) =
        (Contact::default(), Address::default(), Address::default());
    for (detail, field) in said.filter(|(_, field)| !field.is_empty()) {
        match detail {
            Detail::Contact(ContactPart::Name) => append(&mut contact.name, field),
            Detail::Contact(ContactPart::Email) => append(&mut contact.email, field),
            Detail::Contact(ContactPart::Phone) => append(&mut contact.phone, unguarded(field)),
            Detail::Address(AddressKind::Shipping, part) => put(&mut shipping, part, field, mapping)?,
            Detail::Address(AddressKind::Billing, part) => put(&mut billing, part, field, mapping)?,
            Detail::Note => append(&mut details.order_note, field),
            Detail::Tags => {
                let tags = field.split(',').map(str::trim).filter(|tag| !tag.is_empty());
                details.tags.extend(tags.map(str::to_owned));
            }
        }
    }
    details.contact = (contact != Contact::default()).then_some(contact);
    details.shipping_address = whole(shipping, AddressKind::Shipping, mapping)?;
    details.billing_address = whole(billing, AddressKind::Billing, mapping)?;
    Ok(details)
}

fn put(address: &mut Address, part: AddressPart, field: &str, mapping: &Mapping) -> Result<(), String> {
    match part {
        AddressPart::Name => append(&mut address.name, field),
        AddressPart::Company => append(&mut address.company, field),
        AddressPart::Line => {
            let lines = field.lines().map(str::trim).filter(|line| !line.is_empty());
            address.lines.extend(lines.map(str::to_owned));
        }
        AddressPart::City => append(&mut address.city, field),
        AddressPart::Region => append(&mut address.region, field),
        AddressPart::PostalCode => append(&mut address.postal_code, unguarded(field)),
        AddressPart::Country => {
            let named = mapping.countries.get(field).map(String::as_str);
            let code = named.or_else(|| country(field)).ok_or_else(|| {
                format!(
                    "'{field}' is no country by its two letters of ISO 3166-1 or its English name; say which it is under \
                     [countries] in the mapping: \"{field}\" = \"DE\""
                )
            })?;
            code.clone_into(&mut address.country);
        }
    }
    Ok(())
}

/// An address with its country; none if nothing of it is said.
fn whole(mut address: Address, kind: AddressKind, mapping: &Mapping) -> Result<Option<Address>, String> {
    if address == Address::default() {
        return Ok(None);
    }
    if address.country.is_empty() {
        let (missing, table) = (mapping.address(kind).country_missing.clone(), kind.table());
        address.country = missing.ok_or_else(|| {
            format!(
                "the address '{address}' names no country; say country_missing under [{table}] in the mapping"
            )
        })?;
    }
    Ok(Some(address))
}

/// Adds the text of one more column.
fn append(slot: &mut Option<String>, field: &str) {
    match slot {
        Some(text) => {
            text.push(' ');
            text.push_str(field);
        }
        None => *slot = Some(field.to_owned()),
    }
}

/// A code without the apostrophe that keeps a spreadsheet from taking it for a number.
fn unguarded(field: &str) -> &str {
    match field.strip_prefix('\'') {
        Some(code) if code.starts_with(|c: char| c.is_ascii_digit() || c == '+') => code,
        Some(_) | None => field,
    }
}
