//! Workbooks of spreadsheets (.xlsx): each cell as its type has it. A date is a date and a number a number, whatever the
//! sheet's formats show of them. A workbook is held whole, hence the bound.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail};
use calamine::{Data, ExcelDateTime, Range, Reader, Xlsx};
use jiff::Unit;
use jiff::civil::DateTime;

use super::records::Record;

/// Bytes of a workbook.
const WORKBOOK_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Cells of a sheet.
const CELLS_MAX: usize = 20_000_000;

/// What is read of a workbook.
pub(super) struct Found {
    /// The name of its sheet.
    pub(super) sheet: String,
    pub(super) records: Vec<Record>,
}

/// Reads one sheet: the one of this name, or the first.
pub(super) fn read(source: impl Read, named: Option<&str>, decimal: char) -> Result<Found> {
    let mut bytes = Vec::new();
    source.take(WORKBOOK_BYTES_MAX + 1).read_to_end(&mut bytes).context("the workbook cannot be read")?;
    if bytes.len() as u64 > WORKBOOK_BYTES_MAX {
        bail!(
            "the workbook is larger than {} MiB; save it as .csv, which may be of any size",
            WORKBOOK_BYTES_MAX >> 20
        );
    }
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).context("the file is no workbook (.xlsx)")?;
    let sheets = workbook.sheet_names();
    let sheet = match named {
        Some(name) if sheets.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => bail!("the workbook has no sheet '{name}'; it has '{}'", sheets.join("', '")),
        None => sheets.first().context("the workbook has no sheets")?.clone(),
    };
    let range =
        workbook.worksheet_range(&sheet).with_context(|| format!("the sheet '{sheet}' cannot be read"))?;
    let (height, width) = range.get_size();
    if height.saturating_mul(width) > CELLS_MAX {
        bail!("the sheet '{sheet}' has more than {CELLS_MAX} cells; save it as .csv");
    }
    Ok(Found { records: records(&range, decimal), sheet })
}

fn records(range: &Range<Data>, decimal: char) -> Vec<Record> {
    let first = range.start().map_or(0, |(row, _)| row);
    let rows = (u64::from(first) + 1..).zip(range.rows());
    let record = |(line, cells): (u64, &[Data])| Record {
        line,
        fields: cells.iter().map(|cell| shown(cell, decimal)).collect(),
        fault: None,
    };
    rows.map(record).collect()
}

/// A cell as text that the mapping reads as what it is. An error is marked as what cannot be read.
fn shown(cell: &Data, decimal: char) -> String {
    match cell {
        Data::Int(number) => number.to_string(),
        Data::Float(number) => decimals(*number, decimal),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(yes) => yes.to_string(),
        Data::DateTime(at) => moment(at).unwrap_or_else(|| decimals(at.as_f64(), decimal)),
        Data::Error(error) => format!("\u{fffd}{error}"),
        Data::Empty => String::new(),
    }
}

/// The fifteen digits that spreadsheets go by, so that what they have added up shows no crumbs. Three decimals get a zero
/// more: nobody shall take them for thousands.
fn decimals(number: f64, decimal: char) -> String {
    let rounded = format!("{number:.14e}").parse().unwrap_or(number);
    let text = f64::to_string(&rounded);
    let Some((whole, behind)) = text.split_once('.') else { return text };
    let zero = if behind.len() == 3 { "0" } else { "" };
    format!("{whole}{decimal}{behind}{zero}")
}

