//! program, version, wait.

use std::fs;
use std::io::{self, Read};

use anyhow::{Context, Result};
use clap::Args;
use zfs_core::{ChannelProgram, DatasetName, FilesystemActivity, PoolName};
use zfs_stream::nvlist::{NvList, Value};

use super::act::Act;
use super::usage;
use crate::list::output::quoted;

/// Run a channel program: Lua in the kernel, see zfs-program(8)
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl program tank destroy-old.lua tank/home 7
  zfs-ctl program -nj tank - < list.lua      it can change nothing, and answers JSON")]
pub struct Program {
    /// It can change nothing
    #[arg(short = 'n')]
    read_only: bool,
    /// What it returns as JSON
    #[arg(short = 'j')]
    as_json: bool,
    /// At most so many Lua instructions
    #[arg(short = 't', value_name = "INSTRUCTIONS")]
    instructions: Option<u64>,
    /// At most so many bytes of memory
    #[arg(short, value_name = "BYTES")]
    memory: Option<u64>,
    pool: PoolName,
    /// The file it is in, or - for standard input
    script: String,
    /// What it finds in argv
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    arguments: Vec<String>,
}

impl Program {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let text = if self.script == "-" {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            read.context("cannot read standard input")?;
            text
        } else {
            let read = fs::read_to_string(&self.script);
            read.with_context(|| format!("cannot open '{}'", self.script))?
        };
        let arguments = self.arguments.iter().map(String::as_str);
        let mut program = ChannelProgram::new(text).arguments_from(arguments)?;
        if self.read_only {
            program = program.read_only();
        }
        if let Some(instructions) = self.instructions {
            program = program.instruction_limit(instructions);
        }
        if let Some(bytes) = self.memory {
            program = program.memory_limit_bytes(bytes);
        }
        if act.is_dry() {
            return Ok(act.step("run a program on", &self.pool, |_| Ok(()))?);
        }
        let mut returned = NvList::new();
        if let Some(value) = act.zfs.program(&self.pool, &program)? {
            returned.insert("return", value)?;
        }
        if self.as_json || act.is_json() {
            print!("{}", json(&returned));
        } else if returned.is_empty() {
            println!("Channel program fully executed and did not produce output.");
        } else {
            println!("Channel program fully executed and produced output:");
            for line in returned.to_string().lines() {
                println!("    {line}");
            }
        }
        Ok(())
    }
}

/// A list as libnvpair writes it in JSON.
fn json(list: &NvList) -> String {
    let pair = |(name, value): (&zfs_stream::nvlist::NvString, &Value)| {
        format!("{}:{}", quoted(&name.to_string()), json_value(value))
    };
    format!(
        "{{{}}}",
        list.iter().map(pair).collect::<Vec<_>>().join(",")
    )
}

fn json_value(value: &Value) -> String {
    fn array<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
        format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(","))
    }
    match value {
        // A name without a value.
        Value::Boolean => "true".to_owned(),
        Value::BooleanValue(value) => value.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Uint64(number) => number.to_string(),
        Value::String(text) => quoted(&text.to_string()),
        Value::NvList(list) => json(list),
        Value::StringArray(items) => array(items, |item| quoted(&item.to_string())),
        Value::Int64Array(items) => array(items, i64::to_string),
        Value::Uint64Array(items) => array(items, u64::to_string),
        // Lua has no others.
        other => quoted(&format!("{other:?}")),
    }
}

/// Wait until nothing is left of what was deleted
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl wait tank/home
  zfs-ctl wait -t deleteq tank/home")]
pub struct Wait {
    /// For what: deleteq
    #[arg(short = 't', value_delimiter = ',')]
    activities: Vec<String>,
    filesystem: DatasetName,
}

impl Wait {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        for activity in &self.activities {
            if activity != "deleteq" {
                return usage(format!("invalid activity '{activity}'"));
            }
        }
        Ok(act.step("wait for", &self.filesystem, |zfs| {
            while zfs.wait_filesystem(&self.filesystem, FilesystemActivity::DeleteQueue)? {}
            Ok(())
        })?)
    }
}

/// Tell the versions of this program, of libzfs_core and of the kernel module
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl version
  zfs-ctl --json version      for programs

libzfs_core does not tell its version: it is the newest of those whose
functions it has all.")]
pub struct Versions {}

impl Versions {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let library = act.zfs.library_version()?;
        let path = "/sys/module/zfs/version";
        let kernel = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let (own, kernel) = (env!("CARGO_PKG_VERSION"), kernel.trim());
        if act.is_json() {
            let versions = serde_json::json!({
                "zfs_ctl": own,
                "libzfs_core": library.to_string(),
                "kernel": kernel,
            });
            println!("{versions}");
        } else {
            println!("zfs-ctl-{own}\nlibzfs_core-{library}\nzfs-kmod-{kernel}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lua_returns_is_json() {
        let mut inner = NvList::new();
        inner.insert("1", 5_i64).unwrap();
        inner.insert_str("x\"y", "a\n").unwrap();
        inner.insert_flag("nothing").unwrap();
        let mut list = NvList::new();
        list.insert("return", inner).unwrap();
        assert_eq!(
            json(&list),
            r#"{"return":{"1":5,"x\"y":"a\n","nothing":true}}"#
        );
        assert_eq!(json(&NvList::new()), "{}");
    }
}
