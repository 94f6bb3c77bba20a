//! A route for each call of the protocol's list whose answer is one value.

use std::mem::{size_of, take};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequest as _, Query, Request as HttpRequest, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{
    super::{
        Request,
        protocol::{Ask, Call, Method, Visitor, visit_each},
    },
    Daemon, Failure,
    ask::ask,
};

/// The routes of the list.
pub(super) fn routes() -> Router<mpsc::Sender<Request>> {
    let mut routes = Routes::default();
    visit_each(&mut routes);
    routes.0
}

#[derive(Default)]
struct Routes(Router<mpsc::Sender<Request>>);

impl Visitor for Routes {
    fn visit<C: Ask>(&mut self) {
        let handler = match C::METHOD {
            Method::Get => get(answer::<C>),
            Method::Post => post(answer::<C>),
            Method::Put => put(answer::<C>),
        };
        self.0 = take(&mut self.0).route(C::PATH, handler);
    }
}

async fn answer<C: Ask>(State(daemon): Daemon, request: HttpRequest) -> Result<Response, Failure> {
    let question = read::<C>(request).await?.question();
    let answer = ask(&daemon, |reply| Request::new(question, reply)).await?;
    let answer = C::own(answer).ok_or_else(|| {
        let sentence = "the engine answered another question";
        Failure(StatusCode::UNPROCESSABLE_ENTITY, sentence.to_owned())
    })?;
    Ok(Json(answer).into_response())
}

/// The call that an HTTP request makes.
pub(super) async fn read<C: Call>(request: HttpRequest) -> Result<C, Failure> {
    if C::METHOD == Method::Get {
        let Query(call) = Query::try_from_uri(request.uri())?;
        return Ok(call);
    }
    // A call without fields reads nothing: it is made, whatever is sent along.
    let body = if size_of::<C>() == 0 {
        Bytes::new()
    } else {
        Bytes::from_request(request, &()).await?
    };
    match parse(&body) {
        // Nothing stands for no fields, where none is needed.
        Err(fault) if body.is_empty() => parse(b"{}").map_err(|_fields_are_missing| fault),
        call => call,
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let sentence = format!("the request isn't the JSON that belongs here: {error}");
        Failure(StatusCode::BAD_REQUEST, sentence)
    })
}
