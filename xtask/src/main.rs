//! The project's own commands: `cargo xtask vm`, `test`, `demo`, `bench`.

mod bench;
mod bindgen;
mod cargo;
mod demo;
mod msrv;
mod test;
mod vm;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
enum Xtask {
    /// The ZFS machine that tests run in
    Vm(vm::Vm),
    /// All tests: on the host what needs no ZFS, the rest in the ZFS machine
    Test(test::Test),
    /// Check the workspace with the oldest compiler it supports, Debian 13's
    Msrv,
    Bindgen(bindgen::Bindgen),
    /// Measure, and write docs/COMPARE.md
    Bench(bench::Bench),
    /// Two pools, three rounds of change and replication, and every byte compared
    Demo(demo::Demo),
}

fn main() -> ExitCode {
    let result = match Xtask::parse() {
        Xtask::Vm(vm) => vm.run(),
        Xtask::Test(test) => test.run(),
        Xtask::Msrv => msrv::run(),
        Xtask::Bindgen(bindgen) => bindgen.run(),
        Xtask::Bench(bench) => bench.run(),
        Xtask::Demo(demo) => demo.run(),
    };
    result.unwrap_or_else(|error| {
        if error.is::<vm::Interrupted>() {
            return ExitCode::from(130);
        }
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
