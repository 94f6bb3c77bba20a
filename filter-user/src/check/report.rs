//! `POST /v1/observations`: what other verifiers observed.

use std::path::PathBuf;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, AUTHORIZATION, HeaderValue},
};
use serde_json::json;

use super::{
    Check, codec,
    door::{self, refusal},
};
use crate::store::{
    files::MAX_TOKEN_BYTES,
    reader::{READ_TIMEOUT, Reader},
};

/// Who may send observations.
#[derive(Clone, Debug)]
pub struct Reporters {
    /// The file with their token, read anew each time.
    token_file: Option<PathBuf>,
    /// The daemon's user.
    uid: u32,
    /// Threads for that file: its file system may hang.
    files: Reader,
}

impl Reporters {
    /// Root and this user on the socket, and everywhere who has the token.
    #[must_use]
    pub fn new(token_file: Option<PathBuf>, uid: u32) -> Self {
        Self {
            token_file,
            uid,
            files: Reader::new(MAX_READS),
        }
    }

    #[cfg(test)]
    pub(super) const fn files(&self) -> &Reader {
        &self.files
    }

    /// Whether a user is let in for who he is.
    pub(super) const fn trusts(&self, uid: u32) -> bool {
        uid == ROOT || uid == self.uid
    }

    /// Whether the one `Authorization` of a request has the token.
    async fn admits(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let Some((scheme, token)) = value.as_bytes().split_at_checked(BEARER.len()) else {
            return false;
        };
        let hash = |bytes: &[u8]| digest(&SHA256, bytes);
        self.token().await.is_some_and(|ours| {
            scheme.eq_ignore_ascii_case(BEARER)
                && verify_slices_are_equal(hash(&ours).as_ref(), hash(token.trim_ascii()).as_ref())
                    .is_ok()
        })
    }

    async fn token(&self) -> Option<Vec<u8>> {
        let path = self.token_file.as_ref()?;
        let read = self.files.read(path.clone(), MAX_TOKEN_BYTES, READ_TIMEOUT);
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "check.token_file can't be read, so no token is right");
                return None;
            }
        };
        let token = bytes.trim_ascii();
        (!token.is_empty()).then(|| token.to_vec())
    }
}

/// Takes what was sent, line by line.
pub(super) async fn take(
    check: &Check,
    request: Request<Incoming>,
    trusted: bool,
) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        let mut response = refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "observations are sent by POST",
        );
        let post = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, post);
        return response;
    }
    if !(trusted || check.reporters.admits(request.headers()).await) {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "send the token of check.token_file as `Authorization: Bearer TOKEN`",
        );
    }
    let body = match Limited::new(request.into_body(), LARGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "this is longer than 2 MiB: send it in parts",
            );
        }
        Err(_broken) => {
            return refusal(StatusCode::BAD_REQUEST, "the observations broke off");
        }
    };
    let lines = match codec::read(&body, &check.marker) {
        Ok(lines) => lines,
        Err(fault) => {
            check.counts.reported(0, 1);
            return refusal(StatusCode::BAD_REQUEST, &fault.to_string());
        }
    };
    let (mut taken, mut lost) = (0, 0);
    let (mut refused, mut first) = (0, Vec::new());
    for (line, read) in lines {
        match read {
            Ok(observation) => {
                taken += 1;
                lost += u64::from(!check.send(observation));
            }
            Err(fault) => {
                refused += 1;
                if first.len() < TOLD {
                    first.push(json!({"line": line, "error": fault.to_string()}));
                }
            }
        }
    }
    check.counts.reported(taken, refused);
    door::json(
        StatusCode::OK,
        &json!({"taken": taken, "lost": lost, "refused": refused, "refusals": first}),
    )
}

const BEARER: &[u8] = b"Bearer ";
const ROOT: u32 = 0;
/// Reads of the token's file that may be under way at a time.
pub(super) const MAX_READS: usize = 4;
/// Bytes of the largest request: ten thousand observations.
const LARGEST: usize = 2 << 20;
/// Refusals that an answer spells out.
const TOLD: usize = 100;
