//! The closed set of codes. A code never changes its meaning and is never used again.

use std::fmt;

use super::Severity;

macro_rules! codes {
    ($($variant:ident $code:literal $severity:ident $title:literal $remedy:literal;)*) => {
        /// A stable diagnostic code; docs/diagnostics.md is generated from this table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as users see it, such as `CTR301`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The code as the reason of a Kubernetes condition, such as `ServiceNotFound`.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What the code means, a sentence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do about it, a sentence.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    ManifestSyntax "CTR001" Error
        "The text is neither YAML nor JSON."
        "Mend the text at the place shown; until then the last good form of the file stays in force.";
    ManifestType "CTR002" Error
        "A field has a value of the wrong type."
        "Give the field a value of the type named.";
    UnknownField "CTR003" Warning
        "The object has a field that its kind does not know; the field has no effect."
        "Correct the spelling or remove the field.";
    DuplicateField "CTR004" Error
        "A mapping names the same field twice."
        "Keep one of the two.";
    UnsupportedKind "CTR005" Info
        "The document is of a kind that the controller does not read."
        "Nothing to do; the document is ignored.";
    MissingField "CTR006" Error
        "A required field is missing."
        "Add the field.";
    ManifestTooLarge "CTR007" Error
        "The text is larger or deeper nested than is read."
        "Split the file, or remove what is not needed.";
    DuplicateObject "CTR008" Error
        "The same object stands in two places; the first one counts."
        "Remove or rename one of the two.";
    InvalidName "CTR009" Error
        "A name or namespace is not one that Kubernetes accepts."
        "Use lower-case letters, digits and '-'.";
    FileUnreadable "CTR010" Error
        "A file or directory of the source cannot be read; what it said before stays in force."
        "Give the controller permission to read it, put it back, or remove it for good.";
    SourceIncomplete "CTR011" Warning
        "Since the controller was started, a part of its source could not be read; Envoys keep what they have of it for a time."
        "Make the parts named readable, or delete those that are not needed.";
    RemovalsHeld "CTR012" Warning
        "A large share of all hosts would be gone at once; their removal is held back for a time."
        "If it is a mistake, put the objects back; if it is meant, wait, or set --shrink-guard.";
    AgeIgnored "CTR013" Warning
        "A file gives an object a time of creation; it is ignored, since anybody can write any time into a file."
        "Nothing to do: the object is served, and the time decides nothing.";
    LinkNotFollowed "CTR014" Warning
        "A symbolic link leads to a directory; it is not followed, since links may lead in circles."
        "Put the directory itself there, or link its files one by one.";

    FqdnMissing "CTR101" Error
        "A root IngressRoute names no host."
        "Set .spec.virtualhost.fqdn, or remove .spec.virtualhost if another IngressRoute delegates to this one.";
    FqdnWildcard "CTR102" Error
        "An IngressRoute cannot claim a wildcard host."
        "Name one host for each root IngressRoute.";
    FqdnInvalid "CTR103" Error
        "The host is not a DNS name."
        "Use a DNS name without scheme, port or path.";
    HostConflict "CTR104" Error
        "Another root IngressRoute has the host; this one is not served."
        "Delegate from the IngressRoute that has the host to this one, or choose another host.";
    RootNamespaceNotAllowed "CTR105" Error
        "Root IngressRoutes are not allowed in this namespace."
        "Move the root to one of the root namespaces, or ask for delegation from one.";
    NothingDefined "CTR106" Error
        "The IngressRoute has neither routes nor a tcpproxy."
        "Add .spec.routes or .spec.tcpproxy.";
    Orphaned "CTR107" Warning
        "No root IngressRoute delegates to this one, so it serves nothing."
        "Delegate to it from a root, or give it a .spec.virtualhost.";
    TooLarge "CTR108" Error
        "The object asks for more than is translated, or than there is room for in its namespace."
        "Shrink the object or split it by delegation, or have the limit raised (docs/limits.md).";

    MatchInvalid "CTR201" Error
        "The match of a route is not a path prefix."
        "Write a path beginning with '/', without '?', '#', blanks or control characters.";
    ServicesAndDelegate "CTR202" Error
        "A route has both services and a delegate."
        "Keep one of the two.";
    RouteHasNoAction "CTR203" Error
        "A route has neither services nor a delegate."
        "Add services, or delegate to another IngressRoute.";
    PrefixOutsideParent "CTR204" Error
        "A delegated route matches paths that were not delegated to it."
        "Begin the match with the prefix of the parent's route.";
    DelegateNotFound "CTR205" Error
        "The IngressRoute delegated to does not exist."
        "Create it, or correct name and namespace of the delegate.";
    DelegateToRoot "CTR206" Error
        "A root IngressRoute cannot delegate to another root."
        "Remove .spec.virtualhost from the IngressRoute delegated to.";
    DelegationCycle "CTR207" Error
        "The delegation leads back to an IngressRoute that is already part of it."
        "Break the cycle at one of the objects named.";
    DelegationTooDeep "CTR208" Error
        "The chain of delegations is longer than is followed."
        "Delegate more directly.";
    DuplicateMatch "CTR209" Error
        "Two routes of the same host have the same match; the first one counts."
        "Remove one of the routes or give it another prefix.";
    PrefixRewriteInvalid "CTR210" Error
        "The prefixRewrite is not a path."
        "Write a path beginning with '/', without '?', '#', blanks or control characters.";
    TimeoutInvalid "CTR211" Error
        "A timeout is neither a duration nor 'infinity'."
        "Write a duration such as 30s, 1m30s or 500ms, or 'infinity'.";
    RetryInvalid "CTR212" Error
        "The retry policy is out of range."
        "Use a count from 0 to 100.";
    HealthCheckInvalid "CTR213" Error
        "The health check is out of range or malformed."
        "Use a path beginning with '/', seconds from 1 to 3600 (timeout to 60) and thresholds from 1 to 1000.";
    StrategyUnknown "CTR214" Warning
        "The load-balancing strategy is not known; RoundRobin is used."
        "Use RoundRobin, WeightedLeastRequest, Random or Cookie.";
    StrategyIgnored "CTR215" Warning
        "The load-balancing strategy has no meaning for a TCP proxy; RoundRobin is used."
        "Use RoundRobin, WeightedLeastRequest or Random.";
    RouteIgnoredByTcpProxy "CTR216" Warning
        "The host also has a tcpproxy, so this route is served over plain HTTP only."
        "Remove the route or the tcpproxy, or move one of them to another host.";
    HostHeaderInvalid "CTR217" Error
        "The host of a health check is not a valid Host header."
        "Use a DNS name.";

    ServiceNotFound "CTR301" Error
        "The Service does not exist in the namespace of the IngressRoute."
        "Create the Service, or correct its name.";
    ServicePortNotFound "CTR302" Error
        "The Service has no such port."
        "Use a port that the Service lists.";
    PortOutOfRange "CTR303" Error
        "The port is not between 1 and 65535."
        "Use a port that the Service lists.";
    WeightInvalid "CTR304" Error
        "A weight is negative or larger than 1000000."
        "Use a weight from 0 to 1000000.";
    ServiceProtocolUnsupported "CTR306" Error
        "The port of the Service is not a TCP port."
        "Use a TCP port.";
    ExternalNameNotAllowed "CTR307" Error
        "Services of type ExternalName are not routed to."
        "Use a Service with a selector or with EndpointSlices of its own.";
    NoEndpoints "CTR308" Info
        "The Service has no ready endpoint; requests are answered 503."
        "See why its pods are not ready.";
    ServiceNameInvalid "CTR309" Error
        "The name cannot be that of a Service."
        "Use lower-case letters, digits and '-', up to 63 characters.";
    UpstreamProtocolInvalid "CTR310" Warning
        "An upstream-protocol annotation names a port that the Service does not have."
        "List names or numbers of ports of the Service, separated by commas.";
    EndpointNotAllowed "CTR311" Warning
        "An endpoint's address is not one that traffic may be sent to; it is left out."
        "Use the address of a pod; loopback, link-local, reserved and metadata addresses are refused, and what stands for one.";
    CircuitBreakerInvalid "CTR312" Warning
        "A circuit-breaker annotation is not a number from 1 to 4294967295; it is ignored."
        "Write a whole number.";
    EndpointInvalid "CTR313" Warning
        "An endpoint's address is not an IP address, or its port is out of range; it is left out."
        "Write an IP address and a port from 1 to 65535.";
    DuplicateService "CTR314" Error
        "A route names the same service and port twice; the first one counts."
        "Keep one of the two and add their weights.";

    SecretNotFound "CTR401" Error
        "The TLS Secret does not exist."
        "Create the Secret, or correct its name.";
    SecretInvalid "CTR402" Error
        "The TLS Secret holds no usable certificate and key."
        "Put a PEM certificate chain into tls.crt and its PEM private key into tls.key.";
    DelegationNotPermitted "CTR403" Error
        "The Secret is in another namespace, which has not delegated it to this one."
        "Create a TLSCertificateDelegation in the namespace of the Secret.";
    CertificateExpired "CTR404" Warning
        "The certificate has expired; it is served all the same."
        "Renew the certificate.";
    CertificateNotYetValid "CTR405" Warning
        "The certificate is not valid yet; it is served all the same."
        "Check the clock of whoever issued it.";
    CertificateHostMismatch "CTR406" Warning
        "The certificate does not name the host; clients will refuse it."
        "Issue a certificate for the host.";
    TlsConfigInvalid "CTR407" Error
        "The TLS settings contradict each other or lack a Secret."
        "Set either .spec.virtualhost.tls.secretName or passthrough: true.";
    KeyMismatch "CTR408" Error
        "The private key of the Secret does not belong to its certificate."
        "Put the key of that certificate into tls.key.";
    TlsVersionInvalid "CTR409" Warning
        "The minimum TLS version is not known; 1.2 is used."
        "Use 1.2 or 1.3.";
    CaSecretInvalid "CTR411" Error
        "The CA Secret for upstream validation is missing or holds no certificate."
        "Put a PEM bundle of CA certificates into ca.crt.";
    SubjectNameMissing "CTR412" Error
        "Upstream validation names no subject."
        "Set validation.subjectName to a DNS name of the upstream's certificate.";
    ValidationWithoutTls "CTR413" Warning
        "Upstream validation has no effect, since the upstream protocol is not TLS."
        "Annotate the Service with contour.heptio.com/upstream-protocol.tls.";
    CertificateDelegationInvalid "CTR414" Error
        "A certificate delegation is malformed; it grants nothing."
        "List a secretName and target namespaces, or '*' alone.";
    TlsVersionOutdated "CTR415" Warning
        "TLS 1.0 and 1.1 are no longer served; 1.2 is used."
        "Set minimumProtocolVersion to 1.2 or 1.3.";
    PassthroughWithRoutes "CTR416" Error
        "TLS passthrough needs a tcpproxy: the requests inside cannot be routed."
        "Add .spec.tcpproxy, or set a secretName instead of passthrough.";
    CertificateChainOrder "CTR417" Warning
        "The certificate chain is in the wrong order or holds what does not belong to it; clients may refuse it."
        "Put the certificate of the host first, behind it the one that signed it, and so on.";

    TcpProxyWithoutTls "CTR501" Error
        "A tcpproxy needs TLS, since hosts are told apart by SNI."
        "Set .spec.virtualhost.tls.";
    TcpProxyNothingDefined "CTR502" Error
        "The tcpproxy has neither services nor a delegate."
        "Add services, or delegate to an IngressRoute with a tcpproxy.";
    TcpProxyServicesAndDelegate "CTR503" Error
        "The tcpproxy has both services and a delegate."
        "Keep one of the two.";

    EnvoyRejected "CTR901" Error
        "Envoy rejected what the object was turned into; the last good form stays in force."
        "Change the object; if nothing in it looks wrong, please report it with Envoy's message.";
    TranslationPanicked "CTR902" Error
        "The translation of the object failed by a defect of the controller; the last good form stays in force."
        "Please report it with the object.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        let all: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        let sorted: Vec<_> = all.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(all, sorted);
    }

    #[test]
    fn titles_and_remedies_are_sentences() {
        for code in Code::ALL {
            for text in [code.title(), code.remedy()] {
                assert!(text.ends_with('.') && text.len() > 10, "{code}: {text}");
            }
        }
    }
}
