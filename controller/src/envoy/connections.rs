//! How many connections of clients an Envoy holds, by its statistics.

/// The statistics that are read, a part of a path of Envoy's administration.
pub(super) const STATS: &str = "/stats?filter=downstream_.*cx_active$";

/// Connection managers that serve no clients: ours and those of Contour. Envoy's own
/// administration is no listener of this kind and is left out by its name, `admin`.
const NOT_CLIENTS: [&str; 5] =
    ["stats", "stats-health", "health", "health-om-enforced", "envoy-admin"];

/// The connections of clients that are open, by the lines of Envoy's statistics; `None` if Envoy
/// tells of none of its listeners.
///
/// A TCP proxy has no count of open connections of its own, so they are counted at the listeners,
/// whatever is behind these, and those of probes and scrapers taken away. Where a bootstrap leaves
/// the statistics of listeners out, those of connection managers remain.
pub(super) fn open(stats: &str) -> Option<u64> {
    let mut told = false;
    let (mut listeners, mut clients, mut others) = (0_u64, 0_u64, 0_u64);
    for (name, value) in stats.lines().filter_map(|line| line.split_once(": ")) {
        let Ok(value) = value.trim().parse::<u64>() else { continue };
        if let Some(listener) = name.strip_prefix("listener.") {
            if is_sum(listener) {
                told = true;
                listeners = listeners.saturating_add(value);
            }
        } else if let Some(manager) = name.strip_prefix("http.") {
            let Some(manager) = manager.strip_suffix(".downstream_cx_active") else { continue };
            if NOT_CLIENTS.contains(&manager) {
                others = others.saturating_add(value);
            } else if manager != "admin" {
                told = true;
                clients = clients.saturating_add(value);
            }
        }
    }
    told.then(|| clients.max(listeners.saturating_sub(others)))
}

/// Whether a gauge of listeners is that of a whole listener for clients, and not of one of its
/// threads. Connections count from when they are accepted, also before their TLS is looked at.
fn is_sum(gauge: &str) -> bool {
    let Some(listener) = gauge
        .strip_suffix(".downstream_cx_active")
        .or_else(|| gauge.strip_suffix(".downstream_pre_cx_active"))
    else {
        return false;
    };
    let last = listener.rsplit('.').next().unwrap_or(listener);
    listener != "admin" && !last.starts_with("worker_") && last != "main_thread"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_clients_are_counted_once_and_no_others() {
        let http = "http.admin.downstream_cx_active: 7\n\
                    http.ingress_http.downstream_cx_active: 3\n\
                    http.ingress_https.downstream_cx_active: 2\n\
                    http.stats.downstream_cx_active: 4\n";
        let listeners = "listener.0.0.0.0_8002.downstream_cx_active: 4\n\
                         listener.0.0.0.0_8002.worker_0.downstream_cx_active: 4\n\
                         listener.0.0.0.0_8080.downstream_cx_active: 3\n\
                         listener.0.0.0.0_8080.worker_0.downstream_cx_active: 1\n\
                         listener.0.0.0.0_8080.worker_1.downstream_cx_active: 2\n\
                         listener.[__]_8443.downstream_cx_active: 2\n\
                         listener.admin.downstream_cx_active: 7\n\
                         listener.admin.main_thread.downstream_cx_active: 7\n\
                         listener.warm.downstream_cx_active: 0\n";
        let proxied = "listener.127.0.0.1_9443.downstream_cx_active: 5\n\
                       listener.127.0.0.1_9443.downstream_pre_cx_active: 1\n";
        for (what, stats, expected) in [
            ("HTTP alone", format!("{http}{listeners}"), Some(5)),
            ("with a TCP proxy", format!("{http}{listeners}{proxied}"), Some(11)),
            ("without those of listeners", http.to_owned(), Some(5)),
            ("without those of connection managers", listeners.to_owned(), Some(9)),
            ("nothing", String::new(), None),
            ("nothing but the administration", "http.admin.downstream_cx_active: 1\n".into(), None),
            ("no number", "listener.a.downstream_cx_active: many\n".into(), None),
            ("something else", "cluster.a.upstream_cx_active: 4\n".into(), None),
        ] {
            assert_eq!(open(&stats), expected, "{what}");
        }
    }
}
