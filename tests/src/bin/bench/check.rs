//! The check endpoint: checks a second on one core, how long one takes at half of
//! what is promised, and what nginx's median rises by when it asks.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    process::{Pid, Signal, kill_process, setpriority_process},
    thread::{CpuSet, sched_setaffinity},
};
use weir_tests::{bed::gateway::program, issuer::Issuer};

use self::asker::Asker;
pub(crate) use self::asker::end;
use crate::{Figure, daemon::Daemon, edge::Edge, flood::pin, milliseconds};

mod asker;

pub(crate) fn measure(edge: &Edge, quick: bool) -> Result<()> {
    let (pair, secret) = (Issuer::es256("k1"), Issuer::hs256());
    fs::write(edge.file("keys.json"), pair.key_set()).context("writing the keys")?;
    fs::write(edge.file("secret"), secret.secret()).context("writing the secret")?;
    let more = format!(
        "[check]\nsocket = {socket:?}\n\n\
         [[attestation]]\nname = \"es\"\nkeys_file = {keys:?}\n\n\
         [[attestation]]\nname = \"hs\"\nsecret_file = {secret:?}\n",
        socket = edge.file(SOCKET),
        keys = edge.file("keys.json"),
        secret = edge.file("secret"),
    );
    let daemon = Daemon::start_with(edge, 1000, &more)?;
    await_keys(&daemon)?;
    onto(daemon.pid(), ITS_CPU)?;
    let socket = edge.file(SOCKET);
    for (what, path, issuer, promised) in [
        ("HS256", "/v1/check/hs", &secret, 30_000.0),
        ("ES256", "/v1/check/es", &pair, 10_000.0),
    ] {
        let questions = questions(path, issuer);
        speed(&socket, what, &questions, promised, quick)?;
    }
    let questions = questions("/v1/check/es", &pair);
    behind_nginx(edge, &questions, quick)
}

/// As many as it takes, and then at half of what is promised.
fn speed(
    socket: &Path,
    what: &str,
    questions: &[Vec<u8>],
    promised: f64,
    quick: bool,
) -> Result<()> {
    let long = Duration::from_secs(if quick { 1 } else { 10 });
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            pin(OUR_CPU)?;
            // What asks is no part of what is measured.
            setpriority_process(None, -20).context("giving the asker its priority")?;
            let mut asker = Asker::new(socket, CONNECTIONS, questions)?;
            let all = asker.ask_for(long, None)?;
            let name = format!("check, {what}, one core, kept alive");
            let a_second = all.len() as f64 / long.as_secs_f64();
            Figure::new(&name, a_second, "/s")
                .at_least(promised, promised, quick)
                .tell()?;
            let gap = Duration::from_secs_f64(2.0 / promised);
            let mut times = asker.ask_for(long, Some(gap))?;
            times.sort_unstable();
            let asked = times.len() as f64 / long.as_secs_f64();
            ensure!(
                quick || asked > promised * 0.49,
                "only {asked:.0} a second were asked where half of {promised} was meant"
            );
            for (part, of) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
                let name = format!("check, {what}, at half that load: {part}");
                let figure = Figure::new(&name, milliseconds(at(&times, of)), "ms");
                match part {
                    "p99" => figure.within(2.0, 2.0, quick).tell()?,
                    _ => figure.tell()?,
                }
            }
            Ok(())
        });
        asking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The same calls to nginx with an `auth_request` that asks weir, and with one
/// that always says 200, one after the other in turns.
fn behind_nginx(edge: &Edge, questions: &[Vec<u8>], quick: bool) -> Result<()> {
    let nginx = Nginx::start(edge)?;
    let rounds = if quick { 500 } else { 20_000 };
    let mut stream = nginx.connect()?;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        // Who is first changes, too.
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let path = ["/always", "/asks"][which];
            let question = &questions[round % questions.len()];
            let behind = question.iter().position(|byte| *byte == b'\r');
            let rest = &question[behind.context("a question has lines")?..];
            let question = [format!("GET {path} HTTP/1.1").as_bytes(), rest].concat();
            let begun = Instant::now();
            stream.write_all(&question).context("asking nginx")?;
            let answer = read_answer(&mut stream)?;
            times[which].push(begun.elapsed());
            ensure!(answer.starts_with("HTTP/1.1 200"), "nginx says {answer}");
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    let [always, asks] = times.map(|times| at(&times, 0.5));
    Figure::new(
        "check, nginx, auth_request says 200: median",
        milliseconds(always),
        "ms",
    )
    .tell()?;
    Figure::new(
        "check, nginx, auth_request asks weir: median",
        milliseconds(asks),
        "ms",
    )
    .tell()?;
    let more = milliseconds(asks) - milliseconds(always);
    Figure::new(
        "check, nginx, what asking weir adds to the median",
        more,
        "ms",
    )
    .within(1.0, 1.0, quick)
    .tell()
}

