//! What the blocks of an object are made of.

/// Plain files' contents, volumes' contents, "other uint8[]" and deduplicated
/// blocks: the old types whose blocks are data, and bytes to ZFS.
const BYTES: [u32; 4] = [19, 23, 25, 49];
/// "other uint64[]": data that is no bytes.
const NUMBERS: u32 = 26;

/// `DMU_OT_NEWTYPE`: a type that tells by its bits what it is.
const NEW: u32 = 0x80;
/// `DMU_OT_METADATA`.
const METADATA: u32 = 0x40;
/// `DMU_OT_BYTESWAP_MASK`; 0 is `DMU_BSWAP_UINT8`.
#[cfg(any(test, feature = "compress"))]
const BYTESWAP: u32 = 0x1f;

/// Whether objects of that type are ZFS' own, whose blocks no sender sends
/// compressed.
///
/// Sources: `dmu_ot` in `module/zfs/dmu.c`, `module/zfs/dmu_send.c`.
pub(crate) fn is_metadata(object_type: u32) -> bool {
    if object_type & NEW == 0 {
        !BYTES.contains(&object_type) && object_type != NUMBERS
    } else {
        object_type & METADATA != 0
    }
}

/// Whether blocks of objects of that type are data, and the same in both byte
/// orders. Only those may be compressed: a receiver of the other byte order has
/// to swap all others, and does not swap what is compressed.
///
/// Sources: as above, `flush_write_batch_impl` in `module/zfs/dmu_recv.c`.
#[cfg(any(test, feature = "compress"))]
pub(crate) fn holds_bytes(object_type: u32) -> bool {
    let numbers = if object_type & NEW == 0 {
        object_type == NUMBERS
    } else {
        object_type & BYTESWAP != 0
    };
    !is_metadata(object_type) && !numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_attributes_and_numbers_are_no_bytes() {
        let bytes: Vec<u32> = (0..54).filter(|&number| holds_bytes(number)).collect();
        assert_eq!(bytes, [19, 23, 25, 49]);
        let data: Vec<u32> = (0..54).filter(|&number| !is_metadata(number)).collect();
        assert_eq!(data, [19, 23, 25, 26, 49]);
        // DMU_OTN_UINT8_DATA and its encrypted kin.
        assert!(holds_bytes(0x80) && holds_bytes(0xa0));
        // DMU_OTN_UINT8_METADATA, UINT64_DATA, ZAP_DATA, ZAP_METADATA.
        assert!(![0xc0, 0x83, 0x84, 0xc4].into_iter().any(holds_bytes));
        assert!(is_metadata(0xc4) && !is_metadata(0x83));
    }
}
