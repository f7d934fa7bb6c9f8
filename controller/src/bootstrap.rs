//! Writes the configuration with which an Envoy finds the controller.

mod overload;

use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::args::{ArgsError, BootstrapArgs, DnsFamily, tls_files};
use crate::config::TlsFiles;
use crate::exit::Exit;

pub use overload::Overload;

/// The cluster behind which Envoy finds the controller.
const XDS_CLUSTER: &str = "contour";

/// The cluster behind which Envoy's stats listener finds Envoy's own administration; the
/// translation names it in that listener.
const ADMIN_CLUSTER: &str = "envoy-admin";

/// The name that the controller's certificate carries.
const SERVER_NAME: &str = "contour";

/// Where Envoy's administration listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Admin {
    /// A unix socket, readable by Envoy's user alone.
    Socket(PathBuf),
    /// An IP address and a port.
    Address(IpAddr, u16),
}

impl Admin {
    /// What `--admin-address` and `--admin-port` name.
    ///
    /// # Errors
    /// If an IP address comes without a port.
    pub(crate) fn at(address: &str, port: Option<u16>) -> Result<Self, ArgsError> {
        match (address.parse::<IpAddr>(), port) {
            (Ok(address), Some(port)) => Ok(Self::Address(address, port)),
            (Ok(address), None) => Err(ArgsError::AdminPortMissing(address)),
            (Err(_), _) => Ok(Self::Socket(address.into())),
        }
    }

    /// Reads what [`fmt::Display`] writes.
    pub(crate) fn parse(text: &str) -> Self {
        match text.parse::<SocketAddr>() {
            Ok(address) => Self::Address(address.ip(), address.port()),
            Err(_) => Self::Socket(text.into()),
        }
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Address(address, port) => SocketAddr::new(*address, *port).fmt(f),
        }
    }
}

/// What an Envoy needs to know at its start.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Envoy's administration.
    pub admin: Admin,
    /// Host name or IP address of the controller.
    pub xds_address: String,
    /// Port of the controller.
    pub xds_port: u16,
    /// Certificates for mutual TLS with the controller; `None` for plaintext.
    pub tls: Option<TlsFiles>,
    /// Where files that point to the certificates are written, so that Envoy reloads them.
    pub resources: Option<PathBuf>,
    /// Node id, unless Envoy is told by `--service-node`.
    pub node_id: Option<String>,
    /// Cluster name, unless Envoy is told by `--service-cluster`.
    pub node_cluster: Option<String>,
    /// Namespace of the controller, told to it in the node's metadata.
    pub namespace: String,
    /// How the controller's host name is resolved.
    pub dns: DnsFamily,
    /// The limits within which Envoy stays.
    pub overload: Overload,
}

impl Bootstrap {
    /// A bootstrap for an Envoy on the same machine as a controller without TLS.
    pub fn local(admin: Admin, xds_port: u16, node_id: &str) -> Self {
        Self {
            admin,
            xds_address: "127.0.0.1".to_owned(),
            xds_port,
            tls: None,
            resources: None,
            node_id: Some(node_id.to_owned()),
            node_cluster: Some("local".to_owned()),
            namespace: "default".to_owned(),
            dns: DnsFamily::Auto,
            overload: Overload::local(),
        }
    }

    /// Checks flags against each other.
    ///
    /// # Errors
    /// Says which flag to change.
    pub fn from_args(args: BootstrapArgs) -> Result<Self, ArgsError> {
        let overload = Overload::from_args(&args, overload::open_files());
        let tls = if args.insecure {
            None
        } else {
            let flags = [
                ("--envoy-cafile", args.envoy_cafile),
                ("--envoy-cert-file", args.envoy_cert_file),
                ("--envoy-key-file", args.envoy_key_file),
            ];
            let files = tls_files(flags, "Envoy")?;
            Some(TlsFiles {
                ca: absolute(files.ca),
                certificate: absolute(files.certificate),
                key: absolute(files.key),
            })
        };
        let admin = Admin::at(&args.admin_address, args.admin_port)?;
        Ok(Self {
            admin,
            xds_address: args.xds_address,
            xds_port: args.xds_port,
            tls,
            resources: args.resources_dir.map(absolute),
            node_id: args.node_id,
            node_cluster: args.node_cluster,
            namespace: args.namespace,
            dns: args.dns_lookup_family,
            overload,
        })
    }

