//! What a source could not read, and which resources might be others if it could.
//!
//! A unit that looked for something and did not find it cannot tell "there is none" from "nobody
//! could read it". Which facts a unit has read is recorded anyway, so exactly those units are in
//! doubt whose absent facts may lie in a gap.

use std::collections::BTreeSet;

use super::Pipeline;
use super::units::Unit;
use crate::name::{Fqdn, Kind, ObjectName, ObjectRef};
use crate::store::Fact;
use crate::xds::{self, ResourceKey, ResourceType};

/// Of what nobody can say that it is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Kinds of which objects may have gone unread.
    pub kinds: BTreeSet<Kind>,
    /// Objects that are there but could not be decoded.
    pub objects: BTreeSet<ObjectRef>,
}

impl Gaps {
    /// Gaps in which an object of any kind may lie, such as a file that cannot be read.
    pub fn everywhere() -> Self {
        Self { kinds: Kind::ALL.into_iter().collect(), objects: BTreeSet::new() }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.objects.is_empty()
    }

    fn may_hold(&self, object: &ObjectRef) -> bool {
        self.kinds.contains(&object.kind) || self.objects.contains(object)
    }

    fn may_hold_any(&self, kind: Kind, namespace: &str) -> bool {
        let near = |object: &ObjectRef| object.kind == kind && &*object.name.namespace == namespace;
        self.kinds.contains(&kind) || self.objects.iter().any(near)
    }
}

impl Pipeline {
    /// Whether a resource, in force or gone, might be another one if the gaps were known: what was
    /// not found when it was built may lie in them. Listeners that are made of all hosts are
    /// always in doubt.
    ///
    /// # Limits
    /// What was found counts as whole: a host with one claim, or a Service with one slice, may have
    /// another in a gap.
    pub fn is_doubtful(&self, key: &ResourceKey, gaps: &Gaps) -> bool {
        if gaps.is_empty() {
            return false;
        }
        match key.kind {
            ResourceType::Listener => !matches!(
                &*key.name,
                xds::HTTP_LISTENER | xds::STATS_LISTENER | xds::gate::LISTENER
            ),
            ResourceType::Route | ResourceType::ScopedRoute => {
                key.name.split_once('/').is_some_and(|(_, host)| self.missed_by(host, gaps))
            }
            ResourceType::Secret => self.missed_by(&key.name, gaps),
            ResourceType::Cluster => {
                let service = self.service_of_cluster(key);
                service.is_some_and(|service| self.may_lack_endpoints(service, gaps))
            }
            ResourceType::Endpoint => {
                let mut parts = key.name.split('/');
                let service = parts.next().zip(parts.next());
                service.is_some_and(|(namespace, name)| {
                    self.may_lack_endpoints(&ObjectName::new(namespace, name), gaps)
                })
            }
        }
    }

    fn missed_by(&self, host: &str, gaps: &Gaps) -> bool {
        let Ok(fqdn) = Fqdn::parse(host) else {
            return false;
        };
        let facts = self.dependencies.reads(&Unit::Host(fqdn));
        facts.iter().any(|fact| self.may_lack(fact, gaps))
    }

    fn may_lack_endpoints(&self, service: &ObjectName, gaps: &Gaps) -> bool {
        let facts = [Fact::Object(service.of(Kind::Service)), Fact::Slices(service.clone())];
        facts.iter().any(|fact| self.may_lack(fact, gaps))
    }

    /// Whether nothing was found of a fact that may lie in a gap.
    fn may_lack(&self, fact: &Fact, gaps: &Gaps) -> bool {
        let may_hide = match fact {
            Fact::Object(object) => gaps.may_hold(object),
            Fact::Host(_) => gaps.kinds.contains(&Kind::IngressRoute),
            Fact::Slices(service) => gaps.may_hold_any(Kind::EndpointSlice, &service.namespace),
            Fact::Delegations(namespace) => {
                gaps.may_hold_any(Kind::TlsCertificateDelegation, namespace)
            }
        };
        may_hide && !self.store.has(fact)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manifest::{self, Limits};
    use crate::pipeline::{Change, Options};

    const ROUTES: &str = "
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: whole, namespace: demo}
spec:
  virtualhost: {fqdn: whole.test}
  routes: [{match: /, services: [{name: app, port: 80}]}]
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: lone, namespace: demo}
spec:
  virtualhost: {fqdn: lone.test}
  routes: [{match: /, services: [{name: lost, port: 80}]}]
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: parent, namespace: demo}
spec:
  virtualhost: {fqdn: parent.test}
  routes: [{match: /, delegate: {name: lost, namespace: demo}}]
