//! Fletcher-4: every implementation that this processor has, in both byte
//! orders, beside a loop that only reads the same memory.
//!
//! Two sizes: 128 KiB stays in the cache (a record's payload just read), 256 MiB
//! does not (a stream in the page cache).

#![expect(
    missing_docs,
    reason = "criterion_group! makes an undocumented function"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use zfs_stream::fletcher::{Checksum, Implementation};
use zfs_stream::nvlist::ByteOrder;

/// Touches every byte and computes next to nothing: the memory's own speed.
fn read_only(bytes: &[u8]) -> u64 {
    let mut sums = [0_u64; 8];
    for chunk in bytes.chunks_exact(64) {
        for (sum, word) in sums.iter_mut().zip(chunk.chunks_exact(8)) {
            *sum ^= word
                .first_chunk()
                .map_or(0, |&word| u64::from_ne_bytes(word));
        }
    }
    sums.into_iter().fold(0, |all, sum| all ^ sum)
}

fn fletcher(criterion: &mut Criterion) {
    for (name, length) in [("128KiB", 128 << 10), ("256MiB", 256 << 20)] {
        let bytes = vec![0x5a_u8; length];
        let mut group = criterion.benchmark_group(format!("fletcher4/{name}"));
        group.throughput(Throughput::Bytes(length as u64));
        group.sample_size(20);
        group.bench_function("read-only", |bencher| {
            bencher.iter(|| read_only(black_box(&bytes)));
        });
        for implementation in Implementation::ALL {
            if !implementation.is_available() {
                continue;
            }
            for (order, swapped) in [
                (ByteOrder::NATIVE, "native"),
                (other(ByteOrder::NATIVE), "swapped"),
            ] {
                group.bench_function(format!("{}/{swapped}", implementation.name()), |bencher| {
                    bencher.iter(|| {
                        let mut sums = Checksum::ZERO;
                        implementation.update(&mut sums, black_box(&bytes), order);
                        sums
                    });
                });
            }
        }
        group.finish();
    }
}

fn other(order: ByteOrder) -> ByteOrder {
    match order {
        ByteOrder::Little => ByteOrder::Big,
        ByteOrder::Big => ByteOrder::Little,
    }
}

criterion_group!(benches, fletcher);
criterion_main!(benches);
