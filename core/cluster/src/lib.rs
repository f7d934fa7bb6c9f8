//! Reads a Kubernetes API server: the only crate that may.
