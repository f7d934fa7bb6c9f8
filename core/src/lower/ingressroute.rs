//! IngressRoutes: each field checked by itself.

mod expansion;
mod route;

use std::sync::Arc;

use expansion::Asked;
pub use expansion::{Expansion, Upstream};
pub use route::{Route, RouteAction, Service, Services, TcpAction, Validation};

use crate::api::{self, Timestamp};
use crate::diagnostic::{Code, Collector, Diagnostic};
use crate::ir::{TlsProfile, TlsVersion};
use crate::name::{
    FieldPath, Fqdn, FqdnError, ObjectName, ObjectRef, is_dns_label, is_dns_subdomain,
};
use crate::options::{Limits, Options};

/// The most routes that one object may have.
const ROUTES_MAX: usize = 2000;

const CLASS_ANNOTATIONS: [&str; 3] = [
    "projectcontour.io/ingress.class",
    "contour.heptio.com/ingress.class",
    "kubernetes.io/ingress.class",
];

/// A checked IngressRoute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRoute {
    /// Identity.
    pub name: ObjectName,
    /// When it was created; decides who keeps a host that two claim.
    pub created: Option<Timestamp>,
    /// When its claim of the host came, among those without a time of creation.
    pub arrival: u64,
    /// The host, in a root.
    pub root: Option<Root>,
    /// The routes whose match could be read.
    pub routes: Vec<Route>,
    /// The TCP proxy, if any.
    pub tcp: Option<TcpAction>,
    /// What it adds to each host that has it in its tree.
    pub expansion: Expansion,
}

/// What makes an IngressRoute a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The host; `None` if it may not claim one (diagnostics say why).
    pub fqdn: Option<Fqdn>,
    /// What it asks of TLS.
    pub tls: RootTls,
}

/// What a root asks of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootTls {
    /// Plain HTTP only.
    Plain,
    /// TLS, but how cannot be made out: plain HTTP redirects, and no handshake succeeds.
    Broken,
    /// The services terminate TLS.
    Passthrough,
    /// Envoy terminates TLS.
    Terminate {
        /// The certificate.
        secret: SecretName,
        /// What the handshake demands.
        profile: TlsProfile,
    },
}

/// A Secret named by an object, with the field that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName {
    /// The Secret.
    pub name: ObjectName,
    /// The field that names it.
    pub field: FieldPath,
}

/// Whether an object is of a class that is served. Contour's rule: with no class configured,
/// objects without class and those of class `contour`.
pub fn is_of_class(metadata: &api::Metadata, options: &Options) -> bool {
    let class = metadata.annotation(&CLASS_ANNOTATIONS);
    if options.ingress_classes.is_empty() {
        class.is_none_or(|class| class == "contour")
    } else {
        class.is_some_and(|class| options.ingress_classes.iter().any(|c| &**c == class))
    }
}

pub(super) fn lower(
    object: &api::IngressRoute,
    reference: &ObjectRef,
    options: &Options,
    diagnostics: &mut Collector,
) -> IngressRoute {
    let spec = &object.spec;
    let mut context = Context {
        reference,
        namespace: &object.metadata.namespace,
        limits: options.limits,
        asked: Asked::default(),
        diagnostics,
    };
    let root = spec.virtualhost.as_ref().map(|host| context.root(host, options));
    if spec.routes.is_empty() && spec.tcpproxy.is_none() {
        let message = "has neither routes nor a tcpproxy".to_owned();
        context.report(Code::NothingDefined, FieldPath::of(".spec"), message);
    }
    if spec.routes.len() > ROUTES_MAX {
        let message = format!(
            "has {} routes; those after number {ROUTES_MAX} are not served",
            spec.routes.len()
        );
        context.report(Code::TooLarge, FieldPath::of(".spec.routes"), message);
    }
    let list = FieldPath::of(".spec.routes");
    let routes = spec.routes.iter().take(ROUTES_MAX).enumerate();
    let mut routes: Vec<Route> =
        routes.filter_map(|(index, route)| context.route(route, &list.index(index))).collect();
    routes.shrink_to_fit();
    let tcp =
        spec.tcpproxy.as_ref().and_then(|tcp| context.tcp(tcp, &FieldPath::of(".spec.tcpproxy")));
    context.report_limits();
    let name = object.metadata.object_name();
    IngressRoute {
        expansion: Expansion::of(&name, &routes),
        name,
        created: object.metadata.creation_timestamp,
        arrival: object.metadata.arrival,
        root,
        routes,
        tcp,
    }
}

