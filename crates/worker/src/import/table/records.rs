//! Splits text into records and fields, as RFC 4180 has it and as programs write it: any end of line, newlines in quotes, or
//! no quotes at all. Every record knows the line of the file in which it begins. Knows nothing of orders.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;

/// Bytes of one record. A quote that is never closed ends here, rather than with the memory.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Whether quotes hold fields together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quoting {
    /// They do.
    #[default]
    On,
    /// They are characters like any other.
    Off,
}

/// One record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Line of the file in which it begins, from 1.
    pub line: u64,
    /// Its fields.
    pub fields: Vec<String>,
    /// What is wrong with it as a record.
    pub fault: Option<String>,
    /// Whether the file ends with it, without the end of a line.
    pub unended: bool,
    /// Cells of a workbook that are no texts although what they show may be a name: their places, and what they are.
    pub untrue: Vec<(usize, Cell)>,
}

/// A cell that cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A number of more digits than spreadsheets keep.
    LongNumber,
    /// A day or a time.
    Date,
    /// True or false.
    Truth,
}

impl Record {
    /// The field there, without spaces around it.
    #[must_use]
    pub fn field(&self, place: usize) -> &str {
        self.fields.get(place).map_or("", |field| field.trim())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.fields.iter().all(|field| field.trim().is_empty())
    }
}

/// Reads records one by one.
pub struct Records<R> {
    source: BufReader<R>,
    delimiter: u8,
    quoting: Quoting,
    /// Line of the next byte.
    line: u64,
    after_return: bool,
    /// Read before, and to be read again.
    again: VecDeque<u8>,
    /// All of the record under way.
    raw: Vec<u8>,
    /// Delimiters and a newline within one field that are as many as a row has; none, if rows are of any width.
    row_delimiters: Option<usize>,
}

/// The bytes of a field, and the byte that ended it.
type Field = (Vec<u8>, Option<u8>);

/// How a record's text came to its end.
enum Ended {
    Well,
    /// A quote was opened that closes nothing.
    Astray,
}

impl<R: Read> Records<R> {
    /// Reads UTF-8 from there.
    pub fn new(source: R, delimiter: u8, quoting: Quoting) -> Self {
        Self {
            source: BufReader::new(source),
            delimiter,
            quoting,
            line: 1,
            after_return: false,
            again: VecDeque::new(),
            raw: Vec::new(),
            row_delimiters: None,
        }
    }

    /// From here on rows have so many fields. A quote that would hold as much as a whole row together has gone astray.
    pub fn expect_width(&mut self, fields: usize) {
        self.row_delimiters = fields.checked_sub(1).filter(|delimiters| *delimiters > 0);
    }

