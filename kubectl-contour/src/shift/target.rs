//! What is shifted, and where it stands: in a cluster or in files.

use std::fmt;
use std::path::{Path, PathBuf};

use contour_core::api::{IngressRoute, Timestamp};
use contour_core::name::{Kind as ObjectKind, ObjectRef};
use contour_core::observe::Report;
use contour_core::shift::Note;
use contour_core::shift::machine::{Answer, Live, Write};

use tokio::task::block_in_place;

use super::audience::Told;
use super::controller;
use super::file::{Files, Lock, LockError};
use super::kubernetes::Kubernetes;
use super::lease::{Hold, Lease};
use crate::failure::{Failure, Kind};

/// Which IngressRoute is meant, and which of its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The match of one route; unset: all that have both services.
    pub place: Option<String>,
}

impl Named {
    /// Reads `shop`, `ingressroute/shop` and `ingressroute/shop#/cart`.
    ///
    /// # Errors
    /// If it names nothing, or another kind.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let usage = |message: String| {
            Failure::new(Kind::Usage, message).with_hint(
                "name an IngressRoute: shop, ingressroute/shop or ingressroute/shop#/cart",
            )
        };
        let (object, place) = match text.split_once('#') {
            None => (text, None),
            Some((object, place)) => (object, Some(place.to_owned())),
        };
        let name = match object.split_once('/') {
            None => object,
            Some((kind, name)) => {
                let kind = kind.to_ascii_lowercase();
                let kind = kind.split('.').next().unwrap_or_default();
                if !matches!(kind, "ingressroute" | "ingressroutes" | "ir") {
                    return Err(usage(format!("{text:?}: only IngressRoutes can be shifted yet")));
                }
                name
            }
        };
        if name.is_empty() || name.contains('/') {
            return Err(usage(format!("{text:?} names no IngressRoute")));
        }
        Ok(Self { name: name.to_owned(), place })
    }
}

/// An IngressRoute as it was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the machine needs of it.
    pub live: Live,
    /// All of it.
    pub route: IngressRoute,
}

/// Where the object is, and everything that can be done to it.
pub enum Target {
    /// In a cluster.
    Kubernetes(Kubernetes),
    /// In files that a controller serves.
    Files(Local),
}

/// Files, and the controller that serves them.
pub struct Local {
    /// The files.
    pub files: Files,
    /// As they were named.
    pub path: PathBuf,
    /// Where its controller answers.
    pub controller: std::net::SocketAddr,
    /// The namespace of the object.
    pub namespace: String,
    /// Who shifts.
    pub holder: Note,
}

/// What keeps others from driving the same shift.
pub enum Guard {
    /// A Lease.
    Lease(Box<Lease>),
    /// A locked file, until the process ends.
    File(Lock),
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lease(_) => "Lease",
            Self::File(_) => "File",
        })
    }
}

/// What is heard of the controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What each replica says.
    pub reports: Vec<Report>,
    /// Why some do not.
    pub troubles: Vec<String>,
}

impl Target {
    /// The reference of an object of this name.
    pub fn object(&self, name: &str) -> ObjectRef {
        let namespace = match self {
            Self::Kubernetes(kubernetes) => kubernetes.namespace(),
            Self::Files(local) => &local.namespace,
        };
        ObjectRef::new(ObjectKind::IngressRoute, namespace, name)
    }

