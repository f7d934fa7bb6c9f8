//! Reads a Kubernetes API server: the only crate that may. Never writes.
//!
//! [`access`] finds the server, [`scope`] says what is watched, [`decode`] turns what is sent into
//! changes, object by object, [`watch`] decides without I/O what to ask for next, and [`driver`]
//! does the asking.

pub mod access;
pub mod scope;
pub mod decode;
pub mod watch;
pub mod driver;
