//! `cargo xtask bindgen`: makes zfs-sys/src/bindings/ anew from OpenZFS' own
//! headers, as Debian ships them, or compares what is checked in with them.
//!
//! Headers come from the roots of the ZFS machines; bindgen is a program in the
//! user's cache, so that no build of this workspace ever compiles it or needs
//! libclang.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::vm::{self, Suite};

const BINDGEN_VERSION: &str = "0.72.1";

/// One file under zfs-sys/src/bindings/.
struct Module {
    file: &'static str,
    suite: Suite,
    includes: &'static [&'static str],
    /// The table macro and the name of its struct, where functions are bound.
    table: Option<(&'static str, &'static str)>,
    prelude: &'static str,
    arguments: &'static [&'static str],
}

/// lzc_send_progress is declared in 2.1 but exported by no release, and
/// lzc_initialize changes its parameters under the same soname: neither may
/// be called through a pointer, so neither is bound.
const FUNCTIONS_2_1: &str = "libzfs_core_init|lzc_(snapshot|create|clone|promote|destroy_snaps|bookmark|get_bookmarks|\
     get_bookmark_props|destroy_bookmarks|load_key|unload_key|change_key|trim|redact|snaprange_space|hold|release|\
     get_holds|send|send_resume|send_space|send_redacted|send_resume_redacted|receive|receive_resumable|\
     receive_with_header|receive_one|receive_with_cmdprops|send_space_resume_redacted|exists|rollback|rollback_to|\
     rename|destroy|channel_program|channel_program_nosync|sync|reopen|pool_checkpoint|pool_checkpoint_discard|wait|\
     wait_tag|wait_fs|set_bootenv|get_bootenv)";

const MODULES: &[Module] = &[
    Module {
        file: "v2_1.rs",
        suite: Suite::Bookworm,
        includes: &["libzfs_core.h"],
        table: Some(("required", "V2_1")),
        prelude: "use super::cmd::dmu_replay_record;\nuse super::nvpair::nvlist_t;",
        arguments: &[
            "--allowlist-function",
            FUNCTIONS_2_1,
            "--blocklist-type",
            "dmu_replay_record|nvlist|nvlist_t",
            "--bitfield-enum",
            "lzc_send_flags",
        ],
    },
    Module {
        file: "v2_2.rs",
        suite: Suite::Trixie,
        includes: &["libzfs_core.h"],
        table: Some(("optional", "V2_2")),
        prelude: "use super::cmd::{dmu_replay_record, zfs_cmd};\nuse super::numbers::zfs_ioc_t;\n\
                  use super::nvpair::nvlist_t;\nuse super::v2_1::{boolean_t, uint_t};",
        arguments: &[
            "--allowlist-function",
            "lzc_(send_wrapper|receive_with_heal|get_vdev_prop|set_vdev_prop|scrub|ioctl_fd)",
            "--blocklist-type",
            "dmu_replay_record|nvlist|nvlist_t|zfs_cmd|zfs_ioc|zfs_ioc_t|boolean_t|uint_t",
        ],
    },
    Module {
        file: "v2_3.rs",
        suite: Suite::Trixie,
        includes: &["libzfs_core.h"],
        table: Some(("optional", "V2_3")),
        prelude: "use super::nvpair::nvlist_t;",
        arguments: &[
            "--allowlist-function",
            "lzc_(get_props|pool_prefetch|ddt_prune)",
            "--blocklist-type",
            "nvlist|nvlist_t",
        ],
    },
    Module {
        file: "nvpair.rs",
        suite: Suite::Bookworm,
        includes: &["libnvpair.h"],
        table: Some(("required", "NvPair")),
        // Only ever behind a pointer that libnvpair made.
        prelude: "#[repr(C)]\n#[derive(Debug)]\npub struct nvlist_t {\n    _opaque: [u8; 0],\n}",
        arguments: &[
            "--allowlist-function",
            "nvlist_(size|pack|unpack|free)",
            "--allowlist-var",
            "NV_ENCODE_(NATIVE|XDR)",
            "--blocklist-type",
            "nvlist|nvlist_t",
        ],
    },
    // 2.4 puts a union into zfs_cmd for the fault injection record; 2.3 has
    // the same layout flat, with the one field that 2.1 still counted as
    // padding (dds_flags).
    Module {
        file: "cmd.rs",
        suite: Suite::Trixie,
        includes: &["libzfs_core.h", "sys/zfs_ioctl.h"],
        table: None,
        // Only its size matters to libzfs_core's callers; its union of records
        // would bring a dozen types with it.
        prelude: "use super::v2_1::boolean_t;\n\n\
                  #[repr(C, align(8))]\n#[derive(Debug, Copy, Clone)]\npub struct dmu_replay_record(pub [u8; 312]);",
        arguments: &[
            "--no-recursive-allowlist",
            "--allowlist-type",
            "zfs_cmd|zfs_cmd_t|drr_begin|zinject_record|zinject_record_t|zfs_share|zfs_share_t|\
             dmu_objset_stats|dmu_objset_stats_t|dmu_objset_type|dmu_objset_type_t|dmu_objset_flag_t|zfs_stat|\
             zfs_stat_t",
            "--opaque-type",
            "zinject_record",
            "--blocklist-type",
            "dmu_replay_record.*",
            "--allowlist-var",
            "ZFS_MAX_DATASET_NAME_LEN|ZPROP_(VALUE|SOURCE|SOURCE_VAL_RECVD|N_MORE_ERRORS)",
        ],
    },
    // Append-only lists: the newest release knows every older number.
    Module {
        file: "numbers.rs",
        suite: Suite::Sid,
        includes: &["libzfs_core.h"],
        table: None,
        prelude: "",
        arguments: &[
            "--allowlist-type",
            "zfs_ioc|zfs_ioc_t|zfs_errno_t",
            "--constified-enum",
            "zfs_errno_t",
        ],
    },
];

