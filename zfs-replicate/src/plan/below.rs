//! What a new dataset of the target goes below, and how its streams are made.

use zfs_core::DatasetName;

use super::dataset::Pair;
use super::step::{Action, Refusal, Step, Why};
use super::{Encrypted, LargeBlocks, Planner};
use crate::tree::{Dataset, Encryption, Key, Kind, StreamForm};

/// The nearest dataset above a target that exists.
pub(super) struct Above {
    pub name: DatasetName,
    pub kind: Kind,
    pub encryption: Option<Encryption>,
}

/// Whether parents can be made below it.
///
/// A filesystem cannot be made below an encrypted one without its key, and
/// one that is not encrypted would not be what the target wants.
fn can_create(above: &Above, create: &[DatasetName]) -> Result<(), Refusal> {
    if above.kind == Kind::Volume {
        return Err(Refusal::ParentIsVolume {
            volume: above.name.clone(),
        });
    }
    match &above.encryption {
        Some(encryption) if encryption.key == Key::Unavailable && !create.is_empty() => {
            Err(Refusal::TargetKeyUnavailable {
                root: encryption.root.clone(),
            })
        }
        _ => Ok(()),
    }
}

impl<'a> Planner<'a> {
    /// What there is to put the target below, and which datasets are missing
    /// between the two, the uppermost first.
    pub(super) fn above(&self, pair: &Pair<'a>) -> Result<(Above, Vec<DatasetName>), Refusal> {
        let mut create = Vec::new();
        let mut above = None;
        for name in pair.target.ancestors() {
            if let Some(dataset) = self.view.get(&name) {
                above = Some(Above {
                    name,
                    kind: dataset.kind,
                    encryption: dataset.encryption.clone(),
                });
                break;
            }
            create.push(name);
        }
        create.reverse();
        // plan() has seen that there is something above the target's root.
        let above = above.unwrap_or_else(|| Above {
            name: self.target.root.pool().root(),
            kind: Kind::Filesystem,
            encryption: None,
        });
        can_create(&above, &create)?;
        Ok((above, create))
    }

    /// Plans the parents that are missing.
    pub(super) fn create(&mut self, pair: &Pair<'a>, above: &Above, create: Vec<DatasetName>) {
        for name in create {
            let mut made = Dataset::new(name.clone(), zfs_core::Guid(0));
            made.encryption.clone_from(&above.encryption);
            self.view.make(made);
            self.steps.push(Step {
                source: pair.source.name.clone(),
                target: name,
                action: Action::Create,
                why: Why::ParentMissing {
                    child: pair.target.clone(),
                },
            });
        }
    }

    /// How the streams of this source are made for something that is, or
    /// will be, encrypted as `target` says.
    pub(super) fn form(
        &self,
        source: &Dataset,
        target: Option<&Encryption>,
    ) -> Result<StreamForm, Refusal> {
        let raw = match (&source.encryption, self.options.encrypted) {
            (Some(_), Encrypted::Raw) => true,
            (Some(encryption), Encrypted::Plaintext) if encryption.key == Key::Unavailable => {
                return Err(Refusal::SourceKeyUnavailable {
                    root: encryption.root.clone(),
                });
            }
            _ => false,
        };
        match target {
            Some(encryption) if !raw && encryption.key == Key::Unavailable => {
                Err(Refusal::TargetKeyUnavailable {
                    root: encryption.root.clone(),
                })
            }
            _ => Ok(StreamForm {
                raw,
                large_blocks: self.options.large_blocks == LargeBlocks::Whole,
                compressed: raw || self.options.blocks == super::Blocks::AsStored,
                // Never: asked for embedded blocks, OpenZFS since #16701 (seen
                // with 2.3.9) sends a spill block that fits into a block
                // pointer as file data; the receiver drops it without a word,
                // and with it the extended attributes or the symlink's target
                // that were there (openzfs/zfs#19091).
                embedded: false,
            }),
        }
    }
}
