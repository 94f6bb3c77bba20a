//! `cargo xtask verify`: the kernel side keeps to its budget.
//!
//! Every program is loaded with exactly the capabilities that the daemon is
//! given; what the kernel says of it is held against the [`budget`] of its series.
//! The loading is done by `verify` of the tests' crate. `cargo xtask vm` has other
//! kernels do the same.

use std::{
    io::{Write as _, stdout},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::{process::geteuid, system::uname};
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
    let release = uname().release().to_string_lossy().into_owned();
    let (table, faults) = judge(&answer, budget(series(&release)));
    write!(stdout(), "{table}").context("writing the table")?;
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("the kernel side breaks its budget: {}", faults.join("; "))
    }
}

/// A table of what was loaded, and what is wrong with it.
pub(crate) fn judge(answer: &Value, budgets: &[Budget]) -> (String, Vec<String>) {
    let mut table = format!(
        "{:<8} {:>12} {:>8} {:>10} {:>8}\n",
        "program", "instructions", "budget", "verified", "budget"
    );
    let mut faults = Vec::new();
    for budget in budgets {
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

/// The first two numbers of a kernel's release; zeros where it has none.
fn series(release: &str) -> (u64, u64) {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    (next().unwrap_or(0), next().unwrap_or(0))
}

/// The budget of the programs on kernels of a series: as on the newest known one
/// that isn't newer.
pub(crate) fn budget(series: (u64, u64)) -> &'static [Budget] {
    let known = BUDGETS.iter().rev().find(|(since, _)| *since <= series);
    &known.unwrap_or(&BUDGETS[0]).1
}

/// The budget of a program.
pub(crate) struct Budget {
    program: &'static str,
    /// Instructions that the kernel runs from, after its own rewriting: the
    /// translated size by eight bytes.
    instructions: u64,
    /// Instructions that its verifier walked through; it gives up at a million.
    verified: u64,
}

const fn costs(program: &'static str, instructions: u64, verified: u64) -> Budget {
    Budget {
        program,
        instructions,
        verified,
    }
}

/// Since which series: room for a change or two, and far from the verifier's
/// limit. To raise a number is a decision, with its reason in the commit.
static BUDGETS: [((u64, u64), [Budget; 3]); 4] = [
    (
        (6, 1),
        [
            costs("filter", 9_200, 310_000),
            costs("explain", 7_500, 140_000),
            costs("trial", 7_800, 260_000),
        ],
    ),
    (
        (6, 12),
        [
            costs("filter", 9_200, 310_000),
            costs("explain", 7_500, 140_000),
            costs("trial", 7_800, 400_000),
        ],
    ),
    (
        (6, 18),
        [
            costs("filter", 9_200, 540_000),
            costs("explain", 7_500, 150_000),
            costs("trial", 7_800, 460_000),
        ],
    ),
    (
        (7, 3),
        [
            costs("filter", 9_200, 270_000),
            costs("explain", 7_500, 110_000),
            costs("trial", 7_800, 310_000),
        ],
    ),
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

    fn faults(answer: &Value) -> Vec<String> {
        judge(answer, budget((6, 18))).1
    }

    #[test]
    fn what_keeps_to_its_budget_has_no_fault() {
        assert_eq!(faults(&loaded()), Vec::<String>::new());
    }

    #[test]
    fn a_kernel_between_two_known_ones_has_the_budget_of_the_older() {
        let of = |series| std::ptr::from_ref(budget(series));
        let known = |place: usize| std::ptr::from_ref(&BUDGETS[place].1[..]);
        for (series, place) in [
            ((5, 15), 0),
            ((6, 1), 0),
            ((6, 6), 0),
            ((6, 12), 1),
            ((6, 19), 2),
            ((7, 3), 3),
            ((8, 0), 3),
        ] {
            assert_eq!(of(series), known(place), "{series:?}");
        }
        assert!(BUDGETS.is_sorted_by_key(|(since, _)| *since));
    }

    #[test]
    fn the_series_is_read_from_a_release() {
        assert_eq!(series("6.18.44-fc-v769"), (6, 18));
        assert_eq!(series("7.3.4+deb13-cloud-amd64"), (7, 3));
        assert_eq!(series("none"), (0, 0));
    }

    #[test]
    fn a_program_over_its_budget_or_missing_and_a_strange_atomic_are_faults() {
        let mut answer = loaded();
        let most = budget((6, 18))[0].verified;
        answer["programs"][0]["verified"] = json!(most + 1);
        answer["programs"][2]["name"] = json!("trail");
        answer["atomics"]["other"] = json!(1);
        let faults = faults(&answer);
        assert_eq!(faults.len(), 3, "{faults:?}");
        let over = format!("filter has {} verified", most + 1);
        assert!(faults[0].starts_with(&over), "{faults:?}");
        assert_eq!(faults[1], "there is no program trial");
    }

    #[test]
    fn an_object_without_any_atomic_was_not_looked_at_rightly() {
        let mut answer = loaded();
        answer["atomics"] = json!({"compare_and_swap": 0, "other": 0});
        assert_eq!(faults(&answer).len(), 1);
    }

    #[test]
    fn the_page_has_each_kernel_of_the_budget_and_numbers_within_it() {
        let page = include_str!("../../docs/kernels.md");
        let (_, table) = page
            .split_once("| kernel | filter: instructions, verified |")
            .expect("the table is there");
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let mut seen = Vec::new();
        for row in rows {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let kernel = series(cells[1]);
            seen.push(kernel);
            for (budget, cell) in budget(kernel).iter().zip(&cells[2..]) {
                let number = |text: &str| text.replace(',', "").parse::<u64>();
                let (instructions, verified) = cell.split_once(", ").expect("two numbers");
                let is = [instructions, verified].map(|text| number(text).expect("a number"));
                assert!(
                    is[0] <= budget.instructions && is[1] <= budget.verified,
                    "{kernel:?}, {}: {is:?}",
                    budget.program
                );
            }
        }
        assert_eq!(seen, BUDGETS.each_ref().map(|(since, _)| *since));
    }
}
