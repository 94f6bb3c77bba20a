//! The text format: families of samples, each sample with its labels.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write as _};

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// A family that takes samples.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut Text,
    name: String,
}

impl Text {
    /// What can go up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// What only grows, until the daemon starts again.
    pub(super) fn counter(&mut self, name: &str, help: &str) -> Family<'_> {
        debug_assert!(
            name.ends_with("_total"),
            "{name} is spelled like no counter"
        );
        self.family(name, "counter", help)
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) -> Family<'_> {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        Family {
            text: self,
            name: name.to_owned(),
        }
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("a string takes every line");
    }
}

impl Family<'_> {
    /// The only sample.
    pub(super) fn value(&mut self, value: impl Display) -> &mut Self {
        self.with(&[], value)
    }

    /// One more sample; its labels differ from every other's.
    pub(super) fn with(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let labels: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let name = &self.name;
        if labels.is_empty() {
            self.text.line(format_args!("{name} {value}"));
        } else {
            self.text
                .line(format_args!("{name}{{{}}} {value}", labels.join(",")));
        }
        self
    }
}

/// A label's value, by the rules of the format.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_help_its_kind_and_its_samples() {
        let mut text = Text::default();
        text.gauge("weir_up", "Whether.").value(1);
        text.counter("weir_seen_total", "How many.")
            .with(&[("feed", "a"), ("kind", "b")], 2)
            .with(&[("feed", "c"), ("kind", "d")], 0.25);
        assert_eq!(
            text.into_string(),
            "# HELP weir_up Whether.\n\
             # TYPE weir_up gauge\n\
             weir_up 1\n\
             # HELP weir_seen_total How many.\n\
             # TYPE weir_seen_total counter\n\
             weir_seen_total{feed=\"a\",kind=\"b\"} 2\n\
             weir_seen_total{feed=\"c\",kind=\"d\"} 0.25\n"
        );
    }

    #[test]
    fn a_label_may_hold_anything() {
        let mut text = Text::default();
        text.gauge("weir_up", "Whether.")
            .with(&[("feed", "a\"b\\c\nd ü")], 1);
        let text = text.into_string();
        assert!(
            text.ends_with("weir_up{feed=\"a\\\"b\\\\c\\nd ü\"} 1\n"),
            "{text}"
        );
    }
}
