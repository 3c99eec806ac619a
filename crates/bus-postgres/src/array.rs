//! Whole columns as parameters: a set of rows goes to the database as one array for each column, encoded as it is gathered.
//! Knows nothing of tables.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

/// A column of values in PostgreSQL's binary form.
#[derive(Debug)]
pub struct Array {
    element: Type,
    count: i32,
    nulls: Nulls,
    bytes: BytesMut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nulls {
    None,
    Some,
}

impl Array {
    /// A column of ids without rows yet.
    pub fn of_uuids() -> Self {
        Self::new(Type::UUID)
    }

    /// A column of text without rows yet.
    pub fn of_texts() -> Self {
        Self::new(Type::TEXT)
    }

    /// A column of numbers, amounts or times without rows yet.
    pub fn of_numbers() -> Self {
        Self::new(Type::INT8)
    }

    /// A column of bytes without rows yet.
    pub fn of_bytes() -> Self {
        Self::new(Type::BYTEA)
    }

    /// Ids.
    pub fn uuids(values: impl IntoIterator<Item = Uuid>) -> Self {
        Self::collect(Self::of_uuids(), values, Self::push_uuid)
    }

    /// Texts.
    pub fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        Self::collect(Self::of_texts(), values, Self::push_text)
    }

    /// Texts, some of which may be missing.
    pub fn texts_or_null<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        Self::collect(Self::of_texts(), values, Self::push_text_or_null)
    }

    /// Numbers.
    pub fn numbers(values: impl IntoIterator<Item = i64>) -> Self {
        Self::collect(Self::of_numbers(), values, Self::push_number)
    }

    /// Moments, as microseconds since the epoch.
    pub fn times(values: impl IntoIterator<Item = Timestamp>) -> Self {
        Self::collect(Self::of_numbers(), values, Self::push_time)
    }

    /// Bytes.
    pub fn bytes<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::collect(Self::of_bytes(), values, Self::push_bytes)
    }

    /// Adds an id.
    pub fn push_uuid(&mut self, value: Uuid) {
        self.push(value.as_bytes());
    }

    /// Adds an id, or none.
    pub fn push_uuid_or_null(&mut self, value: Option<Uuid>) {
        match value {
            Some(value) => self.push_uuid(value),
            None => self.push_null(),
        }
    }

    /// Adds a text.
    pub fn push_text(&mut self, value: &str) {
        self.push(value.as_bytes());
    }

    /// Adds a text, or none.
    pub fn push_text_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.push_text(value),
            None => self.push_null(),
        }
    }

    /// Adds a number.
    pub fn push_number(&mut self, value: i64) {
        self.push(&value.to_be_bytes());
    }

    /// Adds a number, or none.
    pub fn push_number_or_null(&mut self, value: Option<i64>) {
        match value {
            Some(value) => self.push_number(value),
            None => self.push_null(),
        }
    }

    /// Adds a moment.
    pub fn push_time(&mut self, value: Timestamp) {
        self.push_number(value.as_microsecond());
    }

    /// Adds bytes.
    pub fn push_bytes(&mut self, value: &[u8]) {
        self.push(value);
    }

    /// Whether it has no rows.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn new(element: Type) -> Self {
        Self { element, count: 0, nulls: Nulls::None, bytes: BytesMut::new() }
    }

    fn collect<T>(mut into: Self, values: impl IntoIterator<Item = T>, push: fn(&mut Self, T)) -> Self {
        for value in values {
            push(&mut into, value);
        }
        into
    }

    fn push(&mut self, value: &[u8]) {
        let length = i32::try_from(value.len()).expect("a value is far smaller than 2 GiB");
        self.bytes.put_i32(length);
        self.bytes.put_slice(value);
        self.count += 1;
    }

    fn push_null(&mut self) {
        self.bytes.put_i32(-1);
        self.nulls = Nulls::Some;
        self.count += 1;
    }
}

impl ToSql for Array {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let dimensions = i32::from(self.count > 0);
        out.put_i32(dimensions);
        out.put_i32(i32::from(self.nulls == Nulls::Some));
        out.put_u32(self.element.oid());
        if dimensions == 1 {
            out.put_i32(self.count);
            out.put_i32(1);
            out.put_slice(&self.bytes);
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}
