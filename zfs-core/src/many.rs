//! Calls on many names at once, and what they answer.
//!
//! Traps: the list of errors is untouched where no name was given, may be
//! filled although the call succeeded, may lack the name that failed, and
//! ends with a count where it became too long.

use zfs_stream::nvlist::{NvList, Value};

use crate::error::{Errno, Error, Failure, Operation};
use crate::ffi::{Answer, CallError};

/// Stands among the names where there were more errors than room.
const N_MORE_ERRORS: &str = "N_MORE_ERRORS";

/// How many names an error that concerns all of them spells out.
const NAMES_SHOWN: usize = 3;

/// Names on which something is done together: the keys of a list.
pub(crate) struct Names<'a> {
    operation: Operation,
    names: Vec<&'a str>,
}

impl<'a> Names<'a> {
    pub(crate) fn new<N: AsRef<str> + 'a>(
        operation: Operation,
        names: impl IntoIterator<Item = &'a N>,
    ) -> Names<'a> {
        Names {
            operation,
            names: names.into_iter().map(AsRef::as_ref).collect(),
        }
    }

    /// The list that has a value for each name.
    pub(crate) fn list<V: Into<Value>>(
        &self,
        value: impl Fn(&str) -> zfs_stream::Result<V>,
    ) -> Result<NvList, Error> {
        let mut list = NvList::new();
        for name in &self.names {
            value(name)
                .and_then(|value| list.insert(name, value))
                .map_err(|source| CallError::Request(source).on(self.operation, *name))?;
        }
        Ok(list)
    }

    /// The names as one text, for an error of which ZFS does not say whose it
    /// is.
    fn together(&self) -> String {
        let shown: Vec<&str> = self.names.iter().take(NAMES_SHOWN).copied().collect();
        match self.names.len().saturating_sub(shown.len()) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    pub(crate) fn call_error(&self, error: CallError) -> Error {
        error.on(self.operation, self.together())
    }

    /// What failed, names that are listed although the call succeeded
    /// included.
    fn failures(&self, answer: &Answer) -> Result<(Vec<Failure>, u64), Error> {
        let mut failures = Vec::new();
        let mut more = 0;
        for (name, value) in &answer.list {
            let number = match value {
                Value::Int32(number) => i64::from(*number),
                Value::Int64(number) => *number,
                other => {
                    return Err(Error::UnexpectedAnswer {
                        operation: self.operation,
                        name: name.to_string(),
                        reason: format!("its error is a {}", other.data_type()),
                    });
                }
            };
            if name == N_MORE_ERRORS {
                more = u64::try_from(number).unwrap_or(0);
            } else {
                let errno = Errno(i32::try_from(number).unwrap_or(i32::MAX));
                failures.push(Failure::new(self.operation, name.to_string(), errno));
            }
        }
        if let (Some(errno), true) = (answer.errno, failures.is_empty()) {
            failures.push(Failure::new(self.operation, self.together(), errno));
        }
        Ok((failures, more))
    }

    /// Nothing failed, or the error for what did. `explain` may add to each
    /// failure what it knows.
    pub(crate) fn outcome(
        &self,
        answer: Result<Answer, CallError>,
        explain: impl Fn(&mut Failure),
    ) -> Result<(), Error> {
        let answer = answer.map_err(|error| self.call_error(error))?;
        let (mut failures, more) = self.failures(&answer)?;
        failures.iter_mut().for_each(explain);
        match failures.pop() {
            None if more == 0 => Ok(()),
            Some(only) if failures.is_empty() && more == 0 => Err(Error::Zfs(only)),
            last => {
                failures.extend(last);
                Err(Error::Several { failures, more })
            }
        }
    }

    /// Whether they are all in one pool.
    pub(crate) fn same_pool(&self) -> bool {
        let mut pools = self.names.iter().map(|name| pool(name));
        let first = pools.next();
        pools.all(|pool| Some(pool) == first)
    }
}

fn pool(name: &str) -> &str {
    name.split(['/', '@', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::name::SnapshotName;

    fn answer(errno: i32, list: &[(&str, i32)]) -> Answer {
        let mut nvlist = NvList::new();
        for (name, number) in list {
            nvlist.insert(name, *number).unwrap();
        }
        Answer {
            errno: (errno != 0).then_some(Errno(errno)),
            list: nvlist,
        }
    }

    fn snapshots(names: &[&str]) -> Vec<SnapshotName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn outcome(names: &[&str], answer: Answer) -> Result<(), Error> {
        let names = snapshots(names);
        Names::new(Operation::Snapshot, &names).outcome(Ok(answer), |_| {})
    }

    #[test]
    fn an_untouched_list_and_zero_is_success() {
        outcome(&[], answer(0, &[])).unwrap();
        outcome(&["tank@a"], answer(0, &[])).unwrap();
    }

    #[test]
    fn each_name_keeps_its_own_error() {
        let names = ["tank/a@x", "tank/b@x", "tank/c@x"];
        let listed = [("tank/a@x", libc::EEXIST), ("tank/c@x", libc::ENOENT)];
        let error = outcome(&names, answer(libc::EEXIST, &listed)).unwrap_err();
        let failures = error.failures();
        assert_eq!(failures.len(), 2);
        assert_eq!(failures[0].name, "tank/a@x");
        assert_eq!(failures[0].kind(), ErrorKind::Exists);
        assert_eq!(failures[1].name, "tank/c@x");
        assert_eq!(failures[1].kind(), ErrorKind::NotFound);
    }

    #[test]
    fn errors_that_did_not_fit_are_counted() {
        let listed = [("tank/a@x", libc::EEXIST), (N_MORE_ERRORS, 41)];
        let error = outcome(&["tank/a@x", "tank/b@x"], answer(libc::EEXIST, &listed)).unwrap_err();
        assert!(matches!(error, Error::Several { more: 41, .. }), "{error}");
        assert_eq!(error.failures().len(), 1);
    }

    #[test]
    fn a_list_that_is_filled_is_an_error_whatever_the_number() {
        let listed = [("tank/a@x", libc::ENOENT)];
        let error = outcome(&["tank/a@x", "tank/b@x"], answer(0, &listed)).unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }

    #[test]
    fn a_number_without_a_list_concerns_all_names() {
        let names = ["tank@a", "tank/b@a", "tank/c@a", "tank/d@a"];
        let error = outcome(&names, answer(libc::EINVAL, &[])).unwrap_err();
        let name = &error.failures()[0].name;
        assert_eq!(name, "tank@a, tank/b@a, tank/c@a and 1 more");
    }

    #[test]
    fn an_error_that_is_no_number_is_an_odd_answer_and_no_panic() {
        let mut list = NvList::new();
        list.insert_str("tank@a", "what").unwrap();
        let answer = Answer { errno: None, list };
        let error = outcome(&["tank@a"], answer).unwrap_err();
        assert!(matches!(error, Error::UnexpectedAnswer { .. }), "{error}");
    }

    #[test]
    fn pools_are_told_apart_by_whole_names() {
        let same = |names: &[&str]| {
            let names = snapshots(names);
            Names::new(Operation::Snapshot, &names).same_pool()
        };
        assert!(same(&["tank@a", "tank/b@a"]));
        assert!(!same(&["tank@a", "tank2@a"]));
        assert!(same(&[]));
    }
}
