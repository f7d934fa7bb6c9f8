//! The part of `metadata` that is read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::name::ObjectName;

/// An instant in seconds since the Unix epoch, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// An instant so many seconds after the Unix epoch.
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub fn unix(self) -> i64 {
        self.0
    }

    /// Reads `2026-01-31T23:59:59Z`; a fraction of a second is dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_suffix('Z')?;
        let (date, time) = rest.split_once('T')?;
        let time = time.split_once('.').map_or(time, |(whole, _)| whole);
        let [year, month, day] = numbers(date, '-')?;
        let [hour, minute, second] = numbers(time, ':')?;
        // RFC 3339 allows a leap second, which is counted as the first second of the next minute.
        let whole = Self::from_civil([year, month, day], [hour, minute, second.min(59)])?;
        (second <= 60).then_some(Self(whole.0 + second / 60))
    }

    /// The instant at this year, month and day, and at this hour, minute and second in UTC; `None`
    /// if there is none.
    pub fn from_civil(
        [year, month, day]: [i64; 3],
        [hour, minute, second]: [i64; 3],
    ) -> Option<Self> {
        let days_of_month = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let is_real = (0..=9999).contains(&year)
            && (1..=days_of_month).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second);
        is_real.then(|| {
            Self(days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
        })
    }
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|p| p.parse::<u32>().ok().map(i64::from));
    let out = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(out)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms", `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// As RFC 3339 has it, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// The inverse of [`days_from_civil`] (Howard Hinnant, as above, `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is not an RFC 3339 time in UTC")))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

/// The part of an object's metadata that is read; everything else is dropped at the edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The name.
    pub name: Arc<str>,
    /// The namespace; empty for cluster-scoped kinds.
    #[serde(default)]
    pub namespace: Arc<str>,
    /// When the API server created the object; unset for files, whose word on it is not believed.
    #[serde(default)]
    pub creation_timestamp: Option<Timestamp>,
    /// Where there are no times of creation: the place of the object's claim of its host in the
    /// order in which claims came, the first being 0. No part of the text; see
    /// [`Pipeline::date`](crate::pipeline::Pipeline::date).
    #[serde(skip)]
    pub arrival: u64,
    /// The generation of the spec; unset for files.
    #[serde(default)]
    pub generation: Option<i64>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
}

impl Metadata {
    /// Namespace and name.
    pub fn object_name(&self) -> ObjectName {
        ObjectName { namespace: Arc::clone(&self.namespace), name: Arc::clone(&self.name) }
    }

    /// The value of the first of `keys` that is annotated.
    pub fn annotation(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.annotations.get(*key)).map(AsRef::as_ref)
    }

    /// Orders objects by age, the oldest first; without a time an object counts as youngest, and
    /// equal ages are ordered by namespace and name.
    pub fn seniority(&self) -> (bool, Option<Timestamp>, ObjectName) {
        (self.creation_timestamp.is_none(), self.creation_timestamp, self.object_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        for seconds in (-62_000_000_000..200_000_000_000).step_by(123_456_789) {
            let time = Timestamp(seconds);
            assert_eq!(Timestamp::parse(&time.to_string()), Some(time), "{time}");
        }
        assert_eq!(Timestamp(1_795_464_001).to_string(), "2026-11-23T20:00:01Z");
    }

    #[test]
    fn times_are_read_as_the_api_server_writes_them() {
        assert_eq!(Timestamp::parse("1970-01-01T00:00:00Z"), Some(Timestamp(0)));
        assert_eq!(Timestamp::parse("2000-02-29T12:00:00Z"), Some(Timestamp(951_825_600)));
        assert_eq!(Timestamp::parse("2026-11-23T20:00:01.5Z"), Some(Timestamp(1_795_464_001)));
        for bad in
            ["", "2026-11-23", "2026-13-01T00:00:00Z", "2026-11-23T20:00:01+01:00", "x-y-zTa:b:cZ"]
        {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}
