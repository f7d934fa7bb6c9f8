//! The view of everything.

#[path = "top/keys.rs"]
mod keys;
#[path = "top/pages.rs"]
mod pages;
#[path = "top/property.rs"]
mod property;
#[path = "top/scene.rs"]
mod scene;
#[path = "top/screens.rs"]
mod screens;
#[path = "top/sizes.rs"]
mod sizes;
