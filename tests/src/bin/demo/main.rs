//! `cargo xtask demo`: weir keeps abusers out of an API that they overwhelm.
//!
//! Two acts, one after the other: in [`act_one`] a verification service learns who
//! shows no genuine proof, and weir follows its stream; in [`act_two`] nginx asks weir
//! about each call, and weir's own policy decides. Nobody is named in any
//! configuration. The demo succeeds only if every claim that it prints came true.
//!
//! `WEIR_BIN` names the daemon. The verification service lies beside this program.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

use self::act_one::Population;

mod act_one;
mod act_two;

/// Plays both acts, or a role of the first, which has a process of its own.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// The API of the first act.
    Server,
    /// Ask the verification service of the first act for a token.
    Token,
    /// The clients of the first act.
    Clients {
        /// Whose requests are sent.
        population: Population,
        /// The token that they show to prove that they are genuine.
        token: Option<String>,
    },
}

fn main() -> ExitCode {
    let done = match Options::parse().role {
        None => play(),
        Some(Role::Server) => act_one::serve(),
        Some(Role::Token) => act_one::token(),
        Some(Role::Clients { population, token }) => act_one::ask(population, token),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Both acts; the second only if all of the first came true.
fn play() -> Result<()> {
    act_one::play()?;
    say("\nThe second act, without a verification service.\n")?;
    act_two::play()
}

fn say(line: &str) -> Result<()> {
    writeln!(stdout(), "{line}").context("writing to standard output")
}

/// Prints each claim with whether it is true; an error unless all are.
fn conclude(act: &str, claims: &[(String, bool)]) -> Result<()> {
    for (claim, is_true) in claims {
        say(&format!(
            "{} {claim}",
            if *is_true { "  true " } else { "  FALSE" }
        ))?;
    }
    ensure!(
        claims.iter().all(|(_, is_true)| *is_true),
        "{act} proved nothing: not all of its claims are true"
    );
    Ok(())
}
