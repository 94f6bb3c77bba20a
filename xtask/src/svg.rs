//! The parts that all drawings for `docs/` have in common.

use std::fmt::{Arguments, Write as _};

/// Adds a line to a drawing.
pub(crate) fn add(svg: &mut String, line: Arguments<'_>) {
    writeln!(svg, "{line}").expect("a string takes everything");
}

/// Colours of lines: legible on white and on black, and distinct without red and
/// green.
pub(crate) const COLOURS: [&str; 6] = [
    "#0a84d0", "#e08a00", "#a060c0", "#c0504d", "#3a9a7a", "#8c8c20",
];
