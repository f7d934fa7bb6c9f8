//! The controller as a library: sources, engine, xDS server.

mod admin;
pub mod ads;
pub mod args;
pub mod bootstrap;
pub mod config;
mod engine;
pub mod event;
pub mod exit;
pub mod logging;
pub mod metrics;
pub mod serve;
mod shutdown;
pub mod source;
pub mod tls;
