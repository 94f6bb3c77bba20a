//! ipset with a rule of iptables, where it is earliest: in the raw table.

use std::{fmt::Write as _, net::Ipv4Addr};

use anyhow::Result;
use bench_ebpf::listed;

use super::feed;
use crate::lane::{Lane, on_host};

/// Puts a set of so many addresses at a lane's end.
pub(super) fn put(lane: &Lane, list: u32) -> Result<()> {
    let name = &lane.name;
    let mut script = format!(
        "create {name} hash:ip hashsize {} maxelem {}\n",
        list.next_power_of_two(),
        list * 2
    );
    for number in 0..list {
        let address = Ipv4Addr::from_bits((listed(4, number, true).high >> 32) as u32);
        writeln!(script, "add {name} {address} -exist")?;
    }
    feed(&["ipset", "restore"], &script)?;
    let rule = [
        "iptables",
        "-w",
        "-t",
        "raw",
        "-A",
        "PREROUTING",
        "-i",
        name,
    ];
    let listed = ["-m", "set", "--match-set", name, "src", "-j", "DROP"];
    on_host(&[&rule[..], &listed[..]].concat())?;
    on_host(&[&rule[..], &["-j", "DROP"]].concat())
}
