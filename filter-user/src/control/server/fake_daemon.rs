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
            CauseCount, Causes, ClaimLine, DetachAnswer, EventLine, Explanation, FeedAnswer,
            FeedDetails, FeedOrder, FeedStatus, ForgiveAnswer, LiftedVerdict, ModeAnswer,
            PrefixAnswer, Protocol, Refused, ReloadAnswer, ShadowLine, Status, UnderAttackAnswer,
            UnderAttackStatus, Verdict, VerdictAnswer,
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

/// Answers what a daemon with one blocked source would.
pub(crate) fn answer(request: Request) {
    match request {
        Request::Status { reply } => drop(reply.send(Ok(status()))),
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
        Request::Explain { query, reply } => {
            assert_eq!((query.port, query.proto), (Some(443), Some(Protocol::Udp)));
            drop(reply.send(Ok(explanation(query.address))));
        }
        Request::Verdict { request, reply } => drop(reply.send(Ok(VerdictAnswer {
            until: request.for_s.map(|_| "2026-11-22T20:00:00Z".into()),
            prefixes: request.prefixes.iter().map(|text| judged(text)).collect(),
        }))),
        Request::Mode { request, reply } => drop(reply.send(if request.force {
            Ok(ModeAnswer {
                mode: request.mode,
                was: Mode::Observe,
                until: request.for_s.map(|_| "2026-11-22T20:00:00Z".into()),
                notes: Vec::new(),
            })
        } else {
            Err(Refused::new("few sources carry most of the traffic"))
        })),
        Request::UnderAttack { request, reply } => drop(reply.send(Ok(UnderAttackAnswer {
            on: request.on,
            was: false,
            under_attack: request.on.then(|| UnderAttackStatus {
                since: "2026-11-22T19:00:00Z".into(),
                until: request.for_s.map(|_| "2026-11-22T20:00:00Z".into()),
            }),
            notes: Vec::new(),
        }))),
        Request::Feeds { query, reply } => drop(reply.send(match query.feed.as_deref() {
            None | Some("verifier") => Ok(vec![feed()]),
            Some(name) => Err(Refused::new(format!("there is no feed {name:?}"))),
        })),
        Request::Feed { request, reply } => drop(reply.send(Ok(FeedAnswer {
            feed: feed(),
            heard: request.order != FeedOrder::Refresh,
            note: None,
        }))),
        Request::Forgive { request, reply } => {
            drop(reply.send(if request.address == "192.0.2.9" {
                Err(Refused::new("there is no policy"))
            } else {
                Ok(ForgiveAnswer {
                    source: request.address.clone() + "/32",
                    lifted: vec![LiftedVerdict {
                        feed: "attestation".into(),
                        verdict: Verdict::Block,
                        reason: Some("tok_badsig".into()),
                    }],
                    notes: Vec::new(),
                })
            }))
        }
        Request::Shadow { reply } => drop(reply.send(Ok(vec![ShadowLine::default()]))),
        Request::Reload { reply } => drop(reply.send(Ok(ReloadAnswer::default()))),
        Request::Detach { request, reply } => drop(reply.send(Ok(DetachAnswer {
            interfaces: request.interface.into_iter().collect(),
        }))),
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
