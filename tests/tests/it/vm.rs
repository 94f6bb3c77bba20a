//! Tests of devices that only a virtual machine has: network cards of virtio, and VLAN devices
//! (the module 8021q isn't on every host). `cargo xtask vm` runs these on every
//! kernel, and `cargo xtask test` leaves them to it, by the module's name.

mod in_a_virtual_machine {
    use std::process::Command;

    use aya::programs::XdpMode;
    use weir::config::Attach;
    use weir_tests::{
        bed::{
            Configuration, Edge, Namespace, Traffic, Wire, assert_all_kept_out, assert_kept_out,
            assert_without_a_gap,
            kept_out::{MTU, attach, is_tagged, loaded},
            pair, virtio,
        },
        world::{BLOCKED, BLOCKED6, FREE, FREE6},
    };

    #[test]
    #[ignore = "needs a virtual machine: cargo xtask vm"]
    fn on_virtio_in_the_driver_what_is_blocked_stays_out_and_its_twin_gets_in() {
        assert_all_kept_out(&virtio::pair(), XdpMode::Driver);
    }

    #[test]
    #[ignore = "needs a virtual machine: cargo xtask vm"]
    fn on_virtio_in_generic_mode_what_is_blocked_stays_out_and_its_twin_gets_in() {
        assert_all_kept_out(&virtio::pair(), XdpMode::Skb);
    }

    #[test]
    #[ignore = "needs a virtual machine: cargo xtask vm"]
    fn on_virtio_the_filter_stays_in_force_when_the_daemon_is_killed() {
        let (host, net) = virtio::pair();
        let edge = Edge::between(host, net);
        edge.configure(&Configuration::default());
        let daemon = edge.start();
        let program = edge.program("eth0");
        assert!(program.is_some(), "it is attached");
        daemon.kill();
        assert_eq!(edge.program("eth0"), program, "the same program is on it");
        let traffic = Traffic::open(&edge);
        traffic.proves(FREE, BLOCKED, 1_000);
        traffic.proves(FREE6, BLOCKED6, 1_000);
    }

    #[test]
    #[ignore = "needs a virtual machine: cargo xtask vm"]
    fn on_virtio_two_hundred_replacements_leak_lose_and_miscount_nothing() {
        let (net, host) = virtio::pair();
        assert_without_a_gap(&net, &host, Attach::Native, 200);
    }

    /// The tag is in the frame, or beside it where the card would put it in: the
    /// filter sees it or doesn't, and must come to the same verdict.
    #[test]
    #[ignore = "needs a virtual machine: cargo xtask vm"]
    fn what_comes_by_a_vlan_device_gets_the_verdict_that_it_gets_without_a_tag() {
        let mut kernel = loaded();
        for tag in ["on", "off"] {
            for (filter_on, mode) in [
                ("eth0", XdpMode::Driver),
                ("eth0", XdpMode::Skb),
                ("eth0.100", XdpMode::Skb),
            ] {
                let (outside, inside) = pair();
                for namespace in [&outside, &inside] {
                    namespace.ip(&["link", "set", "eth0", "mtu", MTU]);
                    tagged(namespace, "eth0", "802.1Q", "100");
                }
                let mut offload = outside.command("ethtool");
                done(offload.args(["-K", "eth0", "txvlan", tag]));
                attach(&mut kernel, &inside, filter_on, mode);
                let ends = [&outside, &inside].map(|end| Wire::open(end, "eth0.100"));
                let [sender, receiver] = &ends;
                let bare = |frame: &[u8]| !is_tagged(frame);
                let number =
                    assert_kept_out(&mut kernel, sender, receiver, |case| bare(&case.frame));
                assert!(number >= 50, "{number} cases are blocked and have no tag");
            }
        }
    }

    /// A tag of a provider around one of a customer.
    #[test]
    #[ignore = "needs a virtual machine: cargo xtask vm"]
    fn what_comes_by_a_vlan_device_on_a_vlan_device_gets_the_same_verdict() {
        let mut kernel = loaded();
        for mode in [XdpMode::Driver, XdpMode::Skb] {
            let (outside, inside) = pair();
            for namespace in [&outside, &inside] {
                namespace.ip(&["link", "set", "eth0", "mtu", MTU]);
                tagged(namespace, "eth0", "802.1ad", "200");
                tagged(namespace, "eth0.200", "802.1Q", "300");
            }
            attach(&mut kernel, &inside, "eth0", mode);
            let ends = [&outside, &inside].map(|end| Wire::open(end, "eth0.200.300"));
            let [sender, receiver] = &ends;
            let short = |frame: &[u8]| !is_tagged(frame) && frame.len() < 3_300;
            let number = assert_kept_out(&mut kernel, sender, receiver, |case| short(&case.frame));
            assert!(number >= 50, "{number} cases are blocked and have no tag");
        }
    }

    /// A VLAN device on an interface, up.
    fn tagged(namespace: &Namespace, interface: &str, protocol: &str, number: &str) {
        let name = format!("{interface}.{number}");
        namespace.ip(&[
            "link", "add", "link", interface, "name", &name, "type", "vlan", "proto", protocol,
            "id", number,
        ]);
        namespace.ip(&["link", "set", &name, "up"]);
    }

    fn done(command: &mut Command) {
        let output = command.output().expect("it is in the machine");
        assert!(output.status.success(), "{command:?} failed: {output:?}");
    }
}
