//! `contour certgen`: makes the certificates by which controller and Envoys know each other.
//!
//! An authority is made, signs one certificate for the controller and one for Envoys, and its key
//! is forgotten: nobody can sign another one. To rotate, all of them are made anew. What is
//! overwritten is read first, and its authority stays in the new bundle, so that a side that has
//! the new files still accepts the other one with its old certificate.

mod cluster;
mod files;
mod layout;
mod make;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::config::Access;
use crate::exit::Exit;
use layout::Layout;

/// Days before the end of a kept certificate from which on that is warned of.
const WARN_DAYS: i64 = 30;

/// Flags of `contour certgen`, named as Contour names them.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct CertgenArgs {
    /// Directory of the files that --pem and --yaml write.
    #[arg(value_name = "OUTPUTDIR", default_value = "certs")]
    pub output: PathBuf,

    /// Write Secrets into the cluster.
    #[arg(long)]
    pub kube: bool,
    /// Write a manifest for each Secret into OUTPUTDIR.
    #[arg(long)]
    pub yaml: bool,
    /// Write a PEM file for each certificate and key into OUTPUTDIR.
    #[arg(long)]
    pub pem: bool,
    /// Replace what exists already; the authority in it stays trusted beside the new one.
    #[arg(long)]
    pub overwrite: bool,

    /// With --overwrite: how long the new authority is in the Secrets, trusted beside the old one,
    /// before certificates of it follow. Longer than kubelet takes to bring Secrets to Pods, no side
    /// ever meets a certificate that it does not know yet.
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration,
          requires_all = ["overwrite", "kube"])]
    pub settle: Option<Duration>,

    /// Namespace of the controller, of its Secrets and of the names in its certificate.
    #[arg(long, value_name = "NS", env = "CONTOUR_NAMESPACE", default_value = "projectcontour")]
    pub namespace: String,
    /// Days for which the certificates are valid.
    #[arg(long, value_name = "DAYS", default_value_t = 365,
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub certificate_lifetime: u32,
    /// Where the authority's certificate is kept.
    #[arg(long, value_enum, default_value_t = SecretsFormat::Legacy)]
    pub secrets_format: SecretsFormat,
    /// Text to append to the names of the Secrets.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub secrets_name_suffix: String,

    /// Find the cluster by the service account of the pod.
    #[arg(long)]
    pub incluster: bool,
    /// Find the cluster by this file; without it by $KUBECONFIG, then ~/.kube/config.
    #[arg(long, value_name = "FILE", conflicts_with = "incluster")]
    pub kubeconfig: Option<PathBuf>,
}

/// Where the authority's certificate is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecretsFormat {
    /// In a Secret of its own, cacert, as cacert.pem.
    Legacy,
    /// In both Secrets, as ca.crt, the form of cert-manager.
    Compact,
}

/// Why no certificates were made.
#[derive(Debug, thiserror::Error)]
pub enum CertgenError {
    /// Nothing says where to.
    #[error("nothing says where certificates go: add --kube, --yaml or --pem")]
    Nowhere,
    /// A part of names that makes none.
    #[error(
        "{flag} {text:?} makes no name: use up to 63 lower case letters, digits and hyphens, and no hyphen at the ends"
    )]
    Name {
        /// The flag.
        flag: &'static str,
        /// What it says.
        text: String,
    },
    /// A part exists and a part does not.
    #[error(
        "{present} exists, but {absent} does not, and nobody can sign what would match: add --overwrite to make all of them anew"
    )]
    Incomplete {
        /// One that exists.
        present: String,
        /// One that does not.
        absent: String,
        /// How the process ends for it.
        exit: Exit,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The cluster cannot be found, reached, or refuses.
    #[error(transparent)]
    Cluster(#[from] cluster::ClusterError),
    /// The certificates cannot be made or written down.
    #[error("cannot make the certificates: {0}")]
    Make(String),
}

impl CertgenError {
    /// How the process ends for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Nowhere | Self::Name { .. } => Exit::Usage,
            Self::Incomplete { exit, .. } => *exit,
            Self::File { .. } => Exit::Unreadable,
            Self::Cluster(_) => Exit::Kubernetes,
            Self::Make(_) => Exit::Failed,
        }
    }
}

/// A file or Secret as it was found.
struct Found {
    /// What messages call it.
    name: String,
    state: State,
    /// How the process ends if it does not go with the others.
    exit: Exit,
}

enum State {
    Absent,
    /// With the certificates in it, as PEM.
    Present(Vec<String>),
    /// We may not look.
    Hidden,
}

