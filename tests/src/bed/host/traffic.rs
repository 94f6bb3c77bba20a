//! Traffic at a host, and the answers of its stack.

use std::{
    collections::HashSet,
    net::{IpAddr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::{Host, OTHER_END6, to_host};
use crate::frame::{ACK, SYN, header};

impl Host {
    /// A listener on a port, for both families.
    ///
    /// # Panics
    /// If the port is taken.
    #[must_use]
    pub fn listen(&self, port: u16) -> TcpListener {
        let bind = || TcpListener::bind(("::", port)).expect("a free port");
        self.inside.enter(bind)
    }

    /// A socket for datagrams to a port, of both families.
    ///
    /// # Panics
    /// If the port is taken.
    #[must_use]
    pub fn receive_on(&self, port: u16) -> UdpSocket {
        let bind = || UdpSocket::bind(("::", port)).expect("a free port");
        self.inside.enter(bind)
    }

    /// Sends frames, and gives the clients (address and port) whose connections
    /// the host's stack answered: by SYN with ACK. A raw SYN only begins one, so
    /// nothing is accepted.
    ///
    /// # Panics
    /// If the host doesn't answer at all.
    #[must_use]
    pub fn answered(&self, frames: &[Vec<u8>]) -> HashSet<(IpAddr, u16)> {
        let mut clients = HashSet::new();
        // Few enough at once that no queue on their way is full.
        for batch in frames.chunks(BATCH) {
            for frame in batch {
                self.wire.send(frame);
            }
            self.settle(|frame| clients.extend(client_of_answer(frame)));
        }
        clients
    }

    /// Sends a frame, after every so many of which the host is waited for, since no
    /// queue holds more.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub fn send_one_of_many(&self, number: u32, frame: &[u8]) {
        if (number as usize).is_multiple_of(BATCH) {
            self.settle(|_| {});
        }
        self.wire.send(frame);
    }

    /// Sends frames, and gives how many datagrams come to a socket of the host.
    ///
    /// # Panics
    /// If the host doesn't answer.
    #[must_use]
    pub fn arrived(&self, socket: &UdpSocket, frames: &[Vec<u8>]) -> usize {
        socket.set_nonblocking(true).expect("a socket");
        let mut came = 0;
        // As many as a socket has room for.
        for batch in frames.chunks(BATCH / 4) {
            for frame in batch {
                self.wire.send(frame);
            }
            self.settle(|_| {});
            // The stack has seen them all, so the socket has them.
            while socket.recv(&mut [0; 1]).is_ok() {
                came += 1;
            }
        }
        came
    }

    /// Waits until the host's stack has seen all that was sent so far; all that
    /// comes meanwhile is shown to `see`. Frames keep their order, and it answers
    /// an echo request behind them.
    ///
    /// # Panics
    /// If it doesn't answer.
    pub fn settle(&self, mut see: impl FnMut(&[u8])) {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let echo = to_host(OTHER_END6).icmp(128, 0).payload(number);
        self.wire.send(&echo.build());
        let is_answer = |frame: &[u8]| {
            // An echo reply (RFC 4443 §4.2) with the same number.
            frame.get(20) == Some(&header::ICMPV6)
                && frame.get(54) == Some(&129)
                && frame.get(58..62) == Some(&number[..])
        };
        loop {
            let next = self.wire.receive(PLENTY, |_| true);
            let next = next.expect("the host answers an echo request");
            if is_answer(&next) {
                return;
            }
            see(&next);
        }
    }
}

/// Of a SYN with ACK (RFC 9293 §3.5) without options of IP: the client.
fn client_of_answer(frame: &[u8]) -> Option<(IpAddr, u16)> {
    let (address, protocol, tcp): (IpAddr, _, _) = match frame.get(12..15)? {
        [0x08, 0x00, 0x45] => {
            let address: [u8; 4] = frame.get(30..34)?.try_into().expect("four bytes");
            (address.into(), frame[23], 34)
        }
        [0x86, 0xdd, _] => {
            let address: [u8; 16] = frame.get(38..54)?.try_into().expect("sixteen bytes");
            (address.into(), frame[20], 54)
        }
        _ => return None,
    };
    let flags = *frame.get(tcp + 13)?;
    let answers = protocol == header::TCP && flags & (SYN | ACK) == SYN | ACK;
    let port = u16::from_be_bytes([frame[tcp + 2], frame[tcp + 3]]);
    answers.then_some((address, port))
}

/// Frames that are sent before the host is waited for.
const BATCH: usize = 128;

/// Longer than any machine takes that isn't broken.
const PLENTY: Duration = Duration::from_secs(10);
