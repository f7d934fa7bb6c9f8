//! The core through its public surface, in one binary.

#![cfg(test)]

#[path = "it/crd.rs"]
mod crd;
#[path = "it/diagnostic.rs"]
mod diagnostic;
#[path = "it/generated.rs"]
mod generated;
#[path = "it/manifest.rs"]
mod manifest;
#[path = "it/observe.rs"]
mod observe;
#[path = "it/shift.rs"]
mod shift;
