//! The door: connections stay open, since gateways ask again and again; how many
//! there are at a time is bounded, and so is how long a question may take to
//! come.
//!
//! Where as many are inside as there is room for, one gives way to whoever comes:
//! one that never asked anything, or else the one that is idle the longest.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::serve::{Listener, ListenerExt as _};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::oneshot,
    task::JoinHandle,
    time::sleep,
};

use super::{
    Check,
    activity::{Activity, Watched},
    decide::Answer,
    report,
};

/// How much a door lets in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are inside at a time.
    pub at_once: usize,
    /// How long a question may take to come, once it has begun.
    pub question: Duration,
}

impl Limits {
    /// So many connections, and the usual patience.
    #[must_use]
    pub const fn of(at_once: usize) -> Self {
        Self {
            at_once,
            question: QUESTION,
        }
    }
}

/// Answers on the socket for ever.
pub async fn serve(listener: UnixListener, check: Arc<Check>, limits: Limits) {
    let reporters = check.reporters.clone();
    open(listener, check, limits, |stream| {
        let peer = stream.peer_cred().ok();
        peer.is_some_and(|peer| reporters.trusts(peer.uid()))
    })
    .await;
}

/// The same on a port, where nobody is trusted for who he is.
pub async fn serve_port(listener: TcpListener, check: Arc<Check>, limits: Limits) {
    let listener = listener.tap_io(|stream| {
        // Answers are small and complete. Where this fails, they are only late.
        let _set = stream.set_nodelay(true);
    });
    open(listener, check, limits, |_| false).await;
}

async fn open<L: Listener>(
    mut listener: L,
    check: Arc<Check>,
    limits: Limits,
    trusts: impl Fn(&L::Io) -> bool,
) {
    let mut inside: Vec<Guest> = Vec::new();
    loop {
        // It waits out every error of accepting.
        let (io, _from) = listener.accept().await;
        inside.retain(|guest| !guest.task.is_finished());
        while inside.len() >= limits.at_once
            && let Some(place) =
                (0..inside.len()).min_by_key(|place| inside[*place].activity.rank())
        {
            inside.swap_remove(place).leave().await;
        }
        let trusted = trusts(&io);
        let activity = Activity::new();
        let (leave, asked_to_leave) = oneshot::channel();
        inside.push(Guest {
            leave,
            activity: Arc::clone(&activity),
            task: tokio::spawn(attend(
                io,
                Arc::clone(&check),
                limits,
                trusted,
                activity,
                asked_to_leave,
            )),
        });
    }
}

/// A connection that is inside.
struct Guest {
    leave: oneshot::Sender<()>,
    activity: Arc<Activity>,
    task: JoinHandle<()>,
}

impl Guest {
    /// Asks it to leave, and waits until its descriptor is free.
    async fn leave(self) {
        // Either may have happened by itself.
        let _gone = self.leave.send(());
        let _ended = self.task.await;
    }
}

/// Answers the questions of one connection, until it goes or has to.
async fn attend(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    check: Arc<Check>,
    limits: Limits,
    trusted: bool,
    activity: Arc<Activity>,
    asked_to_leave: oneshot::Receiver<()>,
) {
    let service = service_fn(|request| {
        activity.question();
        let (check, activity) = (Arc::clone(&check), Arc::clone(&activity));
        async move {
            let response = answer(&check, request, trusted).await;
            activity.answer();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .auto_date_header(false)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(
            TokioIo::new(Watched::new(io, Arc::clone(&activity))),
            service,
        );
    tokio::select! {
        // Where it broke, nobody is there to be told.
        _done = connection => {}
        () = late(&activity, limits.question) => {}
        _ = asked_to_leave => {}
    }
    if activity.was_unreadable() {
        check.counts.answered(Answer::UNREADABLE);
    }
}

/// Ends when a question takes too long to come.
async fn late(activity: &Activity, question: Duration) {
    while activity.half_asked() < question {
        sleep(question / LOOKS).await;
    }
}

async fn answer(check: &Check, request: Request<Incoming>, trusted: bool) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if let Some(below) = path.strip_prefix(CHECK)
        && (below.is_empty() || below.starts_with('/'))
    {
        return told(check.answer(below, request.headers()), check.tell_reason);
    }
    if path == OBSERVATIONS {
        return report::take(check, request, trusted).await;
    }
    refusal(
        StatusCode::NOT_FOUND,
        &format!("there is nothing at {path}: gateways ask at {CHECK}"),
    )
}

/// The reason is for the gateway's log; the body is the client's to see, and has
/// nothing in it.
fn told(answer: Answer, why: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = answer.status();
    if why {
        let reason = answer.found().told();
        let reason = HeaderValue::try_from(reason).expect("reasons are visible ASCII");
        response.headers_mut().insert(REASON, reason);
    }
    response
}

/// `{"error": "sentence"}` with a status that says whose affair it is.
pub(super) fn refusal(status: StatusCode, sentence: &str) -> Response<Full<Bytes>> {
    json(status, &serde_json::json!({"error": sentence}))
}

pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// What gateways ask, and all below it.
pub const CHECK: &str = "/v1/check";

/// Where other verifiers send what they observed.
pub const OBSERVATIONS: &str = "/v1/observations";

/// The header that says why, for the gateway's log.
pub const REASON: &str = "weir-reason";

/// Bytes of the longest head of a question: more than a gateway passes on by its
/// own defaults, and what a connection takes at most while it asks.
const LONGEST_HEAD: usize = 64 << 10;

/// How long a question may take to come, once it has begun.
const QUESTION: Duration = Duration::from_secs(10);

/// How often it is looked, in that time, whether it has come.
const LOOKS: u32 = 5;
