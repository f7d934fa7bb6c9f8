//! IngressRoutes in layouts of all kinds.

use contour_core::shift::weights::Place;
use proptest::prelude::*;

/// How an IngressRoute is written, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) text: String,
    /// The weights of `blue` and `green`.
    pub(super) weights: [Option<u32>; 2],
    pub(super) place: Place,
    /// What stands around the values that are edited, in order.
    pub(super) pieces: Vec<String>,
}

/// How a mapping is written.
#[derive(Clone, Copy, Debug)]
enum Style {
    Block,
    Line,
    Lines,
    Json,
    JsonLines,
}

#[derive(Clone, Debug)]
struct Writer {
    style: Style,
    trailing: bool,
    comment: bool,
    blank: bool,
    step: usize,
}

const STYLES: [Style; 5] = [Style::Block, Style::Line, Style::Lines, Style::Json, Style::JsonLines];

fn writers() -> impl Strategy<Value = Writer> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0..STYLES.len(), flags, 2_usize..5).prop_map(|(style, (trailing, comment, blank), step)| {
        let style = STYLES[style];
        let json = matches!(style, Style::Json | Style::JsonLines);
        Writer { style, trailing: trailing && !json, comment, blank, step }
    })
}

impl Writer {
    fn is_json(&self) -> bool {
        matches!(self.style, Style::Json | Style::JsonLines)
    }

    fn pair(&self, (name, value): &(&str, String)) -> String {
        match self.style {
            Style::Json => format!("\"{name}\":{value}"),
            Style::JsonLines => format!("\"{name}\": {value}"),
            Style::Block | Style::Line | Style::Lines => format!("{name}: {value}"),
        }
    }

    fn end(&self, index: usize) -> &'static str {
        if self.comment { [" # c", "\t # 'é'", "  "][index % 3] } else { "" }
    }

    /// A mapping whose first key is to stand at this column, the line having come so far.
    fn mapping(&self, fields: &[(&str, String)], column: usize) -> String {
        let pairs: Vec<_> = fields.iter().map(|field| self.pair(field)).collect();
        let indent = " ".repeat(column);
        match self.style {
            Style::Block => {
                let blank =
                    if self.blank { format!("\n{indent}# between\n") } else { String::new() };
                let lines = pairs.iter().enumerate().map(|(i, p)| format!("{p}{}", self.end(i)));
                let lines: Vec<_> = lines.collect();
                lines.join(&format!("\n{blank}{indent}"))
            }
            Style::Line | Style::Json => {
                let comma = if matches!(self.style, Style::Json) { "," } else { ", " };
                let trailing = if self.trailing { " ," } else { "" };
                let space = if self.blank { " " } else { "" };
                format!("{{{space}{}{trailing}{space}}}", pairs.join(comma))
            }
            Style::Lines | Style::JsonLines => {
                let inner = " ".repeat(column + self.step);
                let last = pairs.len() - 1;
                let line = |(i, p): (usize, &String)| {
                    let comma = if i < last || self.trailing { "," } else { "" };
                    format!("\n{inner}{p}{comma}{}", self.end(i))
                };
                let lines: String = pairs.iter().enumerate().map(line).collect();
                format!("{{{lines}\n{indent}}}")
            }
        }
    }
}

fn text(writer: &Writer, value: &str) -> String {
    if writer.is_json() { format!("\"{value}\"") } else { value.to_owned() }
}

/// The fields of a service, in one of some orders.
fn service(writer: &Writer, name: &str, weight: Option<u32>, order: usize) -> String {
    let mut fields = vec![("name", text(writer, name)), ("port", "80".to_owned())];
    if order & 1 == 1 {
        fields.reverse();
    }
    if order & 2 == 2 {
        fields.push(("strategy", text(writer, "Random")));
    }
    if order & 4 == 4 {
        let path = if writer.is_json() { "{\"path\": \"/\"}" } else { "{path: /}" };
        fields.push(("healthCheck", path.to_owned()));
    }
    if let Some(weight) = weight {
        fields.insert(order % (fields.len() + 1), ("weight", weight.to_string()));
    }
    writer.mapping(&fields, 8)
}

/// What metadata has by way of annotations.
const ANNOTATIONS: [Option<&str>; 4] = [None, Some("{}"), Some("{ }"), Some("{\"a\": \"b\"}")];

fn metadata(writer: &Writer, annotations: Option<&str>, first: bool) -> String {
    let mut fields = vec![("name", text(writer, "shop"))];
    if let Some(annotations) = annotations {
        fields.push(("annotations", annotations.to_owned()));
    }
    if first {
        fields.reverse();
    }
    match writer.style {
        Style::Block => {
            format!("\n{}{}", " ".repeat(writer.step), writer.mapping(&fields, writer.step))
        }
        Style::Line | Style::Lines | Style::Json | Style::JsonLines => {
            format!(" {}", writer.mapping(&fields, 2))
        }
    }
}

pub(super) fn manners() -> impl Strategy<Value = Manner> {
    let weights = prop::array::uniform2(prop::option::of(0_u32..=1_000_000));
    let flags = prop::array::uniform4(any::<bool>());
    let picks = (0..ANNOTATIONS.len(), prop::array::uniform2(0_usize..8));
    (prop::array::uniform3(writers()), weights, flags, picks).prop_map(
        |(writers, weights, [tcp, crlf, open, list], (annotations, orders))| {
            let [around, blue, green] = &writers;
            let metadata = metadata(around, ANNOTATIONS[annotations], list);
            let (blue, green) =
                (service(blue, "blue", weights[0], orders[0]), service(green, "green", weights[1], orders[1]));
            let head = "# head\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\nmetadata:";
            let route = if tcp { "  tcpproxy:\n    services:" } else { "  routes:\n  - match: / # all\n    services:" };
            let services = format!("\n      - {blue}\n      # next\n      - {green}");
            let tail = if open { "" } else { "\n# tail\n...\n" };
            let mut text = format!("{head}{metadata}\nspec:\n{route}{services}{tail}");
            let mut pieces = vec![head.to_owned(), "shop".to_owned(), format!("\nspec:\n{route}\n      - "), "\n      # next\n      - ".to_owned(), tail.to_owned()];
            if crlf {
                text = text.replace('\n', "\r\n");
                pieces = pieces.into_iter().map(|piece| piece.replace('\n', "\r\n")).collect();
            }
            let place = if tcp { Place::Tcp } else { Place::Route("/".into()) };
            Manner { text, weights, place, pieces }
        },
    )
}
