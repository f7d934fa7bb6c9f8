//! The harness: a real Envoy, a real Kubernetes, backends, clients, certificates and random worlds
//! of objects.
//!
//! Everything listens on 127.0.0.1 and ends with the value that started it. A harness may fail
//! loudly: what it cannot do, it says and panics, and the test with it.

#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a harness that cannot go on fails the test"
)]

pub mod backend;
pub mod certificates;
pub mod client;
pub mod envoy;
pub mod feed;
pub mod hello;
pub mod helm;
pub mod kubernetes;
pub mod load;
pub mod objects;
pub mod program;
pub mod secrets;
pub mod sources;
pub mod stage;
pub mod validate;
pub mod verdicts;
pub mod worlds;
