//! The service over HTTP.

use std::{
    collections::VecDeque,
    io,
    net::TcpListener,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, LOCATION, SERVER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustix::time::{ClockId, clock_gettime};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime,
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::TlsAcceptor;

use super::{
    DISCLAIMER,
    authority::Certificate,
    body::Sent,
    learn::Learner,
    lock,
    mischief::{Ending, Mischief, Reply},
    state::State,
};

/// What every connection knows.
#[derive(Debug)]
pub struct Shared {
    pub(super) state: Mutex<State>,
    /// An older state, to fall back to.
    pub(super) backup: Mutex<Option<State>>,
    pub(super) learner: Mutex<Learner>,
    pub(super) mischief: Mutex<Option<Mischief>>,
    /// The number of the last change, or any other reason to look again.
    pub(super) news: watch::Sender<u64>,
    pub(super) token: Option<String>,
    pub(super) certificate: Option<Certificate>,
    pub(super) stats: Mutex<Stats>,
    /// There is one more in the [`Stats`].
    pub(super) answers: Condvar,
    /// Tell each claim on standard output.
    pub(super) tell: bool,
}

/// What was asked, and when it was answered.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Whole words.
    pub wholes: u64,
    /// Changes.
    pub changes: u64,
    /// Requests with a bearer token, whichever.
    pub tokens: u64,
    /// Requests for something that isn't there.
    pub strays: u64,
    /// The number of the last change in an answer, and nanoseconds of the
    /// monotonic clock when it went out: the last ones.
    pub answered: VecDeque<(u64, u64)>,
}

impl Shared {
    /// One that runs by itself, and tells its claims.
    #[must_use]
    pub fn alone(
        token: Option<String>,
        certificate: Option<Certificate>,
        learner: Learner,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(unix())),
            backup: Mutex::default(),
            learner: Mutex::new(learner),
            mischief: Mutex::new(None),
            news: watch::Sender::new(0),
            token,
            certificate,
            stats: Mutex::default(),
            answers: Condvar::new(),
            tell: true,
        }
    }

    pub(super) fn say(&self, lines: &[Value]) -> Result<(), String> {
        let mut state = lock(&self.state);
        state.say(lines)?;
        self.news.send_replace(state.number());
        drop(state);
        if self.tell {
            for line in lines {
                let mut told = line.clone();
                told["time"] = humantime::format_rfc3339_micros(SystemTime::now())
                    .to_string()
                    .into();
                say_line(&told);
            }
        }
        Ok(())
    }

    /// Remembers its state as it is.
    pub(super) fn back_up(&self) {
        *lock(&self.backup) = Some(lock(&self.state).clone());
    }

    /// Goes back to the state that was remembered, as a restore from a backup
    /// does: what was said since never was, and its cursors will be given again.
    /// Whether there was one.
    pub(super) fn restore(&self) -> bool {
        let Some(backup) = lock(&self.backup).clone() else {
            return false;
        };
        *lock(&self.state) = backup;
        self.news.send_modify(|_number| {});
        true
    }

    pub(super) fn misbehave(&self, mischief: Option<Mischief>) {
        *lock(&self.mischief) = mischief;
        // Whoever waits for an answer is to see it too.
        self.news.send_modify(|_number| {});
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the demo reads what the service has learnt"
)]
fn say_line(line: &Value) {
    println!("{line}");
}

/// Serves until it is stopped; then every connection breaks.
///
/// # Panics
/// If the certificate can't be used.
pub fn run(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let tls = shared.certificate.as_ref().map(acceptor);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        listener.set_nonblocking(true).expect("it can be set");
        let listener = tokio::net::TcpListener::from_std(listener).expect("it is a listener");
        let accept = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                stream.set_nodelay(true).expect("it is a TCP connection");
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => connection(stream, shared).await,
                        Some(tls) => {
                            // Whoever doesn't believe us hangs up.
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, shared).await;
                            }
                        }
                    }
                });
            }
        };
        tokio::select! {
            () = accept => {}
            _ = stopped => {}
        }
    });
}

fn acceptor(certificate: &Certificate) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .expect("the certificate is PEM");
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("the key is PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key is the certificate's");
    TlsAcceptor::from(Arc::new(config))
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    let served = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    // However it ended, that was the client's or the mischief's wish.
    let _ended = served.await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Sent>> {
    let (head, body) = request.into_parts();
    let shown = head.headers.get(AUTHORIZATION);
    lock(&shared.stats).tokens += u64::from(shown.is_some());
    if let Some(token) = &shared.token
        && head.uri.path() == "/v1/verdicts"
        && shown.and_then(|shown| shown.to_str().ok()) != Some(&format!("Bearer {token}"))
    {
        return Ok(plain(401, &json!({"error": "another token is wanted"})));
    }
    if (&head.method, head.uri.path()) == (&Method::GET, "/v1/verdicts") {
        return stream(head.uri.query().unwrap_or_default(), &shared).await;
    }
    let Ok(body) = Limited::new(body, MOST).collect().await else {
        return Ok(plain(413, &json!({"error": "that is too long"})));
    };
    let body = body.to_bytes();
    Ok(match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/claims") => post(&body, &shared),
        (&Method::POST, "/v1/attestations") => attest(&body, &shared),
        (&Method::POST, "/v1/tokens") => {
            let token = lock(&shared.learner).issue(monotonic() ^ 0x9e37_79b9_7f4a_7c15);
            plain(200, &json!({"token": token}))
        }
        (&Method::PUT, "/v1/mischief") => match serde_json::from_slice(&body) {
            Ok(mischief) => {
                shared.misbehave(mischief);
                plain(200, &json!({}))
            }
            Err(error) => plain(400, &json!({"error": error.to_string()})),
        },
        (&Method::PUT, "/v1/backup") => {
            shared.back_up();
            plain(200, &json!({}))
        }
        (&Method::POST, "/v1/backup") if shared.restore() => plain(200, &json!({})),
        (&Method::POST, "/v1/backup") => plain(409, &json!({"error": "there is no backup"})),
        (&Method::DELETE, "/v1/claims") => {
            lock(&shared.state).forget_all();
            shared.news.send_modify(|_number| {});
            plain(200, &json!({}))
        }
        _ => {
            lock(&shared.stats).strays += 1;
            plain(404, &json!({"error": "there is nothing here"}))
        }
    })
}

