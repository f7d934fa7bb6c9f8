//! Envoy's response flags, in words.

/// Every flag with what it means; the same table is in docs/tap.md.
pub const FLAGS: [(&str, &str); 30] = [
    ("DC", "the client closed its connection"),
    ("DF", "the upstream's name could not be resolved"),
    ("DI", "delayed by fault injection"),
    ("DO", "dropped, as the service asked for it"),
    ("DPE", "the client broke the protocol"),
    ("DR", "the client reset the request"),
    ("DT", "a limit of time for the whole connection or request was over"),
    ("FI", "aborted by fault injection"),
    ("IH", "a header of Envoy's had an impossible value"),
    ("LH", "Envoy itself is unhealthy"),
    ("LR", "Envoy reset the request"),
    ("NC", "there is no such cluster"),
    ("NFCF", "a filter has no configuration"),
    ("NR", "no route matches"),
    ("OM", "Envoy is overloaded"),
    ("RFCF", "answered from a cache"),
    ("RL", "too many requests: limited"),
    ("RLSE", "the rate limit service failed"),
    ("SI", "nothing moved for too long"),
    ("UAEX", "the authorization service said no"),
    ("UC", "the upstream closed the connection"),
    ("UDO", "dropped without condition"),
    ("UF", "the connection to the upstream failed"),
    ("UH", "no endpoint is healthy"),
    ("UMSDR", "the request took longer than it may"),
    ("UO", "a circuit breaker of the upstream is open"),
    ("UPE", "the upstream broke the protocol"),
    ("UR", "the upstream reset the request"),
    ("URX", "tried again as often as allowed"),
    ("UT", "the upstream did not answer in time"),
];

/// What a flag means.
pub fn words(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_and_stand_in_order() {
        assert_eq!(words("NR"), Some("no route matches"));
        assert_eq!(words("XX"), None);
        assert!(FLAGS.is_sorted());
    }
}
