//! What exists at every age, drawn as text and as SVG.

use jiff::{SignedDuration, Timestamp, Zoned};

/// Snapshots by tier and age, the present at the left, ages growing to the
/// right on a logarithmic scale, so that the last hours and the last years are
/// both to be seen.
///
/// ```
/// use zfs_retention::Timeline;
///
/// let now: jiff::Zoned = "2026-04-03T12:00:00Z[UTC]".parse()?;
/// let hours = |n| now.timestamp() - jiff::SignedDuration::from_hours(n);
/// let timeline = Timeline::new(now.clone())
///     .with_row("hourly", [hours(1), hours(2), hours(3)])
///     .with_row("daily", [hours(24), hours(48)]);
/// assert_eq!(timeline.text(40), "\
/// hourly         1   1  1                           3
/// daily                                   1      1  2
///         0      1h           6h          1d     2d
/// ");
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    now: Zoned,
    rows: Vec<(String, Vec<Timestamp>)>,
}

/// The ages that a scale is marked at.
const MARKS: [(&str, i64); 13] = [
    ("1h", HOUR),
    ("6h", 6 * HOUR),
    ("1d", DAY),
    ("2d", 2 * DAY),
    ("1w", 7 * DAY),
    ("2w", 14 * DAY),
    ("1m", 30 * DAY),
    ("3m", 91 * DAY),
    ("6m", 182 * DAY),
    ("1y", 365 * DAY),
    ("2y", 731 * DAY),
    ("5y", 1826 * DAY),
    ("10y", 3652 * DAY),
];
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

impl Timeline {
    /// An empty one, seen from `now`.
    pub fn new(now: Zoned) -> Self {
        Self {
            now,
            rows: Vec::new(),
        }
    }

    /// The same with one more row below.
    #[must_use]
    pub fn with_row(
        mut self,
        tier: impl Into<String>,
        created: impl IntoIterator<Item = Timestamp>,
    ) -> Self {
        self.rows.push((tier.into(), created.into_iter().collect()));
        self
    }

    fn age(&self, created: Timestamp) -> SignedDuration {
        created
            .duration_until(self.now.timestamp())
            .max(SignedDuration::ZERO)
    }

    /// The age at the right end.
    fn oldest(&self) -> SignedDuration {
        let all = self.rows.iter().flat_map(|(_, created)| created);
        all.map(|created| self.age(*created))
            .max()
            .unwrap_or(SignedDuration::ZERO)
            .max(SignedDuration::from_secs(HOUR))
    }

    /// A drawing `width` characters wide, besides the names at its left and
    /// the totals at its right: how many snapshots each stretch of ages has,
    /// `+` for ten and more.
    pub fn text(&self, width: usize) -> String {
        let last = width.max(10) - 1;
        let names = self.rows.iter().map(|(tier, _)| tier.chars().count());
        let margin = names.max().unwrap_or(0).max(6) + 2;
        let oldest = self.oldest();
        let column = |position: f64| (position * last as f64).round() as usize;
        let mut text: Vec<String> = Vec::new();
        for (tier, created) in &self.rows {
            let mut counts = vec![0_usize; last + 1];
            for created in created {
                let nth = column(position(self.age(*created), oldest));
                if let Some(count) = counts.get_mut(nth) {
                    *count += 1;
                }
            }
            let cells: String = counts
                .iter()
                .map(|count| match count {
                    0 => ' ',
                    10.. => '+',
                    count => char::from_digit(*count as u32, 10).unwrap_or('+'),
                })
                .collect();
            text.push(format!("{tier:margin$}{cells}  {}\n", created.len()));
        }
        let mut axis = vec![' '; margin];
        axis.push('0');
        for (name, position) in marks(oldest) {
            let begin = margin + column(position);
            // A mark that would run into the one before is left out.
            if begin > axis.len() {
                axis.resize(begin, ' ');
                axis.extend(name.chars());
            }
        }
        axis.push('\n');
        text.push(axis.into_iter().collect());
        text.concat()
    }

