//! What is compressed comes out again, what others compressed too, and hostile
//! payloads.

use proptest::prelude::*;

use super::*;

/// Text that compresses, as files do.
fn text(length: usize) -> Vec<u8> {
    let mut block = Vec::new();
    for number in 0_u64.. {
        if block.len() >= length {
            break;
        }
        block.extend_from_slice(format!("line {number} of {}\n", number * number).as_bytes());
    }
    block.truncate(length);
    block
}

fn all() -> Vec<Compression> {
    let zstd = [
        "zstd",
        "zstd-1",
        "zstd-9",
        "zstd-19",
        "zstd-fast-1",
        "zstd-fast-10",
    ];
    let zstd = zstd.iter().map(|name| name.parse().unwrap());
    [Compression::Lz4].into_iter().chain(zstd).collect()
}

#[test]
fn blocks_come_out_as_they_went_in() {
    for compression in all() {
        let mut compressor = Compressor::new(compression).unwrap();
        for length in [4096, 131_072, 1 << 20, 5120] {
            let block = text(length);
            let payload = compressor.compress(&block).unwrap().unwrap().to_vec();
            assert_eq!(payload.len() % PADDING, 0);
            assert!(payload.len() < length, "{compression} {length}");
            let mut again = vec![1; length];
            decompress(compression.number(), &payload, &mut again).unwrap();
            assert!(again == block, "{compression} {length}");
        }
    }
}

#[test]
fn what_does_not_get_smaller_is_left_alone() {
    let mut state = 1_u64;
    let random = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    let random: Vec<_> = random.take(8192).collect();
    for compression in all() {
        let mut compressor = Compressor::new(compression).unwrap();
        assert_eq!(compressor.compress(&random).unwrap(), None, "{compression}");
        // 512 bytes are the least there is.
        assert_eq!(compressor.compress(&[0; 512]).unwrap(), None);
        assert_eq!(compressor.compress(&[]).unwrap(), None);
    }
    let mut off = Compressor::new(Compression::Off).unwrap();
    assert_eq!(off.compress(&text(4096)).unwrap(), None);
}

#[test]
fn padding_is_zeros_even_after_a_longer_block() {
    for compression in all() {
        let mut compressor = Compressor::new(compression).unwrap();
        compressor.compress(&text(131_072)).unwrap();
        let payload = compressor.compress(&[7; 4096]).unwrap().unwrap();
        assert!(payload.len() == 512, "{compression}");
        assert_eq!(payload[200..], [0; 312], "{compression}");
    }
}

#[test]
fn zstds_head_tells_length_version_and_level() {
    for (name, number) in [
        ("zstd", 3),
        ("zstd-19", 19),
        ("zstd-fast", 103),
        ("zstd-fast-10", 112),
        ("zstd-fast-20", 113),
        ("zstd-fast-1000", 123),
    ] {
        let mut compressor = Compressor::new(name.parse().unwrap()).unwrap();
        let payload = compressor.compress(&[7; 4096]).unwrap().unwrap();
        assert_eq!(payload[7], number, "{name}");
        // The library's version: 1.x.y as 1xxyy.
        let version = u32::from_be_bytes([0, payload[4], payload[5], payload[6]]);
        assert!((10_400..20_000).contains(&version), "{version}");
        let length = u32::from_be_bytes(payload[..4].try_into().unwrap()) as usize;
        assert!((9..2048).contains(&length), "{length}");
        // No magic number, and the frame's descriptor tells of nothing.
        assert_eq!(payload[8] & 0b1110_0111, 0, "{name}");
    }
}

#[test]
fn names_are_those_of_the_property() {
    for name in [
        "off",
        "lz4",
        "zstd-1",
        "zstd-19",
        "zstd-fast-1",
        "zstd-fast-30",
        "zstd-fast-500",
    ] {
        assert_eq!(name.parse::<Compression>().unwrap().to_string(), name);
    }
    assert_eq!("zstd".parse(), Ok(Compression::Zstd(Level::default())));
    for name in [
        "",
        "on",
        "gzip",
        "zstd-0",
        "zstd-20",
        "zstd-fast-11",
        "zstd-fast-",
        "zstd--1",
        "LZ4",
    ] {
        assert!(name.parse::<Compression>().is_err(), "{name}");
    }
}