    /// The configuration as Envoy reads it, and the further files that it refers to.
    pub fn render(&self) -> Rendered {
        let mut files = Vec::new();
        let mut config = json!({
            "node": self.node(),
            "admin": {
                "access_log": [],
                "address": self.admin_address(),
            },
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "transport_api_version": "V3",
                    "set_node_on_first_message_only": true,
                    "grpc_services": [{"envoy_grpc": {
                        "cluster_name": XDS_CLUSTER,
                        "authority": XDS_CLUSTER,
                        // Envoy waits longer after each stream that ended without a response, by
                        // default up to 30 s. A controller that comes back has nothing to send.
                        "retry_policy": {"retry_back_off": {
                            "base_interval": "0.5s",
                            "max_interval": "3s",
                        }},
                    }}],
                },
                "lds_config": {"ads": {}, "resource_api_version": "V3"},
                "cds_config": {"ads": {}, "resource_api_version": "V3"},
            },
            "static_resources": {"clusters": [self.xds_cluster(&mut files), self.admin_cluster()]},
            // No admin layer: whoever reaches the administration cannot change behaviour at run time.
            "layered_runtime": {"layers": [{
                "name": "static",
                "static_layer": {
                    "re2.max_program_size.error_level": 1_048_576,
                    "re2.max_program_size.warn_level": 1_000,
                },
            }]},
            "stats_config": stats_config(),
            // Stats of a cluster without traffic cost Envoy some 20 kB each.
            "deferred_stat_options": {"enable_deferred_creation_stats": true},
        });
        if let (Some(overload), Some(config)) = (self.overload.render(), config.as_object_mut()) {
            config.insert("overload_manager".to_owned(), overload);
        }
        Rendered { config, files }
    }

    fn node(&self) -> Value {
        let mut node = Map::new();
        if let Some(id) = &self.node_id {
            node.insert("id".to_owned(), json!(id));
        }
        if let Some(cluster) = &self.node_cluster {
            node.insert("cluster".to_owned(), json!(cluster));
        }
        // A controller on the same machine asks for statistics there.
        let contour = json!({"namespace": self.namespace, "admin": self.admin.to_string()});
        node.insert("metadata".to_owned(), json!({"contour": contour}));
        Value::Object(node)
    }

    fn admin_address(&self) -> Value {
        match &self.admin {
            // Mode 0600: it can shut Envoy down.
            Admin::Socket(path) => json!({"pipe": {"path": path, "mode": 0o600}}),
            Admin::Address(address, port) => socket_address(&address.to_string(), *port),
        }
    }

    fn admin_cluster(&self) -> Value {
        json!({
            "name": ADMIN_CLUSTER,
            "type": "STATIC",
            "connect_timeout": "0.25s",
            "load_assignment": load_assignment(ADMIN_CLUSTER, &match &self.admin {
                Admin::Socket(path) => json!({"pipe": {"path": path}}),
                Admin::Address(address, port) => socket_address(&address.to_string(), *port),
            }),
        })
    }

    fn xds_cluster(&self, files: &mut Vec<(PathBuf, Value)>) -> Value {
        let literal = self.xds_address.parse::<IpAddr>().is_ok();
        let mut cluster = json!({
            "name": XDS_CLUSTER,
            "type": if literal { "STATIC" } else { "STRICT_DNS" },
            "connect_timeout": "5s",
            "load_assignment":
                load_assignment(XDS_CLUSTER, &socket_address(&self.xds_address, self.xds_port)),
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {
                        // Finds a controller that vanished without closing the connection.
                        "connection_keepalive": {"interval": "30s", "timeout": "5s"},
                    }},
                },
            },
            "upstream_connection_options": {"tcp_keepalive": {
                "keepalive_probes": 3, "keepalive_time": 30, "keepalive_interval": 5,
            }},
            "circuit_breakers": {"thresholds": [
                {"priority": "DEFAULT", "max_connections": 100_000, "max_pending_requests": 100_000,
                 "max_requests": 60_000_000, "max_retries": 50},
                {"priority": "HIGH", "max_connections": 100_000, "max_pending_requests": 100_000,
                 "max_requests": 60_000_000, "max_retries": 50},
            ]},
        });
        let Some(object) = cluster.as_object_mut() else {
            return cluster;
        };
        if !literal {
            let family = match self.dns {
                DnsFamily::Auto => "AUTO",
                DnsFamily::V4 => "V4_ONLY",
                DnsFamily::V6 => "V6_ONLY",
                DnsFamily::All => "ALL",
            };
            object.insert("dns_lookup_family".to_owned(), json!(family));
        }
        if let Some(tls) = &self.tls {
            object.insert("transport_socket".to_owned(), self.transport_socket(tls, files));
        }
        cluster
    }

    fn transport_socket(&self, tls: &TlsFiles, files: &mut Vec<(PathBuf, Value)>) -> Value {
        let certificate = json!({
            "certificate_chain": {"filename": tls.certificate},
            "private_key": {"filename": tls.key},
        });
        let validation = json!({
            "trusted_ca": {"filename": tls.ca},
            "match_typed_subject_alt_names": [
                {"san_type": "DNS", "matcher": {"exact": SERVER_NAME}},
            ],
        });
        let mut common = json!({
            // As a client, Envoy would stop at 1.2.
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
        });
        if let Some(common) = common.as_object_mut() {
            if let Some(directory) = &self.resources {
                let (reference, file) = secret(
                    directory,
                    ("contour_xds_tls_certificate", "xds-tls-certificate.json"),
                    ("tls_certificate", certificate, &tls.certificate),
                );
                common.insert("tls_certificate_sds_secret_configs".to_owned(), json!([reference]));
                files.push(file);
                let (reference, file) = secret(
                    directory,
                    ("contour_xds_tls_validation_context", "xds-validation-context.json"),
                    ("validation_context", validation, &tls.ca),
                );
                common.insert("validation_context_sds_secret_config".to_owned(), reference);
                files.push(file);
            } else {
                common.insert("tls_certificates".to_owned(), json!([certificate]));
                common.insert("validation_context".to_owned(), validation);
            }
        }
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": common,
                "sni": SERVER_NAME,
            },
        })
    }
}

