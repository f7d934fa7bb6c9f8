//! The core through its public surface, in one binary.

#![cfg(test)]

#[path = "it/manifest.rs"]
mod manifest;
