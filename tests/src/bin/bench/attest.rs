//! From the observation that crosses the threshold to the first packet of its
//! source that is dropped: a call with a forged token at the check endpoint, and a
//! line that another verifier sends.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use weir_tests::issuer::Issuer;

use crate::{
    check::await_keys,
    claims::{list, unlisted},
    daemon::{Daemon, LIST, SHORT_LIST},
    edge::Edge,
    latency::judged,
    traffic::{Flood, Traffic},
};

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    let times = if quick { 50 } else { 300 };
    edge.write(LIST, list(0, LISTED))?;
    edge.put(LIST)?;
    edge.write(SHORT_LIST, "")?;
    edge.put(SHORT_LIST)?;
    fs::write(edge.file("keys.json"), Issuer::es256("k1").key_set()).context("writing the keys")?;
    let more = format!(
        "[check]\nsocket = {socket:?}\n\n\
         [[attestation]]\nname = \"app\"\nkeys_file = {keys:?}\n\n\
         [policy]\nmode = \"enforce\"\n",
        socket = edge.file(SOCKET),
        keys = edge.file("keys.json"),
    );
    let daemon = Daemon::start_with(edge, LISTED * 2, &more)?;
    daemon.await_claims(LIST, LISTED)?;
    await_keys(&daemon)?;
    let traffic = Traffic::start()?;
    let _flood = Flood::start()?;
    let mut endpoint = UnixStream::connect(edge.file(SOCKET)).context("reaching the endpoint")?;
    let forged = Issuer::es256("k1").of_device("any", 3600);

    judged(
        "attest, a call with a forged token",
        times,
        TARGET,
        |number| {
            let source = unlisted(number);
            let call = format!(
                "GET /v1/check/app HTTP/1.1\r\nHost: api\r\nX-Real-IP: {source}\r\nApproov-Token: {forged}\r\n\r\n"
            );
            traffic.drop_after(source, || {
                for _ in 1..THRESHOLD {
                    ask(&mut endpoint, &call, "HTTP/1.1 401")?;
                }
                let moment = Instant::now();
                ask(&mut endpoint, &call, "HTTP/1.1 401")?;
                Ok(moment)
            })
        },
    )?;
    judged("attest, an observation sent", times, TARGET, |number| {
        let source = unlisted(10_000 + number);
        traffic.drop_after(source, || {
            report(&mut endpoint, source, THRESHOLD - 1)?;
            let moment = Instant::now();
            report(&mut endpoint, source, 1)?;
            Ok(moment)
        })
    })
}

/// Sends that so many calls of a source failed.
fn report(endpoint: &mut UnixStream, source: Ipv4Addr, calls: u32) -> Result<()> {
    let body = json!({
        "source": source, "outcome": "failed", "reason": "app_tampered", "weight": calls,
    });
    let body = format!("{body}\n");
    let question = format!(
        "POST /v1/observations HTTP/1.1\r\nHost: weir\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(endpoint, &question, "HTTP/1.1 200")
}

/// Asks over a connection that stays open, and reads the whole answer.
fn ask(endpoint: &mut UnixStream, question: &str, wanted: &str) -> Result<()> {
    endpoint
        .write_all(question.as_bytes())
        .context("asking the endpoint")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while crate::check::end(&answer).is_none_or(|end| answer.len() < end) {
        let read = endpoint.read(&mut buffer).context("reading an answer")?;
        ensure!(read > 0, "the endpoint hung up");
        answer.extend_from_slice(&buffer[..read]);
    }
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.starts_with(wanted), "the endpoint says {answer}");
    Ok(())
}

/// Milliseconds from the observation to the drop.
const TARGET: f64 = 20.0;
/// Failing calls that block a source, as built in.
const THRESHOLD: u32 = 20;
/// Claims in force.
const LISTED: u32 = 100_000;
const SOCKET: &str = "check/check.sock";
