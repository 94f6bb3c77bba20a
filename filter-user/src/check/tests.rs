//! The endpoint on a real socket, and what it decides.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
};

use super::*;
use crate::{
    check::door::Limits,
    config::Config,
    observation::{Outcome, Reason},
    token::mint::{Issuer, set},
};

mod decisions;
mod doors;

const NOW: u64 = 1_800_000_000;

/// An endpoint, and what comes out of it.
struct Endpoint {
    check: Arc<Check>,
    observations: mpsc::Receiver<Observation>,
}

fn endpoint(text: &str) -> Endpoint {
    endpoint_with_room(text, 1024)
}

fn endpoint_with_room(text: &str, room: usize) -> Endpoint {
    let config = Config::parse(text).expect(text);
    let (sender, observations) = mpsc::channel(room);
    let check = Check::new(
        &config.check,
        &config.attestations,
        Pseudonyms::new(&[7; 32]),
        Reporters::new(config.check.token_file.clone(), u32::MAX),
        sender,
        || NOW,
    );
    Endpoint {
        check: Arc::new(check),
        observations,
    }
}

/// One attestation with more keys, and the issuer of its tokens.
fn attested(more: &str) -> (Endpoint, Issuer) {
    let text = format!("[[attestation]]\nname = \"app\"\nkeys_file = \"/k\"\n{more}");
    let endpoint = endpoint(&text);
    let issuer = Issuer::es256();
    endpoint.check.attestations[0]
        .keys
        .put(set(&[issuer.jwk_with(json!({"kid": "k"}))]), Some(NOW));
    (endpoint, issuer)
}

impl Endpoint {
    /// What a gateway is told: the status, and the reason with its word.
    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().expect(name);
            map.append(name, value.parse().expect(value));
        }
        let answer = self.check.answer(path, &map);
        (answer.status().as_u16(), answer.found().told())
    }

    fn observed(&mut self) -> Option<Observation> {
        self.observations.try_recv().ok()
    }

    /// Serves it on a port.
    async fn on_port(&self, limits: Limits) -> (std::net::SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let check = Arc::clone(&self.check);
        let server = tokio::spawn(door::serve_port(listener, check, limits));
        (address, server)
    }
}

/// Sends bytes, and reads until the other end closes.
async fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(bytes).await.expect("sent");
    read_all(&mut stream).await
}

async fn read_all(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    // Where what was sent wasn't all read, the end is a reset.
    let _end = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}
