//! Workbooks of spreadsheets (.xlsx): each cell as its type has it. A date is a date and a number a number, whatever the
//! sheet's formats show of them. A workbook is held whole, hence the bounds: of its bytes, of what they unpack to, and of the
//! cells, wherever they stand. One that makes the reader panic is a file that cannot be read.

use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, bail};
use calamine::{DataRef, ExcelDateTime, Reader, Xlsx};
use jiff::Unit;
use jiff::civil::DateTime;
use zip::ZipArchive;

use super::records::{Cell, Record};

/// Bytes of a workbook.
const WORKBOOK_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Bytes of what is packed in a workbook, all together.
const UNPACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Fields of a sheet's rows, counted as far as the last cell of each.
const FIELDS_MAX: usize = 10_000_000;

/// The least number of more digits than a spreadsheet keeps: the last ones of such a number are lost.
const NUMBER_MIN: f64 = 1e15;

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
    without_panic(|| {
        weigh(&bytes)?;
        read_sheet(&bytes, named, decimal)
    })
}

/// What others have written about the form of workbooks is not proof against every file.
fn without_panic<T>(reading: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(reading))
        .unwrap_or_else(|_| bail!("the workbook is damaged: it cannot be read; save it anew, or as .csv"))
}

/// Unpacks everything into nothing: what a workbook says of its own size may be a lie.
fn weigh(bytes: &[u8]) -> Result<()> {
    const NONE: &str = "the file is no workbook (.xlsx)";
    let mut archive = ZipArchive::new(Cursor::new(bytes)).context(NONE)?;
    let mut left = UNPACKED_BYTES_MAX;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).context(NONE)?;
        let unpacked = io::copy(&mut entry.take(left + 1), &mut io::sink()).context(NONE)?;
        left = left.checked_sub(unpacked).with_context(|| {
            format!("the workbook unpacks to more than {} MiB; save it as .csv", UNPACKED_BYTES_MAX >> 20)
        })?;
    }
    Ok(())
}

fn read_sheet(bytes: &[u8], named: Option<&str>, decimal: char) -> Result<Found> {
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).context("the file is no workbook (.xlsx)")?;
    let sheets = workbook.sheet_names();
    let sheet = match named {
        Some(name) if sheets.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => bail!("the workbook has no sheet '{name}'; it has '{}'", sheets.join("', '")),
        None => sheets.first().context("the workbook has no sheets")?.clone(),
    };
    let records = records(&mut workbook, &sheet, decimal)
        .with_context(|| format!("the sheet '{sheet}' cannot be read"))?;
    Ok(Found { records, sheet })
}

/// The rows of a sheet. Cells may stand anywhere; only those before the last one of each row take room.
fn records(workbook: &mut Xlsx<Cursor<&[u8]>>, sheet: &str, decimal: char) -> Result<Vec<Record>> {
    let mut cells = workbook.worksheet_cells_reader(sheet)?;
    let mut records: Vec<Record> = Vec::new();
    let mut fields = 0_usize;
    while let Some(cell) = cells.next_cell()? {
        let text = shown(cell.get_value(), decimal);
        if text.is_empty() {
            continue;
        }
        let (row, column) = cell.get_position();
        let (line, place) = (u64::from(row) + 1, column as usize);
        match records.last().map_or(0, |last| last.line) {
            before if before > line => bail!("row {line} stands behind row {before}"),
            before if before == line => {}
            _ => records.push(Record { line, ..Record::default() }),
        }
        let Some(record) = records.last_mut() else { continue };
        fields += (place + 1).saturating_sub(record.fields.len());
        if fields > FIELDS_MAX {
            bail!("it has more than {FIELDS_MAX} cells; save it as .csv");
        }
        if record.fields.len() <= place {
            record.fields.resize(place + 1, String::new());
        }
        record.fields[place] = text;
        record.untrue.extend(untrue(cell.get_value()).map(|cell| (place, cell)));
    }
    Ok(records)
}

/// What a cell is that can be no name, if it is that.
fn untrue(cell: &DataRef<'_>) -> Option<Cell> {
    match cell {
        DataRef::Float(number) if number.abs() >= NUMBER_MIN => Some(Cell::LongNumber),
        DataRef::Int(number) if number.unsigned_abs() >= NUMBER_MIN as u64 => Some(Cell::LongNumber),
        DataRef::DateTime(_) | DataRef::DateTimeIso(_) | DataRef::DurationIso(_) => Some(Cell::Date),
        DataRef::Bool(_) => Some(Cell::Truth),
        DataRef::Int(_) | DataRef::Float(_) | DataRef::String(_) | DataRef::SharedString(_) => None,
        DataRef::Error(_) | DataRef::Empty => None,
    }
}

