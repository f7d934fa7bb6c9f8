//! The view of everything: routes, their services and endpoints, Envoys, certificates, shifts and
//! what happened, second by second.
//!
//! A driver feeds [`update`] with what it hears ([`Event`]) and does the [`Effect`]s that come out;
//! after events it draws with [`view`]. What is drawn costs as much as there is on the screen,
//! however many rows there are. Keys, footer, help and docs/top.md are made from one table
//! ([`BINDINGS`]).

mod model;
mod page;
mod prompt;
mod keymap;
mod layout;
mod table;
mod graph;
mod detail;
mod explain;
mod update;
mod view;

pub use keymap::{Act, BINDINGS, Binding, HIDDEN, Mode, markdown};
pub use model::{Effect, Event, Model, Mouse, Options};
pub use page::Move;
pub use prompt::Edit;
pub use update::update;
pub use view::view;
