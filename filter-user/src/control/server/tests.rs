//! The server, the client and the socket together.

use axum::extract::connect_info::MockConnectInfo;
use filter_common::settings::Mode;
use hyper::Method;
use serde_json::Value;

use super::{
    fake_daemon::{Running, answer, claim, event, explanation, running, status},
    *,
};
use crate::control::{
    client::{self, Client},
    eventlog::EventLog,
    protocol::{
        Answer, ClaimLine, DetachRequest, EventLine, Explanation, Missed, ModeRequest, Order,
        ReloadAnswer, ReloadRequest, StatusQuery, VerdictRequest,
    },
};

fn list(feed: Option<&str>) -> ListQuery {
    ListQuery {
        feed: feed.map(Into::into),
        prefix: None,
    }
}

/// The sentence of a refusal.
fn sentence<T: std::fmt::Debug>(answer: Result<T, client::Error>) -> String {
    match answer.expect_err("it is refused") {
        client::Error::Refused(refused) | client::Error::Unavailable(refused) => refused.error,
        other => panic!("{other:?} is no refusal"),
    }
}

#[tokio::test]
async fn every_question_gets_its_answer() {
    let daemon = running(answer);
    let client = &daemon.client;
    let answer = client.call(&StatusQuery {}).await.expect("a status");
    assert_eq!(answer, status());

    let address = "2001:db8::7".parse().expect("an address");
    let answer: Explanation = client
        .raw(
            Method::GET,
            "/v1/explain?address=2001:db8::7&port=443&proto=udp",
            "",
        )
        .await
        .expect("an explanation");
    assert_eq!(answer, explanation(address));

    let request = VerdictRequest {
        prefixes: vec!["203.0.113.7/24".into(), "0.0.0.0/0".into(), "me".into()],
        verdict: Order::Block,
        for_s: Some(90),
        reason: None,
    };
    let answer = client.call(&request).await.expect("done");
    let done: Vec<_> = answer
        .prefixes
        .iter()
        .map(|one| (one.done, one.masked))
        .collect();
    assert_eq!(done, [(true, true), (false, false), (false, false)]);

    let request = ModeRequest {
        mode: Mode::Enforce,
        force: true,
        for_s: None,
    };
    let answer = client.call(&request).await.expect("done");
    assert_eq!(answer.mode, Mode::Enforce);

    let _answer: ReloadAnswer = client.call(&ReloadRequest {}).await.expect("done");
    let request = DetachRequest {
        interface: Some("eth0".into()),
    };
    let answer = client.call(&request).await.expect("done");
    assert_eq!(answer.interfaces, ["eth0"]);
    assert_eq!(
        client.text("/metrics").await.expect("metrics"),
        "weir_up 1\n"
    );
}

