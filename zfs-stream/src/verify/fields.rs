//! The rules for single records: what the receiving kernel refuses.

use super::finding::Kind;
use crate::record::{
    Features, Free, FreeObjects, MAX_BLOCK, Object, ObjectRange, Record, Redact, Spill, Write,
    WriteByref, WriteEmbedded, flags, is_metadata,
};

/// What a value is said to be that the kernel takes but no sender writes.
pub(super) const UNUSUAL: &str = "not what a sender writes";
/// A bonus buffer of more bytes than the dnode's slots have room for.
pub(super) const BEYOND_DNODE: &str = "more than its slots have room for";
/// At what OpenZFS up to 2.4 takes no memory, too much, or too little for a block:
/// its kernel does not refuse it, but panics or writes beyond what it took.
pub(super) const KILLING: [&str; 4] = [EMPTY, NO_BLOCK, NO_COMPRESSION, BEYOND_BLOCK];
const EMPTY: &str = "no length that a block has";
const NO_BLOCK: &str = "more than any block has";
const NO_COMPRESSION: &str = "none that ZFS has";
const BEYOND_BLOCK: &str = "more than its block has";
const TOO_LARGE: &str = "too large";
const TOO_SMALL: &str = "too small";
const UNKNOWN: &str = "unknown";
const OVERFLOWS: &str = "beyond the largest offset";
const UNALIGNED: &str = "not a multiple of 512";
const NOT_RAW: &str = "not allowed outside raw streams";

/// `ZIO_COMPRESS_FUNCTIONS`: how many compressions there are.
const COMPRESSIONS: u8 = 17;
/// `ZIO_CHECKSUM_FUNCTIONS`.
const CHECKSUMS: u8 = 15;
/// `DMU_OT_NUMTYPES`.
const OBJECT_TYPES: u32 = 54;
/// `DMU_BSWAP_NUMFUNCS`.
const BYTESWAPS: u32 = 10;
/// `DN_MAX_OBJECT`.
const MAX_OBJECT: u64 = 1 << 48;
/// `SPA_MINBLOCKSIZE`.
const MIN_BLOCK: u64 = 512;
/// `DNODES_PER_BLOCK`, and the most slots that a dnode takes.
const DNODE_SLOTS: u64 = 32;
/// The bytes of a slot that are not its dnode's bonus buffer.
const DNODE_HEAD: u64 = 192;
/// `BPE_PAYLOAD_SIZE`.
const EMBEDDED: u32 = 112;
/// `NUM_BP_EMBEDDED_TYPES`.
const EMBEDDED_TYPES: u8 = 3;
/// What blocks are at most without large blocks.
const OLD_MAX_BLOCK: u64 = 128 << 10;
/// `ZIO_COMPRESS_LZ4` and `ZIO_COMPRESS_ZSTD`.
const LZ4: u8 = 15;
const ZSTD: u8 = 16;

/// What of the BEGIN decides over single records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) features: Features,
    /// The stream's spill flags mean something.
    pub(super) spill: bool,
    /// The objects of the last OBJECT_RANGE: first and number.
    pub(super) range: (u64, u64),
}

impl Context {
    fn raw(self) -> bool {
        self.features.contains(Features::RAW)
    }
}

/// Collects what is wrong with one record.
struct Rules<'a> {
    found: &'a mut dyn FnMut(Kind),
}

impl Rules<'_> {
    fn refuse(&mut self, is_bad: bool, field: &'static str, value: u64, rule: &'static str) {
        if is_bad {
            (self.found)(Kind::BadField { field, value, rule });
        }
    }

    fn needs(&mut self, context: Context, feature: Features, when: bool) {
        if when && !context.features.contains(feature) {
            (self.found)(Kind::MissingFeature(feature));
        }
    }

    fn object(&mut self, object: u64) {
        self.refuse(object == 0, "object", object, TOO_SMALL);
        self.refuse(object >= MAX_OBJECT, "object", object, TOO_LARGE);
    }

    fn object_type(&mut self, field: &'static str, number: u32) {
        let valid = if number & 0x80 == 0 {
            number < OBJECT_TYPES
        } else {
            number & 0x1f < BYTESWAPS
        };
        self.refuse(!valid, field, u64::from(number), UNKNOWN);
    }

    fn compression(&mut self, number: u8) {
        let bad = number >= COMPRESSIONS;
        self.refuse(bad, "compression", u64::from(number), UNKNOWN);
    }

    fn block_compression(&mut self, number: u8) {
        let bad = number >= COMPRESSIONS;
        self.refuse(bad, "compression", u64::from(number), NO_COMPRESSION);
    }

    fn range(&mut self, offset: u64, length: u64) {
        let bad = offset.checked_add(length).is_none();
        self.refuse(bad, "offset", offset, OVERFLOWS);
    }

    fn compressed_with(&mut self, context: Context, compression: u8) {
        self.needs(context, Features::LZ4, compression == LZ4);
        self.needs(context, Features::ZSTD, compression == ZSTD);
    }
}

