//! load-key, unload-key, change-key, and asking for keys.

use std::io::{self, IsTerminal};

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{DatasetName, Error, Key, KeyFormat, KeyLocation, KeyStatus};

use super::act::Act;
use super::name::{assignment, tree};
use super::prompt::{input, type_in};
use super::usage;

/// Load the keys of encryption roots
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl load-key tank/secret
  zfs-ctl load-key -n -L file:///root/key tank/secret      only checks it
  zfs-ctl load-key -a")]
pub struct LoadKey {
    /// Of everything below as well
    #[arg(short)]
    recursive: bool,
    /// Only check the key
    #[arg(short = 'n')]
    check: bool,
    /// Where the key is, in place of the property
    #[arg(short = 'L', value_name = "KEYLOCATION")]
    location: Option<String>,
    /// Of all pools
    #[arg(short, conflicts_with = "name")]
    all: bool,
    name: Option<DatasetName>,
}

impl LoadKey {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let location = self
            .location
            .as_deref()
            .map(KeyLocation::parse)
            .transpose()?;
        let many_keys = self.recursive || self.all;
        if many_keys && location.as_ref().is_some_and(|it| it.path().is_some()) {
            return usage("of many keys -L can only be prompt");
        }
        let roots = roots(act, self.name.as_ref(), self.all)?;
        let load =
            |act: &mut Act, root: &DatasetName| load(act, root, location.as_ref(), self.check);
        let done = if self.check { "verified" } else { "loaded" };
        if many_keys {
            let below = encryption_roots(act, &roots, KeyStatus::Unavailable);
            if below.is_err() && self.check {
                tell(act, 0, 0, done);
            }
            return many(act, &below?, done, load);
        }
        for root in &roots {
            let outcome = load(act, root);
            if self.check {
                tell(act, usize::from(outcome.is_ok()), 1, done);
            }
            outcome?;
        }
        Ok(())
    }
}

/// Does it with each of many keys, goes on where one fails, and tells the
/// number as zfs(8) does.
fn many(
    act: &mut Act,
    roots: &[DatasetName],
    done: &str,
    mut one: impl FnMut(&mut Act, &DatasetName) -> Result<()>,
) -> Result<()> {
    let mut failed = 0;
    for root in roots {
        if let Err(error) = one(act, root) {
            eprintln!("{error:#}");
            failed += 1;
        }
    }
    if !roots.is_empty() || done == "verified" {
        tell(act, roots.len() - failed, roots.len(), done);
    }
    match failed {
        0 => Ok(()),
        count => bail!("{count} keys could not be {done}"),
    }
}

fn tell(act: &Act, successful: usize, tried: usize, done: &str) {
    if !act.is_json() {
        println!("{successful} / {tried} key(s) successfully {done}");
    }
}

/// Unload the keys of encryption roots
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl unload-key tank/secret")]
pub struct UnloadKey {
    /// Of everything below as well
    #[arg(short)]
    recursive: bool,
    /// Of all pools
    #[arg(short, conflicts_with = "name")]
    all: bool,
    name: Option<DatasetName>,
}

impl UnloadKey {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let names = roots(act, self.name.as_ref(), self.all)?;
        let unload = |act: &mut Act, name: &DatasetName| -> Result<()> {
            Ok(act.step("unload-key", name, |zfs| zfs.unload_key(name))?)
        };
        if !self.recursive && !self.all {
            return names.iter().try_for_each(|name| unload(act, name));
        }
        let names = encryption_roots(act, &names, KeyStatus::Available)?;
        many(act, &names, "unloaded", unload)
    }
}

/// Change the key of a dataset
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl change-key -o keyformat=hex -o keylocation=file:///root/key tank/secret
  zfs-ctl change-key -i tank/secret/below      the key of what is above it")]
pub struct ChangeKey {
    /// Load its key first
    #[arg(short = 'l')]
    load: bool,
    /// Use the key of what is above it
    #[arg(short, conflicts_with = "properties")]
    inherit: bool,
    /// keyformat, keylocation, pbkdf2iters
    #[arg(short = 'o', value_name = "PROPERTY=VALUE", value_parser = assignment)]
    properties: Vec<(String, String)>,
    name: DatasetName,
}

