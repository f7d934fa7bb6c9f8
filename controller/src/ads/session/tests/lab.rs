//! A session with a catalog, a clock in the hand, and a client that answers on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::super::super::node::EnvoyVersion;
use super::super::*;
use crate::config::Shrink;

pub(super) struct Lab {
    pub(super) catalog: Catalog,
    pub(super) session: Session,
    now: Instant,
    revision: u64,
    /// Responses that the client has not answered.
    unanswered: Vec<Response>,
    last_versions: Vec<Version>,
}

pub(super) fn key(kind: ResourceType, name: &str) -> ResourceKey {
    ResourceKey::new(kind, name)
}

pub(super) fn resource(kind: ResourceType, name: &str, version: u32) -> Arc<Resource> {
    let body = format!("{name} {version}").into_bytes();
    Arc::new(Resource::new(key(kind, name), body, Vec::new()))
}

pub(super) fn with_needs(resource: &Resource, needs: &[ResourceKey]) -> Arc<Resource> {
    Arc::new(Resource { requires: needs.into(), ..resource.clone() })
}

pub(super) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

pub(super) fn request(kind: ResourceType) -> Request {
    Request {
        kind,
        subscribe: Vec::new(),
        unsubscribe: Vec::new(),
        initial_versions: HashMap::new(),
        nonce: String::new(),
        error: None,
    }
}

fn session(catalog: &Catalog, version: EnvoyVersion) -> Session {
    let node =
        Node { id: "test".into(), cluster: "test".into(), version: Some(version), admin: None };
    let group = catalog.group(node.version);
    Session::new(Arc::new(node), group, &Settings::default())
}

const ENVOY: EnvoyVersion = EnvoyVersion { major: 1, minor: 40, patch: 0 };

impl Default for Lab {
    fn default() -> Self {
        let catalog = Catalog::default();
        Self {
            session: session(&catalog, ENVOY),
            catalog,
            now: Instant::now(),
            revision: 0,
            unanswered: Vec::new(),
            last_versions: Vec::new(),
        }
    }
}

impl Lab {
    /// With an empty first publish behind it.
    pub(super) fn ready() -> Self {
        let mut lab = Self::default();
        lab.publish(&[], &[]);
        lab
    }

    pub(super) fn publish_unseen(&mut self, put: &[Arc<Resource>], gone: &[ResourceKey]) {
        let put = put.iter().map(|r| (r.key.clone(), Some(Arc::clone(r))));
        let gone = gone.iter().map(|key| (key.clone(), None));
        let changed: BTreeMap<_, _> = put.chain(gone).collect();
        self.revision += 1;
        self.catalog.publish(self.revision, &changed, self.now);
    }

    /// A publish while a part of the source cannot be read.
    pub(super) fn publish_partly(
        &mut self,
        put: &[Arc<Resource>],
        gone: &[ResourceKey],
        doubtful: &[ResourceKey],
    ) {
        let put = put.iter().map(|r| (r.key.clone(), Some(Arc::clone(r))));
        let gone = gone.iter().map(|key| (key.clone(), None));
        let changed: BTreeMap<_, _> = put.chain(gone).collect();
        let doubtful: BTreeSet<_> = doubtful.iter().cloned().collect();
        self.revision += 1;
        self.catalog.publish_partly(self.revision, &changed, &doubtful, self.now);
        self.session.changed(&self.catalog, self.now);
    }

    /// What was kept no longer is.
    pub(super) fn release(&mut self) {
        self.catalog.release();
        self.session.changed(&self.catalog, self.now);
    }

    pub(super) fn publish(&mut self, put: &[Arc<Resource>], gone: &[ResourceKey]) {
        self.publish_unseen(put, gone);
        self.session.changed(&self.catalog, self.now);
    }

    pub(super) fn request(&mut self, request: &Request) {
        self.session.request(request, &self.catalog, self.now);
        self.session.changed(&self.catalog, self.now);
    }

    pub(super) fn subscribe(&mut self, kind: ResourceType, subscribe: &[&str]) {
        self.request(&Request { subscribe: names(subscribe), ..request(kind) });
    }

    pub(super) fn subscribe_all(&mut self, kind: ResourceType) {
        self.subscribe(kind, &[]);
    }

    pub(super) fn unsubscribe(&mut self, kind: ResourceType, unsubscribe: &[&str]) {
        self.request(&Request { unsubscribe: names(unsubscribe), ..request(kind) });
    }

    /// The first request for a type of a client that holds `held`.
    pub(super) fn first(
        &mut self,
        kind: ResourceType,
        subscribe: &[&str],
        held: &[&Arc<Resource>],
    ) {
        let versions = held.iter().map(|r| (r.key.name.to_string(), r.version.to_string()));
        self.request(&Request {
            subscribe: names(subscribe),
            initial_versions: versions.collect(),
            ..request(kind)
        });
    }

    /// An Envoy that holds nothing yet, and is guarded by this rule.
    pub(super) fn reconnect_guarded(&mut self, rule: Shrink) {
        self.reconnect();
        self.session.spared = Spared::new(Some(rule));
    }

