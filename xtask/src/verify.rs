//! `cargo xtask verify`: the kernel side keeps to its budget.
//!
//! Every program is loaded with exactly the capabilities that the daemon is
//! given; what the kernel says of it is held against [`BUDGET`]. The loading is
//! done by `verify` of the tests' crate.

use std::{
    io::{Write as _, stdout},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::geteuid;
use serde_json::Value;

use crate::{setup, workspace};

/// Builds the kernel side, loads it, and fails if it is over its budget.
pub(crate) fn run() -> Result<()> {
    if !geteuid().is_root() {
        bail!("needs root: it loads programs into the kernel");
    }
    setup::run()?;
    workspace::build_tool("verify")?;
    let output = Command::new(workspace::tool("verify"))
        .stderr(Stdio::inherit())
        .output()
        .context("starting verify")?;
    if !output.status.success() {
        bail!("a program wasn't loaded with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON alone");
    }
    let answer = serde_json::from_slice(&output.stdout).context("reading what was loaded")?;
    let (table, faults) = judge(&answer);
    write!(stdout(), "{table}").context("writing the table")?;
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("the kernel side breaks its budget: {}", faults.join("; "))
    }
}

/// A table of what was loaded, and what is wrong with it.
fn judge(answer: &Value) -> (String, Vec<String>) {
    let mut table = format!(
        "{:<8} {:>12} {:>8} {:>10} {:>8}\n",
        "program", "instructions", "budget", "verified", "budget"
    );
    let mut faults = Vec::new();
    for budget in &BUDGET {
        let name = budget.program;
        let program = answer["programs"]
            .as_array()
            .and_then(|programs| programs.iter().find(|program| program["name"] == name));
        let number = |what: &str| program.and_then(|program| program[what].as_u64());
        let (Some(instructions), Some(verified)) = (number("instructions"), number("verified"))
        else {
            faults.push(format!("there is no program {name}"));
            continue;
        };
        table += &format!(
            "{name:<8} {instructions:>12} {:>8} {verified:>10} {:>8}\n",
            budget.instructions, budget.verified
        );
        for (what, is, most) in [
            ("instructions", instructions, budget.instructions),
            ("verified instructions", verified, budget.verified),
        ] {
            if is > most {
                faults.push(format!("{name} has {is} {what}, {most} are allowed"));
            }
        }
    }
    let number = |what: &str| answer["atomics"][what].as_u64();
    match (number("compare_and_swap"), number("other")) {
        (Some(1..), Some(0)) => {}
        (swaps, others) => faults.push(format!(
            "the object should have compare-and-swap and no other atomic instruction, and has {} and {}: \
             is a relaxed fetch-add among them? (llvm-project issue 210280)",
            swaps.unwrap_or(0),
            others.unwrap_or(0)
        )),
    }
    table += &format!(
        "atomics  {} compare-and-swap, {} other\n",
        answer["atomics"]["compare_and_swap"], answer["atomics"]["other"]
    );
    (table, faults)
}

/// What a program may cost.
struct Budget {
    program: &'static str,
    /// Instructions that the kernel runs from, after its own rewriting: the
    /// translated size by eight bytes.
    instructions: u64,
    /// Instructions that its verifier walked through; it gives up at a million.
    verified: u64,
}

/// Room for a change or two, and far from the verifier's limit. To
/// raise a number is a decision, with its reason in the commit.
const BUDGET: [Budget; 3] = [
    Budget {
        program: "filter",
        instructions: 7_300,
        verified: 290_000,
    },
    Budget {
        program: "explain",
        instructions: 6_500,
        verified: 110_000,
    },
    Budget {
        program: "trial",
        instructions: 6_000,
        verified: 260_000,
    },
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn loaded() -> Value {
        let program = |name| json!({"name": name, "instructions": 4000, "verified": 40_000});
        json!({
            "programs": [program("filter"), program("explain"), program("trial")],
            "atomics": {"compare_and_swap": 9, "other": 0},
        })
    }

    #[test]
    fn what_keeps_to_its_budget_has_no_fault() {
        assert_eq!(judge(&loaded()).1, Vec::<String>::new());
    }

    #[test]
    fn a_program_over_its_budget_or_missing_and_a_strange_atomic_are_faults() {
        let mut answer = loaded();
        answer["programs"][0]["verified"] = json!(BUDGET[0].verified + 1);
        answer["programs"][2]["name"] = json!("trail");
        answer["atomics"]["other"] = json!(1);
        let faults = judge(&answer).1;
        assert_eq!(faults.len(), 3, "{faults:?}");
        let over = format!("filter has {} verified", BUDGET[0].verified + 1);
        assert!(faults[0].starts_with(&over), "{faults:?}");
        assert_eq!(faults[1], "there is no program trial");
    }

    #[test]
    fn an_object_without_any_atomic_was_not_looked_at_rightly() {
        let mut answer = loaded();
        answer["atomics"] = json!({"compare_and_swap": 0, "other": 0});
        assert_eq!(judge(&answer).1.len(), 1);
    }
}
