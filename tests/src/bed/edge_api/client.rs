//! A caller: real HTTP over real connections, kept open as apps keep them.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{Shown, api::CALLER};

/// Somebody who calls the API.
#[derive(Debug)]
pub struct Client {
    name: String,
    from: IpAddr,
    to: SocketAddr,
    /// The token that it shows with each call.
    pub shown: Shown,
    /// The time that it waits for an answer, and for a connection.
    pub patience: Duration,
    connection: Option<http1::SendRequest<Empty<Bytes>>>,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
    /// The time from the request to it.
    pub took: Duration,
}

impl Client {
    /// Without a connection yet.
    #[must_use]
    pub(super) fn new(name: &str, from: IpAddr, to: SocketAddr, shown: Shown) -> Self {
        Self {
            name: name.to_owned(),
            from,
            to,
            shown,
            patience: PATIENCE,
            connection: None,
        }
    }

    /// Calls, over the connection that it has, or a new one; `None`: it wasn't
    /// answered in time, and has no connection any more.
    pub async fn call(&mut self) -> Option<Answer> {
        let began = Instant::now();
        let exchanged = timeout(self.patience, self.exchange()).await;
        let Some((status, body)) = exchanged.ok().flatten() else {
            self.connection = None;
            return None;
        };
        Some(Answer {
            status,
            body,
            took: began.elapsed(),
        })
    }

    /// The same caller once more, without a connection.
    #[must_use]
    pub fn unconnected(&self) -> Self {
        let mut twin = Self::new(&self.name, self.from, self.to, self.shown.clone());
        twin.patience = self.patience;
        twin
    }

    /// Closes its connection, so that the next call opens one.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// A connection without a request; `None`: it isn't established in time.
    pub async fn connect(&self) -> Option<TcpStream> {
        let socket = match self.from {
            IpAddr::V4(_) => TcpSocket::new_v4(),
            IpAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.ok()?;
        socket.bind(SocketAddr::new(self.from, 0)).ok()?;
        let connecting = timeout(self.patience, socket.connect(self.to));
        connecting.await.ok()?.ok()
    }

    async fn exchange(&mut self) -> Option<(StatusCode, Bytes)> {
        // A gateway ends a connection when it has carried enough.
        let open = match self.connection.as_mut() {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !open {
            let stream = TokioIo::new(self.connect().await?);
            let (sender, connection) = http1::handshake(stream).await.ok()?;
            tokio::spawn(connection);
            self.connection = Some(sender);
        }
        let mut request = Request::get("/api/orders")
            .header(header::HOST, "api.example.net")
            .header(header::AUTHORIZATION, &self.shown.user)
            .header(CALLER, &self.name);
        if let Some(token) = &self.shown.token {
            request = request.header("Approov-Token", token);
        }
        let request = request.body(Empty::new()).ok()?;
        let connection = self.connection.as_mut()?;
        let answer = connection.send_request(request).await.ok()?;
        let status = answer.status();
        let body = answer.into_body().collect().await.ok()?;
        Some((status, body.to_bytes()))
    }
}

/// When an app gives up on a call.
pub const PATIENCE: Duration = Duration::from_secs(2);
