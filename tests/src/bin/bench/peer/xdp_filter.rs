//! xdp-filter of xdp-tools. It pins its maps in the BPF file system: here in one
//! of its own, which lasts as long as a shell does.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use bench_ebpf::listed;

use crate::{edge::End, lane::Lane};

/// While this lives it is there.
pub(crate) struct XdpFilter {
    shell: Child,
}

impl XdpFilter {
    /// Puts it at a lane's end with so many addresses.
    pub(crate) fn put(lane: &Lane, list: u32) -> Result<Self> {
        let mut shell = Command::new("nsenter")
            .arg(format!("--net={}", End::Host.path().display()))
            .args(["--", "unshare", "--mount", "--propagation", "private"])
            .args(["setpriv", "--pdeathsig", "KILL", "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a shell for xdp-filter")?;
        let mut input = shell.stdin.take().context("it was asked for")?;
        let output = shell.stdout.take().context("it was asked for")?;
        let mut lines = BufReader::new(output).lines();
        writeln!(
            input,
            "set -e; mount -t bpf bpf /sys/fs/bpf; xdp-filter load -m native -f ipv4 -p allow {} >&2",
            lane.name
        )?;
        for number in 0..list {
            let address = Ipv4Addr::from_bits((listed(4, number, true).high >> 32) as u32);
            writeln!(input, "xdp-filter ip -m src {address} >&2")?;
        }
        writeln!(input, "echo ready")?;
        let ready = lines.next().transpose().context("waiting for xdp-filter")?;
        ensure!(
            ready.as_deref() == Some("ready"),
            "xdp-filter couldn't be put on {}",
            lane.name
        );
        // Put back: the shell lives as long as its input.
        shell.stdin = Some(input);
        Ok(Self { shell })
    }
}

impl Drop for XdpFilter {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ended = self.shell.wait();
    }
}
