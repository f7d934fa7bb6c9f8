//! Access logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::accesslog::v3::{access_log_filter, comparison_filter};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as file;
use envoy_types::pb::google::protobuf;
use prost::{Message as _, Name as _};

use super::proto;
use crate::options::{AccessLog, LogFormat, LogLevel};

/// An access log; none for an empty path.
pub(super) fn access_logs(path: &str, log: &AccessLog) -> Vec<accesslog::AccessLog> {
    let filter = match log.level {
        LogLevel::Info => None,
        LogLevel::Error => Some(from_status(300)),
        LogLevel::Critical => Some(from_status(500)),
        LogLevel::Disabled => return Vec::new(),
    };
    if path.is_empty() {
        return Vec::new();
    }
    vec![accesslog::AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        filter,
        config_type: Some(accesslog::access_log::ConfigType::TypedConfig(to_file(
            path,
            &log.format,
        ))),
    }]
}

fn to_file(path: &str, format: &LogFormat) -> protobuf::Any {
    let path = path.to_owned();
    let access_log_format = match format {
        LogFormat::Envoy => None,
        LogFormat::Text(format) => {
            // Envoy ends no line by itself.
            let line = format!("{}\n", format.trim_end_matches('\n'));
            Some(file::file_access_log::AccessLogFormat::LogFormat(
                core::SubstitutionFormatString {
                    format: Some(core::substitution_format_string::Format::TextFormatSource(
                        proto::inline(&line),
                    )),
                    ..core::SubstitutionFormatString::default()
                },
            ))
        }
        LogFormat::Json(fields) => return json(path, fields),
    };
    proto::any(&file::FileAccessLog { path, access_log_format })
}

fn json(path: String, fields: &[(Arc<str>, Arc<str>)]) -> protobuf::Any {
    let value = |format: &str| protobuf::Value {
        kind: Some(protobuf::value::Kind::StringValue(format.to_owned())),
    };
    let fields = fields.iter().map(|(name, format)| (name.to_string(), value(format)));
    let message = JsonLog {
        path,
        format: Some(JsonFormat {
            json: Some(JsonFields { fields: fields.collect() }),
            omit_empty_values: true,
        }),
    };
    protobuf::Any { type_url: file::FileAccessLog::type_url(), value: message.encode_to_vec() }
}

/// `FileAccessLog`. The generated type has a hash map inside, whose order differs from one
/// encoding to the next; a listener would seem to change where nothing did.
#[derive(Clone, PartialEq, prost::Message)]
struct JsonLog {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(message, optional, tag = "5")]
    format: Option<JsonFormat>,
}

/// `SubstitutionFormatString`.
#[derive(Clone, PartialEq, prost::Message)]
struct JsonFormat {
    #[prost(message, optional, tag = "2")]
    json: Option<JsonFields>,
    #[prost(bool, tag = "3")]
    omit_empty_values: bool,
}

/// `Struct`.
#[derive(Clone, PartialEq, prost::Message)]
struct JsonFields {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, protobuf::Value>,
}

fn from_status(status: u32) -> accesslog::AccessLogFilter {
    let comparison = accesslog::ComparisonFilter {
        op: comparison_filter::Op::Ge.into(),
        value: Some(core::RuntimeUInt32 {
            default_value: status,
            // Required, and set nowhere.
            runtime_key: "contour.access_log_status".to_owned(),
        }),
    };
    accesslog::AccessLogFilter {
        filter_specifier: Some(access_log_filter::FilterSpecifier::StatusCodeFilter(
            accesslog::StatusCodeFilter { comparison: Some(comparison) },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_json_are_where_envoy_reads_them_and_always_in_one_order() {
        let fields: Vec<(Arc<str>, Arc<str>)> =
            ["b", "a", "c"].map(|name| (name.into(), format!("%{name}%").into())).into();
        let log = AccessLog { format: LogFormat::Json(fields), level: LogLevel::Critical };
        let logs = access_logs("x.log", &log);
        let Some(accesslog::access_log::ConfigType::TypedConfig(any)) = &logs[0].config_type else {
            panic!("{logs:?}");
        };
        let read = file::FileAccessLog::decode(any.value.as_slice()).unwrap();
        let Some(file::file_access_log::AccessLogFormat::LogFormat(format)) =
            read.access_log_format
        else {
            panic!("{logs:?}");
        };
        assert!(format.omit_empty_values);
        let Some(core::substitution_format_string::Format::JsonFormat(json)) = format.format else {
            panic!("{logs:?}");
        };
        let names: std::collections::BTreeSet<_> = json.fields.keys().map(String::as_str).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        for _ in 0..8 {
            assert_eq!(access_logs("x.log", &log), logs);
        }
    }

    #[test]
    fn nothing_is_logged_without_a_file_or_if_disabled() {
        let off = AccessLog { level: LogLevel::Disabled, ..AccessLog::default() };
        assert_eq!(access_logs("x.log", &off), []);
        assert_eq!(access_logs("", &AccessLog::default()), []);
        assert_eq!(access_logs("x.log", &AccessLog::default()).len(), 1);
    }
}
