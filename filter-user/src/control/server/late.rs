//! A daemon that is late, stuck or silent, and clients that have gone.

use std::{future::pending, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
    time::timeout,
};

use super::fake_daemon::{answer, running, served};
use crate::control::{
    Request,
    client::{ANSWER_TIMEOUT, Client, Error},
    deadline, lines,
    protocol::{
        DetachRequest, EventsQuery, ListQuery, ReloadRequest, StatusQuery, UnderAttackRequest,
    },
};

/// So short that a test needn't wait, so long that a busy machine answers.
const SHORT: Duration = Duration::from_millis(200);

/// What each way of asking comes to.
async fn ask_in_every_way(client: &Client) -> Vec<(&'static str, Error)> {
    vec![
        ("get", client.call(&StatusQuery {}).await.err()),
        ("post", client.call(&ReloadRequest {}).await.err()),
        ("put", client.call(&ON).await.err()),
        ("text", client.text("/metrics").await.err()),
        ("lines", client.lines(&ListQuery::default()).await.err()),
        ("follow", client.lines(&FOLLOW).await.err()),
    ]
    .into_iter()
    .map(|(how, error)| (how, error.expect("there is no answer")))
    .collect()
}

const ON: UnderAttackRequest = UnderAttackRequest {
    on: true,
    for_s: None,
};

const FOLLOW: EventsQuery = EventsQuery {
    follow: true,
    keepalive: false,
};

#[tokio::test]
async fn whatever_is_asked_of_a_stuck_daemon_ends_within_the_limit() {
    let mut stuck = Vec::new();
    let daemon = running(move |request| stuck.push(request));
    for (how, error) in ask_in_every_way(&daemon.client.with_limit(SHORT)).await {
        assert!(matches!(error, Error::Late { .. }), "{how}: {error}");
        let sentence = error.to_string();
        assert!(
            sentence.contains("hasn't answered within 200ms"),
            "{sentence}"
        );
    }
    // A socket that nobody accepts from, as of a stopped process.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    let _stopped = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    for (how, error) in ask_in_every_way(&Client::new(&path).with_limit(SHORT)).await {
        assert!(matches!(error, Error::Late { .. }), "{how}: {error}");
    }
    assert_eq!(ANSWER_TIMEOUT, Duration::from_secs(5));
}

#[tokio::test]
async fn a_long_list_may_take_longer_than_the_limit_as_long_as_it_flows() {
    let daemon = running(|request| {
        let Request::List { reply, .. } = request else {
            panic!("{request:?} wasn't asked")
        };
        let (chunks, list) = mpsc::channel(1);
        tokio::spawn(async move {
            for number in 0..12 {
                tokio::time::sleep(SHORT / 4).await;
                if chunks.send(lines::line(&number)).await.is_err() {
                    return;
                }
            }
            pending::<()>().await;
            drop(chunks);
        });
        drop(reply.send(Ok(list)));
    });
    let client = daemon.client.with_limit(SHORT);
    let mut list = client
        .lines(&ListQuery::default())
        .await
        .expect("it begins");
    for number in 0..12 {
        let line = list.next().await.expect("it flows").expect("a line");
        assert_eq!(line, format!("{number}\n"));
    }
    let error = list.next().await.expect_err("it is silent");
    assert!(matches!(error, Error::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_request_whose_deadline_has_passed_is_never_handed_over() {
    let (sender, mut requests) = mpsc::channel(4);
    let daemon = served(sender);
    let minute = Duration::from_secs(60);
    for (deadline, status, handed) in [
        (Some("0".to_owned()), "408", false),
        (Some("1".to_owned()), "408", false),
        (Some("soon".to_owned()), "400", false),
        (Some("-1".to_owned()), "400", false),
        (Some(deadline::after(minute).to_string()), "200", true),
        (None, "200", true),
    ] {
        let header = deadline.as_ref().map_or_else(String::new, |text| {
            format!("{}: {text}\r\n", deadline::HEADER)
        });
        let question = format!("POST /v1/detach HTTP/1.1\r\nhost: weir\r\n{header}\r\n");
        let mut stream = UnixStream::connect(&daemon.path).await.expect("it listens");
        stream.write_all(question.as_bytes()).await.expect("sent");
        if handed {
            let request = requests.recv().await.expect("it is handed over");
            assert!(!request.is_abandoned(), "{deadline:?}");
            answer(request);
        }
        let mut said = String::new();
        stream.read_to_string(&mut said).await.expect("an answer");
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status}")),
            "{deadline:?}: {said}"
        );
        assert!(requests.try_recv().is_err(), "{deadline:?} was handed over");
    }
}

/// The daemon's loop stands still, its socket doesn't; then the loop goes on.
#[tokio::test]
async fn what_was_asked_of_a_stuck_loop_is_known_to_be_abandoned_when_it_goes_on() {
    let (sender, mut requests) = mpsc::channel(4);
    let daemon = served(sender);
    let client = daemon.client.with_limit(SHORT);
    let asking = (0..10).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.call(&DetachRequest::default()).await })
    });
    for asked in asking.collect::<Vec<_>>() {
        let error = asked.await.expect("it ran").expect_err("nobody answers");
        assert!(matches!(error, Error::Late { .. }), "{error}");
    }
    let mut queued = 0;
    while let Ok(request) = requests.try_recv() {
        assert!(request.is_abandoned(), "{request:?}");
        queued += 1;
    }
    assert!(queued <= 4, "{queued} were queued");
    // Those that waited for room see that it is too late, or that the client has gone.
    let more = timeout(SHORT, requests.recv()).await;
    assert!(more.is_err(), "{more:?} was handed over");
}
