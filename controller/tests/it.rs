//! The controller from outside: real files, real sockets, real processes, a real Envoy.

#![cfg(test)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the events that it waits for from all that come"
)]

#[path = "it/admin.rs"]
mod admin;
#[path = "it/bootstrap.rs"]
mod bootstrap;
#[path = "it/certgen.rs"]
mod certgen;
#[path = "it/directory.rs"]
mod directory;
#[path = "it/docs.rs"]
mod docs;
#[path = "it/envoy.rs"]
mod envoy;
#[path = "it/process.rs"]
mod process;
#[path = "it/serving.rs"]
mod serving;
#[path = "it/support.rs"]
mod support;
#[path = "it/version.rs"]
mod version;