    /// In words: the cluster, or the files.
    pub fn place(&self) -> String {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.server().to_owned(),
            Self::Files(local) => local.path.display().to_string(),
        }
    }

    /// The time, by the clock that leases are judged by.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.now(),
            Self::Files(_) => Timestamp::from_unix(crate::cluster::clock::now()),
        }
    }

    /// Who shifts: no two clients have the same name.
    pub fn holder(&self) -> &Note {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.holder(),
            Self::Files(local) => &local.holder,
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// If it cannot be read; that there is none is an answer.
    pub async fn read(&self, object: &ObjectRef) -> Result<Option<Found>, Failure> {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.read(object).await,
            Self::Files(local) => block_in_place(|| local.read(object)),
        }
    }

    /// All that could be shifted in its namespace.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn routes(&self) -> Result<Vec<IngressRoute>, Failure> {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.routes(false).await,
            Self::Files(local) => block_in_place(|| local.routes()),
        }
    }

    /// Writes weights and state.
    pub async fn write(&self, object: &ObjectRef, write: &Write) -> Answer {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.write(object, write).await,
            Self::Files(local) => block_in_place(|| local.files.write(&object.name, write)),
        }
    }

    /// Keeps others out. `take_over`: even one who holds it.
    ///
    /// # Errors
    /// Who has it, or that nothing can be said of it.
    pub async fn hold(&self, object: &ObjectRef, take_over: bool) -> Result<Hold, Failure> {
        match self {
            Self::Kubernetes(kubernetes) => Lease::hold(kubernetes, object, take_over).await,
            Self::Files(local) => {
                let lock = block_in_place(|| local.files.lock(&object.name, &local.holder));
                let lock = lock.map_err(|error| match error {
                    LockError::Failed(failure) => failure,
                    LockError::Held(who) => {
                        let message = format!("{object} is being shifted by {who}");
                        Failure::new(Kind::Conflict, message)
                            .with_hint("its lock ends with that process")
                    }
                })?;
                // As long as the process lives; the end of time, as far as anybody waits.
                let until = Timestamp::from_unix(self.now().unix().saturating_add(1 << 32));
                Ok(Hold { guard: Guard::File(lock), until })
            }
        }
    }

    /// What controllers tell of an object.
    pub async fn hear(&self, object: &ObjectRef) -> Heard {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.hear(object).await,
            Self::Files(local) => match controller::ask(local.controller, object).await {
                Ok(report) => Heard { reports: vec![report], troubles: Vec::new() },
                Err(trouble) => Heard { reports: Vec::new(), troubles: vec![trouble] },
            },
        }
    }

    /// Tells the object's owners, where there is a place for it.
    pub async fn publish(&self, object: &ObjectRef, uid: &Note, told: &Told) {
        if let Self::Kubernetes(kubernetes) = self {
            kubernetes.publish(object, uid, told).await;
        }
    }

    /// The command that goes on with a shift.
    pub fn command(&self, verb: &str, object: &ObjectRef) -> String {
        let ObjectRef { name, .. } = object;
        match self {
            Self::Kubernetes(_) => {
                format!("kubectl contour shift {verb} {} -n {}", name.name, name.namespace)
            }
            Self::Files(local) => {
                let namespace = match &*name.namespace {
                    "default" => String::new(),
                    other => format!(" -n {other}"),
                };
                let path = local.path.display();
                format!("kubectl contour shift {verb} {} -f {path}{namespace}", name.name)
            }
        }
    }
}

impl Local {
    fn read(&self, object: &ObjectRef) -> Result<Option<Found>, Failure> {
        let Some(live) = self.files.read(&object.name)? else { return Ok(None) };
        let standing = self
            .files
            .routes()?
            .into_iter()
            .find(|standing| standing.route.metadata.object_name() == object.name);
        Ok(standing.map(|standing| Found { live, route: IngressRoute::clone(&standing.route) }))
    }

    fn routes(&self) -> Result<Vec<IngressRoute>, Failure> {
        let routes =
            self.files.routes()?.into_iter().map(|standing| IngressRoute::clone(&standing.route));
        Ok(routes.filter(|route| *route.metadata.namespace == *self.namespace).collect())
    }
}

/// Whether a path can be asked for files.
pub(super) fn exists(path: &Path) -> Result<(), Failure> {
    path.try_exists().ok().filter(|exists| *exists).map(|_exists| ()).ok_or_else(|| {
        Failure::new(Kind::Usage, format!("{} does not exist", path.display()))
            .with_hint("-f names a file or a directory of manifests")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_named_as_kubectl_users_do() {
        let named = |text: &str| Named::parse(text).map(|n| (n.name, n.place)).map_err(|f| f.kind);
        let shop = |place: Option<&str>| Ok(("shop".to_owned(), place.map(str::to_owned)));
        assert_eq!(named("shop"), shop(None));
        assert_eq!(named("ir/shop"), shop(None));
        assert_eq!(named("ingressroute.contour.heptio.com/shop#/cart"), shop(Some("/cart")));
        assert_eq!(named("shop#/a#b"), shop(Some("/a#b")));
        for bad in ["", "service/shop", "ingressroute/", "a/b/c", "#/x"] {
            assert_eq!(named(bad), Err(Kind::Usage), "{bad}");
        }
    }
}
