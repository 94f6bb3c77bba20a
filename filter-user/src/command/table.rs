//! Tables of text: columns as wide as they need to be.

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under heads.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    heads: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
    /// So many columns from the left are never left out.
    always: usize,
}

/// A table as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fitted {
    /// The head's line, then the rows'; nothing where there are no rows.
    pub(crate) lines: Vec<String>,
    /// Heads of columns that aren't shown.
    pub(crate) left_out: Vec<&'static str>,
}

impl<const N: usize> Table<N> {
    /// With these heads, and no rows.
    pub(crate) const fn new(heads: [(&'static str, Align); N]) -> Self {
        Self {
            heads,
            rows: Vec::new(),
            always: 1,
        }
    }

    /// The same, and never leaves so many columns from the left out.
    pub(crate) const fn always(mut self, columns: usize) -> Self {
        self.always = columns;
        self
    }

    /// How many rows there are.
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Forgets the rows.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// One more row.
    pub(crate) fn push(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// All of it; or, within so many columns of a terminal, what there is room for: columns that are empty or equal
    /// in all rows are left out, then cells are cut, then columns go from the right.
    pub(crate) fn fitted(&self, width: Option<usize>) -> Fitted {
        if self.rows.is_empty() {
            return Fitted::default();
        }
        let heads = self.heads.map(|(head, _)| head.to_owned());
        let mut widths = [0; N];
        for row in self.rows.iter().chain([&heads]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut shown: Vec<usize> = (0..N).collect();
        if let Some(width) = width {
            shown.retain(|column| *column < self.always || self.tells(*column));
            self.squeeze(&mut shown, &mut widths, width);
        }
        let line = |row: &[String; N]| {
            let cells = shown.iter().map(|column| {
                let (cell, width) = (cut(&row[*column], widths[*column]), widths[*column]);
                match self.heads[*column].1 {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                }
            });
            let line = cells.collect::<Vec<_>>().join(GAP);
            let line = line.trim_end();
            width.map_or_else(|| line.to_owned(), |width| cut(line, width))
        };
        let left_out = (0..N).filter(|column| !shown.contains(column));
        Fitted {
            lines: [&heads].into_iter().chain(&self.rows).map(line).collect(),
            left_out: left_out.map(|column| self.heads[column].0).collect(),
        }
    }

    /// Whether a column says something of a row that it doesn't of the others.
    fn tells(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| row[column].as_str());
        let first = cells.next().unwrap_or_default();
        if self.rows.len() == 1 {
            return !["", "-"].contains(&first);
        }
        cells.any(|cell| cell != first)
    }

    fn squeeze(&self, shown: &mut Vec<usize>, widths: &mut [usize; N], width: usize) {
        loop {
            let cells: usize = shown.iter().map(|column| widths[*column]).sum();
            let over = (cells + GAP.len() * (shown.len() - 1)).saturating_sub(width);
            if over == 0 {
                return;
            }
            // A text that is cut still tells something, a number or a prefix doesn't.
            let texts = shown.iter().copied().filter(|column| {
                *column > 0 && self.heads[*column].1 == Align::Left && widths[*column] > SHORTEST
            });
            if let Some(widest) = texts.max_by_key(|column| widths[*column]) {
                widths[widest] -= over.min(widths[widest] - SHORTEST);
            } else if shown.len() > self.always {
                shown.pop();
            } else {
                return;
            }
        }
    }
}

/// A text within so many columns.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let begin: String = text.chars().take(width.saturating_sub(1)).collect();
    begin + "…"
}

/// A text as lines of so many columns, all but the first with this before them. A
/// word that is wider is cut in pieces.
pub(crate) fn wrapped(text: &str, width: Option<usize>, indent: usize) -> Vec<String> {
    let Some(width) = width else {
        return vec![text.to_owned()];
    };
    let mut lines = vec![String::new()];
    for line in text.split('\n').enumerate().flat_map(|(number, line)| {
        let line_break = (number > 0).then_some("\n");
        line_break.into_iter().chain(line.split_inclusive(' '))
    }) {
        if line == "\n" {
            lines.push(String::new());
            continue;
        }
        let mut word: Vec<char> = line.chars().collect();
        loop {
            let last = lines.last_mut().expect("there is one");
            let room = width.saturating_sub(last.chars().count());
            // The blank behind a word may fall off.
            let needed = word.len() - usize::from(word.last() == Some(&' '));
            if needed <= room {
                last.extend(&word);
                break;
            }
            let begun = last.chars().any(|letter| letter != ' ');
            if !begun {
                last.extend(word.drain(..room));
            }
            lines.push(" ".repeat(indent.min(width / 2)));
        }
    }
    let lines = lines.into_iter();
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// Between two columns.
const GAP: &str = "  ";

/// Columns that are left of a text that is cut.
const SHORTEST: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    impl<const N: usize> Table<N> {
        /// All of it.
        pub(crate) fn lines(&self) -> Vec<String> {
            self.fitted(None).lines
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([("CAUSE", Align::Left), ("PACKETS", Align::Right)]);
        assert!(table.lines().is_empty());
        table.push(["over_neighbourhood".into(), "7".into()]);
        table.push(["blocked".into(), "12,345,678".into()]);
        assert_eq!(
            table.lines(),
            [
                "CAUSE                  PACKETS",
                "over_neighbourhood           7",
                "blocked             12,345,678",
            ]
        );
    }

    fn table(rows: &[[&str; 4]]) -> Table<4> {
        let mut table = Table::new([
            ("NAME", Align::Left),
            ("COUNT", Align::Right),
            ("MODE", Align::Left),
            ("WHY", Align::Left),
        ]);
        for row in rows {
            table.push(row.map(ToOwned::to_owned));
        }
        table
    }

    #[test]
    fn on_a_terminal_what_tells_nothing_is_left_out() {
        let fitted =
            table(&[["a", "7", "inherit", "-"], ["b", "9", "inherit", "-"]]).fitted(Some(80));
        assert_eq!(fitted.lines, ["NAME  COUNT", "a         7", "b         9"]);
        assert_eq!(fitted.left_out, ["MODE", "WHY"]);
        let one = table(&[["a", "7", "inherit", "-"]]).fitted(Some(80));
        assert_eq!(one.left_out, ["WHY"], "of one row nothing is equal");
        let equal = [["a", "7", "inherit", "-"], ["a", "7", "inherit", "-"]];
        let fitted = table(&equal).always(2).fitted(Some(80));
        assert_eq!(fitted.left_out, ["MODE", "WHY"]);
        let wide = table(&equal).fitted(None);
        assert!(wide.left_out.is_empty() && wide.lines[0].ends_with("WHY"));
    }

    #[test]
    fn what_has_no_room_is_cut_and_then_left_out() {
        let long = "because of a very long story";
        let table = table(&[
            ["203.0.113.0/24", "7", "a", long],
            ["10.0.0.0/8", "123,456", "b", "-"],
        ]);
        for width in 14..60 {
            let fitted = table.fitted(Some(width));
            for line in &fitted.lines {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
            }
            assert!(fitted.lines[1].starts_with("203.0.113.0/24"), "{width}");
        }
        assert!(table.fitted(Some(45)).lines[1].ends_with('…'));
        assert_eq!(table.fitted(Some(20)).left_out, ["COUNT", "MODE", "WHY"]);
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        for (text, lines) in [
            ("short", &["short"][..]),
            ("one two three", &["one two", "  three"]),
            ("abcdefghijklmnop", &["abcdefghij", "  klmnop"]),
            ("  a deep line it is", &["  a deep", "  line it", "  is"]),
            ("a\nb", &["a", "b"]),
            ("", &[""]),
        ] {
            assert_eq!(wrapped(text, Some(10), 2), lines, "{text:?}");
            assert_eq!(wrapped(text, None, 2), [text]);
        }
    }
}
