//! Snapshot names with a moment in them: printed, and read back.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp, Zoned,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

use crate::{Error, Snapshot};

/// A pattern that names are made of and recognised by.
///
/// | piece | stands for |
/// | --- | --- |
/// | `%Y` `%m` `%d` `%H` `%M` `%S` | the local time, zero-padded |
/// | `%3f` | milliseconds |
/// | `%s` | seconds since 1970 |
/// | `%{tier}` | a word of small letters: `daily` |
/// | `%{utc}` | nothing, but only at the beginning: the times are UTC |
/// | `%{dst}` | `dst` in the second pass of an hour that comes twice, else nothing |
///
/// ```
/// use zfs_retention::Template;
///
/// let template: Template = "backup-%Y%m%d-%H%M".parse()?;
/// let moment: jiff::Zoned = "2026-04-03T02:00:00+02:00[Europe/Berlin]".parse()?;
/// let name = template.print(&moment, "daily");
/// assert_eq!(name, "backup-20260403-0200");
/// let named = template.read(&name).unwrap();
/// assert_eq!(named.timestamp(moment.time_zone()), Some(moment.timestamp()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Unix,
    Tier,
    Dst,
    Utc,
}

/// What a name says about its snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The local time, or that of UTC, where the name has a whole date; what
    /// the template leaves out of the time of day is zero.
    pub datetime: Option<DateTime>,
    /// The moment itself, where the name counts from 1970.
    pub unix: Option<Timestamp>,
    /// The tier.
    pub tier: Option<String>,
    /// Whether the name is marked as the second pass of a repeated hour.
    pub dst: bool,
    /// Whether its time is UTC.
    pub utc: bool,
}

impl Named {
    /// The moment that the name tells, to the precision it has, where its
    /// local time is one of `zone`. A time that the zone left out when clocks
    /// went forward is taken as if they had not; one that came twice is the
    /// first, unless the name is marked as the second. Where the name is in
    /// UTC the zone means nothing.
    pub fn timestamp(&self, zone: &TimeZone) -> Option<Timestamp> {
        if self.unix.is_some() {
            return self.unix;
        }
        let zone = if self.utc { &TimeZone::UTC } else { zone };
        let ambiguous = zone.to_ambiguous_timestamp(self.datetime?);
        match ambiguous.offset() {
            AmbiguousOffset::Fold { .. } if self.dst => ambiguous.later().ok(),
            _ => ambiguous.compatible().ok(),
        }
    }
}

impl Template {
    /// sanoid's: `autosnap_2026-04-03_02:00:00_daily`.
    pub fn sanoid() -> Self {
        Self::known("autosnap_%Y-%m-%d_%H:%M:%S%{dst}_%{tier}")
    }

    /// zfs-auto-snapshot's, whose times are UTC:
    /// `zfs-auto-snap_daily-2026-04-03-0000`.
    pub fn zfs_auto_snapshot() -> Self {
        Self::known("%{utc}zfs-auto-snap_%{tier}-%Y-%m-%d-%H%M")
    }

    /// TrueNAS' default: `auto-2026-04-03_02-00`.
    pub fn truenas() -> Self {
        Self::known("auto-%Y-%m-%d_%H-%M")
    }

    /// zrepl's, with its usual prefix and UTC: `zrepl_20260403_020000_000`.
    pub fn zrepl() -> Self {
        Self::known("%{utc}zrepl_%Y%m%d_%H%M%S_%3f")
    }

    /// What many guides use: `2026-04-03_02:00`.
    pub fn plain() -> Self {
        Self::known("%Y-%m-%d_%H:%M")
    }

