//! zfs-stream beside zstream, OpenZFS' Fletcher-4 and the pipeline of mbuffer,
//! pv and sha256sum: on this host, whose processor they all are measured on.
//!
//! The peers are those of the ZFS machine's root, run by its own loader.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::series::Series;
use crate::{
    cargo::{self, Destination},
    vm::{self, Suite},
};

/// What a line of JSON of `bench-stream fletcher` says.
#[derive(serde::Deserialize)]
struct Ours {
    length: u64,
    implementation: String,
    #[serde(rename = "ours")]
    rate: f64,
    read_only: f64,
}

/// And one of OpenZFS'.
#[derive(serde::Deserialize)]
struct Theirs {
    implementation: String,
    rate: f64,
}

/// A run: seconds, and the most anonymous memory that was seen.
struct Run {
    seconds: f64,
    anonymous_kib: u64,
}

/// Where everything is.
struct Bench {
    root: PathBuf,
    ours: PathBuf,
    tool: PathBuf,
    stream: PathBuf,
    tree: PathBuf,
    runs: u32,
}

/// How many the compound stream has.
const SUBSTREAMS: u64 = 20_000;

/// Measures, and gives the table.
pub fn stream(mib: u64, runs: u32) -> Result<String> {
    let image = vm::build(Suite::Trixie)?;
    let programs = cargo::build(
        Destination::Host,
        &[
            "build",
            "--release",
            "-p",
            "benches",
            "--bin",
            "bench-stream",
            "-p",
            "examples",
            "--bin",
            "zfs-streamdump",
        ],
    )?;
    let program = |name: &str| {
        let mut found = programs.iter().filter(|program| program.name == name);
        let program = found.next().map(|program| program.file.clone());
        program.with_context(|| format!("cargo built no {name}"))
    };
    let folder = tempfile::tempdir().context("cannot make a folder for the stream")?;
    let bench = Bench {
        root: image.root,
        ours: program("zfs-streamdump")?,
        tool: program("bench-stream")?,
        stream: folder.path().join("stream"),
        tree: folder.path().join("tree"),
        runs,
    };
    let mut make = Command::new(&bench.tool);
    make.arg("make").arg(&bench.stream).arg(mib.to_string());
    once(&mut make)?;
    let mut make = Command::new(&bench.tool);
    make.arg("tree")
        .arg(&bench.tree)
        .arg(SUBSTREAMS.to_string());
    once(&mut make)?;
    // Into the page cache, and there it stays.
    let bytes = fs::read(&bench.stream)?.len();
    bench.table(bytes, folder.path())
}

impl Bench {
    fn table(&self, bytes: usize, folder: &Path) -> Result<String> {
        let mut text = format!(
            "A stream of {bytes} bytes in the page cache, blocks of 128 KiB, {} runs of each in turn, {} processors ({}), OpenZFS {}.\n\n",
            self.runs,
            thread::available_parallelism()?,
            processor(),
            self.version()?,
        );
        text.push_str(
            "| | ours | peer | ours is so many times as fast |\n| --- | --- | --- | --- |\n",
        );
        let quoted = |path: &Path| path.display().to_string();
        let peer = |name: &str| format!("{} {}", self.loader(), quoted(&self.root.join(name)));
        let stream = quoted(&self.stream);
        let ours = quoted(&self.ours);
        let mut memory = Vec::new();
        let mut row = |name: &str, ours: &str, theirs: &str, runs: u32| -> Result<()> {
            let (mine, other) = Self::pair(ours, theirs, runs)?;
            let peak = mine.iter().map(|run| run.anonymous_kib).max().unwrap_or(0);
            memory.push(format!("{name}: {:.1}", peak as f64 / 1024.0));
            let none = "nothing was measured";
            let series = |runs: &[Run]| Series::new(runs.iter().map(|run| run.seconds).collect());
            let mine = series(&mine).context(none)?;
            let other = series(&other).context(none)?;
            writeln!(
                text,
                "| {name} | {:.3} s ({:.3} to {:.3}) | {:.3} s ({:.3} to {:.3}) | {:.2} |",
                mine.median(),
                mine.least(),
                mine.most(),
                other.median(),
                other.least(),
                other.most(),
                other.median() / mine.median(),
            )?;
            Ok(())
        };
        row(
            "`verify` and `zstream dump`",
            &format!("{ours} verify {stream}"),
            &format!("{} dump {stream}", peer("usr/sbin/zstream")),
            self.runs,
        )?;
        row(
            "`dump` and `zstream dump`",
            &format!("{ours} dump {stream}"),
            &format!("{} dump {stream}", peer("usr/sbin/zstream")),
            self.runs,
        )?;
        row(
            "`verify`, and a loop that only reads the file on all cores",
            &format!("{ours} verify {stream}"),
            &format!("{} read {stream}", quoted(&self.tool)),
            self.runs,
        )?;
        row(
            "the verifying stage between two pipes, and `cat` between them",
            &format!("cat {stream} | {} check | cat", quoted(&self.tool)),
            &format!("cat {stream} | cat | cat"),
            self.runs,
        )?;
        row(
            "buffer, progress, BLAKE3 and SHA-256 in one process; `mbuffer`, `pv`, `tee` and `sha256sum`",
            &format!("{} stages {stream}", quoted(&self.tool)),
            &format!(
                "{} -q -s 128k -m 16M -i {stream} | {} -q | {{ tee /dev/fd/3 | {} >&4; }} 3>&1 4>&1",
                peer("usr/bin/mbuffer"),
                peer("usr/bin/pv"),
                peer("usr/bin/sha256sum"),
            ),
            self.runs,
        )?;
        row(
            "the same, and `sha256sum` alone",
            &format!("{} stages {stream}", quoted(&self.tool)),
            &format!("{} {stream}", peer("usr/bin/sha256sum")),
            self.runs,
        )?;
        let tree = quoted(&self.tree);
        for (name, command) in [
            (
                format!("`dump --json` and `zstream dump` of {SUBSTREAMS} substreams"),
                "dump --json",
            ),
            (
                format!("`verify` and `zstream dump` of {SUBSTREAMS} substreams"),
                "verify",
            ),
        ] {
            row(
                &name,
                &format!("{ours} {command} {tree}"),
                &format!("{} dump {tree}", peer("usr/sbin/zstream")),
                self.runs,
            )?;
        }
        // Seconds for each: three are enough.
        for to in ["lz4", "zstd"] {
            row(
                &format!("`recompress {to}` and `zstream recompress {to}`"),
                &format!("{ours} recompress {to} < {stream}"),
                &format!("{} recompress {to} < {stream}", peer("usr/sbin/zstream")),
                self.runs.min(3),
            )?;
        }
        writeln!(
            text,
            "\nMost anonymous memory of ours, in MiB: {}.\n",
            memory.join("; ")
        )?;
        text.push_str(&self.fletcher(folder)?);
        Ok(text)
    }

