//! Harness for tests against real Envoy.
