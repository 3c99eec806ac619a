//! What a server says while it starts. Knows no server: only that each says a certain word when it is ready.

use std::io::{BufRead, BufReader, Read};

/// Lines that are shown when a server does not start.
const LINES_MAX: usize = 30;

/// Reads a server's log until it says the word that it is ready; or to its end, of which the last lines are returned. A log
/// that nobody reads later would stop the server when the pipe is full, so somebody goes on reading.
pub(super) fn await_word(log: impl Read + Send + 'static, word: &str) -> Result<(), Vec<String>> {
    let mut lines = BufReader::new(log);
    let mut said = Vec::new();
    loop {
        let mut line = Vec::new();
        if !lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            said.drain(..said.len().saturating_sub(LINES_MAX));
            return Err(said);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let is_ready = line.contains(word);
        said.push(line);
        if is_ready {
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
            return Ok(());
        }
    }
}
