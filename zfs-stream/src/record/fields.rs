//! The fields of every record type and where they stand in the header.

use crate::fletcher::Checksum;
use crate::nvlist::ByteOrder;

use super::features::{BeginFlags, Features};
use super::{HEADER_LEN, MAGIC};

/// The bytes of a header.
pub(super) type Bytes = [u8; HEADER_LEN];

/// A value that stands in a header.
trait Field: Sized {
    fn get(bytes: &Bytes, at: usize, order: ByteOrder) -> Self;
    fn put(self, bytes: &mut Bytes, at: usize, order: ByteOrder);
}

/// The offsets below are constants inside the header, so nothing is missing.
fn get<const N: usize>(bytes: &Bytes, at: usize) -> [u8; N] {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.copied().unwrap_or([0; N])
}

fn put(bytes: &mut Bytes, at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

impl Field for u8 {
    fn get(bytes: &Bytes, at: usize, _: ByteOrder) -> Self {
        u8::from_le_bytes(get(bytes, at))
    }
    fn put(self, bytes: &mut Bytes, at: usize, _: ByteOrder) {
        put(bytes, at, &[self]);
    }
}

impl Field for u32 {
    fn get(bytes: &Bytes, at: usize, order: ByteOrder) -> Self {
        order.u32(get(bytes, at))
    }
    fn put(self, bytes: &mut Bytes, at: usize, order: ByteOrder) {
        put(bytes, at, &order.put_u32(self));
    }
}

impl Field for u64 {
    fn get(bytes: &Bytes, at: usize, order: ByteOrder) -> Self {
        order.u64(get(bytes, at))
    }
    fn put(self, bytes: &mut Bytes, at: usize, order: ByteOrder) {
        put(bytes, at, &order.put_u64(self));
    }
}

impl<const N: usize> Field for [u8; N] {
    fn get(bytes: &Bytes, at: usize, _: ByteOrder) -> Self {
        get(bytes, at)
    }
    fn put(self, bytes: &mut Bytes, at: usize, _: ByteOrder) {
        put(bytes, at, &self);
    }
}

impl Field for Checksum {
    fn get(bytes: &Bytes, at: usize, order: ByteOrder) -> Self {
        Self(std::array::from_fn(|word| {
            u64::get(bytes, at + 8 * word, order)
        }))
    }
    fn put(self, bytes: &mut Bytes, at: usize, order: ByteOrder) {
        for (word, sum) in self.0.into_iter().enumerate() {
            sum.put(bytes, at + 8 * word, order);
        }
    }
}

/// Reads one field.
pub(super) fn u32_at(bytes: &Bytes, at: usize, order: ByteOrder) -> u32 {
    u32::get(bytes, at, order)
}

/// Reads one field.
pub(super) fn u64_at(bytes: &Bytes, at: usize, order: ByteOrder) -> u64 {
    u64::get(bytes, at, order)
}

/// Reads one field.
pub(super) fn checksum_at(bytes: &Bytes, at: usize, order: ByteOrder) -> Checksum {
    Checksum::get(bytes, at, order)
}

/// Writes one field.
pub(super) fn put_u32(bytes: &mut Bytes, at: usize, value: u32, order: ByteOrder) {
    value.put(bytes, at, order);
}

/// Writes one field.
pub(super) fn put_checksum(bytes: &mut Bytes, at: usize, value: Checksum, order: ByteOrder) {
    value.put(bytes, at, order);
}

/// Declares a record's struct with its fields' offsets.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $at:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            pub(super) fn read(bytes: &Bytes, order: ByteOrder) -> Self {
                Self { $($field: Field::get(bytes, $at, order),)* }
            }

            pub(super) fn write(&self, bytes: &mut Bytes, order: ByteOrder) {
                $(self.$field.put(bytes, $at, order);)*
            }
        }
    };
}

/// `DRR_BEGIN`: the beginning of a stream or substream. Its payload is an
/// nvlist or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Header type and features (`drr_versioninfo`).
    pub version_info: u64,
    /// The snapshot's creation, in seconds since 1970.
    pub creation_time: u64,
    /// The objset's type: 2 for a filesystem, 3 for a volume.
    pub objset_type: u32,
    /// Flags of the whole stream.
    pub flags: BeginFlags,
    /// The GUID of the snapshot that is sent; 0 in a compound stream's own.
    pub to_guid: u64,
    /// The GUID of the incremental source, 0 for a full stream.
    pub from_guid: u64,
    /// The snapshot's name up to its first NUL.
    pub to_name: Vec<u8>,
}

/// Where the name stands; it takes the rest of the header.
const TO_NAME_AT: usize = 56;

