//! The check endpoint: its sockets, its thread, and what it is made of.
//!
//! It has a thread of its own, as the control API has: a gateway waits for each
//! answer, and isn't to wait for a big patch.

use std::{fs, io, sync::Arc};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::start::end;
use crate::{
    check::{
        Check, Reporters,
        door::{self, Limits},
        keys,
        socket::group,
    },
    config::Config,
    control::{
        protocol::{AnswerCount, CheckKeys, CheckStatus, ObservationsStatus},
        socket::{SocketFile, Wish, bind_as},
    },
    host::clock,
    observation::Observation,
    pulse::Pulses,
    store::state_dir,
    token::pseudonym::Pseudonyms,
    worker_thread::WorkerThread,
};

/// The endpoint while it answers.
pub(super) struct Checks {
    check: Arc<Check>,
    /// The socket goes before its thread, which waits for its end.
    _file: SocketFile,
    _thread: WorkerThread,
}

/// What the daemon waits for, and the endpoint if one is configured.
pub(super) type Started = (Option<Checks>, mpsc::Receiver<Observation>);

/// Makes the sockets and begins to answer, if there is anything to answer. It
/// ends when `stopped` says so, and is to be dropped after that.
pub(super) async fn start(
    config: &Config,
    stopped: &watch::Receiver<bool>,
    pulses: &Pulses,
) -> Result<Started> {
    let (sender, observations) = mpsc::channel(WAITING);
    if config.attestations.is_empty() && config.check.token_file.is_none() {
        return Ok((None, observations));
    }
    let folder = &config.daemon.state_dir;
    let group_id = match config.check.group.as_str() {
        "" => None,
        name => {
            let groups = fs::read_to_string("/etc/group").context("reading /etc/group")?;
            let number = group(name, &groups);
            Some(number.with_context(|| {
                format!("check.group: there is no group {name:?}: write the gateway's")
            })?)
        }
    };
    let (listener, file) = bind_as(Wish {
        path: &config.check.socket,
        key: "check.socket",
        folder_mode: 0o755,
        group: group_id,
    })?
    .into_parts();
    let port = match config.check.listen {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listening on check.listen, {address}"))?
                .into_std()
                .context("handing check.listen over")?,
        ),
        None => None,
    };
    let listener = listener.into_std().context("handing check.socket over")?;
    let limits = Limits::of(config.check.connections);
    make_room(limits.at_once);

    let uid = rustix::process::geteuid().as_raw();
    let check = Arc::new(Check::new(
        &config.check,
        &config.attestations,
        marker(config)?,
        Reporters::new(config.check.token_file.clone(), uid),
        sender,
        clock::unix_seconds,
    ));
    let ended = end(stopped.clone());
    let thread = WorkerThread::run(pulses.register("check"), {
        let check = Arc::clone(&check);
        let folder = folder.clone();
        let path = config.check.socket.clone();
        async move {
            let mut tasks = JoinSet::new();
            for attestation in check.attestations() {
                let name = attestation.configured.name.clone();
                let kept = format!("keys-{name}.json");
                let copy = keys::Copy {
                    read: Box::new({
                        let (folder, kept) = (folder.clone(), kept.clone());
                        move || state_dir::read(&folder, &kept)
                    }),
                    keep: Arc::new({
                        let folder = folder.clone();
                        move |text| state_dir::write(&folder, &kept, text)
                    }),
                };
                let source = attestation.configured.keys.clone();
                let shelf = Arc::clone(&attestation.keys);
                tasks.spawn(keys::follow(shelf, source, name, copy, clock::unix_seconds));
            }
            let listen = |error: io::Error| tracing::error!(%error, "can't wait for gateways");
            match listener.try_into() {
                Ok(listener) => {
                    tracing::info!(path = %path.display(), "the check endpoint answers");
                    tasks.spawn(door::serve(listener, Arc::clone(&check), limits));
                }
                Err(error) => listen(error),
            }
            match port.map(TcpListener::from_std) {
                Some(Ok(listener)) => {
                    tasks.spawn(door::serve_port(listener, Arc::clone(&check), limits));
                }
                Some(Err(error)) => listen(error),
                None => {}
            }
            ended.await;
        }
    })?;
    let checks = Checks {
        check,
        _file: file,
        _thread: thread,
    };
    Ok((Some(checks), observations))
}

