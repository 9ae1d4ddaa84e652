//! Random histories: what happens to the pools between two runs.

use proptest::prelude::*;
use zfs_core::Guid;

use super::model::{Entry, Point, World};
use crate::marker::Marker;
use crate::tree::StreamForm;

pub const PATHS: [&str; 7] = ["", "a", "a/b", "a/b/c", "d", "d/e", "f"];
pub const NAMES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

/// Something that happens to the pools between two runs, or a run.
#[derive(Clone, Debug)]
pub enum Event {
    Create {
        path: usize,
        encrypted: bool,
    },
    DestroyDataset {
        on_target: bool,
        path: usize,
    },
    Snapshot {
        on_target: bool,
        path: usize,
        name: usize,
    },
    DestroySnapshot {
        on_target: bool,
        path: usize,
        which: usize,
    },
    RenameSnapshot {
        path: usize,
        which: usize,
        name: usize,
    },
    Bookmark {
        path: usize,
        which: usize,
        kind: BookmarkKind,
    },
    DestroyBookmark {
        path: usize,
        which: usize,
    },
    BareTarget {
        path: usize,
    },
    Rename {
        path: usize,
        to: usize,
    },
    Clone {
        path: usize,
        which: usize,
        to: usize,
    },
    Promote {
        path: usize,
    },
    ForeignPartial {
        path: usize,
        to: usize,
        from: Option<usize>,
        raw: bool,
    },
    Run {
        stop: Option<usize>,
        halfway: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum BookmarkKind {
    Plain,
    OtherTarget,
    Lying,
}

pub fn event() -> impl Strategy<Value = Event> {
    let path = 0..PATHS.len();
    let name = 0..NAMES.len();
    let kind = prop_oneof![
        Just(BookmarkKind::Plain),
        Just(BookmarkKind::OtherTarget),
        Just(BookmarkKind::Lying)
    ];
    let rarely = || prop::bool::weighted(0.15);
    prop_oneof![
        3 => (path.clone(), any::<bool>())
            .prop_map(|(path, encrypted)| Event::Create { path, encrypted }),
        1 => (any::<bool>(), path.clone())
            .prop_map(|(on_target, path)| Event::DestroyDataset { on_target, path }),
        12 => (rarely(), path.clone(), name.clone())
            .prop_map(|(on_target, path, name)| Event::Snapshot { on_target, path, name }),
        5 => (any::<bool>(), path.clone(), name.clone())
            .prop_map(|(on_target, path, which)| Event::DestroySnapshot { on_target, path, which }),
        2 => (path.clone(), name.clone(), name.clone())
            .prop_map(|(path, which, name)| Event::RenameSnapshot { path, which, name }),
        3 => (path.clone(), name.clone(), kind)
            .prop_map(|(path, which, kind)| Event::Bookmark { path, which, kind }),
        1 => (path.clone(), name.clone())
            .prop_map(|(path, which)| Event::DestroyBookmark { path, which }),
        1 => path.clone().prop_map(|path| Event::BareTarget { path }),
        3 => (path.clone(), path.clone()).prop_map(|(path, to)| Event::Rename { path, to }),
        4 => (path.clone(), name.clone(), path.clone())
            .prop_map(|(path, which, to)| Event::Clone { path, which, to }),
        3 => path.clone().prop_map(|path| Event::Promote { path }),
        2 => (path, name.clone(), prop::option::of(name), any::<bool>())
            .prop_map(|(path, to, from, raw)| Event::ForeignPartial { path, to, from, raw }),
        6 => (prop::option::of(0..20_usize), any::<bool>())
            .prop_map(|(stop, halfway)| Event::Run { stop, halfway }),
    ]
}

fn pick<T>(list: &[T], which: usize) -> Option<usize> {
    which.checked_rem(list.len())
}

impl World {
    pub fn happen(&mut self, event: &Event) -> Result<(), String> {
        match *event {
            Event::Create { path, encrypted } => self.create(PATHS[path], encrypted),
            Event::DestroyDataset { on_target, path } => {
                let side = if on_target {
                    &mut self.target
                } else {
                    &mut self.source
                };
                // What is in use stays.
                let _ = side.destroy(PATHS[path]);
            }
            Event::Snapshot {
                on_target,
                path,
                name,
            } => self.snapshot(on_target, PATHS[path], NAMES[name]),
            Event::DestroySnapshot {
                on_target,
                path,
                which,
            } => {
                let side = if on_target {
                    &mut self.target
                } else {
                    &mut self.source
                };
                if let Some(entry) = side.datasets.get(PATHS[path]) {
                    if let Some(index) = pick(&entry.snapshots, which) {
                        let txg = entry.snapshots[index].txg;
                        let _ = side.destroy_snapshot(PATHS[path], txg);
                    }
                }
            }
            Event::Rename { path, to } => {
                let _ = self.source.rename(PATHS[path], PATHS[to]);
            }
            Event::Clone { path, which, to } => {
                let origin = self.source.datasets.get(PATHS[path]).and_then(|entry| {
                    let index = pick(&entry.snapshots, which)?;
                    Some(entry.snapshots[index].txg)
                });
                if let Some(origin) = origin {
                    let id = self.guid();
                    let _ = self.source.clone_snapshot(origin, PATHS[to], id);
                }
            }
            Event::Promote { path } => {
                let _ = self.source.promote(PATHS[path]);
            }
            Event::RenameSnapshot { path, which, name } => {
                if let Some(entry) = self.source.datasets.get_mut(PATHS[path]) {
                    let taken = entry.snapshots.iter().any(|s| s.name == NAMES[name]);
                    if let (Some(index), false) = (pick(&entry.snapshots, which), taken) {
                        entry.snapshots[index].name = NAMES[name].to_owned();
                    }
                }
            }
            Event::Bookmark { path, which, kind } => self.bookmark(PATHS[path], which, kind),
            Event::DestroyBookmark { path, which } => {
                if let Some(entry) = self.source.datasets.get_mut(PATHS[path]) {
                    if let Some(index) = pick(&entry.bookmarks, which) {
                        entry.bookmarks.remove(index);
                    }
                }
            }
            Event::BareTarget { path } => {
                let guid = self.guid();
                let parent = PATHS[path]
                    .rsplit_once('/')
                    .map_or("", |(parent, _)| parent);
                let target = &mut self.target.datasets;
                // Not below a half received dataset, where giving that up
                // fails until somebody takes away what is below it.
                let is_parent = |entry: &Entry| !entry.is_half_received();
                if PATHS[path].is_empty() || target.get(parent).is_some_and(is_parent) {
                    let bare = Entry {
                        guid,
                        ..Entry::default()
                    };
                    target.entry(PATHS[path].to_owned()).or_insert(bare);
                }
            }
            Event::ForeignPartial {
                path,
                to,
                from,
                raw,
            } => self.foreign_partial(PATHS[path], to, from, raw),
            Event::Run { stop, halfway } => {
                let plan = self.plan();
                self.run(&plan, stop, halfway)?;
            }
        }
        Ok(())
    }

    /// An interrupted receive as any other program might have left it.
    fn foreign_partial(&mut self, path: &str, to: usize, from: Option<usize>, raw: bool) {
        let guid = |which: usize| {
            let snapshots = &self.source.datasets.get(path)?.snapshots;
            Some(Guid(snapshots.get(which)?.guid))
        };
        let (to, from) = (guid(to).unwrap_or(Guid(7)), from.and_then(guid));
        // The model takes what has no snapshot and a token for a dataset that
        // this receive made, which then goes with the token and so has
        // nothing below it.
        let below = format!("{path}/");
        let mut paths = self.target.datasets.keys();
        let is_parent = path.is_empty() || paths.any(|other| other.starts_with(&below));
        let Some(entry) = self.target.datasets.get_mut(path) else {
            return;
        };
        if entry.snapshots.is_empty() && (from.is_some() || is_parent) {
            return;
        }
        entry.partial = Some(crate::tree::ResumePoint {
            to_guid: to,
            to_name: "elsewhere/x@y".to_owned(),
            from_guid: from,
            object: 0,
            offset: 0,
            bytes: 5,
            form: StreamForm {
                raw,
                ..super::model::PLAIN
            },
            redacted: false,
        });
    }

    fn bookmark(&mut self, path: &str, which: usize, kind: BookmarkKind) {
        let id = self.id.clone();
        let Some(entry) = self.source.datasets.get_mut(path) else {
            return;
        };
        let Some(index) = pick(&entry.snapshots, which) else {
            return;
        };
        let of = entry.snapshots[index].clone();
        let name = match kind {
            BookmarkKind::Plain => format!("mine-{}", of.guid),
            BookmarkKind::OtherTarget => format!("replica-other-{:016x}", of.guid),
            BookmarkKind::Lying => Marker {
                target: id,
                guid: Guid(of.guid + 1_000_000),
            }
            .to_string(),
        };
        if !entry.bookmarks.iter().any(|point| point.name == name) {
            entry.bookmarks.push(Point { name, ..of });
        }
    }
}