impl Begin {
    /// The features that a receiver must know.
    pub fn features(&self) -> Features {
        Features::of_version_info(self.version_info)
    }

    /// Whether this begins a compound stream, which holds substreams, and not
    /// a single snapshot's.
    pub fn is_compound(&self) -> bool {
        self.header_type() == 2
    }

    /// 1 for a single snapshot's stream or a substream, 2 for a compound one.
    pub fn header_type(&self) -> u8 {
        (self.version_info & 3) as u8
    }

    /// Header type and features as one number, for
    /// [`version_info`](Self::version_info).
    pub fn make_version_info(compound: bool, features: Features) -> u64 {
        features.bits() << 2 | if compound { 2 } else { 1 }
    }

    pub(super) fn read(bytes: &Bytes, order: ByteOrder) -> Self {
        let name = bytes.get(TO_NAME_AT..).unwrap_or_default();
        let name = name.split(|&byte| byte == 0).next();
        Self {
            version_info: Field::get(bytes, 16, order),
            creation_time: Field::get(bytes, 24, order),
            objset_type: Field::get(bytes, 32, order),
            flags: BeginFlags::from_bits(Field::get(bytes, 36, order)),
            to_guid: Field::get(bytes, 40, order),
            from_guid: Field::get(bytes, 48, order),
            to_name: name.unwrap_or_default().to_vec(),
        }
    }

    pub(super) fn write(&self, bytes: &mut Bytes, order: ByteOrder) {
        MAGIC.put(bytes, 8, order);
        self.version_info.put(bytes, 16, order);
        self.creation_time.put(bytes, 24, order);
        self.objset_type.put(bytes, 32, order);
        self.flags.bits().put(bytes, 36, order);
        self.to_guid.put(bytes, 40, order);
        self.from_guid.put(bytes, 48, order);
        // One byte is left for the NUL.
        let room = HEADER_LEN - TO_NAME_AT - 1;
        let name = self.to_name.get(..room).unwrap_or(&self.to_name);
        put(bytes, TO_NAME_AT, name);
    }
}

record! {
    /// `DRR_OBJECT`: an object's dnode. Its payload is the bonus buffer.
    Object {
        /// The object's number.
        8 object: u64,
        /// Its type (`dmu_object_type_t`).
        16 object_type: u32,
        /// The type of its bonus buffer.
        20 bonus_type: u32,
        /// Its block size in bytes.
        24 block_size: u32,
        /// The length of the bonus buffer in bytes.
        28 bonus_len: u32,
        /// The checksum algorithm of its blocks.
        32 checksum_type: u8,
        /// The compression of its blocks.
        33 compress: u8,
        /// How many 512-byte slots the dnode takes; 0 stands for 1.
        34 dn_slots: u8,
        /// [`flags::OBJECT_SPILL`](super::flags::OBJECT_SPILL) and others.
        35 flags: u8,
        /// In raw streams the length of the payload in bytes.
        36 raw_bonus_len: u32,
        /// The stream's snapshot.
        40 to_guid: u64,
        /// In raw streams: the indirect blocks' size as a power of two.
        48 indirect_block_shift: u8,
        /// In raw streams: how many levels of blocks there are.
        49 levels: u8,
        /// In raw streams: how many block pointers the dnode has.
        50 block_pointers: u8,
        /// In raw streams: the last block's number.
        56 max_block_id: u64,
    }
}

record! {
    /// `DRR_FREEOBJECTS`: a range of objects that do not exist.
    FreeObjects {
        /// The first.
        8 first_object: u64,
        /// How many.
        16 count: u64,
        /// The stream's snapshot.
        24 to_guid: u64,
    }
}

record! {
    /// `DRR_WRITE`: a block, which is the payload.
    Write {
        /// The object it belongs to.
        8 object: u64,
        /// The object's type.
        16 object_type: u32,
        /// Where it stands in the object, in bytes.
        24 offset: u64,
        /// Its length when decompressed, in bytes.
        32 logical_size: u64,
        /// The stream's snapshot.
        40 to_guid: u64,
        /// The algorithm of the checksum in `key_checksum`.
        48 checksum_type: u8,
        /// [`flags::CHECKSUM_DEDUP`](super::flags::CHECKSUM_DEDUP) and others.
        49 flags: u8,
        /// How the payload is compressed; 0 if it is the plain block. Raw
        /// streams set it always, to 2 (off) for what is not compressed.
        50 compression: u8,
        /// The block's checksum on the sending pool.
        56 key_checksum: Checksum,
        /// The block's sizes and compression on the sending pool (`ddk_prop`).
        88 key_prop: u64,
        /// The payload's length where `compression` is not 0.
        96 compressed_size: u64,
        /// In raw streams: the encryption salt.
        104 salt: [u8; 8],
        /// In raw streams: the initialisation vector.
        112 iv: [u8; 12],
        /// In raw streams: the authentication code.
        124 mac: [u8; 16],
    }
}

