//! What must hold in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use contour_cluster::decode::Sent;
use contour_core::name::{Kind, ObjectName};
use contour_core::pipeline::{Change, Options, Pipeline};
use contour_core::xds::{Resource, ResourceKey, ResourceType, Version};
use serde_json::value::RawValue;

use super::super::envoy::is_bad;
use super::super::objects;
use super::super::server::Server;
use super::World;

fn sent(text: &str) -> Sent<'_> {
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    Sent::read(raw).unwrap()
}

/// What objects are, as changes to an empty world.
pub(super) fn decoded<'a>(
    objects: impl Iterator<Item = (Kind, &'a ObjectName, &'a Arc<str>)>,
) -> Vec<Change> {
    let changes = objects.map(|(kind, _, text)| sent(text).decode(kind).change);
    changes.collect()
}

pub(super) fn pipeline(server: &Server) -> Pipeline {
    let mut pipeline = Pipeline::new(Options::default());
    drop(pipeline.apply(decoded(server.objects())));
    pipeline
}

/// Whether an Envoy of the refusing release may lack this: it refuses it, or something that has to
/// be there first.
fn is_kept_back(resource: &Resource, fresh: &Pipeline) -> bool {
    let is_refused = |key: &ResourceKey| fresh.resource(key).is_some_and(|needed| is_bad(needed));
    is_bad(resource) || resource.requires.iter().any(is_refused)
}

impl World {
    pub(super) fn check_end(&self) -> Result<(), String> {
        let fresh = pipeline(&self.server);
        let own = self.engine.pipeline();
        let all = |p: &Pipeline| -> BTreeMap<_, _> {
            p.resources().map(|r| (r.key.clone(), r.version)).collect()
        };
        let (made, right) = (all(own), all(&fresh));
        let differing = right.iter().filter(|(key, version)| made.get(key) != Some(version));
        let extra = made.keys().filter(|key| !right.contains_key(key));
        let wrong: Vec<_> = differing.map(|(key, _)| key).chain(extra).collect();
        if !wrong.is_empty() {
            return Err(format!("in the end these differ from what is made afresh: {wrong:?}"));
        }
        let statuses = |p: &Pipeline| -> BTreeMap<_, _> {
            p.statuses().map(|(object, status)| (object.clone(), Arc::clone(status))).collect()
        };
        if statuses(own) != statuses(&fresh) {
            return Err("in the end statuses differ from those made afresh".to_owned());
        }
        self.check_addresses()?;
        for number in 0..self.envoys.len() {
            self.check_envoy(number, &right, &fresh)?;
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), String> {
        let name = ObjectName::new(objects::ENVOY.0, objects::ENVOY.1);
        let stored = self.server.of(Kind::Service).objects.get(&name);
        let text = &stored.ok_or("the Service of the Envoys is gone")?.text;
        let right = sent(text).addresses();
        if self.addresses == right {
            Ok(())
        } else {
            Err(format!("in the end the addresses are {:?}, not {right:?}", self.addresses))
        }
    }

    /// The Envoy holds all that there is and it asks for, and nothing else.
    fn check_envoy(
        &self,
        number: usize,
        right: &BTreeMap<ResourceKey, Version>,
        fresh: &Pipeline,
    ) -> Result<(), String> {
        let envoy = &self.envoys[number];
        let any_refuses = self.envoys.iter().any(|e| e.refuses);
        for (key, version) in right {
            let is_asked = match key.kind {
                ResourceType::Cluster | ResourceType::Listener | ResourceType::ScopedRoute => true,
                ResourceType::Endpoint | ResourceType::Route | ResourceType::Secret => {
                    envoy.asked.contains(key)
                }
            };
            let is_excused =
                envoy.refuses && fresh.resource(key).is_some_and(|r| is_kept_back(r, fresh));
            let held = envoy.held.get(key).map(|r| r.version);
            if is_asked && !is_excused && held != Some(*version) {
                return Err(format!("in the end Envoy {number} has {held:?} of {key}: {version}"));
            }
        }
        let group = self.ads.shared.catalog.group(None);
        for key in envoy.held.keys().filter(|key| !right.contains_key(key)) {
            // What a last good version needs is kept for all.
            let is_kept = any_refuses && self.ads.shared.catalog.newest(key, group).is_some();
            if !is_kept {
                return Err(format!("in the end Envoy {number} still has {key}"));
            }
        }
        let scopes = right.keys().filter(|key| key.kind == ResourceType::ScopedRoute);
        for scope in scopes.filter(|_| !envoy.refuses) {
            let routes = ResourceKey::new(ResourceType::Route, Arc::clone(&scope.name));
            if !envoy.held.contains_key(&routes) {
                return Err(format!("in the end Envoy {number} has no {routes}"));
            }
        }
        Ok(())
    }
}
