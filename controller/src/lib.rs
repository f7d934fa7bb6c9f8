//! The controller as a library: sources, engine, xDS server.

mod admin;
pub mod ads;
pub mod args;
pub mod bootstrap;
pub mod certgen;
pub mod config;
pub mod configuration;
mod engine;
pub mod envoy;
pub mod event;
pub mod exit;
mod kubernetes;
pub mod logging;
pub mod metrics;
pub mod serve;
mod shutdown;
pub mod source;
pub mod tls;
pub mod version;
mod web;
