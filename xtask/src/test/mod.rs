//! `cargo xtask test`: what needs no ZFS runs on the host; what needs it is
//! built on the host and runs in the ZFS machine.

mod conformance;
mod totals;

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{
    conformance::{Ran, Table},
    totals::{Lines, Totals},
};
use crate::{
    cargo::{self, Destination, Program},
    vm::{self, Machine, Outcome, Suite},
};

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
#[command(after_help = "Examples:
  cargo xtask test                          everything: host, then OpenZFS 2.3 in the machine
  cargo xtask test --all-suites             the same with OpenZFS 2.1, 2.3 and 2.4
  cargo xtask test --zfs-only --target zfs_send_receive resume   some tests in the machine

Tests that need ZFS stand in CRATE/tests/zfs_*.rs. One that could not run is a failure.")]
pub struct Test {
    /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
    #[arg(long, value_enum, default_value_t = Suite::Trixie)]
    suite: Suite,
    /// One machine after another: OpenZFS 2.1, 2.3 and 2.4
    #[arg(long, conflicts_with_all = ["suite", "host"])]
    all_suites: bool,
    /// Run ZFS tests with this host's own ZFS, as root, on pools made from files
    #[arg(long)]
    host: bool,
    /// Leave out the tests that need no ZFS
    #[arg(long)]
    zfs_only: bool,
    /// Add the campaigns that take hours, and valgrind
    #[arg(long)]
    long: bool,
    /// Run zfs-core's tests in the machine under valgrind, and no others
    #[arg(long, conflicts_with = "host", requires = "zfs_only")]
    valgrind: bool,
    /// Only this file of ZFS tests, such as zfs_hold; `*` matches
    #[arg(long, value_name = "NAME", default_value = "zfs_*")]
    target: String,
    /// Limit for the tests of one machine [default: 3900, with --long or --valgrind 21600]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Environment of a ZFS test: the folder with the binaries of this workspace.
const BIN_DIR: &str = "ZFS_TEST_BIN_DIR";
/// Set where the campaigns that take hours are wanted.
const LONG: &str = "ZFS_TEST_LONG";
/// Environment of the property tests, usually and with `--long`: a usual run
/// tries the same cases each time, so that what fails is what was changed; new
/// ones are looked for in long runs.
const PROPERTIES: [(&str, Option<&str>, Option<&str>); 2] = [
    ("PROPTEST_RNG_SEED", Some("1"), None),
    ("PROPTEST_CASES", None, Some("20000")),
];
/// Environment of the layout tests: a folder with OpenZFS' headers.
const HEADERS: &str = "ZFS_SYS_HEADERS";

/// The tests of the crate that has the unsafe calls, watched. What valgrind
/// says fails the program, whatever its tests said: an invalid access, or a
/// block that nothing points to any more. It does not know what /dev/zfs'
/// ioctls write, so undefined values are not looked for.
const VALGRIND: &str = "valgrind -q --error-exitcode=99 --undef-value-errors=no --leak-check=full \
    --show-leak-kinds=definite --errors-for-leak-kinds=definite --num-callers=30 ";

struct Part {
    name: String,
    totals: Totals,
    problem: Option<String>,
    took: Duration,
}

impl Test {
    pub fn run(self) -> Result<ExitCode> {
        let mut parts = Vec::new();
        if !self.zfs_only {
            parts.push(Self::part("host, no ZFS", || self.host_tests())?);
        }
        if !self.zfs_only && !self.host && self.filter.is_none() {
            parts.push(Self::part("the ZFS machine itself", machine_tests)?);
        }
        if self.host {
            parts.push(Self::part("ZFS of this host", || self.zfs_on_host())?);
        } else {
            let suites = if self.all_suites {
                &Suite::ALL[..]
            } else {
                &[self.suite]
            };
            for suite in suites {
                let name = format!("ZFS {} ({suite}) in the machine", suite.openzfs());
                parts.push(Self::part(&name, || self.zfs_in_machine(*suite))?);
            }
        }
        Ok(summarise(&parts))
    }

    fn part(name: &str, run: impl FnOnce() -> Result<(Totals, Option<String>)>) -> Result<Part> {
        eprintln!("test: {name}");
        let started = Instant::now();
        let (totals, problem) = match run() {
            Ok(done) => done,
            Err(error) if error.is::<vm::Interrupted>() => return Err(error),
            Err(error) => (Totals::default(), Some(format!("{error:#}"))),
        };
        Ok(Part {
            name: name.to_owned(),
            totals,
            problem,
            took: started.elapsed(),
        })
    }

