//! A tree listed twice in a row: its datasets first, with all that is asked of
//! them, and then everything in it with as little as the kernel gives along with
//! the names. What is in one of the two alone was made or destroyed between them.

use std::collections::{HashMap, HashSet};

use zfs_core::Guid;

/// What is wrong with a listing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Malformed {
    /// Which line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
    /// It may be no more than that datasets were renamed while they were listed.
    pub meanwhile: bool,
}

impl Malformed {
    /// What ZFS would not have written.
    pub fn new(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line,
            problem: problem.into(),
            meanwhile: false,
        }
    }
}

/// Puts the two lists together, line by line. `D` is what is kept of a dataset;
/// names are those of the output that is read.
#[derive(Debug)]
pub struct Twice<'a, D> {
    datasets: Vec<(&'a str, Guid, D)>,
    index: HashMap<&'a str, usize>,
    points: HashSet<&'a str>,
    /// The datasets that came once more.
    again: HashMap<&'a str, Guid>,
}

impl<D> Default for Twice<'_, D> {
    fn default() -> Self {
        Self {
            datasets: Vec::new(),
            index: HashMap::new(),
            points: HashSet::new(),
            again: HashMap::new(),
        }
    }
}

impl<'a, D> Twice<'a, D> {
    /// A dataset of the first list.
    ///
    /// # Errors
    ///
    /// In words, if it comes twice.
    pub fn dataset(&mut self, name: &'a str, guid: Guid, dataset: D) -> Result<(), String> {
        if self.index.insert(name, self.datasets.len()).is_some() {
            return Err(format!("{name} comes twice"));
        }
        self.datasets.push((name, guid, dataset));
        Ok(())
    }

    /// A dataset of the second list.
    ///
    /// # Errors
    ///
    /// In words, if it comes twice.
    pub fn again(&mut self, name: &'a str, guid: Guid) -> Result<(), String> {
        match self.again.insert(name, guid) {
            None => Ok(()),
            Some(_) => Err(format!("{name} comes twice again")),
        }
    }

    /// The dataset that a snapshot or bookmark belongs to: `None` where it was
    /// made between the two lists.
    ///
    /// # Errors
    ///
    /// In words, if the snapshot or bookmark comes twice, or not behind its
    /// dataset.
    pub fn owner(&mut self, name: &'a str) -> Result<Option<&mut D>, String> {
        let dataset = name.split_once(['@', '#']).map_or(name, |(own, _)| own);
        let again = self.again.get(dataset);
        let index = self.index.get(dataset).copied();
        if again.is_none() && (index.is_none() || !self.again.is_empty()) {
            return Err(format!("{name} belongs to no dataset before it"));
        }
        if !self.points.insert(name) {
            return Err(format!("{name} comes twice"));
        }
        let owner = index.and_then(|index| self.datasets.get_mut(index));
        Ok(owner
            .filter(|(_, guid, _)| again.is_none_or(|again| again == guid))
            .map(|(_, _, dataset)| dataset))
    }

    /// Those that were there all the time. Of a tree that was listed only once
    /// that is all.
    ///
    /// # Errors
    ///
    /// In words, if datasets were renamed or made anew between the two lists: what
    /// is missing may have another name by now, and snapshots that it seems to
    /// lack.
    pub fn stayed(self) -> Result<Vec<D>, String> {
        let Self {
            datasets, again, ..
        } = self;
        let count = datasets.len();
        let stayed: Vec<D> = datasets
            .into_iter()
            .filter(|(name, guid, _)| again.is_empty() || again.get(name) == Some(guid))
            .map(|(_, _, dataset)| dataset)
            .collect();
        if stayed.len() < count && stayed.len() < again.len() {
            return Err("datasets were renamed or made anew while they were listed".to_owned());
        }
        Ok(stayed)
    }
}
