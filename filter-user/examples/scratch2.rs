fn main() {
    let o = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let mut e = aya::EbpfLoader::new().load(&o).unwrap();
    let names: Vec<String> = e.programs().map(|(n, _)| n.to_string()).collect();
    for p in names {
        let prog: &mut aya::programs::Xdp = e.program_mut(&p).unwrap().try_into().unwrap();
        match prog.load() {
            Ok(()) => {
                let i = prog.info().unwrap();
                println!(
                    "LOAD {p} xlated {:?} verified {:?}",
                    i.size_translated().map(|x| x / 8),
                    i.verified_instruction_count()
                );
            }
            Err(aya::programs::ProgramError::LoadError { verifier_log, .. }) => {
                let s = verifier_log.to_string();
                std::fs::write(format!("/tmp/v-{p}.log"), &s);
                println!("FAIL {p} {}", &s[s.len().saturating_sub(260)..])
            }
            Err(e) => println!("{e}"),
        }
    }
}