    fn host_tests(&self) -> Result<(Totals, Option<String>)> {
        let mut command = cargo::cargo();
        command.args(["test", "--workspace", "--no-fail-fast"]);
        for (name, usual, long) in PROPERTIES {
            let value = if self.long { long } else { usual };
            if let (None, Some(value)) = (std::env::var_os(name), value) {
                command.env(name, value);
            }
        }
        if self.long {
            command.env(LONG, "1");
        }
        if let Some(filter) = &self.filter {
            command.args(["--", filter]);
        }
        run_counting(&mut command)
    }

    fn zfs_in_machine(&self, suite: Suite) -> Result<(Totals, Option<String>)> {
        let image = vm::build(suite)?;
        let (mut totals, mut problem) = self.header_tests(&image.root.join("usr/include"))?;
        let (tests, binaries) = self.build(Destination::Guest(&image.root))?;

        let mut machine = Machine::new(suite);
        let limit = if self.long || self.valgrind {
            21600
        } else {
            3900
        };
        machine.timeout = Duration::from_secs(self.timeout.unwrap_or(limit));
        machine.environment.push((BIN_DIR.into(), "/in/bin".into()));
        if self.long {
            machine.environment.push((LONG.into(), "1".into()));
        }
        for program in &binaries {
            machine.copy_in.push((
                program.file.clone(),
                PathBuf::from("bin").join(&program.name),
            ));
        }
        let mut script = String::from("status=0\n");
        for test in &tests {
            machine.copy_in.push((test.file.clone(), inside_path(test)));
        }
        let watched: Vec<&Program> = if self.long || self.valgrind {
            tests
                .iter()
                .filter(|test| test.package == "zfs-core")
                .collect()
        } else {
            Vec::new()
        };
        let plain: Vec<&Program> = if self.valgrind {
            Vec::new()
        } else {
            tests.iter().collect()
        };
        for (under, test) in plain
            .iter()
            .map(|test| ("", test))
            .chain(watched.iter().map(|test| (VALGRIND, test)))
        {
            writeln!(
                script,
                "echo; echo '=== {} {}{}'; {under}{} {} || status=1",
                test.package,
                test.name,
                if under.is_empty() {
                    ""
                } else {
                    " under valgrind"
                },
                inside_path(test).display(),
                self.runner_arguments().join(" "),
            )?;
        }
        script.push_str("exit $status\n");

        let (mut lines, mut inside) = (Lines::default(), Totals::default());
        let mut ran = Ran::default();
        let outcome = machine.run(
            &["sh".into(), "-c".into(), script.into()],
            &mut |stream, bytes| {
                if stream == vm::Stream::Stdout {
                    lines.push(bytes, |line| {
                        inside.line(line);
                        ran.line(line);
                    });
                }
                vm::pass_on(stream, bytes);
            },
        )?;
        let expected = plain.len() + watched.len();
        problem = problem.or_else(|| check(&inside, expected, outcome == Outcome::Exited(0)));
        problem = problem.or(self.conformance(&ran)?);
        totals.add(inside);
        Ok((totals, problem))
    }

    fn zfs_on_host(&self) -> Result<(Totals, Option<String>)> {
        if !rustix::process::geteuid().is_root() {
            bail!("tests on the host's own ZFS make pools from files, which needs root");
        }
        if !std::path::Path::new("/dev/zfs").exists() {
            bail!("this host has no /dev/zfs; without --host the tests run in the ZFS machine");
        }
        let (tests, binaries) = self.build(Destination::Host)?;
        let folder = binaries
            .first()
            .and_then(|program| program.file.parent())
            .context("cargo built no binaries")?;
        let mut totals = Totals::default();
        let mut good = true;
        let mut ran = Ran::default();
        for test in &tests {
            println!("\n=== {} {}", test.package, test.name);
            let mut command = Command::new(&test.file);
            command.args(self.runner_arguments()).env(BIN_DIR, folder);
            if self.long {
                command.env(LONG, "1");
            }
            ran.line(&format!("=== {} {}", test.package, test.name));
            let (some, problem) = run_counting_lines(&mut command, |line| ran.line(line))?;
            good &= problem.is_none();
            totals.add(some);
        }
        let problem = check(&totals, tests.len(), good).or(self.conformance(&ran)?);
        Ok((totals, problem))
    }

    /// In a run of everything, all that the conformance table names must have
    /// run.
    fn conformance(&self, ran: &Ran) -> Result<Option<String>> {
        if self.filter.is_some() || self.target != "zfs_*" || self.valgrind {
            return Ok(None);
        }
        Ok(Table::read(&cargo::workspace())?.problem(ran))
    }

