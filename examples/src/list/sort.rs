//! The order of rows, as `-s` and `-S` ask for it.

use std::cmp::Ordering;

use zfs_core::Version;

use super::columns::Column;
use super::row::{Context, Key, Row};

/// Columns to sort by, each with whether the other way round.
#[derive(Debug)]
pub struct Order(Vec<(Column, bool)>);

impl Order {
    /// # Errors
    ///
    /// A property that there is not, in zfs(8)'s words.
    pub fn parse(sort: &[(String, bool)], version: Version) -> Result<Order, String> {
        let column = |(name, reverse): &(String, bool)| {
            Column::parse(name, version)
                .filter(|column| matches!(column, Column::Native(_) | Column::User(_)))
                .map(|column| (column, *reverse))
                .ok_or_else(|| format!("invalid property '{name}'"))
        };
        sort.iter().map(column).collect::<Result<_, _>>().map(Order)
    }

    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// The columns.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.0.iter().map(|(column, _)| column)
    }

    /// Sorts, and leaves out what is there twice.
    pub fn sort(&self, rows: &mut Vec<Row>, context: &Context) {
        let mut keyed: Vec<(Vec<Key>, Row)> = std::mem::take(rows)
            .into_iter()
            .map(|row| {
                let keys = self.columns().map(|column| row.key(column, context));
                (keys.collect(), row)
            })
            .collect();
        keyed.sort_by(|(a, row), (b, other)| {
            let reversed = self.0.iter().map(|(_, reversed)| *reversed);
            a.iter()
                .zip(b)
                .zip(reversed)
                .map(|((a, b), reversed)| by_key(a, b, reversed))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| by_default(row, other))
        });
        keyed.dedup_by(|(_, a), (_, b)| a.name == b.name);
        rows.extend(keyed.into_iter().map(|(_, row)| row));
    }
}

/// What has no such property comes last, whatever the direction.
fn by_key(a: &Key, b: &Key, reversed: bool) -> Ordering {
    let order = match (a, b) {
        (Key::Missing, Key::Missing) => return Ordering::Equal,
        (Key::Missing, _) => return Ordering::Greater,
        (_, Key::Missing) => return Ordering::Less,
        (Key::Number(a), Key::Number(b)) => a.cmp(b),
        (Key::Text(a), Key::Text(b)) => a.cmp(b),
        // One column has one kind of value.
        (Key::Number(_), Key::Text(_)) => Ordering::Less,
        (Key::Text(_), Key::Number(_)) => Ordering::Greater,
    };
    if reversed { order.reverse() } else { order }
}

/// By name, snapshots behind their dataset by createtxg.
fn by_default(a: &Row, b: &Row) -> Ordering {
    let split = |name: &'_ str| -> (String, Option<String>) {
        match name.split_once('@') {
            Some((dataset, own)) => (dataset.to_owned(), Some(own.to_owned())),
            None => (name.to_owned(), None),
        }
    };
    let ((dataset, own), (other, others)) = (split(&a.name), split(&b.name));
    dataset.cmp(&other).then_with(|| match (own, others) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(own), Some(others)) => a.createtxg.cmp(&b.createtxg).then(own.cmp(&others)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_last_either_way() {
        let number = Key::Number;
        for reversed in [false, true] {
            assert_eq!(
                by_key(&Key::Missing, &number(1), reversed),
                Ordering::Greater
            );
            assert_eq!(by_key(&number(1), &Key::Missing, reversed), Ordering::Less);
        }
        assert_eq!(by_key(&number(1), &number(2), false), Ordering::Less);
        assert_eq!(by_key(&number(1), &number(2), true), Ordering::Greater);
    }

    #[test]
    fn only_properties_of_datasets_can_be_sorted_by() {
        let parse = |name: &str| Order::parse(&[(name.to_owned(), false)], Version::NEWEST);
        assert!(parse("used").is_ok() && parse("a:b").is_ok());
        for none in ["bogus", "userused@ann", "written@x"] {
            assert_eq!(
                parse(none).unwrap_err(),
                format!("invalid property '{none}'")
            );
        }
    }
}
