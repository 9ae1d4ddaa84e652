//! All implementations against the scalar one, and that one against its
//! definition.

use proptest::prelude::*;

use super::*;

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// The sums by their closed form: the r-th word from the end counts once, r
/// times, r(r+1)/2 times, r(r+1)(r+2)/6 times.
fn by_definition(words: &[u32]) -> Checksum {
    let mut sums = [0_u64; 4];
    for (index, &word) in words.iter().enumerate() {
        let r = (words.len() - index) as u64;
        let weights = [1, r, r * (r + 1) / 2, r * (r + 1) * (r + 2) / 6];
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum = sum.wrapping_add(weight.wrapping_mul(u64::from(word)));
        }
    }
    Checksum(sums)
}

fn scalar(bytes: &[u8], order: ByteOrder) -> Checksum {
    let mut sums = Checksum::ZERO;
    Implementation::Scalar.update(&mut sums, bytes, order);
    sums
}

/// Bytes that look random.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn scalar_sums_are_by_definition() {
    let bytes = noise(4_000);
    for order in ORDERS {
        let words: Vec<_> = bytes
            .chunks_exact(4)
            .map(|chunk| order.u32(chunk.try_into().unwrap()))
            .collect();
        assert_eq!(scalar(&bytes, order), by_definition(&words));
    }
}

#[test]
fn every_available_implementation_equals_scalar_at_every_length() {
    let bytes = noise(SHORT + 3 * STEP + 7);
    for implementation in Implementation::ALL {
        for order in ORDERS {
            for length in 0..bytes.len() {
                let mut sums = Checksum([1, 2, 3, u64::MAX]);
                let mut expected = sums;
                implementation.update_at_once(&mut sums, &bytes[..length], order);
                scalar::update(&mut expected.0, &bytes[..length], order);
                assert_eq!(sums, expected, "{implementation:?} {order:?} {length}");
            }
        }
    }
}

/// Large words and long runs: all sums overflow.
#[test]
fn overflowing_sums_wrap_alike() {
    let bytes = vec![0xff; 4 << 20];
    let expected = scalar(&bytes, ByteOrder::Little);
    for implementation in Implementation::ALL {
        let mut sums = Checksum::ZERO;
        implementation.update(&mut sums, &bytes, ByteOrder::Little);
        assert_eq!(sums, expected, "{implementation:?}");
    }
}

#[test]
fn this_processor_has_what_it_says() {
    #[cfg(target_arch = "x86_64")]
    assert_eq!(
        Implementation::Avx2.is_available(),
        is_x86_feature_detected!("avx2")
    );
    assert!(Implementation::fastest().is_available());
    assert_ne!(Implementation::fastest(), Implementation::Scalar);
}

#[test]
fn parts_too_long_for_64_bit_coefficients_combine() {
    // Zeros after one word: its weights are the coefficients themselves, for a
    // length whose n(n+1)(n+2) exceeds 64 bits and then 128.
    for (length, pairs, triples) in [
        (1_u64 << 32, 0x0800_0000_2000_0000, 0xb2aa_aaaa_c000_0000),
        (1 << 63, 0x1000_0000_0000_0000, 0x6000_0000_0000_0000),
    ] {
        let one = Checksum([1, 1, 1, 1]);
        let Checksum([first, second, third, fourth]) = one.combine(Checksum::ZERO, length);
        let n = length / 4;
        assert_eq!((first, second), (1, n + 1));
        assert_eq!(third, 1_u64.wrapping_add(n).wrapping_add(pairs));
        assert_eq!(fourth, third.wrapping_add(triples));
    }
}

proptest! {
    #[test]
    fn implementations_agree(bytes in prop::collection::vec(any::<u8>(), 0..4_000), big: bool) {
        let order = ORDERS[usize::from(big)];
        let expected = scalar(&bytes, order);
        for implementation in Implementation::ALL {
            let mut sums = Checksum::ZERO;
            implementation.update(&mut sums, &bytes, order);
            prop_assert_eq!(sums, expected);
            let mut sums = Checksum::ZERO;
            implementation.update_at_once(&mut sums, &bytes, order);
            prop_assert_eq!(sums, expected);
        }
    }

    #[test]
    fn pieces_sum_as_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..3_000),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        big: bool,
    ) {
        let order = ORDERS[usize::from(big)];
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut running = Fletcher4::new(order);
        let mut at = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            running.update(&bytes[at..cut]);
            at = cut;
        }
        prop_assert_eq!(running.finish(), scalar(&bytes, order));
    }

    #[test]
    fn parts_combine_to_the_whole(words in prop::collection::vec(any::<[u8; 4]>(), 0..600), cut: prop::sample::Index) {
        let bytes = words.as_flattened();
        let (left, right) = bytes.split_at(4 * cut.index(words.len() + 1));
        let order = ByteOrder::Little;
        let combined = scalar(left, order).combine(scalar(right, order), right.len() as u64);
        prop_assert_eq!(combined, scalar(bytes, order));
    }
}
