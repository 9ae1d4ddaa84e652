//! The objects of which a full stream has told.

/// So many slots a block of dnodes has (`DNODES_PER_BLOCK`).
const SLOTS: u64 = 32;

/// Which objects there is an OBJECT of. Senders go from one block of dnodes to
/// the next, and older ones tell of all objects of a block before their data: so
/// the last block's are kept, and those of blocks before it are taken on trust.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// The last block's first object.
    first: u64,
    /// A bit for each object of it.
    slots: u32,
}

impl Known {
    /// There is an OBJECT of it.
    pub(super) fn tell(&mut self, object: u64) {
        let first = object - object % SLOTS;
        if first > self.first {
            (self.first, self.slots) = (first, 0);
        }
        if first == self.first {
            self.slots |= 1 << (object % SLOTS);
        }
    }

    /// Whether a record about it can be received. That 0 is no object is said
    /// elsewhere.
    pub(super) fn has(self, object: u64) -> bool {
        let slot = object.checked_sub(self.first);
        object == 0 || slot.is_none_or(|slot| slot < SLOTS && self.slots >> slot & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_in_the_last_block_are_known() {
        let mut known = Known::default();
        assert!(!known.has(1));
        for object in [4, 6, 31] {
            known.tell(object);
        }
        let has = |known: Known| (0..100).filter(move |&object| known.has(object));
        assert_eq!(has(known).collect::<Vec<_>>(), [0, 4, 6, 31]);
        known.tell(64);
        known.tell(65);
        // What is told of out of order is no news.
        known.tell(7);
        let expected: Vec<_> = (0..66).collect();
        assert_eq!(has(known).collect::<Vec<_>>(), expected);
        known.tell(u64::MAX);
        assert!(known.has(u64::MAX) && !known.has(u64::MAX - 1));
    }
}
