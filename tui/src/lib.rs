//! Terminal views and their state, pure: events go in, the next model and effects come out, and
//! what is shown follows from the model alone.
//!
//! Only [`terminal`] does I/O. The modules stand in reading order; each uses only those above it.

pub mod key;
pub mod text;
pub mod theme;
pub mod shift;
pub mod top;
pub mod terminal;
