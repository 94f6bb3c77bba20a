//! The API: answers as fast as a fixed number of workers can, and no faster.
//!
//! As with a real application server, a connection needs a seat before it is
//! accepted, a request waits for a worker, and what finds neither waits in the
//! kernel's backlog until that is full as well. After a byte on its standard input it shows the
//! verification service what each caller has shown.

use std::{
    io::{Write as _, stdout},
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, stdin},
    net::{TcpSocket, TcpStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};

use super::{cast, process};

/// Serves until the process is killed.
pub(super) async fn run() -> Result<()> {
    let socket = TcpSocket::new_v6().context("making a socket")?;
    // One socket for IPv4 and IPv6, so that both wait in one line.
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, cast::PORT));
    socket
        .bind(address)
        .with_context(|| format!("binding {address}"))?;
    let listener = socket.listen(cast::BACKLOG).context("listening")?;
    writeln!(stdout(), "{}", process::READY).context("telling that it listens")?;

    let (callers, asked) = mpsc::unbounded_channel();
    tokio::spawn(attest(asked));
    let seats = Arc::new(Semaphore::new(cast::SEATS));
    let workers = Arc::new(Semaphore::new(cast::WORKERS));
    loop {
        let seat = Arc::clone(&seats)
            .acquire_owned()
            .await
            .context("the seats are never closed")?;
        // A connection that broke before it was accepted is nobody's loss.
        let Ok((stream, peer)) = listener.accept().await else {
            continue;
        };
        let workers = Arc::clone(&workers);
        let (callers, source) = (callers.clone(), cast::source(peer.ip().to_canonical()));
        tokio::spawn(async move {
            // To a client that left, nothing can be sent.
            let _ = answer(stream, &workers, source, &callers).await;
            drop(seat);
        });
    }
}

/// Reads one request, works on it, answers, closes.
async fn answer(
    mut stream: TcpStream,
    workers: &Semaphore,
    source: String,
    callers: &mpsc::UnboundedSender<Caller>,
) -> Result<()> {
    let request = timeout(REQUEST, read_request(&mut stream)).await??;
    let token = request
        .lines()
        .find_map(|line| line.strip_prefix("Approov-Token: "));
    let token = token.map(ToOwned::to_owned);
    // Whoever asks the service is there as long as the API is.
    let _ = callers.send(Caller { source, token });
    let worker = workers.acquire().await?;
    sleep(cast::WORK).await;
    drop(worker);
    stream.write_all(ANSWER.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Reads to the empty line that ends a request.
async fn read_request(stream: &mut TcpStream) -> Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(request.len() < 4096, "the request is too long");
        anyhow::ensure!(stream.read_buf(&mut request).await? > 0, "the client left");
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

/// A caller, and the token that it has shown.
struct Caller {
    source: String,
    token: Option<String>,
}

/// Asks the verification service for a token.
pub(super) async fn token() -> Result<String> {
    let mut stream = TcpStream::connect(cast::SERVICE).await?;
    let request = "POST /v1/tokens HTTP/1.1\r\nHost: verifier\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    let body: serde_json::Value = serde_json::from_str(body).context("no JSON")?;
    Ok(body["token"].as_str().context("no token")?.to_owned())
}

/// Shows the verification service what callers show, after a byte on standard input.
async fn attest(mut asked: mpsc::UnboundedReceiver<Caller>) -> Result<()> {
    stdin().read_u8().await?;
    while asked.try_recv().is_ok() {}
    let mut stream = BufReader::new(TcpStream::connect(cast::SERVICE).await?);
    while let Some(Caller { source, token }) = asked.recv().await {
        let body = serde_json::json!({"source": source, "token": token}).to_string();
        let request = format!(
            "POST /v1/attestations HTTP/1.1\r\nHost: verifier\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut length = 0;
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 2 {
            if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse()?;
            }
            line.clear();
        }
        stream.read_exact(&mut vec![0; length]).await?;
    }
    Ok(())
}

/// The time that a client may take to send its request.
const REQUEST: Duration = Duration::from_millis(500);
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\
                      Connection: close\r\n\r\n{\"balance\": 7}";
