//! All integration tests, in one binary.

#![cfg(test)]

#[path = "it/architecture.rs"]
mod architecture;
#[path = "it/chart.rs"]
mod chart;
#[path = "it/cluster.rs"]
mod cluster;
#[path = "it/fault.rs"]
mod fault;
#[path = "it/feature.rs"]
mod feature;
#[path = "it/harness.rs"]
mod harness;
#[path = "it/images.rs"]
mod images;
#[path = "it/kubernetes.rs"]
mod kubernetes;
#[path = "it/property.rs"]
mod property;
#[path = "it/tidy.rs"]
mod tidy;
