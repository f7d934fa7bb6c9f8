//! Numbers as people read them: few digits, one unit, and never more certain than they are.

/// What is not known.
pub(super) const UNKNOWN: &str = "-";

/// A rate or a count: `0`, `0.4`, `4`, `7.5`, `120`, `1.2k`, `34k`, `5.6M`.
pub(super) fn quantity(value: f64) -> String {
    let (value, unit) = match value {
        v if v < 999.5 => (v, ""),
        v if v < 999_500.0 => (v / 1e3, "k"),
        v if v < 999_500_000.0 => (v / 1e6, "M"),
        v => (v / 1e9, "G"),
    };
    match value {
        v if v <= 0.0 => "0".to_owned(),
        v if v < 0.05 => "<0.1".to_owned(),
        // A count is whole.
        v if v < 9.95 && !(unit.is_empty() && v.fract() == 0.0) => format!("{v:.1}{unit}"),
        v => format!("{v:.0}{unit}"),
    }
}

/// A share in percent: `0`, `<0.1`, `0.3`, `12`, `99.9`, `100`. What is not all is not shown as
/// 100, nor what is not nothing as 0.
pub(super) fn percent(value: f64) -> String {
    match value {
        v if v <= 0.0 => "0".to_owned(),
        v if v < 0.1 => "<0.1".to_owned(),
        v if v < 9.95 => format!("{v:.1}"),
        v if v >= 100.0 => "100".to_owned(),
        v if v >= 99.0 => format!("{:.1}", (v * 10.0).floor() / 10.0),
        v => format!("{v:.0}"),
    }
}

/// A time that was given in milliseconds: `0.5ms`, `7ms`, `1.2s`, `34s`.
pub(super) fn millis(value: f64) -> String {
    match value {
        v if v < 9.95 && v.fract() > 0.05 => format!("{v:.1}ms"),
        v if v < 999.5 => format!("{v:.0}ms"),
        v if v < 9_950.0 => format!("{:.1}s", v / 1e3),
        v => format!("{:.0}s", v / 1e3),
    }
}

/// Bytes in units of 1024: `512B`, `1.5Ki`, `310Mi`.
pub(super) fn bytes(value: f64) -> String {
    let units = ["B", "Ki", "Mi", "Gi", "Ti"];
    let mut value = value.max(0.0);
    for unit in units {
        if value < 1023.5 || unit == "Ti" {
            let digits = usize::from(unit != "B" && value < 9.95);
            return format!("{value:.digits$}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.0}Pi")
}

/// A duration in seconds, in its largest unit, as kubectl has ages: `45s`, `12m`, `5h`, `21d`.
pub fn span(seconds: f64) -> String {
    let (sign, seconds) = if seconds < 0.0 { ("-", -seconds) } else { ("", seconds) };
    match seconds {
        s if s < 120.0 => format!("{sign}{s:.0}s"),
        s if s < 7_200.0 => format!("{sign}{:.0}m", (s / 60.0).floor()),
        s if s < 172_800.0 => format!("{sign}{:.0}h", (s / 3_600.0).floor()),
        s => format!("{sign}{:.0}d", (s / 86_400.0).floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_few_digits() {
        let shown =
            [0.0, 0.01, 0.44, 4.0, 7.52, 9.96, 119.6, 999.4, 999.6, 1_249.0, 34_000.0, 5.6e6, 2e9];
        let expected = "0 <0.1 0.4 4 7.5 10 120 999 1.0k 1.2k 34k 5.6M 2.0G";
        assert_eq!(shown.map(quantity).join(" "), expected);
    }

    #[test]
    fn shares_are_nothing_or_all_only_if_they_are() {
        let shown = [0.0, 0.01, 0.3, 12.4, 99.0, 99.97, 99.999, 100.0];
        assert_eq!(shown.map(percent).join(" "), "0 <0.1 0.3 12 99.0 99.9 99.9 100");
    }

    #[test]
    fn times_have_their_unit() {
        let shown = [0.5, 1.0, 7.0, 250.0, 999.7, 1_250.0, 34_000.0];
        assert_eq!(shown.map(millis).join(" "), "0.5ms 1ms 7ms 250ms 1.0s 1.2s 34s");
    }

    #[test]
    fn sizes_and_ages_have_one_unit() {
        let sizes = [0.0, 512.0, 1_536.0, 325_058_560.0, 1_048_575.0].map(bytes);
        assert_eq!(sizes.join(" "), "0B 512B 1.5Ki 310Mi 1.0Mi");
        let ages = [0.0, 119.0, 120.0, 7_200.0, 172_800.0, -90.0].map(span);
        assert_eq!(ages.join(" "), "0s 119s 2m 2h 2d -90s");
    }
}
