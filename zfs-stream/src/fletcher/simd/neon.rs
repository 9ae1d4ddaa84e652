//! Four lanes in pairs of 128-bit vectors.

use std::arch::aarch64::{
    uint64x2_t, vaddq_u64, vaddw_high_u32, vaddw_u32, vdupq_n_u64, vget_low_u32, vld1q_u8,
    vreinterpretq_u32_u8, vrev32q_u8, vst1q_u64,
};

use super::Kernel;
use crate::fletcher::Checksum;
use crate::fletcher::lanes::{Lanes, mix};
use crate::nvlist::ByteOrder;

pub(super) fn kernel() -> Option<Kernel> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(sums as Kernel)
}

fn sums(bytes: &[u8], order: ByteOrder) -> Checksum {
    // SAFETY: this function is handed out by `kernel` alone, which found that
    // the processor has NEON.
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
/// The processor must have NEON.
#[target_feature(enable = "neon")]
unsafe fn add<const SWAP: bool>(bytes: &[u8]) -> Lanes<4> {
    let mut lanes = [[0_u64; 4]; 4];
    // SAFETY: loads and stores need no alignment; each load reads the 16 bytes
    // of its chunk, each pair of stores writes the 32 bytes of its array.
    unsafe {
        // Of each sum the lanes 0 and 1, and the lanes 2 and 3.
        let mut sums: [[uint64x2_t; 2]; 4] = [[vdupq_n_u64(0); 2]; 4];
        for chunk in bytes.chunks_exact(16) {
            let mut bytes = vld1q_u8(chunk.as_ptr());
            if SWAP {
                bytes = vrev32q_u8(bytes);
            }
            let words = vreinterpretq_u32_u8(bytes);
            let [first, second, third, fourth] = &mut sums;
            first[0] = vaddw_u32(first[0], vget_low_u32(words));
            first[1] = vaddw_high_u32(first[1], words);
            for half in 0..2 {
                second[half] = vaddq_u64(second[half], first[half]);
                third[half] = vaddq_u64(third[half], second[half]);
                fourth[half] = vaddq_u64(fourth[half], third[half]);
            }
        }
        for (lane, [low, high]) in lanes.iter_mut().zip(sums) {
            vst1q_u64(lane.as_mut_ptr(), low);
            vst1q_u64(lane.as_mut_ptr().add(2), high);
        }
    }
    lanes
}
