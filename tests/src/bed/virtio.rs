//! The network cards of a virtual machine: two of virtio, on one hub. Only
//! `cargo xtask vm` has them.

use std::{fs, path::Path};

use crate::bed::{Namespace, until};

/// Two namespaces with a wire of virtio between them: in each a card of the
/// name `eth0`, up. A test at a time can have them.
///
/// # Panics
/// If this machine has no such two cards.
#[must_use]
pub fn pair() -> (Namespace, Namespace) {
    let (one, other) = (Namespace::new(), Namespace::new());
    // Those of the test before come back a moment after its namespaces are gone.
    until("both virtio cards are there", || cards().len() == 2);
    for (card, namespace) in cards().iter().zip([&one, &other]) {
        namespace.adopt(card, "eth0");
        // As veth: the card doesn't choose among frames by their address.
        namespace.ip(&["link", "set", "eth0", "promisc", "on", "up"]);
    }
    (one, other)
}

/// The virtio cards that are in this namespace.
fn cards() -> Vec<String> {
    let folder = fs::read_dir("/sys/class/net").expect("sysfs is mounted");
    let names = folder.map(|card| card.expect("sysfs can be read").file_name());
    let mut cards: Vec<_> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .filter(|name| {
            let driver = Path::new("/sys/class/net").join(name).join("device/driver");
            fs::read_link(driver).is_ok_and(|driver| driver.ends_with("virtio_net"))
        })
        .collect();
    cards.sort();
    cards
}
