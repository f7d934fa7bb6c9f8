//! Which addresses traffic may be sent to.
//!
//! An address is judged by where its packets end up, not by its spelling: several forms of IPv6
//! carry an IPv4 address, and a translator or a tunnel on the way sends to that one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses outside the link-local ranges at which clouds answer their machines, with credentials
/// among other things.
const CLOUD_V4: [(Ipv4Addr, &str); 3] = [
    (Ipv4Addr::new(100, 100, 100, 200), "Alibaba Cloud"),
    (Ipv4Addr::new(168, 63, 129, 16), "Azure"),
    (Ipv4Addr::new(192, 0, 0, 192), "Oracle Cloud"),
];

/// The same of IPv6: unique local addresses, which are those of pods otherwise.
const CLOUD_V6: [(Ipv6Addr, &str); 5] = [
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), "Google Cloud"),
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), "Oracle Cloud"),
    (Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200), "Alibaba Cloud"),
    (Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1), "Linode"),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), "Scaleway"),
];

/// Why traffic may not be sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The IPv4 address that it stands for, if it is one of IPv6 that does.
    embedded: Option<Ipv4Addr>,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// Envoy's own machine, with its admin interface.
    Loopback,
    /// Most clouds have their metadata service there.
    LinkLocal,
    /// This cloud has its metadata service there.
    Cloud(&'static str),
    /// Linux takes 0.0.0.0 and `::` for loopback.
    Unspecified,
    Multicast,
    /// Without meaning, or with one that only the machine's own network knows.
    Reserved,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(v4) = self.embedded {
            write!(f, "it stands for {v4}, which is ")?;
        } else {
            f.write_str("it is ")?;
        }
        match self.reason {
            Reason::Loopback => f.write_str("a loopback address"),
            Reason::LinkLocal => f.write_str("link-local"),
            Reason::Cloud(name) => write!(f, "a metadata service of {name}"),
            Reason::Unspecified => f.write_str("unspecified"),
            Reason::Multicast => f.write_str("a multicast address"),
            Reason::Reserved => f.write_str("reserved"),
        }
    }
}

