//! The steps in every virtual machine: the programs are loaded, and those
//! tests run that a kernel may decide otherwise.

use std::path::Path;

use serde_json::{Value, json};

/// A step, done by one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Loading every program, by `verify` of the tests' crate.
    Load {
        name: &'static str,
        arguments: &'static [&'static str],
    },
    /// Tests of one module of `tests/tests/it`.
    Tests {
        module: &'static str,
        /// Names of tests in it; none: all there are.
        only: &'static [&'static str],
    },
}

impl Step {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Load { name, .. } => name,
            Self::Tests { module, .. } => module,
        }
    }

    fn command(&self) -> Vec<String> {
        let mut command = vec![];
        match self {
            Self::Load { arguments, .. } => {
                command.push(place(VERIFY));
                command.extend(arguments.iter().map(|word| (*word).to_owned()));
            }
            Self::Tests { module, only } => {
                command.push(place(TESTS));
                // There is one CPU, and one pair of network cards.
                let always = ["--include-ignored", "--test-threads=1"];
                command.extend(always.map(String::from));
                if only.is_empty() {
                    command.push(format!("{module}::"));
                } else {
                    command.push("--exact".to_owned());
                }
                command.extend(only.iter().map(|name| format!("{module}::{name}")));
            }
        }
        command
    }
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
        module: "packet::filter",
        only: &[],
    },
    Step::Tests {
        module: "packet::parity",
        only: &[],
    },
    Step::Tests {
        module: "wire::kept_out",
        only: &[],
    },
    Step::Tests {
        module: "daemon::pins",
        only: &["the_filter_stays_in_force_when_the_daemon_is_killed"],
    },
    Step::Tests {
        module: "wire::replacements",
        only: &[],
    },
    Step::Tests {
        module: "vm",
        only: &[],
    },
];

/// Programs of the workspace.
pub(crate) const DAEMON: &str = "weir";
pub(crate) const VERIFY: &str = "verify";
/// All tests that more than one crate takes part in.
pub(crate) const TESTS: &str = "it";
const PROGRAMS: &str = "/weir";

/// The folder of this machine's commands, and the commands.
pub(crate) const TOOLS: &str = "/bin";
pub(crate) const COMMANDS: [&str; 3] = ["ip", "nsenter", "ethtool"];

/// Half of the usual: every cause is met, though a machine is ten times as slow.
const MUTANTS: &str = "10000";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_tests_name_is_asked_for_exactly_and_all_are_by_no_name() {
        let module = "wire::kept_out";
        let step = |only| Step::Tests { module, only };
        let all = ["/weir/it", "--include-ignored", "--test-threads=1"];
        assert_eq!(
            step(&[]).command(),
            [&all[..], &["wire::kept_out::"]].concat()
        );
        let exact = ["--exact", "wire::kept_out::a", "wire::kept_out::b"];
        assert_eq!(step(&["a", "b"]).command(), [&all[..], &exact].concat());
    }

    #[test]
    fn every_module_of_tests_is_there() {
        let it = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests/it");
        for step in STEPS {
            if let Step::Tests { module, .. } = step {
                let file = it.join(module.replace("::", "/")).with_extension("rs");
                assert!(file.is_file(), "no {module}");
            }
        }
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let names: BTreeSet<_> = STEPS.iter().map(Step::name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
