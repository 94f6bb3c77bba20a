//! Figures on the page `docs/performance.md`. What a run didn't measure leaves the
//! page.

use std::{fs, process::Command};

use anyhow::Result;

use super::{figure::Figure, plot};
use crate::page::{self, Page};

/// Writes the page and the drawing.
pub(super) fn write(figures: &[Figure]) -> Result<()> {
    let mut written = format!("{}\n\n", machine());
    if let Some(drawing) = plot::draw(figures) {
        page::write_drawing("performance.svg", &drawing)?;
        written += "![Nanoseconds a packet against the size of the list](performance.svg)\n\n";
    }
    written += &tables(figures);
    PAGE.write(&written)
}

fn tables(figures: &[Figure]) -> String {
    let mut packets = String::new();
    let mut others = String::new();
    for figure in figures {
        let Figure {
            name, value, unit, ..
        } = figure;
        let target = figure.target();
        match (figure.nanoseconds, figure.spread) {
            (Some(nanoseconds), Some([least, most])) => {
                packets += &format!(
                    "| {name} | {nanoseconds:.0} | {value:.2} | {least:.2} to {most:.2} | {target} |\n"
                );
            }
            _ => others += &format!("| {name} | {} {unit} | {target} |\n", digits(*value)),
        }
    }
    let mut all = String::new();
    if !packets.is_empty() {
        all += &format!(
            "| | ns a packet | x bare | rounds | target |\n|---|---|---|---|---|\n{packets}\n"
        );
    }
    if !others.is_empty() {
        all += &format!("| | figure | target |\n|---|---|---|\n{others}\n");
    }
    all
}

/// Three digits that tell something.
fn digits(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The machine and the day of the measurement.
fn machine() -> String {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key));
        let value = line.map(|line| line.split_once(':').map_or(line, |(_, value)| value));
        value.unwrap_or("unknown").trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let date = Command::new("date")
        .arg("+%-d %B %Y")
        .env("LC_ALL", "C")
        .output();
    let date = date.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    // Its version; what the distribution calls it says nothing to others.
    let kernel = first("/proc/sys/kernel/osrelease", "");
    let kernel: Vec<_> = kernel.splitn(3, ['.', '-']).take(2).collect();
    let kernel = kernel.join(".");
    let model = first("/proc/cpuinfo", "model name");
    format!("{date}; kernel {kernel}; {cores} cores, {model}.")
}

const PAGE: Page = Page {
    name: "performance.md",
    begin: "<!-- cargo xtask bench --doc writes from here -->",
    end: "<!-- to here -->",
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packets_and_the_rest_stand_in_tables_of_their_own() {
        let figure = |line| Figure::read(&line).expect("a figure");
        let tables = tables(&[
            figure(json!({
                "name": "weir", "value": 2.0, "unit": "x bare", "target": 3.0,
                "ns": 170.4, "spread": [1.9, 2.1],
            })),
            figure(json!({"name": "memory", "value": 31.26, "unit": "MiB"})),
        ]);
        assert!(tables.contains("| weir | 170 | 2.00 | 1.90 to 2.10 | < 3 x |\n"));
        assert!(tables.contains("| memory | 31.3 MiB |  |\n"));
    }

    #[test]
    fn the_page_has_its_marks() {
        assert!(PAGE.has_its_marks());
    }
}
