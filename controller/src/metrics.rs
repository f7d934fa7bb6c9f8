//! Every metric, its help text and its labels, in one table; docs/metrics.md is written from it.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The media type of what [`Metrics::encode`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

macro_rules! labels {
    ($($name:ident { $($field:ident),* })*) => {
        $(
            #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub(crate) struct $name { $(pub(crate) $field: &'static str,)* }
        )*
    };
}

labels! {
    OfBuild { version }
    OfKind { kind }
    OfState { kind, state }
    OfSeverity { severity }
    OfOperation { operation }
    OfWrite { outcome }
    OfRequest { kind, request }
}

/// A resource type: `cds`, `eds`, …
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfType {
    pub(crate) r#type: &'static str,
}

/// Seconds from 50 µs to 25 s.
fn durations() -> Histogram {
    Histogram::new([
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
        0.5, 1.0, 2.5, 5.0, 10.0, 25.0,
    ])
}

struct Row {
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
}

macro_rules! metrics {
    ($($field:ident: $type:ty = $new:expr, $kind:literal $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// All metrics of a controller.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub(crate) $field: $type,)*
        }

        const TABLE: &[Row] = &[$(Row { name: $name, kind: $kind, labels: &[$($label),*], help: $help },)*];

        impl Default for Metrics {
            fn default() -> Self {
                let mut registry = Registry::default();
                $(let $field: $type = $new;)*
                // The encoder adds the suffix of counters itself.
                $(registry.register($name.trim_end_matches("_total"), $help, $field.clone());)*
                Self { registry, $($field,)* }
            }
        }
    };
}

metrics! {
    build_info: Family<OfBuild, Gauge> = Family::default(), "gauge" "contour_build_info" ["version"]
        "Always 1; the label says which version is running";
    in_sync: Gauge = Gauge::default(), "gauge" "contour_in_sync" []
        "Whether everything that the source held at start is in force; nothing is served before";
    revision: Gauge = Gauge::default(), "gauge" "contour_revision" []
        "Revision of the configuration, counted from the start of the process";
    objects: Family<OfKind, Gauge> = Family::default(), "gauge" "contour_objects" ["kind"]
        "Objects known, by kind";
    object_states: Family<OfState, Gauge> = Family::default(), "gauge" "contour_object_states" ["kind", "state"]
        "Objects that have a status, by kind and state: valid, invalid or orphaned";
    diagnostics: Family<OfSeverity, Gauge> = Family::default(), "gauge" "contour_diagnostics" ["severity"]
        "Findings that stand at present, by severity: error, warning or info";
    source_problems: Gauge = Gauge::default(), "gauge" "contour_source_problems" []
        "Findings about files of the source, of which the last good form stays in force";
    source_unread: Gauge = Gauge::default(), "gauge" "contour_source_unread" []
        "Files, or kinds and objects of the API server, that have not been read since the start; Envoys keep what they have of them for the time of --unread-hold";
    removals_held: Gauge = Gauge::default(), "gauge" "contour_removals_held" []
        "Objects whose removal is held back, because a large share of all hosts would be gone at once";
    resources: Family<OfType, Gauge> = Family::default(), "gauge" "contour_resources" ["type"]
        "Resources in force for Envoys, by xDS type";
    rejected_resources: Gauge = Gauge::default(), "gauge" "contour_rejected_resources" []
        "Resources whose newest version an Envoy has rejected; the last good version serves";
    changes: Family<OfOperation, Counter> = Family::default(), "counter" "contour_changes_total" ["operation"]
        "Changes of objects, by operation: apply, delete or undecodable";
    units: Counter = Counter::default(), "counter" "contour_units_total" []
        "Units of translation computed, which is the work that changes cost";
    apply_duration: Histogram = durations(), "histogram" "contour_apply_duration_seconds" []
        "Time from taking up changes to having published what they led to";
    panics: Counter = Counter::default(), "counter" "contour_translation_panics_total" []
        "Objects whose translation failed by a defect of the controller";
    envoys: Gauge = Gauge::default(), "gauge" "contour_envoys" []
        "Envoys connected";
    refused_envoys: Counter = Counter::default(), "counter" "contour_envoys_refused_total" []
        "Envoys that were refused because they are too old";
    acknowledgement_duration: Histogram = durations(), "histogram" "contour_acknowledgement_duration_seconds" []
        "Time from publishing a revision to an Envoy having acknowledged all of it";
    rejections: Family<OfType, Counter> = Family::default(), "counter" "contour_rejections_total" ["type"]
        "Resources rejected by Envoys, by xDS type";
    missed_events: Counter = Counter::default(), "counter" "contour_missed_events_total" []
        "Reports about Envoys that were dropped because they came faster than they were read";
    kubernetes_requests: Family<OfRequest, Counter> = Family::default(), "counter" "contour_kubernetes_requests_total" ["kind", "request"]
        "Requests by which objects are read, by kind and request: list, watch, or failure for those of them that failed";
    watching: Family<OfKind, Gauge> = Family::default(), "gauge" "contour_kubernetes_watching" ["kind"]
        "Whether objects of a kind are being watched everywhere they should be; if not, what was last known of them stays in force";
    unreadable_objects: Counter = Counter::default(), "counter" "contour_kubernetes_unreadable_objects_total" []
        "Objects of which not even the name could be read";
    healed_objects: Counter = Counter::default(), "counter" "contour_kubernetes_healed_objects_total" []
        "Objects that a comparison with the API server found to differ although no event had said so";
    leader: Gauge = Gauge::default(), "gauge" "contour_leader" []
        "Whether this replica leads and writes status";
    status_writes: Family<OfWrite, Counter> = Family::default(), "counter" "contour_status_writes_total" ["outcome"]
        "Writes of objects' statuses, by outcome: written, conflict, forbidden, failed, gone or invalid";
    status_unchanged: Counter = Counter::default(), "counter" "contour_status_unchanged_total" []
        "Statuses that were not written because the object has them already";
    status_waiting: Gauge = Gauge::default(), "gauge" "contour_status_waiting" []
        "Objects whose status waits to be written";
    status_duration: Histogram = durations(), "histogram" "contour_status_write_duration_seconds" []
        "Time that the API server takes to write a status";
    events: Family<OfWrite, Counter> = Family::default(), "counter" "contour_events_total" ["outcome"]
        "Kubernetes Events for owners of objects, by outcome: written, failed or dropped";
    deadman: Family<OfWrite, Counter> = Family::default(), "counter" "contour_shift_deadman_total" ["outcome"]
        "Shifts taken over from a client that was gone, by outcome: back, paused, held, incomplete, left, or moot if the client was back or the route gone";
    process_cpu: Counter<f64, AtomicU64> = Counter::default(), "counter" "process_cpu_seconds_total" []
        "Processor time used by the process, user and system, in seconds";
    process_memory: Gauge = Gauge::default(), "gauge" "process_resident_memory_bytes" []
        "Memory of the process that is resident, in bytes";
}

