//! Routing objects in, Envoy resources and diagnostics out.
//!
//! Pure: no I/O, clock, environment, randomness, threads or async. The modules stand in reading
//! order; each uses only those above it (`tests/tests/it/architecture.rs` enforces it).

pub mod api;
pub mod diagnostic;
pub mod manifest;
pub mod name;
pub mod pipeline;
pub mod xds;
