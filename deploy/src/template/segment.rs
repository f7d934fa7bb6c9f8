//! A template as text and actions, white space trimmed.

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// As it is.
    Text(String),
    /// What is between `{{` and `}}`, and its line.
    Action(usize, String),
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template up; the error has its line.
pub(super) fn segments(template: &str) -> Result<Vec<Segment>, (usize, String)> {
    let mut found = Vec::new();
    let mut rest = template;
    let mut trim = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let line = line_of(template, after);
        let (trim_before, after) = match after.strip_prefix('-') {
            Some(after) if after.starts_with(SPACE) => (true, after),
            _ => (false, after),
        };
        push(&mut found, before, trim, trim_before);
        let (action, following) =
            split(after).ok_or_else(|| (line, "an action has no end".to_owned()))?;
        rest = following;
        let (action, trim_after) = match action.strip_suffix('-') {
            Some(action) if action.ends_with(SPACE) => (action, true),
            _ => (action, false),
        };
        trim = trim_after;
        let action = action.trim();
        let comment = action.starts_with("/*") && action.ends_with("*/");
        if !comment {
            found.push(Segment::Action(line, action.to_owned()));
        }
    }
    push(&mut found, rest, trim, false);
    Ok(found)
}

fn push(found: &mut Vec<Segment>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start_matches(SPACE) } else { text };
    let text = if trim_end { text.trim_end_matches(SPACE) } else { text };
    if !text.is_empty() {
        found.push(Segment::Text(text.to_owned()));
    }
}

/// An action's text up to its `}}`, which counts neither in a text nor in a comment; and the rest.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.trim_start().starts_with("/*") {
        let end = text.find("*/")? + 2;
        let (comment, rest) = text.split_at_checked(end)?;
        let (trim, rest) = rest.split_once("}}")?;
        return text.split_at_checked(comment.len() + trim.len()).map(|(action, _)| (action, rest));
    }
    let (mut in_text, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        let here = text.get(at..)?;
        if !in_text && here.starts_with("}}") {
            return Some((text.get(..at)?, here.get(2..)?));
        }
        in_text ^= c == '"' && !is_escaped;
        is_escaped = in_text && c == '\\' && !is_escaped;
    }
    None
}

/// The line on which `rest`, an end of `text`, begins.
fn line_of(text: &str, rest: &str) -> usize {
    let read = text.len() - rest.len();
    1 + text.get(..read).unwrap_or_default().matches('\n').count()
}
