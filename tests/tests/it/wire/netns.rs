//! Namespaces and wires do what the tests rely on.

use std::{
    net::{TcpListener, UdpSocket},
    path::Path,
    time::Duration,
};

use weir_tests::{
    bed::{Namespace, Wire, pair},
    frame::frame,
};

/// Longer than any machine takes that isn't broken.
const PLENTY: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_namespace_is_gone_when_its_test_fails() {
    let path = std::thread::spawn(|| {
        let namespace = Namespace::new();
        assert!(namespace.path().exists());
        std::panic::panic_any(namespace.path());
    })
    .join()
    .expect_err("it panicked")
    .downcast::<std::path::PathBuf>()
    .expect("with the path");
    assert!(!path.exists(), "{} was left behind", path.display());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_one_end_sends_the_other_receives() {
    let (one, other) = pair();
    let (sender, receiver) = (Wire::open(&one, "eth0"), Wire::open(&other, "eth0"));
    let sent = frame().payload([7; 100]).build();
    sender.send(&sent);
    let received = receiver.receive(PLENTY, |frame| frame[12..14] == sent[12..14]);
    assert_eq!(received, Some(sent));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_real_stack_takes_what_the_builder_builds() {
    let (client, server) = pair();
    server.add_address("eth0", "192.0.2.1/24");
    server.add_address("eth0", "2001:db8:1::1/64");
    let macs = (
        client.hardware_address("eth0"),
        server.hardware_address("eth0"),
    );
    let wire = Wire::open(&client, "eth0");
    for (from, to) in [
        ("192.0.2.7", "192.0.2.1"),
        ("2001:db8:1::7", "2001:db8:1::1"),
    ] {
        let socket = server.enter(|| UdpSocket::bind((to, 443)).expect("the address is there"));
        socket.set_read_timeout(Some(PLENTY)).expect("a timeout");
        let mut frame = frame().ethernet(macs.0, macs.1).ip(from, to);
        if from.contains(':') {
            frame = frame.extension(60).extension(44);
        } else {
            frame = frame.options(2);
        }
        wire.send(&frame.udp(40_000, 443).payload(*b"hello").build());
        let mut buffer = [0; 9];
        let (length, source) = socket.recv_from(&mut buffer).expect("the datagram arrives");
        assert_eq!(&buffer[..length], b"hello");
        assert_eq!(source.ip().to_string(), from);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_command_in_a_namespace_sees_the_file_system_of_bpf() {
    let namespace = Namespace::new();
    let listener = namespace.enter(|| TcpListener::bind("127.0.0.1:443").expect("a port"));
    let output = namespace
        .command("cat")
        .args(["/proc/net/tcp", "/proc/self/mountinfo"])
        .output()
        .expect("nsenter is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("0100007F:01BB"), "the listener isn't seen");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("there is one");
    assert_eq!(text.contains("/sys/fs/bpf"), mounts.contains("/sys/fs/bpf"));
    assert!(Path::new("/run/netns").exists());
    drop(listener);
}
