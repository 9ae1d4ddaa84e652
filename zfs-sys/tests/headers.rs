//! Holds the bindings to installed OpenZFS headers: small C files, made from
//! the very text of src/bindings/, that compile only where every prototype,
//! number, size and offset is the same.
//!
//! ZFS_SYS_HEADERS names the usr/include folder of a system that has
//! libzfslinux-dev (libzfs_core.h) and zfs-dkms (sys/zfs_ioctl.h, which no
//! development package ships). `cargo xtask test` sets it.

use std::fmt::Write;
use std::mem::{offset_of, size_of};
use std::path::PathBuf;
use std::process::Command;

use zfs_sys::{
    dmu_objset_stats, dmu_replay_record, drr_begin, zfs_cmd, zfs_share, zfs_stat, zinject_record,
};

const NUMBERS: &str = include_str!("../src/bindings/numbers.rs");
const CMD: &str = include_str!("../src/bindings/cmd.rs");
const NVPAIR: &str = include_str!("../src/bindings/nvpair.rs");
const V2_1: &str = include_str!("../src/bindings/v2_1.rs");
const V2_2: &str = include_str!("../src/bindings/v2_2.rs");
const V2_3: &str = include_str!("../src/bindings/v2_3.rs");

/// Declared by the headers and deliberately not bound: exported by no release
/// until its prototype had changed, and about to change its prototype.
const NOT_BOUND: &[&str] = &["lzc_send_progress", "lzc_initialize"];

struct Headers {
    include: Vec<PathBuf>,
    /// Of the kernel module's source beside the headers.
    version: (u32, u32),
    core: String,
    /// Every header that constants are taken from.
    all: String,
}

fn headers() -> Headers {
    let usr_include = std::env::var_os("ZFS_SYS_HEADERS")
        .map(PathBuf::from)
        .expect(
            "ZFS_SYS_HEADERS must name the usr/include folder of a system with OpenZFS' headers \
         (libzfslinux-dev and zfs-dkms); `cargo xtask test` does that",
        );
    let sources = usr_include.join("../src");
    let name = std::fs::read_dir(&sources)
        .unwrap_or_else(|error| panic!("{}: {error}", sources.display()))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("zfs-"))
        .expect("zfs-dkms puts its source into usr/src/zfs-VERSION");
    let mut parts = name["zfs-".len()..]
        .split('.')
        .map(|part| part.parse().unwrap_or(0));
    let version = (parts.next().unwrap(), parts.next().unwrap());
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let libzfs = usr_include.join("libzfs");
    let module = sources.join(&name).join("include");
    let core = read(libzfs.join("libzfs_core.h"));
    let all = [
        core.clone(),
        read(libzfs.join("sys/fs/zfs.h")),
        read(libzfs.join("sys/dmu.h")),
        read(module.join("sys/dmu.h")),
        read(module.join("sys/fs/zfs.h")),
    ]
    .concat();
    Headers {
        include: vec![libzfs, usr_include.join("libspl"), module],
        version,
        core,
        all,
    }
}

/// Compiles, and panics with what the compiler said where it will not.
fn compile(headers: &Headers, source: &str) {
    if let Err(said) = try_compile(headers, source) {
        panic!("the bindings are not as the headers have them:\n{said}");
    }
}

fn try_compile(headers: &Headers, source: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("check.c");
    let prelude = "#include <stddef.h>\n#include <libzfs_core.h>\n#include <sys/zfs_ioctl.h>\n";
    std::fs::write(&file, format!("{prelude}{source}")).unwrap();
    let mut cc = Command::new("cc");
    cc.args([
        "-std=gnu11",
        "-fsyntax-only",
        "-Werror=incompatible-pointer-types",
    ]);
    for folder in &headers.include {
        cc.arg("-isystem").arg(folder);
    }
    let output = cc.arg(&file).output().expect("a C compiler, cc");
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn contains_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .any(|found| found == word)
}

/// Name, parameters and result of each function of a table, as Rust text.
fn functions(table: &str) -> Vec<(String, Vec<String>, String)> {
    let joined = table.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut functions = Vec::new();
    for part in joined.split("pub fn ").skip(1) {
        let declaration = part.split(';').next().unwrap();
        let (name, rest) = declaration.split_once('(').unwrap();
        let (parameters, result) = match rest.rsplit_once(") -> ") {
            // A result of a callback parameter is not the function's.
            Some((parameters, result)) if !result.contains('>') => (parameters, result),
            _ => (rest.trim_end_matches(')'), "()"),
        };
        let mut list = Vec::new();
        let mut depth = 0;
        let mut current = String::new();
        for letter in parameters.chars() {
            match letter {
                '(' | '<' => depth += 1,
                ')' | '>' if !current.ends_with('-') => depth -= 1,
                ',' if depth == 0 => {
                    list.push(std::mem::take(&mut current));
                    continue;
                }
                _ => {}
            }
            current.push(letter);
        }
        list.push(current);
        let types = list
            .iter()
            .map(|parameter| parameter.trim())
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| parameter.split_once(": ").unwrap().1.to_owned())
            .collect();
        functions.push((name.to_owned(), types, result.trim().to_owned()));
    }
    functions
}

