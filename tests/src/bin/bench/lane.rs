//! A cable of its own for each filter: what one end sends arrives at the other,
//! where a kernel thread of its own takes it in. So every filter stays where it
//! is while the rounds go on, and its time is that thread's.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    process::{Pid, setpriority_process},
    thread::{CpuSet, sched_setaffinity},
};
use serde_json::Value;
use weir_tests::bed::netns::batch;

use crate::edge::End;

/// A pair of interfaces of one name, in the net and on the host.
pub(crate) struct Lane {
    /// Its name on both ends.
    pub(crate) name: String,
    /// Index of the net's end.
    pub(crate) sender: u32,
    /// Hardware address of the host's end.
    pub(crate) address: [u8; 6],
}

/// What was taken in so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) packets: u64,
    pub(crate) time: Duration,
}

impl Lane {
    pub(crate) fn lay() -> Result<Self> {
        static LAID: AtomicU32 = AtomicU32::new(0);
        let number = LAID.fetch_add(1, Ordering::Relaxed);
        let name = format!("b{}x{number}", std::process::id());
        let (host, net) = (End::Host.name(), End::Net.name());
        batch(
            &host,
            &format!("link add {name} type veth peer name {name} netns {net}\n"),
        )?;
        for end in [host, net] {
            batch(
                &end,
                &format!("link set {name} addrgenmode none\nlink set {name} up\n"),
            )?;
        }
        // Without GRO a veth has no thread to take packets in, and without one
        // of its own the time would be spent in whatever else runs.
        on_host(&["ethtool", "-K", &name, "gro", "on"]).context("switching GRO on")?;
        let file = format!("/sys/class/net/{name}/threaded");
        on_host(&["sh", "-c", &format!("echo 1 > {file}")]).context("asking for a thread")?;
        let sender = link(End::Net, &name)?["ifindex"]
            .as_u64()
            .context("no index")?;
        let address = link(End::Host, &name)?["address"]
            .as_str()
            .context("no address")?
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name,
            sender: u32::try_from(sender)?,
            address: address
                .try_into()
                .map_err(|address| anyhow::anyhow!("a strange address: {address:?}"))?,
        })
    }

    /// Puts its thread on its CPU, before whatever else runs there. To be done
    /// once the filter is there: a program that is attached gives it a new thread.
    pub(crate) fn pin(&self) -> Result<()> {
        let mut cpus = CpuSet::new();
        cpus.set(receiver());
        let thread = self.thread()?;
        sched_setaffinity(Some(thread), &cpus).context("pinning the thread of a cable")?;
        setpriority_process(Some(thread), -20).context("giving the thread of a cable its priority")
    }

    /// What came in so far, once nothing comes in any more.
    pub(crate) fn taken(&self) -> Result<Taken> {
        let thread = self.thread()?.as_raw_nonzero();
        let mut before = Taken {
            packets: u64::MAX,
            time: Duration::ZERO,
        };
        for _ in 0..500 {
            let statistics = &link(End::Host, &self.name)?["stats64"]["rx"];
            let told = fs::read_to_string(format!("/proc/{thread}/schedstat"))?;
            let nanoseconds = told.split(' ').next().context("an empty schedstat")?;
            let now = Taken {
                packets: statistics["packets"].as_u64().context("no statistics")?,
                time: Duration::from_nanos(nanoseconds.parse()?),
            };
            // It may have been woken for nothing; what counts is the packets.
            if now.packets == before.packets && now.time - before.time < IDLE {
                return Ok(now);
            }
            before = now;
            thread::sleep(Duration::from_millis(2));
        }
        bail!("packets come in without end on {}", self.name)
    }

    fn thread(&self) -> Result<Pid> {
        let prefix = format!("napi/{}-", self.name);
        for process in fs::read_dir("/proc").context("looking at the processes")? {
            let path = process?.path();
            let Ok(comm) = fs::read_to_string(path.join("comm")) else {
                continue;
            };
            if comm.starts_with(&prefix) {
                let number = path.file_name().and_then(|name| name.to_str());
                let number = number.context("a process without a number")?.parse()?;
                return Pid::from_raw(number).context("process 0");
            }
        }
        bail!("the cable {} has no thread of its own", self.name)
    }
}

/// The rest goes with the namespaces.
impl Drop for Lane {
    fn drop(&mut self) {
        if let Err(error) = batch(&End::Host.name(), &format!("link del {}\n", self.name)) {
            eprintln!("bench: {error:#}");
        }
    }
}

/// Runs a command on the host, with a `/sys` of the host.
pub(crate) fn on_host(command: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(["netns", "exec", &End::Host.name()])
        .args(command)
        .output()
        .with_context(|| format!("starting {}", command[0]))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        command.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn link(end: End, name: &str) -> Result<Value> {
    let output = Command::new("ip")
        .args(["-n", &end.name(), "-json", "-stats", "link", "show", "dev"])
        .arg(name)
        .output()
        .context("starting ip")?;
    let mut links: Vec<Value> =
        serde_json::from_slice(&output.stdout).with_context(|| format!("looking at {name}"))?;
    links.pop().with_context(|| format!("there is no {name}"))
}

/// The CPU that takes packets in: another than the sender's, if there is one.
pub(crate) fn receiver() -> usize {
    thread::available_parallelism().map_or(SENDER, |cpus| usize::from(cpus.get() > 1))
}

/// The CPU that sends them.
pub(crate) const SENDER: usize = 0;
/// What a thread may take while nothing comes in.
const IDLE: Duration = Duration::from_micros(50);