#[tokio::test]
async fn what_the_daemon_refuses_comes_back_as_its_sentence() {
    let daemon = running(answer);
    let client = &daemon.client;
    let request = ModeRequest {
        mode: Mode::Enforce,
        force: false,
        for_s: None,
    };
    assert_eq!(
        sentence(client.call(&request).await),
        "few sources carry most of the traffic"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let daemon = running(answer);
    let client = &daemon.client;
    let raw = async |method, uri: &str, body: &str| {
        sentence(client.raw::<Value>(method, uri, body.to_owned()).await)
    };
    let said = raw(Method::POST, "/v1/verdicts", "[1,2]").await;
    assert!(said.starts_with("the request isn't the JSON"), "{said}");
    let said = raw(Method::GET, "/v1/stats", "").await;
    assert_eq!(said, "there is nothing at /v1/stats");
    let said = raw(Method::POST, "/v1/status", "null").await;
    assert_eq!(said, "/v1/status doesn't take POST");
    let said = raw(Method::GET, "/v1/explain?address=me", "").await;
    assert!(said.contains("invalid IP address"), "{said}");
    let said = raw(Method::GET, "/v1/claims?feet=local", "").await;
    assert!(said.contains("feet"), "{said}");
    let long = format!("{:?}", " ".repeat(MAX_BODY + 1));
    let said = raw(Method::POST, "/v1/verdicts", &long).await;
    assert_eq!(said, "the request is longer than 8 MiB: send it in parts");
}

/// Where no field is needed none need be sent, and a call without fields is made whatever
/// is sent along.
#[tokio::test]
async fn a_call_is_made_without_a_body_where_it_needs_none() {
    let daemon = running(answer);
    let client = &daemon.client;
    let long = " ".repeat(MAX_BODY + 1);
    for (uri, body) in [
        ("/v1/reload", ""),
        ("/v1/reload", "null"),
        ("/v1/reload", "{}"),
        ("/v1/reload", "no JSON"),
        ("/v1/reload", &long),
        ("/v1/detach", ""),
        ("/v1/detach", "{}"),
    ] {
        let answer = client.raw::<Value>(Method::POST, uri, body.to_owned());
        assert!(answer.await.expect(uri).is_object(), "{uri}");
    }
    for (method, uri) in [
        (Method::POST, "/v1/verdicts"),
        (Method::POST, "/v1/feeds"),
        (Method::POST, "/v1/forgive"),
        (Method::PUT, "/v1/mode"),
        (Method::PUT, "/v1/under-attack"),
    ] {
        let said = sentence(client.raw::<Value>(method, uri, "").await);
        assert_eq!(
            said,
            "the request isn't the JSON that belongs here: EOF while parsing a value at line 1 \
             column 0",
            "{uri}"
        );
    }
    let answer = client.raw::<Value>(Method::GET, "/v1/status?x=1", "").await;
    assert!(answer.expect("a status").is_object());
}

/// An answer that another call should have got isn't passed on.
#[tokio::test]
async fn the_answer_to_another_question_is_refused() {
    let daemon = running(|request| match request {
        Request::Command { reply, .. } | Request::Query { reply, .. } => {
            drop(reply.send(Ok(Answer::Reload(ReloadAnswer::default()))));
        }
        other => panic!("{other:?} wasn't asked"),
    });
    let said = sentence(daemon.client.call(&StatusQuery {}).await);
    assert_eq!(said, "the engine answered another question");
    let answer = daemon.client.call(&ReloadRequest {}).await;
    assert_eq!(answer.expect("its own"), ReloadAnswer::default());
}

#[tokio::test]
async fn a_list_of_many_claims_comes_whole_and_in_order() {
    let daemon = running(answer);
    let client = &daemon.client;
    let mut lines = client.lines(&list(Some("local"))).await.expect("lines");
    let mut number = 0;
    while let Some(line) = lines.next().await.expect("a line") {
        let one: ClaimLine = serde_json::from_slice(&line).expect("a claim");
        assert_eq!(one, claim(number));
        number += 1;
    }
    assert_eq!(number, 100_000);
    let mut none = client.lines(&list(None)).await.expect("lines");
    assert_eq!(none.next().await.expect("an end"), None);
}

#[tokio::test]
async fn the_events_so_far_end_where_nobody_follows() {
    let daemon = running(answer);
    let client = &daemon.client;
    for uri in ["/v1/events", "/v1/events?follow=false"] {
        let mut lines = client.raw_lines(uri).await.expect("lines");
        for number in 0..3 {
            let line = lines.next().await.expect("a line").expect("an event");
            let one: EventLine = serde_json::from_slice(&line).expect("an event");
            assert_eq!(one, event(number));
        }
        assert_eq!(lines.next().await.expect("an end"), None);
    }
}

#[tokio::test]
async fn a_slow_reader_of_events_never_holds_the_daemon_up_and_is_told_what_it_missed() {
    const EVENTS: u64 = 50_000;
    let mut log = EventLog::new(0, 64);
    let mut once = Some(log.follow());
    let daemon = running(move |request| match request {
        Request::Events {
            follow: true,
            reply,
        } => drop(reply.send(once.take().expect("asked once"))),
        other => panic!("{other:?} wasn't asked"),
    });
    let mut lines = daemon
        .client
        .lines(&EventsQuery {
            follow: true,
            keepalive: false,
        })
        .await
        .expect("lines");
    for number in 0..EVENTS {
        log.extend([event(number)]);
        if number % 32 == 0 {
            // The server sends as long as the reader's socket takes it.
            tokio::task::yield_now().await;
        }
    }
    let (readers, late) = log.followers();
    assert_eq!(readers, 1);
    drop(log);
    let (mut seen, mut missed) = (0, 0);
    while let Some(line) = lines.next().await.expect("a line") {
        match serde_json::from_slice::<Missed>(&line) {
            Ok(line) => missed += line.missed,
            Err(_event) => {
                let one: EventLine = serde_json::from_slice(&line).expect("an event");
                assert_eq!(one.generation, seen + missed, "in order, none told twice");
                seen += 1;
            }
        }
    }
    assert_eq!(seen + missed, EVENTS);
    assert_eq!(missed, late, "what it lost was counted when it lost it");
    assert!(missed > 0 && seen > 0, "{seen} seen, {missed} missed");
}

#[tokio::test]
async fn a_stranger_is_not_let_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let (sender, mut requests) = mpsc::channel(1);
    let stranger = Peer {
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
        pid: None,
    };
    let app = guarded(sender, Rules { uid: 900, gid: 950 })
        .layer(MockConnectInfo(Connection(Some(stranger))));
    tokio::spawn(axum::serve(listener, app).into_future());
    let said = sentence(Client::new(&path).call(&StatusQuery {}).await);
    assert_eq!(
        said,
        "only root, the daemon's user and the control socket's group are let in"
    );
    assert!(requests.try_recv().is_err(), "the daemon was asked");
}

