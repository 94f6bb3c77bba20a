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
}

impl<const N: usize> Table<N> {
    /// With these heads, and no rows.
    pub(crate) const fn new(heads: [(&'static str, Align); N]) -> Self {
        Self {
            heads,
            rows: Vec::new(),
        }
    }

    /// One more row.
    pub(crate) fn push(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// The head's line, then the rows'; nothing where there are no rows.
    pub(crate) fn lines(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let heads = self.heads.map(|(head, _)| head.to_owned());
        let mut widths = [0; N];
        for row in self.rows.iter().chain([&heads]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let line = |row: &[String; N]| {
            let cells = row.iter().zip(widths).zip(self.heads);
            let cells: Vec<_> = cells
                .map(|((cell, width), (_, align))| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                })
                .collect();
            cells.join("  ").trim_end().to_owned()
        };
        [&heads].into_iter().chain(&self.rows).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