    /// Passes over so many lines of the file, whatever they hold.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn pass_over(&mut self, lines: u64) -> io::Result<()> {
        while self.line <= lines && self.byte()?.is_some() {
            self.raw.clear();
        }
        Ok(())
    }

    /// The next record; lines without anything are passed over.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn record(&mut self) -> io::Result<Option<Record>> {
        loop {
            let line = self.line;
            self.raw.clear();
            let mut fields = Vec::new();
            let ended = self.split(self.quoting, &mut fields)?;
            if self.raw.is_empty() {
                return Ok(None);
            }
            let record = match ended {
                Ended::Well => {
                    Record { line, fields, fault: None, unended: self.is_unended(), untrue: Vec::new() }
                }
                Ended::Astray => self.first_line_alone(line)?,
            };
            if record.fields.len() > 1 || !record.is_blank() {
                return Ok(Some(record));
            }
        }
    }

    /// A quote that went astray has swallowed what does not belong to it: only its own line is one record, as it stands.
    fn first_line_alone(&mut self, line: u64) -> io::Result<Record> {
        let raw = std::mem::take(&mut self.raw);
        // The newline of the line before may be the first byte of this record.
        self.after_return = raw.first() == Some(&b'\n');
        for byte in raw.iter().rev() {
            self.again.push_front(*byte);
        }
        self.line = line;
        let mut fields = Vec::new();
        self.split(Quoting::Off, &mut fields)?;
        let fault = "a quote is opened that is not closed before the next delimiter; write the quotes within a field twice, \
                     or quoting = \"off\" in the mapping if quotes mean nothing";
        Ok(Record {
            line,
            fields,
            fault: Some(fault.to_owned()),
            unended: self.is_unended(),
            untrue: Vec::new(),
        })
    }

    fn is_unended(&self) -> bool {
        !self.raw.ends_with(b"\n") && !self.raw.ends_with(b"\r")
    }

    fn split(&mut self, quoting: Quoting, fields: &mut Vec<String>) -> io::Result<Ended> {
        loop {
            let (field, end) = match self.field(quoting)? {
                Ok(ended) => ended,
                Err(Ended::Astray | Ended::Well) => return Ok(Ended::Astray),
            };
            fields.push(String::from_utf8_lossy(&field).into_owned());
            if end != Some(self.delimiter) {
                return Ok(Ended::Well);
            }
        }
    }

    /// One field, and what ended it: the delimiter, a newline, or nothing more.
    fn field(&mut self, quoting: Quoting) -> io::Result<Result<Field, Ended>> {
        let mut field = Vec::new();
        loop {
            let byte = self.byte()?;
            match byte {
                Some(b'"') if quoting == Quoting::On && field.iter().all(|byte| *byte == b' ') => {
                    return self.quoted();
                }
                Some(byte) if byte != self.delimiter && byte != b'\n' => field.push(byte),
                Some(_) | None => return Ok(Ok((field, byte))),
            }
            if self.raw.len() > RECORD_BYTES_MAX {
                let detail =
                    format!("a record is longer than {RECORD_BYTES_MAX} bytes, near line {}", self.line);
                return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
            }
        }
    }

    /// The rest of a field whose quote is open.
    fn quoted(&mut self) -> io::Result<Result<Field, Ended>> {
        let mut field = Vec::new();
        loop {
            match self.byte()? {
                Some(b'"') => match self.byte()? {
                    Some(b'"') => field.push(b'"'),
                    end => return self.closed(field, end),
                },
                Some(byte) => field.push(byte),
                None => return Ok(Err(Ended::Astray)),
            }
            if self.raw.len() > RECORD_BYTES_MAX {
                return Ok(Err(Ended::Astray));
            }
        }
    }

    /// Behind the closing quote only spaces may stand. Other text makes the quotes part of the field, if it is all in one
    /// line.
    fn closed(&mut self, field: Vec<u8>, mut end: Option<u8>) -> io::Result<Result<Field, Ended>> {
        let mut behind = Vec::new();
        while let Some(byte) = end.filter(|byte| *byte != self.delimiter && *byte != b'\n') {
            behind.push(byte);
            end = self.byte()?;
            if self.raw.len() > RECORD_BYTES_MAX {
                return Ok(Err(Ended::Astray));
            }
        }
        let delimiters = field.iter().filter(|byte| **byte == self.delimiter).count();
        let spans_lines = field.contains(&b'\n');
        if behind.iter().all(|byte| *byte == b' ') {
            let swallowed = spans_lines && self.row_delimiters.is_some_and(|row| delimiters >= row);
            return Ok(if swallowed { Err(Ended::Astray) } else { Ok((field, end)) });
        }
        if spans_lines || delimiters > 0 {
            return Ok(Err(Ended::Astray));
        }
        Ok(Ok(([b"\"", field.as_slice(), b"\"", &behind].concat(), end)))
    }

    /// The next byte; every end of a line is a newline.
    fn byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            let byte = match self.again.pop_front() {
                Some(byte) => byte,
                None => match self.fresh()? {
                    Some(byte) => byte,
                    None => return Ok(None),
                },
            };
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            self.raw.push(byte);
            match byte {
                b'\n' if after_return => {}
                b'\r' | b'\n' => {
                    self.line += 1;
                    return Ok(Some(b'\n'));
                }
                byte => return Ok(Some(byte)),
            }
        }
    }

    fn fresh(&mut self) -> io::Result<Option<u8>> {
        let waiting = self.source.fill_buf()?;
        let byte = waiting.first().copied();
        if byte.is_some() {
            self.source.consume(1);
        }
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str, delimiter: u8, quoting: Quoting) -> Vec<Record> {
        let mut records = Records::new(text.as_bytes(), delimiter, quoting);
        std::iter::from_fn(|| records.record().expect("memory can be read")).collect()
    }

    fn lines(text: &str) -> Vec<(u64, Vec<String>)> {
        all(text, b',', Quoting::On).into_iter().map(|record| (record.line, record.fields)).collect()
    }

    #[test]
    fn every_end_of_a_line_counts_as_one() {
        for end in ["\n", "\r", "\r\n"] {
            let text = ["a,b", "", "\"x", "y\",2", "", "c,d"].join(end);
            let expected = [(1, vec!["a", "b"]), (3, vec!["x\ny", "2"]), (6, vec!["c", "d"])];
            let expected =
                expected.map(|(line, fields)| (line, fields.into_iter().map(str::to_owned).collect()));
            assert_eq!(lines(&text), expected, "{end:?}");
        }
    }

    #[test]
    fn a_quote_that_goes_astray_spoils_its_own_line_and_no_other() {
        let found = all("1,\"Tea,2\n2,\"Mug\",3\n3,x,4\n", b',', Quoting::On);
        assert_eq!(found.iter().map(|record| record.line).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(found[0].fault.is_some() && found[1].fault.is_none() && found[2].fault.is_none());
        assert_eq!(found[1].fields, ["2", "Mug", "3"]);
        let never = all("1,\"Tea,2\n2,x,3\n", b',', Quoting::On);
        assert_eq!((never.len(), never[0].fault.is_some(), never[1].line), (2, true, 2));
    }

    #[test]
    fn quotes_are_characters_where_they_are_off_or_stand_within_a_field() {
        assert_eq!(all("\"5 nail\t2\n", b'\t', Quoting::Off)[0].fields, ["\"5 nail", "2"]);
        assert_eq!(
            all("6\" rule\t\"Big\" mug\t\"x\" \n", b'\t', Quoting::On)[0].fields,
            ["6\" rule", "\"Big\" mug", "x"]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_in_quotes_reads_back(
            rows in prop::collection::vec(prop::collection::vec("[a-z,\";\\n é]{0,6}", 2..5), 1..8),
            end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
        ) {
            let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\"").replace('\n', end));
            let text: String =
                rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + end).collect();
            let found = all(&text, b',', Quoting::On);
            let mut line = 1;
            prop_assert_eq!(found.len(), rows.len());
            for (record, row) in found.iter().zip(&rows) {
                prop_assert_eq!((&record.fields, record.line, &record.fault), (row, line, &None));
                line += 1 + row.iter().map(|field| field.matches('\n').count() as u64).sum::<u64>();
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_lose_a_line(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let found = all(&text, b',', Quoting::On);
            prop_assert!(found.windows(2).all(|pair| pair[0].line < pair[1].line));
        }
    }
}