    /// A drawing of its own: no script, no style sheet, no font is fetched.
    pub fn svg(&self) -> String {
        const LEFT: f64 = 110.0;
        const WIDTH: f64 = 760.0;
        const ROW: f64 = 28.0;
        const TOP: f64 = 40.0;
        let oldest = self.oldest();
        let x = |position: f64| LEFT + position * WIDTH;
        let bottom = TOP + ROW * self.rows.len() as f64;
        let (width, height) = (LEFT + WIDTH + 70.0, bottom + 40.0);
        let mut svg = vec![format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <title>Snapshots by age at {now}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-weight=\"bold\">Snapshots by age at {now}</text>\n",
            now = escaped(&self.now.strftime("%Y-%m-%d %H:%M %Z").to_string()),
        )];
        let marks = std::iter::once(("now", 0.0)).chain(marks(oldest));
        let mut free_from = 0.0;
        for (name, position) in marks {
            let x = x(position);
            if x < free_from {
                continue;
            }
            free_from = x + 26.0;
            svg.push(format!(
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\n\
                 <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"#555\">{name}</text>\n",
                bottom + 18.0
            ));
        }
        for (nth, (tier, created)) in self.rows.iter().enumerate() {
            let middle = TOP + ROW * (nth as f64 + 0.5);
            let hue = nth * 67 % 360;
            svg.push(format!(
                "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
                 <text x=\"{:.0}\" y=\"{:.1}\" fill=\"#555\">{}</text>\n\
                 <path stroke=\"hsl({hue},65%,40%)\" stroke-width=\"2\" d=\"",
                LEFT - 14.0,
                middle + 4.5,
                escaped(tier),
                LEFT + WIDTH + 14.0,
                middle + 4.5,
                created.len(),
            ));
            for created in created {
                let x = x(position(self.age(*created), oldest));
                svg.push(format!("M{x:.1} {:.1}v16", middle - 8.0));
            }
            svg.push("\"/>\n".to_owned());
        }
        svg.push("</svg>\n".to_owned());
        svg.concat()
    }
}

/// Where an age lies, from 0 at the present to 1 at the oldest.
fn position(age: SignedDuration, oldest: SignedDuration) -> f64 {
    let scale = |age: SignedDuration| (age.as_secs_f64() / HOUR as f64).ln_1p();
    scale(age) / scale(oldest)
}

fn marks(oldest: SignedDuration) -> impl Iterator<Item = (&'static str, f64)> {
    MARKS
        .into_iter()
        .map(|(name, seconds)| (name, SignedDuration::from_secs(seconds)))
        .filter(move |(_, age)| *age <= oldest)
        .map(move |(name, age)| (name, position(age, oldest)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        let now: Zoned = "2026-04-03T12:00:00Z[UTC]".parse().unwrap();
        let hours = |n| now.timestamp() - SignedDuration::from_hours(n);
        Timeline::new(now.clone())
            .with_row("hourly", (0..48).map(hours))
            .with_row("a<b&c", [hours(24 * 400), hours(-5)])
    }

    #[test]
    fn nothing_is_lost_between_the_columns() {
        for width in [0, 10, 40, 200] {
            let text = timeline().text(width);
            let hourly = text.lines().next().unwrap();
            assert!(hourly.ends_with("  48"), "{text}");
        }
    }

    #[test]
    fn a_drawing_of_nothing_is_a_drawing() {
        let empty = Timeline::new("2026-04-03T12:00:00Z[UTC]".parse().unwrap());
        assert!(empty.text(40).contains('0'));
        assert!(empty.svg().ends_with("</svg>\n"));
    }

    #[test]
    fn svg_has_a_stroke_for_each_snapshot_and_no_raw_markup() {
        let svg = timeline().svg();
        assert_eq!(svg.matches("v16").count(), 50);
        assert!(svg.contains("a&lt;b&amp;c"));
        assert!(!svg.contains("a<b"));
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }
}