/// The day and time as the standard has them, to the second.
fn moment(at: &ExcelDateTime) -> Option<String> {
    let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
    let small = |number: u8| i8::try_from(number).ok();
    let exact = DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        i32::from(milli) * 1_000_000,
    );
    Some(exact.ok()?.round(Unit::Second).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A zip archive whose entries are stored as they are.
    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let (mut bytes, mut index) = (Vec::new(), Vec::new());
        for (name, text) in entries {
            let mut crc = flate2::Crc::new();
            crc.update(text.as_bytes());
            let size = u32::try_from(text.len()).expect("small");
            let offset = u32::try_from(bytes.len()).expect("small");
            let mut common = [20_u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
            common.extend([crc.sum(), size, size].map(u32::to_le_bytes).concat());
            common.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
            common.extend([0, 0]);
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&common);
            write!(bytes, "{name}{text}").expect("memory takes it");
            index.extend(b"PK\x01\x02\x14\x00");
            index.extend(&common);
            index.extend([0; 10]);
            index.extend(offset.to_le_bytes());
            write!(index, "{name}").expect("memory takes it");
        }
        let count = u16::try_from(entries.len()).expect("few").to_le_bytes();
        let sizes =
            [index.len(), bytes.len()].map(|size| u32::try_from(size).expect("small").to_le_bytes()).concat();
        let end = [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &sizes, &[0, 0]].concat();
        [bytes, index, end].concat()
    }

    /// A workbook of one sheet with these rows. Style 1 is a date.
    fn workbook(rows: &str) -> Vec<u8> {
        let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006/relationships";
        let book = format!(
            "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"Orders\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
        );
        let relations = format!(
            "<Relationships xmlns=\"{package}\"><Relationship Id=\"rId1\" Type=\"{office}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
             <Relationship Id=\"rId2\" Type=\"{office}/styles\" Target=\"styles.xml\"/></Relationships>"
        );
        let styles = format!(
            "<styleSheet xmlns=\"{main}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"22\"/></cellXfs></styleSheet>"
        );
        let root = format!(
            "<Relationships xmlns=\"{package}\"><Relationship Id=\"rId1\" Type=\"{office}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
        );
        let sheet = format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>");
        archive(&[
            ("_rels/.rels", &root),
            ("xl/workbook.xml", &book),
            ("xl/_rels/workbook.xml.rels", &relations),
            ("xl/styles.xml", &styles),
            ("xl/worksheets/sheet1.xml", &sheet),
        ])
    }

    fn text(at: &str, text: &str) -> String {
        format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
    }

    #[test]
    fn cells_are_what_their_types_say_and_rows_know_their_lines() {
        let rows = format!(
            "<row r=\"2\">{}{}{}</row><row r=\"4\"><c r=\"A4\"><v>1001</v></c><c r=\"B4\" s=\"1\"><v>45478.979166666664</v></c>\
             <c r=\"C4\"><v>59.970000000000006</v></c></row><row r=\"5\"><c r=\"A5\" t=\"b\"><v>1</v></c>\
             <c r=\"B5\" t=\"e\"><v>#N/A</v></c><c r=\"C5\"><v>1.125</v></c></row>",
            text("A2", "order"),
            text("B2", "date"),
            text("C2", "price")
        );
        let found = read(workbook(&rows).as_slice(), None, ',').expect("a workbook");
        let shown: Vec<(u64, Vec<String>)> = found
            .records
            .into_iter()
            .filter(|row| !row.is_blank())
            .map(|row| (row.line, row.fields))
            .collect();
        let expected = [
            (2, ["order", "date", "price"]),
            (4, ["1001", "2024-07-05T23:30:00", "59,97"]),
            (5, ["true", "\u{fffd}#N/A", "1,1250"]),
        ];
        assert_eq!(shown, expected.map(|(line, fields)| (line, fields.map(str::to_owned).to_vec())));
        assert_eq!(found.sheet, "Orders");
    }

    #[test]
    fn what_is_no_workbook_or_lacks_the_sheet_is_refused_with_words() {
        let refusal = |bytes: &[u8], sheet| format!("{:#}", read(bytes, sheet, '.').err().expect("refused"));
        assert!(refusal(b"PK\x03\x04 and nothing more", None).contains("no workbook"));
        assert!(refusal(&workbook(""), Some("June")).contains("it has 'Orders'"));
        let large = vec![0; usize::try_from(WORKBOOK_BYTES_MAX).expect("fits") + 1];
        assert!(refusal(&large, None).contains("larger than 32 MiB"));
    }
}