/// nginx in front of nothing, on a socket.
struct Nginx<'a> {
    edge: &'a Edge,
    child: Child,
}

impl<'a> Nginx<'a> {
    fn start(edge: &'a Edge) -> Result<Self> {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {:?};\n", edge.file(what)))
            .concat();
        let text = format!(
            "user root;\nworker_processes 1;\ndaemon off;\npid {pid:?};\nerror_log stderr;\n\
             events {{ worker_connections 256; }}\n\
             http {{\n{temporary}access_log off;\nkeepalive_requests 1000000;\n\
             upstream weir {{ server unix:{socket}; keepalive 16; }}\n\
             upstream always {{ server unix:{always}; keepalive 16; }}\n\
             server {{ listen unix:{always}; location / {{ return 200; }} }}\n\
             server {{ listen unix:{front};\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
             proxy_pass_request_body off; proxy_set_header Content-Length \"\";\n\
             proxy_set_header X-Real-IP 192.0.2.77;\n\
             location /always {{ auth_request /_always; root {folder}; try_files /page =404; }}\n\
             location /asks {{ auth_request /_weir; root {folder}; try_files /page =404; }}\n\
             location = /_always {{ internal; proxy_pass http://always/; }}\n\
             location = /_weir {{ internal; proxy_pass http://weir/v1/check/es; }}\n\
             }} }}\n",
            pid = edge.file("nginx.pid"),
            socket = edge.file(SOCKET).display(),
            always = edge.file("always.sock").display(),
            front = edge.file(FRONT).display(),
            folder = edge.file("").display(),
        );
        let configuration = edge.file("nginx.conf");
        fs::write(&configuration, text).context("writing nginx's configuration")?;
        fs::write(edge.file("page"), "a page\n").context("writing a page")?;
        let nginx = program("nginx", "usr/sbin/nginx");
        let child = edge
            .on_host(Path::new(&nginx))
            .arg("-c")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let nginx = Self { edge, child };
        let end = Instant::now() + PATIENCE;
        while nginx.connect().is_err() {
            ensure!(Instant::now() < end, "nginx doesn't listen");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }

    fn connect(&self) -> Result<UnixStream> {
        let stream = UnixStream::connect(self.edge.file(FRONT)).context("connecting to nginx")?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("setting a timeout")?;
        Ok(stream)
    }
}

impl Drop for Nginx<'_> {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ended = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ended = self.child.wait();
    }
}

/// An answer's head, with its body read.
fn read_answer(stream: &mut UnixStream) -> Result<String> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).context("reading an answer")?;
        ensure!(read > 0, "the answer broke off");
        answer.extend_from_slice(&buffer[..read]);
        if end(&answer).is_some_and(|end| answer.len() >= end) {
            return String::from_utf8(answer).context("reading an answer");
        }
    }
}

/// Many genuine calls, each of another device.
fn questions(path: &str, issuer: &Issuer) -> Vec<Vec<u8>> {
    (0..DEVICES)
        .map(|device| {
            let token = issuer.of_device(&format!("device {device}"), 3600);
            format!(
                "GET {path} HTTP/1.1\r\nHost: api.example.net\r\nUser-Agent: app/7.1 (Android 16)\r\n\
                 Accept: */*\r\nAccept-Encoding: gzip\r\nX-Real-IP: 198.18.{}.{}\r\n\
                 Approov-Token: {token}\r\n\r\n",
                device / 256,
                device % 256,
            )
            .into_bytes()
        })
        .collect()
}

/// Waits until every attestation has its key.
pub(crate) fn await_keys(daemon: &Daemon<'_>) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = daemon.status()?;
        let keys = status["check"]["keys"].as_array().context("no endpoint")?;
        if keys.iter().all(|one| one["keys"] == 1) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "the keys don't come: {keys:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Puts all threads of a process on a CPU.
fn onto(pid: u32, cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("listing threads")? {
        let name = task.context("listing threads")?.file_name();
        let thread = name.to_string_lossy().parse().ok().and_then(Pid::from_raw);
        let thread = thread.context("a thread has a number")?;
        sched_setaffinity(Some(thread), &cpus).context("pinning a thread of the daemon")?;
    }
    Ok(())
}

fn at(sorted: &[Duration], part: f64) -> Duration {
    let place = (sorted.len() as f64 * part) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(place.min(last)).copied().unwrap_or_default()
}

const SOCKET: &str = "check/check.sock";
const FRONT: &str = "nginx.sock";
/// Where the daemon runs, and where the askers.
const ITS_CPU: usize = 1;
const OUR_CPU: usize = 0;
/// As a gateway keeps.
const CONNECTIONS: usize = 16;
const DEVICES: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(10);
