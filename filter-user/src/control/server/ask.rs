//! How a question is handed to the daemon: only while its client waits for it.

use axum::{
    extract::Request as HttpRequest,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::mpsc;

use super::{
    super::{Reply, Request, deadline},
    Failure,
};

/// Hands a request to the daemon and waits for the answer. What has waited here for
/// longer than its client does isn't handed over.
pub(super) async fn ask<T>(
    daemon: &mpsc::Sender<Request>,
    request: impl FnOnce(Reply<T>) -> Request,
) -> Result<T, Failure> {
    // The metrics port notes none.
    let deadline = DEADLINE.try_with(|deadline| *deadline).unwrap_or_default();
    let (reply, answer) = Reply::new(deadline);
    let gone = || {
        let sentence = "the daemon is going down: ask again when it is back";
        Failure(StatusCode::SERVICE_UNAVAILABLE, sentence.to_owned())
    };
    // While it waits for room the client may go: then this is dropped, and nothing
    // was handed over.
    let room = daemon.reserve().await.map_err(|_closed| gone())?;
    if deadline.is_some_and(deadline::passed) {
        let sentence = "the request came too late: its client has given up, so nothing was done";
        return Err(Failure(StatusCode::REQUEST_TIMEOUT, sentence.to_owned()));
    }
    room.send(request(reply));
    match answer.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(refused)) => Err(Failure(StatusCode::UNPROCESSABLE_ENTITY, refused.error)),
        Err(_dropped) => Err(gone()),
    }
}

/// Has [`ask`] know until when the client waits.
pub(super) async fn note_deadline(request: HttpRequest, next: Next) -> Response {
    let deadline = match request.headers().get(deadline::HEADER) {
        None => None,
        Some(value) => match value.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(deadline_ms) => Some(deadline_ms),
            None => {
                let sentence = format!(
                    "{} isn't milliseconds of CLOCK_BOOTTIME: write a whole number",
                    deadline::HEADER
                );
                return Failure(StatusCode::BAD_REQUEST, sentence).into_response();
            }
        },
    };
    DEADLINE.scope(deadline, next.run(request)).await
}

tokio::task_local! {
    /// Until when the client waits for the answer to this request.
    static DEADLINE: Option<u64>;
}