    /// Runs both in turn, so that what else the host does meets both.
    fn pair(ours: &str, theirs: &str, runs: u32) -> Result<(Vec<Run>, Vec<Run>)> {
        let (mut mine, mut other) = (Vec::new(), Vec::new());
        // Once each unmeasured: libraries come from the disk.
        timed(ours)?;
        timed(theirs)?;
        for _ in 0..runs {
            mine.push(timed(ours)?);
            other.push(timed(theirs)?);
        }
        Ok((mine, other))
    }

    /// The root's loader with its libraries, as a shell's words.
    fn loader(&self) -> String {
        let [loader, libraries] = self.loader_parts().map(|path| path.display().to_string());
        format!("{loader} --library-path {libraries}")
    }

    fn loader_parts(&self) -> [PathBuf; 2] {
        ["lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"].map(|part| self.root.join(part))
    }

    fn version(&self) -> Result<String> {
        let status = fs::read_to_string(self.root.join("var/lib/dpkg/status"))?;
        let mut packages = status.split("\n\n");
        let package = packages.find(|package| package.starts_with("Package: zfsutils-linux\n"));
        let mut lines = package.unwrap_or_default().lines();
        let version = lines.find_map(|line| line.strip_prefix("Version: "));
        Ok(version
            .context("the machine's root has no zfsutils-linux")?
            .to_owned())
    }

    fn fletcher(&self, folder: &Path) -> Result<String> {
        let source = cargo::workspace().join("xtask/src/bench/openzfs-fletcher.c");
        let program = folder.join("openzfs-fletcher");
        let mut compile = Command::new("cc");
        compile
            .arg("-O2")
            .arg("-o")
            .arg(&program)
            .arg(source)
            .arg("-ldl");
        once(&mut compile).context("cannot compile what measures OpenZFS' Fletcher-4")?;
        let [loader, libraries] = self.loader_parts();
        let mut theirs = Command::new(loader);
        theirs.arg("--library-path").arg(&libraries).arg(program);
        theirs.arg(library(&libraries)?);
        let theirs = String::from_utf8(once(&mut theirs)?)?;
        let ours = String::from_utf8(once(Command::new(&self.tool).arg("fletcher"))?)?;
        let mut text = String::from(
            "| Fletcher-4, GB/s | ours | OpenZFS' | only reading | ours ÷ the lesser |\n| --- | --- | --- | --- | --- |\n",
        );
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            let ours: Ours = serde_json::from_str(ours)?;
            let theirs: Theirs = serde_json::from_str(theirs)?;
            let length = if ours.length < 1 << 20 {
                format!("{} KiB, in the cache", ours.length >> 10)
            } else {
                format!("{} MiB, not in the cache", ours.length >> 20)
            };
            writeln!(
                text,
                "| {length} | {:.1} ({}) | {:.1} ({}) | {:.1} | {:.2} |",
                ours.rate / 1e9,
                ours.implementation,
                theirs.rate / 1e9,
                theirs.implementation,
                ours.read_only / 1e9,
                ours.rate / theirs.rate.min(ours.read_only),
            )?;
        }
        Ok(text)
    }
}

/// libzfs with the number that this release has.
fn library(folder: &Path) -> Result<OsString> {
    let mut names = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let is_it = |name: &OsString| {
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("libzfs.so."));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    names
        .find(is_it)
        .context("the machine's root has no libzfs")
}

/// A command's output; it must succeed.
fn once(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{command:?} failed ({})", output.status);
    }
    Ok(output.stdout)
}

/// Runs a line of shell with its output thrown away, and looks at its memory.
fn timed(line: &str) -> Result<Run> {
    let started = Instant::now();
    // A program by itself takes the shell's place, so that its memory is seen.
    let line = if line.contains('|') {
        line.to_owned()
    } else {
        format!("exec {line}")
    };
    let mut child = Command::new("sh")
        .args(["-c", &line])
        .stdout(File::create("/dev/null")?)
        .spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let watcher = thread::spawn(move || {
        let mut most = 0;
        while let Ok(text) = fs::read_to_string(&status) {
            let anonymous = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
            let Some(anonymous) = anonymous else { break };
            let kib = anonymous
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .unwrap_or(0);
            most = most.max(kib);
            thread::sleep(Duration::from_millis(5));
        }
        most
    });
    let ended = child.wait()?;
    let seconds = started.elapsed().as_secs_f64();
    if !ended.success() {
        bail!("{line} failed ({ended})");
    }
    let anonymous_kib = watcher.join().unwrap_or(0);
    Ok(Run {
        seconds,
        anonymous_kib,
    })
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}
