//! The command line: what may be written, and the help that says so.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory as _, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser,
    builder::TypedValueParser as _, builder::ValueParser,
};
use clap_complete::Shell;
use filter_common::settings::Mode;

use crate::{control::protocol::Protocol, prefix::Written};

pub use source::Source;

/// Keeps an API's abusers out of a host, in the kernel, before the network
/// stack sees them.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// The daemon's control socket
    #[arg(long, global = true, env = "WEIR_SOCKET", value_name = "PATH")]
    #[arg(hide_env_values = true, display_order = LAST)]
    #[arg(default_value = "/run/weir/control.sock")]
    pub socket: PathBuf,

    /// Answer with JSON: one object, or one a line. On standard error then stands one
    /// object a line too: {"error": "…"} or {"note": "…"}
    #[arg(long, global = true, display_order = LAST)]
    pub json: bool,

    /// How long the daemon may take to answer, as 5s or 1m
    /// [default: 5s; 2s for detach, 10s for what a feed answers]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    #[arg(display_order = LAST)]
    pub timeout: Option<Duration>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: attach the filter, read the feeds, answer the other commands
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),

    /// Say how the daemon, the feeds and the filter are doing
    Status {
        /// For monitoring: one line, and exit 1 if anything is wrong
        #[arg(long)]
        check: bool,

        /// With --check: exit 1 also if this isn't the mode
        #[arg(long, value_name = "MODE", value_parser = mode(), requires = "check")]
        expect: Option<Mode>,
    },

    /// List the claims of the feeds and of the operator
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only this feed's ("operator": what was said by hand)
        #[arg(long, value_name = "FEED")]
        feed: Option<String>,

        /// The order of the list; with "hits" nothing is shown before all has come
        #[arg(long, value_enum, value_name = "ORDER", default_value_t = ListOrder::Prefix)]
        sort: ListOrder,

        /// Only those on prefixes that overlap this one
        #[arg(value_parser = prefix)]
        prefix: Option<Written>,
    },

    /// Say what happens to packets from an address now, and why
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The source; of a prefix, the address that is written in it
        #[arg(value_parser = source::source)]
        address: Source,

        /// The destination port, as 443 or https [default: the first service's]
        #[arg(long, value_name = "PORT", value_parser = source::port)]
        port: Option<u16>,

        /// The protocol [default: the first service's, or tcp]
        #[arg(long)]
        proto: Option<Protocol>,
    },

    /// Drop everything from these prefixes
    #[command(after_help = BLOCK_EXAMPLES, visible_alias = "ban")]
    Block(Said),

    /// Let these prefixes through, whatever feeds and rates say
    #[command(after_help = BLOCK_EXAMPLES)]
    Allow(Said),

    /// Hold these prefixes to the rates of a tier
    Limit {
        /// The tier, as the configuration names it
        #[arg(long)]
        tier: String,

        /// On what, how long, why.
        #[command(flatten)]
        said: Said,
    },

    /// Withdraw what block, allow or limit laid on these prefixes
    #[command(after_help = CLEAR_EXAMPLES, visible_aliases = ["unblock", "unban"])]
    Clear {
        /// On what.
        #[command(flatten)]
        prefixes: Prefixes,
    },

    /// Lift what the policy holds against a source, and begin its counts anew
    #[command(after_help = FORGIVE_EXAMPLES)]
    Forgive {
        /// The source: an address, or an IPv6 /64
        #[arg(value_parser = source::single)]
        address: String,
    },

    /// Show the latest drops: the first of each source, then a sample
    Events {
        /// Go on with those to come
        #[arg(long, short)]
        follow: bool,
    },

    /// Look at the feeds, or do something about one
    #[command(subcommand, after_help = FEED_EXAMPLES)]
    Feed(Feed),

    /// Drop what deserves it (enforce), or only count it (observe); alone: print the
    /// mode, and where it comes from
    #[command(after_help = MODE_EXAMPLES)]
    Mode {
        /// Kept across restarts and reloads, until another is given or the file's is changed
        #[arg(value_parser = mode())]
        mode: Option<Mode>,

        /// So long, then back to the mode before, as 90s, 15m, 1h or 7d
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        #[arg(requires = "mode")]
        lasts: Option<Duration>,

        /// Enforce even where few sources carry most of the traffic
        #[arg(long, requires = "mode")]
        force: bool,
    },

    /// Show whom feeds, reasons and steps in observe would have hit, and how many
    /// of those sources were attested in the same hour
    Shadow,

    /// Hold unknown sources to the bootstrap lane, or no longer
    #[command(subcommand, after_help = UNDER_ATTACK_EXAMPLES)]
    UnderAttack(UnderAttack),

    /// Read the configuration again
    Reload,

    /// Take the filter off, also where no daemon runs
    Detach {
        /// This interface only
        #[arg(long, value_name = "IF")]
        interface: Option<String>,

        /// Where no daemon answers: the configuration that says where the pins are
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },

    /// Look at a configuration
    #[command(subcommand)]
    Config(Config),

    /// Print a script that completes weir's commands in a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Print the version
    Version {
        /// Also the running daemon's, which stays the old one until it is restarted
        #[arg(long)]
        daemon: bool,
    },
}