struct Context<'a> {
    reference: &'a ObjectRef,
    namespace: &'a Arc<str>,
    limits: Limits,
    asked: Asked,
    diagnostics: &'a mut Collector,
}

impl Context<'_> {
    fn report(&mut self, code: Code, field: FieldPath, message: String) {
        self.diagnostics.push(Diagnostic::new(code, self.reference, field, message));
    }

    fn root(&mut self, host: &api::VirtualHost, options: &Options) -> Root {
        let field = FieldPath::of(".spec.virtualhost");
        let tls =
            host.tls.as_ref().map_or(RootTls::Plain, |tls| self.tls(tls, &field.field("tls")));
        let allowed =
            options.root_namespaces.is_empty() || options.root_namespaces.contains(self.namespace);
        if !allowed {
            let message = "root IngressRoute cannot be defined in this namespace".to_owned();
            self.report(Code::RootNamespaceNotAllowed, field.clone(), message);
        }
        let fqdn = match Fqdn::parse(&host.fqdn) {
            Ok(fqdn) => allowed.then_some(fqdn),
            Err(error) => {
                let code = match error {
                    FqdnError::Empty => Code::FqdnMissing,
                    FqdnError::Wildcard => Code::FqdnWildcard,
                    FqdnError::NotDns => Code::FqdnInvalid,
                };
                let message = match error {
                    FqdnError::Empty => "Spec.VirtualHost.Fqdn must be specified".to_owned(),
                    FqdnError::Wildcard => {
                        format!("Spec.VirtualHost.Fqdn {:?} cannot use wildcards", host.fqdn)
                    }
                    FqdnError::NotDns => format!("fqdn {:?} {error}", host.fqdn),
                };
                self.report(code, field.field("fqdn"), message);
                None
            }
        };
        Root { fqdn, tls }
    }

    fn tls(&mut self, tls: &api::Tls, field: &FieldPath) -> RootTls {
        let profile = TlsProfile { minimum_version: self.minimum_version(tls, field) };
        match (&tls.secret_name, tls.passthrough) {
            (Some(_), true) => {
                let message = "both passthrough and secretName are set".to_owned();
                self.report(Code::TlsConfigInvalid, field.clone(), message);
                RootTls::Broken
            }
            (None, false) => {
                let message = "neither passthrough nor secretName is set".to_owned();
                self.report(Code::TlsConfigInvalid, field.clone(), message);
                RootTls::Broken
            }
            (None, true) => RootTls::Passthrough,
            (Some(text), false) => match self.secret_name(text, &field.field("secretName")) {
                Ok(secret) => RootTls::Terminate { secret, profile },
                Err(message) => {
                    self.report(Code::TlsConfigInvalid, field.field("secretName"), message);
                    RootTls::Broken
                }
            },
        }
    }

    fn minimum_version(&mut self, tls: &api::Tls, field: &FieldPath) -> TlsVersion {
        let field = field.field("minimumProtocolVersion");
        match tls.minimum_protocol_version.as_deref() {
            None | Some("" | "1.2") => TlsVersion::V1_2,
            Some("1.3") => TlsVersion::V1_3,
            Some(old @ ("1.0" | "1.1")) => {
                let message = format!("TLS {old} is no longer served; the minimum is 1.2");
                self.report(Code::TlsVersionOutdated, field, message);
                TlsVersion::V1_2
            }
            Some(other) => {
                let message = format!("{other:?} is not a TLS version; the minimum is 1.2");
                self.report(Code::TlsVersionInvalid, field, message);
                TlsVersion::V1_2
            }
        }
    }

    /// `name` or `namespace/name`.
    fn secret_name(&self, text: &str, field: &FieldPath) -> Result<SecretName, String> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Arc::from(namespace), name),
            None => (Arc::clone(self.namespace), text),
        };
        if is_dns_label(&namespace) && is_dns_subdomain(name) {
            Ok(SecretName { name: ObjectName::new(namespace, name), field: field.clone() })
        } else {
            Err(format!("{text:?} is neither the name of a Secret nor namespace/name"))
        }
    }
}
