//! A command's output and exit code, and assertions on them.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The exit code of a command, and what it wrote.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// Its exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl CommandOutput {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn by(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        Self::of(output.expect("it can be run"))
    }

    /// The same, with this on its standard input.
    ///
    /// # Panics
    /// If it can't be run, or doesn't read.
    pub fn by_with(command: &mut Command, input: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let mut stdin = child.stdin.take().expect("it was asked for");
        // It reads all before it writes more than a pipe holds: answers come
        // after whole requests.
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        Self::of(child.wait_with_output().expect("it ends"))
    }

    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("weir writes UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// It exited with 0.
    ///
    /// # Panics
    /// If it didn't.
    #[must_use]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It exited with this, and wrote the reason to standard error.
    ///
    /// # Panics
    /// If it didn't.
    #[must_use]
    pub fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(
            !self.err.trim().is_empty(),
            "standard error is empty: {self:?}"
        );
        self
    }

    /// Its standard error has these words.
    ///
    /// # Panics
    /// If it hasn't.
    #[must_use]
    pub fn says(self, words: &str) -> Self {
        assert!(self.err.contains(words), "no {words:?} in {self:?}");
        self
    }

    /// Its standard output, one JSON object.
    ///
    /// # Panics
    /// If it is something else.
    #[must_use]
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"));
        assert!(value.is_object(), "no object: {self:?}");
        value
    }

    /// Its standard output, one JSON object a line.
    ///
    /// # Panics
    /// If it is something else.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str::<Value>(line).expect("an object a line");
        self.out.lines().map(line).collect()
    }
}
