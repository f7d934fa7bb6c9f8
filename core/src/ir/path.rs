//! Path prefixes.

use std::fmt;
use std::sync::Arc;

/// The longest prefix that is taken.
const BYTES_MAX: usize = 1024;

/// Why a text is not a path prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("must begin with '/'")]
    NoSlash,
    /// It has a query or a fragment, which are not part of a path.
    #[error("must not contain '?' or '#'")]
    QueryOrFragment,
    /// It has something that no request line can carry.
    #[error("must consist of printable ASCII characters without blanks; percent-encode others")]
    Unprintable,
    /// It is longer than 1024 bytes.
    #[error("must not be longer than 1024 characters")]
    TooLong,
}

/// A path prefix: printable ASCII that begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(Arc<str>);

impl PathPrefix {
    /// Checks a text.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &Arc<str>) -> Result<Self, PathError> {
        if !text.starts_with('/') {
            Err(PathError::NoSlash)
        } else if text.len() > BYTES_MAX {
            Err(PathError::TooLong)
        } else if text.contains(['?', '#']) {
            Err(PathError::QueryOrFragment)
        } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
            Err(PathError::Unprintable)
        } else {
            Ok(Self(Arc::clone(text)))
        }
    }

    /// The prefix `/`, which every path has.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every path of this prefix belongs to `parent`, whole segments compared: `/a/b`
    /// is within `/a` and `/a/`, `/ab` is not.
    pub fn is_within(&self, parent: &Self) -> bool {
        let parent = parent.0.trim_end_matches('/');
        match self.0.strip_prefix(parent) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathPrefix {
        PathPrefix::parse(&text.into()).unwrap()
    }

    #[test]
    fn delegation_compares_whole_segments() {
        for (child, parent, within) in [
            ("/a/b", "/a", true),
            ("/a/b", "/a/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a", "/a/", true),
            ("/ab", "/a", false),
            ("/", "/a", false),
            ("/anything", "/", true),
            ("/b", "/a", false),
        ] {
            assert_eq!(path(child).is_within(&path(parent)), within, "{child} in {parent}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        for (text, error) in [
            ("", PathError::NoSlash),
            ("a", PathError::NoSlash),
            ("/a?b", PathError::QueryOrFragment),
            ("/a#b", PathError::QueryOrFragment),
            ("/a b", PathError::Unprintable),
            ("/a\r\nb", PathError::Unprintable),
            ("/\0", PathError::Unprintable),
            ("/ü", PathError::Unprintable),
        ] {
            assert_eq!(PathPrefix::parse(&text.into()), Err(error), "{text:?}");
        }
        let long = format!("/{}", "a".repeat(1024));
        assert_eq!(PathPrefix::parse(&long.as_str().into()), Err(PathError::TooLong));
    }
}
