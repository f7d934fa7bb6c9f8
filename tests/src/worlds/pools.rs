//! The pools from which worlds are drawn: good values, and hostile ones (each has been seen to
//! upset Envoy or a controller).

use std::sync::{Arc, LazyLock};

use contour_core::api::{Metadata, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

/// Text as objects hold it.
pub(super) type Text = BoxedStrategy<Arc<str>>;

/// How many good values to a hostile one.
const GOOD: u32 = 79;

/// Mostly one of `good`, seldom one of `bad`.
pub(super) fn text(good: &'static [&'static str], bad: &'static [String]) -> Text {
    prop_oneof![
        GOOD => select(good).prop_map(Arc::from),
        1 => select(bad).prop_map(Arc::from),
    ]
    .boxed()
}

/// Mostly one of `good`, seldom one of `bad`.
pub(super) fn number(good: &'static [i64], bad: &'static [i64]) -> BoxedStrategy<i64> {
    prop_oneof![GOOD => select(good), 1 => select(bad)].boxed()
}

/// Nothing, `nothing` times out of `nothing + 1`.
pub(super) fn seldom<S>(nothing: u32, strategy: S) -> BoxedStrategy<Option<S::Value>>
where
    S: Strategy + 'static,
    S::Value: Clone,
{
    prop_oneof![nothing => Just(None), 1 => strategy.prop_map(Some)].boxed()
}

/// Something, `something` times out of `something + 1`.
pub(super) fn likely<S>(something: u32, strategy: S) -> BoxedStrategy<Option<S::Value>>
where
    S: Strategy + 'static,
    S::Value: Clone,
{
    prop_oneof![1 => Just(None), something => strategy.prop_map(Some)].boxed()
}

macro_rules! pool {
    ($(#[$doc:meta])* $name:ident: $($value:expr),* $(,)?) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Vec<String>> =
            LazyLock::new(|| vec![$(String::from($value)),*]);
    };
}

pool! {
    /// What is no host name, or another spelling of one.
    BAD_HOSTS:
    "A.Example.COM", "a.example.com.", "", "*", "*.example.com", "*foo.com", "a.*.com", "a b",
    "a.example.com\r\nx: y", "é.example.com", "xn--a.example.com", "a..b", "127.0.0.1", "[::1]",
    "a.example.com:80", "localhost", "a_b.example.com", "%ENVIRONMENT(HOME)%", "a\0b",
    "a.".repeat(127), "a".repeat(64), "x".repeat(100_000), "\u{202e}moc.elpmaxe.a", "\u{1b}[31m",
}
pool! {
    /// What is no path, or a path that Envoy takes amiss.
    BAD_PATHS:
    "", "a", "/a?b=c", "/a#b", "/a b", "/a\r\nb", "/a\0b", "/é", "//", "/%2e%2e/", "/../x",
    "/(((((", "/%ENVIRONMENT(HOME)%", "%BOGUS%", "/%", "*", "/*", format!("/{}", "x".repeat(5_000)),
    format!("/{}", "x".repeat(1 << 20)),
}
pool! {
    /// What is no name of an object.
    BAD_NAMES:
    "", "Blue", "a/b", "a.b", "../x", "blue ", "blu\u{e9}", "x".repeat(64), "x".repeat(300), "-a", "a\0",
}
pool! {
    /// What is no reference to a Secret.
    BAD_REFERENCES:
    "", "/", "alpha/", "/cert", "alpha/cert/x", "Alpha/cert", "../alpha/cert", "*", "alpha/*",
    "x".repeat(400),
}
pool! {
    /// What is no duration, or one that Envoy refuses.
    BAD_DURATIONS:
    "", "-5s", "5", "s", "abc", "1e9s", "9223372037s", "99999999999999999999h", "NaN", "0x10s",
    "1h-1m", "infinity ", "Infinity", "0.0000000001ns", "1d",
}
pool! {
    /// What is no strategy.
    BAD_STRATEGIES: "", "RingHash", "Maglev", "roundrobin", "\n",
}
pool! {
    /// What is no TLS version, or one no longer served.
    BAD_VERSIONS: "", "1.0", "1.1", "TLSv1.2", "2", "1.3\n",
}
pool! {
    /// What is no subject name.
    BAD_SUBJECTS: "", "*", "a b", "a\0", "\r\n", "x".repeat(300),
}
pool! {
    /// What is no address of a pod.
    BAD_ADDRESSES:
    "127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "169.254.169.254",
    "fe80::1", "localhost", "metadata.internal", "/var/run/admin.sock", "@abstract", "", "10.0.0",
    "010.0.0.1", "0x0a000001", "10.0.0.1:80", "10.0.0.1%eth0", "255.255.255.255", "224.0.0.1",
}
pool! {
    /// What is no list of ports.
    BAD_PORT_LISTS: "", ",", "99", "http,,80", "80 , 443", "-1", "x".repeat(2_000),
}
pool! {
    /// What is no number of connections.
    BAD_LIMITS: "", "0", "-1", "4294967296", "1e3", "many",
}

/// Ports that no service has, or nobody can have.
pub(super) const BAD_PORTS: &[i64] = &[9, 0, -1, 65_536, i64::MAX, i64::MIN];

/// Weights, timeouts and counts out of range.
pub(super) const BAD_NUMBERS: &[i64] =
    &[-1, 101, 1_000_001, 4_294_967_295, 4_294_967_296, i64::MAX, i64::MIN];

/// Instants around those between which the pool's certificates are valid.
pub(super) fn instants() -> impl Strategy<Value = Timestamp> {
    select(vec![0, 1_000_000_000, 1_800_000_000, 70_000_000_000]).prop_map(Timestamp::from_unix)
}

/// Metadata with one of `names`; age and class vary.
pub(super) fn metadata(
    namespace: BoxedStrategy<&'static str>,
    names: &'static [&'static str],
) -> impl Strategy<Value = Metadata> {
    let class = prop_oneof![
        20 => Just(None),
        1 => Just(Some("contour")),
        1 => Just(Some("other")),
        1 => Just(Some("")),
    ];
    (namespace, select(names), seldom(1, 0..4_i64), class).prop_map(
        |(namespace, name, created, class)| {
            let mut metadata = crate::objects::metadata(namespace, name);
            metadata.creation_timestamp = created.map(Timestamp::from_unix);
            if let Some(class) = class {
                let key = "kubernetes.io/ingress.class";
                metadata.annotations.insert(key.into(), class.into());
            }
            metadata
        },
    )
}