/// Headers of one suite: where they lie, and the version they are of.
struct Headers {
    version: String,
    include: Vec<PathBuf>,
}

/// Makes zfs-sys' bindings anew from OpenZFS' headers
#[derive(clap::Args)]
pub struct Bindgen {
    /// Write nothing, and fail where what is checked in differs
    #[arg(long)]
    check: bool,
}

impl Bindgen {
    pub fn run(&self) -> Result<ExitCode> {
        bindings(self.check)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the bindings, or with `check` fails where they differ.
fn bindings(check: bool) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies outside a workspace")?;
    let bindings = workspace.join("zfs-sys/src/bindings");
    let cache = cache_folder()?;
    let bindgen = bindgen_program(&cache)?;
    let mut differing = Vec::new();
    for module in MODULES {
        let headers = headers(module.suite)?;
        let text = generate(&bindgen, module, &headers)?;
        let path = bindings.join(module.file);
        if check {
            if fs::read_to_string(&path).unwrap_or_default() != text {
                differing.push(module.file);
            }
        } else {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{} from OpenZFS {}", path.display(), headers.version);
        }
    }
    if !differing.is_empty() {
        bail!(
            "not as the headers have it: {}; run cargo xtask bindgen and read the difference",
            differing.join(", ")
        );
    }
    Ok(())
}

fn cache_folder() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context(
            "neither XDG_CACHE_HOME nor HOME is set: nowhere to keep bindgen and the headers",
        )?;
    let folder = base.join("zfs-xtask");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn bindgen_program(cache: &Path) -> Result<PathBuf> {
    let root = cache.join("bindgen").join(BINDGEN_VERSION);
    let program = root.join("bin/bindgen");
    if !program.exists() {
        println!(
            "installing bindgen {BINDGEN_VERSION} into {}",
            root.display()
        );
        run_command(
            Command::new("cargo")
                .args([
                    "install",
                    "bindgen-cli",
                    "--locked",
                    "--version",
                    BINDGEN_VERSION,
                    "--root",
                ])
                .arg(&root),
        )?;
    }
    Ok(program)
}

/// The headers in the root of a suite's ZFS machine: libzfslinux-dev has
/// libzfs_core.h and all it includes, and zfs-dkms alone sys/zfs_ioctl.h.
fn headers(suite: Suite) -> Result<Headers> {
    let root = vm::build(suite)?.root;
    let source = fs::read_dir(root.join("usr/src"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("zfs-"))
        .with_context(|| format!("zfs-dkms of {suite} has no usr/src/zfs-VERSION"))?;
    let include = vec![
        root.join("usr/include/libzfs"),
        root.join("usr/include/libspl"),
        root.join("usr/src").join(&source).join("include"),
    ];
    Ok(Headers {
        version: source.trim_start_matches("zfs-").to_owned(),
        include,
    })
}

fn generate(bindgen: &Path, module: &Module, headers: &Headers) -> Result<String> {
    let scratch = tempfile::tempdir()?;
    let wrapper = scratch.path().join("wrapper.h");
    let includes: Vec<String> = module
        .includes
        .iter()
        .map(|header| format!("#include <{header}>\n"))
        .collect();
    fs::write(&wrapper, includes.concat())?;
    let output = Command::new(bindgen)
        .arg(&wrapper)
        .args([
            "--no-doc-comments",
            "--no-layout-tests",
            "--merge-extern-blocks",
            "--no-prepend-enum-name",
        ])
        .args([
            "--default-enum-style",
            "newtype",
            "--use-core",
            "--disable-header-comment",
        ])
        .args(["--rust-target", "1.85", "--rust-edition", "2024"])
        .args(module.arguments)
        .arg("--")
        .args(
            headers
                .include
                .iter()
                .map(|folder| format!("-isystem{}", folder.display())),
        )
        .output()
        .with_context(|| format!("cannot run {}", bindgen.display()))?;
    if !output.status.success() {
        bail!(
            "bindgen failed on {}: {}(it needs libclang and clang's own headers: \
             apt-get install libclang-dev)",
            module.file,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut text =
        String::from_utf8(output.stdout).context("bindgen wrote something that is not UTF-8")?;
    // The C types of 64-bit Linux have one spelling here, without the path.
    text = text.replace("::core::ffi::", "");
    if let Some((table, name)) = module.table {
        text = text.replace(
            "unsafe extern \"C\" {",
            &format!("crate::symbols::{table}! {{\n    pub struct {name};\n"),
        );
    }
    let ffi: Vec<&str> = ["c_char", "c_int", "c_uint", "c_ulong", "c_void"]
        .into_iter()
        .filter(|name| {
            text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .any(|word| word == *name)
        })
        .collect();
    let source = scratch.path().join(module.file);
    fs::write(
        &source,
        format!(
            "// Made by `cargo xtask bindgen` (bindgen {BINDGEN_VERSION}): do not edit.\n\
             // From OpenZFS {}: {}.\n\
             // Prototypes, numbers and layouts alone; the headers' texts are CDDL-1.0 and are not here.\n\n\
             use core::ffi::{{{}}};\n\n{}\n\n{text}",
            headers.version,
            module.includes.join(", "),
            ffi.join(", "),
            module.prelude,
        ),
    )?;
    run_command(
        Command::new("rustfmt")
            .args(["--edition", "2024"])
            .arg(&source),
    )?;
    Ok(fs::read_to_string(&source)?)
}

fn run_command(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
