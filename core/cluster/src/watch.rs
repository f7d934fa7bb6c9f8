//! What to ask the API server for next, and what its answers mean: a state machine without I/O,
//! clock or randomness.
//!
//! # Guarantees
//! - What was known stays in force until a new list is complete; then what differs is told, and
//!   what is no longer there is deleted, all at once.
//! - One request at a time. After a failure a watch goes on from where it was; only an expired
//!   version leads to a new list.
//! - An object that cannot be decoded concerns nobody else.
//! - A kind that is not there or must not be read is empty at the start, and afterwards stays as
//!   it was: a missing permission is not a deletion. A kind whose definition was deleted is empty
//!   after a grace.

mod exchange;
mod listing;

use std::collections::BTreeMap;
use std::time::Duration;

use contour_core::name::ObjectName;
use contour_core::pipeline::Change;
use contour_core::status::Address;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{Revision, Sent};
use crate::scope::Scope;
pub use exchange::{End, Health, Next, Output, Refusal, Request, Settings, Wait};
use listing::{Differing, Listing};

/// How often a watch may end at once, unheard, before the version that it began with is doubted.
const SILENT_ENDS: u32 = 3;

/// A watch that lived for so long did not end at once.
const LIVED: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Phase {
    Idle,
    Listing(Listing),
    Watching { since: Duration, is_heard: bool },
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Duration,
    is_absent: bool,
}

/// The watch of one scope.
#[derive(Debug)]
pub struct Watch {
    scope: Scope,
    settings: Settings,
    phase: Phase,
    known: BTreeMap<ObjectName, Revision>,
    /// The version from which a watch can go on.
    position: Option<String>,
    /// Whether all that there was at the start has been told.
    is_complete: bool,
    /// Whether the API server can list by a stream, as far as is known.
    can_stream: bool,
    listed: Duration,
    failures: u32,
    silent_ends: u32,
    /// Since when every answer has said that the kind is missing, or that it is forbidden.
    missing: Option<Missing>,
    health: Option<Health>,
    addresses: Vec<Address>,
    output: Output,
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// `metav1.Status`.
#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

impl Watch {
    /// A watch that knows nothing yet.
    pub fn new(scope: Scope, settings: Settings) -> Self {
        Self {
            scope,
            settings,
            phase: Phase::Idle,
            known: BTreeMap::new(),
            position: None,
            is_complete: false,
            can_stream: true,
            listed: Duration::ZERO,
            failures: 0,
            silent_ends: 0,
            missing: None,
            health: None,
            addresses: Vec::new(),
            output: Output::default(),
        }
    }

    /// What is watched.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What was set about it.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no object is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What answers meant since this was last asked.
    pub fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// The next request. `now` counts from any fixed moment, here and below.
    pub fn ask(&mut self, now: Duration) -> Request {
        if let Phase::Listing(listing) = &self.phase
            && let Some(token) = &listing.token
        {
            return Request::List { token: Some(token.clone()) };
        }
        let is_due = now.saturating_sub(self.listed) >= self.settings.compare;
        match &self.position {
            Some(from) if !is_due => {
                self.phase = Phase::Watching { since: now, is_heard: false };
                Request::Watch { from: from.clone() }
            }
            position => {
                self.phase = Phase::Listing(Listing::new(position.is_some()));
                if self.can_stream { Request::Stream } else { Request::List { token: None } }
            }
        }
    }

    /// The request was answered, and a body follows.
    pub fn opened(&mut self) {
        if matches!(self.phase, Phase::Watching { .. }) {
            self.missing = None;
            self.tell_health(Health::Watching);
        }
    }

    /// The request was answered otherwise.
    pub fn refused(&mut self, now: Duration, refusal: Refusal) -> Next {
        let Refusal { code, message, retry_after } = refusal;
        let was_stream = matches!(&self.phase, Phase::Listing(l) if l.token.is_none());
        match code {
            410 => self.expired(),
            403 => self.missing(now, Health::Forbidden(message)),
            404 if self.scope.is_custom() => self.missing(now, Health::Absent),
            400 | 422 if was_stream && self.can_stream => {
                self.can_stream = false;
                self.phase = Phase::Idle;
                Next::Ask(Wait::None)
            }
            _ => {
                let next = self.fail(format!("{code} {message}"));
                retry_after.map_or(next, |after| Next::Ask(Wait::Exactly(after)))
            }
        }
    }