/// How the daemon is run.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Run {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,

    /// Attach to this interface, not to the configuration's (may be repeated)
    #[arg(long = "interface", value_name = "IF")]
    pub interfaces: Vec<String>,

    /// Begin in this mode, whatever the configuration says
    #[arg(long, value_parser = mode())]
    pub mode: Option<Mode>,
}

/// A verdict of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Said {
    /// On what.
    #[command(flatten)]
    pub prefixes: Prefixes,

    /// How long, as 90s, 15m, 1h or 7d [default: until cleared]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub lasts: Option<Duration>,

    /// Why, for list, explain and events
    #[arg(long)]
    pub reason: Option<String>,
}

/// Prefixes on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Prefixes {
    /// Addresses and prefixes; `-` reads them from standard input, one a line
    #[arg(required = true, value_name = "PREFIX", value_parser = prefix_or_stdin)]
    pub prefixes: Vec<String>,
}

/// Whether the host is under attack.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UnderAttack {
    /// Sources that nobody vouches for have tier bootstrap, attested ones keep theirs,
    /// and all unattested ones together share a ceiling of new connections
    On {
        /// How long, as 90s, 15m, 1h or 7d [default: until off]
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        lasts: Option<Duration>,
    },
    /// Every source has its usual tier again
    Off,
}

/// The order of a list of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListOrder {
    /// By prefix
    Prefix,
    /// What judged most packets first
    Hits,
}

/// What about feeds.
#[derive(Debug, Subcommand)]
pub enum Feed {
    /// List the configured feeds
    List,
    /// Say how a feed is doing, and why
    Show {
        /// Its name
        feed: String,
    },
    /// Read all of a feed anew
    Refresh {
        /// Its name
        feed: String,
    },
    /// Read all of a feed anew, and believe it also in what it leaves out
    Accept {
        /// Its name
        feed: String,
    },
    /// Stop reading a feed and withdraw its claims, also across restarts
    Disable {
        /// Its name
        feed: String,
    },
    /// Read a feed again that was disabled
    Enable {
        /// Its name
        feed: String,
    },
    /// Fetch and read a list or a service, and say what it would change; touches
    /// nothing
    Test(FeedTest),
}

/// What is to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct FeedTest {
    /// A list's path, or a service's address
    #[arg(value_name = "FILE|URL")]
    pub source: String,

    /// Read it as this configured feed, and compare with what that says now
    /// [default: the one with this path or address]
    #[arg(long = "as", value_name = "FEED")]
    pub feed: Option<String>,

    /// Where tiers, protected sources and feeds are configured
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,

    /// A file with the bearer token for the service [default: the feed's]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Exit 1 if a larger share of its lines or claims is refused
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    pub refused_ok: u8,

    /// A file with the certificates of the service's authority [default: the feed's]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// What about a configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Say whether a configuration is good; touches nothing
    Check {
        /// The configuration
        #[arg(default_value = DEFAULT_CONFIG)]
        file: PathBuf,
    },
}

