//! The layout, the readers against each other, and hostile streams.

use proptest::prelude::*;

use super::*;
use crate::Error;
use crate::nvlist::{ByteOrder, Encoding, NvList, Value};

pub(crate) const TO_GUID: u64 = 0x1122_3344_5566_7788;

/// A stream with a record of every type, and then some.
pub(crate) fn records() -> Vec<(Record, Vec<u8>)> {
    let to_guid = TO_GUID;
    let write = |object, offset, length: usize| {
        let fields = Write {
            object,
            object_type: 19,
            offset,
            logical_size: length as u64,
            to_guid,
            checksum_type: 7,
            ..Write::default()
        };
        let payload = (0..length).map(|at| (at as u64 + offset) as u8).collect();
        (Record::Write(fields), payload)
    };
    let object = |object| {
        let fields = Object {
            object,
            object_type: 19,
            bonus_type: 44,
            block_size: 4096,
            bonus_len: 162,
            checksum_type: 7,
            compress: 15,
            dn_slots: 1,
            to_guid,
            ..Object::default()
        };
        (Record::Object(fields), vec![7; 168])
    };
    vec![
        object(1),
        (
            Record::FreeObjects(FreeObjects {
                first_object: 2,
                count: 6,
                to_guid,
            }),
            Vec::new(),
        ),
        object(8),
        write(8, 0, 512),
        write(8, 512, 1024),
        (
            Record::Free(Free {
                object: 8,
                offset: 1536,
                length: u64::MAX,
                to_guid,
            }),
            Vec::new(),
        ),
        object(9),
        (
            Record::WriteEmbedded(WriteEmbedded {
                object: 9,
                length: 4096,
                to_guid,
                compression: 15,
                logical_size: 4096,
                physical_size: 50,
                ..WriteEmbedded::default()
            }),
            vec![9; 56],
        ),
        (
            Record::Spill(Spill {
                object: 9,
                length: 512,
                to_guid,
                ..Spill::default()
            }),
            vec![3; 512],
        ),
        object(10),
        (
            Record::Redact(Redact {
                object: 10,
                length: 4096,
                to_guid,
                ..Redact::default()
            }),
            Vec::new(),
        ),
        write(10, 4096, 512),
    ]
}

/// Features of everything in `records`.
pub(crate) const FEATURES: Features = Features::SA_SPILL
    .with(Features::EMBED_DATA)
    .with(Features::LZ4)
    .with(Features::REDACTED);

pub(crate) fn begin() -> Begin {
    Begin {
        version_info: Begin::make_version_info(false, FEATURES),
        creation_time: 1_700_000_000,
        objset_type: 2,
        flags: BeginFlags::FREERECORDS.with(BeginFlags::SPILL_BLOCK),
        to_guid: TO_GUID,
        from_guid: 0,
        to_name: b"tank/data@monday".to_vec(),
    }
}

/// A stream of those records.
pub(crate) fn stream_of(
    order: ByteOrder,
    begin: Begin,
    nvlist: &[u8],
    records: &[(Record, Vec<u8>)],
) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), order);
    let to_guid = begin.to_guid;
    writer.write(&Record::Begin(begin), nvlist).unwrap();
    for (record, payload) in records {
        writer.write(record, payload).unwrap();
    }
    let end = End {
        to_guid,
        ..End::default()
    };
    writer.write(&Record::End(end), &[]).unwrap();
    writer.into_inner()
}

pub(crate) fn sample(order: ByteOrder) -> Vec<u8> {
    stream_of(order, begin(), &[], &records())
}

