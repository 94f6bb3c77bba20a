//! The API's client, over the control socket: what the CLI speaks through.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header::HOST};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    net::UnixStream,
    time::{sleep, timeout},
};

use super::{
    deadline,
    protocol::{self, Ask, Call, Refused},
};

#[cfg(test)]
mod tests;

/// Speaks to the daemon behind one socket, a connection for each question.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    limit: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no daemon answers on {0}: is it running? (weir run, or systemctl start weir)")]
    NoDaemon(PathBuf),
    /// The socket can't be opened by this user.
    #[error("you may not open {0}: try it as root, or as a member of the socket's group")]
    NotAllowed(PathBuf),
    /// The daemon said no, and why.
    #[error(transparent)]
    Refused(Refused),
    /// The daemon is there, and begins nothing for this request any more.
    #[error(transparent)]
    Unavailable(Refused),
    /// The daemon takes its time.
    #[error(
        "the daemon on {path} hasn't answered within {limit:?}: its log may say why. What it \
         hasn't begun by now it won't carry out"
    )]
    Late {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
    /// The answer has begun, and doesn't go on.
    #[error(
        "the daemon on {path} has sent nothing for {limit:?} within its answer, which isn't whole"
    )]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection to the daemon on {path} broke: {what}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        what: String,
    },
    /// The answer isn't one of the protocol's.
    #[error("the answer isn't understood ({0}): are the daemon and this command of one version?")]
    NotUnderstood(#[from] serde_json::Error),
}

impl Client {
    /// Speaks to the daemon behind this socket, and waits [`ANSWER_TIMEOUT`].
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            limit: ANSWER_TIMEOUT,
        }
    }

    /// The same, and waits so long for each answer. Of an answer of many lines that
    /// is the wait for its beginning, and for each of its parts.
    #[must_use]
    pub fn with_limit(&self, limit: Duration) -> Self {
        Self {
            socket: self.socket.clone(),
            limit,
        }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Makes a call, and gives its answer.
    ///
    /// # Errors
    /// If there is no answer, or not the expected one.
    pub async fn call<C: Ask>(&self, call: &C) -> Result<C::Answer, Error> {
        let (method, uri, body) = sent(call)?;
        self.receive(method, &uri, body).await
    }

    /// Makes a call whose answer is lines.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn lines(&self, call: &impl protocol::Lines) -> Result<Lines, Error> {
        let (method, uri, body) = sent(call)?;
        self.receive_lines(method, &uri, body).await
    }

    /// Sends what a test has written itself, where no call would.
    #[cfg(test)]
    pub(super) async fn raw<T: DeserializeOwned>(
        &self,
        method: Method,
        uri: &str,
        body: impl Into<Bytes>,
    ) -> Result<T, Error> {
        self.receive(method, uri, body.into()).await
    }

    /// The same, for lines.
    #[cfg(test)]
    pub(super) async fn raw_lines(&self, uri: &str) -> Result<Lines, Error> {
        self.receive_lines(Method::GET, uri, Bytes::new()).await
    }

    /// Asks for a text.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn text(&self, path: &str) -> Result<String, Error> {
        let bytes = self
            .within(self.whole(Method::GET, path, Bytes::new()))
            .await?;
        String::from_utf8(bytes.into()).map_err(|error| self.broken(&error))
    }

    async fn receive<T: DeserializeOwned>(
        &self,
        method: Method,
        uri: &str,
        body: Bytes,
    ) -> Result<T, Error> {
        let bytes = self.within(self.whole(method, uri, body)).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn receive_lines(&self, method: Method, uri: &str, body: Bytes) -> Result<Lines, Error> {
        let response = self.within(self.ask(method, uri, body)).await?;
        Ok(Lines {
            body: response.into_body(),
            read: BytesMut::new(),
            searched: 0,
            client: self.clone(),
        })
    }

    /// Waits no longer than is allowed.
    async fn within<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        timeout(self.limit, answer)
            .await
            .unwrap_or_else(|_elapsed| {
                Err(Error::Late {
                    path: self.socket.clone(),
                    limit: self.limit,
                })
            })
    }

    /// The answer's body, all of it.
    async fn whole(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Error> {
        let response = self.ask(method, path, body).await?;
        let body = response.into_body().collect().await;
        Ok(body.map_err(|error| self.broken(&error))?.to_bytes())
    }

    /// The answer's head, if it is a good one.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let response = self.send(method, path, body).await?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await;
        let bytes = body.map_err(|error| self.broken(&error))?.to_bytes();
        let refused = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_not_json| Refused::new(format!("the daemon answered {status}")));
        Err(match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
                Error::Unavailable(refused)
            }
            _ => Error::Refused(refused),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Error> {
        let deadline = deadline::after(self.limit);
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // It moves the bytes of this one question, and ends with it.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the control connection broke");
            }
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "weir")
            .header(deadline::HEADER, deadline)
            .body(Full::new(body))
            .map_err(|error| self.broken(&error))?;
        sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(&error))
    }

    /// Comes in, or queues at the listener for as long as an answer may take. The
    /// kernel says of a full queue only that it is full, and never when it isn't.
    async fn connect(&self) -> Result<UnixStream, Error> {
        loop {
            let error = match UnixStream::connect(&self.socket).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            return Err(match error.kind() {
                io::ErrorKind::WouldBlock => {
                    sleep(AGAIN).await;
                    continue;
                }
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Error::NoDaemon(self.socket.clone())
                }
                io::ErrorKind::PermissionDenied => Error::NotAllowed(self.socket.clone()),
                _ => self.broken(&error),
            });
        }
    }

    fn broken(&self, what: &impl std::error::Error) -> Error {
        broken(&self.socket, what)
    }
}

