//! The checks, in the order in which they are made. docs/checks.md has a section for each.

use clap::ValueEnum;

use super::report::Judged;
use super::rules::{
    ahead, api, certificates, controller, definitions, envoy, installation, traffic,
};
use super::snapshot::Snapshot;

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Category {
    /// The API server.
    KubernetesApi,
    /// What the user may do.
    Permissions,
    /// What is there already.
    Conflicts,
    /// Where the installation goes.
    Namespace,
    /// Definitions of kinds.
    Crds,
    /// The objects of the installation.
    Installation,
    /// The certificates between controller and Envoys.
    Certificates,
    /// The controller.
    Controller,
    /// The Envoys.
    Envoy,
    /// How traffic comes in.
    DataPath,
    /// What the routes say.
    Routes,
}

impl Category {
    /// Its name, as `--category` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubernetesApi => "kubernetes-api",
            Self::Permissions => "permissions",
            Self::Conflicts => "conflicts",
            Self::Namespace => "namespace",
            Self::Crds => "crds",
            Self::Installation => "installation",
            Self::Certificates => "certificates",
            Self::Controller => "controller",
            Self::Envoy => "envoy",
            Self::DataPath => "data-path",
            Self::Routes => "routes",
        }
    }
}

/// The check on which all others depend.
pub const FIRST: &str = "api-reachable";

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Its section in docs/checks.md.
    pub anchor: &'static str,
    /// What it is about.
    pub category: Category,
    /// What is so if all is well.
    pub what: &'static str,
    /// Whether the later ones of its category make no sense if it fails.
    pub fatal: bool,
    /// Whether it may become well by itself, so that --wait waits for it.
    pub patient: bool,
    /// Finds out.
    pub judge: fn(&Snapshot) -> Judged,
}

macro_rules! checks {
    ($($category:ident { $($anchor:literal $what:literal [$($property:ident)*] $judge:path;)* })*) => {
        &[$($(
            Check {
                anchor: $anchor,
                category: Category::$category,
                what: $what,
                fatal: checks!(@has fatal $($property)*),
                patient: checks!(@has patient $($property)*),
                judge: $judge,
            },
        )*)*]
    };
    (@has fatal $($property:ident)*) => { false $(|| checks!(@fatal $property))* };
    (@has patient $($property:ident)*) => { false $(|| checks!(@patient $property))* };
    (@fatal fatal) => { true };
    (@fatal patient) => { false };
    (@patient patient) => { true };
    (@patient fatal) => { false };
}

/// Of a cluster that is to have an installation.
pub static AHEAD: &[Check] = checks! {
    KubernetesApi {
        "api-reachable" "the API server answers" [fatal patient] api::reachable;
        "kubernetes-version" "Kubernetes is new enough" [fatal] api::version;
        "clock-skew" "the clocks here and there agree" [] api::clocks;
    }
    Permissions {
        "may-install" "you may create what is installed" [] ahead::may_install;
    }
    Conflicts {
        "no-other-installation" "there is no installation in another namespace" [] ahead::alone;
        "deployment-unowned" "no Deployment contour of somebody else is in the way" [] ahead::deployment;
        "crds-unowned" "nobody else owns the definitions" [] ahead::definitions_owned;
        "stored-versions" "objects are stored in versions that are served" [] definitions::stored;
        "httpproxy" "Contour is not installed" [] ahead::contour;
    }
    Namespace {
        "pod-security" "the namespace admits the Pods" [] ahead::pod_security;
        "load-balancer" "the cluster gives addresses to Services" [] ahead::load_balancer;
    }
};

/// Of an installation.
pub static INSTALLED: &[Check] = checks! {
    KubernetesApi {
        "api-reachable" "the API server answers" [fatal patient] api::reachable;
        "kubernetes-version" "Kubernetes is new enough" [fatal] api::version;
        "clock-skew" "the clocks here and there agree" [] api::clocks;
    }
    Crds {
        "crds-exist" "the definitions exist" [fatal patient] definitions::exist;
        "crds-established" "the definitions are served" [patient] definitions::established;
        "stored-versions" "objects are stored in versions that are served" [] definitions::stored;
    }
    Installation {
        "namespace-exists" "the namespace exists" [fatal patient] installation::namespace;
        "inventory" "there is an inventory" [] installation::inventory;
        "inventory-complete" "all objects of the inventory exist" [patient] installation::complete;
    }
    Certificates {
        "certificates-exist" "the Secrets exist" [fatal patient] certificates::exist;
        "certificates-parse" "the certificates and keys can be used" [fatal] certificates::parse;
        "certificates-chain" "each side trusts the other" [] certificates::chain;
        "certificates-names" "the controller's certificate has its names" [] certificates::names;
        "certificates-expiry" "the certificates are valid for a while" [] certificates::expiry;
        "certificates-rotation" "the certificates are renewed" [] certificates::rotation;
    }
    Controller {
        "controller-ready" "the controllers are ready" [fatal patient] controller::ready;
        "controller-restarts" "the controllers do not restart" [] controller::restarts;
        "controller-leader" "one of them leads" [patient] controller::leader;
        "controller-permissions" "they may read what they need" [patient] controller::permissions;
    }
    Envoy {
        "envoy-ready" "the Envoys are ready" [patient] envoy::ready;
        "envoy-connected" "each is connected to a controller" [patient] envoy::connected;
        "envoy-rejections" "no Envoy rejects anything" [] envoy::rejections;
        "envoy-in-sync" "each has acknowledged everything" [patient] envoy::in_sync;
    }
    DataPath {
        "service-exists" "the Service envoy exists" [fatal patient] traffic::service;
        "service-endpoints" "it leads to Envoys that are ready" [patient] traffic::endpoints;
        "service-address" "it has an address" [] traffic::address;
    }
    Routes {
        "routes-valid" "every IngressRoute is valid" [] traffic::routes;
    }
};

/// The checks of either kind.
pub fn of(ahead: bool) -> &'static [Check] {
    if ahead { AHEAD } else { INSTALLED }
}
