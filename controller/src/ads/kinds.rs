//! One value for each resource type.

use contour_core::xds::ResourceType;

/// One `T` for each resource type, without an index that could be out of range.
#[derive(Clone, Debug, Default)]
pub(super) struct PerType<T> {
    cluster: T,
    endpoint: T,
    secret: T,
    listener: T,
    route: T,
    scoped_route: T,
}

impl<T> PerType<T> {
    pub(super) fn get(&self, kind: ResourceType) -> &T {
        match kind {
            ResourceType::Cluster => &self.cluster,
            ResourceType::Endpoint => &self.endpoint,
            ResourceType::Secret => &self.secret,
            ResourceType::Listener => &self.listener,
            ResourceType::Route => &self.route,
            ResourceType::ScopedRoute => &self.scoped_route,
        }
    }

    pub(super) fn get_mut(&mut self, kind: ResourceType) -> &mut T {
        match kind {
            ResourceType::Cluster => &mut self.cluster,
            ResourceType::Endpoint => &mut self.endpoint,
            ResourceType::Secret => &mut self.secret,
            ResourceType::Listener => &mut self.listener,
            ResourceType::Route => &mut self.route,
            ResourceType::ScopedRoute => &mut self.scoped_route,
        }
    }

    /// The values with their types, in the order of sending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ResourceType, &T)> {
        ResourceType::ALL.into_iter().map(|kind| (kind, self.get(kind)))
    }
}