#[tokio::test]
async fn the_metrics_port_gives_metrics_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, mut requests) = mpsc::channel(1);
    tokio::spawn(serve_metrics(listener, sender, std::future::pending()));
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            answer(request);
        }
    });
    let ask = async |head: &str| fetch(address, head).await;
    let answer = ask("GET /metrics HTTP/1.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(answer.contains(kind), "{answer}");
    assert!(answer.ends_with("\r\n\r\nweir_up 1\n"), "{answer}");

    let head = ask("HEAD /metrics HTTP/1.1\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("content-length: 10\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    for (question, status) in [
        ("GET /v1/status HTTP/1.1\r\n", "404 Not Found"),
        ("GET / HTTP/1.1\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n", "405 Method Not Allowed"),
        (
            "GET /metrics HTTP/1.1\r\ncontent-length: 1\r\n",
            "413 Payload Too Large",
        ),
        ("metrics\r\n", "400 Bad Request"),
    ] {
        let answer = ask(question).await;
        let expected = format!("HTTP/1.1 {status}\r\n");
        assert!(answer.starts_with(&expected), "{question:?}: {answer}");
    }
    let refused = ask("POST /metrics HTTP/1.1\r\n").await;
    assert!(refused.contains("allow: GET,HEAD\r\n"), "{refused}");
}

async fn fetch(address: std::net::SocketAddr, head: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("it listens");
    let request = format!("{head}host: weir\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn after_the_shutdown_the_socket_is_gone() {
    let Running {
        client,
        path,
        stop,
        server,
        _folder,
    } = running(answer);
    assert!(path.exists());
    stop.send(()).expect("it runs");
    server.await.expect("it ends");
    assert!(!path.exists());
    let error = client.call(&StatusQuery {}).await.expect_err("gone");
    assert_eq!(
        error.to_string(),
        format!(
            "no daemon answers on {}: is it running? (weir run, or systemctl start weir)",
            path.display()
        )
    );
}

#[tokio::test]
async fn a_daemon_that_is_going_says_so() {
    let daemon = running(drop);
    let client = &daemon.client;
    let said = sentence(client.call(&StatusQuery {}).await);
    assert_eq!(said, "the daemon is going down: ask again when it is back");
}