/// Calls `found` for everything that is wrong with the record by itself.
pub(super) fn check(record: &Record, context: Context, found: &mut dyn FnMut(Kind)) {
    let mut rules = Rules { found };
    match record {
        Record::Object(record) => object(&mut rules, record, context),
        Record::FreeObjects(record) => free_objects(&mut rules, record),
        Record::Write(record) => write(&mut rules, record, context),
        Record::Free(record) => free(&mut rules, record),
        Record::Spill(record) => spill(&mut rules, record, context),
        Record::WriteEmbedded(record) => embedded(&mut rules, record, context),
        Record::ObjectRange(record) => object_range(&mut rules, record, context),
        Record::Redact(record) => redact(&mut rules, record, context),
        Record::WriteByref(record) => byref(&mut rules, record, context),
        Record::Begin(_) | Record::End(_) => {}
    }
}

fn object(rules: &mut Rules<'_>, record: &Object, context: Context) {
    rules.object(record.object);
    let none = record.object_type == 0;
    rules.refuse(none, "type", 0, UNKNOWN);
    rules.object_type("type", record.object_type);
    rules.object_type("bonus type", record.bonus_type);
    let number = u64::from(record.checksum_type);
    rules.refuse(
        record.checksum_type >= CHECKSUMS,
        "checksum type",
        number,
        UNKNOWN,
    );
    rules.compression(record.compress);
    let size = u64::from(record.block_size);
    rules.refuse(size < MIN_BLOCK, "block size", size, TOO_SMALL);
    rules.refuse(size > MAX_BLOCK, "block size", size, TOO_LARGE);
    rules.refuse(size % MIN_BLOCK != 0, "block size", size, UNALIGNED);
    let slots = u64::from(record.dn_slots.max(1));
    rules.refuse(slots > DNODE_SLOTS, "slots", slots, TOO_LARGE);
    rules.needs(context, Features::LARGE_DNODE, slots > 1);
    let largest = DNODE_SLOTS * 512 - DNODE_HEAD;
    let bonus = u64::from(record.bonus_len);
    rules.refuse(bonus > largest, "bonus length", bonus, TOO_LARGE);
    let room = (slots.min(DNODE_SLOTS) * 512).saturating_sub(DNODE_HEAD);
    let raw_bonus = u64::from(record.raw_bonus_len);
    if context.raw() {
        let (first, count) = context.range;
        let outside = record.object < first || record.object - first >= count;
        rules.refuse(
            outside,
            "object",
            record.object,
            "outside the last OBJECT_RANGE",
        );
        rules.refuse(raw_bonus < bonus, "raw bonus length", raw_bonus, TOO_SMALL);
        rules.refuse(raw_bonus > room, "raw bonus length", raw_bonus, TOO_LARGE);
        for (field, value, most) in [
            ("indirect block shift", record.indirect_block_shift, 24),
            ("levels", record.levels, 12),
            ("block pointers", record.block_pointers, 3),
        ] {
            rules.refuse(value > most, field, u64::from(value), TOO_LARGE);
        }
    } else {
        let beyond = (room + 1..=largest).contains(&bonus);
        rules.refuse(beyond, "bonus length", bonus, BEYOND_DNODE);
        rules.refuse(raw_bonus != 0, "raw bonus length", raw_bonus, NOT_RAW);
        for (field, value) in [
            ("indirect block shift", record.indirect_block_shift),
            ("levels", record.levels),
            ("block pointers", record.block_pointers),
        ] {
            rules.refuse(value != 0, field, u64::from(value), NOT_RAW);
        }
        let allowed = if context.spill {
            flags::OBJECT_SPILL
        } else {
            0
        };
        let bad = record.flags & !allowed != 0;
        rules.refuse(bad, "flags", u64::from(record.flags), UNKNOWN);
    }
}

fn free_objects(rules: &mut Rules<'_>, record: &FreeObjects) {
    let bad = record.first_object.checked_add(record.count).is_none();
    rules.refuse(bad, "number of objects", record.count, TOO_LARGE);
}

