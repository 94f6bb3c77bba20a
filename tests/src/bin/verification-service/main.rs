//! The reference verification service by itself. It is no product: see
//! `weir_tests::service`.

use std::{
    io::{Write as _, stdout},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use clap::Parser;
use tokio::sync::oneshot;
use weir_tests::service::{
    DISCLAIMER,
    authority::Certificate,
    learn::Learner,
    server::{Shared, run},
};

/// Reference verification service for tests and demonstrations: no product. It
/// keeps everything in memory, and attests nothing but the tokens that it gave
/// away itself.
#[derive(Parser)]
struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8440")]
    listen: SocketAddr,
    /// A file with the bearer token that whoever follows the stream must show
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// A file with the certificate, as PEM
    #[arg(long, requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// A file with the certificate's key, as PEM
    #[arg(long, requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Failed attestations of a source that make a claim
    #[arg(long, default_value_t = 5)]
    failures: usize,
    /// Seconds within which they count
    #[arg(long, default_value_t = 10)]
    window: u64,
    /// Seconds for which a claim holds
    #[arg(long, default_value_t = 600)]
    lifetime: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    let token = options.token_file.as_ref().map(read).transpose()?;
    let certificate = match (&options.tls_certificate, &options.tls_key) {
        (Some(chain), Some(key)) => Some(Certificate {
            chain: read(chain)?,
            key: read(key)?,
        }),
        _ => None,
    };
    let learner = Learner::new(options.failures, options.window, options.lifetime);
    let listener = TcpListener::bind(options.listen)
        .with_context(|| format!("listening on {}", options.listen))?;
    eprintln!("{DISCLAIMER}; it listens on {}", listener.local_addr()?);
    // Whoever started it may wait for this.
    writeln!(stdout(), "ready").context("telling that it listens")?;
    let token = token.map(|token| token.trim().to_owned());
    let (_stop, stopped) = oneshot::channel();
    run(
        listener,
        Arc::new(Shared::alone(token, certificate, learner)),
        stopped,
    );
    Ok(())
}
