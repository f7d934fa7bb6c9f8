//! Terminal views and their state, pure: events go in, the next model and effects come out, and
//! what is shown follows from the model alone.
//!
//! The modules stand in reading order; each uses only those above it.

pub mod text;
pub mod theme;
pub mod shift;
