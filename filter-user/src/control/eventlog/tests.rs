use std::pin::pin;

use filter_common::{
    cause::{Action, Cause},
    settings::Mode,
};

use super::*;

fn event(number: u64) -> EventLine {
    EventLine {
        time: "2026-11-22T20:00:00Z".into(),
        interface: "eth0".into(),
        source: [192, 0, 2, 7].into(),
        destination: [198, 51, 100, 1].into(),
        protocol: "tcp".into(),
        port: Some(443),
        service: None,
        cause: Cause::Blocked,
        action: Action::Drop,
        mode: Mode::Enforce,
        prefix: None,
        feed: None,
        reason: None,
        tier: None,
        generation: number,
        suppressed_before: 0,
        first: false,
        weight: 1,
    }
}

fn number(line: &Bytes) -> u64 {
    let event: EventLine = serde_json::from_slice(line).expect("an event");
    event.generation
}

async fn numbers(lines: impl Stream<Item = Bytes>) -> Vec<u64> {
    let pieces: Vec<_> = lines.collect().await;
    let pieces = pieces.concat();
    let lines = pieces.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| number(&Bytes::copy_from_slice(line)))
        .collect()
}

#[tokio::test]
async fn the_last_events_are_shown() {
    let mut log = EventLog::new(3, 8);
    log.extend((0..10).map(event));
    assert_eq!(numbers(log.recent().lines()).await, [7, 8, 9]);
}

#[tokio::test]
async fn a_follower_gets_what_was_and_what_comes_once() {
    let mut log = EventLog::new(3, 8);
    log.extend([event(0)]);
    let follower = log.follow().expect("few follow");
    log.extend((1..5).map(event));
    assert_eq!(log.followers(), (1, 0));
    drop(log);
    assert_eq!(numbers(follower.lines()).await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_follower_that_waits_is_woken_by_what_comes_and_by_the_end() {
    let mut log = EventLog::new(3, 8);
    let follower = log.follow().expect("few follow");
    let all = tokio::spawn(numbers(follower.lines()));
    for number in 0..4 {
        tokio::task::yield_now().await;
        log.extend([event(number)]);
    }
    tokio::task::yield_now().await;
    drop(log);
    assert_eq!(all.await.expect("it ends"), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_slow_follower_is_told_what_it_missed_and_so_is_the_operator() {
    let mut log = EventLog::new(0, 8);
    let slow = log.follow().expect("few follow");
    let other = log.follow().expect("few follow");
    log.extend((0..20).map(event));
    assert_eq!(log.followers(), (2, 24));
    drop(other);
    assert_eq!(log.followers(), (1, 24), "it stays counted");
    let mut lines = pin!(slow.lines());
    let first = lines.next().await.expect("a line");
    let Missed { missed } = serde_json::from_slice(&first).expect("what was missed");
    assert_eq!(missed, 12);
    assert_eq!(log.followers(), (1, 24));
    drop(log);
    assert_eq!(numbers(lines).await, (12..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_events_come_in_pieces_and_none_is_torn() {
    let mut log = EventLog::new(1000, 4096);
    log.extend((0..1000).map(event));
    let pieces: Vec<_> = log.recent().lines().collect().await;
    assert!((10..100).contains(&pieces.len()), "{} pieces", pieces.len());
    assert!(
        pieces
            .iter()
            .all(|piece| piece.len() <= PIECE && piece.ends_with(b"\n"))
    );
    let all = numbers(log.recent().lines()).await;
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
}

#[test]
fn too_many_followers_are_refused_and_each_that_leaves_makes_room() {
    let log = EventLog::default();
    let mut all: Vec<_> = (0..FOLLOWERS)
        .map(|_| log.follow().expect("room"))
        .collect();
    let refused = log.follow().expect_err("no room").error;
    assert!(refused.contains("follow the events already"), "{refused}");
    all.pop();
    let _again = log.follow().expect("room");
}
