//! Four lanes in 256-bit vectors.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm_set_epi8, _mm_shuffle_epi8, _mm256_add_epi64,
    _mm256_cvtepu32_epi64, _mm256_setzero_si256, _mm256_storeu_si256,
};

use super::Kernel;
use crate::fletcher::lanes::{Lanes, mix};
use crate::fletcher::{Checksum, STEP};
use crate::nvlist::ByteOrder;

pub(super) fn kernel() -> Option<Kernel> {
    is_x86_feature_detected!("avx2").then_some(sums as Kernel)
}

fn sums(bytes: &[u8], order: ByteOrder) -> Checksum {
    // SAFETY: this function is handed out by `kernel` alone, which found that
    // the processor has AVX2.
    let lanes = unsafe {
        match order {
            ByteOrder::Little => add::<false>(bytes),
            ByteOrder::Big => add::<true>(bytes),
        }
    };
    mix(&lanes)
}

/// # Safety
///
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
unsafe fn add<const SWAP: bool>(bytes: &[u8]) -> Lanes<4> {
    let mut lanes = [[0_u64; 4]; 4];
    // SAFETY: loads and stores need no alignment; each load reads 16 of
    // its step's bytes, each store writes the 32 bytes of its array.
    unsafe {
        let swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
        let mut sums: [__m256i; 4] = [_mm256_setzero_si256(); 4];
        for step in bytes.chunks_exact(STEP) {
            for at in (0..STEP).step_by(16) {
                let mut words = _mm_loadu_si128(step.as_ptr().add(at).cast());
                if SWAP {
                    words = _mm_shuffle_epi8(words, swap);
                }
                let mut value = _mm256_cvtepu32_epi64(words);
                for sum in &mut sums {
                    *sum = _mm256_add_epi64(*sum, value);
                    value = *sum;
                }
            }
        }
        for (lane, sum) in lanes.iter_mut().zip(sums) {
            _mm256_storeu_si256(lane.as_mut_ptr().cast(), sum);
        }
    }
    lanes
}
