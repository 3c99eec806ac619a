//! Finds the server processes on this machine that listen at the measured addresses, to count their CPU time. Finds
//! nothing on another machine, nor processes that it may not inspect.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};

/// How a listening socket is marked in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The first process that listens where `scheme://…@host:port/…` leads, if that is here.
pub(crate) fn listener(address: &str, default_port: u16) -> Option<u32> {
    let port = local_port(address, default_port)?;
    let sockets: BTreeSet<String> =
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().flat_map(|table| listening(table, port)).collect();
    let holders = processes().filter(|pid| holds_one_of(*pid, &sockets));
    holders.min()
}

fn local_port(address: &str, default_port: u16) -> Option<u16> {
    let (_, behind) = address.split_once("://")?;
    let place = behind.rsplit_once('@').map_or(behind, |(_, place)| place);
    let authority = place.split(['/', '?', ',']).next()?;
    let with_port = match authority.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:{default_port}"),
    };
    let found: Vec<SocketAddr> = with_port.to_socket_addrs().ok()?.collect();
    found.iter().find(|address| address.ip().is_loopback()).map(SocketAddr::port)
}

/// The inodes of sockets that listen on a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let wanted = format!(":{port:04X}");
    let rows = fs::read_to_string(table).unwrap_or_default();
    let inode = |row: &str| {
        let fields: Vec<&str> = row.split_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&wanted) && *fields.get(3)? == LISTENING;
        listens.then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
    };
    rows.lines().filter_map(inode).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn holds_one_of(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    let mut targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn whoever_listens_here_is_found_and_nobody_where_nobody_listens() {
        let listener_here = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener_here.local_addr().expect("an address").port();
        let address = format!("amqp://me:p@ss@127.0.0.1:{port}/v");
        assert_eq!(listener(&address, 1), Some(std::process::id()));
        assert_eq!(listener(&format!("postgres://localhost?host={port}"), port), Some(std::process::id()));
        drop(listener_here);
        assert_eq!(listener(&address, 1), None);
        assert_eq!(listener("data/orders.db", 1), None);
    }
}