/// A cell as text that the mapping reads as what it is. An error is marked as what cannot be read.
fn shown(cell: &DataRef<'_>, decimal: char) -> String {
    match cell {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => decimals(*number, decimal),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(yes) => yes.to_string(),
        DataRef::DateTime(at) => moment(at).unwrap_or_else(|| decimals(at.as_f64(), decimal)),
        DataRef::Error(error) => format!("\u{fffd}{error}"),
        DataRef::Empty => String::new(),
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
    fn names_that_a_spreadsheet_took_for_numbers_or_days_hold_their_orders_back() {
        use crate::import::{Mapping, Reason, Sheet, Source};
        let own = "name = \"shop\"\ncurrency = \"EUR\"\nprice_unit = \"major\"\ntime_format = \"%Y-%m-%dT%H:%M:%S\"\n[columns]\n\
                   order = \"order\"\ncustomer = \"customer\"\nordered_at = \"date\"\nsku = \"sku\"\nquantity = \"qty\"\n\
                   price = \"price\"\n";
        let headings = ["order", "customer", "date", "sku", "qty", "price"];
        let headings: String =
            "ABCDEF".chars().zip(headings).map(|(at, word)| text(&format!("{at}1"), word)).collect();
        let row = |row: u32, number: &str, sku: &str| {
            format!(
                "<row r=\"{row}\">{number}{}<c r=\"C{row}\" s=\"1\"><v>45478.5</v></c>{sku}<c r=\"E{row}\"><v>1</v></c>\
                 <c r=\"F{row}\"><v>4.5</v></c></row>",
                text(&format!("B{row}"), &format!("c{row}"))
            )
        };
        let tea = |row: u32| text(&format!("D{row}"), "TEA");
        let rows = [
            row(2, "<c r=\"A2\"><v>123456789012345678</v></c>", &tea(2)),
            row(3, "<c r=\"A3\"><v>123456789012345679</v></c>", &tea(3)),
            row(4, "<c r=\"A4\" s=\"1\"><v>45478.5</v></c>", &tea(4)),
            row(5, "<c r=\"A5\" t=\"b\"><v>1</v></c>", &tea(5)),
            row(6, &text("A6", "123456789012345678"), &tea(6)),
            row(7, "<c r=\"A7\"><v>123456789012345</v></c>", &tea(7)),
            row(8, &text("A8", "8"), "<c r=\"D8\" s=\"1\"><v>45478</v></c>"),
        ];
        let bytes = workbook(&format!("<row r=\"1\">{headings}</row>{}", rows.concat()));
        let mapping = Mapping::parse(own).expect("a mapping");
        let sheet = Sheet::read(&Source::Bytes(&bytes), &mapping).expect("a workbook");
        let taken: Vec<&str> = sheet.invoices.iter().map(|invoice| &*invoice.number).collect();
        assert_eq!(taken, ["123456789012345678", "123456789012345"]);
        let bad: Vec<(u64, Reason)> = sheet.rejected.iter().map(|row| (row.line, row.reason)).collect();
        assert_eq!(bad, [2, 3, 4, 5, 8].map(|line| (line, Reason::Unreadable)));
        for (row, told) in
            sheet.rejected.iter().zip(["15 digits", "15 digits", "a day", "true or false", "a day"])
        {
            assert!(row.detail.contains(told) && row.detail.contains("as text"), "{row:?}");
        }
    }

    #[test]
    fn what_is_no_workbook_or_lacks_the_sheet_is_refused_with_words() {
        let refusal = |bytes: &[u8], sheet| format!("{:#}", read(bytes, sheet, '.').err().expect("refused"));
        assert!(refusal(b"PK\x03\x04 and nothing more", None).contains("no workbook"));
        assert!(refusal(&workbook(""), Some("June")).contains("it has 'Orders'"));
        let large = vec![0; usize::try_from(WORKBOOK_BYTES_MAX).expect("fits") + 1];
        assert!(refusal(&large, None).contains("larger than 32 MiB"));
        let backwards =
            "<row r=\"2\"><c r=\"A2\"><v>1</v></c></row><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>";
        assert!(refusal(&workbook(backwards), None).contains("row 1 stands behind row 2"));
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_before_it_is_read() {
        let mut packed = Vec::new();
        let mut writer = zip::ZipWriter::new(Cursor::new(&mut packed));
        let deflated = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .large_file(true);
        writer.start_file("xl/sharedStrings.xml", deflated).expect("memory takes it");
        let spaces = vec![b' '; 1024 * 1024];
        for _ in 0..=(UNPACKED_BYTES_MAX >> 20) {
            writer.write_all(&spaces).expect("memory takes it");
        }
        writer.finish().expect("memory takes it");
        assert!((packed.len() as u64) < WORKBOOK_BYTES_MAX);
        let refused = read(packed.as_slice(), None, '.').err().expect("refused");
        assert!(format!("{refused:#}").contains("unpacks to more than 256 MiB"), "{refused:#}");
    }

    #[test]
    fn cells_far_away_take_no_room_for_those_between() {
        let far = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row>";
        let found = read(workbook(far).as_slice(), None, '.').expect("a workbook");
        assert_eq!(found.records.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 1_048_576]);
        let wide: String =
            (1..=700).map(|row| format!("<row r=\"{row}\"><c r=\"XFD{row}\"><v>2</v></c></row>")).collect();
        let refused = read(workbook(&wide).as_slice(), None, '.').err().expect("refused");
        assert!(format!("{refused:#}").contains("more than 10000000 cells"), "{refused:#}");
    }

    #[test]
    fn a_reader_that_panics_is_a_file_that_cannot_be_read() {
        let panicking = without_panic::<()>(|| panic!("a bug of others"));
        assert!(panicking.expect_err("refused").to_string().contains("damaged"));
    }

    proptest::proptest! {
        #[test]
        fn a_byte_that_is_wrong_ends_no_process(at in 0_usize..2_000, byte: u8) {
            let mut bytes = workbook(&format!("<row r=\"2\">{}</row>", text("A2", "order")));
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(bytes.as_slice(), None, '.');
        }
    }
}
