//! The terminal views through their public surface, in one binary.

#![cfg(test)]

#[path = "it/keys.rs"]
mod keys;
#[path = "it/scene.rs"]
mod scene;
#[path = "it/screens.rs"]
mod screens;
#[path = "it/sizes.rs"]
mod sizes;
#[path = "it/top.rs"]
mod top;
