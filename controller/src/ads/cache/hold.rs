//! What Envoys keep although it differs from what is published, or is not published at all: while
//! a part of the source cannot be read, "not published" does not mean "gone".

use std::collections::HashSet;

use contour_core::xds::{ResourceKey, ResourceType};

/// See the module. Idle for nearly all of a controller's life.
#[derive(Default)]
pub(super) struct Hold {
    is_on: bool,
    /// Published or withdrawn, but might be another one if everything could be read.
    doubtful: HashSet<ResourceKey>,
    /// Withdrawn by the publisher, who knows that it is gone.
    withdrawn: HashSet<ResourceKey>,
}

impl Hold {
    /// Whether anything may be kept.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether an Envoy that has a version of this keeps it.
    pub(super) fn keeps(&self, key: &ResourceKey, is_published: bool) -> bool {
        if !self.is_on {
            return false;
        }
        if is_published {
            return self.doubtful.contains(key);
        }
        match key.kind {
            // A route that is kept may need them, and left over they do no harm.
            ResourceType::Cluster | ResourceType::Endpoint => true,
            ResourceType::Secret
            | ResourceType::Listener
            | ResourceType::Route
            | ResourceType::ScopedRoute => !self.withdrawn.contains(key),
        }
    }

    /// From now on something is kept.
    pub(super) fn begin(&mut self) {
        self.is_on = true;
    }

    /// `key` changed, and whether it should have is in doubt or not.
    pub(super) fn note(&mut self, key: &ResourceKey, is_published: bool, is_doubtful: bool) {
        self.doubtful.remove(key);
        self.withdrawn.remove(key);
        if is_doubtful {
            self.doubtful.insert(key.clone());
        } else if !is_published {
            self.withdrawn.insert(key.clone());
        }
    }
}