/// Lines of an answer, as they come.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    read: BytesMut,
    /// How much of what was read holds no line's end.
    searched: usize,
    client: Client,
}

impl Lines {
    /// The next line, with its end; `None`: the answer is complete. Empty lines only
    /// keep the connection alive, and are passed over.
    ///
    /// # Errors
    /// If the connection broke, or nothing came for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.line().await? {
                Some(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                other => return Ok(other),
            }
        }
    }

    async fn line(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let end = self.read[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let line = self.read.split_to(self.searched + end + 1);
                self.searched = 0;
                return Ok(Some(line.freeze()));
            }
            self.searched = self.read.len();
            let frame = timeout(self.client.limit, self.body.frame()).await;
            let frame = frame.map_err(|_elapsed| Error::Silent {
                path: self.client.socket.clone(),
                limit: self.client.limit,
            })?;
            match frame {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.read.extend_from_slice(bytes);
                    }
                }
                Some(Err(error)) => return Err(self.client.broken(&error)),
                None if self.read.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(self.read.split().freeze()));
                }
            }
        }
    }
}

/// A call as it travels: its method, its path with the query, and its body.
fn sent<C: Call>(call: &C) -> Result<(Method, String, Bytes), serde_json::Error> {
    let path = || C::PATH.to_owned();
    Ok(match C::METHOD {
        protocol::Method::Get => (Method::GET, uri(call)?, Bytes::new()),
        protocol::Method::Post => (Method::POST, path(), serde_json::to_vec(call)?.into()),
        protocol::Method::Put => (Method::PUT, path(), serde_json::to_vec(call)?.into()),
    })
}

/// A call's path, and as its query the fields that have a value.
fn uri<C: Call>(call: &C) -> Result<String, serde_json::Error> {
    let fields: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(call)?)?;
    let mut text = C::PATH.to_owned();
    let mut before = '?';
    for (key, value) in fields {
        let value = match value {
            Value::Null => continue,
            Value::String(value) => value,
            value => value.to_string(),
        };
        text.push(before);
        text.push_str(&key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        before = '&';
    }
    Ok(text)
}

/// With what is behind an error: the first words of a library say little.
fn broken(socket: &Path, error: &impl std::error::Error) -> Error {
    let mut what = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        what = format!("{what}: {error}");
        source = error.source();
    }
    Error::Broken {
        path: socket.to_owned(),
        what,
    }
}

/// For an answer, unless the command says otherwise.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two tries at a listener with a full queue.
const AGAIN: Duration = Duration::from_millis(5);
