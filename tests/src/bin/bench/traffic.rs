//! Packets at the guarded port: probes of one source, a flood of many others,
//! and what arrives behind the filter at a socket like any server's.

use std::{
    net::{Ipv4Addr, UdpSocket},
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{net::sockopt::set_socket_recv_buffer_size_force, thread::set_current_timer_slack};

use crate::{
    claims::{listed, unlisted},
    daemon::PORT,
    edge::{End, HOST, NET},
};

/// The server behind the filter, and who sends to it.
pub(crate) struct Traffic {
    seen: Arc<Seen>,
    server: Option<JoinHandle<()>>,
    marker: UdpSocket,
}

/// What the server has seen.
#[derive(Default)]
struct Seen {
    /// Of which series probes are counted.
    series: AtomicU32,
    /// The highest number of a probe that arrived, plus one.
    next: AtomicU32,
    /// How many of them arrived.
    arrived: AtomicU32,
    /// The last marker.
    marker: AtomicU32,
    stop: AtomicBool,
}

/// When a source's packets began to be dropped.
pub(crate) struct Dropped {
    /// From the cause to the sending of the first probe that didn't arrive, and
    /// after which none did.
    pub(crate) after: Duration,
    /// Probes that didn't arrive before that.
    pub(crate) lost: u32,
}

impl Traffic {
    pub(crate) fn start() -> Result<Self> {
        let socket = End::Host.enter(|| Ok(UdpSocket::bind((HOST, PORT))?))?;
        // What came through native XDP takes a page of it.
        set_socket_recv_buffer_size_force(&socket, ROOM)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let seen = Arc::new(Seen::default());
        let server = thread::spawn({
            let seen = Arc::clone(&seen);
            move || seen.serve(&socket)
        });
        Ok(Self {
            seen,
            server: Some(server),
            marker: from(NET)?,
        })
    }

    /// Sends probes of a source until they are dropped, and has `cause` bring
    /// that about while they arrive; it gives the moment that counts.
    pub(crate) fn drop_after(
        &self,
        source: Ipv4Addr,
        cause: impl FnOnce() -> Result<Instant>,
    ) -> Result<Dropped> {
        let series = self.begin();
        let socket = from(source)?;
        let caused = AtomicBool::new(false);
        thread::scope(|scope| {
            let prober = scope.spawn(|| self.probe(series, &socket, &caused));
            while self.seen.next.load(SeqCst) < WARM && !prober.is_finished() {
                thread::sleep(SPACING);
            }
            let moment = cause();
            caused.store(true, SeqCst);
            let sent = prober.join().expect("probing doesn't panic")?;
            let moment = moment?;
            let first = self.seen.next.load(SeqCst);
            let first_sent = sent[first as usize];
            Ok(Dropped {
                after: first_sent.saturating_duration_since(moment),
                lost: first - self.seen.arrived.load(SeqCst),
            })
        })
    }

    /// How many of these sources get a packet through.
    pub(crate) fn passing(&self, sources: impl Iterator<Item = Ipv4Addr>) -> Result<u32> {
        let series = self.begin();
        for (number, source) in (0..).zip(sources) {
            from(source)?.send(&probe(series, number))?;
            if number % 32 == 31 {
                self.settle()?;
            }
        }
        self.settle()?;
        Ok(self.seen.arrived.load(SeqCst))
    }

    fn begin(&self) -> u32 {
        self.seen.next.store(0, SeqCst);
        self.seen.arrived.store(0, SeqCst);
        self.seen.series.fetch_add(1, SeqCst) + 1
    }

    /// Sends until nothing arrives any more, and gives when each was sent.
    fn probe(&self, series: u32, socket: &UdpSocket, caused: &AtomicBool) -> Result<Vec<Instant>> {
        set_current_timer_slack(NonZeroU64::new(1))?;
        let mut sent = Vec::new();
        let start = Instant::now();
        let mut due = start;
        loop {
            let number = sent.len() as u32;
            sent.push(Instant::now());
            socket.send(&probe(series, number))?;
            let ends = || self.seen.next.load(SeqCst) + CERTAIN < number;
            if caused.load(SeqCst) && ends() {
                // The server may only be late.
                self.settle()?;
                if ends() {
                    return Ok(sent);
                }
            }
            if start.elapsed() > PATIENCE {
                bail!("a source's packets weren't dropped within {PATIENCE:?}");
            }
            due += SPACING;
            let now = Instant::now();
            if due > now {
                thread::sleep(due - now);
            } else {
                due = now;
            }
        }
    }

    /// Waits until the server has seen everything that was sent before.
    fn settle(&self) -> Result<()> {
        let wanted = self.seen.marker.load(SeqCst) + 1;
        let end = Instant::now() + PATIENCE;
        while self.seen.marker.load(SeqCst) != wanted {
            ensure!(Instant::now() < end, "no packet arrives at all");
            self.marker.send(&probe(MARKER, wanted))?;
            thread::sleep(SPACING * 5);
        }
        Ok(())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.seen.stop.store(true, SeqCst);
        let server = self.server.take().map(JoinHandle::join);
        if server.is_some_and(|ended| ended.is_err()) {
            eprintln!("bench: the server panicked");
        }
    }
}

impl Seen {
    fn serve(&self, socket: &UdpSocket) {
        let mut packet = [0; 2048];
        while !self.stop.load(SeqCst) {
            // Nothing to be read for a while is no failure.
            let Ok(length) = socket.recv(&mut packet) else {
                continue;
            };
            let Some((series, number)) = probed(&packet[..length]) else {
                continue;
            };
            if series == MARKER {
                self.marker.fetch_max(number, SeqCst);
            } else if series == self.series.load(SeqCst) {
                self.arrived.fetch_add(1, SeqCst);
                self.next.fetch_max(number + 1, SeqCst);
            }
        }
    }
}

/// Packets of one source at a steady pace, as long as this lives.
pub(crate) struct Drip {
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Drip {
    /// Some 10,000 a second.
    pub(crate) fn start(source: Ipv4Addr) -> Result<Self> {
        let socket = from(source)?;
        let stop = Arc::new(AtomicBool::new(false));
        let sender = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(SeqCst) {
                    for _ in 0..BATCH / 2 {
                        let _sent = socket.send(&[0x40; 64]);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Ok(Self {
            stop,
            sender: Some(sender),
        })
    }
}

impl Drop for Drip {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let sender = self.sender.take().map(JoinHandle::join);
        if sender.is_some_and(|ended| ended.is_err()) {
            eprintln!("bench: the sender panicked");
        }
    }
}

/// Packets of many sources, most of them listed, as long as this lives.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Flood {
    /// Floods from the first addresses of the list, and others.
    pub(crate) fn start() -> Result<Self> {
        let listed = (0..FLOODERS).map(listed);
        let others = (0..FLOODERS / 8).map(|number| unlisted(0x1_0000 + number));
        let sockets = listed.chain(others).map(from).collect::<Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let sender = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                for batch in (0..).step_by(BATCH) {
                    if stop.load(SeqCst) {
                        return;
                    }
                    for number in batch..batch + BATCH {
                        // A full queue is part of a flood.
                        let _sent = sockets[number % sockets.len()].send(&[0x40; 64]);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Ok(Self {
            stop,
            sender: Some(sender),
        })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let sender = self.sender.take().map(JoinHandle::join);
        if sender.is_some_and(|ended| ended.is_err()) {
            eprintln!("bench: the flood panicked");
        }
    }
}

/// Sends one packet of a source, which needn't arrive.
pub(crate) fn probe_from(source: Ipv4Addr) -> Result<()> {
    from(source)?
        .send(&probe(0, 0))
        .context("sending a probe")?;
    Ok(())
}

/// A socket in the net that sends from this source to the server.
fn from(source: Ipv4Addr) -> Result<UdpSocket> {
    End::Net.enter(|| {
        let socket =
            UdpSocket::bind((source, 0)).with_context(|| format!("sending from {source}"))?;
        socket.connect((HOST, PORT))?;
        Ok(socket)
    })
}

/// A probe; its first byte isn't that of a new QUIC connection.
fn probe(series: u32, number: u32) -> [u8; 16] {
    let mut probe = [0x40; 16];
    probe[8..12].copy_from_slice(&series.to_be_bytes());
    probe[12..].copy_from_slice(&number.to_be_bytes());
    probe
}

fn probed(packet: &[u8]) -> Option<(u32, u32)> {
    let packet: &[u8; 16] = packet.try_into().ok()?;
    let word = |at: usize| {
        u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
    };
    Some((word(8), word(12)))
}

/// Between two probes.
const SPACING: Duration = Duration::from_micros(100);
/// Probes that must have arrived before anything is done about them.
const WARM: u32 = 5;
/// Probes in a row that didn't arrive: 3 ms.
const CERTAIN: u32 = 30;
const PATIENCE: Duration = Duration::from_secs(5);
const MARKER: u32 = u32::MAX;
const ROOM: usize = 32 << 20;
/// Listed sources in the flood.
const FLOODERS: u32 = 128;
/// Packets a millisecond of the flood.
const BATCH: usize = 20;