    /// The templates above, with whose they are.
    pub fn all_known() -> [(&'static str, Self); 5] {
        [
            ("sanoid", Self::sanoid()),
            ("zfs-auto-snapshot", Self::zfs_auto_snapshot()),
            ("truenas", Self::truenas()),
            ("zrepl", Self::zrepl()),
            ("plain", Self::plain()),
        ]
    }

    fn known(text: &str) -> Self {
        // A test reads every known one; none can fail here.
        let pieces = parse_pieces(text).unwrap_or_default();
        Self { pieces }
    }

    /// The name for a snapshot of `tier` at `moment`, in the moment's zone
    /// unless the template is in UTC.
    /// `%{dst}` prints nothing: sanoid adds it only where the name is taken,
    /// and [`print_again`](Self::print_again) does that.
    pub fn print(&self, moment: &Zoned, tier: &str) -> String {
        self.write(moment, tier, false)
    }

    /// The name for a snapshot whose first name exists already, because its
    /// hour comes twice. Without `%{dst}` in the template it is the same.
    pub fn print_again(&self, moment: &Zoned, tier: &str) -> String {
        self.write(moment, tier, true)
    }

    fn write(&self, moment: &Zoned, tier: &str, again: bool) -> String {
        let utc;
        let moment = if self.is_utc() {
            utc = moment.with_time_zone(TimeZone::UTC);
            &utc
        } else {
            moment
        };
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Year => format!("{:04}", moment.year()),
            Piece::Month => format!("{:02}", moment.month()),
            Piece::Day => format!("{:02}", moment.day()),
            Piece::Hour => format!("{:02}", moment.hour()),
            Piece::Minute => format!("{:02}", moment.minute()),
            Piece::Second => format!("{:02}", moment.second()),
            Piece::Millisecond => format!("{:03}", moment.millisecond()),
            Piece::Unix => moment.timestamp().as_second().to_string(),
            Piece::Tier => tier.to_owned(),
            Piece::Dst if again => "dst".to_owned(),
            Piece::Dst | Piece::Utc => String::new(),
        };
        self.pieces.iter().map(piece).collect()
    }

    fn is_utc(&self) -> bool {
        self.pieces.contains(&Piece::Utc)
    }

    /// What `name` says, or `None` where it does not fit or tells a date that
    /// does not exist.
    pub fn read(&self, name: &str) -> Option<Named> {
        let mut rest = name;
        let mut named = Named {
            utc: self.is_utc(),
            ..Named::default()
        };
        let (mut year, mut month, mut day) = (None, None, None);
        let (mut hour, mut minute, mut second, mut milli) = (0, 0, 0, 0);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Year => year = Some(digits(&mut rest, 4)?),
                Piece::Month => month = Some(digits(&mut rest, 2)?),
                Piece::Day => day = Some(digits(&mut rest, 2)?),
                Piece::Hour => hour = digits(&mut rest, 2)?,
                Piece::Minute => minute = digits(&mut rest, 2)?,
                Piece::Second => second = digits(&mut rest, 2)?,
                Piece::Millisecond => milli = digits(&mut rest, 3)?,
                Piece::Unix => {
                    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
                    let (number, after) = rest.split_at(length);
                    named.unix = Some(Timestamp::from_second(number.parse().ok()?).ok()?);
                    rest = after;
                }
                Piece::Tier => {
                    let length = rest.bytes().take_while(u8::is_ascii_lowercase).count();
                    let (tier, after) = rest.split_at(length);
                    if tier.is_empty() {
                        return None;
                    }
                    named.tier = Some(tier.to_owned());
                    rest = after;
                }
                Piece::Dst => {
                    if let Some(after) = rest.strip_prefix("dst") {
                        named.dst = true;
                        rest = after;
                    }
                }
                Piece::Utc => {}
            }
        }
        if !rest.is_empty() {
            return None;
        }
        if let (Some(year), Some(month), Some(day)) = (year, month, day) {
            let small = |number: i16| i8::try_from(number).ok();
            let datetime = DateTime::new(
                year,
                small(month)?,
                small(day)?,
                small(hour)?,
                small(minute)?,
                small(second)?,
                i32::from(milli) * 1_000_000,
            );
            named.datetime = Some(datetime.ok()?);
        }
        Some(named)
    }
}

impl<Id> Snapshot<Id> {
    /// The same snapshot, created when its name says, read as a local time of
    /// `zone`; unchanged where the name does not fit. For those who replicated
    /// with tools that do not preserve `creation`; otherwise leave it alone,
    /// since a name can say anything.
    #[must_use]
    pub fn created_as_named(mut self, template: &Template, zone: &TimeZone) -> Self {
        let told = template
            .read(&self.name)
            .and_then(|named| named.timestamp(zone));
        self.creation = told.unwrap_or(self.creation);
        self
    }
}

