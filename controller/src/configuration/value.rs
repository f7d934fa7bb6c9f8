//! The values of keys, checked as they are read so that a fault is told with its place.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use contour_core::lower::go_duration;
use contour_core::options::{HttpVersions, Limit, LogLevel, ServerHeader, TlsVersion};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::format;

/// A type that is read from text.
pub trait Parse: Sized {
    /// What the text must be, to follow "must be".
    const WANTED: &'static str;

    /// Reads it; `None` if the text is something else.
    fn parse(text: &str) -> Option<Self>;

    /// What is wrong with a text that could not be read.
    fn complaint(text: &str) -> String {
        format!("must be {}, not {text:?}", Self::WANTED)
    }
}

/// A value that is read from text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<'de, T: Parse> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData)).map(Self)
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: Parse> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::parse(text).ok_or_else(|| E::custom(T::complaint(text)))
    }

    /// YAML takes some texts for numbers that nobody would put into quotes.
    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: u32, const MAX: u32>(pub u32);

/// A port.
pub type Port = Whole<1, 65_535>;
/// A number that is not 0.
pub type Count = Whole<1, { u32::MAX }>;
/// Any number.
pub type Number = Whole<0, { u32::MAX }>;
/// A byte.
pub type Byte = Whole<0, 255>;

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number as a port; those of other types that are no ports become the highest one.
    pub fn port(self) -> u16 {
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }

    /// The number as a byte; higher ones become the highest one.
    pub fn byte(self) -> u8 {
        u8::try_from(self.0).unwrap_or(u8::MAX)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor::<MIN, MAX>)
    }
}

struct WholeVisitor<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        let number = u32::try_from(value).ok().filter(|n| (MIN..=MAX).contains(n));
        number.map(Whole).ok_or_else(|| {
            E::custom(format!("must be a whole number from {MIN} to {MAX}, not {value}"))
        })
    }
}

/// Something that is known to be a key, whose content nobody looks at yet.
#[derive(Clone, Copy, Debug)]
pub struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Parse for Limit {
    const WANTED: &'static str = "a duration such as 30s or 1h30m, or infinity";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "infinity" | "infinite" => Some(Self::Infinite),
            // As Contour has it, 0 stands for what is not given.
            _ => go_duration(text).map(|d| if d.is_zero() { Self::Envoy } else { Self::After(d) }),
        }
    }
}

impl Parse for Duration {
    const WANTED: &'static str = "a duration above 0 such as 2s or 500ms";

    fn parse(text: &str) -> Option<Self> {
        go_duration(text).filter(|duration| !duration.is_zero())
    }
}

impl Parse for f32 {
    const WANTED: &'static str = "a number above 0";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &Self| number.is_finite() && *number > 0.0)
    }
}

impl Parse for IpAddr {
    const WANTED: &'static str = "an IP address";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

macro_rules! choices {
    ($($type:ty, $wanted:literal { $($text:pat => $value:expr,)* })*) => {$(
        impl Parse for $type {
            const WANTED: &'static str = $wanted;

            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($value),)* _ => None }
            }
        }
    )*};
}

/// How the access log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As Envoy does, or by accesslog-format-string.
    Envoy,
    /// As JSON.
    Json,
}

/// How connections are spread over Envoy's workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// As the kernel does.
    Kernel,
    /// To each the same number.
    Exact,
}

/// How answers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression;

/// How a host name is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupFamily;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

choices! {
    LogLevel, "info, error, critical or disabled" {
        "info" => Self::Info,
        "error" => Self::Error,
        "critical" => Self::Critical,
        "disabled" => Self::Disabled,
    }
    Format, "envoy or json" { "envoy" => Self::Envoy, "json" => Self::Json, }
    TlsVersion, "1.2 or 1.3" { "1.2" => Self::V1_2, "1.3" => Self::V1_3, }
    ServerHeader, "overwrite, append_if_absent or pass_through" {
        "overwrite" => Self::Overwrite,
        "append_if_absent" => Self::AppendIfAbsent,
        "pass_through" => Self::PassThrough,
    }
    Balancer, "exact, or empty" { "exact" => Self::Exact, "" => Self::Kernel, }
    Compression, "gzip, brotli, zstd or disabled" {
        "gzip" | "brotli" | "zstd" | "disabled" => Self,
    }
    LookupFamily, "auto, v4, v6 or all" { "auto" | "v4" | "v6" | "all" => Self, }
    HttpVersion, "HTTP/1.1 or HTTP/2" {
        "HTTP/1.1" | "http/1.1" => Self::Http1,
        "HTTP/2" | "http/2" => Self::Http2,
    }
}

/// The versions that a list names; all for an empty one.
pub fn versions(list: &[Text<HttpVersion>]) -> HttpVersions {
    let has = |version| list.iter().any(|v| v.0 == version);
    match (has(HttpVersion::Http1), has(HttpVersion::Http2)) {
        (true, false) => HttpVersions::Http1,
        (false, true) => HttpVersions::Http2,
        (true, true) | (false, false) => HttpVersions::Both,
    }
}

/// The suites of TLS 1.2 that Contour lets through to Envoy.
pub const CIPHERS: [&str; 16] = [
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "AES128-GCM-SHA256",
    "AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA",
];

/// The curves that Envoy has.
pub const CURVES: [&str; 5] = ["X25519", "P-256", "P-384", "P-521", "X25519MLKEM768"];

/// A cipher suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cipher(pub Arc<str>);

impl Parse for Cipher {
    const WANTED: &'static str = "a cipher suite as Envoy names it";

    fn parse(text: &str) -> Option<Self> {
        CIPHERS.contains(&text).then(|| Self(text.into()))
    }

    fn complaint(text: &str) -> String {
        unknown("cipher suite", text, &CIPHERS)
    }
}

/// A curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve(pub Arc<str>);

impl Parse for Curve {
    const WANTED: &'static str = "a curve as Envoy names it";

    fn parse(text: &str) -> Option<Self> {
        CURVES.contains(&text).then(|| Self(text.into()))
    }

    fn complaint(text: &str) -> String {
        unknown("curve", text, &CURVES)
    }
}

fn unknown(what: &str, text: &str, known: &[&str]) -> String {
    let near = contour_core::manifest::nearest(text, known.iter().copied());
    let meant = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    format!("unknown {what} {text:?}; {meant}known are {}", known.join(", "))
}

/// A format of Envoy's command operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub Arc<str>);

impl Parse for Template {
    const WANTED: &'static str = "a format of Envoy's command operators";

    fn parse(text: &str) -> Option<Self> {
        format::check(text).is_ok().then(|| Self(text.into()))
    }

    fn complaint(text: &str) -> String {
        format::check(text).err().unwrap_or_default()
    }
}

/// A field of a JSON access log: its name and its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonField(pub Arc<str>, pub Arc<str>);

impl Parse for JsonField {
    const WANTED: &'static str = "the name of a field, or NAME=FORMAT";

    fn parse(text: &str) -> Option<Self> {
        format::field(text).ok().map(|(name, format)| Self(name.into(), format.into()))
    }

    fn complaint(text: &str) -> String {
        format::field(text).err().unwrap_or_default()
    }
}

/// A feature flag; there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureFlag {}

impl Parse for FeatureFlag {
    const WANTED: &'static str = "a feature flag, of which there is none";

    fn parse(_text: &str) -> Option<Self> {
        None
    }

    fn complaint(text: &str) -> String {
        format!("unknown feature flag {text:?}; there is none at present")
    }
}
