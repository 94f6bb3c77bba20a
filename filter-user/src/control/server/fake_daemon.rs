//! A fake daemon for tests, behind a served socket: its answers are fixed.

use std::{net::IpAddr, path::PathBuf};

use filter_common::{
    cause::{Action, Cause},
    settings::Mode,
};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{Request, Rules, serve};
use crate::{
    control::{
        client::Client,
        eventlog::EventLog,
        lines,
        protocol::{
            Answer, CauseCount, Causes, ClaimLine, Command, DetachAnswer, EventLine, Explanation,
            FeedAnswer, FeedDetails, FeedOrder, FeedStatus, ModeAnswer, PrefixAnswer, Protocol,
            Query, Refused, ReloadAnswer, Status, UnderAttackAnswer, UnderAttackStatus, Verdict,
            VerdictAnswer,
        },
        socket,
    },
    prefix::Written,
};

/// A served socket, and the client for it.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) path: PathBuf,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) server: JoinHandle<()>,
    pub(super) _folder: TempDir,
}

/// Serves a daemon that is handed each request.
pub(crate) fn running(mut daemon: impl FnMut(Request) + Send + 'static) -> Running {
    let (sender, mut requests) = mpsc::channel(4);
    let running = served(sender);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            daemon(request);
        }
    });
    running
}

/// Serves a socket whose requests come out of a channel.
pub(super) fn served(requests: mpsc::Sender<Request>) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    let socket = socket::bind(&path).expect("a socket");
    let rules = Rules::of(&path).expect("rules");
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };
    let server = tokio::spawn(serve(socket, requests, rules, shutdown));
    Running {
        client: Client::new(&path),
        path,
        stop,
        server,
        _folder: folder,
    }
}

/// Answers what a daemon with one blocked source would. Of a call that no test of several
/// rooms makes it knows nothing.
pub(crate) fn answer(request: Request) {
    match request {
        Request::Command { command, reply } => drop(reply.send(done(command))),
        Request::Query { query, reply } => drop(reply.send(shown(query))),
        Request::List { query, reply } => {
            let (sender, chunks) = mpsc::channel(2);
            let lines = if query.feed.as_deref() == Some("local") {
                100_000
            } else {
                0
            };
            tokio::spawn(lines::send((0..lines).map(claim), sender));
            drop(reply.send(Ok(chunks)));
        }
        Request::Events { follow, reply } => {
            let mut log = EventLog::new(8, 8);
            log.extend((0..3).map(event));
            drop(reply.send(if follow {
                log.follow()
            } else {
                Ok(log.recent())
            }));
        }
        Request::Metrics { reply } => drop(reply.send(Ok("weir_up 1\n".into()))),
    }
}

fn done(command: Command) -> Result<Answer, Refused> {
    Ok(match command {
        Command::Verdict(request) => Answer::Verdict(VerdictAnswer {
            until: request.for_s.map(|_| "2026-11-22T20:00:00Z".into()),
            prefixes: request.prefixes.iter().map(|text| judged(text)).collect(),
        }),
        Command::Mode(request) if request.force => Answer::Mode(ModeAnswer {
            mode: request.mode,
            was: Mode::Observe,
            until: request.for_s.map(|_| "2026-11-22T20:00:00Z".into()),
            notes: Vec::new(),
        }),
        Command::Mode(_) => return Err(Refused::new("few sources carry most of the traffic")),
        Command::UnderAttack(request) => Answer::UnderAttack(UnderAttackAnswer {
            on: request.on,
            was: false,
            under_attack: request.on.then(|| UnderAttackStatus {
                since: "2026-11-22T19:00:00Z".into(),
                until: request.for_s.map(|_| "2026-11-22T20:00:00Z".into()),
            }),
            notes: Vec::new(),
        }),
        Command::Feed(request) => Answer::Feed(FeedAnswer {
            feed: feed(),
            heard: request.order != FeedOrder::Refresh,
            note: None,
        }),
        Command::Reload(_) => Answer::Reload(ReloadAnswer::default()),
        Command::Detach(request) => Answer::Detach(DetachAnswer {
            interfaces: request.interface.into_iter().collect(),
        }),
        other => return Err(Refused::new(format!("{other:?} is unknown here"))),
    })
}