#[test]
fn gzip_is_read_with_its_padding() {
    let block = text(131_072);
    for level in [1, 6, 9] {
        let mut payload = miniz_oxide::deflate::compress_to_vec_zlib(&block, level);
        payload.resize(payload.len().next_multiple_of(PADDING), 0);
        let mut again = vec![0; block.len()];
        decompress(number::GZIP_1 + level - 1, &payload, &mut again).unwrap();
        assert!(again == block);
        let mut longer = vec![0; block.len() + 512];
        assert!(decompress(number::GZIP_1, &payload, &mut longer).is_err());
        let mut shorter = vec![0; block.len() - 512];
        assert!(decompress(number::GZIP_1, &payload, &mut shorter).is_err());
    }
}

/// LZJB after its description, with the nearest match there is.
fn lzjb(block: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut at = 0;
    while at < block.len() {
        let flags = payload.len();
        payload.push(0);
        for flag in 0..8 {
            if at == block.len() {
                break;
            }
            let mut best = (0, 0);
            for back in 1..=at.min(1023) {
                let length = (at..block.len().min(at + 66))
                    .take_while(|&here| block[here] == block[here - back])
                    .count();
                if length > best.0 {
                    best = (length, back);
                }
            }
            let (length, back) = best;
            if length >= 3 {
                payload[flags] |= 1 << flag;
                payload.push(((length - 3) << 2 | back >> 8) as u8);
                payload.push(back as u8);
                at += length;
            } else {
                payload.push(block[at]);
                at += 1;
            }
        }
    }
    payload
}

/// ZLE after its description.
fn zle(block: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut rest = block;
    while let Some(&first) = rest.first() {
        let zero = first == 0;
        let most = if zero { 192 } else { 64 };
        let run = rest
            .iter()
            .take(most)
            .take_while(|&&byte| (byte == 0) == zero);
        let run = run.count();
        payload.push((run - 1 + if zero { 64 } else { 0 }) as u8);
        if !zero {
            payload.extend_from_slice(&rest[..run]);
        }
        rest = &rest[run..];
    }
    payload
}

#[test]
fn lzjb_is_read_as_it_is_described() {
    // "abc", then a match of 3 at 3 back, then "d", then one that overlaps what
    // it makes.
    let payload = [0b0010_1000, b'a', b'b', b'c', 0, 3, b'd', (6 << 2), 1, 0, 0];
    let mut block = [0; 16];
    decompress(number::LZJB, &payload, &mut block).unwrap();
    assert_eq!(&block, b"abcabcdddddddddd");
    // A match may tell of more than the block holds.
    let mut block = [0; 10];
    decompress(number::LZJB, &payload, &mut block).unwrap();
    assert_eq!(&block, b"abcabcdddd");
    let before = [1, 0, 1];
    assert!(decompress(number::LZJB, &before, &mut [0; 512]).is_err());
    let nowhere = [0b10, b'a', 0, 0];
    assert!(decompress(number::LZJB, &nowhere, &mut [0; 512]).is_err());
    assert!(decompress(number::LZJB, &payload[..5], &mut [0; 16]).is_err());
}

#[test]
fn lzjbs_matches_reach_a_thousand_bytes_back() {
    let mut state = 7_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for back in [255, 256, 511, 512, 767, 768, 1023] {
        let mut block: Vec<u8> = std::iter::repeat_with(&mut noise).take(back).collect();
        block.extend_from_within(..60);
        let payload = lzjb(&block);
        // It found the match: 60 bytes became two.
        assert!(payload.len() < back + back.div_ceil(8) + 20, "{back}");
        let mut again = vec![0; block.len()];
        decompress(number::LZJB, &payload, &mut again).unwrap();
        assert!(again == block, "{back}");
    }
}

