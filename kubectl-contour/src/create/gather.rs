//! The snapshot of a cluster that checks need, and no more of it: Secrets above all.

use std::collections::BTreeSet;

use contour_core::api::Timestamp;
use contour_core::manifest::{self, Limits};
use contour_core::name::{Kind, ObjectName};
use serde_json::Value;

use super::check::Snapshot;
use crate::cluster::{Cluster, Trouble, clock};
use crate::failure::Failure;

const GROUP: &str = "/apis/contour.heptio.com/v1beta1";

/// Which parts of a cluster are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Namespaces whose Services are routed to.
    pub services: BTreeSet<String>,
    /// Namespaces whose TLS Secrets may be meant.
    pub secret_namespaces: BTreeSet<String>,
    /// Secrets that are named.
    pub secrets: BTreeSet<ObjectName>,
    /// The namespace that is worked in.
    pub namespace: String,
}

/// What was found, and what could not be.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What is not checked, and why.
    pub remarks: Vec<String>,
}

/// Looks at a cluster.
///
/// # Errors
/// If it cannot be reached, or does not know the user. What the user may not read is left out and
/// said.
pub async fn gather(cluster: &Cluster, needs: &Needs) -> Result<Gathered, Failure> {
    let mut look = Look { cluster, found: Gathered::default() };
    look.found.snapshot.now = Some(now());
    for (kind, plural) in [
        (Kind::IngressRoute, "ingressroutes"),
        (Kind::TlsCertificateDelegation, "tlscertificatedelegations"),
    ] {
        let fallback = format!("{GROUP}/namespaces/{}/{plural}", needs.namespace);
        look.everywhere(kind, &format!("{GROUP}/{plural}"), &fallback).await?;
    }
    for namespace in &needs.services {
        look.list(Kind::Service, &format!("/api/v1/namespaces/{namespace}/services")).await?;
        let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
        look.list(Kind::EndpointSlice, &slices).await?;
    }
    for namespace in &needs.secret_namespaces {
        let secrets = format!(
            "/api/v1/namespaces/{namespace}/secrets?fieldSelector=type%3Dkubernetes.io%2Ftls"
        );
        // Who may not list them may still be allowed to read the one that is named.
        if let Ok(items) = cluster.list(&secrets).await {
            look.take(Kind::Secret, &items);
        }
    }
    for name in &needs.secrets {
        look.secret(name).await?;
    }
    Ok(look.found)
}

/// The time by this machine's clock.
pub fn now() -> Timestamp {
    Timestamp::from_unix(clock::now())
}

struct Look<'c> {
    cluster: &'c Cluster,
    found: Gathered,
}

impl Look<'_> {
    async fn everywhere(&mut self, kind: Kind, all: &str, one: &str) -> Result<(), Failure> {
        match self.cluster.list(all).await {
            Ok(items) => self.take(kind, &items),
            Err(trouble) if trouble.is_forbidden() => {
                // The own namespace is better than nothing, but others may matter too.
                if let Ok(items) = self.cluster.list(one).await {
                    self.take(kind, &items);
                }
                self.miss(kind, &trouble);
            }
            Err(trouble) => self.absent(kind, &trouble)?,
        }
        Ok(())
    }

    async fn list(&mut self, kind: Kind, path: &str) -> Result<(), Failure> {
        match self.cluster.list(path).await {
            Ok(items) => self.take(kind, &items),
            Err(trouble) => self.absent(kind, &trouble)?,
        }
        Ok(())
    }

    async fn secret(&mut self, name: &ObjectName) -> Result<(), Failure> {
        if self.found.snapshot.get(&name.of(Kind::Secret)).is_some() {
            return Ok(());
        }
        let path = format!("/api/v1/namespaces/{}/secrets/{}", name.namespace, name.name);
        match self.cluster.find(&path).await {
            Ok(Some(secret)) => self.take(Kind::Secret, &[secret]),
            Ok(None) => {}
            Err(trouble) => self.absent(Kind::Secret, &trouble)?,
        }
        Ok(())
    }

    /// What is refused is unknown; a server that cannot be asked at all ends it.
    fn absent(&mut self, kind: Kind, trouble: &Trouble) -> Result<(), Failure> {
        if trouble.is_not_found() || trouble.is_forbidden() {
            self.miss(kind, trouble);
            return Ok(());
        }
        Err(trouble.failure(&format!("cannot list the {kind}s")))
    }

    fn miss(&mut self, kind: Kind, trouble: &Trouble) {
        self.found.snapshot.unknown.insert(kind);
        let remark = if trouble.is_not_found() {
            format!("the cluster does not know the kind {kind} yet: kubectl contour install")
        } else {
            format!("not checked against every {kind}: {trouble}")
        };
        if !self.found.remarks.contains(&remark) {
            self.found.remarks.push(remark);
        }
    }

    fn take(&mut self, kind: Kind, items: &[Value]) {
        for item in items {
            let manifest = manifest::read_sent(kind, &item.to_string(), Limits::default());
            let objects = manifest.documents.into_iter().filter_map(|document| document.object);
            self.found.snapshot.objects.extend(objects);
        }
    }
}