fn shown(query: Query) -> Result<Answer, Refused> {
    Ok(match query {
        Query::Status(_) => Answer::Status(status()),
        Query::Explain(query) => {
            assert_eq!((query.port, query.proto), (Some(443), Some(Protocol::Udp)));
            Answer::Explain(explanation(query.address))
        }
        Query::Feeds(query) => match query.feed.as_deref() {
            None | Some("verifier") => Answer::Feeds(vec![feed()]),
            Some(name) => return Err(Refused::new(format!("there is no feed {name:?}"))),
        },
        other => return Err(Refused::new(format!("{other:?} is unknown here"))),
    })
}

fn judged(text: &str) -> PrefixAnswer {
    match text.parse::<Written>() {
        Ok(written) if written.prefix.length() == 0 => PrefixAnswer::refused(text, "too wide"),
        Ok(written) => PrefixAnswer::done(text, &written),
        Err(error) => PrefixAnswer::refused(text, error.to_string()),
    }
}

pub(super) fn status() -> Status {
    let mut causes = Causes::default();
    causes[Cause::Blocked] = CauseCount {
        packets: 7,
        bytes: 700,
        dropped_packets: 7,
        dropped_bytes: 700,
        sources: 1,
        connections: 2,
    };
    Status {
        version: "0.1.0".into(),
        pid: 7,
        mode: Mode::Enforce,
        mode_from: "configuration".into(),
        mode_until: None,
        under_attack: None,
        generation: 3,
        interfaces: Vec::new(),
        verdicts: Default::default(),
        tables: Default::default(),
        shadow_verdicts: Default::default(),
        feeds: Vec::new(),
        services: Vec::new(),
        causes,
        shadow: Causes::default(),
        events: Default::default(),
        buckets: Default::default(),
        check: None,
        policy: None,
        problems: vec!["feed local is stale".into()],
    }
}

pub(super) fn claim(number: u32) -> ClaimLine {
    ClaimLine {
        prefix: format!("{}/32", std::net::Ipv4Addr::from(number)),
        verdict: Verdict::Block,
        feed: "local".into(),
        reason: None,
        evidence: 1,
        expires: None,
        expires_in_s: None,
        id: None,
        hits: Some(u64::from(number) * 64),
    }
}

pub(super) fn explanation(address: IpAddr) -> Explanation {
    Explanation {
        address,
        protocol: Protocol::Udp,
        port: 443,
        mode: Mode::Enforce,
        cause: Cause::Blocked,
        action: Action::Drop,
        verdict: Some(Verdict::Block),
        prefix: Some("203.0.113.0/24".into()),
        feed: Some("local".into()),
        reason: None,
        evidence: Some(12),
        expires_in_s: Some(200),
        tier: None,
        service: None,
        bucket: Vec::new(),
        shadow: None,
        losing: Vec::new(),
    }
}

pub(super) fn event(number: u64) -> EventLine {
    EventLine {
        time: "2026-11-22T20:00:00Z".into(),
        interface: "eth0".into(),
        source: [192, 0, 2, 7].into(),
        destination: [198, 51, 100, 1].into(),
        protocol: "tcp".into(),
        port: Some(443),
        service: Some("api".into()),
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

pub(crate) fn feed() -> FeedDetails {
    FeedDetails {
        status: FeedStatus {
            name: "verifier".into(),
            kind: "verdicts".into(),
            mode: "inherit".into(),
            state: "untrusted".into(),
            claims: 12_000,
            age_s: Some(200),
            last_error: Some("whoever answers isn't believed".into()),
            ..FeedStatus::default()
        },
        sentence: "whoever answers isn't believed".into(),
        source: "https://verify.example.net/v1/verdicts".into(),
        rank: 10,
        widen_ipv6: 128,
        blocked: 11_000,
        limited: 1_000,
        notes: vec!["everyone on this host can read the token".into()],
        ..FeedDetails::default()
    }
}
