//! From a template's text to its parts.

use std::iter::Peekable;
use std::str::Chars;
use std::vec::IntoIter;

use super::segment::{Segment, segments};
use super::{Base, Node, Operand, Pipeline};

/// A line and what is wrong there.
type Wrong = (usize, String);

/// Reads a template.
pub(super) fn parse(template: &str) -> Result<Vec<Node>, Wrong> {
    let mut parser = Parser { rest: segments(template)?.into_iter() };
    match parser.block(1)? {
        (nodes, Stop::Text) => Ok(nodes),
        (_, Stop::End(line)) => Err((line, "end has no beginning".to_owned())),
        (_, Stop::Else(line)) => Err((line, "else has no if".to_owned())),
    }
}

struct Parser {
    rest: IntoIter<Segment>,
}

/// What ends a block, and its line.
enum Stop {
    Text,
    End(usize),
    Else(usize),
}

impl Parser {
    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, Stop), Wrong> {
        let mut nodes = Vec::new();
        while let Some(segment) = self.rest.next() {
            let (line, action) = match segment {
                Segment::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Segment::Action(line, action) => (line, action),
            };
            if depth > 20 {
                return Err((line, "too deep".to_owned()));
            }
            let (word, arguments) = action.split_once(' ').unwrap_or((&action, ""));
            let node = match word {
                "end" => return Ok((nodes, Stop::End(line))),
                "else" if arguments.is_empty() => return Ok((nodes, Stop::Else(line))),
                "if" => self.branches(line, arguments, depth)?,
                "range" => self.range(line, arguments, depth)?,
                "define" => self.define(line, arguments, depth)?,
                "else" | "with" | "block" | "template" | "break" | "continue" => {
                    return Err((line, format!("{action} is not supported")));
                }
                _ => Node::Output { line, what: pipeline(line, &action)? },
            };
            nodes.push(node);
        }
        Ok((nodes, Stop::Text))
    }

    fn branches(&mut self, line: usize, condition: &str, depth: usize) -> Result<Node, Wrong> {
        let condition = pipeline(line, condition)?;
        let (then, end) = self.block(depth + 1)?;
        let otherwise = match end {
            Stop::End(_) => Vec::new(),
            Stop::Else(line) => self.body(line, depth)?,
            Stop::Text => return Err((line, "if has no end".to_owned())),
        };
        Ok(Node::If { line, condition, then, otherwise })
    }

    fn range(&mut self, line: usize, arguments: &str, depth: usize) -> Result<Node, Wrong> {
        let (names, over) = match arguments.split_once(":=") {
            None => (None, arguments),
            Some((names, over)) => {
                let pair = names.split_once(',').and_then(|(key, value)| {
                    Some((key.trim().strip_prefix('$')?, value.trim().strip_prefix('$')?))
                });
                let (key, value) =
                    pair.ok_or_else(|| (line, "range names $key, $value".to_owned()))?;
                (Some((key.to_owned(), value.to_owned())), over)
            }
        };
        let over = pipeline(line, over)?;
        Ok(Node::Range { line, names, over, body: self.body(line, depth)? })
    }

    fn define(&mut self, line: usize, name: &str, depth: usize) -> Result<Node, Wrong> {
        let name = name.trim().strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        let name = name.ok_or_else(|| (line, "define names a template".to_owned()))?;
        Ok(Node::Define { name: name.to_owned(), body: self.body(line, depth)? })
    }

    /// What comes before `end`.
    fn body(&mut self, line: usize, depth: usize) -> Result<Vec<Node>, Wrong> {
        match self.block(depth + 1)? {
            (nodes, Stop::End(_)) => Ok(nodes),
            (_, Stop::Else(line)) => Err((line, "else is not supported here".to_owned())),
            (_, Stop::Text) => Err((line, "end is missing".to_owned())),
        }
    }
}

fn pipeline(line: usize, text: &str) -> Result<Pipeline, Wrong> {
    let mut reader = Reader { rest: text.chars().peekable() };
    let read = reader.pipeline(0).and_then(|read| match reader.rest.next() {
        None => Ok(read),
        Some(c) => Err(format!("{c} is not expected in {text}")),
    });
    read.map_err(|what| (line, what))
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn pipeline(&mut self, depth: usize) -> Result<Pipeline, String> {
        let mut commands = vec![Vec::new()];
        loop {
            while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
            match self.rest.peek() {
                None | Some(')') => break,
                Some('|') => {
                    self.rest.next();
                    commands.push(Vec::new());
                }
                Some(_) => {
                    let operand = self.operand(depth)?;
                    if let Some(command) = commands.last_mut() {
                        command.push(operand);
                    }
                }
            }
        }
        if commands.iter().any(Vec::is_empty) {
            return Err("a command is missing".to_owned());
        }
        Ok(Pipeline(commands))
    }

    fn operand(&mut self, depth: usize) -> Result<Operand, String> {
        match self.rest.peek() {
            Some('(') if depth < 20 => {
                self.rest.next();
                let group = self.pipeline(depth + 1)?;
                match self.rest.next() {
                    Some(')') => Ok(Operand::Group(group)),
                    _ => Err("( has no )".to_owned()),
                }
            }
            Some('"') => self.text(),
            Some('.') => Ok(Operand::Field { of: Base::Dot, path: self.path() }),
            Some('$') => {
                self.rest.next();
                let name = self.word();
                let of = if name.is_empty() { Base::Data } else { Base::Variable(name) };
                Ok(Operand::Field { of, path: self.path() })
            }
            Some(c) if c.is_ascii_digit() => {
                let digits = self.word();
                digits.parse().map(Operand::Number).map_err(|error| format!("{digits}: {error}"))
            }
            Some(c) if c.is_alphabetic() => Ok(Operand::Word(self.word())),
            other => Err(format!("{other:?} is not expected")),
        }
    }

    /// `.a.b`, or `.` alone.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while self.rest.next_if_eq(&'.').is_some() {
            let word = self.word();
            if !word.is_empty() {
                path.push(word);
            }
        }
        path
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        word
    }

    fn text(&mut self) -> Result<Operand, String> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(Operand::Text(text)),
                Some('\\') => match self.rest.next() {
                    Some(c @ ('"' | '\\')) => text.push(c),
                    Some('n') => text.push('\n'),
                    _ => return Err("this escape is not supported".to_owned()),
                },
                Some(c) => text.push(c),
                None => return Err("a text has no end".to_owned()),
            }
        }
    }
}
