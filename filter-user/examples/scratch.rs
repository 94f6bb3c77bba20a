use weir::datapath::kernel::*;
fn main() {
    let mut k = match Kernel::load(
        &Sizes {
            ipv4: 1000,
            ipv6: 1000,
            buckets: 1000,
        },
        Some(std::path::Path::new("/tmp/verifier.log")),
    ) {
        Ok(k) => k,
        Err(e) => {
            println!("LOAD {e}");
            return;
        }
    };
    k.load_trial().expect("trial");
    for p in ["filter", "explain", "trial"] {
        let prog: &mut aya::programs::Xdp = k.object().program_mut(p).unwrap().try_into().unwrap();
        let i = prog.info().unwrap();
        println!(
            "LOAD {p} xlated {:?} verified {:?}",
            i.size_translated(),
            i.verified_instruction_count()
        );
    }
}
