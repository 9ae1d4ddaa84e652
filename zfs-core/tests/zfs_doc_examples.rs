//! The programs of the guide, on pools of the names that they use. They are
//! the very files that the documentation shows.

mod fixture;

use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fixture::{attempt, run};

/// The pools `tank` and `vault` as the guide has them. One program at a time.
struct Pools {
    _folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Pools {
    fn new() -> Pools {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        for pool in ["tank", "vault"] {
            let disk = folder.path().join(pool);
            File::create(&disk)
                .and_then(|file| file.set_len(128 << 20))
                .expect("a disk");
            let disk = disk.to_str().expect("text");
            let fixed = ["zpool", "create", "-f", "-o", "cachefile=none"];
            run(&[&fixed[..], &["-O", "mountpoint=none", pool, disk]].concat());
        }
        for dataset in ["tank/home", "tank/mail"] {
            run(&["zfs", "create", dataset]);
        }
        Pools {
            _folder: folder,
            _turn: turn,
        }
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        for pool in ["tank", "vault"] {
            attempt(&["zpool", "destroy", "-f", pool]);
        }
    }
}

macro_rules! programs {
    ($($name:ident: $file:literal,)*) => {
        $(mod $name {
            include!($file);

            #[test]
            fn runs_as_the_guide_shows_it() {
                let _pools = super::Pools::new();
                main().expect("a program that ends well");
            }
        })*
    };
}

programs! {
    snapshots: "doc/snapshots.rs",
    listing: "doc/listing.rs",
    properties: "doc/properties.rs",
    holds: "doc/holds.rs",
    replication: "doc/replication.rs",
    errors: "doc/errors.rs",
}