#[test]
fn zle_is_read_as_it_is_described() {
    // Three plain bytes, four zeros, one plain byte.
    let payload = [2, b'a', b'b', b'c', 64 + 3, 0, b'd'];
    let mut block = [1; 8];
    decompress(number::ZLE, &payload, &mut block).unwrap();
    assert_eq!(&block, b"abc\0\0\0\0d");
    assert!(decompress(number::ZLE, &payload, &mut [1; 9]).is_err());
    assert!(decompress(number::ZLE, &payload, &mut [1; 6]).is_err());
    assert!(decompress(number::ZLE, &[2, 0], &mut [1; 3]).is_err());
    // The longest run.
    let mut block = [1; 192];
    decompress(number::ZLE, &[255], &mut block).unwrap();
    assert_eq!(block, [0; 192]);
}

#[test]
fn heads_that_lie_are_told() {
    let long = [0, 0, 4, 0, 1, 2, 3, 4];
    for compression in [number::LZ4, number::ZSTD] {
        let Err(Problem::BadLength { stated: 1024, .. }) =
            decompress(compression, &long, &mut [0; 512])
        else {
            panic!("taken");
        };
        assert!(decompress(compression, &[0; 3], &mut [0; 512]).is_err());
        assert!(decompress(compression, &[], &mut [0; 512]).is_err());
    }
    let level = [0, 0, 0, 1, 0, 40, 4, 77, 0];
    assert_eq!(
        decompress(number::ZSTD, &level, &mut [0; 512]),
        Err(Problem::BadLevel(77))
    );
    for unknown in [1, 4, 17, 255] {
        assert_eq!(
            decompress(unknown, &[0; 512], &mut [0; 512]),
            Err(Problem::Unknown(unknown))
        );
    }
    assert!(decompress(0, &[0; 512], &mut [0; 1024]).is_err());
}

proptest! {
    #[test]
    fn any_block_comes_out_as_it_went_in(seed in prop::collection::vec(0_u8..4, 1..64), blocks in 2_usize..40, which in 0_usize..7) {
        let block: Vec<u8> = seed.iter().copied().cycle().take(blocks * 512).collect();
        let compression = all()[which];
        let mut compressor = Compressor::new(compression).unwrap();
        if let Some(payload) = compressor.compress(&block).unwrap() {
            let mut again = vec![0; block.len()];
            decompress(compression.number(), payload, &mut again).unwrap();
            prop_assert!(again == block);
        }
        for (number, payload) in [(number::LZJB, lzjb(&block)), (number::ZLE, zle(&block))] {
            let mut again = vec![1; block.len()];
            decompress(number, &payload, &mut again).unwrap();
            prop_assert!(again == block, "{number}");
        }
    }

    #[test]
    fn any_payload_is_a_block_or_an_error(payload in prop::collection::vec(any::<u8>(), 0..2048), compression in 0_u8..20, length in 0_usize..4096) {
        let mut block = vec![0; length];
        let _ = decompress(compression, &payload, &mut block);
        // With a head that is right, so that the algorithms see it.
        let mut framed = ((payload.len()) as u32).to_be_bytes().to_vec();
        if compression == number::ZSTD {
            framed.extend_from_slice(&[0, 40, 4, 3]);
        }
        framed.extend_from_slice(&payload);
        let _ = decompress(compression, &framed, &mut block);
    }

    #[test]
    fn flipped_bits_never_panic(at in any::<prop::sample::Index>(), bit in 0_u8..8, which in 0_usize..7) {
        let block = text(8192);
        let compression = all()[which];
        let mut compressor = Compressor::new(compression).unwrap();
        let mut payload = compressor.compress(&block).unwrap().unwrap().to_vec();
        let at = at.index(payload.len());
        payload[at] ^= 1 << bit;
        let _ = decompress(compression.number(), &payload, &mut vec![0; 8192]);
    }
}