fn c_type(rust: &str) -> String {
    if let Some(to) = rust.strip_prefix("*mut ") {
        return format!("{} *", c_type(to));
    }
    if let Some(to) = rust.strip_prefix("*const ") {
        return format!("const {} *", c_type(to));
    }
    match rust {
        "()" | "c_void" => "void",
        "c_char" => "char",
        "c_int" => "int",
        "c_ulong" => "unsigned long",
        "u8" => "uint8_t",
        "u64" => "uint64_t",
        "usize" => "size_t",
        "lzc_dataset_type" => "enum lzc_dataset_type",
        "lzc_send_flags" => "enum lzc_send_flags",
        "dmu_replay_record" => "struct dmu_replay_record",
        "zfs_cmd" => "struct zfs_cmd",
        "nvlist_t"
        | "boolean_t"
        | "uint_t"
        | "pool_trim_func_t"
        | "zpool_wait_activity_t"
        | "zfs_wait_activity_t"
        | "zfs_ioc_t"
        | "zpool_prefetch_type_t"
        | "zpool_ddt_prune_unit_t" => rust,
        callback if callback.starts_with("::core::option::Option<") => "callback",
        unknown => panic!("no C type is known for {unknown}"),
    }
    .to_owned()
}

/// C that gives each function to a pointer of the type that is bound.
fn prototypes(functions: &[(String, Vec<String>, String)]) -> String {
    // The only callback, that of lzc_send_wrapper.
    let mut source = String::from("typedef int (*callback)(int, void *);\n");
    for (name, parameters, result) in functions {
        let parameters: Vec<String> = parameters
            .iter()
            .map(|parameter| c_type(parameter))
            .collect();
        let parameters = if parameters.is_empty() {
            "void".to_owned()
        } else {
            parameters.join(", ")
        };
        writeln!(
            source,
            "{} (*const bound_{name})({parameters}) = {name};",
            c_type(result)
        )
        .unwrap();
    }
    source
}

#[test]
fn every_prototype_is_the_headers() {
    let headers = headers();
    let mut bound = functions(V2_1);
    bound.extend(functions(NVPAIR));
    assert_eq!(bound.len(), 46 + 4);
    if headers.version >= (2, 2) {
        bound.extend(functions(V2_2));
    }
    if headers.version >= (2, 3) {
        bound.extend(functions(V2_3));
    }
    compile(&headers, &prototypes(&bound));
}

#[test]
fn a_prototype_that_differs_is_found() {
    let headers = headers();
    let mut bound = functions(V2_1);
    let create = bound
        .iter_mut()
        .find(|(name, ..)| name == "lzc_create")
        .unwrap();
    create.1.pop();
    let said =
        try_compile(&headers, &prototypes(&bound)).expect_err("a parameter less went unnoticed");
    assert!(said.contains("bound_lzc_create"), "{said}");
}

#[test]
fn every_function_that_is_declared_is_bound_or_named_as_not() {
    let headers = headers();
    // What comes after 2.4 is bound when somebody has read it.
    if headers.version > (2, 4) {
        return;
    }
    let bound: Vec<String> = [V2_1, V2_2, V2_3]
        .into_iter()
        .flat_map(functions)
        .map(|(name, ..)| name)
        .collect();
    let words = headers
        .core
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    for name in words.filter(|word| word.starts_with("lzc_")) {
        let is_type = ["lzc_send_flags", "lzc_dataset_type"].contains(&name);
        assert!(
            is_type || NOT_BOUND.contains(&name) || bound.iter().any(|bound| bound == name),
            "{name} is in libzfs_core.h of {:?}, and not bound",
            headers.version
        );
    }
}

/// Names and numbers of all constants in a file of bindings.
fn constants(text: &str) -> Vec<(&str, u64)> {
    let mut constants = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("pub const ") else {
            continue;
        };
        let (name, rest) = rest.split_once(": ").unwrap();
        let value = rest.split_once(" = ").unwrap().1;
        let digits: String = value.chars().filter(char::is_ascii_digit).collect();
        let newtype = value.split_once('(').map_or(value, |(_, number)| number);
        let number: String = newtype.chars().take_while(char::is_ascii_digit).collect();
        if !number.is_empty() {
            assert!(digits.ends_with(&number));
            constants.push((name, number.parse().unwrap()));
        }
    }
    constants
}

