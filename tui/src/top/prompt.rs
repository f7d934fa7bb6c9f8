//! The line in which a filter is written.

use contour_core::top::{Filter, FilterError, View};

/// What separates a column from its value.
const OPERATORS: [char; 5] = ['=', '!', '~', '<', '>'];

/// What is done to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The cursor to the left.
    Left,
    /// The cursor to the right.
    Right,
    /// The cursor to the begin.
    Home,
    /// The cursor to the end.
    End,
    /// Erase the character before the cursor.
    Erase,
    /// Erase the one after it.
    Delete,
    /// Erase the word before it.
    EraseWord,
    /// Erase all before it.
    EraseLine,
    /// Complete a name.
    Complete,
}

/// A line that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Prompt {
    pub(super) text: String,
    /// The byte before which the cursor is.
    pub(super) at: usize,
    /// What is wrong with the text.
    pub(super) error: Option<FilterError>,
    /// What it could be completed to.
    pub(super) hint: Option<String>,
}

impl Prompt {
    /// A line with a text in it already.
    pub(super) fn new(text: String) -> Self {
        Self { at: text.len(), text, error: None, hint: None }
    }

    /// Reads it. While something is wrong, there is no filter.
    pub(super) fn read(&mut self, view: View) -> Option<Filter> {
        match Filter::parse(&self.text, view) {
            Ok(filter) => {
                self.error = None;
                Some(filter)
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    /// What is before the cursor, and what after it.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.at).unwrap_or((&self.text, ""))
    }

    pub(super) fn insert(&mut self, c: char) {
        if !c.is_control() {
            let (before, after) = self.parts();
            self.text = format!("{before}{c}{after}");
            self.at += c.len_utf8();
        }
    }

    pub(super) fn edit(&mut self, edit: Edit, view: View) {
        match edit {
            Edit::Left => self.left(),
            Edit::Right => self.right(),
            Edit::Home => self.at = 0,
            Edit::End => self.at = self.text.len(),
            Edit::Erase => self.erase(),
            Edit::Delete => self.delete(),
            Edit::EraseWord => self.erase_word(),
            Edit::EraseLine => self.erase_line(),
            Edit::Complete => self.complete(view),
        }
    }

    fn left(&mut self) {
        let back = self.parts().0.chars().next_back().map_or(0, char::len_utf8);
        self.at = self.at.saturating_sub(back);
    }

    fn right(&mut self) {
        self.at += self.parts().1.chars().next().map_or(0, char::len_utf8);
    }

    /// Erases the character before the cursor.
    fn erase(&mut self) {
        let from = self.at;
        self.left();
        self.cut(from);
    }

    /// Erases the character after the cursor.
    fn delete(&mut self) {
        let from = self.at;
        self.right();
        let until = std::mem::replace(&mut self.at, from);
        self.cut(until);
    }

    /// Erases the word before the cursor.
    fn erase_word(&mut self) {
        let from = self.at;
        let kept = self.parts().0.trim_end();
        self.at = word_begin(kept);
        self.cut(from);
    }

    /// Erases all before the cursor.
    fn erase_line(&mut self) {
        let from = std::mem::take(&mut self.at);
        self.cut(from);
    }

    /// Erases from the cursor to a byte after it.
    fn cut(&mut self, until: usize) {
        let after = self.text.get(until..).unwrap_or_default();
        self.text = format!("{}{after}", self.parts().0);
    }

    /// Whether a term could begin at the cursor.
    pub(super) fn is_at_begin(&self) -> bool {
        self.parts().0.chars().next_back().is_none_or(char::is_whitespace)
    }

    /// Completes the name of a column before the cursor, as far as it is clear.
    fn complete(&mut self, view: View) {
        let (before, after) = self.parts();
        let begin = word_begin(before);
        let word = before.get(begin..).unwrap_or_default();
        if word.contains(OPERATORS) {
            self.hint = Some("only names of columns are completed".to_owned());
            return;
        }
        let word = word.to_lowercase();
        let names = view.columns().iter().map(|column| column.name);
        let names: Vec<&str> = names.filter(|name| name.starts_with(&word)).collect();
        let Some(common) = common(&names) else {
            self.hint = Some(format!("no column begins with {word}"));
            return;
        };
        let head = before.get(..begin).unwrap_or_default();
        let text = format!("{head}{common}{after}");
        self.hint = (names.len() > 1).then(|| names.join(" "));
        (self.text, self.at) = (text, begin + common.len());
    }
}

fn word_begin(text: &str) -> usize {
    text.char_indices()
        .rev()
        .find(|(_, c)| c.is_whitespace())
        .map_or(0, |(at, c)| at + c.len_utf8())
}

/// How all begin.
fn common<'a>(names: &[&'a str]) -> Option<&'a str> {
    let first = *names.first()?;
    let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
    let mut begins = std::iter::once(0).chain(ends).filter_map(|end| first.get(..end));
    begins.rfind(|begin| names.iter().all(|name| name.starts_with(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, cursor: usize) -> Prompt {
        Prompt { at: cursor, ..Prompt::new(text.to_owned()) }
    }

    #[test]
    fn a_line_is_edited_where_the_cursor_is() {
        for (before, edit, after) in [
            (at("aéb", 3), Edit::Erase, ("ab", 1)),
            (at("aéb", 0), Edit::Erase, ("aéb", 0)),
            (at("aéb", 1), Edit::Delete, ("ab", 1)),
            (at("aéb", 4), Edit::Delete, ("aéb", 4)),
            (at("aé", 3), Edit::Left, ("aé", 1)),
            (at("aé", 1), Edit::Right, ("aé", 3)),
            (at("aé", 3), Edit::Right, ("aé", 3)),
            (at("ns=a 5xx>1", 10), Edit::EraseWord, ("ns=a ", 5)),
            (at("ns=a  b", 6), Edit::EraseWord, ("b", 0)),
            (at("ns=a b", 5), Edit::EraseLine, ("b", 0)),
            (at("ab", 2), Edit::Home, ("ab", 0)),
            (at("ab", 0), Edit::End, ("ab", 2)),
            (at("rp>1", 2), Edit::Complete, ("rps>1", 3)),
        ] {
            let mut prompt = before.clone();
            prompt.edit(edit, View::Routes);
            assert_eq!((prompt.text.as_str(), prompt.at), after, "{before:?}");
        }
        for (c, after) in [('é', ("aéb", 3)), ('\n', ("ab", 1))] {
            let mut prompt = at("ab", 1);
            prompt.insert(c);
            assert_eq!((prompt.text.as_str(), prompt.at), after);
        }
    }

    #[test]
    fn names_of_columns_are_completed_as_far_as_they_are_clear() {
        for (before, after, hint) in [
            ("na", "name", Some("namespace name")),
            ("rp", "rps", None),
            ("5xx>1 RP", "5xx>1 rps", None),
            ("p", "p", Some("p50 p95 p99")),
            ("zz", "zz", Some("no column begins with zz")),
            ("rps>1", "rps>1", Some("only names of columns are completed")),
        ] {
            let mut prompt = Prompt::new(before.to_owned());
            prompt.complete(View::Routes);
            assert_eq!((prompt.text.as_str(), prompt.hint.as_deref()), (after, hint));
            assert_eq!(prompt.at, after.len());
        }
    }

    #[test]
    fn what_is_wrong_is_kept_until_it_is_right() {
        let mut prompt = Prompt::new("rps>much".to_owned());
        assert!(prompt.read(View::Routes).is_none());
        assert_eq!(prompt.error.as_ref().map(|error| error.at), Some(0));
        for _ in "much".chars() {
            prompt.erase();
        }
        prompt.insert('1');
        assert!(prompt.read(View::Routes).is_some());
        assert_eq!(prompt.error, None);
    }
}
