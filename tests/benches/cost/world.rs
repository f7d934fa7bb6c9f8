//! A directory with a file for each host.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use contour_tests::certificates::{Authority, Pair};

/// A directory of manifests.
pub(crate) struct World {
    pub(crate) directory: PathBuf,
    pub(crate) is_tls: bool,
    backend: SocketAddr,
    certificate: Pair,
}

impl World {
    /// Writes `hosts` hosts.
    pub(crate) fn write(
        directory: &Path,
        hosts: usize,
        is_tls: bool,
        backend: SocketAddr,
    ) -> Result<Self> {
        let certificate = Authority::new("bench").leaf(&["*.example.com"]);
        let world = Self { directory: directory.to_owned(), is_tls, backend, certificate };
        for host in 0..hosts {
            world.put(&format!("route-{host}.yaml"), &world.route(host, 0))?;
            world.put(&format!("service-{host}.yaml"), &Self::service(host))?;
            world.put(&format!("slice-{host}.yaml"), &world.slice(host, 1))?;
            if is_tls {
                world.put(&format!("secret-{host}.yaml"), &world.secret(host))?;
            }
        }
        Ok(world)
    }

    pub(crate) fn fqdn(host: usize) -> String {
        format!("host-{host}.example.com")
    }

    /// Changes where a host's requests are rewritten to.
    pub(crate) fn change_route(&self, host: usize, generation: usize) -> Result<()> {
        self.put(&format!("route-{host}.yaml"), &self.route(host, generation))
    }

    /// Changes the number of a host's endpoints.
    pub(crate) fn change_endpoints(&self, host: usize, count: usize) -> Result<()> {
        self.put(&format!("slice-{host}.yaml"), &self.slice(host, count))
    }

    /// Adds a host, all of it at once.
    pub(crate) fn add(&self, host: usize) -> Result<()> {
        let mut text = format!(
            "{}---\n{}---\n{}",
            Self::service(host),
            self.slice(host, 1),
            self.route(host, 0)
        );
        if self.is_tls {
            text = format!("{text}---\n{}", self.secret(host));
        }
        self.put(&format!("added-{host}.yaml"), &text)
    }

    /// Replaces a file by a rename, as careful tools do.
    fn put(&self, name: &str, text: &str) -> Result<()> {
        let hidden = self.directory.join(format!(".{name}.new"));
        fs::write(&hidden, text)?;
        fs::rename(hidden, self.directory.join(name))?;
        Ok(())
    }

    fn route(&self, host: usize, generation: usize) -> String {
        let tls = if self.is_tls {
            format!("\n    tls: {{secretName: tls-{host}}}")
        } else {
            String::new()
        };
        format!(
            "apiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\nmetadata: {{name: route-{host}, namespace: bench}}\n\
             spec:\n  virtualhost:\n    fqdn: {}{tls}\n  routes:\n  - match: /\n    prefixRewrite: /generation-{generation}/\n    \
             services: [{{name: service-{host}, port: 80}}]\n",
            Self::fqdn(host)
        )
    }

    fn service(host: usize) -> String {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: service-{host}, namespace: bench}}\n\
             spec: {{ports: [{{name: http, port: 80}}]}}\n"
        )
    }

    fn slice(&self, host: usize, count: usize) -> String {
        let addresses: Vec<String> =
            (0..count).map(|n| format!("{{addresses: [\"127.0.0.{}\"]}}", n + 1)).collect();
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: slice-{host}, namespace: bench, \
             labels: {{kubernetes.io/service-name: service-{host}}}}}\naddressType: IPv4\n\
             ports: [{{name: http, port: {}}}]\nendpoints: [{}]\n",
            self.backend.port(),
            addresses.join(", ")
        )
    }

    fn secret(&self, host: usize) -> String {
        let indent = |pem: &str| format!("    {}\n", pem.trim_end().replace('\n', "\n    "));
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: tls-{host}, namespace: bench}}\ntype: kubernetes.io/tls\n\
             stringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
            indent(&self.certificate.certificate),
            indent(&self.certificate.key)
        )
    }
}
