//! Columns of what an order says beside who wants what: whom to reach, where the goods go, a note, tags.

use anyhow::{Result, bail};
use application::countries::is_country;
use serde::Deserialize;

use super::Mapping;

/// Columns of whom to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContactColumns {
    /// Their name, of one column or several.
    pub name: Vec<String>,
    /// Their mail address.
    pub email: Option<String>,
    /// Their telephone number.
    pub phone: Option<String>,
}

/// Columns of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressColumns {
    /// The person, of one column or several.
    pub name: Vec<String>,
    /// The company.
    pub company: Option<String>,
    /// Street and number, or whatever stands there, of one column or several.
    pub lines: Vec<String>,
    /// The town.
    pub city: Option<String>,
    /// State, province or county.
    pub region: Option<String>,
    /// The postal code.
    pub postal_code: Option<String>,
    /// The country, by its two letters or its English name.
    pub country: Option<String>,
    /// The two letters of the country of an address that names none.
    pub country_missing: Option<String>,
}

/// What a column is of what an order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Detail {
    Contact(ContactPart),
    Address(AddressKind, AddressPart),
    Note,
    Tags,
}

/// A member of whom to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum ContactPart {
    Name,
    Email,
    Phone,
}

/// Which of an order's two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum AddressKind {
    Shipping,
    Billing,
}

impl AddressKind {
    pub(in crate::import) const ALL: [Self; 2] = [Self::Shipping, Self::Billing];

    /// Its table in a mapping.
    pub(in crate::import) const fn table(self) -> &'static str {
        match self {
            Self::Shipping => "shipping_address",
            Self::Billing => "billing_address",
        }
    }
}

/// A member of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum AddressPart {
    Name,
    Company,
    Line,
    City,
    Region,
    PostalCode,
    Country,
}

impl Mapping {
    /// The columns of an address.
    pub(in crate::import) const fn address(&self, kind: AddressKind) -> &AddressColumns {
        match kind {
            AddressKind::Shipping => &self.shipping_address,
            AddressKind::Billing => &self.billing_address,
        }
    }

    /// Each column of what an order says, in the order in which its texts are put together.
    pub(in crate::import) fn details(&self) -> Vec<(Detail, &str)> {
        let ContactColumns { name, email, phone } = &self.contact;
        let contact = parts(name, ContactPart::Name)
            .chain(email.iter().map(|column| (ContactPart::Email, column.as_str())))
            .chain(phone.iter().map(|column| (ContactPart::Phone, column.as_str())))
            .map(|(part, column)| (Detail::Contact(part), column));
        let address = |kind| {
            let columns = self.address(kind).columns();
            columns.map(move |(part, column)| (Detail::Address(kind, part), column))
        };
        let note = self.columns.note.iter().map(|column| (Detail::Note, column.as_str()));
        let tags = self.columns.tags.iter().map(|column| (Detail::Tags, column.as_str()));
        contact.chain(AddressKind::ALL.into_iter().flat_map(address)).chain(note).chain(tags).collect()
    }
}

fn one(part: AddressPart, column: &Option<String>) -> Option<(AddressPart, &str)> {
    column.as_deref().map(|column| (part, column))
}

impl AddressColumns {
    fn columns(&self) -> impl Iterator<Item = (AddressPart, &str)> {
        let Self { name, company, lines, city, region, postal_code, country, country_missing: _ } = self;
        let rest = [
            one(AddressPart::City, city),
            one(AddressPart::Region, region),
            one(AddressPart::PostalCode, postal_code),
            one(AddressPart::Country, country),
        ];
        parts(name, AddressPart::Name)
            .chain(one(AddressPart::Company, company))
            .chain(parts(lines, AddressPart::Line))
            .chain(rest.into_iter().flatten())
    }

    /// Refuses columns from which no address can be made.
    pub(super) fn check(&self, table: &str) -> Result<()> {
        if *self == Self::default() {
            return Ok(());
        }
        if let Some(code) = self.country_missing.as_ref().filter(|code| !is_country(code)) {
            bail!("[{table}] country_missing = '{code}' must be two letters of ISO 3166-1, such as \"DE\"");
        }
        if self.country.is_none() && self.country_missing.is_none() {
            bail!("[{table}] needs country, the column of the country, or country_missing, its two letters");
        }
        Ok(())
    }
}

fn parts<P: Copy>(columns: &[String], part: P) -> impl Iterator<Item = (P, &str)> {
    columns.iter().map(move |column| (part, column.as_str()))
}
