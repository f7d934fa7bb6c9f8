//! Writing a filter, which takes effect while it is written.

use contour_core::top::Filter;

use crate::theme::Tone;
use crate::top::model::{Model, Overlay};
use crate::top::prompt::Prompt;

impl Model {
    pub(super) fn begin_filter(&mut self) {
        let Some(table) = self.table() else { return };
        let prompt = Prompt::new(table.filter.to_string());
        self.overlays.push(Overlay::Filter(prompt));
    }

    /// Changes what is written. While something is wrong with it, what was right before holds.
    pub(super) fn write(&mut self, edit: impl FnOnce(&mut Prompt)) {
        let view = self.view();
        let Some(Overlay::Filter(prompt)) = self.overlays.last_mut() else { return };
        prompt.hint = None;
        edit(prompt);
        if let Some(filter) = prompt.read(view) {
            self.apply(filter);
        }
    }

    fn apply(&mut self, filter: Filter) {
        if let Some(table) = self.table_mut().filter(|table| table.filter != filter) {
            table.filter = filter;
            self.arrange();
        }
    }

    pub(super) fn accept(&mut self) {
        let Some(Overlay::Filter(prompt)) = self.overlays.last() else { return };
        if prompt.error.is_some() {
            self.tell("the filter is wrong; Esc drops it", Tone::Warn);
        } else {
            self.overlays.pop();
        }
    }

    pub(super) fn drop_filter(&mut self) {
        if let Some(Overlay::Filter(_)) = self.overlays.last() {
            self.overlays.pop();
        }
        self.apply(Filter::default());
    }
}
