//! Eight lanes in 512-bit vectors.

#![allow(
    clippy::incompatible_msrv,
    reason = "build.rs leaves this module out where the compiler is too old for it"
)]

use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm256_set_epi8, _mm256_shuffle_epi8, _mm512_add_epi64,
    _mm512_cvtepu32_epi64, _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::Kernel;
use crate::fletcher::lanes::{Lanes, mix};
use crate::fletcher::{Checksum, STEP};
use crate::nvlist::ByteOrder;

pub(super) fn kernel() -> Option<Kernel> {
    (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx2"))
        .then_some(sums as Kernel)
}

fn sums(bytes: &[u8], order: ByteOrder) -> Checksum {
    // SAFETY: this function is handed out by `kernel` alone, which found that
    // the processor has AVX-512F and AVX2.
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
/// The processor must have AVX-512F and AVX2.
#[target_feature(enable = "avx512f,avx2")]
unsafe fn add<const SWAP: bool>(bytes: &[u8]) -> Lanes<8> {
    let mut lanes = [[0_u64; 8]; 4];
    // SAFETY: loads and stores need no alignment; each load reads 32 of
    // its step's bytes, each store writes the 64 bytes of its array.
    unsafe {
        let swap = _mm256_set_epi8(
            12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, //
            12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
        );
        let mut sums: [__m512i; 4] = [_mm512_setzero_si512(); 4];
        for step in bytes.chunks_exact(STEP) {
            for at in (0..STEP).step_by(32) {
                let mut words = _mm256_loadu_si256(step.as_ptr().add(at).cast());
                if SWAP {
                    words = _mm256_shuffle_epi8(words, swap);
                }
                let mut value = _mm512_cvtepu32_epi64(words);
                for sum in &mut sums {
                    *sum = _mm512_add_epi64(*sum, value);
                    value = *sum;
                }
            }
        }
        for (lane, sum) in lanes.iter_mut().zip(sums) {
            _mm512_storeu_si512(lane.as_mut_ptr().cast(), sum);
        }
    }
    lanes
}
