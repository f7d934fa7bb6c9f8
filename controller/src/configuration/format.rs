//! Formats of access logs: Envoy refuses a whole listener for an operator that it does not know.

use contour_core::manifest::nearest;

/// Operators that need no argument.
pub const PLAIN: [&str; 63] = [
    "BYTES_RECEIVED",
    "BYTES_SENT",
    "CONNECTION_ID",
    "CONNECTION_TERMINATION_DETAILS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_CERT_V_END",
    "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_PORT",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "DOWNSTREAM_WIRE_BYTES_RECEIVED",
    "DOWNSTREAM_WIRE_BYTES_SENT",
    "DURATION",
    "FILTER_CHAIN_NAME",
    "GRPC_STATUS",
    "GRPC_STATUS_NUMBER",
    "HOSTNAME",
    "PROTOCOL",
    "REQUESTED_SERVER_NAME",
    "REQUEST_DURATION",
    "REQUEST_HEADERS_BYTES",
    "REQUEST_TX_DURATION",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_DURATION",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "RESPONSE_HEADERS_BYTES",
    "RESPONSE_TRAILERS_BYTES",
    "RESPONSE_TX_DURATION",
    "ROUTE_NAME",
    "START_TIME",
    "TLS_JA3_FINGERPRINT",
    "TLS_JA4_FINGERPRINT",
    "UNIQUE_ID",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CONNECTION_ID",
    "UPSTREAM_HOST",
    "UPSTREAM_LOCAL_ADDRESS",
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "UPSTREAM_LOCAL_PORT",
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "VIRTUAL_CLUSTER_NAME",
];

/// Operators that need an argument, with one.
pub const WITH_ARGUMENT: [(&str, &str); 7] = [
    ("REQ", "USER-AGENT"),
    ("RESP", "SERVER"),
    ("TRAILER", "GRPC-MESSAGE"),
    ("DYNAMIC_METADATA", "envoy.lua"),
    ("METADATA", "ROUTE:envoy.access_loggers.file:key"),
    ("FILTER_STATE", "key"),
    ("ENVIRONMENT", "HOSTNAME"),
];