#[test]
fn every_number_is_the_headers() {
    let headers = headers();
    let mut source = String::new();
    let mut missing = Vec::new();
    let mut compared = 0;
    let ends = |name: &str| {
        ["_NUM_ACTIVITIES", "_FUNCS", "_LAST", "_NUMTYPES"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    for (name, number) in [NUMBERS, CMD, V2_1].into_iter().flat_map(constants) {
        // An end marker moves whenever a list grows.
        if ends(name) {
            continue;
        }
        if contains_word(&headers.all, name) {
            writeln!(source, "_Static_assert({name} == {number}, \"{name}\");").unwrap();
            compared += 1;
        } else {
            missing.push(name);
        }
    }
    assert!(
        compared > 140,
        "only {compared} numbers were found in the headers"
    );
    if headers.version >= (2, 4) {
        assert_eq!(missing, Vec::<&str>::new());
    }
    let not_in_2_1 = |name: &str| {
        name.starts_with("ZFS_ERR_")
            || name.starts_with("DDS_FLAG_")
            || name.starts_with("ZFS_IOC_VDEV_")
            || [
                "ZFS_IOC_POOL_SCRUB",
                "ZFS_IOC_POOL_PREFETCH",
                "ZFS_IOC_DDT_PRUNE",
            ]
            .contains(&name)
            || name.starts_with("ZFS_IOC_USERNS_")
    };
    assert!(missing.iter().all(|name| not_in_2_1(name)), "{missing:?}");
    compile(&headers, &source);
}

/// Asserts size, and offset and size of each field named.
macro_rules! layout {
    ($source:ident, $headers:ident, $type:ident, $c:literal; $($field:ident),*) => {
        writeln!($source, "_Static_assert(sizeof ({}) == {}, {0:?});", $c, size_of::<$type>()).unwrap();
        $(if contains_word(&$headers.all, stringify!($field)) || !stringify!($field).starts_with("dds_") {
            writeln!(
                $source,
                "_Static_assert(offsetof({}, {field}) == {}, \"{field}\");",
                $c,
                offset_of!($type, $field),
                field = stringify!($field),
            )
            .unwrap();
        })*
    };
}

#[test]
fn every_size_and_offset_is_the_headers() {
    let headers = headers();
    let mut source = String::new();
    layout!(source, headers, zfs_cmd, "zfs_cmd_t"; zc_name, zc_nvlist_src, zc_nvlist_src_size, zc_nvlist_dst,
        zc_nvlist_dst_size, zc_nvlist_dst_filled, zc_pad2, zc_history, zc_value, zc_string, zc_guid, zc_nvlist_conf,
        zc_nvlist_conf_size, zc_cookie, zc_objset_type, zc_perm_action, zc_history_len, zc_history_offset, zc_obj,
        zc_iflags, zc_share, zc_objset_stats, zc_begin_record, zc_inject_record, zc_defer_destroy, zc_flags,
        zc_action_handle, zc_cleanup_fd, zc_simple, zc_pad, zc_sendobj, zc_fromobj, zc_createtxg, zc_stat, zc_zoneid);
    layout!(source, headers, dmu_objset_stats, "dmu_objset_stats_t"; dds_num_clones, dds_creation_txg, dds_guid,
        dds_type, dds_is_snapshot, dds_inconsistent, dds_redacted, dds_origin, dds_flags);
    layout!(source, headers, drr_begin, "struct drr_begin"; drr_magic, drr_versioninfo, drr_creation_time, drr_type,
        drr_flags, drr_toguid, drr_fromguid, drr_toname);
    layout!(source, headers, zfs_share, "zfs_share_t"; z_exportdata, z_sharedata, z_sharetype, z_sharemax);
    layout!(source, headers, zfs_stat, "zfs_stat_t"; zs_gen, zs_mode, zs_links, zs_ctime);
    layout!(source, headers, dmu_replay_record, "struct dmu_replay_record";);
    // 2.4 lets the injection record grow into what follows it.
    if headers.version < (2, 4) {
        layout!(source, headers, zinject_record, "zinject_record_t";);
    }
    writeln!(
        source,
        "_Static_assert(sizeof (zfs_cmd_t) == 13744, \"zfs_cmd_t\");"
    )
    .unwrap();
    writeln!(
        source,
        "_Static_assert(sizeof (struct dmu_replay_record) == 312, \"dmu_replay_record\");"
    )
    .unwrap();
    compile(&headers, &source);
}

#[test]
fn a_layout_that_differs_is_found() {
    let wrong = "_Static_assert(offsetof(zfs_cmd_t, zc_cookie) == 8, \"zc_cookie\");";
    assert!(
        try_compile(&headers(), wrong)
            .unwrap_err()
            .contains("zc_cookie")
    );
}

#[test]
fn functions_are_read_from_the_tables_as_they_stand() {
    let wrapper = functions(V2_2)
        .into_iter()
        .find(|(name, ..)| name == "lzc_send_wrapper")
        .unwrap();
    assert_eq!(wrapper.1.len(), 3);
    assert_eq!(wrapper.2, "c_int");
    let free = functions(NVPAIR)
        .into_iter()
        .find(|(name, ..)| name == "nvlist_free")
        .unwrap();
    assert_eq!(
        free,
        (
            "nvlist_free".into(),
            vec!["*mut nvlist_t".into()],
            "()".into()
        )
    );
}
