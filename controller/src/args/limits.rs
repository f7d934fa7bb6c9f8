//! `--limit namespace.routes=100000,…`: how much objects may expand to.

use contour_core::options::Limits;

/// A limit that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitArg {
    name: &'static str,
    value: usize,
}

impl LimitArg {
    /// Sets it.
    pub(super) fn apply(self, limits: &mut Limits) {
        if let Some((_, limit)) = Limits::NAMED.iter().find(|(name, _)| *name == self.name) {
            *limit(limits) = self.value;
        }
    }
}

/// Reads `NAME=N`.
pub(super) fn parse(text: &str) -> Result<LimitArg, String> {
    let names = || Limits::NAMED.map(|(name, _)| name).join(", ");
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("must be NAME=N, where NAME is one of {}", names()));
    };
    let Some((name, _)) = Limits::NAMED.iter().find(|(known, _)| *known == name.trim()) else {
        return Err(format!("there is no limit {name:?}; use one of {}", names()));
    };
    match value.trim().parse::<u32>() {
        Ok(value) if value > 0 => {
            Ok(LimitArg { name, value: usize::try_from(value).unwrap_or(usize::MAX) })
        }
        _ => Err(format!("{name} must be a whole number from 1 to {}, not {value:?}", u32::MAX)),
    }
}