fn digits(rest: &mut &str, count: usize) -> Option<i16> {
    let (number, after) = rest.split_at_checked(count)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = after;
    number.parse().ok()
}

fn parse_pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let (piece, length) = match char {
            '%' => special(rest)?,
            // What ZFS allows in a snapshot's name (zfs(8), "Snapshots").
            char if char.is_ascii_alphanumeric() || "-_.: ".contains(char) => {
                (Piece::Text(char.to_string()), 1)
            }
            char => return Err(format!("ZFS allows no {char:?} in a snapshot's name")),
        };
        rest = rest.get(length..).unwrap_or_default();
        if let Piece::Text(more) = piece {
            literal.push_str(&more);
            continue;
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(piece);
    }
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    for (nth, piece) in pieces.iter().enumerate() {
        if pieces.iter().take(nth).any(|before| before == piece) && !matches!(piece, Piece::Text(_))
        {
            return Err("a piece of time or the tier occurs twice".to_owned());
        }
        let next = pieces.get(nth + 1);
        let unclear = match (piece, next) {
            (Piece::Tier, Some(Piece::Text(text))) => {
                text.starts_with(|char: char| char.is_ascii_lowercase())
            }
            (Piece::Unix, Some(Piece::Text(text))) => {
                text.starts_with(|char: char| char.is_ascii_digit())
            }
            (Piece::Dst, Some(Piece::Text(text))) => text.starts_with('d'),
            (Piece::Tier, Some(Piece::Dst)) | (Piece::Dst, Some(Piece::Tier)) => true,
            (Piece::Unix, Some(next)) => !matches!(next, Piece::Tier | Piece::Dst),
            _ => false,
        };
        if unclear {
            return Err("a piece of no fixed length runs into what follows it".to_owned());
        }
    }
    if pieces.iter().skip(1).any(|piece| *piece == Piece::Utc) {
        return Err("%{utc} stands at the beginning or not at all".to_owned());
    }
    if matches!(pieces.as_slice(), [] | [Piece::Utc]) {
        return Err("it is empty".to_owned());
    }
    Ok(pieces)
}

