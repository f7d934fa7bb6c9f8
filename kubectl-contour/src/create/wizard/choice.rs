//! Choosing one of several by number, by name or by a part of it.

use contour_core::manifest::nearest;

/// How many candidates are named.
const NAMED: usize = 6;

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// What is chosen.
    pub value: String,
    /// What helps to choose it.
    pub about: String,
}

impl Choice {
    pub(super) fn new(value: &str, about: &str) -> Self {
        Self { value: value.to_owned(), about: about.to_owned() }
    }
}

/// What an answer chooses; `None` if it is nothing like any of the choices.
///
/// # Errors
/// If it is like several of them, or a number that none of them has.
pub(super) fn pick<'c>(answer: &str, choices: &'c [Choice]) -> Result<Option<&'c Choice>, String> {
    if let Some(exact) = choices.iter().find(|choice| choice.value == answer) {
        return Ok(Some(exact));
    }
    if let Ok(number) = answer.parse::<usize>() {
        let found = number.checked_sub(1).and_then(|index| choices.get(index));
        return match found {
            Some(choice) => Ok(Some(choice)),
            None if choices.is_empty() => Ok(None),
            None => Err(format!("there is no number {number}, but 1 to {}", choices.len())),
        };
    }
    let wanted = answer.to_lowercase();
    let tests: [&dyn Fn(&str) -> bool; 3] = [
        &|value| value.starts_with(&wanted),
        &|value| value.contains(&wanted),
        // What is written out in full is no abbreviation.
        &|value| !wanted.contains(':') && is_within(&wanted, value),
    ];
    for test in tests {
        let found: Vec<&Choice> = choices.iter().filter(|choice| test(&choice.value)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(Some(one)),
            several => {
                let names: Vec<&str> =
                    several.iter().take(NAMED).map(|choice| choice.value.as_str()).collect();
                let more = if several.len() > NAMED { ", …" } else { "" };
                return Err(format!("{answer:?} may be {}{more}", names.join(", ")));
            }
        }
    }
    let near = nearest(&wanted, choices.iter().map(|choice| choice.value.as_str()));
    match near {
        Some(near) => Err(format!("{answer:?} is none of them; did you mean {near}?")),
        None => Ok(None),
    }
}

/// Whether the letters stand in the text in this order.
fn is_within(letters: &str, text: &str) -> bool {
    let mut rest = text.chars();
    letters.chars().all(|letter| rest.any(|c| c == letter))
}
