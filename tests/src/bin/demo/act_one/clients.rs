//! The clients: real HTTP requests over real connections, one line an outcome.
//!
//! They ask at a fixed pace, whether or not they are answered, as many people
//! who don't know of each other do.

use std::{
    io::{Write as _, stdout},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, stdin},
    net::TcpSocket,
    task::JoinSet,
    time::{interval, timeout},
};

use super::{
    account::{self, Outcome},
    cast::{self, Population},
    process,
};

/// Asks until standard input ends, then waits for what was begun.
pub(super) async fn run(population: Population, token: Option<String>) -> Result<()> {
    let genuine: Option<Arc<str>> = token.map(Into::into);
    raise_open_files()?;
    let sources = population.sources();
    if population == Population::Genuine {
        for &source in &sources {
            reach(source, genuine.as_deref()).await?;
        }
        writeln!(stdout(), "{}", process::READY).context("telling that the API is reached")?;
    }
    let mut requests = JoinSet::new();
    let mut pace = interval(Duration::from_secs(1) / population.requests());
    let mut input = stdin();
    for (number, &source) in sources.iter().enumerate().cycle() {
        tokio::select! {
            _ = pace.tick() => {}
            _ = input.read_u8() => break,
        }
        // Of the abusers every other shows a forged proof, the rest none.
        let forged = (population == Population::Abusers && number % 2 == 0).then_some("forged");
        let token = genuine.clone().or_else(|| forged.map(Into::into));
        requests.spawn(request(population, source, token));
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
    Ok(())
}

/// Waits until the API answers this source for the first time: addresses and
/// neighbours of a new interface take a moment.
async fn reach(source: IpAddr, token: Option<&str>) -> Result<()> {
    let end = Instant::now() + cast::PATIENCE * 2;
    loop {
        match timeout(cast::PATIENCE, get(source, token)).await {
            Ok(Ok(())) => return Ok(()),
            last if Instant::now() > end => {
                last??;
            }
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Asks once and says how it went.
async fn request(population: Population, source: IpAddr, token: Option<Arc<str>>) {
    let began = account::now();
    let served = matches!(
        timeout(cast::PATIENCE, get(source, token.as_deref())).await,
        Ok(Ok(()))
    );
    let outcome = Outcome {
        population,
        began,
        took: account::now() - began,
        served,
    };
    // Whoever listened is gone: the demo is over.
    let _ = writeln!(stdout(), "{outcome}");
}

/// One request of HTTP/1.1; anything but a whole 200 is an error.
async fn get(source: IpAddr, token: Option<&str>) -> Result<()> {
    let [(edge4, _), (edge6, _)] = cast::EDGE;
    let (socket, edge) = match source {
        IpAddr::V4(_) => (TcpSocket::new_v4()?, edge4),
        IpAddr::V6(_) => (TcpSocket::new_v6()?, edge6),
    };
    socket.bind(SocketAddr::new(source, 0))?;
    let mut stream = socket.connect(SocketAddr::new(edge, cast::PORT)).await?;
    let shown = token.map(|token| format!("Approov-Token: {token}\r\n"));
    let request = format!("{REQUEST}{}\r\n", shown.unwrap_or_default());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"}"),
        "not the whole answer"
    );
    Ok(())
}

/// A flood has thousands of connections open: as many as the system allows.
fn raise_open_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .context("raising the number of open files")
}

const REQUEST: &str = "GET /v1/balance HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n";