/// The named fields of a JSON log.
pub const FIELDS: [(&str, &str); 29] = [
    ("@timestamp", "%START_TIME%"),
    ("ts", "%START_TIME%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("duration", "%DURATION%"),
    ("grpc_status", "%GRPC_STATUS%"),
    ("grpc_status_number", "%GRPC_STATUS_NUMBER%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("route_name", "%ROUTE_NAME%"),
    ("tls_ja3_fingerprint", "%TLS_JA3_FINGERPRINT%"),
    ("tls_ja4_fingerprint", "%TLS_JA4_FINGERPRINT%"),
    ("uber_trace_id", "%REQ(UBER-TRACE-ID)%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("x_trace_id", "%REQ(X-TRACE-ID)%"),
];

/// The fields of a JSON log for which none are named, Contour's.
pub const DEFAULT_FIELDS: [&str; 23] = [
    "@timestamp",
    "authority",
    "bytes_received",
    "bytes_sent",
    "downstream_local_address",
    "downstream_remote_address",
    "duration",
    "grpc_status",
    "grpc_status_number",
    "method",
    "path",
    "protocol",
    "request_id",
    "requested_server_name",
    "response_code",
    "response_flags",
    "uber_trace_id",
    "upstream_cluster",
    "upstream_host",
    "upstream_local_address",
    "upstream_service_time",
    "user_agent",
    "x_forwarded_for",
];

/// The name and the format of a field as it is written in `json-fields`.
pub(super) fn field(text: &str) -> Result<(&str, &str), String> {
    if let Some((name, format)) = text.split_once('=') {
        if name.is_empty() {
            return Err(format!("the field {text:?} has no name before ="));
        }
        return check(format).map(|()| (name, format));
    }
    FIELDS.into_iter().find(|(name, _)| *name == text).ok_or_else(|| {
        let near = nearest(text, FIELDS.iter().map(|(name, _)| *name));
        let meant = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        format!("unknown field {text:?}; {meant}or write {text}=FORMAT with operators of Envoy")
    })
}

/// Checks that Envoy knows the operators of a format.
pub(super) fn check(format: &str) -> Result<(), String> {
    if format.trim_end_matches('\n').contains(['\n', '\r']) {
        return Err("must be one line, which may end with a line feed".to_owned());
    }
    let mut rest = format;
    while let Some((_, after)) = rest.split_once('%') {
        rest = match after.strip_prefix('%') {
            Some(rest) => rest,
            None => operator(after)?,
        };
    }
    Ok(())
}

/// Checks the operator that a text begins with; returns what is behind its closing `%`.
fn operator(text: &str) -> Result<&str, String> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let (name, rest) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
    let (argument, rest) = match rest.strip_prefix('(') {
        Some(inside) => match inside.split_once(')') {
            Some((argument, rest)) => (Some(argument), rest),
            None => return Err(format!("the operator %{name}( has no closing )")),
        },
        None => (None, rest),
    };
    let (length, rest) = rest.split_once('%').ok_or_else(|| {
        format!("the operator %{name} has no closing %; write %% for a percent sign")
    })?;
    let is_length =
        |n: &str| !n.is_empty() && n.len() < 10 && n.bytes().all(|b| b.is_ascii_digit());
    if !length.is_empty() && !length.strip_prefix(':').is_some_and(is_length) {
        return Err(format!(
            "the operator %{name} ends with {length:?}; only :LENGTH may stand there"
        ));
    }
    let with_argument = || WITH_ARGUMENT.iter().map(|(name, _)| *name);
    if with_argument().any(|known| known == name) {
        let given = argument.is_some_and(|argument| !argument.is_empty());
        return if given {
            Ok(rest)
        } else {
            Err(format!("the operator %{name} needs an argument: %{name}(…)%"))
        };
    }
    if !PLAIN.contains(&name) {
        let near = nearest(name, PLAIN.into_iter().chain(with_argument()));
        let meant = near.map(|near| format!("; did you mean %{near}%?")).unwrap_or_default();
        return Err(format!("unknown operator %{name}%{meant}"));
    }
    if (argument.is_some() && name != "START_TIME") || (!length.is_empty() && argument.is_none()) {
        return Err(format!("the operator %{name}% takes neither an argument nor a length"));
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_envoy_would_refuse_are_refused_with_a_reason() {
        for (format, complaint) in [
            ("", None),
            ("100%% [%START_TIME(%s.%3f)%] %REQ(:PATH):10% %DURATION%\n", None),
            ("%REQ(X-A?:PATH)%", None),
            ("%DURATOIN%", Some("did you mean %DURATION%?")),
            ("%REQ%", Some("needs an argument")),
            ("%REQ()%", Some("needs an argument")),
            ("%REQ(A%", Some("no closing )")),
            ("%DURATION", Some("no closing %")),
            ("50% done", Some("no closing %")),
            ("50% of %DURATION%", Some("only :LENGTH")),
            ("%DURATION(x)%", Some("neither an argument")),
            ("%REQ(A):x%", Some("only :LENGTH")),
            ("a\nb", Some("one line")),
        ] {
            let told = check(format).err();
            match complaint {
                None => assert_eq!(told, None, "{format:?}"),
                Some(words) => {
                    assert!(
                        told.as_ref().is_some_and(|t| t.contains(words)),
                        "{format:?}: {told:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_field_has_a_format_that_is_known() {
        for (name, format) in FIELDS {
            assert_eq!(check(format), Ok(()), "{name}");
        }
        for name in DEFAULT_FIELDS {
            assert!(field(name).is_ok(), "{name}");
        }
        assert_eq!(field("x=%DURATION%"), Ok(("x", "%DURATION%")));
        assert!(field("method2").is_err_and(|told| told.contains("did you mean method?")));
        assert!(field("=%DURATION%").is_err());
    }
}