impl ChangeKey {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let name = &self.name;
        let Some(state) = act.zfs.encryption(name)? else {
            bail!("Key change error: Dataset not encrypted.");
        };
        if self.load && state.status == KeyStatus::Unavailable {
            load(act, &state.root, None, false)?;
        }
        if self.inherit {
            return Ok(act.step("change-key", name, |zfs| zfs.inherit_key(name))?);
        }
        let mut format = state.is_root(name).then_some(state.format);
        let mut location = state.location.clone().filter(|_| state.is_root(name));
        let mut iterations = None;
        for (property, value) in &self.properties {
            match property.as_str() {
                "keyformat" => match KeyFormat::parse(value) {
                    Some(known) => format = Some(known),
                    None => return usage(format!("keyformat is raw, hex or passphrase: {value}")),
                },
                "keylocation" => location = Some(KeyLocation::parse(value)?),
                "pbkdf2iters" => match value.parse() {
                    Ok(number) => iterations = Some(number),
                    Err(_) => return usage(format!("pbkdf2iters is a number: {value}")),
                },
                _ => bail!(
                    "Key change error: Only keyformat, keylocation and pbkdf2iters may be set \
                     with this command."
                ),
            }
        }
        let Some(format) = format else {
            bail!("Key change error: Keyformat required for new encryption root.");
        };
        let location = location.unwrap_or_else(KeyLocation::prompt);
        let mut key = location.read(format, |format| ask(format, Some(name), true))?;
        if let Some(iterations) = iterations {
            key = key.iterations(iterations);
        }
        Ok(act.step("change-key", name, |zfs| {
            zfs.change_key(name, &key, &location)
        })?)
    }
}

/// Loads or checks the key of an encryption root, from where it is kept.
pub fn load(
    act: &mut Act,
    root: &DatasetName,
    location: Option<&KeyLocation>,
    check: bool,
) -> Result<()> {
    /// How often one may mistype.
    const ATTEMPTS: usize = 3;
    let Some(state) = act.zfs.encryption(root)? else {
        bail!("Key load error: '{root}' is not encrypted.");
    };
    if !state.is_root(root) {
        bail!(
            "Key load error: Keys must be loaded for encryption root of '{root}' ({}).",
            state.root
        );
    }
    if !check && state.status == KeyStatus::Available {
        bail!("Key load error: Key already loaded for '{root}'.");
    }
    let location = match (location, &state.location) {
        (Some(location), _) | (None, Some(location)) => location.clone(),
        (None, None) => KeyLocation::prompt(),
    };
    let can_retry = location.path().is_none() && io::stdin().is_terminal();
    let attempts = if can_retry { ATTEMPTS } else { 1 };
    let mut attempt = 1;
    loop {
        let key = location.read(state.format, |format| ask(format, Some(root), false));
        let done = key.and_then(|key| {
            let verb = if check {
                "check the key of"
            } else {
                "load-key"
            };
            act.step(verb, root, |zfs| {
                if check {
                    zfs.check_key(root, &key)
                } else {
                    zfs.load_key(root, &key)
                }
            })
        });
        match done {
            Ok(()) => return Ok(()),
            Err(error) if attempt < attempts => eprintln!("{error}"),
            Err(error) => return Err(error.into()),
        }
        attempt += 1;
    }
}

fn roots(act: &Act, name: Option<&DatasetName>, all: bool) -> Result<Vec<DatasetName>> {
    match name {
        Some(name) => Ok(vec![name.clone()]),
        None if all => Ok(act
            .zfs
            .list_pools()?
            .into_iter()
            .map(|pool| pool.name.root())
            .collect()),
        None => usage("a name or -a is wanted"),
    }
}

fn encryption_roots(
    act: &Act,
    roots: &[DatasetName],
    status: KeyStatus,
) -> Result<Vec<DatasetName>> {
    let mut found = Vec::new();
    for root in roots {
        for name in tree(&act.zfs, root, true)? {
            let state = act.zfs.encryption(&name)?;
            if state.is_some_and(|state| state.is_root(&name) && state.status == status) {
                found.push(name);
            }
        }
    }
    Ok(found)
}

/// Asks for a key on the terminal, without echo; or takes the next line of
/// standard input, or all of it where the key is a raw one. A new one is asked for twice.
pub fn ask(format: KeyFormat, name: Option<&DatasetName>, new: bool) -> Result<Key, Error> {
    let failed = |source| Error::KeyFile {
        path: "-".into(),
        source,
    };
    if !io::stdin().is_terminal() {
        return Key::read(format, input().map_err(failed)?);
    }
    if format == KeyFormat::Raw {
        return Err(failed(io::Error::other(
            "raw keys cannot be typed; redirect standard input",
        )));
    }
    let verb = if new { "new " } else { "" };
    let of = name
        .map(|name| format!(" for '{name}'"))
        .unwrap_or_default();
    let word = match format {
        KeyFormat::Hex => "hex key",
        _ => "passphrase",
    };
    let first = type_in(&format!("Enter {verb}{word}{of}:")).map_err(failed)?;
    let key = Key::read(format, first.as_bytes())?;
    if new {
        let second = type_in(&format!("Re-enter {verb}{word}{of}:")).map_err(failed)?;
        if *first != *second {
            return Err(failed(io::Error::other("the two keys do not match")));
        }
    }
    Ok(key)
}