/// What begins with `%`, and how many bytes it takes.
fn special(rest: &str) -> Result<(Piece, usize), String> {
    const KNOWN: [(&str, Piece); 11] = [
        ("%Y", Piece::Year),
        ("%m", Piece::Month),
        ("%d", Piece::Day),
        ("%H", Piece::Hour),
        ("%M", Piece::Minute),
        ("%S", Piece::Second),
        ("%3f", Piece::Millisecond),
        ("%s", Piece::Unix),
        ("%{tier}", Piece::Tier),
        ("%{dst}", Piece::Dst),
        ("%{utc}", Piece::Utc),
    ];
    KNOWN
        .into_iter()
        .find(|(name, _)| rest.starts_with(name))
        .map(|(name, piece)| (piece, name.len()))
        .ok_or_else(|| {
            let shown: String = rest.chars().take(8).collect();
            format!("{shown:?} begins none of the pieces of a name")
        })
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let pieces =
            parse_pieces(text).map_err(|problem| Error::syntax("name template", text, problem))?;
        Ok(Self { pieces })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            f.write_str(match piece {
                Piece::Text(text) => text,
                Piece::Year => "%Y",
                Piece::Month => "%m",
                Piece::Day => "%d",
                Piece::Hour => "%H",
                Piece::Minute => "%M",
                Piece::Second => "%S",
                Piece::Millisecond => "%3f",
                Piece::Unix => "%s",
                Piece::Tier => "%{tier}",
                Piece::Dst => "%{dst}",
                Piece::Utc => "%{utc}",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn berlin(time: &str) -> Zoned {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        time.parse::<Timestamp>().unwrap().to_zoned(zone)
    }

    #[test]
    fn known_names_are_printed_as_their_makers_do() {
        let moment = berlin("2026-04-03T00:00:00Z");
        let names = Template::all_known().map(|(_, template)| template.print(&moment, "daily"));
        assert_eq!(
            names,
            [
                "autosnap_2026-04-03_02:00:00_daily",
                "zfs-auto-snap_daily-2026-04-03-0000",
                "auto-2026-04-03_02-00",
                "zrepl_20260403_000000_000",
                "2026-04-03_02:00",
            ]
        );
    }

    #[test]
    fn the_second_pass_of_an_hour_is_told_apart() {
        let template = Template::sanoid();
        let second = berlin("2026-10-25T01:00:00Z");
        let name = template.print_again(&second, "hourly");
        assert_eq!(name, "autosnap_2026-10-25_02:00:00dst_hourly");
        let zone = second.time_zone();
        let told = |name: &str| template.read(name).unwrap().timestamp(zone).unwrap();
        assert_eq!(told(&name), second.timestamp());
        assert_eq!(
            told(&template.print(&second, "hourly")),
            "2026-10-25T00:00:00Z".parse().unwrap()
        );
    }

    #[test]
    fn names_that_do_not_fit_say_nothing() {
        let template = Template::sanoid();
        for name in [
            "",
            "autosnap_2026-04-03_02:00:00",
            "autosnap_2026-04-03_02:00:00_",
            "autosnap_2026-02-30_02:00:00_daily",
            "autosnap_2026-04-03_25:00:00_daily",
            "autosnap_2026-04-03_02:00:00_daily2",
            "autosnap_2026-4-03_02:00:00_daily",
            "autosnap_+026-04-03_02:00:00_daily",
            "autosnap_2026-04-03_02:00:0ü_daily",
        ] {
            assert_eq!(template.read(name), None, "{name}");
        }
    }

    #[test]
    fn templates_that_could_not_be_read_back_are_refused() {
        for text in [
            "",
            "%q",
            "a@b",
            "a/b",
            "a+b",
            "%",
            "%{tier}ly",
            "%s%Y",
            "%s5",
            "%Y%Y",
            "%{tier}%{dst}",
            "%{dst}day",
            "%{tier}ly-",
            "%s5-",
            "%{utc}",
            "%Y%{utc}",
            "%{utc}%{utc}%Y",
        ] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
        for text in ["%{tier}-x", "%s-5"] {
            assert!(text.parse::<Template>().is_ok(), "{text}");
        }
    }

    #[test]
    fn age_comes_from_the_name_only_when_asked() {
        use crate::{Guid, Txg};
        let received = "2026-05-01T00:00:00Z".parse().unwrap();
        let snapshot = Snapshot::new("2026-04-03_02:00", Guid(1), Txg(1), received);
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let told = snapshot.clone().created_as_named(&Template::plain(), &zone);
        assert_eq!(told.creation, "2026-04-03T00:00:00Z".parse().unwrap());
        let unfit = snapshot.created_as_named(&Template::sanoid(), &zone);
        assert_eq!(unfit.creation, received);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            second in 0_i64..4_000_000_000,
            nth in 0_usize..5,
            tier in "[a-z]{1,12}",
            zone in prop::sample::select(vec!["Europe/Berlin", "Asia/Kolkata", "Africa/Casablanca"]),
        ) {
            let (_, template) = Template::all_known()[nth].clone();
            let zone = TimeZone::get(zone).unwrap();
            // All of them tell the minute, and some no more.
            let minute = Timestamp::from_second(second / 60 * 60).unwrap();
            let moment = minute.to_zoned(zone.clone());
            let name = template.print(&moment, &tier);
            let named = template.read(&name).unwrap();
            let told = named.timestamp(&zone).unwrap();
            if template.is_utc() {
                prop_assert_eq!(told, minute);
            } else {
                // The other pass of an hour that comes twice has the same name.
                prop_assert_eq!(told.to_zoned(zone).datetime(), moment.datetime());
            }
            if let Some(told) = named.tier {
                prop_assert_eq!(told, tier.clone());
            }
            prop_assert_eq!(template.to_string().parse::<Template>().unwrap(), template.clone());
        }

        #[test]
        fn reading_any_name_is_safe(name in "\\PC*", nth in 0_usize..5) {
            let (_, template) = Template::all_known()[nth].clone();
            if let Some(named) = template.read(&name) {
                let _ = named.timestamp(&TimeZone::get("Pacific/Apia").unwrap());
            }
        }

        #[test]
        fn parsing_any_template_is_safe(text in "[%a-zA-Z0-9{}_:. ü-]*") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string(), text);
            }
        }
    }
}
