//! Where on the screen things are: for drawing, for the mouse, and to know what a page is.

use contour_core::top::{SourceState, View};

use super::model::{Model, Overlay};
use crate::text;
use crate::theme::Tone;

/// Below this many columns or rows there is one line.
pub(super) const LEAST: (u16, u16) = (20, 4);
/// From this many columns on there is a margin.
const ROOMY: u16 = 60;
/// So many rows of a table, its heading among them, come before all else but what is written.
const TABLE: u16 = 4;
/// So many limits are told of at most.
const LIMITS: usize = 2;

/// Rows of the screen that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) y: u16,
    pub(super) height: u16,
}

impl Band {
    pub(super) fn contains(self, y: u16) -> bool {
        (self.y..self.y.saturating_add(self.height)).contains(&y)
    }
}

/// The bands of a screen, from top to bottom. Those for which there is no room have no height.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Layout {
    /// The columns at the left and at the right that are empty.
    pub(super) margin: u16,
    /// The columns between them.
    pub(super) width: u16,
    pub(super) header: Band,
    pub(super) tabs: Band,
    pub(super) crumbs: Band,
    pub(super) banners: Band,
    pub(super) warning: Band,
    /// A heading and rows, or lines.
    pub(super) body: Band,
    /// What is written, or told, or how the table is made.
    pub(super) status: Band,
    pub(super) footer: Band,
}

impl Layout {
    /// Of a screen of so many columns and rows; `None` if it is too small for more than a line.
    pub(super) fn of(model: &Model, (columns, rows): (u16, u16)) -> Option<Self> {
        if columns < LEAST.0 || rows < LEAST.1 {
            return None;
        }
        let warned = model.frame.as_ref().is_some_and(|frame| !frame.warnings.is_empty());
        let banners = u16::try_from(banners(model).len()).unwrap_or(0);
        let written = matches!(model.overlays.last(), Some(Overlay::Filter(_)));
        let told = u16::from(model.notice.is_some());
        let mut left = rows;
        let mut take = |wanted: u16, spared: u16| {
            let taken = wanted.min(left.saturating_sub(spared));
            left -= taken;
            taken
        };
        // In the order in which they matter.
        let status = if written { take(2, 2) } else { take(told, TABLE) };
        let header = take(1, TABLE);
        let first_banner = take(banners.min(1), TABLE);
        let tabs = take(1, TABLE);
        let footer = take(1, TABLE);
        let status = status + if status == 0 { take(1, TABLE + 1) } else { 0 };
        let warning = take(u16::from(warned), TABLE + 1);
        let crumbs = take(u16::from(!model.path.is_empty()), TABLE + 1);
        let banners = first_banner + take(banners.saturating_sub(1), TABLE + 2);
        let mut y = 0;
        let mut band = |height: u16| {
            let band = Band { y, height };
            y += height;
            band
        };
        let margin = u16::from(columns >= ROOMY);
        Some(Self {
            margin,
            width: columns - 2 * margin,
            header: band(header),
            tabs: band(tabs),
            crumbs: band(crumbs),
            banners: band(banners),
            warning: band(warning),
            body: band(left),
            status: band(status),
            footer: band(footer),
        })
    }

    /// How many rows of a table are on the screen.
    pub(super) fn rows(&self) -> usize {
        usize::from(self.body.height.saturating_sub(1))
    }
}

/// What must not be overlooked, the most important first.
pub(super) fn banners(model: &Model) -> Vec<(String, Tone)> {
    let mut banners = Vec::new();
    let Some(frame) = model.frame.as_deref() else { return banners };
    let coverage = &frame.coverage;
    if let Some(millis) = coverage.stale_millis {
        let age = text::span(std::time::Duration::from_millis(millis));
        let mut silent = coverage.sources.iter().filter(|s| s.state != SourceState::Fresh);
        let why = silent.find_map(|s| Some((s.name.as_ref(), s.why.as_deref()?)));
        let why = why.map_or_else(
            || "nothing newer is heard".to_owned(),
            |(name, why)| format!("{name} is not heard: {why}"),
        );
        banners.push((format!("stale for {age}: {why}"), Tone::Bad));
    }
    if model.frozen {
        let age = model.now.saturating_sub(frame.unix_millis);
        let age = text::span(std::time::Duration::from_millis(age));
        let newer = if model.newer.is_some() { "; newer numbers wait" } else { "" };
        banners.push((format!("frozen for {age}{newer}: space goes on"), Tone::Warn));
    }
    for limit in coverage.limits.iter().take(LIMITS) {
        banners.push((limit.to_string(), Tone::Warn));
    }
    let untold = coverage.limits.len().saturating_sub(LIMITS);
    if untold > 0
        && let Some((last, _)) = banners.last_mut()
    {
        *last = format!("{last} (and {untold} more)");
    }
    banners
}

/// The tabs: where each begins and how wide it is, and what it says.
pub(super) fn tabs(model: &Model, width: u16) -> Vec<(View, u16, String)> {
    let full = |at: usize, view: View| format!("{at}:{}", view.title());
    let short = |at: usize, view: View| {
        if view == model.tab { full(at, view) } else { at.to_string() }
    };
    let texts = |of: &dyn Fn(usize, View) -> String| -> Vec<(View, String)> {
        View::ALL.into_iter().zip(1..).map(|(view, at)| (view, of(at, view))).collect()
    };
    let long = |texts: &[(View, String)]| -> usize {
        texts.iter().map(|(_, text)| text::width(text) + 1).sum::<usize>() + 1
    };
    let mut chosen = texts(&full);
    if long(&chosen) > usize::from(width) {
        chosen = texts(&short);
    }
    let mut x = 1;
    let place = |(view, text): (View, String)| {
        let from = x;
        x += u16::try_from(text::width(&text)).unwrap_or(0) + 1;
        (view, from, text)
    };
    chosen.into_iter().map(place).collect()
}

/// The tab in a column of the screen.
pub(super) fn tab_at(model: &Model, width: u16, x: u16) -> Option<View> {
    let tabs = tabs(model, width);
    let begun = tabs.iter().rev().find(|(_, from, _)| from.saturating_sub(1) <= x);
    begun
        .filter(|(_, from, text)| usize::from(x - from.saturating_sub(1)) <= text::width(text) + 1)
        .map(|(view, ..)| *view)
}