fn write(rules: &mut Rules<'_>, record: &Write, context: Context) {
    rules.object(record.object);
    rules.object_type("type", record.object_type);
    rules.range(record.offset, record.logical_size);
    let size = record.logical_size;
    rules.refuse(size == 0, "logical size", size, EMPTY);
    rules.refuse(size > MAX_BLOCK, "logical size", size, NO_BLOCK);
    rules.needs(context, Features::LARGE_BLOCKS, size > OLD_MAX_BLOCK);
    rules.block_compression(record.compression);
    if record.compression != 0 {
        let compressed = record.compressed_size;
        rules.refuse(compressed == 0, "compressed size", compressed, EMPTY);
        rules.refuse(
            compressed > size,
            "compressed size",
            compressed,
            BEYOND_BLOCK,
        );
        if !context.raw() {
            rules.needs(context, Features::COMPRESSED, true);
            rules.compressed_with(context, record.compression);
            if is_metadata(record.object_type) {
                (rules.found)(Kind::CompressedMetadata(record.object_type));
            }
        }
    }
    if !context.raw() {
        let sealed = record.salt != [0; 8] || record.iv != [0; 12] || record.mac != [0; 16];
        rules.refuse(sealed, "encryption", 1, UNUSUAL);
        let length = if record.compression == 0 {
            size
        } else {
            record.compressed_size
        };
        rules.refuse(length % 8 != 0, "payload length", length, UNUSUAL);
    }
}

/// What `redup` makes of it is a WRITE.
fn byref(rules: &mut Rules<'_>, record: &WriteByref, context: Context) {
    rules.needs(context, Features::DEDUP, true);
    rules.object(record.object);
    rules.range(record.offset, record.length);
    let size = record.length;
    rules.refuse(size == 0, "length", size, TOO_SMALL);
    rules.refuse(size > MAX_BLOCK, "length", size, TOO_LARGE);
    rules.needs(context, Features::LARGE_BLOCKS, size > OLD_MAX_BLOCK);
}

fn free(rules: &mut Rules<'_>, record: &Free) {
    rules.object(record.object);
    if record.length != u64::MAX {
        rules.range(record.offset, record.length);
    }
}

fn redact(rules: &mut Rules<'_>, record: &Redact, context: Context) {
    rules.needs(context, Features::REDACTED, true);
    rules.object(record.object);
    if record.length != u64::MAX {
        rules.range(record.offset, record.length);
    }
}

fn spill(rules: &mut Rules<'_>, record: &Spill, context: Context) {
    rules.object(record.object);
    let length = record.length;
    rules.refuse(length == 0, "length", length, EMPTY);
    rules.refuse(
        (1..MIN_BLOCK).contains(&length),
        "length",
        length,
        TOO_SMALL,
    );
    rules.refuse(length > MAX_BLOCK, "length", length, TOO_LARGE);
    if context.raw() {
        rules.object_type("type", record.object_type);
        rules.block_compression(record.compression);
        let compressed = record.compressed_size;
        rules.refuse(compressed == 0, "compressed size", compressed, TOO_SMALL);
    } else {
        let compressed = record.compressed_size;
        rules.refuse(compressed != 0, "compressed size", compressed, NOT_RAW);
    }
}

fn embedded(rules: &mut Rules<'_>, record: &WriteEmbedded, context: Context) {
    rules.object(record.object);
    rules.range(record.offset, record.length);
    let size = record.physical_size;
    rules.refuse(size > EMBEDDED, "physical size", u64::from(size), TOO_LARGE);
    let number = record.embedded_type;
    rules.refuse(
        number >= EMBEDDED_TYPES,
        "embedded type",
        u64::from(number),
        UNKNOWN,
    );
    rules.compression(record.compression);
    let raw = context.raw();
    rules.refuse(
        raw,
        "physical size",
        u64::from(size),
        "not allowed in raw streams",
    );
    rules.needs(context, Features::EMBED_DATA, true);
    rules.compressed_with(context, record.compression);
}

fn object_range(rules: &mut Rules<'_>, record: &ObjectRange, context: Context) {
    let slots = record.slots;
    rules.refuse(!context.raw(), "slots", slots, NOT_RAW);
    rules.refuse(slots != DNODE_SLOTS, "slots", slots, "not 32");
    let first = record.first_object;
    rules.refuse(
        first % DNODE_SLOTS != 0,
        "first object",
        first,
        "not a multiple of 32",
    );
}
