//! Numbers and bytes that are the same in every run: what the demo writes
//! follows from a seed alone, so two runs can be compared and a failure
//! comes back.

/// SplitMix64: eight bytes a step with no table, which matters where the
/// processor is emulated.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for one purpose, so that a change to one part
    /// of the demo leaves the bytes of the others as they were.
    pub fn derive(&self, purpose: u64) -> Self {
        let mut derived = Self(self.0 ^ purpose.wrapping_mul(0xd134_2543_de82_ef95));
        derived.word();
        derived
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 where `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.word() % limit }
    }

    /// A number in `from..=to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

/// What a file's bytes are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Does not compress.
    Noise,
    /// Lines of a log: compresses well.
    Lines,
    /// 4 KiB of noise and 4 KiB of zeroes in turn: compresses by half, and
    /// has runs of zeroes inside blocks.
    Striped,
}

impl Content {
    pub const ALL: [Self; 3] = [Self::Noise, Self::Lines, Self::Striped];

    /// Fills `bytes` with the next content from `random`.
    pub fn fill(self, random: &mut Random, bytes: &mut [u8]) {
        match self {
            Self::Noise => noise(random, bytes),
            Self::Lines => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let line = format!(
                        "level=info job={:03} message=\"snapshot taken, nothing to do\"\n",
                        random.below(1000)
                    );
                    let length = line.len().min(rest.len());
                    let (head, tail) = rest.split_at_mut(length);
                    head.copy_from_slice(&line.as_bytes()[..length]);
                    rest = tail;
                }
            }
            Self::Striped => {
                for (number, stripe) in bytes.chunks_mut(4096).enumerate() {
                    if number % 2 == 0 {
                        noise(random, stripe);
                    } else {
                        stripe.fill(0);
                    }
                }
            }
        }
    }
}

fn noise(random: &mut Random, bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        let word = random.word().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        for content in Content::ALL {
            let bytes_of = |seed| {
                let mut bytes = vec![0; 10_001];
                content.fill(&mut Random::new(seed), &mut bytes);
                bytes
            };
            assert_eq!(bytes_of(1), bytes_of(1));
            assert_ne!(bytes_of(1), bytes_of(2));
        }
    }

    #[test]
    fn between_reaches_both_ends_and_nothing_else() {
        let mut random = Random::new(3);
        let seen: std::collections::BTreeSet<u64> =
            (0..200).map(|_| random.between(5, 8)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [5, 6, 7, 8]);
    }
}
