//! What the commands have in common: the cluster, if there is one, the check, and the delivery.

use std::collections::BTreeSet;

use contour_core::api::Object;
use contour_core::diagnostic::{self, Diagnostic, Severity};
use contour_core::manifest::{self, Limits};
use contour_core::name::ObjectName;

use super::args::{DeliverArgs, DryRun};
use super::check::{Snapshot, check, has_errors};
use super::deliver::{Parcel, deliver};
use super::draft::Document;
use super::edit::{self, Edited};
use super::gather::{Gathered, Needs, gather, now};
use crate::cluster::{Cluster, ClusterFlags};
use crate::failure::{Failure, Kind, write_stderr};
use crate::output::{Manner, Palette};

/// The namespace where nobody names one.
const DEFAULT: &str = "default";

/// A command at work.
pub struct Session {
    /// The cluster; `None` if none is asked.
    pub cluster: Option<Cluster>,
    /// The namespace of the command line, of the context, or `default`.
    pub namespace: String,
    /// Whether the user named a cluster, so that it is an error if there is none.
    explicit: bool,
    /// How findings are drawn.
    palette: Palette,
    /// Whether only what matters is said.
    quiet: bool,
}

impl Session {
    /// Gets ready. Nothing is asked of the cluster yet.
    ///
    /// # Errors
    /// If the cluster that the command line names cannot be used.
    pub async fn open(
        flags: &ClusterFlags,
        delivery: &DeliverArgs,
        manner: Manner,
    ) -> Result<Self, Failure> {
        let named = flags.kubeconfig.is_some()
            || flags.context.is_some()
            || flags.cluster.is_some()
            || flags.user.is_some()
            || flags.server.is_some();
        let explicit = named || delivery.apply || delivery.dry_run == DryRun::Server;
        let mut session = Self {
            cluster: None,
            namespace: flags.namespace.clone().unwrap_or_else(|| DEFAULT.to_owned()),
            explicit,
            palette: Palette::new(manner.color.on_stderr()),
            quiet: manner.quiet,
        };
        match Cluster::connect(flags).await {
            Ok(cluster) => {
                cluster.namespace().clone_into(&mut session.namespace);
                session.cluster = Some(cluster).filter(|_| !delivery.offline);
                if delivery.offline {
                    session.remark("--offline: not checked against a cluster");
                }
            }
            Err(failure) if explicit && !delivery.offline => return Err(failure),
            Err(failure) => {
                session.remark(&format!("not checked against a cluster: {}", failure.message));
            }
        }
        Ok(session)
    }

    /// The colours of what goes to stderr.
    pub fn palette(&self) -> Palette {
        self.palette
    }

    /// Says something that is no finding.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            write_stderr(&format!("{} {text}\n", self.palette.faint("note:")));
        }
    }

    /// What the checks need to know of the cluster.
    ///
    /// # Errors
    /// If the cluster that the command line names cannot be asked.
    pub async fn snapshot(&mut self, needs: &Needs) -> Result<Snapshot, Failure> {
        let Some(cluster) = &self.cluster else { return Ok(Snapshot::offline(Some(now()))) };
        match gather(cluster, needs).await {
            Ok(Gathered { snapshot, remarks }) => {
                for remark in &remarks {
                    self.remark(remark);
                }
                Ok(snapshot)
            }
            Err(failure) if !self.explicit && failure.kind == Kind::Cluster => {
                self.remark(&format!("not checked against a cluster: {}", failure.message));
                self.cluster = None;
                Ok(Snapshot::offline(Some(now())))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Lets the user edit the documents, if that was asked for, checks them and delivers them.
    ///
    /// # Errors
    /// If there are errors in them, or they cannot be delivered.
    pub async fn finish(
        mut self,
        documents: Vec<Document>,
        flags: &DeliverArgs,
    ) -> Result<(), Failure> {
        let mut parcel = Parcel::of(documents);
        let file =
            flags.save.as_ref().map_or_else(|| "stdout".to_owned(), |p| p.display().to_string());
        let mut snapshot = self.snapshot(&self.needs(&parcel.text)).await?;
        let mut findings = Vec::new();
        let mut changed = false;
        if flags.edit {
            loop {
                match edit::edit(&parcel.text, &findings)? {
                    Edited::Empty => {
                        return Err(Failure::new(
                            Kind::Cancelled,
                            "the edit was cancelled: nothing is left",
                        ));
                    }
                    Edited::Same if has_errors(&findings) => break,
                    Edited::Same => {}
                    Edited::Changed(text) => {
                        snapshot = self.snapshot(&self.needs(&text)).await?;
                        parcel.text = text;
                        changed = true;
                    }
                }
                findings = check(&snapshot, &file, &parcel.text);
                if !has_errors(&findings) || flags.force || !edit::is_attended() {
                    break;
                }
            }
        } else {
            findings = check(&snapshot, &file, &parcel.text);
        }
        self.tell(&findings, &parcel.text);
        if has_errors(&findings) && !flags.force {
            return Err(refusal(&findings));
        }
        if changed {
            parcel = Parcel::edited(parcel.text, &parcel.documents)?;
        }
        deliver(&parcel, flags, self.cluster.as_ref()).await
    }

    /// Writes findings to stderr.
    fn tell(&self, findings: &[Diagnostic], text: &str) {
        for finding in findings {
            if self.quiet && finding.severity() != Severity::Error {
                continue;
            }
            let drawn = diagnostic::render(finding, Some(text), self.palette.style());
            write_stderr(&format!("{drawn}\n\n"));
        }
    }

    fn needs(&self, text: &str) -> Needs {
        needs(&self.namespace, text)
    }
}

fn refusal(findings: &[Diagnostic]) -> Failure {
    let errors = findings.iter().filter(|f| f.severity() == Severity::Error).count();
    let plural = if errors == 1 { "error" } else { "errors" };
    Failure::new(Kind::Findings, format!("{errors} {plural} found; nothing is written"))
        .with_hint("correct what was asked for, or go on in spite of it: --force")
}

/// What a check of these documents has to know.
pub fn needs(namespace: &str, text: &str) -> Needs {
    let mut needs = Needs { namespace: namespace.to_owned(), ..Needs::default() };
    let mut secrets = BTreeSet::new();
    for document in manifest::read("", text, Limits::default()).documents {
        let own = &document.reference.name.namespace;
        let Some(Object::IngressRoute(route)) = document.object else { continue };
        let spec = &route.spec;
        let tcp = spec.tcpproxy.iter().flat_map(|tcp| &tcp.services);
        let services: Vec<_> = spec.routes.iter().flat_map(|r| &r.services).chain(tcp).collect();
        if !services.is_empty() {
            needs.services.insert(own.to_string());
        }
        let tls =
            spec.virtualhost.as_ref().and_then(|host| host.tls.as_ref()?.secret_name.as_ref());
        let authorities = services.iter().filter_map(|s| Some(&s.validation.as_ref()?.ca_secret));
        for name in tls.into_iter().chain(authorities) {
            let (namespace, name) = name.split_once('/').unwrap_or((own, name));
            secrets.insert(ObjectName::new(namespace, name));
        }
        needs.secret_namespaces.extend(tls.map(|name| {
            name.split_once('/').map_or_else(|| own.as_ref(), |(namespace, _)| namespace).to_owned()
        }));
    }
    needs.secrets = secrets;
    needs
}
