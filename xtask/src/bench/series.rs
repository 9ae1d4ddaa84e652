//! A series of measurements, told by its median and its spread.

/// Values sorted at once; never empty.
pub struct Series(Vec<f64>);

impl Series {
    pub fn new(mut values: Vec<f64>) -> Option<Series> {
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(Series(values))
    }

    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 {
            self.0[middle]
        } else {
            f64::midpoint(self.0[middle - 1], self.0[middle])
        }
    }

    pub fn least(&self) -> f64 {
        self.0[0]
    }

    pub fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The median and the spread, where there is one.
    pub fn shown(&self, digits: usize) -> String {
        let (median, least, most) = (self.median(), self.least(), self.most());
        if self.0.len() == 1 {
            return format!("{median:.digits$} (one pair)");
        }
        format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

/// How many pairs of runs there were.
pub fn in_turn(count: usize) -> String {
    match count {
        1 => "one pair of runs".to_owned(),
        _ => format!("{count} pairs of runs in turn"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Series, in_turn};

    #[test]
    fn one_pair_has_no_spread() {
        let series = |values: &[f64]| Series::new(values.to_vec()).expect("not empty");
        assert_eq!(series(&[7.31]).shown(1), "7.3 (one pair)");
        assert_eq!(series(&[3.0, 1.0, 2.0]).shown(2), "2.00 (1.00 to 3.00)");
        assert_eq!(
            (in_turn(1).as_str(), in_turn(9).as_str()),
            ("one pair of runs", "9 pairs of runs in turn")
        );
    }

    #[test]
    fn the_median_of_an_even_series_lies_between() {
        let series = Series::new(vec![4.0, 1.0, 3.0, 2.0]).expect("not empty");
        assert_eq!(
            (series.least(), series.median(), series.most()),
            (1.0, 2.5, 4.0)
        );
        assert!(Series::new(Vec::new()).is_none());
    }
}
