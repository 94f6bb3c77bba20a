use aya::VerifierLogLevel;
fn main() {
    let o = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let mut e = aya::EbpfLoader::new()
        .verifier_log_level(VerifierLogLevel::VERBOSE | VerifierLogLevel::STATS)
        .load(&o)
        .unwrap();
    let p = std::env::args().nth(2).unwrap();
    let prog: &mut aya::programs::Xdp = e.program_mut(&p).unwrap().try_into().unwrap();
    match prog.load() {
        Ok(()) => println!("ok"),
        Err(aya::programs::ProgramError::LoadError { verifier_log, .. }) => {
            let s = verifier_log.to_string();
            std::fs::write("/tmp/v.log", &s).unwrap();
            println!("{}", s.len());
        }
        Err(e) => println!("{e:?}"),
    }
}
