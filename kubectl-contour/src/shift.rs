//! `kubectl contour shift`: traffic of a route from one service to another, step by step.

pub mod file;
