//! Ways round the filter, each shown on the kernel's own stack: that it works
//! where there is no filter, and that it doesn't behind weir, in the driver and in
//! generic mode. (Issue 11, A to D; for QUIC see `quic.rs`.)

mod crowd;
mod hidden;
mod spelling;
mod tags;

/// The test in the driver, and in generic mode.
macro_rules! in_both_modes {
    ($($(#[$attribute:meta])* $name:ident: $body:path;)*) => {
        mod in_the_driver {
            $(
                #[test]
                #[ignore = "needs root: cargo xtask test"]
                fn $name() {
                    $body(aya::programs::XdpMode::Driver);
                }
            )*
        }
        mod in_generic_mode {
            $(
                #[test]
                #[ignore = "needs root: cargo xtask test"]
                fn $name() {
                    $body(aya::programs::XdpMode::Skb);
                }
            )*
        }
    };
}
use in_both_modes;
