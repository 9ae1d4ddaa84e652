//! QEMU's command line for one boot.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::build::Image;

/// The channels between the machine and this program, one virtio port each:
/// what the command prints, its answer, and a tar of what it left in `/out`.
pub const PORTS: [&str; 4] = ["ctl", "stdout", "stderr", "results"];

/// A file that is a disk inside, seen inside as `/dev/disk/by-id/virtio-NAME`.
#[derive(Clone, Debug)]
pub struct Disk {
    pub name: String,
    pub file: PathBuf,
    pub changes: Changes,
}

/// What becomes of what the machine writes to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// It is in the file.
    Kept,
    /// It is gone when the machine ends; the file is as it was.
    Forgotten,
}

pub struct Boot<'a> {
    pub image: &'a Image,
    /// The folder with the sockets, the serial log and the tar that goes in.
    pub folder: &'a Path,
    pub disks: &'a [Disk],
    pub memory_mib: u32,
    pub cpus: u32,
    /// The console is the terminal, and there are no ports.
    pub shell: bool,
}

impl Boot<'_> {
    pub fn command(&self) -> Command {
        let tools = &self.image.tools;
        // Ends QEMU when this program ends, however it does.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "--"])
            .arg(tools.join("usr/lib64/ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(tools.join("usr/lib/x86_64-linux-gnu"))
            .arg(tools.join("usr/bin/qemu-system-x86_64"))
            .env(
                "QEMU_MODULE_DIR",
                tools.join("usr/lib/x86_64-linux-gnu/qemu"),
            )
            .arg("-L")
            .arg(tools.join("usr/share/qemu"))
            .arg("-L")
            .arg(tools.join("usr/share/seabios"))
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-nic", "none", "-no-reboot", "-machine", "q35,usb=off"])
            .arg("-m")
            .arg(self.memory_mib.to_string())
            .arg("-smp")
            .arg(self.cpus.to_string())
            .args(accelerator())
            .arg("-kernel")
            .arg(&self.image.kernel)
            .arg("-initrd")
            .arg(&self.image.initrd)
            .arg("-append")
            .arg(KERNEL_ARGUMENTS)
            .args(["-object", "rng-random,id=rng,filename=/dev/urandom"])
            .args([
                "-device",
                "virtio-rng-pci,rng=rng",
                "-device",
                "virtio-serial-pci",
            ]);
        if self.shell {
            qemu.args(["-serial", "mon:stdio"]);
        } else {
            qemu.arg("-serial")
                .arg(prefixed("file:", &self.folder.join("serial.log")));
            for port in PORTS {
                let mut chardev = OsString::from(format!("socket,id={port},path="));
                chardev.push(self.folder.join(port));
                qemu.arg("-chardev").arg(chardev);
                qemu.args([
                    "-device",
                    &format!("virtserialport,chardev={port},name={port}"),
                ]);
            }
        }
        drive(
            &mut qemu,
            "root",
            &self.image.disk,
            "snapshot=on,cache=unsafe",
        );
        drive(&mut qemu, "in", &self.folder.join("in.tar"), "readonly=on");
        for disk in self.disks {
            let options = match disk.changes {
                // A flush reaches the host's page cache, which a killed QEMU
                // does not take with it: what was flushed survives the power
                // cut.
                Changes::Kept => "cache=writeback,discard=unmap",
                Changes::Forgotten => "snapshot=on,cache=unsafe",
            };
            drive(&mut qemu, &disk.name, &disk.file, options);
        }
        qemu
    }
}

/// A panic, of the kernel's or of ZFS' own, ends QEMU rather than hanging it.
/// `no_timer_check`: on a busy host the emulated timer ticks too late for the
/// kernel's check of it, which panics.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic \
    mitigations=off random.trust_cpu=on no_timer_check net.ifnames=0 spl.spl_panic_halt=1";

fn drive(qemu: &mut Command, name: &str, file: &Path, options: &str) {
    let mut drive = OsString::from(format!("if=none,id={name},format=raw,{options},file="));
    drive.push(file);
    qemu.arg("-drive").arg(drive);
    // What the host cannot write, because its disk is full, is an error in the
    // machine. QEMU would have it stand still for ever, and say nothing.
    qemu.args([
        "-device",
        &format!("virtio-blk-pci,drive={name},serial={name},werror=report"),
    ]);
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(prefix);
    argument.push(path);
    argument
}

/// KVM where it really works: `/dev/kvm` alone may be a stand-in that boots
/// nothing.
pub fn has_kvm() -> bool {
    ["kvm_intel", "kvm_amd"]
        .iter()
        .any(|module| Path::new("/sys/module").join(module).exists())
        && std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
}

fn accelerator() -> &'static [&'static str] {
    if has_kvm() {
        &["-accel", "kvm", "-cpu", "host"]
    } else {
        &[
            "-accel",
            "tcg,thread=multi,tb-size=1024",
            "-cpu",
            "max,la57=off",
        ]
    }
}
