//! What is asked, and how it comes in.

use std::{
    future::poll_fn,
    io::{Read as _, Write as _},
    os::unix::net,
    pin::pin,
    task::Poll,
    thread,
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::*;

#[tokio::test]
async fn a_full_queue_is_waited_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let socket = socket.expect("a socket");
    let address = SocketAddrUnix::new(&path).expect("a short path");
    rustix::net::bind(&socket, &address).expect("bound");
    // There is room for one.
    rustix::net::listen(&socket, 0).expect("it listens");
    let _first = net::UnixStream::connect(&path).expect("it listens");

    let client = Client::new(&path);
    let mut asking = pin!(client.text("/"));
    let waits = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context).is_pending()));
    assert!(waits.await, "it gave up at once");
    let daemon = thread::spawn(move || {
        let listener = net::UnixListener::from(socket);
        let _first = listener.accept().expect("the first comes in");
        let (mut stream, _) = listener.accept().expect("and the next");
        let _some = stream.read(&mut [0; 1024]).expect("a question");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .expect("answered");
    });
    assert_eq!(asking.await.expect("an answer"), "ok");
    daemon.join().expect("it answered");
}

#[test]
fn what_is_asked_is_written_so_that_no_value_is_taken_for_another() {
    let written = |feed: Option<&str>, prefix: Option<&str>| {
        let query = protocol::ListQuery {
            feed: feed.map(Into::into),
            prefix: prefix.map(Into::into),
        };
        uri(&query).expect("fields")
    };
    assert_eq!(written(None, None), "/v1/claims");
    assert_eq!(
        written(Some("a b&prefix=c"), Some("2001:db8::/32")),
        "/v1/claims?feed=a%20b%26prefix%3Dc&prefix=2001%3Adb8%3A%3A%2F32"
    );
    let all = protocol::EventsQuery::default();
    assert_eq!(uri(&all).expect("fields"), "/v1/events");
    let follow = protocol::EventsQuery {
        follow: true,
        keepalive: true,
    };
    let followed = "/v1/events?follow=true&keepalive=true";
    assert_eq!(uri(&follow).expect("fields"), followed);
    let explain = protocol::ExplainQuery {
        address: "2001:db8::7".parse().expect("an address"),
        port: Some(443),
        proto: Some(protocol::Protocol::Udp),
    };
    assert_eq!(
        uri(&explain).expect("fields"),
        "/v1/explain?address=2001%3Adb8%3A%3A7&port=443&proto=udp"
    );
    let status = protocol::StatusQuery {};
    assert_eq!(uri(&status).expect("no fields"), "/v1/status");
}
