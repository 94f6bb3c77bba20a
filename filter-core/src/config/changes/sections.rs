//! Each section: when it takes effect, and its keys.

use super::{
    Changes, Effect, Section, keys,
    shown::{attach, list, mode, on_stop, optional, path, plain, ports, quoted, rate},
    sources::optional_path,
};
use crate::config::{Check, Daemon, Datapath, Events, Metrics, Protect, Tables, UnderAttack};

impl Section for Daemon {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Daemon {
                state_dir: path,
                control: path,
                pins: path
            }
        );
    }
}

impl Section for Datapath {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self {
            interfaces,
            mode: of_drops,
            attach: how,
            strict,
            on_stop: then,
        } = old;
        changes.key("interfaces", interfaces, &new.interfaces, |all| list(all));
        changes.key("mode", of_drops, &new.mode, mode);
        changes.key_with(("attach", Effect::Attach), how, &new.attach, attach);
        changes.key("strict", strict, &new.strict, plain);
        changes.key("on_stop", then, &new.on_stop, on_stop);
    }
}

impl Section for Protect {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self {
            sources,
            ports: all,
            ssh_peers,
        } = old;
        changes.key("sources", sources, &new.sources, |all| list(all));
        changes.key("ports", all, &new.ports, |all| ports(all));
        changes.key("ssh_peers", ssh_peers, &new.ssh_peers, plain);
    }
}

impl Section for Tables {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Tables {
                ipv4: plain,
                ipv6: plain,
                buckets: plain
            }
        );
    }
}

impl Section for Events {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Events {
                budget_per_cpu: rate,
                sample: plain
            }
        );
    }
}

impl Section for Metrics {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(changes, old, new, Metrics { listen: optional });
    }
}

impl Section for UnderAttack {
    const EFFECT: Effect = Effect::Live;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        let Self { together } = old;
        let (old, new) = (together.together, new.together.together);
        changes.key("connections", &old, &new, rate);
    }
}

impl Section for Check {
    const EFFECT: Effect = Effect::Restart;

    fn compare(old: &Self, new: &Self, changes: &mut Changes) {
        keys!(
            changes,
            old,
            new,
            Check {
                socket: path,
                group: quoted,
                listen: optional,
                source_header: quoted,
                source_position: plain,
                source_is_peer: plain,
                tell_reason: plain,
                connections: plain,
                token_file: optional_path,
            }
        );
    }
}
