//! The API: answers as fast as a fixed number of workers can, and no faster.
//!
//! As with a real application server, a connection needs a seat before it is
//! accepted, a request waits for a worker, and what finds neither waits in the
//! kernel's backlog until that is full as well.

use std::{
    io::{Write as _, stdout},
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
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

    let seats = Arc::new(Semaphore::new(cast::SEATS));
    let workers = Arc::new(Semaphore::new(cast::WORKERS));
    loop {
        let seat = Arc::clone(&seats)
            .acquire_owned()
            .await
            .context("the seats are never closed")?;
        // A connection that broke before it was accepted is nobody's loss.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let workers = Arc::clone(&workers);
        tokio::spawn(async move {
            // To a client that left, nothing can be said.
            let _ = answer(stream, &workers).await;
            drop(seat);
        });
    }
}

/// Reads one request, works on it, answers, closes.
async fn answer(mut stream: TcpStream, workers: &Semaphore) -> Result<()> {
    timeout(REQUEST, read_request(&mut stream)).await??;
    let worker = workers.acquire().await?;
    sleep(cast::WORK).await;
    drop(worker);
    stream.write_all(ANSWER.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Reads to the empty line that ends a request.
async fn read_request(stream: &mut TcpStream) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(request.len() < 4096, "the request is too long");
        anyhow::ensure!(stream.read_buf(&mut request).await? > 0, "the client left");
    }
    Ok(())
}

/// How long a client may take to say what it wants.
const REQUEST: Duration = Duration::from_millis(500);
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\
                      Connection: close\r\n\r\n{\"balance\": 7}";