    /// The layout tests read the headers of the OpenZFS that the machine runs.
    fn header_tests(&self, headers: &std::path::Path) -> Result<(Totals, Option<String>)> {
        if self.filter.is_some() || self.target != "zfs_*" {
            return Ok((Totals::default(), None));
        }
        println!("\n=== zfs-sys headers");
        let mut command = cargo::cargo();
        command
            .args(["test", "-p", "zfs-sys", "--test", "headers"])
            .env(HEADERS, headers);
        run_counting(&mut command)
    }

    /// Test programs, and the binaries that some of them run.
    fn build(&self, destination: Destination) -> Result<(Vec<Program>, Vec<Program>)> {
        let tests = cargo::build(
            destination,
            &[
                "test",
                "--workspace",
                "--no-run",
                "--profile",
                "guest",
                "--test",
                &self.target,
            ],
        )?;
        let binaries = cargo::build(
            destination,
            &[
                "build",
                "--profile",
                "guest",
                "-p",
                "examples",
                "-p",
                "xtask",
                "--bins",
            ],
        )?;
        let tests: Vec<Program> = tests
            .into_iter()
            .filter(|test| test.name.starts_with("zfs_"))
            .collect();
        if tests.is_empty() {
            bail!("no ZFS test is called {}", self.target);
        }
        Ok((tests, binaries))
    }

    fn runner_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--test-threads=4".to_owned()];
        arguments.extend(self.filter.clone());
        arguments
    }
}

/// Where a test program lies in the machine.
fn inside_path(test: &Program) -> PathBuf {
    PathBuf::from("tests").join(format!("{}--{}", test.package, test.name))
}

/// What the machine promises: panics, hangs, power cuts, interrupts.
fn machine_tests() -> Result<(Totals, Option<String>)> {
    vm::build(Suite::Trixie)?;
    let mut command = cargo::cargo();
    command.args([
        "test",
        "-p",
        "xtask",
        "--test",
        "machine",
        "--",
        "--test-threads=2",
    ]);
    run_counting(&mut command)
}

/// What would make the run a lie: a runner without a result, an ignored test.
fn check(totals: &Totals, expected: usize, good: bool) -> Option<String> {
    let expected = expected as u64;
    if totals.results != expected {
        return Some(format!(
            "{} of {expected} test programs gave a result",
            totals.results
        ));
    }
    if totals.ignored > 0 {
        return Some(format!(
            "{} ZFS tests were ignored; one that does not run is a failure",
            totals.ignored
        ));
    }
    (!good && totals.failed == 0).then(|| "a test program failed without naming a test".to_owned())
}

fn run_counting(command: &mut Command) -> Result<(Totals, Option<String>)> {
    run_counting_lines(command, |_| {})
}

fn run_counting_lines(
    command: &mut Command,
    mut each: impl FnMut(&str),
) -> Result<(Totals, Option<String>)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the tests")?;
    let mut totals = Totals::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            totals.line(&line);
            each(&line);
        }
    }
    let status = child.wait()?;
    let problem = (!status.success() && totals.failed == 0).then(|| {
        format!(
            "{} ended with {status}",
            command.get_program().to_string_lossy()
        )
    });
    Ok((totals, problem))
}

fn summarise(parts: &[Part]) -> ExitCode {
    let mut all = Totals::default();
    let mut good = true;
    println!();
    for part in parts {
        println!(
            "{}: {}, in {} s",
            part.name,
            part.totals,
            part.took.as_secs()
        );
        if let Some(problem) = &part.problem {
            println!("    FAILED: {problem}");
            good = false;
            all.failed += 1;
        }
        all.add(part.totals);
    }
    println!("{all}");
    if good && all.failed == 0 && all.passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else `cargo test` runs it on a machine without ZFS.
    #[test]
    fn every_zfs_test_is_kept_out_of_cargo_test() {
        let mut found = 0;
        for krate in std::fs::read_dir(cargo::workspace()).unwrap() {
            let krate = krate.unwrap().path();
            let Ok(tests) = std::fs::read_dir(krate.join("tests")) else {
                continue;
            };
            let manifest = std::fs::read_to_string(krate.join("Cargo.toml")).unwrap();
            let targets: Vec<&str> = manifest.split("\n[").collect();
            for file in tests {
                let file = file.unwrap().file_name().into_string().unwrap();
                let Some(name) = file.strip_suffix(".rs").filter(|it| it.starts_with("zfs_"))
                else {
                    continue;
                };
                found += 1;
                let kept_out = targets.iter().any(|target| {
                    let is_its = target.contains(&format!("name = \"{name}\""))
                        || target.contains(&format!("path = \"tests/{file}\""));
                    is_its && target.contains("test = false")
                });
                assert!(kept_out, "{}: tests/{file}", krate.display());
            }
        }
        assert!(found > 50, "only {found} tests that need ZFS were found");
    }
}
