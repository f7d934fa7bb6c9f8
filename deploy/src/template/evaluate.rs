//! From a template's parts and its data to text.

use serde_json::Value;

use super::functions::{self, is_true};
use super::{Base, Node, Operand, Pipeline, TemplateError, Templates};

/// How deep templates may include each other.
const DEEPEST: usize = 10;

/// One template being evaluated.
pub(super) struct Evaluation<'a> {
    templates: &'a Templates,
    path: &'a str,
    data: &'a Value,
    depth: usize,
    variables: Vec<(String, Value)>,
}

impl<'a> Evaluation<'a> {
    /// A template of a file, with what `$` is.
    pub(super) fn new(templates: &'a Templates, path: &'a str, data: &'a Value) -> Self {
        Self { templates, path, data, depth: 0, variables: Vec::new() }
    }

    /// Appends what nodes make of `dot`.
    pub(super) fn nodes(
        &mut self,
        nodes: &[Node],
        dot: &Value,
        out: &mut String,
    ) -> Result<(), TemplateError> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Define { .. } => {}
                Node::Output { line, what } => {
                    let value = self.pipeline(what, dot).map_err(|what| self.at(*line, what))?;
                    let text = functions::printed(&value).map_err(|what| self.at(*line, what))?;
                    out.push_str(&text);
                }
                Node::If { line, condition, then, otherwise } => {
                    let value =
                        self.pipeline(condition, dot).map_err(|what| self.at(*line, what))?;
                    self.nodes(if is_true(&value) { then } else { otherwise }, dot, out)?;
                }
                Node::Range { line, names, over, body } => {
                    let over = self.pipeline(over, dot).map_err(|what| self.at(*line, what))?;
                    let items = items(over).map_err(|what| self.at(*line, what))?;
                    self.range(names.as_ref(), items, body, out)?;
                }
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        names: Option<&(String, String)>,
        items: Vec<(Value, Value)>,
        body: &[Node],
        out: &mut String,
    ) -> Result<(), TemplateError> {
        for (key, value) in items {
            let outer = self.variables.len();
            if let Some((key_name, value_name)) = names {
                self.variables.push((key_name.clone(), key));
                self.variables.push((value_name.clone(), value.clone()));
            }
            self.nodes(body, &value, out)?;
            self.variables.truncate(outer);
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, String> {
        let mut result = None;
        for command in &pipeline.0 {
            result = Some(self.command(command, dot, result)?);
        }
        result.ok_or_else(|| "nothing to evaluate".to_owned())
    }

    fn command(
        &mut self,
        command: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, String> {
        let Some((first, rest)) = command.split_first() else {
            return Err("a command is missing".to_owned());
        };
        let mut arguments = Vec::new();
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        match first {
            Operand::Word(name) if name == "include" => self.include(&arguments),
            Operand::Word(name) => functions::call(name, &arguments),
            Operand::Field { path, .. } if path.iter().eq(["Files", "Get"]) => {
                self.file(&arguments)
            }
            Operand::Field { .. } | Operand::Text(_) | Operand::Number(_) | Operand::Group(_)
                if arguments.is_empty() =>
            {
                self.operand(first, dot)
            }
            Operand::Field { .. } | Operand::Text(_) | Operand::Number(_) | Operand::Group(_) => {
                Err("only a function takes arguments".to_owned())
            }
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        match operand {
            Operand::Field { of, path } => {
                let base = match of {
                    Base::Dot => dot,
                    Base::Data => self.data,
                    Base::Variable(name) => {
                        let found = self.variables.iter().rev().find(|(known, _)| known == name);
                        &found.ok_or_else(|| format!("there is no variable ${name}"))?.1
                    }
                };
                path.iter()
                    .try_fold(base, |value, name| value.get(name))
                    .cloned()
                    .ok_or_else(|| format!("there is no .{}", path.join(".")))
            }
            Operand::Text(text) => Ok(Value::from(text.as_str())),
            Operand::Number(number) => Ok(Value::from(*number)),
            Operand::Word(name) if matches!(name.as_str(), "true" | "false") => {
                Ok(Value::from(name == "true"))
            }
            Operand::Word(name) => Err(format!("{name} is a function in the place of a value")),
            Operand::Group(pipeline) => self.pipeline(pipeline, dot),
        }
    }

    fn include(&self, arguments: &[Value]) -> Result<Value, String> {
        let [Value::String(name), data] = arguments else {
            return Err("include takes a name and its data".to_owned());
        };
        let defined = self.templates.defined.get(name);
        let (path, nodes) = defined.ok_or_else(|| format!("{name:?} is not defined"))?;
        if self.depth >= DEEPEST {
            return Err(format!("{name:?} includes itself"));
        }
        let depth = self.depth + 1;
        let mut inner =
            Evaluation { templates: self.templates, path, data, depth, variables: Vec::new() };
        let mut text = String::new();
        inner.nodes(nodes, data, &mut text).map_err(|error| error.to_string())?;
        Ok(Value::String(text))
    }

    fn file(&self, arguments: &[Value]) -> Result<Value, String> {
        let [Value::String(path)] = arguments else {
            return Err(".Files.Get takes a path".to_owned());
        };
        let found = self.templates.static_files.iter().find(|(known, _)| known == path);
        let (_, text) = found.ok_or_else(|| format!("the chart has no file {path}"))?;
        Ok(Value::from(*text))
    }

    fn at(&self, line: usize, what: String) -> TemplateError {
        TemplateError { template: self.path.to_owned(), line, what }
    }
}

/// The keys or indices of a map or list, and the values.
fn items(value: Value) -> Result<Vec<(Value, Value)>, String> {
    match value {
        Value::Array(list) => Ok((0_u64..).map(Value::from).zip(list).collect()),
        Value::Object(map) => {
            let mut items: Vec<_> = map.into_iter().collect();
            items.sort_by(|(a, _), (b, _)| a.cmp(b));
            Ok(items.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("range is given neither a list nor a map, but {value}"))
        }
    }
}
