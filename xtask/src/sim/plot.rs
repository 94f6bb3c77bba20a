//! The drawing: over the day, the genuine calls that each policy loses and the
//! abusive calls that it lets through.

use std::fmt::Write as _;

use super::figure::Figure;
use crate::svg::{COLOURS, add};

/// The drawing.
pub(super) fn draw(figures: &[&Figure]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#808080\">\n\
         <title>Genuine calls lost and abusive calls let through, over the day</title>\n",
        LEFT + WIDTH + LEGEND,
        2.0 * (TOP + HEIGHT) + BOTTOM
    );
    let lost = |figure: &Figure| {
        let shares = figure.spans.lost.iter().zip(&figure.spans.genuine);
        shares
            .map(|(lost, all)| lost / all.max(1.0) * 100.0)
            .collect()
    };
    let passed = |figure: &Figure| {
        let calls = figure.spans.passed.iter();
        calls.map(|calls| calls / figure.spans.seconds).collect()
    };
    panel(&mut svg, figures, 0.0, "genuine calls lost, %", lost);
    panel(
        &mut svg,
        figures,
        TOP + HEIGHT,
        "abusive calls let through, a second",
        passed,
    );
    for hour in (0..=24).step_by(4) {
        let at = LEFT + f64::from(hour) / 24.0 * WIDTH;
        add(
            &mut svg,
            format_args!(
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{hour}:00</text>",
                2.0 * (TOP + HEIGHT) + 18.0
            ),
        );
    }
    for (number, figure) in figures.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let (left, at) = (LEFT + WIDTH + 14.0, TOP + 10.0 + 18.0 * number as f64);
        add(
            &mut svg,
            format_args!(
                "<path d=\"M{left} {:.1}h22\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{}\" y=\"{at:.1}\">{}</text>",
                at - 4.0,
                left + 28.0,
                figure.policy
            ),
        );
    }
    svg += "</svg>\n";
    svg
}

/// One drawing of the two, from `above` down. Each tenth is as far from the next
/// as any: what weir loses and what a ban loses are thousandfold apart.
fn panel(
    svg: &mut String,
    figures: &[&Figure],
    above: f64,
    title: &str,
    of: impl Fn(&Figure) -> Vec<f64>,
) {
    let all: Vec<_> = figures.iter().map(|figure| of(figure)).collect();
    let most = all.iter().flatten().copied().fold(LEAST, f64::max);
    let (from, to) = (LEAST.log10(), most.log10().ceil());
    let base = above + TOP + HEIGHT;
    let y = |value: f64| base - (value.max(LEAST).log10() - from) / (to - from) * HEIGHT;
    let mut power = from;
    while power <= to {
        let value = 10_f64.powf(power);
        // The lowest stands for nothing at all.
        let name = if power == from {
            "0".to_owned()
        } else {
            format!("{value}")
        };
        add(
            svg,
            format_args!(
                "<path d=\"M{LEFT} {:.1}h{WIDTH}\" stroke=\"#808080\" stroke-opacity=\"0.3\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
                y(value),
                LEFT - 6.0,
                y(value) + 4.0
            ),
        );
        power += 1.0;
    }
    add(
        svg,
        format_args!(
            "<text x=\"{LEFT}\" y=\"{}\">{title}</text>",
            above + TOP - 10.0
        ),
    );
    for (number, values) in all.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut path = String::new();
        for (place, value) in values.iter().enumerate() {
            let x = LEFT + (place as f64 + 0.5) / values.len() as f64 * WIDTH;
            let letter = if place == 0 { 'M' } else { 'L' };
            write!(path, "{letter}{x:.1} {:.1}", y(*value)).expect("a string takes everything");
        }
        add(
            svg,
            format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
            ),
        );
    }
}

const LEFT: f64 = 56.0;
const TOP: f64 = 34.0;
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 180.0;
const BOTTOM: f64 = 30.0;
const LEGEND: f64 = 180.0;

/// The least value that is drawn.
const LEAST: f64 = 0.001;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_policy_is_a_line_in_both_drawings() {
        let line = |policy: &str| {
            json!({
                "scenario": "day", "says": "A day.", "policy": policy, "genuine": 10,
                "lost_share": 0.1, "alone": 5, "alone_stopped": 0.5, "shared": 0,
                "shared_stopped": 0.0, "of_tier": 0.0, "time_to_stop_p50": null,
                "time_to_stop_p99": null, "alarms": [], "span_seconds": 600,
                "spans": {"genuine": [5, 5], "lost": [1, 0], "passed": [0, 3]},
            })
        };
        let figures =
            ["weir", "another"].map(|policy| Figure::read(&line(policy)).expect("a figure"));
        let svg = draw(&figures.iter().collect::<Vec<_>>());
        assert_eq!(svg.matches("fill=\"none\"").count(), 4);
        assert!(svg.contains(">weir</text>") && svg.contains(">another</text>"));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