/// The keys of a raw stream that is opened with a passphrase.
pub(crate) fn crypt_keydata() -> NvList {
    let mut key = NvList::new();
    for (name, value) in [
        ("DSL_CRYPTO_SUITE", 8),
        ("DSL_CRYPTO_GUID", 77),
        ("DSL_CRYPTO_VERSION", 1),
        ("keyformat", 3),
        ("pbkdf2iters", 350_000),
        ("pbkdf2salt", 5),
        ("mdn_checksum", 0),
        ("mdn_compress", 0),
        ("mdn_nlevels", 2),
        ("mdn_blksz", 16384),
        ("mdn_indblkshift", 17),
        ("mdn_nblkptr", 3),
        ("mdn_maxblkid", 4),
    ] {
        key.insert(name, Value::Uint64(value)).unwrap();
    }
    for (name, length) in [
        ("DSL_CRYPTO_MASTER_KEY_1", 32),
        ("DSL_CRYPTO_HMAC_KEY_1", 64),
        ("DSL_CRYPTO_IV", 12),
        ("DSL_CRYPTO_MAC", 16),
        ("portable_mac", 32),
    ] {
        let bytes = Value::Uint8Array(vec![1; length]);
        key.insert(name, bytes).unwrap();
    }
    key
}

/// A compound stream of two substreams, as `zfs send -R` makes them.
pub(crate) fn compound(order: ByteOrder) -> Vec<u8> {
    let mut list = NvList::new();
    list.insert_str("tosnap", "monday").unwrap();
    list.insert("fss", NvList::new()).unwrap();
    let nvlist = list.encode(Encoding::Xdr, order).unwrap();
    let mut writer = Writer::new(Vec::new(), order);
    let head = Begin {
        version_info: Begin::make_version_info(true, FEATURES),
        to_name: b"tank@monday".to_vec(),
        ..Begin::default()
    };
    writer.write(&Record::Begin(head), &nvlist).unwrap();
    writer.end_compound_header().unwrap();
    let mut stream = writer.into_inner();
    stream.extend(sample(order));
    stream.extend(sample(order));
    let mut writer = Writer::new(stream, order);
    writer.end_compound().unwrap();
    writer.into_inner()
}

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// A source that gives a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.1.min(buffer.len()).min(self.0.len());
        let (now, later) = self.0.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.0 = later;
        Ok(length)
    }
}

