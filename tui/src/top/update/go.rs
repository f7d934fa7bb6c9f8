//! From page to page.

use std::collections::BTreeSet;
use std::sync::Arc;

use contour_core::shift::weights::Place;
use contour_core::top::{Item, Scope, View};

use crate::key::Key;
use crate::theme::Tone;
use crate::top::model::{Effect, Model, Overlay};
use crate::top::page::{Detail, Page, Table};

/// What a route of TCP is called, which has no match.
const TCP: &str = "tcpproxy";

impl Model {
    /// Goes to the tab of a view, and into pages from there.
    pub(super) fn go(&mut self, view: View, path: Vec<Page>) {
        self.overlays.clear();
        if view == self.tab && path.is_empty() && self.path.is_empty() {
            return;
        }
        let mut left = std::mem::replace(&mut self.path, path);
        for page in &mut left {
            if let Page::Table(table) = page {
                table.forget_rows();
            }
        }
        self.before = Some((std::mem::replace(&mut self.tab, view), left));
        self.arrange();
    }

    pub(super) fn go_before(&mut self) {
        if let Some((view, path)) = self.before.take() {
            self.go(view, path);
        }
    }

    pub(super) fn go_to_digit(&mut self, key: Key) {
        let Key::Char(digit) = key else { return };
        let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
        let at = number.and_then(|number| number.checked_sub(1));
        if let Some(view) = at.and_then(|at| View::ALL.get(at)) {
            self.go(*view, Vec::new());
        }
    }

    /// So many tabs further, in a circle.
    pub(super) fn go_beside(&mut self, by: usize) {
        let mut views = View::ALL.into_iter().cycle().skip_while(|view| *view != self.tab);
        if let Some(view) = views.nth(by) {
            self.go(view, Vec::new());
        }
    }

    /// Out of what is in front, or shows rows that a filter hides, or out of the page.
    pub(super) fn back(&mut self) {
        if self.overlays.pop().is_some() {
            return;
        }
        if self.table().is_some_and(|table| !table.filter.is_empty()) {
            self.drop_filter();
        } else {
            self.path.pop();
            self.arrange();
        }
    }

    /// Into what is chosen.
    pub(super) fn open(&mut self) {
        if let Some(Overlay::Warnings(row)) = self.overlays.last() {
            return self.open_warning(*row);
        }
        let Some(item) = self.selected() else { return };
        let title: Arc<str> = item.key().into();
        let table = match item {
            Item::Route(route) => {
                let services: BTreeSet<_> =
                    route.destinations.iter().map(|to| to.service.clone()).collect();
                Table::within(View::Upstreams, Scope::Services(services, title))
            }
            Item::Upstream(upstream) => {
                let services = BTreeSet::from([upstream.service.clone()]);
                Table::within(View::Endpoints, Scope::Services(services, title))
            }
            Item::Shift(shift) => Table::within(View::Routes, Scope::Object(shift.object.clone())),
            Item::Endpoint(_) | Item::Envoy(_) | Item::Certificate(_) | Item::Event(_) => {
                return self.describe();
            }
        };
        self.enter(Page::Table(table));
    }

    /// All of what is chosen.
    pub(super) fn describe(&mut self) {
        let Some(frame) = self.frame.clone() else { return };
        let detail = self.table().and_then(|table| Detail::of(&frame, table));
        if let Some(detail) = detail {
            self.enter(Page::Detail(detail));
        }
    }

    /// Whoever goes into a row comes back to it.
    fn enter(&mut self, page: Page) {
        let Some(frame) = self.frame.clone() else { return };
        let height = self.page();
        if let Some(table) = self.table_mut() {
            table.choose(&frame, table.cursor, height);
        }
        self.path.push(page);
        self.arrange();
    }

    /// The rows that a warning is about.
    fn open_warning(&mut self, row: usize) {
        let Some(frame) = self.frame.clone() else { return };
        // There may be fewer by now.
        let row = row.min(frame.warnings.len().saturating_sub(1));
        let Some(warning) = frame.warnings.get(row) else { return };
        let Some(view) = warning.view.as_deref().and_then(View::parse) else {
            return self.tell("this is about no row", Tone::Warn);
        };
        let keys = warning.keys.iter().map(ToString::to_string).collect();
        let scope = Scope::Keys(keys, Arc::clone(&warning.code));
        self.go(view, vec![Page::Table(Table::within(view, scope))]);
    }

    /// The panel of a shift of what is chosen.
    pub(super) fn shift(&self) -> Vec<Effect> {
        let effect = match self.selected() {
            Some(Item::Route(route)) => {
                let place = match &*route.matches {
                    TCP => Place::Tcp,
                    _ => Place::Route(Arc::clone(&route.matches)),
                };
                Effect::OpenShift { object: route.object.clone(), place: Some(place) }
            }
            Some(Item::Shift(shift)) => {
                Effect::OpenShift { object: shift.object.clone(), place: None }
            }
            _ => return Vec::new(),
        };
        vec![effect]
    }
}
