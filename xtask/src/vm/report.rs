//! The report of a virtual machine, line by line, and its judgement.
//!
//! A step that reports no end, and tests of which none ran, have failed: silence
//! is no success.

use serde_json::Value;

use super::{kernels::Series, steps::Step};
use crate::{test::Tally, verify};

/// The report so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    done: Vec<Done>,
    /// The step that is under way.
    current: Option<Done>,
    /// All is done, and reported.
    over: bool,
}

/// A step that was begun.
#[derive(Debug, Default)]
struct Done {
    name: String,
    lines: Vec<String>,
    /// The exit code, if there was an end.
    code: Option<i32>,
    seconds: f64,
}

impl Report {
    /// Takes a line, and gives back what is worth showing of it.
    pub(crate) fn take(&mut self, line: &str) -> Option<String> {
        // As a terminal ends its lines.
        let line = line.trim_end_matches(['\r', '\n']);
        self.over |= line == "@over";
        if let Some(name) = line.strip_prefix("@begin ") {
            self.done.extend(self.current.take());
            self.current = Some(Done {
                name: name.to_owned(),
                ..Done::default()
            });
            return None;
        }
        if let Some(end) = line.strip_prefix("@end ") {
            let mut done = self.current.take()?;
            let (code, took) = end.split_once(' ')?;
            done.code = Some(code.parse().ok()?);
            done.seconds = took.parse::<f64>().ok()? / 1_000.0;
            let told = format!("{}: {:.1} s", done.name, done.seconds);
            self.done.push(done);
            return Some(told);
        }
        let current = self.current.as_mut()?;
        current.lines.push(line.to_owned());
        let is_test = line.starts_with("test ") && !line.starts_with("test result: ");
        (is_test && !line.ends_with("... ok")).then(|| line.to_owned())
    }

    /// Judges all steps.
    pub(crate) fn judge(mut self, steps: &[Step], series: Series) -> Judgement {
        self.done.extend(self.current.take());
        let mut judgement = Judgement {
            over: self.over,
            ..Judgement::default()
        };
        for step in steps {
            let done = self.done.iter().find(|done| done.name == step.name());
            let Some(Done { lines, code, .. }) = done else {
                judgement.fault(format!("{}: it was never begun", step.name()));
                continue;
            };
            let before = judgement.tally.failed;
            match step {
                Step::Load { .. } => judgement.load(step, lines, series),
                Step::Tests { .. } => judgement.tests(step, lines),
            }
            let has_failed = judgement.tally.failed > before;
            match code {
                None => judgement.fault(format!("{}: it never ended", step.name())),
                Some(code) if *code != 0 && !has_failed => {
                    judgement.fault(format!("{}: exit code {code}", step.name()));
                }
                Some(_) => {}
            }
            // For a program that is only over its budget, the table is enough.
            if *code != Some(0) {
                judgement
                    .shown
                    .push((step.name().to_owned(), lines.clone()));
            }
        }
        judgement
    }
}

/// The outcome of a machine.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) tally: Tally,
    pub(crate) faults: Vec<String>,
    /// The machine did all that it was asked for, well or not.
    pub(crate) over: bool,
    /// The output of failed steps.
    pub(crate) shown: Vec<(String, Vec<String>)>,
    /// The cost of the programs on this kernel, beside the budget.
    pub(crate) table: String,
}

impl Judgement {
    /// Counts as one failed.
    pub(crate) fn fault(&mut self, fault: String) {
        self.tally.failed += 1;
        self.faults.push(fault);
    }

    fn load(&mut self, step: &Step, lines: &[String], series: Series) {
        let answer = lines
            .iter()
            .rev()
            .find_map(|line| serde_json::from_str::<Value>(line).ok());
        let Some(answer) = answer else {
            return self.fault(format!("{}: the kernel refused", step.name()));
        };
        let (table, faults) = verify::judge(&answer, verify::budget(series));
        self.table = table;
        if faults.is_empty() {
            self.tally.passed += 1;
        } else {
            self.fault(format!("{}: {}", step.name(), faults.join("; ")));
        }
    }

    fn tests(&mut self, step: &Step, lines: &[String]) {
        let mut tally = Tally::default();
        let results = lines.iter().filter(|line| tally.take(line)).count();
        self.tally += tally;
        if tally.failed > 0 {
            self.faults
                .push(format!("{}: {} failed", step.name(), tally.failed));
        } else if results != 1 || tally.passed == 0 {
            self.fault(format!("{}: no test told a result", step.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 2] = [
        Step::Load {
            name: "load",
            arguments: &[],
        },
        Step::Tests {
            module: "wire",
            only: &[],
        },
    ];

    fn judged(text: &str) -> Judgement {
        let mut report = Report::default();
        for line in text.lines() {
            report.take(line);
        }
        report.judge(&STEPS, (6, 12))
    }

    /// A load of all programs that keeps every budget.
    fn load() -> String {
        let program = |name| format!(r#"{{"name":"{name}","instructions":9,"verified":9}}"#);
        let programs = ["filter", "explain", "trial"].map(program).join(",");
        format!(
            "@begin load\r\n{{\"programs\":[{programs}],\"atomics\":{{\"compare_and_swap\":1,\"other\":0}}}}\r\n@end 0 900\r\n"
        )
    }

    const WIRE: &str = "@begin wire\nrunning 2 tests\ntest a ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\n@end 0 1500\n@over\n";

    #[test]
    fn what_ran_well_is_summed() {
        let judgement = judged(&(load() + WIRE));
        assert_eq!(judgement.faults, Vec::<String>::new());
        assert_eq!((judgement.tally.passed, judgement.tally.failed), (3, 0));
        assert!(judgement.table.contains("explain"), "{}", judgement.table);
    }

    #[test]
    fn a_failed_test_counts_once_and_what_it_wrote_is_shown() {
        let wire = WIRE
            .replace("2 passed; 0 failed", "1 passed; 1 failed")
            .replace("@end 0", "@end 101");
        let judgement = judged(&(load() + &wire));
        assert_eq!((judgement.tally.passed, judgement.tally.failed), (2, 1));
        assert_eq!(judgement.faults, ["wire: 1 failed"]);
        assert_eq!(judgement.shown[0].0, "wire");
    }

    #[test]
    fn silence_is_a_failure() {
        for (text, fault) in [
            (load(), "wire: it was never begun"),
            (
                load() + "@begin wire\nrunning 2 tests\n",
                "wire: no test told a result",
            ),
            (
                load() + "@begin wire\n@end 101 3\n",
                "wire: no test told a result",
            ),
            (
                load() + "@begin wire\ntest result: ok. 0 passed; 0 failed\n@end 0 3\n",
                "wire: no test told a result",
            ),
            (
                load() + "@begin wire\ntest result: ok. 1 passed; 0 failed\n",
                "wire: it never ended",
            ),
            (
                load() + "@begin wire\ntest result: ok. 1 passed; 0 failed\n@end -1 3\n",
                "wire: exit code -1",
            ),
            (
                "@begin load\nError: no\n@end 1 5\n".to_owned() + WIRE,
                "load: the kernel refused",
            ),
        ] {
            let judgement = judged(&text);
            assert!(judgement.tally.failed >= 1, "{text}");
            assert_eq!(judgement.faults[0], fault);
        }
    }

    #[test]
    fn of_a_run_that_goes_well_the_steps_are_shown() {
        let mut report = Report::default();
        let text = load() + WIRE;
        let shown: Vec<_> = text.lines().filter_map(|line| report.take(line)).collect();
        assert_eq!(shown, ["load: 0.9 s", "wire: 1.5 s"]);
    }
}
