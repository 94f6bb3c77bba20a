//! The API's server: HTTP/1.1 with JSON on the control socket, and the metrics
//! alone on a port.
//!
//! It knows nothing but how to ask: every path becomes a [`Request`], every
//! answer a body. `calls` makes the paths from the protocol's list; here are those whose
//! answer is lines or a text. What goes wrong is `{"error": "sentence"}` with a status that
//! says whose affair it is: 4xx the client's, 422 refused by the daemon, 503 the
//! daemon is going. `listener` bounds the connections.

use std::{convert::Infallible, future::Future};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{
        ConnectInfo, DefaultBodyLimit, Request as HttpRequest, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::body::Body as _;
use tokio::{
    net::{TcpListener, UnixStream},
    sync::mpsc,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use self::{
    ask::{ask, note_deadline},
    calls::read,
    keepalive::KeptAlive,
    listener::Limits,
};
use super::{
    Request,
    peer::{Peer, Rules},
    protocol::{Call as _, EventsQuery, ListQuery, Refused},
    socket::ControlSocket,
};

/// Serves the control API until `shutdown`; then the socket is gone. Answers
/// that are under way go on as long as the runtime does, and hold `requests`
/// open as long.
pub async fn serve(
    socket: ControlSocket,
    requests: mpsc::Sender<Request>,
    rules: Rules,
    shutdown: impl Future<Output = ()>,
) {
    let ControlSocket { listener, file } = socket;
    tracing::info!(path = %file.path.display(), "the control API answers");
    let app = guarded(requests, rules);
    tokio::select! {
        () = listener::open(listener, Limits::CONTROL, |io| {
            app.clone().layer(Extension(ConnectInfo(Connection::of(io))))
        }) => {}
        () = shutdown => {}
    }
    drop(file);
}

/// Serves `/metrics` alone, to whoever can reach the listener, until
/// `shutdown`.
pub async fn serve_metrics(
    listener: TcpListener,
    requests: mpsc::Sender<Request>,
    shutdown: impl Future<Output = ()>,
) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the metrics port answers");
    }
    let app = Router::new()
        .route(METRICS, get(metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(without_body))
        .with_state(requests);
    tokio::select! {
        () = listener::open(listener, Limits::METRICS, |_| app.clone()) => {}
        () = shutdown => {}
    }
}

fn guarded(requests: mpsc::Sender<Request>, rules: Rules) -> Router {
    routes(requests)
        .layer(middleware::from_fn(admit))
        .layer(Extension(rules))
}

fn routes(requests: mpsc::Sender<Request>) -> Router {
    calls::routes()
        .route(ListQuery::PATH, get(claims))
        .route(EventsQuery::PATH, get(events))
        .route(METRICS, get(metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(note_deadline))
        .with_state(requests)
}

async fn claims(State(daemon): Daemon, request: HttpRequest) -> Result<Response, Failure> {
    let query: ListQuery = read(request).await?;
    let chunks = ask(&daemon, |reply| Request::List { query, reply }).await?;
    let chunks = ReceiverStream::new(chunks).map(Ok::<_, Infallible>);
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(chunks)).into_response())
}

async fn events(State(daemon): Daemon, request: HttpRequest) -> Result<Response, Failure> {
    let EventsQuery { follow, keepalive } = read(request).await?;
    let subscription = ask(&daemon, |reply| Request::Events { follow, reply }).await?;
    let lines = subscription.lines();
    let body = if follow && keepalive {
        Body::from_stream(KeptAlive::new(lines).map(Ok::<_, Infallible>))
    } else {
        Body::from_stream(lines.map(Ok::<_, Infallible>))
    };
    Ok(([(CONTENT_TYPE, NDJSON)], body).into_response())
}

async fn metrics(State(daemon): Daemon) -> Result<Response, Failure> {
    let text = ask(&daemon, |reply| Request::Metrics { reply }).await?;
    Ok(([(CONTENT_TYPE, PROMETHEUS)], text).into_response())
}

async fn no_such_path(request: HttpRequest) -> Failure {
    let sentence = format!("there is nothing at {}", request.uri().path());
    Failure(StatusCode::NOT_FOUND, sentence)
}

async fn no_such_method(request: HttpRequest) -> Failure {
    let sentence = format!("{} doesn't take {}", request.uri().path(), request.method());
    Failure(StatusCode::METHOD_NOT_ALLOWED, sentence)
}

/// Lets no question in that brings something along.
async fn without_body(request: HttpRequest, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let sentence = format!("{} takes no body", request.uri().path());
    Failure(StatusCode::PAYLOAD_TOO_LARGE, sentence).into_response()
}

/// Lets nobody in whom the rules don't admit.
async fn admit(
    ConnectInfo(Connection(peer)): ConnectInfo<Connection>,
    Extension(rules): Extension<Rules>,
    request: HttpRequest,
    next: Next,
) -> Response {
    match peer {
        Some(peer) if rules.admits(&peer) => next.run(request).await,
        peer => {
            tracing::warn!(
                ?peer,
                path = request.uri().path(),
                "a peer that isn't root, the daemon's user or of the socket's group was refused"
            );
            let sentence = "only root, the daemon's user and the control socket's group are let in";
            Failure(StatusCode::FORBIDDEN, sentence.to_owned()).into_response()
        }
    }
}

/// Who is at the other end of this connection, if the kernel said so.
#[derive(Clone, Debug)]
struct Connection(Option<Peer>);

impl Connection {
    fn of(stream: &UnixStream) -> Self {
        Self(stream.peer_cred().ok().map(Peer::from))
    }
}

type Daemon = State<mpsc::Sender<Request>>;

/// A status and a sentence.
#[derive(Debug)]
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(Refused::new(self.1))).into_response()
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let sentence = format!(
                "the request is longer than {} MiB: send it in parts",
                MAX_BODY >> 20
            );
            return Self(StatusCode::PAYLOAD_TOO_LARGE, sentence);
        }
        Self(rejection.status(), rejection.body_text())
    }
}

/// Bytes of the largest request: some two hundred thousand prefixes, four times
/// what the CLI sends at once.
const MAX_BODY: usize = 8 << 20;

/// Where the metrics are.
const METRICS: &str = "/metrics";

const NDJSON: &str = "application/x-ndjson";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

mod ask;
mod calls;
mod keepalive;
mod listener;

#[cfg(test)]
pub(crate) mod fake_daemon;
#[cfg(test)]
mod late;
#[cfg(test)]
mod tests;
