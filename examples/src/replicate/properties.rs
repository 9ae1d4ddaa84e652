//! The properties that replicas get, from the words of the command line.

use std::collections::HashMap;

use zfs_core::DatasetName;
use zfs_replicate::Error;
use zfs_replicate::endpoint::Endpoint;
use zfs_replicate::properties::{Chosen, Policy};

use super::arguments::{Arguments, Pattern};

/// For every dataset of the source what its replica gets.
///
/// # Errors
///
/// The source does not list its properties.
pub fn chosen(
    arguments: &Arguments,
    source: &dyn Endpoint,
    root: &DatasetName,
) -> Result<Chosen, Error> {
    let included = |name: &str| Pattern::any(&arguments.include_properties, name).is_some();
    let recordsize = |name: &str| name == "recordsize";
    // `x NAME` in --recvoptions means this very name.
    let left_out = |name: &str| {
        let given = &arguments.recv_options;
        Pattern::any(&arguments.exclude_properties, name).is_some()
            || given
                .iter()
                .any(|option| option.letter == 'x' && option.value.as_deref() == Some(name))
    };
    let mut policy = Policy::new().exclude(&left_out);
    if !arguments.include_properties.is_empty() {
        policy = policy.preserve_only(&included);
    } else if arguments.preserve_properties {
        policy = policy.preserve();
    } else if arguments.preserve_recordsize {
        policy = policy.preserve_only(&recordsize);
    }
    for option in arguments.recv_options.iter().filter(|o| o.letter == 'o') {
        if let Some((name, value)) = option.value.as_deref().and_then(|v| v.split_once('=')) {
            policy = policy.set(name, value);
        }
    }
    let own = if policy.preserves() {
        source.properties(root)?
    } else {
        HashMap::new()
    };
    Ok(policy.choose_all(&own))
}