fn problem(stream: &[u8]) -> Problem {
    let mut reader = Reader::new(stream);
    loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("not refused"),
            Err(Error::Stream { problem, .. }) => return problem,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A header whose bytes are all different, of that type.
fn ramp(record_type: RecordType, order: ByteOrder) -> [u8; HEADER_LEN] {
    let mut bytes = std::array::from_fn(|at| (at % 251) as u8);
    fields::put_u32(&mut bytes, 0, record_type.to_raw(), order);
    bytes
}

#[test]
fn fields_stand_at_the_published_offsets() {
    let number = |at: usize, length: usize| {
        (at..at + length).rfold(0, |value, at| value << 8 | (at % 251) as u64)
    };
    let parse = |record_type| {
        let bytes = ramp(record_type, ByteOrder::Little);
        Header::new(&bytes, ByteOrder::Little).unwrap().parse()
    };
    let Record::Write(write) = parse(RecordType::Write) else {
        panic!()
    };
    assert_eq!(write.object, number(8, 8));
    assert_eq!(u64::from(write.object_type), number(16, 4));
    assert_eq!(write.offset, number(24, 8));
    assert_eq!(write.logical_size, number(32, 8));
    assert_eq!(write.to_guid, number(40, 8));
    assert_eq!(
        (write.checksum_type, write.flags, write.compression),
        (48, 49, 50)
    );
    assert_eq!(
        write.key_checksum.0,
        [56, 64, 72, 80].map(|at| number(at, 8))
    );
    assert_eq!(write.key_prop, number(88, 8));
    assert_eq!(write.compressed_size, number(96, 8));
    assert_eq!((write.salt[0], write.iv[0], write.mac[15]), (104, 112, 139));
    let Record::Object(object) = parse(RecordType::Object) else {
        panic!()
    };
    assert_eq!(object.object, number(8, 8));
    assert_eq!(u64::from(object.bonus_type), number(20, 4));
    assert_eq!(u64::from(object.block_size), number(24, 4));
    assert_eq!(u64::from(object.bonus_len), number(28, 4));
    let bytes = (
        object.checksum_type,
        object.compress,
        object.dn_slots,
        object.flags,
    );
    assert_eq!(bytes, (32, 33, 34, 35));
    assert_eq!(u64::from(object.raw_bonus_len), number(36, 4));
    assert_eq!(object.to_guid, number(40, 8));
    let bytes = (
        object.indirect_block_shift,
        object.levels,
        object.block_pointers,
    );
    assert_eq!(bytes, (48, 49, 50));
    assert_eq!(object.max_block_id, number(56, 8));
    let Record::Spill(spill) = parse(RecordType::Spill) else {
        panic!()
    };
    assert_eq!(
        (spill.length, spill.to_guid),
        (number(16, 8), number(24, 8))
    );
    assert_eq!((spill.flags, spill.compression), (32, 33));
    assert_eq!(spill.compressed_size, number(40, 8));
    assert_eq!((spill.salt[0], spill.iv[0], spill.mac[0]), (48, 56, 68));
    assert_eq!(u64::from(spill.object_type), number(84, 4));
    let Record::WriteEmbedded(embedded) = parse(RecordType::WriteEmbedded) else {
        panic!()
    };
    assert_eq!(embedded.length, number(24, 8));
    assert_eq!((embedded.compression, embedded.embedded_type), (40, 41));
    assert_eq!(u64::from(embedded.logical_size), number(48, 4));
    assert_eq!(u64::from(embedded.physical_size), number(52, 4));
    let Record::ObjectRange(range) = parse(RecordType::ObjectRange) else {
        panic!()
    };
    assert_eq!(
        (range.first_object, range.slots),
        (number(8, 8), number(16, 8))
    );
    assert_eq!(
        (range.salt[0], range.iv[0], range.mac[0], range.flags),
        (32, 40, 52, 68)
    );
    let Record::WriteByref(byref) = parse(RecordType::WriteByref) else {
        panic!()
    };
    assert_eq!(
        (byref.ref_guid, byref.ref_object),
        (number(40, 8), number(48, 8))
    );
    assert_eq!(byref.ref_offset, number(56, 8));
    assert_eq!((byref.checksum_type, byref.flags), (64, 65));
    assert_eq!(
        (byref.key_checksum.0[0], byref.key_prop),
        (number(72, 8), number(104, 8))
    );
    let Record::End(end) = parse(RecordType::End) else {
        panic!()
    };
    assert_eq!(
        (end.checksum.0[0], end.to_guid),
        (number(8, 8), number(40, 8))
    );
    let Record::Begin(begin) = parse(RecordType::Begin) else {
        panic!()
    };
    assert_eq!(
        (begin.version_info, begin.creation_time),
        (number(16, 8), number(24, 8))
    );
    assert_eq!(
        (begin.to_guid, begin.from_guid),
        (number(40, 8), number(48, 8))
    );
    assert_eq!(begin.to_name.first(), Some(&56));
}

#[test]
fn big_endian_headers_are_the_swapped_little_ones() {
    let [little, big] = ORDERS.map(|order| {
        let stream = sample(order);
        let records = SliceReader::new(&stream).map(|record| record.unwrap().parse());
        let ends = |record: &Record| matches!(record, Record::End(_));
        records.filter(|record| !ends(record)).collect::<Vec<_>>()
    });
    assert_eq!(little, big);
    assert_eq!(sample(ByteOrder::Big)[8..16], MAGIC.to_be_bytes());
}

#[test]
fn readers_give_what_was_written() {
    for order in ORDERS {
        let stream = sample(order);
        let records = records();
        let mut read: Vec<_> = SliceReader::new(&stream)
            .map(|record| record.map(|record| (record.parse(), record.payload.to_vec())))
            .collect::<crate::Result<_>>()
            .unwrap();
        assert_eq!(read.remove(0), (Record::Begin(begin()), Vec::new()));
        assert!(matches!(read.pop(), Some((Record::End(_), _))));
        assert_eq!(read, records);
    }
}

#[test]
fn reading_and_writing_gives_the_same_bytes() {
    for order in ORDERS {
        for stream in [sample(order), compound(order)] {
            let mut copied = Writer::new(Vec::new(), order);
            let mut rewritten = Writer::new(Vec::new(), order);
            let mut reader = Reader::new(&stream[..]);
            while let Some(record) = reader.next_record().unwrap() {
                copied.copy(&record).unwrap();
                rewritten.rewrite(&record).unwrap();
            }
            assert!(copied.into_inner() == stream);
            assert!(rewritten.into_inner() == stream);
        }
    }
}

#[test]
fn a_slow_source_gives_the_same_records() {
    let stream = compound(ByteOrder::Little);
    for step in [1, 7, 311, 4096] {
        let mut reader = Reader::new(Trickle(&stream, step));
        for expected in SliceReader::new(&stream) {
            let expected = expected.unwrap();
            let record = reader.next_record().unwrap().unwrap();
            assert_eq!(
                (record.offset, record.number),
                (expected.offset, expected.number)
            );
            assert_eq!(record.header.bytes(), expected.header.bytes());
            assert_eq!(record.payload, expected.payload);
        }
        assert!(reader.next_record().unwrap().is_none());
    }
}

#[test]
fn every_truncation_is_told() {
    let stream = sample(ByteOrder::Little);
    let ends: Vec<_> = SliceReader::new(&stream)
        .map(|record| record.unwrap())
        .map(|record| (record.offset + record.stream_len()) as usize)
        .collect();
    for length in 1..stream.len() {
        let cut = &stream[..length];
        let last = SliceReader::new(cut).last().unwrap();
        // Between two records nothing is cut off: the verifier misses the END.
        assert_eq!(last.is_ok(), ends.contains(&length), "{length}");
    }
    assert_eq!(
        problem(&stream[..100]),
        Problem::TruncatedHeader { found: 100 }
    );
    assert_eq!(
        problem(&stream[..2 * HEADER_LEN + 10]),
        Problem::TruncatedPayload {
            record_type: RecordType::Object,
            found: 10,
            length: 168
        }
    );
}

#[test]
fn what_is_no_stream_is_told() {
    let mut stream = sample(ByteOrder::Little);
    stream[8] ^= 1;
    assert_eq!(problem(&stream), Problem::BadMagic);
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd], &stream[4..]].concat();
    assert!(problem(&zstd).to_string().contains("compressed with zstd"));
    let mut stream = sample(ByteOrder::Little);
    stream[HEADER_LEN] = 11;
    assert_eq!(problem(&stream), Problem::UnknownType(11));
    assert!(Reader::new(&[][..]).next_record().unwrap().is_none());
}