---
apiVersion: contour.heptio.com/v1beta1
kind: IngressRoute
metadata: {name: tls, namespace: demo}
spec:
  virtualhost: {fqdn: tls.test, tls: {secretName: lost}}
  routes: [{match: /, services: [{name: app, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: demo}
spec: {ports: [{port: 80}]}
";

    const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app-1, namespace: demo, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{name: '', port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
";

    fn pipeline(texts: &[&str]) -> Pipeline {
        let mut pipeline = Pipeline::new(Options::default());
        for text in texts {
            let manifest = manifest::read("world.yaml", text, Limits::default());
            let changes = manifest.documents.into_iter().map(|document| {
                let object = document.object.expect("the test's own text");
                Change::Apply(Box::new(object), Arc::from([]))
            });
            drop(pipeline.apply(changes.collect()));
        }
        pipeline
    }

    /// The resources in doubt, and those among `gone`, which are not in force.
    fn doubtful(pipeline: &Pipeline, gaps: &Gaps, gone: &[ResourceKey]) -> Vec<String> {
        let keys = pipeline.resources().map(|resource| &resource.key).chain(gone);
        let keys = keys.filter(|key| pipeline.is_doubtful(key, gaps));
        // The hash at the end of a cluster's name is of no interest here.
        let mut names: Vec<_> = keys
            .map(|key| {
                let is_cluster = key.kind == ResourceType::Cluster;
                if is_cluster { "cds".to_owned() } else { key.to_string() }
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn exactly_what_looked_for_something_in_vain_that_may_lie_in_a_gap_is_in_doubt() {
        let kinds = |kinds: &[Kind]| Gaps {
            kinds: kinds.iter().copied().collect(),
            objects: BTreeSet::new(),
        };
        let one = |kind, name: &str| Gaps {
            kinds: BTreeSet::new(),
            objects: BTreeSet::from([ObjectRef::new(kind, "demo", name)]),
        };
        let gone = [
            ResourceKey::new(ResourceType::ScopedRoute, "https/tls.test"),
            ResourceKey::new(ResourceType::Secret, "tls.test"),
            // Nothing was ever computed for this one, so nothing was read.
            ResourceKey::new(ResourceType::ScopedRoute, "http/nobody.test"),
        ];
        let https = "lds:ingress_https";
        let lone = ["rds:http/lone.test", "srds:http/lone.test"];
        let parent = ["rds:http/parent.test", "srds:http/parent.test"];
        let tls =
            ["rds:http/tls.test", "sds:tls.test", "srds:http/tls.test", "srds:https/tls.test"];
        let app = ["cds", "eds:demo/app"];
        let table: [(&str, Gaps, Vec<&[&str]>); 7] = [
            ("nothing", Gaps::default(), vec![]),
            ("a Service", kinds(&[Kind::Service]), vec![&lone]),
            ("one Service", one(Kind::Service, "lost"), vec![&lone]),
            ("another Service", one(Kind::Service, "else"), vec![]),
            ("a Secret", kinds(&[Kind::Secret]), vec![&tls]),
            ("a slice", one(Kind::EndpointSlice, "app-2"), vec![&app]),
            ("everything", Gaps::everywhere(), vec![&lone, &parent, &tls, &app]),
        ];
        let without_slice = pipeline(&[ROUTES]);
        for (what, gaps, parts) in table {
            let mut expected: Vec<_> = parts.concat();
            expected.extend((!gaps.is_empty()).then_some(https));
            expected.sort_unstable();
            assert_eq!(doubtful(&without_slice, &gaps, &gone), expected, "{what}");
        }
    }

    #[test]
    fn what_was_found_is_not_in_doubt() {
        let gaps = Gaps { kinds: BTreeSet::from([Kind::EndpointSlice]), objects: BTreeSet::new() };
        let app = ["cds", "eds:demo/app", "lds:ingress_https"];
        assert_eq!(doubtful(&pipeline(&[ROUTES]), &gaps, &[]), app);
        assert_eq!(doubtful(&pipeline(&[ROUTES, SLICE]), &gaps, &[]), ["lds:ingress_https"]);
    }
}
