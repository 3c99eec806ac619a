//! A service whose file descriptors are few: thousands of idle connections take none from who has something to ask.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::program::Folder;

/// The program, ended with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service that may have so many files open, and where it listens.
fn serving(folder: &Folder, files_max: u32) -> (Serving, SocketAddr) {
    let script = format!("ulimit -n {files_max} && exec \"$0\" \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_orderwright")])
        .args(["serve", "--listen", "127.0.0.1:0", "--database", "o.db"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut serving = Serving(child.expect("the program starts"));
    let mut lines = BufReader::new(serving.0.stdout.take().expect("its answer")).lines();
    let said = lines.next().expect("a line").expect("text");
    let addr = said.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
    let addr = addr.and_then(|addr| addr.parse().ok());
    (serving, addr.unwrap_or_else(|| panic!("an address in {said}")))
}

fn asked(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn health_metrics_and_orders_are_answered_however_many_idle_connections_there_are() {
    let folder = Folder::new("descriptors");
    let (_serving, addr) = serving(&folder, 128);
    let mut idle = Vec::new();
    for number in 0..600 {
        idle.push(TcpStream::connect(addr).expect("a connection"));
        if number % 100 == 99 {
            for path in ["/health/live", "/metrics", "/orders"] {
                let answer = asked(addr, path);
                assert!(answer.starts_with("HTTP/1.1 200 "), "{number} {path}: {answer}");
            }
        }
    }
    let metrics = asked(addr, "/metrics");
    assert!(metrics.contains("orderwright_connections_ended_total{reason=\"gave_way\"}"), "{metrics}");
}