/// Envoy may be started elsewhere, and refuses to watch a file without a directory.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Leaves out the stats that exist once for each host: with 10,000 hosts they would be most of
/// Envoy's memory. Those of HTTP, clusters, listeners and the server stay.
fn stats_config() -> Value {
    json!({
        "stats_matcher": {"exclusion_list": {"patterns": [
            // One subscription for each RouteConfiguration and for each scope.
            {"safe_regex": {"regex": r"http\.[^.]+\.rds\..+"}},
            // One subscription and one expiry date for each certificate.
            {"prefix": "sds."},
            {"safe_regex": {"regex": r"listener\..+\.ssl\.certificate\..+"}},
            {"safe_regex": {"regex": r"cluster\..+\.ssl\.certificate\..+"}},
        ]}},
    })
}

fn socket_address(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

fn load_assignment(cluster: &str, address: &Value) -> Value {
    json!({
        "cluster_name": cluster,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    })
}

/// A secret in a file of its own, and the reference to it. `content` is the kind, the value, and
/// one of the files that it points to: Envoy watches that one's directory, since Kubernetes
/// replaces mounted secrets by renaming a link in it.
fn secret(
    directory: &Path,
    (name, file): (&str, &str),
    content: (&str, Value, &Path),
) -> (Value, (PathBuf, Value)) {
    let (kind, mut value, watched) = content;
    if let (Some(value), Some(parent)) = (value.as_object_mut(), watched.parent())
        && !parent.as_os_str().is_empty()
    {
        value.insert("watched_directory".to_owned(), json!({"path": parent}));
    }
    let path = directory.join("sds").join(file);
    let reference = json!({
        "name": name,
        "sds_config": {"path_config_source": {"path": path}, "resource_api_version": "V3"},
    });
    let resource = json!({"resources": [{
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        kind: value,
    }]});
    (reference, (path, resource))
}

/// A bootstrap as Envoy reads it.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The bootstrap itself.
    pub config: Value,
    /// Further files, each with its path.
    pub files: Vec<(PathBuf, Value)>,
}

/// Why a bootstrap could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The flags do not go together.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// A file could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl BootstrapError {
    /// How the process ends for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Args(error) => error.exit(),
            Self::Write { .. } => Exit::Unreadable,
        }
    }
}

/// `contour bootstrap`.
///
/// # Errors
/// If the flags do not go together or a file cannot be written.
pub fn run(args: BootstrapArgs) -> Result<(), BootstrapError> {
    let path = args.path.clone();
    let bootstrap = Bootstrap::from_args(args)?;
    if let Some(warning) = bootstrap.overload.warning(overload::open_files()) {
        // What cannot be said is no reason to write nothing.
        drop(writeln!(std::io::stderr(), "warning: {warning}"));
    }
    let rendered = bootstrap.render();
    for (path, value) in &rendered.files {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|source| BootstrapError::Write { path: parent.to_path_buf(), source })?;
        }
        write(path, value)?;
    }
    write(&path, &rendered.config)
}

fn write(path: &Path, value: &Value) -> Result<(), BootstrapError> {
    let text = format!("{value:#}\n");
    let outcome = if path.as_os_str() == "-" {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        std::fs::write(path, text)
    };
    outcome.map_err(|source| BootstrapError::Write { path: path.to_path_buf(), source })
}
