//! The commands: each asks the daemon and prints the answer, one table for
//! people or JSON for programs. Answers go to standard output, notes and errors
//! to standard error: with `--json` one object a line there too, `{"note": "…"}` or
//! `{"error": "…"}`.

use std::{
    ffi::OsString,
    io::{self, StdinLock},
    process::ExitCode,
    time::Duration,
};

use clap::error::ErrorKind;

use crate::{
    cli::{self, Cli, Command},
    control::{
        client::{ANSWER_TIMEOUT, Client},
        protocol::Order,
    },
};

mod config;
mod detach;
mod events;
mod explain;
mod feed;
mod forgive;
mod hooks;
mod human;
mod list;
mod mode;
mod output;
mod reload;
mod shadow;
mod status;
mod table;
mod under_attack;
mod verdict;
mod version;

use output::Output;

/// Reads the command line, does what it says, and tells how it went: 0 done,
/// 1 failed, 2 wrong usage.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let cli = match cli::read(arguments.iter().cloned()) {
        Ok(cli) => cli,
        Err(error) if error.exit_code() != 0 && cli::wants_json(&arguments) => {
            Output::standard(true).error(&anyhow::anyhow!(usage(&error)));
            return ExitCode::from(WRONG_USAGE);
        }
        Err(error) => {
            // If the help can't be printed there is nobody to be told.
            let _unprinted = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG_USAGE));
        }
    };
    let mut output = Output::standard(cli.json);
    let outcome = run(cli, &mut output).and_then(|outcome| {
        output.flush()?;
        Ok(outcome)
    });
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with a command line, in one line.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = ["\n\nUsage:", "\n\nFor more information"]
        .iter()
        .filter_map(|end| text.find(end));
    let what = &text[..end.min().unwrap_or(text.len())];
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    ) {
        return "the command is missing: weir --help lists them".to_owned();
    }
    what.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How a command that could be carried out went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It has said why.
    Failed,
}

fn run(cli: Cli, output: &mut Output) -> anyhow::Result<Outcome> {
    match cli.command {
        Command::Run(run) => hooks::run(&run).map(|()| Outcome::Done),
        Command::Config(cli::Config::Check { file }) => config::check(&file, output),
        Command::Completions { shell } => {
            output.raw(&cli::completions(shell))?;
            Ok(Outcome::Done)
        }
        Command::Version { daemon: false } => version::version(output),
        command => {
            let client = Client::new(cli.socket);
            let client = client.with_limit(cli.timeout.unwrap_or_else(|| limit(&command)));
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(ask(command, &client, output))
        }
    }
}

/// How long a command waits for the daemon unless the operator says otherwise.
const fn limit(command: &Command) -> Duration {
    match command {
        Command::Detach { .. } => DETACH_TIMEOUT,
        Command::Feed(
            cli::Feed::Refresh { .. } | cli::Feed::Accept { .. } | cli::Feed::Enable { .. },
        ) => FEED_TIMEOUT,
        _ => ANSWER_TIMEOUT,
    }
}

/// The commands that speak to the daemon.
async fn ask(command: Command, client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    match command {
        Command::Status { check: false, .. } => status::status(client, output).await,
        Command::Status {
            check: true,
            expect,
        } => status::check(expect, client, output).await,
        Command::List { feed, sort, prefix } => {
            list::list(feed, sort, prefix, client, output).await
        }
        Command::Explain {
            address,
            port,
            proto,
        } => explain::explain(address, port, proto, client, output).await,
        Command::Block(said) => verdict::say(Order::Block, said, stdin(), client, output).await,
        Command::Allow(said) => verdict::say(Order::Allow, said, stdin(), client, output).await,
        Command::Limit { tier, said } => {
            verdict::say(Order::Limit(tier), said, stdin(), client, output).await
        }
        Command::Clear { prefixes } => {
            let said = cli::Said {
                prefixes,
                lasts: None,
                reason: None,
            };
            verdict::say(Order::Clear, said, stdin(), client, output).await
        }
        Command::Forgive { address } => forgive::forgive(address, client, output).await,
        Command::Feed(what) => feed::feed(what, client, output).await,
        Command::Events { follow } => events::events(follow, client, output).await,
        Command::Mode { mode: None, .. } => mode::show(client, output).await,
        Command::Mode {
            mode: Some(mode),
            lasts,
            force,
        } => mode::mode(mode, lasts, force, client, output).await,
        Command::Shadow => shadow::shadow(client, output).await,
        Command::UnderAttack(what) => under_attack::under_attack(what, client, output).await,
        Command::Reload => reload::reload(client, output).await,
        Command::Detach { interface, config } => {
            detach::detach(interface, &config, client, output).await
        }
        Command::Version { daemon: true } => version::both(client, output).await,
        Command::Run(_)
        | Command::Config(_)
        | Command::Completions { .. }
        | Command::Version { daemon: false } => unreachable!("it doesn't speak to the daemon"),
    }
}

fn stdin() -> StdinLock<'static> {
    io::stdin().lock()
}

const WRONG_USAGE: u8 = 2;

/// For the daemon to take the filter off; then the command does it itself.
const DETACH_TIMEOUT: Duration = Duration::from_secs(2);

/// For what waits for a feed's word: the daemon itself waits 8 seconds for it.
const FEED_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
