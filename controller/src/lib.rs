//! The controller as a library: sources, engine, xDS server.

pub mod args;
pub mod bootstrap;
pub mod config;
pub mod exit;
pub mod logging;
pub mod source;
