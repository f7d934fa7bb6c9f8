//! Turns the neutral model into Envoy resources.

mod resource;

pub use resource::{Resource, ResourceKey, ResourceType, Version};
