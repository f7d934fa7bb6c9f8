//! The live panel of a shift.
//!
//! A driver feeds [`update`] with what it hears ([`Event`]) and does the [`Effect`]s that come out;
//! after each event it draws with [`view`]. Keys, footer and help are made from one table
//! ([`BINDINGS`]).

mod model;
mod keymap;
mod update;
mod view;

pub use keymap::{Act, BINDINGS, Binding};
pub use model::{Effect, Event, Judged, Model, Severity, Snapshot};
pub use update::update;
pub use view::view;
