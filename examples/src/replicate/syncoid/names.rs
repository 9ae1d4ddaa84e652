//! The names that syncoid gives.

use jiff::Zoned;

/// This system's name.
pub fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

/// What the names of all sync snapshots of this system and identifier begin
/// with, and what holds are called.
pub fn prefix(identifier: Option<&str>, hostname: &str) -> String {
    match identifier {
        Some(identifier) => format!("syncoid_{identifier}_{hostname}"),
        None => format!("syncoid_{hostname}"),
    }
}

/// A sync snapshot's name: local time, and how far that is from UTC. There is
/// no + in a snapshot's name, so that one is left out.
pub fn sync_snapshot(prefix: &str, now: &Zoned) -> String {
    let seconds = now.offset().seconds();
    let sign = if seconds < 0 { "-" } else { "" };
    let minutes = seconds.unsigned_abs() / 60;
    format!(
        "{prefix}_{}-GMT{sign}{:02}:{:02}",
        now.strftime("%Y-%m-%d:%H:%M:%S"),
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_snapshots_are_named_as_syncoid_names_them() {
        for (time, name) in [
            ("2026-11-22T15:04:05+00:00[UTC]", "GMT00:00"),
            ("2026-11-22T15:04:05-03:30[America/St_Johns]", "GMT-03:30"),
            ("2026-11-22T15:04:05+05:45[Asia/Kathmandu]", "GMT05:45"),
        ] {
            let now: Zoned = time.parse().unwrap();
            assert_eq!(
                sync_snapshot(&prefix(Some("x"), "far"), &now),
                format!("syncoid_x_far_2026-11-22:15:04:05-{name}")
            );
        }
        assert_eq!(prefix(None, "far"), "syncoid_far");
    }
}
