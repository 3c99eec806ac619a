//! Which addresses a webhook may go to. The author of a configured address must not reach internal services through
//! us. So the name is resolved, every address is checked, and the connection goes to a checked address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether webhooks may go to addresses that the public network does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They may not.
    Refused,
    /// They may, as in development.
    Allowed,
}

/// Where this host can be reached, as far as it may be.
///
/// # Errors
/// If it cannot be looked up, or is nowhere that it may be.
pub(super) async fn resolve(host: &str, port: u16, private: PrivateAddresses) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    let allowed = |address: &SocketAddr| private == PrivateAddresses::Allowed || is_public(address.ip());
    let found: Vec<SocketAddr> = found.filter(allowed).collect();
    if found.is_empty() {
        let why = format!("{host} is at no public address, and private ones are not allowed");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(found)
}

/// Whether an address is one of the public network. What is not known to be is not.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Only what is given out as global unicast, less what leads back into the other network or is for documents.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global = (0x2000..0x4000).contains(&a);
    let special = match (a, b) {
        // Teredo, benchmarks, ORCHID; documents; 6to4, which has an address of the other network inside.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff) => true,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_public_network_has_is_public() {
        for public in ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "100::1",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
    }

    #[tokio::test]
    async fn a_host_at_home_is_nowhere_unless_it_is_allowed() {
        let refused = resolve("localhost", 80, PrivateAddresses::Refused).await.expect_err("it is at home");
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(resolve("localhost", 80, PrivateAddresses::Allowed).await.is_ok());
        assert!(resolve("127.1", 80, PrivateAddresses::Refused).await.is_err());
    }
}
