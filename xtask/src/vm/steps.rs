//! The steps in every virtual machine: the programs are loaded, and those
//! tests run that a kernel may decide otherwise.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

/// A step, done by one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Loading every program, by `verify` of the tests' crate.
    Load {
        name: &'static str,
        arguments: &'static [&'static str],
    },
    /// Tests of one file in `tests/tests`.
    Tests {
        file: &'static str,
        /// Whole names of tests; none: all there are.
        only: &'static [&'static str],
    },
}

impl Step {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Load { name, .. } => name,
            Self::Tests { file, .. } => file,
        }
    }

    fn command(&self) -> Vec<String> {
        let mut command = vec![];
        match self {
            Self::Load { arguments, .. } => {
                command.push(place(VERIFY));
                command.extend(arguments.iter().map(|word| (*word).to_owned()));
            }
            Self::Tests { file, only } => {
                command.push(place(file));
                // There is one CPU, and one pair of network cards.
                let always = ["--include-ignored", "--test-threads=1"];
                command.extend(always.map(String::from));
                if !only.is_empty() {
                    command.push("--exact".to_owned());
                }
                command.extend(only.iter().map(|name| (*name).to_owned()));
            }
        }
        command
    }
}

/// The files of tests that are run, each once.
pub(crate) fn test_files() -> BTreeSet<&'static str> {
    let file = |step: &Step| match step {
        Step::Tests { file, .. } => Some(*file),
        Step::Load { .. } => None,
    };
    STEPS.iter().filter_map(file).collect()
}

/// The script that the machine's first process reads (`tests/src/bin/guest`).
pub(crate) fn for_guest(modules: &[String]) -> Value {
    let steps: Vec<_> = STEPS
        .iter()
        .map(|step| {
            json!({
                "name": step.name(),
                "command": step.command(),
                // What isn't loaded can't be tested.
                "needed": matches!(step, Step::Load { .. }),
            })
        })
        .collect();
    json!({
        "modules": modules,
        "variables": {
            "PATH": TOOLS,
            "WEIR_BIN": place(DAEMON),
            "WEIR_MUTANTS": MUTANTS,
        },
        "steps": steps,
    })
}

/// The path of a program in the machine.
pub(crate) fn place(program: &str) -> String {
    let place = Path::new(PROGRAMS).join(program);
    place.to_string_lossy().into_owned()
}

/// In the order of what to look at first if they fail.
pub(crate) const STEPS: [Step; 8] = [
    Step::Load {
        name: "load with every capability",
        arguments: &["--every-capability"],
    },
    Step::Load {
        name: "load with the daemon's three capabilities",
        arguments: &[],
    },
    Step::Tests {
        file: "filter",
        only: &[],
    },
    Step::Tests {
        file: "parity",
        only: &[],
    },
    Step::Tests {
        file: "wire",
        only: &[],
    },
    Step::Tests {
        file: "daemon_pins",
        only: &["the_filter_stays_in_force_when_the_daemon_is_killed"],
    },
    Step::Tests {
        file: "replacements",
        only: &[],
    },
    Step::Tests {
        file: "vm",
        only: &[],
    },
];

/// Programs of the workspace.
pub(crate) const DAEMON: &str = "weir";
pub(crate) const VERIFY: &str = "verify";
const PROGRAMS: &str = "/weir";

/// The folder of this machine's commands, and the commands.
pub(crate) const TOOLS: &str = "/bin";
pub(crate) const COMMANDS: [&str; 3] = ["ip", "nsenter", "ethtool"];

/// Half of the usual: every cause is met, though a machine is ten times as slow.
const MUTANTS: &str = "10000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tests_name_is_asked_for_exactly_and_all_are_by_no_name() {
        let step = |only| Step::Tests { file: "wire", only };
        let all = ["/weir/wire", "--include-ignored", "--test-threads=1"];
        assert_eq!(step(&[]).command(), all);
        assert_eq!(
            step(&["a", "b"]).command(),
            [&all[..], &["--exact", "a", "b"]].concat()
        );
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let names: BTreeSet<_> = STEPS.iter().map(Step::name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
