//! A real Prometheus (Debian's) that scrapes the daemon of an edge host, in that
//! host's namespace; killed on drop, and with the test. Needs root.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::bed::{Edge, PLENTY, until};

/// A Prometheus that scrapes [`TARGET`] five times a second.
#[derive(Debug)]
pub struct Prometheus<'a> {
    edge: &'a Edge,
    child: Child,
    folder: TempDir,
}

/// The address that the daemon's metrics have to be at.
pub const TARGET: &str = "127.0.0.1:9187";

impl<'a> Prometheus<'a> {
    /// Starts it on the edge host with these rules, and waits until it answers.
    ///
    /// # Panics
    /// If it doesn't.
    #[must_use]
    pub fn start(edge: &'a Edge, rules: &Path) -> Self {
        let folder = TempDir::with_prefix("weir-test-").expect("a folder");
        let configuration = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: [{rules:?}]\n\
             scrape_configs:\n\
             - job_name: weir\n  \
               static_configs: [{{targets: [{TARGET:?}], labels: {{instance: edge-1}}}}]\n"
        );
        fs::write(&configuration, text).expect("its configuration is written");
        let log = File::create(folder.path().join("log")).expect("a log");
        // It dies with this test also where nothing is dropped.
        let mut command = edge.host.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program("prometheus"))
            .arg("--config.file")
            .arg(configuration)
            .arg("--storage.tsdb.path")
            .arg(folder.path().join("data"))
            .args(["--web.listen-address", LISTEN, "--log.level", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("nsenter is installed");
        let this = Self {
            edge,
            child,
            folder,
        };
        until("Prometheus is ready", || {
            this.http("GET /-/ready", "")
                .is_some_and(|(status, _)| status == 200)
        });
        this
    }

    /// The answer's `data` to a GET of its API, such as `targets`.
    ///
    /// # Panics
    /// If it refuses.
    #[must_use]
    pub fn get(&self, what: &str) -> Value {
        self.data(what, self.http(&format!("GET /api/v1/{what}"), ""))
    }

    /// Evaluates an expression: each series with its value.
    ///
    /// # Panics
    /// If it refuses the expression.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<Series> {
        let form = format!("query={}", encoded(expression));
        let data = self.data(expression, self.http("POST /api/v1/query", &form));
        let result = data["result"].as_array().expect("a vector").clone();
        if data["resultType"] == "scalar" {
            return vec![Series::of(&Value::Null, &data["result"])];
        }
        let series = result.iter();
        series
            .map(|one| Series::of(&one["metric"], &one["value"]))
            .collect()
    }

    fn data(&self, what: &str, answer: Option<(u16, String)>) -> Value {
        let (_, body) = answer.expect("Prometheus answers");
        let mut answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(answer["status"], "success", "{what}: {answer}");
        answer["data"].take()
    }

    /// Asks with HTTP/1.0, so that an answer ends where the connection does.
    fn http(&self, request: &str, form: &str) -> Option<(u16, String)> {
        let connect = || TcpStream::connect(LISTEN).ok();
        let mut stream = self.edge.host.enter(connect)?;
        stream.set_read_timeout(Some(PLENTY)).expect("a timeout");
        let head = "Content-Type: application/x-www-form-urlencoded";
        let length = form.len();
        let text =
            format!("{request} HTTP/1.0\r\n{head}\r\nContent-Length: {length}\r\n\r\n{form}");
        stream.write_all(text.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }
}

impl Drop for Prometheus<'_> {
    fn drop(&mut self) {
        // Both fail only where it has ended, which is what is wanted.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log"));
            eprintln!("Prometheus' log:\n{}", log.unwrap_or_default());
        }
    }
}

/// One series of an answer, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels; an object.
    pub labels: Value,
    /// Its value.
    pub value: f64,
}

impl Series {
    fn of(labels: &Value, sample: &Value) -> Self {
        let value = sample[1].as_str().expect("a sample has a value");
        Self {
            labels: labels.clone(),
            value: value.parse().expect("a number"),
        }
    }

    /// A label's value.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

/// promtool, to be given arguments.
#[must_use]
pub fn promtool() -> Command {
    Command::new(program("promtool"))
}

/// A program of the package prometheus: as setup unpacked it, else on the path.
fn program(name: &str) -> OsString {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/prometheus");
    let folder = std::env::var_os("WEIR_PROMETHEUS").unwrap_or_else(|| built.into());
    let unpacked = PathBuf::from(folder).join("usr/bin").join(name);
    if unpacked.is_file() {
        unpacked.into()
    } else {
        name.into()
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").expect("a string takes everything");
        encoded
    })
}

const LISTEN: &str = "127.0.0.1:9090";
