//! Figures on the page `docs/simulation.md`.

use anyhow::Result;

use super::{DAY, figure::Figure, plot};
use crate::page::{self, Page};

/// Writes the page and the drawing.
pub(super) fn write(figures: &[Figure]) -> Result<()> {
    let day: Vec<_> = figures
        .iter()
        .filter(|figure| figure.scenario == DAY)
        .collect();
    page::write_drawing("simulation.svg", &plot::draw(&day))?;
    PAGE.write(&tables(figures))
}

fn tables(figures: &[Figure]) -> String {
    let mut text = String::new();
    let mut last = "";
    for figure in figures {
        if figure.scenario != last {
            last = &figure.scenario;
            text += &format!(
                "### {}\n\n{} {} genuine calls; abusive ones: {} of addresses of their own, {} of shared ones.\n\n",
                figure.scenario,
                figure.says,
                grouped(figure.genuine),
                grouped(figure.alone.calls),
                grouped(figure.shared.calls),
            );
            if figure.scenario == DAY {
                text += "![Genuine calls lost and abusive calls let through, over the day](simulation.svg)\n\n";
            }
            text += "| | genuine calls lost | abuse stopped | of shared addresses | an abuser is stopped after (half; 99 %) |\n|---|---|---|---|---|\n";
        }
        text += &figure.row();
        text.push('\n');
        let ends = figures
            .iter()
            .rfind(|other| other.scenario == figure.scenario);
        if ends.is_some_and(|other| std::ptr::eq(other, figure)) {
            text.push('\n');
            let weir = figures
                .iter()
                .find(|one| one.scenario == last && one.is_weir());
            text += &weir.map_or_else(String::new, held);
        }
    }
    text
}

/// The sentences on weir that the table can't hold.
fn held(figure: &Figure) -> String {
    let mut text = String::new();
    if figure.shared.calls > 0 {
        text += &format!(
            "From no shared address came more abuse than {:.1} % of what its tier lets through.\n\n",
            figure.of_tier * 100.0
        );
    }
    for alarm in &figure.alarms {
        text += &format!("Alarm at {alarm}.\n\n");
    }
    text
}

/// A number as people write it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut written = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

const PAGE: Page = Page {
    name: "simulation.md",
    begin: "<!-- sim: begin -->",
    end: "<!-- sim: end -->",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_its_marks_in_order() {
        assert!(PAGE.has_its_marks());
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