record! {
    /// `DRR_FREE`: a range of an object that is a hole.
    Free {
        /// The object.
        8 object: u64,
        /// Where the hole begins, in bytes.
        16 offset: u64,
        /// How long it is; [`u64::MAX`] for up to the object's end.
        24 length: u64,
        /// The stream's snapshot.
        32 to_guid: u64,
    }
}

record! {
    /// `DRR_END`: the end of a stream or substream.
    End {
        /// The checksum of everything since the BEGIN.
        8 checksum: Checksum,
        /// The stream's snapshot; 0 where a compound stream's header ends.
        40 to_guid: u64,
    }
}

record! {
    /// `DRR_WRITE_BYREF`: a block that equals one sent before. Only in
    /// deduplicated streams, which no OpenZFS since 2.0 makes or receives.
    WriteByref {
        /// The object it belongs to.
        8 object: u64,
        /// Where it stands in the object, in bytes.
        16 offset: u64,
        /// Its length in bytes.
        24 length: u64,
        /// The stream's snapshot.
        32 to_guid: u64,
        /// The snapshot of the equal block.
        40 ref_guid: u64,
        /// The object of the equal block.
        48 ref_object: u64,
        /// Where the equal block stands in its object.
        56 ref_offset: u64,
        /// The algorithm of the checksum in `key_checksum`.
        64 checksum_type: u8,
        /// [`flags::CHECKSUM_DEDUP`](super::flags::CHECKSUM_DEDUP).
        65 flags: u8,
        /// The block's checksum on the sending pool.
        72 key_checksum: Checksum,
        /// The block's sizes and compression on the sending pool.
        104 key_prop: u64,
    }
}

record! {
    /// `DRR_SPILL`: an object's spill block (attributes that did not fit the
    /// dnode), which is the payload.
    Spill {
        /// The object it belongs to.
        8 object: u64,
        /// Its length when decompressed, in bytes.
        16 length: u64,
        /// The stream's snapshot.
        24 to_guid: u64,
        /// [`flags::SPILL_UNMODIFIED`](super::flags::SPILL_UNMODIFIED) and
        /// others.
        32 flags: u8,
        /// In raw streams: how the payload is compressed.
        33 compression: u8,
        /// In raw streams: the payload's length.
        40 compressed_size: u64,
        /// In raw streams: the encryption salt.
        48 salt: [u8; 8],
        /// In raw streams: the initialisation vector.
        56 iv: [u8; 12],
        /// In raw streams: the authentication code.
        68 mac: [u8; 16],
        /// In raw streams: the block's type.
        84 object_type: u32,
    }
}

record! {
    /// `DRR_WRITE_EMBEDDED`: a block so small that it is kept in its block
    /// pointer. The payload is padded to a multiple of 8.
    WriteEmbedded {
        /// The object it belongs to.
        8 object: u64,
        /// Where it stands in the object, in bytes.
        16 offset: u64,
        /// The length of the block, in bytes.
        24 length: u64,
        /// The stream's snapshot.
        32 to_guid: u64,
        /// How the payload is compressed.
        40 compression: u8,
        /// What is embedded; 0 for data.
        41 embedded_type: u8,
        /// The payload's length when decompressed, in bytes.
        48 logical_size: u32,
        /// The payload's length without padding, at most 112.
        52 physical_size: u32,
    }
}

record! {
    /// `DRR_OBJECT_RANGE`: how a block of dnodes is encrypted. Only in raw
    /// streams.
    ObjectRange {
        /// The first object of the block.
        8 first_object: u64,
        /// How many slots the block has: 32.
        16 slots: u64,
        /// The stream's snapshot.
        24 to_guid: u64,
        /// The encryption salt.
        32 salt: [u8; 8],
        /// The initialisation vector.
        40 iv: [u8; 12],
        /// The authentication code.
        52 mac: [u8; 16],
        /// [`flags::RAW_BYTESWAP`](super::flags::RAW_BYTESWAP).
        68 flags: u8,
    }
}

record! {
    /// `DRR_REDACT`: a range of an object that was left out on purpose.
    Redact {
        /// The object.
        8 object: u64,
        /// Where the range begins, in bytes.
        16 offset: u64,
        /// How long it is.
        24 length: u64,
        /// The stream's snapshot.
        32 to_guid: u64,
    }
}
