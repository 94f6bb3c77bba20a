//! Connections that say nothing, say it slowly, or are too many.

use std::{io::ErrorKind::WouldBlock, net::SocketAddr};

use axum::routing::get;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::*;

const LIMITS: Limits = Limits {
    at_once: 8,
    question: Duration::from_secs(5),
    whole: Some(Duration::from_secs(10)),
};

const HASTY: Limits = Limits {
    at_once: 8,
    question: Duration::from_millis(50),
    whole: Some(Duration::from_millis(100)),
};

/// Something to ask behind a listener, `/slow` without an answer.
async fn behind(limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = Router::new()
        .route("/", get(async || "here"))
        .route("/slow", get(std::future::pending::<&str>));
    tokio::spawn(open(listener, limits, move |_| app.clone()));
    address
}

async fn say(address: SocketAddr, words: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(words.as_bytes()).await.expect("sent");
    stream
}

/// All that comes until the other side closes.
async fn hear(mut stream: TcpStream) -> String {
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("text");
    heard
}

const QUESTION: &str = "GET / HTTP/1.1\r\nhost: weir\r\n\r\n";

#[tokio::test]
async fn a_connection_asks_once() {
    let address = behind(LIMITS).await;
    let heard = hear(say(address, QUESTION).await).await;
    assert!(heard.starts_with("HTTP/1.1 200 OK"), "{heard}");
    assert!(heard.contains("connection: close"), "{heard}");
    assert!(heard.ends_with("\r\n\r\nhere"), "{heard}");
}

#[tokio::test]
async fn hundreds_of_idle_connections_keep_nobody_out_and_few_are_kept() {
    let address = behind(LIMITS).await;
    let mut idle = Vec::new();
    for number in 0..300 {
        // Some have begun to ask.
        let words = if number % 2 == 0 { "" } else { "GET / HT" };
        idle.push(say(address, words).await);
        if number % 50 == 49 {
            let heard = hear(say(address, QUESTION).await).await;
            assert!(heard.ends_with("here"), "{heard}");
        }
    }
    let first = idle.swap_remove(0);
    let heard = hear(first).await;
    assert!(
        heard.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{heard}"
    );
    let body = r#"{"error":"more than 8 connections: the first goes"}"#;
    assert!(heard.ends_with(body), "{heard}");
    let mut kept = 0;
    for stream in idle {
        let mut stream = stream.into_std().expect("a socket");
        let read = std::io::Read::read(&mut stream, &mut [0]);
        kept += usize::from(read.is_err_and(|error| error.kind() == WouldBlock));
    }
    // One made way for the last question.
    assert_eq!(kept, LIMITS.at_once - 1);
}

#[tokio::test]
async fn who_says_nothing_in_time_is_told_so() {
    let address = behind(HASTY).await;
    let begun = Instant::now();
    for words in ["", "GET / HTTP/1.1\r\nhost:"] {
        let heard = hear(say(address, words).await).await;
        assert!(
            heard.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
            "{heard}"
        );
        let body = r#"{"error":"no question came within 50ms"}"#;
        assert!(heard.ends_with(body), "{heard}");
    }
    assert!(begun.elapsed() >= 2 * HASTY.question);
}

#[tokio::test]
async fn an_answer_may_take_until_the_end_and_no_longer() {
    let begun = Instant::now();
    let address = behind(HASTY).await;
    let slow = "GET /slow HTTP/1.1\r\nhost: weir\r\n\r\n";
    assert_eq!(hear(say(address, slow).await).await, "");
    assert!(begun.elapsed() >= Duration::from_millis(100));

    let for_ever = Limits {
        whole: None,
        ..HASTY
    };
    let waiting = hear(say(behind(for_ever).await, slow).await);
    let cut = timeout(Duration::from_millis(300), waiting).await;
    assert!(cut.is_err(), "it was cut: {cut:?}");
}

#[tokio::test]
async fn a_head_without_an_end_is_refused() {
    let address = behind(LIMITS).await;
    let long = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(64 << 10));
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // It may be closed before all of it is sent.
    let _broken = stream.write_all(long.as_bytes()).await;
    let mut heard = [0; 64];
    if let Ok(length) = stream.read(&mut heard).await {
        let heard = String::from_utf8_lossy(&heard[..length]);
        assert!(heard.starts_with("HTTP/1.1 431"), "{heard}");
    }
}
