//! A pool, and commands about it.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A pool on a sparse file, gone when the test ends.
pub struct Pool {
    name: String,
    pub folder: tempfile::TempDir,
}

impl Pool {
    pub fn new() -> Pool {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("streamdump-{}-{number}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        File::create(&disk).unwrap().set_len(256 << 20).unwrap();
        let mount = format!("mountpoint={}", folder.path().join("mnt").display());
        let disk = disk.to_str().unwrap();
        run(&[
            "zpool",
            "create",
            "-o",
            "cachefile=none",
            "-O",
            &mount,
            "-O",
            "atime=off",
            &name,
            disk,
        ]);
        Pool { name, folder }
    }

    pub fn dataset(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    pub fn mount(&self, name: &str) -> PathBuf {
        self.folder.path().join("mnt").join(name)
    }

    /// A snapshot of a volume with 900,000 bytes of text.
    pub fn volume(&self, properties: &[&str]) -> String {
        let volume = self.dataset("volume");
        let mut command = vec!["zfs", "create", "-V", "4M", "-o", "volblocksize=16k"];
        for property in properties {
            command.extend(["-o", property]);
        }
        command.push(&volume);
        run(&command);
        let mut disk = open_device(&volume);
        disk.write_all(&text(900_000)).unwrap();
        disk.sync_all().unwrap();
        drop(disk);
        let snapshot = format!("{volume}@1");
        run(&["zfs", "snapshot", &snapshot]);
        snapshot
    }

    /// A filesystem with files, and two snapshots.
    pub fn filled(&self, name: &str, properties: &[&str]) -> String {
        let dataset = self.dataset(name);
        let mut command = vec!["zfs", "create"];
        for property in properties {
            command.extend(["-o", property]);
        }
        command.push(&dataset);
        run(&command);
        let files = self.mount(name);
        write(&files.join("text"), &text(1_300_000));
        write(&files.join("noise"), &noise(300_000));
        write(&files.join("tiny"), b"tiny");
        write(&files.join("small"), &text(3_000));
        write(&files.join("equal"), &text(1_300_000));
        std::os::unix::fs::symlink("text", files.join("link")).unwrap();
        let mut sparse = File::create(files.join("sparse")).unwrap();
        sparse.set_len(2 << 20).unwrap();
        sparse.write_all(&text(10_000)).unwrap();
        drop(sparse);
        run(&["zfs", "snapshot", &format!("{dataset}@1")]);
        write(&files.join("text"), &text(700_000)[5..]);
        fs::remove_file(files.join("tiny")).unwrap();
        write(&files.join("new"), &text(9_000));
        run(&["zfs", "snapshot", &format!("{dataset}@2")]);
        dataset
    }

    /// The files of both are equal.
    #[track_caller]
    pub fn same(&self, one: &str, other: &str) {
        let [one, other] = [one, other].map(|name| self.mount(name).display().to_string());
        let count = fs::read_dir(&other).unwrap().count();
        assert!(count >= 6, "only {count} files in {other}");
        run(&["diff", "-r", "--no-dereference", &one, &other]);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = Command::new("zpool")
            .args(["destroy", "-f", &self.name])
            .status();
    }
}

/// udev makes the name some time after ZFS made the device.
fn open_device(volume: &str) -> File {
    let device = format!("/dev/zvol/{volume}");
    let started = Instant::now();
    loop {
        match File::options().write(true).open(&device) {
            Ok(file) => return file,
            Err(error) => assert!(started.elapsed().as_secs() < 120, "{device}: {error}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// Lines, so that every compression has something to do.
pub fn text(length: usize) -> Vec<u8> {
    let lines =
        (0_u64..).flat_map(|number| format!("line {number}, {}\n", number % 97).into_bytes());
    lines.take(length).collect()
}

pub fn noise(length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let random = File::open("/dev/urandom").unwrap();
    random.take(length).read_to_end(&mut bytes).unwrap();
    bytes
}

#[track_caller]
pub fn run(command: &[&str]) -> Vec<u8> {
    let output = feed(command, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output.stdout
}

/// Runs a command with that on its standard input.
#[track_caller]
pub fn feed(command: &[&str], input: &[u8]) -> Output {
    let (program, arguments) = command.split_first().unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        // Who refuses does not read to the end.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

pub fn streamdump() -> String {
    let folder = env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets ZFS_TEST_BIN_DIR");
    format!("{folder}/zfs-streamdump")
}

/// Through zfs-streamdump.
#[track_caller]
pub fn through(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let binary = streamdump();
    let command = [&[binary.as_str()], arguments].concat();
    let output = feed(&command, input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output.stdout
}

#[track_caller]
pub fn send(arguments: &[&str]) -> Vec<u8> {
    run(&[&["zfs", "send"], arguments].concat())
}

#[track_caller]
pub fn receive(dataset: &str, stream: &[u8]) {
    let output = feed(&["zfs", "receive", dataset], stream);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "receive {dataset}: {said}");
}

pub fn version() -> (u32, u32) {
    let text = fs::read_to_string("/sys/module/zfs/version").unwrap();
    let mut numbers = text
        .split(['.', '-'])
        .map(|part| part.trim().parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}
