//! Where answers go. The only place that writes to standard output.

use std::{
    fmt,
    io::{self, BufWriter, IsTerminal, Write},
};

use serde::Serialize;

use super::{
    human::{causes, plain},
    table::{Table, wrapped},
};

/// The way out of a command: its answer, and notes beside it.
pub(crate) struct Output {
    answer: Box<dyn Write>,
    notes: Box<dyn Write>,
    json: bool,
    colours: bool,
    /// Columns of the terminal that the answer goes to; `None`: it goes elsewhere,
    /// and lines are as long as they are.
    width: Option<usize>,
}

/// What a text is about, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Head,
}

impl Output {
    /// Standard output and standard error.
    pub(crate) fn standard(json: bool) -> Self {
        let colours = io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            answer: Box::new(BufWriter::new(io::stdout().lock())),
            notes: Box::new(io::stderr()),
            json,
            colours,
            width: io::stdout().is_terminal().then(columns),
        }
    }

    /// Columns that a line of an answer may have; `None`: any number.
    pub(crate) const fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether the answer is to be JSON.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// One line of an answer for people.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        writeln!(self.answer, "{line}")
    }

    /// A sentence of an answer, on a terminal in as many lines as it needs; what
    /// follows the first stands under this column.
    pub(crate) fn sentence(
        &mut self,
        tone: Option<Tone>,
        text: &str,
        indent: usize,
    ) -> io::Result<()> {
        for line in wrapped(text, self.width, indent) {
            match tone {
                Some(tone) => self.line(self.toned(tone, &line))?,
                None => self.line(line)?,
            }
        }
        Ok(())
    }

    /// A table, its head first; what isn't shown of it is given back.
    pub(crate) fn table<const N: usize>(
        &mut self,
        table: &Table<N>,
    ) -> io::Result<Vec<&'static str>> {
        let fitted = table.fitted(self.width);
        for (number, line) in fitted.lines.iter().enumerate() {
            if number == 0 {
                self.line(self.toned(Tone::Head, line))?;
            } else {
                self.line(line)?;
            }
        }
        Ok(fitted.left_out)
    }

    /// An answer, or one line of it, for programs.
    pub(crate) fn object(&mut self, answer: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.answer, answer)?;
        self.answer.write_all(b"\n")
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.answer.write_all(bytes)
    }

    /// Everything so far is seen now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.answer.flush()
    }

    /// What the operator should know beside the answer. If it can't be written
    /// there is nobody to be told.
    pub(crate) fn note(&mut self, note: impl fmt::Display) {
        self.beside("note", &note, &note);
    }

    /// For people a line, for programs an object with this key.
    fn beside(&mut self, key: &str, line: impl fmt::Display, value: impl fmt::Display) {
        let _unwritten = if self.json {
            let object = serde_json::json!({ key: value.to_string() });
            writeln!(self.notes, "{object}")
        } else {
            writeln!(self.notes, "{line}")
        };
    }

    /// The same, of what the daemon says in an answer.
    pub(crate) fn notes(&mut self, notes: &[String]) {
        for note in notes {
            self.note(plain(note));
        }
    }

    /// Why nothing, or not everything, was done.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        let text = causes(error);
        self.beside("error", format_args!("weir: {text}"), &text);
    }

    /// The text in a colour, on a terminal.
    pub(crate) fn toned(&self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Head => 1,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Columns of the terminal, as far as it says.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { USUAL_COLUMNS } else { columns }
}

/// Columns of a terminal that doesn't say.
pub(crate) const USUAL_COLUMNS: usize = 80;

/// Whether whoever read the answer has had enough of it, as `head` does.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|error| {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = error
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Page(Rc<RefCell<Vec<u8>>>);

    impl Page {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).expect("text")
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that is kept: the answer's page and the notes'.
    pub(crate) fn kept(json: bool) -> (Output, Page, Page) {
        kept_within(None, json)
    }

    /// The same, as on a terminal of so many columns.
    pub(crate) fn kept_within(width: Option<usize>, json: bool) -> (Output, Page, Page) {
        let (answer, notes) = (Page::default(), Page::default());
        let output = Output {
            answer: Box::new(answer.clone()),
            notes: Box::new(notes.clone()),
            json,
            colours: false,
            width,
        };
        (output, answer, notes)
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_had_enough_is_known_as_such() {
        let (mut output, ..) = kept(true);
        output.answer = Box::new(Closed);
        let line: anyhow::Error = output.line("a").expect_err("closed").into();
        let object: anyhow::Error = output.object(&[1]).expect_err("closed").into();
        assert!(is_broken_pipe(&line) && is_broken_pipe(&object));
        assert!(is_broken_pipe(&line.context("while listing")));
        assert!(!is_broken_pipe(&anyhow::anyhow!("something else")));
    }

    #[test]
    fn answers_and_notes_go_their_own_ways() {
        let (mut output, answer, notes) = kept(true);
        output.object(&serde_json::json!({"a": 1})).expect("kept");
        output.note("b");
        output.error(&anyhow::anyhow!("c").context("d"));
        assert_eq!(answer.text(), "{\"a\":1}\n");
        assert_eq!(notes.text(), "{\"note\":\"b\"}\n{\"error\":\"d: c\"}\n");
        let (mut output, answer, notes) = kept(false);
        output.note("b");
        output.error(&anyhow::anyhow!("c").context("d"));
        assert_eq!(
            (answer.text().as_str(), notes.text().as_str()),
            ("", "b\nweir: d: c\n")
        );
    }
}
