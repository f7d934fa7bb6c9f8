//! What is found by looking before something is done.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    Fine,
    /// Something is missing or may surprise.
    Warning,
    /// It does not do what it should, or cannot begin.
    Error,
}

impl Level {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What is so.
    pub message: String,
    /// What to do; nothing where all is fine.
    pub hint: String,
}

impl Finding {
    /// That something is as it should be.
    pub fn fine(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Fine, message: message.into(), hint: String::new() }
    }

    /// That something is missing, or may surprise.
    pub fn warning(
        check: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Warning, message: message.into(), hint: hint.into() }
    }

    /// That something must be mended.
    pub fn error(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, level: Level::Error, message: message.into(), hint: hint.into() }
    }
}
