//! What the API server tells, as far as it may be asked: shifts, events, the Pods behind addresses,
//! and routes where no controller is heard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::{Kind, ObjectRef};
use contour_core::top::{Input, Shift};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::objects::{self, Driver};
use super::teller::{Deaf, Teller, Topic};
use crate::cluster::{Cluster, Trouble, clock};
use crate::shift::lease::{self, Holder};

/// How often it is asked for IngressRoutes.
const OBJECTS: Duration = Duration::from_secs(5);
/// How often for events: the API server has no index of them.
const EVENTS: Duration = Duration::from_secs(15);
/// How often for the Pods behind addresses.
const PODS: Duration = Duration::from_secs(30);
/// How often it is looked whether a controller is heard.
const LOOK: Duration = Duration::from_millis(500);

/// The API server, and the namespace of routes, if only one is shown.
#[derive(Clone)]
pub struct Kubernetes {
    /// The connection.
    pub cluster: Cluster,
    /// The namespace.
    pub namespace: Option<String>,
    /// Where it is told.
    pub teller: Teller,
}

impl Kubernetes {
    /// Tells shifts, and routes where no controller is heard, until nobody listens.
    pub async fn objects(self) {
        let ahead = self.cluster.clock_ahead().await.unwrap_or(0);
        loop {
            let listed = self.routes().await;
            if self.told(listed, ahead).await == Err(Deaf) {
                return;
            }
            // Whoever has no controller need not wait for the next round to see routes at all.
            let (until, unheard) = (Instant::now() + OBJECTS, self.teller.is_unheard());
            while Instant::now() < until && (unheard || !self.teller.is_unheard()) {
                sleep(LOOK).await;
            }
        }
    }

    async fn told(&self, listed: Result<Vec<Value>, Trouble>, ahead: i64) -> Result<(), Deaf> {
        let routes = match listed {
            Ok(routes) => routes,
            Err(trouble) => {
                let why = self.why(&trouble, "shifts are", "ingressroutes.contour.heptio.com");
                return self.teller.limit(Topic::Shifts, Some(why)).await;
            }
        };
        self.teller.limit(Topic::Shifts, None).await?;
        let now = Timestamp::from_unix(clock::now().saturating_add(ahead));
        self.teller.tell(Input::Shifts(self.shifts(&routes, now).await)).await?;
        if !self.teller.is_unheard() {
            return self.teller.limit(Topic::Objects, None).await;
        }
        let (services, slices) = match self.endpoints(&routes).await {
            Ok(found) => found,
            Err(trouble) => {
                let why = self.why(&trouble, "endpoints are", "services and endpointslices");
                self.teller.limit(Topic::Objects, Some(why)).await?;
                (Vec::new(), Vec::new())
            }
        };
        let mut rows = objects::rows(&routes, &services, &slices);
        if services.is_empty() && slices.is_empty() {
            // Nothing is known of them; that is not to say that there are none.
            rows.services.clear();
        } else {
            let why =
                "no controller is heard: what is shown is what Kubernetes says, without traffic";
            self.teller.limit(Topic::Objects, Some(why.to_owned())).await?;
        }
        self.teller.tell(Input::Kubernetes(Box::new(rows))).await
    }

    async fn routes(&self) -> Result<Vec<Value>, Trouble> {
        let path = self.path("/apis/contour.heptio.com/v1beta1", "ingressroutes");
        // What the API server has in memory is new enough, and costs it little.
        self.cluster.list(&format!("{path}?resourceVersion=0")).await
    }

    async fn shifts(&self, routes: &[Value], now: Timestamp) -> Vec<Shift> {
        let mut shifts = Vec::new();
        for route in routes {
            let Some(state) = objects::state(route) else { continue };
            let name = objects::name(route);
            let driver = if state.progress.phase.is_over() {
                Driver::Nobody
            } else {
                let object = ObjectRef { kind: Kind::IngressRoute, name: name.clone() };
                self.driver(&object, now).await
            };
            shifts.extend(objects::shift(name, &state, driver, now));
        }
        shifts
    }

