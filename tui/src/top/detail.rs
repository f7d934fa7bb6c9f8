//! A row in full.

use contour_core::top::{Graph, Item, Line as Told, Mark, describe};
use ratatui::text::Line;

use super::graph;
use super::page::Detail;
use crate::text;
use crate::theme::{Theme, Tone};

/// Rows of a chart.
const CHART: usize = 5;
/// The most columns of a chart: two for each second of a minute.
const CHART_COLUMNS: usize = 120;
/// The fewest columns beside labels for which these have columns of their own.
const BESIDE: usize = 16;
/// What is said of one thing takes so many lines at most.
const LINES_MAX: usize = 12;
/// From so many columns on two short things share a line.
const ROOMY: usize = 64;
/// The most columns of the first of them.
const HALF: usize = 60;

/// How a mark looks.
pub(super) fn tone(mark: Mark) -> Tone {
    match mark {
        Mark::Plain => Tone::Plain,
        Mark::Faint => Tone::Faint,
        Mark::Good => Tone::Good,
        Mark::Warn => Tone::Warn,
        Mark::Bad => Tone::Bad,
    }
}

/// All that is known of a row, in lines of so many columns.
pub(super) fn lines(detail: &Detail, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let Some(item) = detail.item() else { return Vec::new() };
    let mut lines = Vec::new();
    if detail.gone {
        let words =
            format!("{} it is not there any more; this was the last", theme.mark(Tone::Warn));
        lines.extend(wrapped(&words, width, theme, Tone::Warn));
        lines.push(Line::default());
    }
    let now = detail.frame.unix_millis;
    let told = describe(item, now);
    let longest = told.iter().map(|(label, ..)| text::width(label)).max().unwrap_or(0) + 2;
    let label_width = if width >= longest + BESIDE { longest } else { 0 };
    lines.extend(chart(item, now, theme, (label_width, width)));
    let page = Page { theme, label_width, width, lines };
    page.with(told, detail.gone)
}

/// Lines as they are made.
struct Page {
    theme: Theme,
    label_width: usize,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl Page {
    fn with(mut self, told: Vec<Told>, gone: bool) -> Vec<Line<'static>> {
        let half = (self.width / 2).min(HALF);
        let mut told = told.into_iter().peekable();
        let mut open = false;
        while let Some((label, words, mark)) = told.next() {
            let words = text::one_line(&words);
            let tone = if gone { Tone::Faint } else { tone(mark) };
            let goes_on = told.peek().is_some_and(|(next, ..)| next.is_empty());
            let short = self.label_width + text::width(&words) + 2 <= half;
            let halved = self.width >= ROOMY && short && !goes_on && !label.is_empty();
            if halved && open {
                self.beside(half, label, &words, tone);
                open = false;
            } else {
                self.below(label, &words, tone);
                open = halved;
            }
        }
        self.lines
    }

    /// In lines of their own.
    fn below(&mut self, label: &'static str, words: &str, tone: Tone) {
        let (theme, column) = (self.theme, self.label_width);
        let mut parts = text::wrap(words, self.width.saturating_sub(column));
        parts.truncate(LINES_MAX);
        if column == 0 && !label.is_empty() {
            self.lines.push(Line::from(theme.span(label, Tone::Faint)));
        }
        for (row, part) in parts.into_iter().enumerate() {
            let label = if row == 0 && column > 0 { label } else { "" };
            self.lines.push(Line::from_iter([
                theme.span(format!("{label:column$}"), Tone::Faint),
                theme.span(part, tone),
            ]));
        }
    }

    /// In the right half of the last line.
    fn beside(&mut self, half: usize, label: &'static str, words: &str, tone: Tone) {
        let Some(line) = self.lines.last_mut() else { return };
        let column = self.label_width;
        let blank = half.saturating_sub(line.width());
        line.push_span(" ".repeat(blank));
        line.push_span(self.theme.span(format!("{label:column$}"), Tone::Faint));
        line.push_span(self.theme.span(words.to_owned(), tone));
    }
}

fn wrapped(words: &str, width: usize, theme: Theme, tone: Tone) -> Vec<Line<'static>> {
    let lines = text::wrap(words, width).into_iter();
    lines.map(|line| Line::from(theme.span(line, tone))).collect()
}

/// The requests of the last minute, if they are known.
fn chart(
    item: Item<'_>,
    now: u64,
    theme: Theme,
    (label_width, width): (usize, usize),
) -> Vec<Line<'static>> {
    let column = item.view().column("trend");
    let Some(cell) = column.map(|column| column.cell(item, now)) else { return Vec::new() };
    let Some(Graph::Trend(values)) = cell.graph else { return Vec::new() };
    let columns = width.saturating_sub(label_width).min(CHART_COLUMNS);
    let drawn = graph::chart(&values, (columns, CHART), theme);
    let long = drawn.first().map_or(0, |line| text::width(line));
    let seconds = values.len();
    let labels = [("RPS", 0), (cell.text.as_str(), 1)];
    let mut lines: Vec<Line<'static>> = drawn
        .into_iter()
        .enumerate()
        .map(|(row, line)| {
            let label = labels.iter().find(|(_, at)| *at == row && label_width > 0);
            let label = label.map_or("", |(label, _)| label);
            Line::from_iter([
                theme.span(format!("{label:label_width$}"), Tone::Faint),
                theme.span(line, Tone::Plain),
            ])
        })
        .collect();
    let (begin, end) = (format!("{seconds}s ago"), "now");
    let gap = long.saturating_sub(begin.len() + end.len()).max(1);
    let axis = format!("{:label_width$}{begin}{}{end}", "", " ".repeat(gap));
    lines.push(Line::from(theme.span(axis, Tone::Faint)));
    lines.push(Line::default());
    lines
}
