//! The instructions of a BPF object, as far as it takes to find the atomic ones.
//!
//! LLVM turns a relaxed `fetch_add` whose result is used into an addition that
//! fetches nothing (llvm-project issue 210280): the program loads, and computes
//! with a stale register. weir needs compare-and-swap only, so that any other
//! atomic instruction is one that nobody meant.

use anyhow::{Context as _, Result, ensure};

/// How many atomic instructions an object has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Atomics {
    /// Compare-and-swap.
    pub(crate) compare_and_swap: u64,
    /// Any other.
    pub(crate) other: u64,
}

/// Counts the atomic instructions in all sections that hold programs.
///
/// # Errors
/// If it is no object file for BPF.
pub(crate) fn atomics(object: &[u8]) -> Result<Atomics> {
    ensure!(
        object.starts_with(ELF64_LITTLE) && half(object, 0x12)? == EM_BPF,
        "it is no object file for BPF"
    );
    let table = long(object, 0x28)?;
    let (size, many) = (half(object, 0x3a)?, half(object, 0x3c)?);
    let mut atomics = Atomics::default();
    for number in 0..usize::from(many) {
        let section = part(object, table + number * usize::from(size), 0x40)?;
        let is_code = word(section, 0x04)? == SHT_PROGBITS && long(section, 0x08)? & SHF_CODE != 0;
        if is_code {
            let (start, length) = (long(section, 0x18)?, long(section, 0x20)?);
            count(part(object, start, length)?, &mut atomics)?;
        }
    }
    Ok(atomics)
}

fn count(code: &[u8], atomics: &mut Atomics) -> Result<()> {
    let mut instructions = code.chunks_exact(8);
    while let Some(instruction) = instructions.next() {
        let operation = instruction[0];
        if operation == LOAD_WIDE {
            // Its second half is a constant, whatever it looks like.
            instructions.next();
        } else if operation & (CLASS | MODE) == ATOMIC {
            if word(instruction, 4)? == COMPARE_AND_SWAP {
                atomics.compare_and_swap += 1;
            } else {
                atomics.other += 1;
            }
        }
    }
    ensure!(
        instructions.remainder().is_empty(),
        "a section ends within an instruction"
    );
    Ok(())
}

fn half(bytes: &[u8], at: usize) -> Result<u16> {
    let bytes = part(bytes, at, 2)?;
    Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = part(bytes, at, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn long(bytes: &[u8], at: usize) -> Result<usize> {
    let (low, high) = (word(bytes, at)?, word(bytes, at + 4)?);
    ensure!(high == 0, "it has an offset beyond any file");
    Ok(low as usize)
}

fn part(bytes: &[u8], at: usize, length: usize) -> Result<&[u8]> {
    at.checked_add(length)
        .and_then(|end| bytes.get(at..end))
        .context("it ends too early")
}

/// The magic number, 64 bits, little-endian.
const ELF64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
/// From elf.h.
const EM_BPF: u16 = 247;
const SHT_PROGBITS: u32 = 1;
/// `SHF_EXECINSTR`.
const SHF_CODE: usize = 4;

/// From linux/bpf.h and the kernel's instruction-set.rst.
const CLASS: u8 = 0x07;
const MODE: u8 = 0xe0;
/// `BPF_STX | BPF_ATOMIC`.
const ATOMIC: u8 = 0x03 | 0xc0;
/// `BPF_LD | BPF_IMM | BPF_DW`.
const LOAD_WIDE: u8 = 0x18;
/// `BPF_CMPXCHG`.
const COMPARE_AND_SWAP: u32 = 0xf1;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(code: &[[u8; 8]]) -> Atomics {
        let mut atomics = Atomics::default();
        count(&code.concat(), &mut atomics).expect("whole instructions");
        atomics
    }

    #[test]
    fn an_addition_that_fetches_nothing_is_found_and_a_swap_is_fine() {
        let swap = [0xdb, 0x21, 0, 0, 0xf1, 0, 0, 0];
        let narrow_swap = [0xc3, 0x21, 0, 0, 0xf1, 0, 0, 0];
        let addition = [0xdb, 0x21, 0, 0, 0, 0, 0, 0];
        let fetching = [0xdb, 0x21, 0, 0, 1, 0, 0, 0];
        let store = [0x7b, 0x21, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            counted(&[swap, store, addition, narrow_swap, fetching]),
            Atomics {
                compare_and_swap: 2,
                other: 2
            }
        );
    }

    #[test]
    fn the_second_half_of_a_wide_constant_is_no_instruction() {
        let wide = [0x18, 1, 0, 0, 0, 0, 0, 0];
        let looks_atomic = [0xdb, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(counted(&[wide, looks_atomic]), Atomics::default());
    }

    #[test]
    fn weirs_own_object_has_compare_and_swap_and_nothing_else() {
        let atomics = atomics(weir::datapath::kernel::OBJECT).expect("an object");
        assert!(atomics.compare_and_swap > 0);
        assert_eq!(atomics.other, 0);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for no_object in [&b""[..], b"\x7fELF", &[0; 64]] {
            atomics(no_object).expect_err("it is no object");
        }
    }
}
