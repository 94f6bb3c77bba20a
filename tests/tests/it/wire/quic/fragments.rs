//! QUIC's first packets in fragments, so that a connection id is cut, or isn't the
//! one that the server will read.

use aya::programs::XdpMode;
use weir_tests::{
    bed::to_host,
    frame::{
        fragments::cut,
        quic::{Long, V1, id},
    },
};

use super::{host, source};

/// Wherever they are cut, each counts as in plain.
pub(crate) fn cut_anywhere(mode: XdpMode) {
    let host = host(mode, "");
    let socket = host.receive_on(443);
    for (place, at) in [8, 16, 24, 32, 48, 600].into_iter().enumerate() {
        for nth in 0..2 {
            let source = source(place, nth);
            let sent = |number: u64| {
                let packet = Long::initial(V1, &id(number, 8), &id(!number, 8)).build(1_200);
                let frame = to_host(&source).udp(20_000 + number as u16, 443);
                cut(&frame.payload(packet).build(), &[at], number as u32 + 1)
            };
            let frames: Vec<_> = (0..40).flat_map(sent).collect();
            let came = host.arrived(&socket, &frames);
            assert_eq!(came, 10, "of {source}, cut at {at}");
        }
    }
}

/// Behind the first fragment, in what fills an Ethernet frame, stands an id that is
/// paid for; the server reads another, of the second fragment.
pub(crate) fn lying_trailers(mode: XdpMode) {
    let host = host(mode, "");
    let socket = host.receive_on(443);
    let paid = id(1, 8);
    for (place, at) in [8, 16].into_iter().enumerate() {
        for nth in 0..2 {
            let source = source(place, nth);
            let from_one_port = |destination: &[u8]| {
                let packet = Long::initial(V1, destination, &id(7, 8)).build(1_200);
                let frame = to_host(&source).udp(20_000, 443).payload(packet);
                frame.build()
            };
            let known = from_one_port(&paid);
            assert_eq!(host.arrived(&socket, std::slice::from_ref(&known)), 1);
            let sent = |number: u64| {
                let mut destination = id(number, 8);
                // What the first fragment holds of it.
                destination[..2].copy_from_slice(&paid[..2]);
                let mut pieces = cut(&from_one_port(&destination), &[at], number as u32);
                let headers = known.len() - 1_208;
                pieces[0].extend_from_slice(&known[headers + at..][..60]);
                pieces
            };
            let frames: Vec<_> = (100..140).flat_map(sent).collect();
            let came = host.arrived(&socket, &frames);
            assert!(
                came < 20,
                "{came} of {source}, cut at {at}: more than twice the rate"
            );
        }
    }
}
