//! A file as a table: which encoding, which delimiter, where the headings are, and then row after row, each with the line of
//! the file in which it begins. Text is read as it comes and never held whole. Knows nothing of orders.

mod encoding;
mod layout;
mod places;
mod records;
mod workbook;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;

pub use encoding::Encoding;
pub(crate) use layout::DELIMITERS;
use layout::Layout;
pub(super) use places::{Places, Word};
use records::Cell;
pub use records::{Quoting, Record, Records};

use super::Mapping;
use super::damage::REMEDY;
use super::mapping::Custom;

/// What stands for characters that could not be read.
pub(crate) const UNREAD: char = '\u{fffd}';

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How a workbook begins.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// How a workbook of the time before 2007 begins.
const OLE: [u8; 4] = [0xd0, 0xcf, 0x11, 0xe0];

/// Where a table comes from. It is opened more than once.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// A file, plain or gzip.
    File(PathBuf),
    /// Bytes in memory.
    Bytes(&'a [u8]),
}

impl<'a> Source<'a> {
    /// The file there.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::File(path.to_owned())
    }

    /// Opens it, unpacked if it is gzip.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(&self) -> Result<Box<dyn BufRead + 'a>> {
        match self {
            Self::Bytes(bytes) => unpacked(*bytes).context("the bytes cannot be read"),
            Self::File(path) => {
                let open = || unpacked(BufReader::new(File::open(path)?));
                open().with_context(|| format!("cannot read {}", path.display()))
            }
        }
    }
}

fn unpacked<'a>(mut source: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let packed = source.fill_buf()?.starts_with(&GZIP);
    Ok(if packed { Box::new(BufReader::new(MultiGzDecoder::new(source))) } else { Box::new(source) })
}

/// A table whose headings are read.
pub(super) struct Table<'a> {
    /// Where each column is.
    pub places: Places,
    /// How a lone separator in numbers is meant.
    pub custom: Custom,
    /// What separates two fields; nothing in a workbook, whose cells have places.
    pub delimiter: Option<char>,
    /// What was found out about the file, for people.
    pub notes: Vec<String>,
    rows: Rows<'a>,
    footer_lines: usize,
    footer_prefixes: Vec<String>,
    /// Rows that are none if they turn out to be the last.
    held: VecDeque<Record>,
}

enum Rows<'a> {
    Text(Records<Box<dyn Read + 'a>>),
    Workbook(std::vec::IntoIter<Record>),
}

impl<'a> Table<'a> {
    /// Opens a table and reads its headings.
    ///
    /// # Errors
    /// If it cannot be read, or lacks a column.
    pub(super) fn open(source: &Source<'a>, mapping: &Mapping) -> Result<Self> {
        let begins = source.open()?.fill_buf().context("the file cannot be read")?[..].to_vec();
        if begins.starts_with(&OLE) {
            bail!("this is a workbook in the form of before 2007 (.xls); save it as .xlsx or .csv");
        }
        if begins.starts_with(&ZIP) {
            return Self::of_workbook(source, mapping);
        }
        Self::of_text(source, mapping)
    }

    fn of_workbook(source: &Source<'a>, mapping: &Mapping) -> Result<Self> {
        let workbook::Found { sheet, records } = {
            let decimal = mapping.numbers.decimal.unwrap_or('.');
            workbook::read(source.open()?, mapping.sheet.as_deref(), decimal)?
        };
        let mut rows = records.into_iter();
        let beginning: Vec<Record> = rows.as_slice().iter().take(layout::RECORDS_MAX).cloned().collect();
        let (places, at) = places::find(&beginning, mapping)?;
        let mut notes = vec![format!("workbook, sheet '{sheet}'")];
        notes.extend(places.notes());
        rows.nth(at);
        Ok(Self::with(places, Custom::Unknown, notes, Rows::Workbook(rows), mapping))
    }

    fn of_text(source: &Source<'a>, mapping: &Mapping) -> Result<Self> {
        let encoding = match mapping.encoding {
            Some(encoding) => encoding,
            None => Encoding::detect(source.open()?).context("the file cannot be read")?,
        };
        let layout = Layout::find(encoding.decode(source.open()?), mapping)?;
        let text: Box<dyn Read + 'a> = Box::new(encoding.decode(source.open()?));
        let mut records = Records::new(text, layout.delimiter, mapping.quoting);
        records.pass_over(layout.lines_before).context("the file cannot be read")?;
        records.record().context("the file cannot be read")?;
        records.expect_width(layout.places.width);
        let mut notes = vec![layout.in_words(encoding)];
        notes.extend(layout.places.notes());
        let custom = if layout.delimiter == b';' { Custom::Unknown } else { Custom::English };
        let delimiter = Some(char::from(layout.delimiter));
        let table = Self::with(layout.places, custom, notes, Rows::Text(records), mapping);
        Ok(Self { delimiter, ..table })
    }

    fn with(places: Places, custom: Custom, notes: Vec<String>, rows: Rows<'a>, mapping: &Mapping) -> Self {
        Self {
            places,
            custom,
            delimiter: None,
            notes,
            rows,
            footer_lines: mapping.footer_lines as usize,
            footer_prefixes: mapping.footer_prefixes.clone(),
            held: VecDeque::new(),
        }
    }

    /// The next row that has anything in it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn row(&mut self) -> Result<Option<Record>> {
        while let Some(record) = self.read()? {
            if record.is_blank() || self.is_footer(&record) {
                continue;
            }
            self.held.push_back(record);
            if self.held.len() > self.footer_lines {
                return Ok(self.held.pop_front());
            }
        }
        Ok(None)
    }

    /// Some programs count first and say behind it what they count.
    fn is_footer(&self, record: &Record) -> bool {
        let begins = |place: usize| {
            self.footer_prefixes.iter().any(|prefix| record.field(place).starts_with(&**prefix))
        };
        begins(0) || begins(1)
    }

    fn read(&mut self) -> Result<Option<Record>> {
        match &mut self.rows {
            Rows::Text(records) => records.record().context("the file cannot be read"),
            Rows::Workbook(records) => Ok(records.next().map(|record| without_damage(record, &self.places))),
        }
    }
}

/// The row; it has a fault if a name in it is none any more.
fn without_damage(mut record: Record, places: &Places) -> Record {
    let damaged = places.names().find_map(|(what, place)| {
        let (_, cell) = record.untrue.iter().find(|(at, _)| *at == place)?;
        Some((what, record.field(place), *cell))
    });
    record.fault = damaged.map(|(what, field, cell)| match cell {
        Cell::LongNumber => format!(
            "{what} is a number of more than 15 digits, of which the spreadsheet has lost the last; {REMEDY}"
        ),
        Cell::Date => format!("{what} is a day to the spreadsheet ({field}); {REMEDY}"),
        Cell::Truth => format!("{what} is '{field}' to the spreadsheet, true or false; {REMEDY}"),
    });
    record
}
