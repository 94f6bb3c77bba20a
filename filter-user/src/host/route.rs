//! Whom the host can't do without: its resolvers and its gateways.

use std::{
    io,
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

use filter_common::source::Address;

use super::{read, socket::hexadecimal};
use crate::prefix::address;

/// The resolvers in `/etc/resolv.conf`, those on the host itself aside.
///
/// # Errors
/// If it is there and can't be read.
pub fn resolvers(root: &Path) -> io::Result<Vec<Address>> {
    let text = read(&root.join("etc/resolv.conf"))?;
    Ok(nameservers(&String::from_utf8_lossy(&text)))
}

/// The next hops of the default routes.
///
/// # Errors
/// If the routes are there and can't be read.
pub fn gateways(root: &Path) -> io::Result<Vec<Address>> {
    let four = read(&root.join("proc/net/route"))?;
    let six = read(&root.join("proc/net/ipv6_route"))?;
    let mut gateways: Vec<_> = String::from_utf8_lossy(&four)
        .lines()
        .filter_map(gateway)
        .chain(String::from_utf8_lossy(&six).lines().filter_map(gateway6))
        .collect();
    gateways.sort_unstable();
    gateways.dedup();
    Ok(gateways)
}

/// See resolv.conf(5).
fn nameservers(text: &str) -> Vec<Address> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            if words.next()? != "nameserver" {
                return None;
            }
            // A link-local address may name its interface.
            let ip: IpAddr = words.next()?.split('%').next()?.parse().ok()?;
            (!ip.is_loopback() && !ip.is_unspecified()).then(|| address(ip))
        })
        .collect()
}

/// The next hop of a default route in `/proc/net/route`.
fn gateway(line: &str) -> Option<Address> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let &[
        _interface,
        "00000000",
        gateway,
        flags,
        _,
        _,
        _,
        "00000000",
        ..,
    ] = &fields[..]
    else {
        return None;
    };
    is_up(u32::from_str_radix(flags, 16).ok()?).then(|| hexadecimal(gateway))?
}

/// The next hop of a default route in `/proc/net/ipv6_route`, where addresses
/// are printed byte by byte.
fn gateway6(line: &str) -> Option<Address> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let &[to, "00", _from, "00", next, _metric, _, _, flags, ..] = &fields[..] else {
        return None;
    };
    let default = u128::from_str_radix(to, 16) == Ok(0);
    if !default || !is_up(u32::from_str_radix(flags, 16).ok()?) {
        return None;
    }
    let next = Ipv6Addr::from(u128::from_str_radix(next, 16).ok()?);
    Some(address(next.into()))
}

const fn is_up(flags: u32) -> bool {
    flags & (RTF_UP | RTF_GATEWAY | RTF_REJECT) == RTF_UP | RTF_GATEWAY
}

// `include/uapi/linux/route.h`
const RTF_UP: u32 = 1;
const RTF_GATEWAY: u32 = 2;
const RTF_REJECT: u32 = 0x200;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Address {
        address(text.parse().expect(text))
    }

    #[test]
    fn resolvers_beyond_the_host_are_read() {
        let text = "# made by hand\nsearch example.net\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n  nameserver\tfe80::1%eth0 \n;nameserver 192.0.2.54\nnameserver\nnameserver x\nnameserver ::1\n";
        assert_eq!(nameservers(text), [of("192.0.2.53"), of("fe80::1")]);
    }

    #[test]
    fn gateways_of_both_families_are_read() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(gateways(root.path()).expect("no routes"), []);
        let folder = root.path().join("proc/net");
        std::fs::create_dir_all(&folder).expect("the folder is made");
        let gateway = u32::from_ne_bytes([192, 0, 2, 1]);
        let other = u32::from_ne_bytes([192, 0, 2, 2]);
        let four = format!(
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
             eth0\t00000000\t{gateway:08X}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
             eth1\t00000000\t{gateway:08X}\t0003\t0\t0\t9\t00000000\t0\t0\t0\n\
             eth0\t00000000\t{other:08X}\t0002\t0\t0\t0\t00000000\t0\t0\t0\n\
             eth0\t00000000\t{other:08X}\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n\
             eth0\t000000C0\t{other:08X}\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n\
             eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
        );
        std::fs::write(folder.join("route"), four).expect("written");
        let zero = "0".repeat(32);
        let next = "fd000000000000000000000000000001";
        let six = format!(
            "{zero} 00 {zero} 00 {next} 00000400 00000002 00000000 00000003     eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             {next} 80 {zero} 00 {next} 00000000 00000002 00000000 00000003     eth0\n"
        );
        std::fs::write(folder.join("ipv6_route"), six).expect("written");
        assert_eq!(
            gateways(root.path()).expect("routes"),
            [of("192.0.2.1"), of("fd00::1")]
        );
    }

    #[test]
    fn this_host_can_be_read() {
        resolvers(Path::new("/")).expect("resolvers");
        gateways(Path::new("/")).expect("gateways");
    }
}
