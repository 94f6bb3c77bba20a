//! The listener: how many connections are inside at a time, and how long each may
//! take to say what it wants.
//!
//! A connection asks one question. Where as many are inside as there is room
//! for, the one that came first goes: whoever comes is let in, so that no heap
//! of idle connections keeps an operator or a monitor out, nor takes the
//! descriptors that feeds need.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, response::Response, serve::Listener};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::Refused;

/// How much of everything a listener lets in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections that are inside at a time.
    pub(super) at_once: usize,
    /// From the connection to the end of the question's head.
    pub(super) question: Duration,
    /// From the connection to the end of the answer; `None`: an answer may go on.
    pub(super) whole: Option<Duration>,
}

impl Limits {
    /// Hundreds may follow events, and commands come in beside them; but a process
    /// may usually have 1,024 descriptors, of which feeds, tables and the metrics
    /// port need a hundred.
    pub(super) const CONTROL: Self = Self {
        at_once: 768,
        question: Duration::from_secs(10),
        whole: None,
    };

    /// Monitors are few, and wait 10 seconds at most by their default.
    pub(super) const METRICS: Self = Self {
        at_once: 32,
        question: Duration::from_secs(5),
        whole: Some(Duration::from_secs(10)),
    };
}

/// Lets connections in for ever. `router_for` gives the routes that a connection
/// may ask.
pub(super) async fn open<L: Listener>(
    mut listener: L,
    limits: Limits,
    router_for: impl Fn(&L::Io) -> Router,
) {
    let mut inside: VecDeque<Guest> = VecDeque::new();
    loop {
        // It waits out every error of accepting.
        let (io, _from) = listener.accept().await;
        inside.retain(|guest| !guest.task.is_finished());
        while inside.len() >= limits.at_once
            && let Some(first) = inside.pop_front()
        {
            first.leave().await;
        }
        let router = router_for(&io);
        let (leave, asked_to_leave) = oneshot::channel();
        inside.push_back(Guest {
            leave,
            task: tokio::spawn(attend(io, router, limits, asked_to_leave)),
        });
    }
}

/// A connection that is inside.
struct Guest {
    leave: oneshot::Sender<()>,
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

/// Answers the question of one connection, if it asks in time.
async fn attend(
    io: impl tokio::io::AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    limits: Limits,
    asked_to_leave: oneshot::Receiver<()>,
) {
    let asked = Arc::new(AtomicBool::new(false));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let answer: Answer = Box::pin(router.call(request));
        answer
    });
    let mut connection = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(io), service);
    let too_late = async {
        sleep(limits.question).await;
        if asked.load(Ordering::Relaxed) {
            match limits.whole {
                Some(whole) => sleep(whole.saturating_sub(limits.question)).await,
                None => std::future::pending().await,
            }
        }
    };
    let (status, sentence) = tokio::select! {
        // Where it broke, nobody is there to be told.
        _done = &mut connection => return,
        () = too_late => (
            StatusCode::REQUEST_TIMEOUT,
            format!("no question came within {:?}", limits.question),
        ),
        _ = asked_to_leave => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("more than {} connections: the first goes", limits.at_once),
        ),
    };
    if !asked.load(Ordering::Relaxed) {
        let mut io = connection.into_parts().io.into_inner();
        // Nothing was sent before it, so it has room; but nobody is waited for.
        let farewell = farewell(status, sentence);
        let _sent = timeout(A_MOMENT, io.write_all(farewell.as_bytes())).await;
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// An answer to a question that never came.
fn farewell(status: StatusCode, sentence: String) -> String {
    let body = serde_json::to_string(&Refused::new(sentence)).expect("a sentence is JSON");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Bytes of the longest head of a question.
const LONGEST_HEAD: usize = 16 << 10;

const A_MOMENT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
