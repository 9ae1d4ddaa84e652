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
}

#[cfg(test)]
mod tests {
    use super::Series;

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
