//! The counts most policies consist of.

use crate::{Names, Part, Policy};

/// How many to keep of each tier, as restic and Proxmox name them. What is made
/// of the counts differs: [`Keep::parts`], [`Part::restic`], [`Part::proxmox`].
///
/// Zero, which is also the default, means that there is no such tier. With
/// the `serde` feature this is a table of a configuration file, where unknown
/// keys are errors:
///
/// ```
/// # #[cfg(feature = "serde")] {
/// let keep: zfs_retention::Keep = toml::from_str("last = 3\ndaily = 14\nmonthly = 6").unwrap();
/// assert_eq!((keep.last, keep.daily, keep.monthly), (3, 14, 6));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Keep {
    /// The newest so many.
    pub last: u32,
    /// The newest of each of the last so many quarters of an hour.
    pub frequently: u32,
    /// The newest of each of the last so many hours.
    pub hourly: u32,
    /// The newest of each of the last so many days.
    pub daily: u32,
    /// The newest of each of the last so many ISO weeks.
    pub weekly: u32,
    /// The newest of each of the last so many months.
    pub monthly: u32,
    /// The newest of each of the last so many years.
    pub yearly: u32,
}

impl Keep {
    /// The parts that the counts above zero stand for, as restic before 0.16
    /// had them: each counts by itself, and what no count keeps goes.
    pub fn parts(&self) -> Vec<Part> {
        [
            (self.last, Part::last(self.last)),
            (self.frequently, Part::frequently(15, self.frequently)),
            (self.hourly, Part::hourly(self.hourly)),
            (self.daily, Part::daily(self.daily)),
            (self.weekly, Part::weekly(self.weekly)),
            (self.monthly, Part::monthly(self.monthly)),
            (self.yearly, Part::yearly(self.yearly)),
        ]
        .into_iter()
        .filter_map(|(count, part)| (count > 0).then_some(part))
        .collect()
    }

    /// A policy that manages `names` and keeps this of them. With all counts
    /// zero it has no parts and destroys nothing.
    pub fn policy(&self, names: Names) -> Policy {
        self.parts()
            .into_iter()
            .fold(Policy::managing(names), Policy::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_tier() {
        let keep = Keep {
            daily: 2,
            yearly: 1,
            ..Keep::default()
        };
        assert_eq!(keep.parts(), [Part::daily(2), Part::yearly(1)]);
        assert!(Keep::default().parts().is_empty());
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_misspelt_tier_is_an_error() {
        let error = toml::from_str::<Keep>("dayly = 3").unwrap_err();
        assert!(error.to_string().contains("dayly"), "{error}");
    }
}