impl Checks {
    /// How it stands with it.
    pub(super) fn status(&self) -> CheckStatus {
        let counts = self.check.counts();
        let now = clock::unix_seconds();
        let each = self.check.attestations().iter();
        let observed = counts.observations();
        CheckStatus {
            answers: counts
                .answers()
                .into_iter()
                .map(|one| AnswerCount {
                    outcome: one.outcome.to_owned(),
                    reason: one.reason.to_owned(),
                    count: one.count,
                })
                .collect(),
            keys: each
                .map(|one| {
                    let state = one.keys.state();
                    CheckKeys {
                        attestation: one.configured.name.clone(),
                        source: one.configured.keys.shown(),
                        mode: if one.configured.observe {
                            "observe"
                        } else {
                            "enforce"
                        }
                        .to_owned(),
                        keys: state.count as u64,
                        age_s: state.fetched.map(|fetched| now.saturating_sub(fetched)),
                        kept: state.kept,
                        error: state.error,
                        left_out: state.left_out,
                    }
                })
                .collect(),
            observations: ObservationsStatus {
                sent: observed.sent,
                lost: observed.lost,
                sourceless: observed.sourceless,
                of_no_peer: observed.of_no_peer,
                reported: observed.reported,
                refused_lines: observed.refused_lines,
            },
        }
    }

    /// What is wrong with it, a sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for one in self.check.attestations() {
            let name = &one.configured.name;
            let state = one.keys.state();
            if state.count == 0 && !one.configured.observe {
                let told = if one.configured.pass_without_keys {
                    "passes"
                } else {
                    "fails"
                };
                problems.push(format!(
                    "attestation {name}: there are no keys yet, so every call {told}"
                ));
            }
            problems.extend(
                state
                    .error
                    .map(|error| format!("attestation {name}: {error}")),
            );
        }
        let observed = self.check.counts().observations();
        if observed.sourceless > observed.sent.saturating_add(observed.of_no_peer) {
            problems.push(
                "most calls come without the header of check.source_header: have the gateway set it, once, to the address that it sees".to_owned(),
            );
        }
        problems
    }
}

/// Marks have to be the same after a restart, so their key is kept.
fn marker(config: &Config) -> Result<Pseudonyms> {
    let folder = &config.daemon.state_dir;
    let kept = state_dir::read(folder, MARK).context("reading the key of devices' marks")?;
    let kept = kept.and_then(|text| STANDARD.decode(text).ok());
    if let Some(key) = kept.and_then(|key| <[u8; 32]>::try_from(key).ok()) {
        return Ok(Pseudonyms::new(&key));
    }
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key)
        .ok()
        .context("making a key for devices' marks")?;
    state_dir::write(folder, MARK, &STANDARD.encode(key)).context("keeping the key of marks")?;
    Ok(Pseudonyms::new(&key))
}

/// Has the system let the process open as many connections as are configured,
/// if it can.
fn make_room(connections: usize) {
    let wanted = (2 * connections as u64).saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(limit.maximum.map_or(wanted, |most| most.min(wanted))),
        ..limit
    };
    let enough = setrlimit(Resource::Nofile, raised).is_ok()
        && getrlimit(Resource::Nofile).current >= Some(wanted);
    if !enough {
        tracing::warn!(
            wanted,
            "the system doesn't let weir open that many files: set LimitNOFILE, or lower check.connections"
        );
    }
}

/// Observations that wait for the loop at most: some megabytes.
const WAITING: usize = 1 << 16;

/// Descriptors that the rest of the daemon may need.
const OTHERS: u64 = 1024;

/// The file in the state folder that keeps the key of marks.
const MARK: &str = "mark.key";