impl Metrics {
    /// Everything as text, in the `OpenMetrics` format that Prometheus reads.
    pub fn encode(&self) -> String {
        self.observe_process();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _unused = encode(&mut text, &self.registry);
        text
    }

    /// Reads what Linux knows of the process; elsewhere the metrics stay 0.
    fn observe_process(&self) {
        if let Ok(status) = std::fs::read_to_string("/proc/self/status")
            && let Some(kilobytes) = resident(&status)
        {
            self.process_memory.set(kilobytes.saturating_mul(1024));
        }
        if let Ok(stat) = std::fs::read_to_string("/proc/self/stat")
            && let Some(ticks) = processor_ticks(&stat)
        {
            let more = ticks - self.process_cpu.get();
            if more > 0.0 {
                self.process_cpu.inc_by(more);
            }
        }
    }
}

fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Seconds of user and system time. The name of the program, in parentheses, may contain blanks.
/// Linux counts in hundredths of a second for user space on all architectures we build for.
fn processor_ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / 100.0)
}

/// docs/metrics.md.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Metrics of `contour serve`\n\n\
         Served at `/metrics` of `--http-address`:`--http-port` in the OpenMetrics text format. \
         Written from the table in `controller/src/metrics.rs`; \
         `CONTOUR_UPDATE_DOCS=1 cargo test -p contour docs` writes it again.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for row in TABLE {
        let labels: Vec<_> = row.labels.iter().map(|l| format!("`{l}`")).collect();
        // Writing to a String cannot fail.
        let _unused = writeln!(
            out,
            "| `{}` | {} | {} | {}. |",
            row.name,
            row.kind,
            labels.join(", "),
            row.help
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_what_the_table_says() {
        let metrics = Metrics::default();
        metrics.build_info.get_or_create(&OfBuild { version: "1" }).set(1);
        let text = metrics.encode();
        assert!(text.contains("contour_build_info{version=\"1\"} 1"), "{text}");
        assert!(text.contains("\ncontour_units_total 0"), "{text}");
        assert!(text.ends_with("# EOF\n"));
        for row in TABLE {
            let name = row.name.trim_end_matches("_total");
            assert!(!row.help.ends_with('.'), "{name}: the encoder adds the full stop");
            // Families without members yet are not encoded.
            if row.labels.is_empty() {
                let line = format!("# TYPE {name} {}\n", row.kind);
                assert!(text.contains(&line), "{line}");
            }
        }
    }

    #[test]
    fn the_process_uses_memory_and_time() {
        let metrics = Metrics::default();
        let _text = metrics.encode();
        assert!(metrics.process_memory.get() > 100_000);
        assert_eq!(processor_ticks("1 (a) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20"), Some(2.0));
    }
}
