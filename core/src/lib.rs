//! Routing objects in, Envoy resources and diagnostics out.
//!
//! Pure: no I/O, clock, environment, randomness, threads or async. The modules stand in reading
//! order; each uses only those above it (`tests/tests/it/architecture.rs` enforces it).

pub mod name;
pub mod diagnostic;
pub mod options;
pub mod incremental;
pub mod api;
pub mod manifest;
pub mod ir;
pub mod lower;
pub mod store;
pub mod budget;
pub mod resolve;
pub mod xds;
pub mod status;
pub mod shift;
pub mod observe;
pub mod top;
pub mod pipeline;