    /// A page of a list, whole.
    pub fn page(&mut self, now: Duration, body: &[u8]) -> Next {
        let page = match listing::Page::read(body) {
            Ok(page) => page,
            Err(error) => return self.fail(format!("the list cannot be read: {error}")),
        };
        for item in page.items {
            self.listed(item);
        }
        match page.token {
            Some(token) => {
                if let Phase::Listing(listing) = &mut self.phase {
                    listing.token = Some(token);
                }
            }
            None => self.finish(now, page.version),
        }
        Next::Ask(Wait::None)
    }

    /// A line of a stream.
    pub fn line(&mut self, now: Duration, line: &[u8]) -> Next {
        let event: Event<'_> = match serde_json::from_slice(line) {
            Ok(event) => event,
            Err(error) => return self.fail(format!("an event cannot be read: {error}")),
        };
        if event.r#type != "ERROR" {
            self.heard();
        }
        match event.r#type {
            "ADDED" | "MODIFIED" if matches!(self.phase, Phase::Listing(_)) => {
                self.listed(event.object);
            }
            "ADDED" | "MODIFIED" => self.changed(event.object),
            "DELETED" => self.deleted(event.object),
            "BOOKMARK" => return self.bookmark(now, event.object),
            "ERROR" => return self.error(event.object),
            // The API server may learn new words; they are none for us.
            _ => {}
        }
        Next::Read
    }

    /// The answer ended.
    pub fn ended(&mut self, now: Duration, end: End) -> Next {
        let why = match end {
            End::Failed(why) => why,
            End::Silent => "nothing was heard for too long".to_owned(),
            End::Whole => match self.phase {
                Phase::Watching { since, is_heard } => {
                    if is_heard || now.saturating_sub(since) >= LIVED {
                        self.silent_ends = 0;
                        return Next::Ask(Wait::None);
                    }
                    self.silent_ends += 1;
                    if self.silent_ends >= SILENT_ENDS {
                        // Some API servers say of an expired version nothing at all.
                        self.silent_ends = 0;
                        return self.expired();
                    }
                    return Next::Ask(Wait::Retry(self.silent_ends));
                }
                Phase::Idle | Phase::Listing(_) => {
                    // An API server that does not know streamed lists takes them for watches.
                    self.can_stream = false;
                    "the list ended before its end".to_owned()
                }
            },
        };
        self.fail(why)
    }

    /// A list that breaks off again and again is a failure each time, however much of it came.
    fn heard(&mut self) {
        if let Phase::Watching { is_heard, .. } = &mut self.phase {
            *is_heard = true;
            self.failures = 0;
        }
    }

    fn fail(&mut self, why: String) -> Next {
        self.failures += 1;
        self.missing = None;
        self.tell_health(Health::Failing(why));
        if let Phase::Listing(listing) = &self.phase
            && listing.token.is_some()
        {
            return Next::Ask(Wait::Retry(self.failures));
        }
        self.phase = Phase::Idle;
        Next::Ask(Wait::Retry(self.failures))
    }

    fn expired(&mut self) -> Next {
        self.position = None;
        self.missing = None;
        self.phase = Phase::Idle;
        self.failures += 1;
        Next::Ask(Wait::Retry(self.failures - 1))
    }

    fn missing(&mut self, now: Duration, health: Health) -> Next {
        let is_absent = health == Health::Absent;
        let known = self.missing.filter(|missing| missing.is_absent == is_absent);
        let missing = *self.missing.insert(known.unwrap_or(Missing { since: now, is_absent }));
        let elapsed = now.saturating_sub(missing.since);
        self.phase = Phase::Idle;
        // An API server that has just started does not know yet what it has and who may read it.
        if elapsed < self.settings.settle {
            self.failures += 1;
            return Next::Ask(Wait::Retry(self.failures));
        }
        self.position = None;
        if is_absent && elapsed >= self.settings.grace {
            self.forget(|_| false);
        }
        self.complete();
        self.tell_health(health);
        Next::Ask(Wait::Exactly(self.settings.look))
    }

    fn complete(&mut self) {
        self.output.completed |= !self.is_complete;
        self.is_complete = true;
    }

    fn tell_health(&mut self, health: Health) {
        if self.health.as_ref() != Some(&health) {
            self.output.health = Some(health.clone());
            self.health = Some(health);
        }
    }

    /// An object of a list.
    fn listed(&mut self, raw: &RawValue) {
        let Some(sent) = Sent::read(raw) else {
            self.output.unreadable += 1;
            return;
        };
        let Phase::Listing(listing) = &mut self.phase else { return };
        listing.seen.insert(sent.name.clone());
        // A list can be older than what a watch has told.
        if self.known.get(&sent.name).is_some_and(|known| sent.revision.is_no_news_after(*known)) {
            return;
        }
        let (name, revision) = (sent.name.clone(), sent.revision);
        match &self.scope {
            Scope::Addresses(_) => {
                listing.addresses = Some((name, revision, sent.addresses()));
            }
            Scope::Objects { kind, .. } => {
                let decoded = sent.decode(*kind);
                if self.is_complete {
                    listing.differing.push(Differing { name, revision, decoded });
                } else {
                    self.tell(Differing { name, revision, decoded });
                }
            }
        }
    }

    fn tell(&mut self, object: Differing) {
        let Differing { name, revision, decoded } = object;
        if let Some(seen) = decoded.seen {
            self.output.seen.push((name.of(self.scope.kind()), seen));
        }
        self.output.changes.push(decoded.change);
        self.known.insert(name, revision);
    }

    /// The list is complete.
    fn finish(&mut self, now: Duration, version: Option<String>) {
        let Phase::Listing(listing) =
            std::mem::replace(&mut self.phase, Phase::Watching { since: now, is_heard: true })
        else {
            return;
        };
        let before = self.output.changes.len();
        self.forget(|name| listing.seen.contains(name));
        listing.differing.into_iter().for_each(|object| self.tell(object));
        if listing.is_comparison {
            self.output.healed += (self.output.changes.len() - before) as u64;
        }
        if let Some((name, revision, addresses)) = listing.addresses
            && listing.seen.contains(&name)
        {
            self.known.insert(name, revision);
            self.tell_addresses(addresses);
        }
        self.position = version.filter(|v| !v.is_empty());
        self.listed = now;
        self.failures = 0;
        self.missing = None;
        self.complete();
        self.tell_health(Health::Watching);
    }

    /// Deletes what is known and not to be kept.
    fn forget(&mut self, keep: impl Fn(&ObjectName) -> bool) {
        let gone: Vec<_> = self.known.keys().filter(|name| !keep(name)).cloned().collect();
        for name in gone {
            self.gone(&name);
        }
    }

    fn gone(&mut self, name: &ObjectName) {
        if self.known.remove(name).is_none() {
            return;
        }
        match &self.scope {
            Scope::Addresses(_) => self.tell_addresses(Vec::new()),
            Scope::Objects { kind, .. } => {
                self.output.changes.push(Change::Delete(name.of(*kind)));
            }
        }
    }

    fn tell_addresses(&mut self, addresses: Vec<Address>) {
        if addresses != self.addresses {
            self.addresses.clone_from(&addresses);
            self.output.addresses = Some(addresses);
        }
    }

    /// An event about an object that is there.
    fn changed(&mut self, raw: &RawValue) {
        let Some(sent) = Sent::read(raw) else {
            self.output.unreadable += 1;
            return;
        };
        self.position = Some(sent.version.clone());
        if self.known.get(&sent.name).is_some_and(|known| sent.revision.is_no_news_after(*known)) {
            return;
        }
        let (name, revision) = (sent.name.clone(), sent.revision);
        match &self.scope {
            Scope::Addresses(_) => {
                self.tell_addresses(sent.addresses());
                self.known.insert(name, revision);
            }
            Scope::Objects { kind, .. } => {
                let decoded = sent.decode(*kind);
                self.tell(Differing { name, revision, decoded });
            }
        }
    }

    fn deleted(&mut self, raw: &RawValue) {
        let Some(sent) = Sent::read(raw) else {
            self.output.unreadable += 1;
            return;
        };
        match &mut self.phase {
            Phase::Listing(listing) => listing.forget(&sent.name),
            Phase::Idle | Phase::Watching { .. } => self.position = Some(sent.version),
        }
        if self.known.get(&sent.name).is_none_or(|k| !sent.revision.is_older_than(*k)) {
            self.gone(&sent.name);
        }
    }

    fn bookmark(&mut self, now: Duration, raw: &RawValue) -> Next {
        let Ok(Bookmark { metadata }) = serde_json::from_str(raw.get()) else {
            return Next::Read;
        };
        let is_end = metadata.annotations.get("k8s.io/initial-events-end");
        if matches!(self.phase, Phase::Listing(_)) {
            if is_end.is_some_and(|v| v == "true") {
                self.finish(now, Some(metadata.resource_version));
            }
        } else if !metadata.resource_version.is_empty() {
            self.position = Some(metadata.resource_version);
        }
        Next::Read
    }

    fn error(&mut self, raw: &RawValue) -> Next {
        let Ok(Failure { code, message }) = serde_json::from_str(raw.get()) else {
            return self.fail("the API server reports an error that cannot be read".to_owned());
        };
        if code == 410 { self.expired() } else { self.fail(format!("{code} {message}")) }
    }
}

#[cfg(test)]
mod tests;
