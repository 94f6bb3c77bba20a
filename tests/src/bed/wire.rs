//! The end of a wire: whole frames, sent and received past the network stack.

#![expect(
    unsafe_code,
    reason = "the address of a packet socket has no safe type in rustix"
)]

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
    addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque},
    bind, eth,
    netdevice::name_to_index,
    recv, send, socket_with,
    sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_timeout},
};

use crate::bed::Namespace;

/// One interface of a namespace.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
}

impl Wire {
    /// Opens an interface. From now on nothing that arrives is missed.
    ///
    /// # Panics
    /// If there is no such interface, or without root.
    #[must_use]
    pub fn open(namespace: &Namespace, interface: &str) -> Self {
        let socket = namespace.enter(|| {
            let socket = socket_with(
                AddressFamily::PACKET,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                Some(eth::ALL),
            )
            .expect("root may open a packet socket");
            let index = name_to_index(&socket, interface).expect("the interface is there");
            bind(&socket, &Place::new(index)).expect("the interface is there");
            socket
        });
        // A frame that XDP passed on takes a page of the buffer.
        set_socket_recv_buffer_size_force(&socket, ROOM).expect("root may have room");
        Self { socket }
    }

    /// Sends a frame out of the interface.
    ///
    /// # Panics
    /// If the interface doesn't take it.
    pub fn send(&self, frame: &[u8]) {
        let sent = send(&self.socket, frame, SendFlags::empty()).expect("the interface is up");
        assert_eq!(sent, frame.len(), "a frame goes as a whole");
    }

    /// The next frame that comes by, in or out, and that `wanted` takes; `None`
    /// if none does before `wait` is over. The kernel takes the outermost VLAN
    /// tag off before it comes here.
    ///
    /// # Panics
    /// If the interface goes away.
    pub fn receive(&self, wait: Duration, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let end = Instant::now() + wait;
        let mut buffer = vec![0; LONGEST];
        loop {
            // A timeout of zero would be none.
            let left = end.checked_duration_since(Instant::now())?;
            let left = left.max(Duration::from_micros(1));
            set_socket_timeout(&self.socket, Timeout::Recv, Some(left)).expect("a timeout");
            match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) if wanted(&buffer[..length]) => {
                    buffer.truncate(length);
                    return Some(buffer);
                }
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => return None,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("receiving: {error}"),
            }
        }
    }
}

/// `struct sockaddr_ll` of packet(7).
#[repr(C)]
struct Place {
    family: u16,
    protocol: u16,
    interface: i32,
    hardware_type: u16,
    packet_type: u8,
    address_length: u8,
    address: [u8; 8],
}

impl Place {
    const fn new(interface: u32) -> Self {
        Self {
            family: AddressFamily::PACKET.as_raw(),
            protocol: EVERY_PROTOCOL.to_be(),
            interface: interface as i32,
            hardware_type: 0,
            packet_type: 0,
            address_length: 0,
            address: [0; 8],
        }
    }
}

// SAFETY: the pointer is to a whole `sockaddr_ll`, which is the address of a
// packet socket, and it is readable for its length while `self` lives.
unsafe impl SocketAddrArg for Place {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        f(
            std::ptr::from_ref(self).cast(),
            size_of::<Self>() as SocketAddrLen,
        )
    }
}

/// `ETH_P_ALL`
const EVERY_PROTOCOL: u16 = 3;

/// Bytes that a receiver may lag behind.
const ROOM: usize = 16 << 20;

/// The longest frame of any interface.
const LONGEST: usize = 1 << 16;