/// Reads a command line; what is wrong with it, or the help it asks for, is
/// clap's error.
///
/// # Errors
/// If it is wrong, or asks for help or the version.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    Cli::try_parse_from(&arguments).map_err(|error| suggest::mended(error, &arguments))
}

/// Whether a command line asks for JSON, also where it is wrong otherwise.
#[must_use]
pub fn wants_json(arguments: &[OsString]) -> bool {
    let options = arguments.iter().take_while(|argument| *argument != "--");
    options.into_iter().any(|argument| argument == "--json")
}

/// The script that completes weir's commands in a shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "weir", &mut script);
    script
}

fn mode() -> ValueParser {
    let names = [Mode::Enforce, Mode::Observe].map(Mode::name);
    ValueParser::new(PossibleValuesParser::new(names).map(|name| {
        if name == Mode::Enforce.name() {
            Mode::Enforce
        } else {
            Mode::Observe
        }
    }))
}

fn prefix(text: &str) -> Result<Written, String> {
    text.parse()
        .map_err(|error: crate::prefix::NotAPrefix| error.to_string())
}

/// What is wrong is wrong usage here, before anything is done. What comes from
/// standard input is judged by the daemon, line by line.
fn prefix_or_stdin(text: &str) -> Result<String, String> {
    if text != STDIN {
        prefix(text)?;
    }
    Ok(text.to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write it as 90s, 15m, 1h or 7d"))?;
    if duration < Duration::from_secs(1) {
        return Err("it must be a second at least".into());
    }
    Ok(duration)
}

/// Stands for what comes from standard input.
pub const STDIN: &str = "-";

/// Behind a command's own options.
const LAST: usize = 100;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage.";

const RUN_EXAMPLES: &str = "\
Examples:
  weir run                                  as /etc/weir/weir.toml says
  weir run --interface eth0 --mode observe  drop nothing, count everything";

const LIST_EXAMPLES: &str = "\
Examples:
  weir list --feed operator
  weir list --sort hits     what judged most packets first
  weir list 203.0.113.7     every claim that touches this address";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  weir explain 203.0.113.7
  weir explain 2001:db8::7 --port https --proto udp";

const CLEAR_EXAMPLES: &str = "\
Exit 1 if nothing changed. It says then who still holds the prefix, and the command
that lifts it.

Examples:
  weir clear 203.0.113.7
  weir unblock - < prefixes.txt   the same command by another name";

const FORGIVE_EXAMPLES: &str = "\
That it was attested stays known. What a feed or you hold against it stands.

Examples:
  weir forgive 203.0.113.7";

const MODE_EXAMPLES: &str = "\
Examples:
  weir mode
  weir mode enforce --for 10m   and back by itself";

const UNDER_ATTACK_EXAMPLES: &str = "\
Kept across restarts and weir reload. weir status says it while it lasts.

Examples:
  weir under-attack on --for 30m
  weir under-attack off";

const FEED_EXAMPLES: &str = "\
Examples:
  weir feed show verifier
  weir feed test https://verify.example.net/v1/verdicts --token-file /etc/weir/verifier.token
  weir feed test ./new-list.txt --as local";

const BLOCK_EXAMPLES: &str = "\
Examples:
  weir block 203.0.113.7 --for 1h --reason 'credential stuffing'
  weir allow 192.0.2.0/24
  weir block - < prefixes.txt   one a line, # begins a comment";

const COMPLETIONS_EXAMPLES: &str = "\
Example:
  weir completions bash > /etc/bash_completion.d/weir";

/// Where the configuration is unless something else is said.
pub const DEFAULT_CONFIG: &str = "/etc/weir/weir.toml";

mod source;
mod suggest;

#[cfg(test)]
mod tests;