#[test]
fn hostile_lengths_take_no_memory() {
    let mut stream = sample(ByteOrder::Little);
    // The first OBJECT's raw bonus length, then the BEGIN's payload length.
    stream[HEADER_LEN + 36..HEADER_LEN + 40].fill(0xff);
    let limit = MAX_BLOCK;
    assert_eq!(
        problem(&stream),
        Problem::PayloadTooLong {
            record_type: RecordType::Object,
            length: u64::from(u32::MAX),
            limit
        }
    );
    let mut stream = sample(ByteOrder::Little);
    stream[4..8].copy_from_slice(&(64_u32 << 20).to_le_bytes());
    let mut reader = Reader::new(&stream[..]);
    assert!(reader.next_record().is_err());
    // What claims to be long takes memory only as it comes.
    assert!(reader.buffer.len() <= 2 << 20, "{}", reader.buffer.len());
}

#[test]
fn a_long_payload_grows_the_buffer_to_what_it_needs() {
    let fields = Write {
        object: 1,
        logical_size: MAX_BLOCK,
        to_guid: TO_GUID,
        ..Write::default()
    };
    let payload = vec![0x5a; MAX_BLOCK as usize];
    let stream = stream_of(
        ByteOrder::Little,
        begin(),
        &[],
        &[(Record::Write(fields), payload)],
    );
    let mut reader = Reader::new(&stream[..]);
    while reader.next_record().unwrap().is_some() {}
    assert!(reader.buffer.len() <= 18 << 20, "{}", reader.buffer.len());
}

