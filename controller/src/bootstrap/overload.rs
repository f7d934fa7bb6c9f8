//! What Envoy does before memory or files run out: `docs/overload.md`.

use serde_json::{Value, json};

use crate::args::BootstrapArgs;

/// The resource monitor of Envoy's heap.
const HEAP: &str = "envoy.resource_monitors.fixed_heap";
/// The resource monitor of connections of clients.
const CONNECTIONS: &str = "envoy.resource_monitors.global_downstream_max_connections";
/// The part of a memory limit that heap may take: the rest is for stacks, code and what the
/// allocator holds back.
const HEAP_PERCENT: u64 = 90;
/// The part of the files that clients may take: the rest is for health checks, listeners, logs and
/// the controller.
const FILES_PERCENT: u64 = 75;
/// Files that a connection of a client takes: its own, and that of the upstream that answers it.
const FILES_PER_CONNECTION: u64 = 2;
/// The limit where files have none.
const CONNECTIONS_MAX: u64 = 1_000_000;
/// Fewer files than this are worth a warning.
const FILES_MIN: u64 = 8_192;

/// The limits within which Envoy stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// Bytes of heap; `None` for no limit.
    pub max_heap: Option<u64>,
    /// Connections of clients at a time; `None` for no limit.
    pub max_connections: Option<u64>,
}

impl Overload {
    /// The limits of an Envoy for whose memory no limit is known.
    pub fn local() -> Self {
        Self { max_heap: None, max_connections: open_files().map(connections) }
    }

    /// What flags ask for; what they leave open follows from the memory that Envoy may use and from
    /// the files that a process may open here.
    pub(super) fn from_args(args: &BootstrapArgs, files: Option<u64>) -> Self {
        let limit = args.memory_limit.map(|limit| limit / 100 * HEAP_PERCENT);
        let max_heap = args.overload_max_heap.or(limit);
        let max_connections = args.overload_downstream_max_conn.or_else(|| files.map(connections));
        let is_set = |limit: &u64| *limit > 0;
        Self { max_heap: max_heap.filter(is_set), max_connections: max_connections.filter(is_set) }
    }

    /// Says if files will run out before connections do, or very soon.
    pub(super) fn warning(self, files: Option<u64>) -> Option<String> {
        let files = files?;
        let enough = connections(files);
        let asked = self.max_connections.filter(|asked| *asked > enough);
        if asked.is_none() && files >= FILES_MIN {
            return None;
        }
        let wanted = asked.map_or(FILES_MIN, |asked| {
            let files = asked.saturating_mul(FILES_PER_CONNECTION);
            files.div_ceil(FILES_PERCENT).saturating_mul(100)
        });
        let of_flag = asked
            .map(|asked| format!(", fewer than the {asked} of --overload-downstream-max-conn"))
            .unwrap_or_default();
        Some(format!(
            "a process may open {files} files here (ulimit -Hn), which is enough for {enough} \
             connections of clients{of_flag}; let Envoy open {wanted} files or more"
        ))
    }

    /// The part of the bootstrap; `None` if there is no limit.
    pub(super) fn render(self) -> Option<Value> {
        const TYPES: &str = "type.googleapis.com/envoy.extensions.resource_monitors";
        let mut monitors = Vec::new();
        let mut actions = Vec::new();
        if let Some(bytes) = self.max_heap {
            monitors.push(json!({"name": HEAP, "typed_config": {
                "@type": format!("{TYPES}.fixed_heap.v3.FixedHeapConfig"),
                "max_heap_size_bytes": bytes,
            }}));
            actions.extend(heap_actions());
        }
        if let Some(connections) = self.max_connections {
            monitors.push(json!({"name": CONNECTIONS, "typed_config": {
                "@type": format!("{TYPES}.downstream_connections.v3.DownstreamConnectionsConfig"),
                "max_active_downstream_connections": connections,
            }}));
        }
        (!monitors.is_empty()).then(|| {
            json!({
                "refresh_interval": "0.25s",
                "resource_monitors": monitors,
                "actions": actions,
            })
        })
    }
}

/// What is given up first, and what last. The figures of Contour, with two more steps: idle
/// connections go before anybody is refused, and new ones once requests no longer help.
fn heap_actions() -> Vec<Value> {
    let at = |level: f64| json!([{"name": HEAP, "threshold": {"value": level}}]);
    let mut actions = vec![json!({
        "name": "envoy.overload_actions.reduce_timeouts",
        "triggers": [{"name": HEAP, "scaled": {
            "scaling_threshold": 0.85, "saturation_threshold": 0.95,
        }}],
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig",
            "timer_scale_factors": [
                {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "2s"},
                {"timer": "TRANSPORT_SOCKET_CONNECT", "min_timeout": "2s"},
            ],
        },
    })];
    actions.extend(
        [
            ("shrink_heap", 0.95),
            ("disable_http_keepalive", 0.95),
            ("stop_accepting_requests", 0.98),
            ("reject_incoming_connections", 0.99),
        ]
        .map(|(name, level)| {
            json!({"name": format!("envoy.overload_actions.{name}"), "triggers": at(level)})
        }),
    );
    actions
}

/// The connections of clients for which so many files are enough.
fn connections(files: u64) -> u64 {
    let connections = files / 100 * FILES_PERCENT / FILES_PER_CONNECTION;
    connections.clamp(1, CONNECTIONS_MAX)
}

/// The files that a process may open at most, to which Envoy raises its own limit when it starts;
/// `None` where the system does not say.
pub(super) fn open_files() -> Option<u64> {
    hard_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn hard_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_files_is_the_one_that_a_process_may_raise_its_own_to() {
        let limits = |hard: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             1                    2                    processes \n\
                 Max open files            1024                 {hard}               files     \n"
            )
        };
        assert_eq!(hard_limit(&limits("524288")), Some(524_288));
        assert_eq!(hard_limit(&limits("unlimited")), Some(u64::MAX));
        assert_eq!(hard_limit(&limits("x")), None);
        assert_eq!(hard_limit(""), None);
    }

    #[test]
    fn connections_fit_into_the_files() {
        for (files, expected) in [
            (0, 1),
            (1_024, 375),
            (8_192, 3_037),
            (65_536, 24_562),
            (1_048_576, 393_187),
            (u64::MAX, 1_000_000),
        ] {
            assert_eq!(connections(files), expected, "{files}");
        }
    }

    #[test]
    fn a_warning_says_how_many_files_are_needed() {
        let overload = |max_connections| Overload { max_heap: None, max_connections };
        let warning = |max_connections, files| overload(max_connections).warning(files);
        assert_eq!(warning(Some(24_562), Some(65_536)), None);
        assert_eq!(warning(None, Some(65_536)), None);
        assert_eq!(warning(Some(1_000_000), None), None);
        let low = warning(Some(375), Some(1_024)).unwrap();
        assert!(low.contains("1024 files") && low.contains("8192 files or more"), "{low}");
        let many = warning(Some(50_000), Some(65_536)).unwrap();
        assert!(many.contains("24562 connections of clients, fewer than the 50000"), "{many}");
        assert!(many.contains("133400 files or more"), "{many}");
    }
}