/// What is to be done.
enum Plan {
    Keep,
    /// With the authorities that stay trusted, as PEM.
    Write(Vec<String>),
}

/// `contour certgen`.
///
/// # Errors
/// What went wrong, and what to do about it.
pub fn run(args: CertgenArgs) -> Result<(), CertgenError> {
    if !(args.kube || args.yaml || args.pem) {
        return Err(CertgenError::Nowhere);
    }
    let layout = Layout::new(&args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CertgenError::Make(error.to_string()))?;
    runtime.block_on(generate(args, layout))
}

async fn generate(args: CertgenArgs, layout: Layout) -> Result<(), CertgenError> {
    let secrets = match access(&args) {
        Some(access) => Some(cluster::Secrets::connect(access, &args.namespace).await?),
        None => None,
    };
    let mut found = Vec::new();
    if let Some(secrets) = &secrets {
        for name in layout.names() {
            found.push(secrets.find(&name).await?);
        }
    }
    if args.yaml {
        found.extend(files::find_manifests(&args.output, &layout)?);
    }
    if args.pem {
        found.extend(files::find_pem(&args.output)?);
    }
    let now = now();
    let previous = match plan(&found, args.overwrite, now)? {
        Plan::Keep => return Ok(()),
        Plan::Write(previous) => previous,
    };
    let made = make::certificates(&args.namespace, (now, args.certificate_lifetime), &previous)
        .map_err(|error| CertgenError::Make(error.to_string()))?;
    let wanted = layout.secrets(&made);
    if let Some(secrets) = &secrets {
        if let Some(settle) = args.settle.filter(|_| !previous.is_empty()) {
            secrets.announce(&wanted).await?;
            tracing::info!(
                "the new authority is trusted from now on; in {settle:?} its certificates follow"
            );
            tokio::time::sleep(settle).await;
        }
        if !secrets.write(&wanted, args.overwrite).await? {
            return Ok(());
        }
    }
    if args.yaml {
        files::write_manifests(&args.output, &wanted, args.overwrite)?;
    }
    if args.pem {
        files::write_pem(&args.output, &made, args.overwrite)?;
    }
    if !previous.is_empty() {
        tracing::info!(
            "the authority before this one stays trusted until the certificates are made anew again"
        );
    }
    Ok(())
}

fn access(args: &CertgenArgs) -> Option<Access> {
    args.kube.then(|| match &args.kubeconfig {
        Some(file) => Access::Kubeconfig(file.clone()),
        None if args.incluster => Access::InCluster,
        None => Access::Inferred,
    })
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Certificates that match come from one authority, so it is all of them or none.
fn plan(found: &[Found], overwrite: bool, now: i64) -> Result<Plan, CertgenError> {
    let present: Vec<_> = found
        .iter()
        .filter_map(|f| match &f.state {
            State::Present(texts) => Some((&f.name, texts)),
            State::Absent | State::Hidden => None,
        })
        .collect();
    if overwrite {
        if let Some(hidden) = found.iter().find(|f| matches!(f.state, State::Hidden)) {
            tracing::warn!(
                "{} may be written but not read (grant the verb get): the authority in it does not stay trusted, so controller and Envoys cannot connect anew until both have the new certificates",
                hidden.name
            );
        }
        let texts = present.iter().flat_map(|(_, texts)| texts.iter().map(String::as_str));
        return Ok(Plan::Write(make::authorities_in_use(texts, now)));
    }
    let Some((first, _)) = present.first() else {
        return Ok(Plan::Write(Vec::new()));
    };
    if let Some(absent) = found.iter().find(|f| matches!(f.state, State::Absent)) {
        return Err(CertgenError::Incomplete {
            present: (*first).clone(),
            absent: absent.name.clone(),
            exit: absent.exit,
        });
    }
    for (name, texts) in present {
        tell_kept(name, texts, now);
    }
    Ok(Plan::Keep)
}

fn tell_kept(name: &str, texts: &[String], now: i64) {
    let Some(end) = make::earliest_end(texts.iter().map(String::as_str)) else {
        tracing::info!("{name} exists and is kept");
        return;
    };
    let days = (end - now).div_euclid(24 * 3600);
    if end <= now {
        tracing::warn!("{name} exists and is kept, but has expired: add --overwrite to renew it");
    } else if days < WARN_DAYS {
        tracing::warn!(
            "{name} exists and is kept, but expires in {days} days: add --overwrite to renew it"
        );
    } else {
        tracing::info!("{name} exists and is kept; it is valid for {days} days more");
    }
}