    pub(super) fn reconnect(&mut self) {
        self.reconnect_as(ENVOY);
    }

    pub(super) fn reconnect_as(&mut self, version: EnvoyVersion) {
        self.session = session(&self.catalog, version);
        self.unanswered.clear();
        self.session.changed(&self.catalog, self.now);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.tick(self.now);
    }

    fn responses(&mut self) -> Vec<Response> {
        let mut responses = Vec::new();
        while let Some(response) = self.session.poll(&self.catalog, self.now) {
            responses.push(response);
        }
        self.unanswered.extend(responses.iter().cloned());
        let resources = responses.iter().flat_map(|r| &r.resources);
        self.last_versions = resources.map(|(_, r)| r.version).collect();
        responses
    }

    /// What is sent now: a line for each response.
    pub(super) fn sent(&mut self) -> String {
        let mut text = Vec::new();
        for response in self.responses() {
            let mut line = response.kind.to_string();
            for (name, _) in &response.resources {
                write!(line, " +{name}").unwrap();
            }
            for name in &response.removed {
                write!(line, " -{name}").unwrap();
            }
            if response.resources.is_empty() && response.removed.is_empty() {
                line.push_str(" (empty)");
            }
            text.push(line);
        }
        text.join("\n")
    }

    pub(super) fn sent_sizes(&mut self) -> Vec<usize> {
        self.responses().iter().map(|r| r.resources.len()).collect()
    }

    /// The versions in the last result of [`Self::sent`].
    pub(super) fn last_versions(&self) -> &[Version] {
        &self.last_versions
    }

    pub(super) fn outstanding(&self) -> usize {
        self.unanswered.len()
    }

    /// The acknowledgement of the oldest unanswered response.
    pub(super) fn ack_request(&mut self) -> Request {
        let response = self.unanswered.remove(0);
        Request { nonce: response.nonce.to_string(), ..request(response.kind) }
    }

    pub(super) fn ack_all(&mut self) {
        while !self.unanswered.is_empty() {
            let request = self.ack_request();
            self.request(&request);
        }
    }

    /// Acknowledges the responses that carry one of these.
    pub(super) fn ack_names(&mut self, acked: &[&str]) {
        let carries = |r: &Response| r.resources.iter().any(|(n, _)| acked.contains(&&**n));
        while let Some(index) = self.unanswered.iter().position(carries) {
            let response = self.unanswered.remove(index);
            self.unanswered.insert(0, response);
            let request = self.ack_request();
            self.request(&request);
        }
    }

    /// Answers all: refuses the responses with a resource that `bad` names.
    pub(super) fn refuse_if(&mut self, bad: impl Fn(&str, Version) -> bool) {
        while let Some(response) = self.unanswered.first() {
            let refused = response.resources.iter().any(|(n, r)| bad(n, r.version));
            let mut request = self.ack_request();
            request.error = refused.then(|| "no".to_owned());
            self.request(&request);
        }
    }

    /// Takes and answers until nothing comes; returns the number of responses.
    pub(super) fn converse(&mut self, bad: impl Fn(&str, Version) -> bool) -> usize {
        let mut count = 0;
        loop {
            let responses = self.responses().len();
            if responses == 0 {
                return count;
            }
            count += responses;
            self.refuse_if(&bad);
        }
    }

    /// Takes and acknowledges until nothing comes.
    pub(super) fn settle(&mut self) {
        self.converse(|_, _| false);
    }

    pub(super) fn raw_events(&mut self) -> Vec<Event> {
        self.session.take_events()
    }

    pub(super) fn events(&mut self) -> Vec<String> {
        let line = |event| match event {
            Event::Connected { .. } | Event::Disconnected { .. } | Event::Refused { .. } => {
                "not the session's".to_owned()
            }
            Event::Acknowledged { revision, .. } => format!("acknowledged {revision}"),
            Event::Rejected { key, message, .. } => format!("rejected {key}: {message}"),
            Event::Shrunk { hosts, gone, .. } => format!("{gone} of {hosts} kept"),
            Event::Recovered { key, .. } => format!("recovered {key}"),
        };
        self.raw_events().into_iter().map(line).collect()
    }

    /// The state of a resource written as `cds:name`.
    pub(super) fn state(&self, text: &str) -> Option<HeldState> {
        let (short, name) = text.split_once(':')?;
        let kind = ResourceType::ALL.into_iter().find(|k| k.short() == short)?;
        let state = self.session.state_of(&key(kind, name), &self.catalog);
        state.map(|(state, _)| state)
    }

    /// How long after the beginning of the stream Envoy got what it has of this key.
    pub(super) fn held_since(&self, text: &str) -> Option<Duration> {
        let (short, name) = text.split_once(':')?;
        let kind = ResourceType::ALL.into_iter().find(|kind| kind.short() == short)?;
        let since = self.session.held_since(&key(kind, name))?;
        Some(since.duration_since(self.session.began?))
    }

    pub(super) fn entries(&self, kind: ResourceType) -> usize {
        self.session.types.get(kind).entries.len()
    }
}
