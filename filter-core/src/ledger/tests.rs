//! The promises of the ledger, one sentence a test.

mod cost;
mod numbers;
mod precedence;
mod refusals;
mod time;
mod words;

use filter_common::{
    source::{Address, Family},
    verdict::{Entry, NEVER, SHADOW_STAGES, STAGES, Stage, Verdict as Settled},
};

use super::{
    model::{Table, look_up, patch_into},
    *,
};
use crate::{
    claim::{Change, Claim, Verdict},
    prefix::Written,
};

const NOW: Now = Now::at(1_000_000, 400);
const FEED: FeedId = 1;
const OTHER: FeedId = 2;
const SHADOW: FeedId = 3;

fn at(seconds: u32) -> Now {
    Now::at(NOW.unix + seconds, NOW.boot() + seconds)
}

fn prefix(text: &str) -> Prefix {
    text.parse::<Written>().expect(text).prefix
}

fn host(number: u32) -> Prefix {
    let [a, b, c, d] = number.to_be_bytes();
    Prefix::of(Address::v4([10 + a, b, c, d]))
}

fn claim(prefix: Prefix, verdict: Verdict) -> Claim {
    Claim {
        prefix,
        verdict,
        reason: None,
        evidence: 1,
        expires: None,
        id: None,
    }
}

fn ending(text: &str, verdict: Verdict, seconds: u32) -> Claim {
    Claim {
        expires: Some(NOW.unix + seconds),
        ..claim(prefix(text), verdict)
    }
}

fn says(claim: Claim) -> Update {
    Update::Delta(vec![Change::Claim(claim)])
}

fn blocks(text: &str) -> Update {
    says(claim(prefix(text), Verdict::Block))
}

fn feed(rank: u32, shadow: bool) -> Option<FeedRules> {
    Some(FeedRules { rank, shadow })
}

/// The operator, two feeds of one rank, and a shadow feed.
fn rules() -> Rules {
    Rules {
        feeds: vec![
            feed(0, false),
            feed(50, false),
            feed(50, false),
            feed(40, true),
        ],
        protected: Vec::new(),
        strictness: vec![1, 3, 2],
    }
}

fn with_room(ipv4: u32, ipv6: u32) -> Ledger {
    let mut ledger = Ledger::new(Capacity { ipv4, ipv6 });
    ledger.configure(rules(), NOW);
    ledger
}

fn ledger() -> Ledger {
    with_room(100_000, 100_000)
}

fn table(ledger: &Ledger) -> Table {
    let mut table = Table::new();
    patch_into(&mut table, &ledger.table());
    table
}

fn entry(ledger: &Ledger, text: &str) -> Entry {
    look_up(&table(ledger), prefix(text).address())
}

fn settled(ledger: &Ledger, text: &str) -> Settled {
    entry(ledger, text).stages[0].verdict()
}