/// The stream: a long poll holds until there is a change.
async fn stream(query: &str, shared: &Shared) -> io::Result<Response<Sent>> {
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let after = parameter("after");
    let wait: u64 = parameter("wait")
        .and_then(|wait| wait.parse().ok())
        .unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(wait.min(60));
    let mut news = shared.news.subscribe();
    let (reply, number) = loop {
        news.mark_unchanged();
        let (honest, number) = {
            let state = lock(&shared.state);
            (state.answer(after, unix()), state.number())
        };
        let mischief = lock(&shared.mischief).clone();
        let nothing = honest
            .as_ref()
            .is_some_and(|answer| !answer.whole && answer.lines.is_empty());
        if nothing && mischief.is_none() && timeout_at(end, news.changed()).await.is_ok() {
            continue;
        }
        break match mischief {
            None => (Reply::of(honest.as_ref()), number),
            Some(mischief) => (
                mischief.twist(honest, &lock(&shared.state), after, unix()),
                number,
            ),
        };
    };
    if !reply.delay.is_zero() {
        sleep(reply.delay).await;
    }
    if reply.status == 0 {
        return Err(io::Error::other("it breaks the connection"));
    }
    let mut stats = lock(&shared.stats);
    *(if after.is_some() {
        &mut stats.changes
    } else {
        &mut stats.wholes
    }) += 1;
    if stats.answered.len() == REMEMBERED {
        stats.answered.pop_front();
    }
    stats.answered.push_back((number, monotonic()));
    drop(stats);
    shared.answers.notify_all();
    let mut response = Response::builder()
        .status(reply.status)
        .header(SERVER, DISCLAIMER)
        .header(DATE, httpdate::fmt_http_date(ahead(reply.ahead)))
        .header(CONTENT_TYPE, "application/x-ndjson");
    if let Some(location) = reply.location {
        response = response.header(LOCATION, location);
    }
    let length = (reply.ending == Ending::Whole).then_some(reply.body.len() as u64);
    let body = Sent {
        length,
        body: Some(reply.body.into()).filter(|body: &Bytes| !body.is_empty()),
        ending: reply.ending,
        flushed: false,
    };
    Ok(response.body(body).expect("the head is in order"))
}

fn post(body: &[u8], shared: &Shared) -> Response<Sent> {
    let lines: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(body)
        .into_iter()
        .collect();
    let said = lines
        .map_err(|error| error.to_string())
        .and_then(|lines| shared.say(&lines));
    match said {
        Ok(()) => plain(200, &json!({"cursor": lock(&shared.state).cursor()})),
        Err(error) => plain(400, &json!({"error": error})),
    }
}

fn attest(body: &[u8], shared: &Shared) -> Response<Sent> {
    let Ok(call) = serde_json::from_slice::<Value>(body) else {
        return plain(400, &json!({"error": "no JSON"}));
    };
    let Some(source) = call["source"].as_str() else {
        return plain(400, &json!({"error": "there is no source"}));
    };
    let (genuine, claim) = lock(&shared.learner).attest(source, call["token"].as_str(), unix());
    if let Some(claim) = claim
        && let Err(error) = shared.say(&[claim])
    {
        return plain(400, &json!({"error": error}));
    }
    plain(
        if genuine { 200 } else { 401 },
        &json!({"genuine": genuine}),
    )
}

fn plain(status: u16, body: &Value) -> Response<Sent> {
    let body = Bytes::from(body.to_string());
    let sent = Sent {
        length: Some(body.len() as u64),
        body: Some(body),
        ending: Ending::Whole,
        flushed: false,
    };
    let response = Response::builder()
        .status(status)
        .header(SERVER, DISCLAIMER);
    response.body(sent).expect("the head is in order")
}

/// What a clock says that is so many seconds ahead.
fn ahead(seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    if seconds < 0 { now - by } else { now + by }
}

fn unix() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is right").as_secs()
}

/// Nanoseconds of the monotonic clock, which all processes of a host share.
#[must_use]
pub fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Bytes that may be posted.
const MOST: usize = 256 << 20;

/// Answers whose times are kept.
const REMEMBERED: usize = 10_000;
