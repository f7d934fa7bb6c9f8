//! TCP proxies and their delegation.

use super::Context;
use super::backends::as_tcp;
use crate::budget::DEPTH_MAX;
use crate::diagnostic::Code;
use crate::ir::Destination;
use crate::lower::{IngressRoute, TcpAction};
use crate::name::{FieldPath, ObjectName};

/// The cycle that a chain closes by delegating to `target`. What led into it is left out: each of
/// the roots from which it can be reached finds the same.
pub(super) fn cycle(chain: &[ObjectName], target: &ObjectName) -> String {
    let inside = chain.iter().skip_while(|name| *name != target);
    let names: Vec<String> = inside.chain([target]).map(ToString::to_string).collect();
    names.join(" -> ")
}

impl Context<'_> {
    /// Where a root's TCP proxy sends its bytes; empty if nowhere.
    pub(super) fn tcp(&mut self, root: &IngressRoute, tcp: &TcpAction) -> Vec<Destination> {
        let field = FieldPath::of(".spec.tcpproxy").field("delegate");
        let mut chain: Vec<ObjectName> = vec![root.name.clone()];
        let mut action = tcp;
        loop {
            let owner = chain.last().unwrap_or(&root.name).clone();
            let target = match action {
                TcpAction::Services(services) => {
                    return as_tcp(self.destinations(&owner, &services.sound));
                }
                TcpAction::Delegate(target) => target,
            };
            if chain.contains(target) {
                let message =
                    format!("tcpproxy creates a delegation cycle: {}", cycle(&chain, target));
                self.report(Code::DelegationCycle, &owner, field, message);
                return Vec::new();
            }
            if chain.len() >= DEPTH_MAX {
                let message = format!("more than {DEPTH_MAX} IngressRoutes delegate in a chain");
                self.report(Code::DelegationTooDeep, &owner, field, message);
                return Vec::new();
            }
            let Some(child) = self.reader.ingressroute(target) else {
                let message = format!("IngressRoute {target} does not exist");
                self.report(Code::DelegateNotFound, &owner, field, message);
                return Vec::new();
            };
            if child.root.is_some() {
                let message = format!(
                    "root ingressroute cannot delegate to another root ingressroute: {target}"
                );
                self.report(Code::DelegateToRoot, &owner, field, message);
                return Vec::new();
            }
            self.visited.insert(target.clone());
            let Some(next) = &child.tcp else {
                let message = format!("IngressRoute {target} has no usable tcpproxy");
                self.report(Code::TcpProxyNothingDefined, &owner, field, message);
                return Vec::new();
            };
            chain.push(target.clone());
            action = next;
        }
    }
}
