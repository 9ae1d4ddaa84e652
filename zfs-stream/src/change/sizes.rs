//! How long the blocks are of the objects that a stream told of last.

/// So many dnodes a block of them has (`DNODES_PER_BLOCK`).
const SLOTS: usize = 32;

/// The block sizes of a block of dnodes, in bytes. Senders go from one of those
/// to the next, and older ones tell of all objects of one before their data.
/// Each object has the place of its dnode.
#[derive(Debug, Default)]
pub(super) struct BlockSizes([(u64, u32); SLOTS]);

impl BlockSizes {
    /// There is an OBJECT of it.
    pub(super) fn tell(&mut self, object: u64, size: u32) {
        if let Some(place) = self.0.get_mut(slot(object)) {
            *place = (object, size);
        }
    }

    /// Whether so many bytes are a whole block of the object; of one that is not
    /// known nothing is.
    pub(super) fn is_whole(&self, object: u64, length: u64) -> bool {
        let place = self.0.get(slot(object));
        place.is_some_and(|&(told, size)| told == object && u64::from(size) == length)
    }
}

fn slot(object: u64) -> usize {
    (object % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_of_a_block_of_dnodes_are_known() {
        let mut sizes = BlockSizes::default();
        assert!(!sizes.is_whole(0, 512) && !sizes.is_whole(7, 0));
        for object in 64..96 {
            sizes.tell(object, 512 * object as u32);
        }
        assert!((64..96).all(|object| sizes.is_whole(object, 512 * object)));
        assert!(!sizes.is_whole(65, 512) && !sizes.is_whole(33, 65 * 512));
        sizes.tell(65 + 32, 4096);
        assert!(sizes.is_whole(97, 4096) && !sizes.is_whole(65, 65 * 512));
        sizes.tell(97, 512);
        assert!(sizes.is_whole(97, 512) && !sizes.is_whole(97, 4096));
    }
}