    async fn driver(&self, object: &ObjectRef, now: Timestamp) -> Driver {
        let Ok(lease) = self.cluster.find(&lease::path(object)).await else {
            return Driver::Unknown;
        };
        let holder = lease.as_ref().map(Holder::of).filter(|holder| holder.is_held(now));
        holder.map_or(Driver::Nobody, |holder| Driver::Holder(holder.name))
    }

    /// Services and EndpointSlices of the namespaces that routes lead to.
    async fn endpoints(&self, routes: &[Value]) -> Result<(Vec<Value>, Vec<Value>), Trouble> {
        let services = objects::services(routes);
        let namespaces: BTreeSet<_> =
            services.iter().map(|service| &service.service.namespace).collect();
        let (mut services, mut slices) = (Vec::new(), Vec::new());
        for namespace in namespaces {
            let path = format!("/api/v1/namespaces/{namespace}/services?resourceVersion=0");
            services.extend(self.cluster.list(&path).await?);
            slices.extend(self.slices(namespace).await?);
        }
        Ok((services, slices))
    }

    async fn slices(&self, namespace: &str) -> Result<Vec<Value>, Trouble> {
        let group = "/apis/discovery.k8s.io/v1";
        let path = format!("{group}/namespaces/{namespace}/endpointslices?resourceVersion=0");
        self.cluster.list(&path).await
    }

    /// Tells what Kubernetes says has happened to IngressRoutes, until nobody listens.
    pub async fn events(self) {
        let path = self.path("/api/v1", "events");
        let path = format!("{path}?fieldSelector=involvedObject.kind%3DIngressRoute");
        loop {
            let told = match self.cluster.list(&path).await {
                Ok(events) => {
                    let mut events: Vec<_> = events.iter().filter_map(objects::event).collect();
                    events.sort_by_key(|event| std::cmp::Reverse(event.unix_millis));
                    let told = self.teller.tell(Input::Events(events)).await;
                    told.and(self.teller.limit(Topic::Events, None).await)
                }
                Err(trouble) => {
                    let why = self.why(&trouble, "events of Kubernetes are", "events");
                    self.teller.limit(Topic::Events, Some(why)).await
                }
            };
            if told == Err(Deaf) {
                return;
            }
            sleep(EVENTS).await;
        }
    }

    /// Tells the Pods behind addresses of services that are served, until nobody listens.
    pub async fn pods(self) {
        let mut asked: Vec<Arc<str>> = Vec::new();
        let mut until = Instant::now();
        loop {
            let namespaces = self.teller.namespaces();
            if namespaces.is_empty() || (namespaces == asked && Instant::now() < until) {
                sleep(LOOK).await;
                continue;
            }
            (asked, until) = (namespaces, Instant::now() + PODS);
            let (mut slices, mut why) = (Vec::new(), None);
            for namespace in &asked {
                match self.slices(namespace).await {
                    Ok(found) => slices.extend(found),
                    Err(trouble) => {
                        let what = format!("endpointslices in {namespace}");
                        why = Some(self.why(&trouble, "Pods of endpoints are", &what));
                    }
                }
            }
            let told = self.teller.tell(Input::Pods(objects::pods(&slices))).await;
            if told.and(self.teller.limit(Topic::Pods, why).await) == Err(Deaf) {
                return;
            }
        }
    }

    fn path(&self, group: &str, resource: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{resource}"),
            None => format!("{group}/{resource}"),
        }
    }

    fn why(&self, trouble: &Trouble, what: &str, resources: &str) -> String {
        if !trouble.is_forbidden() {
            return format!("{what} not shown: {trouble}");
        }
        let place = match &self.namespace {
            Some(namespace) => format!(" in {namespace}"),
            None if resources.contains(" in ") => String::new(),
            None => " in all namespaces (-n NAMESPACE shows one)".to_owned(),
        };
        format!("{what} not shown: it takes the verb list on {resources}{place}")
    }
}