/// Whether an address can be that of a pod.
pub(super) fn check(address: IpAddr, allow_loopback: bool) -> Result<(), Refusal> {
    let refusal = match address {
        IpAddr::V4(v4) => of_v4(v4).map(|reason| Refusal { embedded: None, reason }),
        IpAddr::V6(v6) => of_v6(v6),
    };
    match refusal {
        Some(Refusal { reason: Reason::Loopback, .. }) if allow_loopback => Ok(()),
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn of_v4(v4: Ipv4Addr) -> Option<Reason> {
    if let Some((_, name)) = CLOUD_V4.iter().find(|(address, _)| *address == v4) {
        return Some(Reason::Cloud(name));
    }
    match v4.octets() {
        [0, ..] => Some(Reason::Unspecified),
        [127, ..] => Some(Reason::Loopback),
        [169, 254, ..] => Some(Reason::LinkLocal),
        [224..=239, ..] => Some(Reason::Multicast),
        [240..=255, ..] => Some(Reason::Reserved),
        _ => None,
    }
}

fn of_v6(v6: Ipv6Addr) -> Option<Refusal> {
    let own = |reason| Some(Refusal { embedded: None, reason });
    if v6.is_unspecified() {
        return own(Reason::Unspecified);
    }
    if v6.is_loopback() {
        return own(Reason::Loopback);
    }
    if let Some((_, name)) = CLOUD_V6.iter().find(|(address, _)| *address == v6) {
        return own(Reason::Cloud(name));
    }
    match v6.segments() {
        // EC2's own: metadata, names, time, and the credentials of pods.
        [0xfd00, 0xec2, ..] => return own(Reason::Cloud("AWS")),
        [0xfe80..=0xfebf, ..] => return own(Reason::LinkLocal),
        // Site-local, given up by RFC 3879.
        [0xfec0..=0xfeff, ..] => return own(Reason::Reserved),
        [0xff00..=0xffff, ..] => return own(Reason::Multicast),
        _ => {}
    }
    let mut candidates = embedded(v6).into_iter().flatten();
    candidates.find_map(|candidate| {
        let reason = of_v4(candidate.address)?;
        let counts = candidate.is_certain
            || matches!(reason, Reason::Loopback | Reason::LinkLocal | Reason::Cloud(_));
        counts.then_some(Refusal { embedded: Some(candidate.address), reason })
    })
}

/// An IPv4 address that packets may be sent on to.
struct Candidate {
    address: Ipv4Addr,
    /// Whether the form leaves no other reading: of another reading, only what leads somewhere
    /// counts, since zeros that fill an address up would read as 0.0.0.0.
    is_certain: bool,
}

/// The IPv4 addresses that an IPv6 address stands for.
fn embedded(v6: Ipv6Addr) -> [Option<Candidate>; 4] {
    let bits = v6.to_bits();
    let v4 = |bits: u128, shift: u32| {
        Ipv4Addr::from_bits(u32::try_from(bits >> shift & 0xffff_ffff).unwrap_or(0))
    };
    let certain = |address| Some(Candidate { address, is_certain: true });
    match v6.segments() {
        // Prefixes that a network chooses for its translators (RFC 8215), of 48, 56, 64 or 96
        // bits. With the shorter ones, the address goes around the eight bits after the 64th.
        [0x64, 0xff9b, 1, ..] => {
            let low = (1_u128 << 56) - 1;
            let around = (bits >> 64 << 56) | (bits & low);
            let possible =
                |shift| Some(Candidate { address: v4(around, shift), is_certain: false });
            [possible(40), possible(32), possible(24), certain(v4(bits, 0))]
        }
        // Teredo (RFC 4380): the client behind its NAT with all bits flipped, and the server.
        [0x2001, 0, ..] => [certain(v4(!bits, 0)), certain(v4(bits, 64)), None, None],
        // 6to4 (RFC 3056).
        [0x2002, ..] => [certain(v4(bits, 80)), None, None, None],
        // IPv4-compatible and IPv4-mapped (RFC 4291), IPv4-translated (RFC 2765), the prefix that
        // all translators know (RFC 6052), and ISATAP (RFC 5214) under any prefix.
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _]
        | [0, 0, 0, 0, 0xffff, 0, _, _]
        | [0x64, 0xff9b, 0, 0, 0, 0, _, _]
        | [.., 0 | 0x200, 0x5efe, _, _] => [certain(v4(bits, 0)), None, None, None],
        _ => [None, None, None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_goes_to_pods_only() {
        for text in [
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.201",
            "192.168.1.1",
            "203.0.113.7",
            "2001:db8::1",
            "2600:1f14::a9fe:a9fe",
            // Unique local addresses are those of pods in clusters with IPv6.
            "fd00::1",
            "fd12:3456:789a::a9fe:a9fe",
            // What leads to an address that traffic may be sent to is as good.
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1:abcd::10.0.0.1",
            "2002:0a00:0001::1",
            "fd00::5efe:10.0.0.1",
        ] {
            assert_eq!(check(text.parse().unwrap(), false), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_an_address_leads_to_decides_whatever_its_spelling() {
        for (text, why) in [
            ("127.0.0.1", "it is a loopback address"),
            ("127.8.9.1", "it is a loopback address"),
            ("::1", "it is a loopback address"),
            ("0.0.0.0", "it is unspecified"),
            ("0.1.2.3", "it is unspecified"),
            ("::", "it is unspecified"),
            ("169.254.169.254", "it is link-local"),
            ("fe80::1", "it is link-local"),
            ("febf::1", "it is link-local"),
            ("fec0::1", "it is reserved"),
            ("224.0.0.1", "it is a multicast address"),
            ("ff02::1", "it is a multicast address"),
            ("240.0.0.1", "it is reserved"),
            ("255.255.255.255", "it is reserved"),
            ("100.100.100.200", "it is a metadata service of Alibaba Cloud"),
            ("fd00:100::100:200", "it is a metadata service of Alibaba Cloud"),
            ("168.63.129.16", "it is a metadata service of Azure"),
            ("192.0.0.192", "it is a metadata service of Oracle Cloud"),
            ("fd00:c1::a9fe:a9fe", "it is a metadata service of Oracle Cloud"),
            ("fd00:ec2::254", "it is a metadata service of AWS"),
            ("fd00:ec2::23", "it is a metadata service of AWS"),
            ("fd20:ce::254", "it is a metadata service of Google Cloud"),
            ("fd00:a9fe:a9fe::1", "it is a metadata service of Linode"),
            ("fd00:42::42", "it is a metadata service of Scaleway"),
            ("::127.0.0.1", "it stands for 127.0.0.1, which is a loopback address"),
            ("::169.254.169.254", "it stands for 169.254.169.254, which is link-local"),
            ("::ffff:127.0.0.1", "it stands for 127.0.0.1, which is a loopback address"),
            ("::ffff:0:169.254.169.254", "it stands for 169.254.169.254, which is link-local"),
            ("64:ff9b::a9fe:a9fe", "it stands for 169.254.169.254, which is link-local"),
            ("64:ff9b::7f00:1", "it stands for 127.0.0.1, which is a loopback address"),
            (
                "64:ff9b::168.63.129.16",
                "it stands for 168.63.129.16, which is a metadata service of Azure",
            ),
            ("64:ff9b::0.0.0.0", "it stands for 0.0.0.0, which is unspecified"),
            // 169.254.169.254 behind prefixes of 96, 64, 56 and 48 bits.
            ("64:ff9b:1:abcd::a9fe:a9fe", "it stands for 169.254.169.254, which is link-local"),
            ("64:ff9b:1:abcd:a9:fea9:fe00:0", "it stands for 169.254.169.254, which is link-local"),
            ("64:ff9b:1:aba9:fe:a9fe::", "it stands for 169.254.169.254, which is link-local"),
            ("64:ff9b:1:a9fe:a9:fe00::", "it stands for 169.254.169.254, which is link-local"),
            ("2002:7f00:1::", "it stands for 127.0.0.1, which is a loopback address"),
            ("2002:a9fe:a9fe::1", "it stands for 169.254.169.254, which is link-local"),
            (
                "2001:0:4136:e378:8000:63bf:5601:5601",
                "it stands for 169.254.169.254, which is link-local",
            ),
            ("2001:0:a9fe:a9fe::f5ff:fffe", "it stands for 169.254.169.254, which is link-local"),
            ("fd00::5efe:169.254.169.254", "it stands for 169.254.169.254, which is link-local"),
            (
                "2001:db8::200:5efe:127.0.0.1",
                "it stands for 127.0.0.1, which is a loopback address",
            ),
        ] {
            let refusal = check(text.parse().unwrap(), false).expect_err(text);
            assert_eq!(refusal.to_string(), why, "{text}");
        }
    }

    #[test]
    fn loopback_is_allowed_in_every_spelling_or_in_none() {
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "2002:7f00:1::"] {
            assert!(check(text.parse().unwrap(), false).is_err(), "{text}");
            assert_eq!(check(text.parse().unwrap(), true), Ok(()), "{text}");
        }
        for text in ["169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "0.0.0.0"] {
            assert!(check(text.parse().unwrap(), true).is_err(), "{text}");
        }
    }
}
