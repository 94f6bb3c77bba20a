//! nftables at the netdev hook: a set of addresses, an interval set of prefixes,
//! a limit of each source by a dynamic set.

use std::{fmt::Write as _, net::Ipv4Addr};

use anyhow::Result;
use bench_ebpf::listed;

use super::feed;
use crate::lane::Lane;

/// What a chain has.
#[derive(Clone, Copy, Default)]
pub(super) struct Rules {
    /// Prefixes that are dropped.
    pub(super) list: u32,
    /// Only addresses: a set without intervals.
    pub(super) exact: bool,
    /// A limit of each source, with room for so many; 0: none.
    pub(super) limit: u32,
}

/// Puts a chain at a lane's end.
pub(super) fn put(lane: &Lane, rules: Rules) -> Result<()> {
    let name = &lane.name;
    let mut script = format!("add table netdev {name}\n");
    let mut chain = String::new();
    if rules.list > 0 {
        let flags = if rules.exact {
            String::new()
        } else {
            "flags interval; auto-merge;".to_owned()
        };
        writeln!(
            script,
            "add set netdev {name} listed {{ type ipv4_addr; {flags} }}"
        )?;
        writeln!(
            script,
            "add element netdev {name} listed {{ {} }}",
            elements(rules)
        )?;
        chain += "ip saddr @listed counter drop; ";
    }
    if rules.limit > 0 {
        writeln!(
            script,
            "add set netdev {name} seen {{ type ipv4_addr; flags dynamic,timeout; timeout 10s; size {}; }}",
            rules.limit
        )?;
        chain +=
            "update @seen { ip saddr limit rate over 100/second burst 100 packets } counter drop; ";
    }
    writeln!(
        script,
        "table netdev {name} {{ chain ends {{ type filter hook ingress device \"{name}\" priority 0; policy drop; {chain}}}\n}}"
    )?;
    feed(&["nft", "-f", "-"], &script)
}

fn elements(rules: Rules) -> String {
    let mut elements = String::with_capacity(rules.list as usize * 18);
    for number in 0..rules.list {
        let listed = listed(4, number, rules.exact);
        let address = (listed.high >> 32) as u32;
        let address = address & (u32::MAX << (32 - u32::from(listed.length)));
        let address = Ipv4Addr::from_bits(address);
        if number > 0 {
            elements.push(',');
        }
        elements += &address.to_string();
        if listed.length < 32 {
            elements += &format!("/{}", listed.length);
        }
    }
    elements
}
