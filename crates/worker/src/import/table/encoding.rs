//! Which characters the bytes of a file mean, and reading them as UTF-8 whatever they were. Knows nothing of rows.

use std::io::{self, Read};
use std::str::FromStr;

use encoding_rs::{Decoder, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::Deserialize;
use serde::de::IntoDeserializer;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How the characters of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without a mark at the beginning.
    #[serde(rename = "utf-8", alias = "utf-8-sig", alias = "utf8", alias = "UTF-8")]
    Utf8,
    /// UTF-16 as its mark says; little end first, without one.
    #[serde(rename = "utf-16", alias = "utf-16le", alias = "utf-16-le", alias = "UTF-16")]
    Utf16,
    /// UTF-16, big end first.
    #[serde(rename = "utf-16be", alias = "utf-16-be")]
    Utf16Be,
    /// What Windows writes in western Europe and America.
    #[serde(rename = "windows-1252", alias = "cp1252")]
    Windows1252,
    /// ISO 8859-1.
    #[serde(rename = "latin-1", alias = "iso-8859-1", alias = "latin1")]
    Latin1,
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(text));
        named.map_err(|error| error.to_string())
    }
}

impl Encoding {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 | Self::Utf16Be => "UTF-16",
            Self::Windows1252 => "Windows-1252",
            Self::Latin1 => "Latin-1",
        }
    }

    /// Finds out which it is, by reading all of it: a mark at the beginning, a zero byte in every character, or bytes that
    /// are no UTF-8. One broken byte amid much that is right does not make another encoding of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn detect(mut source: impl Read) -> io::Result<Self> {
        let mut census = Census::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut held = 0;
        let mut first = true;
        loop {
            let read = fill(&mut source, &mut chunk[held..])?;
            let seen = &chunk[..held + read];
            if first && let Some(sure) = by_its_beginning(seen) {
                return Ok(sure);
            }
            first = false;
            let kept = census.count(seen, read == 0);
            if read == 0 {
                return Ok(census.verdict());
            }
            let from = seen.len() - kept;
            chunk.copy_within(from..from + kept, 0);
            held = kept;
        }
    }

    /// The text of the bytes, as UTF-8.
    pub fn decode<R: Read>(self, source: R) -> Decoded<R> {
        let how = match self {
            Self::Utf8 => How::Standard(UTF_8.new_decoder_with_bom_removal()),
            Self::Utf16 => How::Standard(UTF_16LE.new_decoder()),
            Self::Utf16Be => How::Standard(UTF_16BE.new_decoder_with_bom_removal()),
            Self::Windows1252 => How::Standard(WINDOWS_1252.new_decoder_without_bom_handling()),
            Self::Latin1 => How::Latin1,
        };
        Decoded { source, how, raw: vec![0; CHUNK_BYTES], text: Vec::new(), given: 0, ended: false }
    }
}

fn by_its_beginning(bytes: &[u8]) -> Option<Encoding> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => return Some(Encoding::Utf8),
        [0xff, 0xfe, ..] => return Some(Encoding::Utf16),
        [0xfe, 0xff, ..] => return Some(Encoding::Utf16Be),
        _ => {}
    }
    let zeros = |from: usize| bytes.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let most = bytes.len() / 4;
    if odd > most && odd > even {
        Some(Encoding::Utf16)
    } else if even > most && even > odd {
        Some(Encoding::Utf16Be)
    } else {
        None
    }
}

/// Counts what speaks for UTF-8 and what against it.
#[derive(Default)]
struct Census {
    letters: u64,
    broken: u64,
}

impl Census {
    /// Counts; returns how many bytes at the end may be the beginning of a character.
    fn count(&mut self, mut bytes: &[u8], last: bool) -> usize {
        loop {
            let error = match std::str::from_utf8(bytes) {
                Ok(text) => {
                    self.letters += letters(text.as_bytes());
                    return 0;
                }
                Err(error) => error,
            };
            self.letters += letters(&bytes[..error.valid_up_to()]);
            let rest = &bytes[error.valid_up_to()..];
            match error.error_len() {
                None if !last => return rest.len(),
                None => {
                    self.broken += 1;
                    return 0;
                }
                Some(broken) => {
                    self.broken += 1;
                    bytes = &rest[broken..];
                }
            }
        }
    }

    const fn verdict(&self) -> Encoding {
        if self.broken == 0 || self.letters > self.broken { Encoding::Utf8 } else { Encoding::Windows1252 }
    }
}

/// Letters beyond ASCII in text that is UTF-8.
fn letters(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte >= 0xc0).count() as u64
}

/// Reads until the place is full or nothing is left.
fn fill(source: &mut impl Read, place: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < place.len() {
        match source.read(&mut place[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

enum How {
    Standard(Decoder),
    /// Each byte is the character of its number.
    Latin1,
}

/// Bytes of any encoding, read as UTF-8. What cannot be read becomes U+FFFD.
pub struct Decoded<R> {
    source: R,
    how: How,
    raw: Vec<u8>,
    text: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.ended {
            self.decode_more()?;
        }
        let waiting = &self.text[self.given..];
        let count = waiting.len().min(place.len());
        place[..count].copy_from_slice(&waiting[..count]);
        self.given += count;
        Ok(count)
    }
}

impl<R: Read> Decoded<R> {
    fn decode_more(&mut self) -> io::Result<()> {
        let read = fill(&mut self.source, &mut self.raw)?;
        self.ended = read == 0;
        self.given = 0;
        let raw = &self.raw[..read];
        match &mut self.how {
            How::Latin1 => {
                self.text = raw.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes();
            }
            How::Standard(decoder) => {
                let most = decoder.max_utf8_buffer_length(read).ok_or(io::ErrorKind::OutOfMemory)?;
                self.text.resize(most, 0);
                let (_, _, written, _) = decoder.decode_to_utf8(raw, &mut self.text, self.ended);
                self.text.truncate(written);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(bytes: &[u8], encoding: Encoding) -> String {
        let mut text = String::new();
        encoding.decode(bytes).read_to_string(&mut text).expect("memory can be read");
        text
    }

    #[test]
    fn each_encoding_is_found_out_and_read() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let utf16_be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let text = "order,Käufer,Preis\n1,Zoë,3€\n";
        let cases = [
            (text.as_bytes().to_vec(), Encoding::Utf8),
            ([b"\xef\xbb\xbf", text.as_bytes()].concat(), Encoding::Utf8),
            (utf16(&format!("\u{feff}{text}")), Encoding::Utf16),
            (utf16(text), Encoding::Utf16),
            (utf16_be(&format!("\u{feff}{text}")), Encoding::Utf16Be),
            (utf16_be(text), Encoding::Utf16Be),
            (WINDOWS_1252.encode(text).0.into_owned(), Encoding::Windows1252),
        ];
        for (bytes, encoding) in cases {
            assert_eq!(Encoding::detect(bytes.as_slice()).expect("memory can be read"), encoding);
            assert_eq!(read_back(&bytes, encoding), text, "{encoding:?}");
        }
        assert_eq!(read_back(b"Zo\xeb", Encoding::Latin1), "Zoë");
    }

    #[test]
    fn a_broken_byte_amid_utf_8_does_not_make_another_encoding_of_it() {
        let mut bytes = "äöü".repeat(50_000).into_bytes();
        bytes.push(0xe4);
        assert_eq!(Encoding::detect(bytes.as_slice()).expect("memory can be read"), Encoding::Utf8);
        assert!(read_back(&bytes, Encoding::Utf8).ends_with('\u{fffd}'));
    }
}
