//! Ids that carry a number and do not sort by it.

/// Ids hold so many bits.
const BITS: u32 = 48;
const MASK: u64 = (1 << BITS) - 1;
/// Odd, so that multiplying by it can be undone.
const FACTOR: u64 = 0x9E37_79B9_7F4B;

/// How a world writes its numbers.
#[derive(Debug)]
pub(super) struct Names {
    salt: u64,
    inverse: u64,
}

impl Names {
    pub(super) fn new(seed: u64) -> Self {
        // Newton's iteration: each round doubles the bits that are right.
        let mut inverse = 1_u64;
        for _ in 0..6 {
            let rest = 2_u64.wrapping_sub(FACTOR.wrapping_mul(inverse));
            inverse = inverse.wrapping_mul(rest);
        }
        Self {
            salt: mix(seed, 0) & MASK,
            inverse,
        }
    }

    /// `cus_L` and twelve digits.
    pub(super) fn write(&self, prefix: &str, number: u64) -> String {
        let mixed = (number ^ self.salt).wrapping_mul(FACTOR) & MASK;
        format!("{prefix}_L{mixed:012x}")
    }

    /// The number of an id that this, or another world, may have written.
    pub(super) fn read(&self, id: &str) -> Option<u64> {
        let (_, digits) = id.split_once("_L").filter(|(_, d)| d.len() == 12)?;
        let mixed = u64::from_str_radix(digits, 16).ok()?;
        Some((mixed.wrapping_mul(self.inverse) & MASK) ^ self.salt)
    }
}

/// A number that looks like chance and is always the same (SplitMix64).
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xD129_0A5B_4CE3_9F07)
        .wrapping_add(number)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_its_number_back_and_does_not_sort_by_it() {
        let names = Names::new(7);
        let ids: Vec<_> = (0..1_000).map(|n| names.write("cus", n)).collect();
        for (number, id) in (0..).zip(&ids) {
            assert_eq!(names.read(id), Some(number));
        }
        assert!(!ids.is_sorted());
        assert_eq!(names.read("cus_other"), None);
    }
}
