//! The drawing: what a packet costs against the size of the list.
//!
//! SVG by hand: lines, a few words in whatever font the reader has, and colours
//! that are distinct from white and from black.

use std::fmt::Write as _;

use super::figure::Figure;
use crate::svg::{COLOURS, add};

/// The drawing, if there is anything to be drawn.
pub(super) fn draw(figures: &[Figure]) -> Option<String> {
    let lines = lines(figures);
    let all = || lines.iter().flat_map(|(_, points)| points);
    let most = all().map(|(_, cost)| *cost).fold(0.0, f64::max);
    if most == 0.0 {
        return None;
    }
    let first = all().map(|(size, _)| *size).fold(f64::INFINITY, f64::min);
    let last = all().map(|(size, _)| *size).fold(0.0, f64::max);
    let (from, to) = (
        first.log10().floor(),
        last.log10().ceil().max(first.log10().floor() + 1.0),
    );
    let step = step(most);
    let top = (most / step).ceil() * step;
    let x = |size: f64| LEFT + (size.log10() - from) / (to - from) * WIDTH;
    let y = |cost: f64| TOP + (1.0 - cost / top) * HEIGHT;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#808080\">\n\
         <title>Nanoseconds a packet against the size of the list</title>\n",
        LEFT + WIDTH + LEGEND,
        TOP + HEIGHT + BOTTOM
    );
    let mut power = from;
    while power <= to {
        let at = x(10_f64.powf(power));
        add(
            &mut svg,
            format_args!(
                "<path d=\"M{at:.1} {TOP}v{HEIGHT}\" stroke=\"#808080\" stroke-opacity=\"0.3\"/>"
            ),
        );
        let name = match power as u32 {
            0..=2 => format!("{:.0}", 10_f64.powf(power)),
            3..=5 => format!("{:.0}k", 10_f64.powf(power - 3.0)),
            _ => format!("{:.0}M", 10_f64.powf(power - 6.0)),
        };
        add(
            &mut svg,
            format_args!(
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
                TOP + HEIGHT + 18.0
            ),
        );
        power += 1.0;
    }
    let mut cost = 0.0;
    while cost <= top {
        let at = y(cost);
        add(
            &mut svg,
            format_args!(
                "<path d=\"M{LEFT} {at:.1}h{WIDTH}\" stroke=\"#808080\" stroke-opacity=\"0.3\"/>"
            ),
        );
        add(
            &mut svg,
            format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{cost:.0}</text>",
                LEFT - 6.0,
                at + 4.0
            ),
        );
        cost += step;
    }
    add(
        &mut svg,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">prefixes in the list</text>",
            LEFT + WIDTH / 2.0,
            TOP + HEIGHT + 38.0
        ),
    );
    add(
        &mut svg,
        format_args!(
            "<text x=\"{LEFT}\" y=\"{}\">ns a packet, the cable included</text>",
            TOP - 10.0
        ),
    );
    for (number, (name, points)) in lines.iter().enumerate() {
        // Who it is by colour, hit and miss by the line.
        let colour = COLOURS[owner(name, &lines) % COLOURS.len()];
        let dashes = if name.ends_with("miss") {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let mut path = String::new();
        for (place, (size, cost)) in points.iter().enumerate() {
            let letter = if place == 0 { 'M' } else { 'L' };
            add_to(
                &mut path,
                format_args!("{letter}{:.1} {:.1}", x(*size), y(*cost)),
            );
            add(
                &mut svg,
                format_args!(
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    x(*size),
                    y(*cost)
                ),
            );
        }
        add(
            &mut svg,
            format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>"
            ),
        );
        let at = TOP + 10.0 + 18.0 * number as f64;
        let left = LEFT + WIDTH + 14.0;
        add(
            &mut svg,
            format_args!(
                "<path d=\"M{left} {:.1}h22\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
                at - 4.0
            ),
        );
        add(
            &mut svg,
            format_args!("<text x=\"{}\" y=\"{at:.1}\">{name}</text>", left + 28.0),
        );
    }
    svg += "</svg>\n";
    Some(svg)
}

/// A name, and what a packet cost at each size.
type Line = (String, Vec<(f64, f64)>);

/// Of IPv4, packets on a cable: what everybody can be measured by.
fn lines(figures: &[Figure]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for figure in figures {
        let (Some((name, size)), Some(cost)) = (&figure.series, figure.nanoseconds) else {
            continue;
        };
        if name.contains("IPv6") {
            continue;
        }
        let point = (*size, cost);
        match lines.iter_mut().find(|(known, _)| known == name) {
            Some((_, points)) => points.push(point),
            None => lines.push((name.clone(), vec![point])),
        }
    }
    for (_, points) in &mut lines {
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    lines
}

/// The number of whose line this is: `weir, miss` and `weir, hit` are one's.
fn owner(name: &str, lines: &[Line]) -> usize {
    let of = |name: &str| {
        name.rsplit_once(',')
            .map_or("", |(owner, _)| owner)
            .to_owned()
    };
    let mut owners: Vec<String> = Vec::new();
    for (line, _) in lines {
        if !owners.contains(&of(line)) {
            owners.push(of(line));
        }
    }
    owners
        .iter()
        .position(|owner| *owner == of(name))
        .unwrap_or_default()
}

/// Between one line across and the next: five to ten of them.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let fits = |step: &f64| most / step <= 10.0;
    steps.into_iter().find(fits).unwrap_or(power * 10.0)
}

fn add_to(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

const LEFT: f64 = 56.0;
const TOP: f64 = 34.0;
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 320.0;
const BOTTOM: f64 = 50.0;
const LEGEND: f64 = 230.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(series: &str, size: u32, nanoseconds: f64) -> Figure {
        let line = json!({
            "name": "a row", "value": 1.0, "unit": "x bare",
            "ns": nanoseconds, "series": [series, size],
        });
        Figure::read(&line).expect("a figure")
    }

    #[test]
    fn each_series_is_a_line_and_hit_and_miss_have_one_colour() {
        let figures = [
            point("weir, hit", 1_000, 100.0),
            point("weir, hit", 1_000_000, 300.0),
            point("weir, miss", 1_000, 90.0),
            point("nftables set, hit", 1_000, 700.0),
            point("weir, IPv6, hit", 1_000, 700.0),
        ];
        let svg = draw(&figures).expect("there is something to draw");
        assert_eq!(svg.matches("<circle").count(), 4);
        assert_eq!(lines(&figures).len(), 3);
        assert!(svg.matches(COLOURS[0]).count() > svg.matches(COLOURS[1]).count());
        assert!(svg.contains(">1k</text>") && svg.contains(">1M</text>"));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn nothing_measured_is_nothing_drawn() {
        assert_eq!(draw(&[]), None);
    }

    #[test]
    fn the_steps_are_round_and_few() {
        for (most, round) in [(9.0, 1.0), (100.0, 10.0), (730.0, 100.0), (2597.0, 500.0)] {
            assert!((step(most) - round).abs() < 1e-9, "{most}: {}", step(most));
        }
    }
}