#[test]
fn a_payload_of_another_length_is_not_written() {
    let (record, mut payload) = records().remove(3);
    payload.push(0);
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    let Err(Error::Stream { problem, .. }) = writer.write(&record, &payload) else {
        panic!("written");
    };
    assert_eq!(
        problem,
        Problem::PayloadMismatch {
            record_type: RecordType::Write,
            stated: 512,
            given: 513
        }
    );
}

#[test]
fn features_have_names() {
    let features = Features::RAW
        .with(Features::LZ4)
        .with(Features::from_bits(1 << 40));
    assert_eq!(features.to_string(), "lz4, raw, 0x10000000000");
    let info = Begin::make_version_info(true, features);
    assert_eq!(info & 3, 2);
    assert_eq!(Features::of_version_info(info), features);
}

proptest! {
    #[test]
    fn any_header_survives_being_taken_apart(bytes in prop::collection::vec(any::<u8>(), HEADER_LEN), number in 1_u32..11, big: bool) {
        let order = ORDERS[usize::from(big)];
        let mut header: [u8; HEADER_LEN] = bytes.as_slice().try_into().unwrap();
        fields::put_u32(&mut header, 0, number, order);
        let record = Header::new(&header, order).unwrap().parse();
        // Written over itself every field falls on where it came from.
        let mut again = header;
        match &record {
            Record::Begin(record) => record.write(&mut again, order),
            Record::Object(record) => record.write(&mut again, order),
            Record::FreeObjects(record) => record.write(&mut again, order),
            Record::Write(record) => record.write(&mut again, order),
            Record::Free(record) => record.write(&mut again, order),
            Record::End(record) => record.write(&mut again, order),
            Record::WriteByref(record) => record.write(&mut again, order),
            Record::Spill(record) => record.write(&mut again, order),
            Record::WriteEmbedded(record) => record.write(&mut again, order),
            Record::ObjectRange(record) => record.write(&mut again, order),
            Record::Redact(record) => record.write(&mut again, order),
        }
        prop_assert_eq!(&header[..], &again[..]);
        prop_assert_eq!(record.payload_len(), Header::new(&header, order).unwrap().payload_len());
    }

    #[test]
    fn flipped_bits_never_panic(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut stream = compound(ByteOrder::Little);
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        for record in SliceReader::new(&stream) {
            let _ = record.map(|record| record.parse());
        }
        let mut reader = Reader::new(&stream[..]);
        while let Ok(Some(_)) = reader.next_record() {}
    }
}

#[test]
fn limits_without_bounds_are_none_to_add_up_beyond() {
    let most = Limits {
        begin_payload: u64::MAX,
        payload: u64::MAX,
    };
    let mut stream = sample(ByteOrder::Little);
    let block = SliceReader::new(&stream)
        .map(Result::unwrap)
        .find(|record| record.record_type() == RecordType::Write)
        .unwrap();
    let size = block.offset as usize + 32;
    for length in [u64::MAX, u64::MAX - 8, i64::MAX as u64] {
        stream[size..size + 8].copy_from_slice(&length.to_le_bytes());
        for record in SliceReader::with_limits(&stream, most) {
            if record.is_err() {
                break;
            }
        }
        let mut reader = Reader::with_limits(&stream[..], most);
        let error = loop {
            match reader.next_record() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("read to the end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Stream { .. }), "{error}");
    }
}
