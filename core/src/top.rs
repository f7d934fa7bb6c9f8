//! What is to be seen of everything, as `kubectl contour top` shows it.
//!
//! Controllers, the API server and files tell what they know ([`Input`]); a [`Board`] keeps it and
//! makes a [`Frame`] of it whenever one is to be shown: rates and percentiles over a window, what
//! is faulty, and what is missing. Tables, filters and orders are of a frame alone, so that a
//! terminal, a pipe and a recording show the same.

mod frame;
mod input;
mod item;
mod number;
mod column;
mod filter;
mod select;
mod describe;
mod board;

pub use board::Board;
pub use column::{Align, Cell, Column, Graph, Mark, Unit, Value};
pub use describe::{Line, describe};
pub use filter::{Filter, FilterError, unknown_column};
pub use frame::{
    Certificate, Coverage, Destination, Endpoint, Envoy, Event, Fault, Frame, Numbers, Route,
    SCHEMA, Shift, Source, SourceState, Upstream, Warning,
};
pub use input::{Input, Record};
pub use item::{Item, View};
pub use number::span;
pub use select::{Scope, Selection, select};
