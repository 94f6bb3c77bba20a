use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::token::mint::Issuer;

const PACE: Pace = Pace {
    again: Duration::from_millis(50),
    at_most_every: Duration::from_millis(200),
    look: Duration::from_millis(50),
};

const NOW: u64 = 1_800_000_000;

/// Serves whatever the text is at the moment; an empty one is an error of its own.
async fn issuer(text: Arc<Mutex<String>>, asked: Arc<AtomicUsize>) -> url::Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut question = [0; 4096];
            let _read = stream.read(&mut question).await;
            asked.fetch_add(1, Ordering::Relaxed);
            let text = text.lock().expect("unpoisoned").clone();
            let status = if text.is_empty() {
                "503 Away"
            } else {
                "200 OK"
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
            let _sent = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://127.0.0.1:{port}/keys")
        .parse()
        .expect("an address")
}

fn keys(ids: &[&str]) -> String {
    let key = Issuer::es256();
    let keys: Vec<_> = ids
        .iter()
        .map(|id| key.jwk_with(json!({"kid": id})))
        .collect();
    json!({"keys": keys}).to_string()
}

/// Follows an address, with what was kept, and says what is kept.
fn following(
    source: KeySource,
    kept: Option<&str>,
) -> (
    Arc<Shelf>,
    Arc<Mutex<Vec<String>>>,
    tokio::task::JoinHandle<()>,
) {
    let shelf = Arc::<Shelf>::default();
    let written = Arc::<Mutex<Vec<String>>>::default();
    let copy = Copy {
        read: Box::new({
            let kept = kept.map(str::to_owned);
            move || Ok(kept)
        }),
        keep: Arc::new({
            let written = Arc::clone(&written);
            move |text| {
                written.lock().expect("unpoisoned").push(text.to_owned());
                Ok(())
            }
        }),
    };
    let task = tokio::spawn(at_pace(
        PACE,
        Arc::clone(&shelf),
        source,
        "app".to_owned(),
        copy,
        || NOW,
    ));
    (shelf, written, task)
}

async fn until(is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited)
        .await
        .expect("it comes true in time");
}

fn knows(shelf: &Shelf, id: &str) -> bool {
    shelf.get().is_some_and(|keys| keys.knows(id))
}

#[tokio::test]
async fn keys_are_fetched_kept_and_what_is_worse_never_replaces_them() {
    let text = Arc::new(Mutex::new(String::new()));
    let asked = Arc::<AtomicUsize>::default();
    let url = issuer(Arc::clone(&text), Arc::clone(&asked)).await;
    let source = KeySource::Url {
        url,
        ca_file: None,
        refresh: Duration::from_millis(100),
    };
    let (shelf, written, task) = following(source, None);
    until(|| shelf.state().error.is_some()).await;
    assert!(shelf.get().is_none());
    let said = shelf.state().error.expect("an error");
    assert!(said.contains("503"), "{said}");

    *text.lock().expect("unpoisoned") = keys(&["a", "b"]);
    until(|| knows(&shelf, "a")).await;
    let state = shelf.state();
    assert_eq!((state.count, state.fetched), (2, Some(NOW)));
    assert_eq!((state.error, state.kept), (None, false));
    until(|| !written.lock().expect("unpoisoned").is_empty()).await;

    for worse in ["", "<html>", r#"{"keys": []}"#, &" ".repeat(2 << 20)] {
        *text.lock().expect("unpoisoned") = worse.to_owned();
        let before = asked.load(Ordering::Relaxed);
        until(|| asked.load(Ordering::Relaxed) > before + 1).await;
        assert!(knows(&shelf, "a"), "{worse:.20}");
        assert!(shelf.state().error.is_some(), "{worse:.20}");
    }
    // The issuer takes a key back: it counts no more.
    *text.lock().expect("unpoisoned") = keys(&["b", "c"]);
    until(|| knows(&shelf, "c")).await;
    assert!(!knows(&shelf, "a"));
    let last = || written.lock().expect("unpoisoned").last().cloned();
    until(|| last() == Some(text.lock().expect("unpoisoned").clone())).await;
    task.abort();
}

#[tokio::test]
async fn a_restart_needs_nobody() {
    let source = || KeySource::Url {
        // Nobody listens there.
        url: "http://127.0.0.1:9/keys".parse().expect("an address"),
        ca_file: None,
        refresh: Duration::from_secs(3600),
    };
    let kept = keys(&["a"]);
    let (shelf, written, task) = following(source(), Some(&kept));
    until(|| shelf.state().error.is_some()).await;
    assert!(knows(&shelf, "a"));
    assert!(shelf.state().kept);
    assert!(written.lock().expect("unpoisoned").is_empty());
    task.abort();
    let (shelf, _, task) = following(source(), Some("half of a s"));
    until(|| shelf.state().error.is_some()).await;
    assert!(shelf.get().is_none());
    task.abort();
}

#[tokio::test]
async fn a_token_with_another_key_has_the_set_fetched_but_not_often() {
    let text = Arc::new(Mutex::new(keys(&["a"])));
    let asked = Arc::<AtomicUsize>::default();
    let url = issuer(Arc::clone(&text), Arc::clone(&asked)).await;
    let source = KeySource::Url {
        url,
        ca_file: None,
        refresh: Duration::from_secs(100_000),
    };
    let (shelf, _, task) = following(source, None);
    until(|| knows(&shelf, "a")).await;
    *text.lock().expect("unpoisoned") = keys(&["a", "b"]);
    shelf.ask_for_others();
    until(|| knows(&shelf, "b")).await;
    let before = asked.load(Ordering::Relaxed);
    let begun = Instant::now();
    while begun.elapsed() < PACE.at_most_every * 10 {
        shelf.ask_for_others();
        sleep(Duration::from_millis(2)).await;
    }
    let often = asked.load(Ordering::Relaxed) - before;
    let most = (begun.elapsed().as_millis() / PACE.at_most_every.as_millis()) as usize + 1;
    assert!((2..=most).contains(&often), "{often} times, {most} at most");
    task.abort();
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    let (shelf, _, task) = following(KeySource::File(path.clone()), None);
    until(|| shelf.state().error.is_some()).await;
    let said = shelf.state().error.expect("an error");
    assert!(said.contains("can't be read"), "{said}");
    fs::write(&path, keys(&["a"])).expect("written");
    until(|| knows(&shelf, "a")).await;
    assert_eq!(shelf.state().error, None);
    fs::write(&path, "{").expect("written");
    until(|| shelf.state().error.is_some()).await;
    assert!(knows(&shelf, "a"), "the last good ones stay");
    fs::write(&path, keys(&["b"])).expect("written");
    until(|| knows(&shelf, "b")).await;
    assert!(!knows(&shelf, "a"));
    task.abort();
}

#[tokio::test]
async fn a_secret_is_read_of_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    fs::write(&path, "c2hvcnQ=").expect("written");
    let source = |raw| KeySource::Secret {
        path: path.clone(),
        raw,
    };
    let (shelf, _, task) = following(source(false), None);
    until(|| shelf.state().error.is_some()).await;
    let said = shelf.state().error.expect("an error");
    assert!(
        said.contains("less than 32 bytes") && !said.contains("c2hv"),
        "{said}"
    );
    task.abort();
    fs::write(&path, [7; 64]).expect("written");
    let (shelf, _, task) = following(source(true), None);
    until(|| shelf.state().count == 1).await;
    task.abort();
}
