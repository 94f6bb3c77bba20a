//! A real QUIC server and real clients (aioquic) at a host's port 443, as
//! `tests/quic/handshakes.py` has them; killed on drop, and with the test.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde::Deserialize;
use tempfile::TempDir;

use crate::bed::{Host, Namespace, gateway::tools};

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    _folder: TempDir,
}

impl Server {
    /// Starts one with these options, and waits until it listens.
    ///
    /// # Panics
    /// If it doesn't start.
    #[must_use]
    pub fn start(host: &Host, options: &[&str]) -> Self {
        let folder = TempDir::with_prefix("weir-test-").expect("a folder");
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["weir.test".to_owned()]).expect("a certificate");
        let (certificate, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        fs::write(&certificate, cert.pem()).expect("it is written");
        fs::write(&key, signing_key.serialize_pem()).expect("it is written");
        let mut command = python(&host.inside);
        command
            .arg("server")
            .arg(&certificate)
            .arg(&key)
            .args(options);
        let mut child = command.spawn().expect("nsenter is installed");
        let out = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        let read = BufReader::new(out).read_line(&mut line);
        read.expect("it is a pipe");
        let this = Self {
            child,
            _folder: folder,
        };
        assert_eq!(line, "listening\n", "the QUIC server doesn't run");
        this
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The outcome of handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Handshakes {
    /// The number completed.
    pub succeeded: u64,
    /// The datagrams that the client sent for them.
    pub datagrams: u64,
    /// The number of them that it sent before the server's first.
    pub hello: u64,
}

/// Makes so many handshakes with a server, one after the other, from the outside.
///
/// # Panics
/// If the client can't be run.
#[must_use]
pub fn handshakes(host: &Host, to: &str, number: usize, options: &[&str]) -> Handshakes {
    let mut command = python(&host.outside);
    command
        .args(["client", to, &number.to_string()])
        .args(options);
    let output = command.output().expect("nsenter is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("the QUIC client says {said:?}: {error}"))
}

fn python(namespace: &Namespace) -> Command {
    let packages = tools().join("aioquic");
    assert!(
        packages.is_dir(),
        "there is no {}: run cargo xtask setup, or cargo xtask test",
        packages.display()
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/quic/handshakes.py");
    let mut command = namespace.command("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "python3"])
        .arg(Path::new(script))
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}
