//! What is measured inside the ZFS machine, run there by `cargo xtask bench`.

mod list;
mod peers;
mod pool;
mod stream;

use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["send", mib, runs] => numbers([mib, runs]).and_then(stream::send),
        ["replicate", mib, runs] => numbers([mib, runs]).and_then(stream::replicate),
        ["list", snapshots, runs] => numbers([snapshots, runs]).and_then(list::list),
        ["peers", datasets, snapshots, runs, minutes, mib] => {
            numbers([datasets, snapshots, runs, minutes, mib]).and_then(
                |[datasets, snapshots, runs, minutes, mib]| {
                    let rounds = peers::Rounds::new(runs, minutes);
                    peers::one(mib, rounds);
                    peers::many([datasets, snapshots], rounds)
                },
            )
        }
        _ => {
            eprintln!(
                "usage: bench-zfs send MIB RUNS | replicate MIB RUNS | list SNAPSHOTS RUNS \
                 | peers DATASETS SNAPSHOTS RUNS MINUTES MIB"
            );
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-zfs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn numbers<const N: usize>(words: [&str; N]) -> Result<[u64; N]> {
    let mut numbers = [0; N];
    for (number, word) in numbers.iter_mut().zip(words) {
        *number = word.parse()?;
    }
    Ok(numbers)
}
