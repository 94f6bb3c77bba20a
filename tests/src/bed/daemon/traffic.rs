//! Traffic at the host, and the part that gets through to it: frames past the
//! stacks at both ends, and real TCP connections.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

use super::{Edge, PLENTY, server};
use crate::{
    bed::{Namespace, Wire},
    frame::frame,
};

/// Both ends of the wire: what the net sends, and what the host sees behind the
/// filter.
#[derive(Debug)]
pub struct Traffic {
    net: Wire,
    host: Wire,
}

/// The outcome of sending frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// The number that arrived of those that should.
    pub wanted: usize,
    /// The places of those that shouldn't arrive, and did.
    pub leaked: Vec<usize>,
}

impl Traffic {
    /// Opens both ends.
    #[must_use]
    pub fn open(edge: &Edge) -> Self {
        Self::between(&edge.net, &edge.host)
    }

    /// The same of any two namespaces whose `eth0` are the ends of a wire.
    #[must_use]
    pub fn between(net: &Namespace, host: &Namespace) -> Self {
        Self {
            net: Wire::open(net, "eth0"),
            host: Wire::open(host, "eth0"),
        }
    }

    /// Sends frames that should arrive and frames that shouldn't, one of these
    /// and one of those, and waits for the former. What the wire still carries
    /// then comes before a last frame, which isn't IP and always passes.
    #[must_use]
    pub fn send(&self, wanted: &[Vec<u8>], unwanted: &[Vec<u8>]) -> Arrived {
        let mut arrived = Arrived::default();
        let mut places = unwanted.chunks(BATCH);
        let mut begun = 0;
        let mut batches = wanted.chunks(BATCH);
        loop {
            let (wanted, unwanted) = (batches.next(), places.next());
            if wanted.is_none() && unwanted.is_none() {
                return arrived;
            }
            let (wanted, unwanted) = (wanted.unwrap_or_default(), unwanted.unwrap_or_default());
            let batch = self.batch(wanted, unwanted);
            arrived.wanted += batch.wanted;
            arrived
                .leaked
                .extend(batch.leaked.iter().map(|place| begun + place));
            begun += unwanted.len();
        }
    }

    /// Few enough at once that no queue on their way is full.
    fn batch(&self, wanted: &[Vec<u8>], unwanted: &[Vec<u8>]) -> Arrived {
        for place in 0..wanted.len().max(unwanted.len()) {
            for frame in [unwanted.get(place), wanted.get(place)]
                .into_iter()
                .flatten()
            {
                self.net.send(frame);
            }
        }
        let last = frame().payload(*b"the last one").build();
        self.net.send(&last);

        let mut missing: HashMap<Vec<u8>, usize> = HashMap::new();
        for frame in wanted {
            *missing.entry(landed(frame)).or_default() += 1;
        }
        let bad: HashMap<Vec<u8>, usize> = unwanted.iter().map(|f| landed(f)).zip(0..).collect();
        let mut arrived = Arrived::default();
        let mut is_last = false;
        let end = Instant::now() + PATIENCE;
        while arrived.wanted < wanted.len() || !is_last {
            let left = end.saturating_duration_since(Instant::now());
            let Some(frame) = self.host.receive(left, |_| true) else {
                break;
            };
            if let Some(times) = missing.get_mut(&frame).filter(|times| **times > 0) {
                *times -= 1;
                arrived.wanted += 1;
            } else if let Some(place) = bad.get(&frame) {
                arrived.leaked.push(*place);
            }
            is_last |= frame == last;
        }
        assert!(is_last, "the wire doesn't even carry what isn't IP");
        arrived
    }

    /// Asserts that so many frames of one source get through, and none of the
    /// other's.
    ///
    /// # Panics
    /// If it isn't so.
    pub fn proves(&self, free: &str, blocked: &str, number: usize) {
        let arrived = self.send(&datagrams(free, number), &datagrams(blocked, number));
        let leaked = arrived.leaked.len();
        assert_eq!(leaked, 0, "of {number} frames of {blocked} leaked");
        assert_eq!(arrived.wanted, number, "frames of {free} arrived");
    }

    /// Whether a frame of a source gets through now.
    #[must_use]
    pub fn passes(&self, source: &str) -> bool {
        !self.send(&[], &datagrams(source, 1)).leaked.is_empty()
    }
}

/// So many different frames of a source to the service: a QUIC connection that
/// goes on.
#[must_use]
pub fn datagrams(source: &str, number: usize) -> Vec<Vec<u8>> {
    let frame = frame().ip(source, server(source)).udp(40_000, 443);
    let numbered = |number: usize| {
        let mut payload = vec![0x43; 32];
        payload[8..16].copy_from_slice(&number.to_be_bytes());
        frame.clone().payload(payload).build()
    };
    (0..number).map(numbered).collect()
}

/// A listener on a port of the host.
///
/// # Panics
/// If the port is taken.
#[must_use]
pub fn listen(edge: &Edge, family_of: &str, port: u16) -> TcpListener {
    edge.host
        .enter(|| TcpListener::bind((server(family_of), port)).expect("a free port"))
}

/// A real TCP connection from a source to a port of the host; `None` if it
/// isn't established in time.
///
/// # Panics
/// If the net hasn't this source.
#[must_use]
pub fn call(edge: &Edge, source: &str, port: u16, wait: Duration) -> Option<TcpStream> {
    let from: IpAddr = source.parse().expect("an address");
    let to = SocketAddr::new(server(source).parse().expect("an address"), port);
    let family = if from.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = edge.net.enter(|| {
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.expect("a socket");
        bind(&socket, &SocketAddr::new(from, 0)).expect("the net has this source");
        socket
    });
    // It holds for connecting too: socket(7).
    set_socket_timeout(&socket, Timeout::Send, Some(wait)).expect("a timeout");
    connect(&socket, &to).ok().map(|()| TcpStream::from(socket))
}

/// Sends bytes over a connection, from the caller to whoever accepts it.
///
/// # Panics
/// If they don't arrive.
pub fn say_hello(listener: &TcpListener, mut caller: TcpStream) {
    caller.write_all(b"hello").expect("it is connected");
    let (mut taken, _) = listener.accept().expect("it is connected");
    taken.set_read_timeout(Some(PLENTY)).expect("a timeout");
    let mut said = [0; 5];
    taken.read_exact(&mut said).expect("the bytes arrive");
    assert_eq!(&said, b"hello");
}

/// A frame as the host sees it: the kernel takes the outermost VLAN tag off.
fn landed(frame: &[u8]) -> Vec<u8> {
    match frame[12..14] {
        [0x81, 0x00] | [0x88, 0xa8] => [&frame[..12], &frame[16..]].concat(),
        _ => frame.to_vec(),
    }
}

const BATCH: usize = 64;

/// The time that frames may take which should arrive.
const PATIENCE: Duration = Duration::from_secs(10);
