//! The values of flags, such as `/api=web:80,weight=90;web-green:80,weight=10,timeout=5s`.
//!
//! Text becomes a checked value here, once; what is wrong is told with its place in the value.

mod options;

use std::fmt;
use std::sync::Arc;

use contour_core::api::{Delegate, IngressRouteService, Route, TcpProxy};
use contour_core::ir::PathPrefix;
use contour_core::manifest::nearest;
use contour_core::name::{Fqdn, ObjectName, is_dns_label, is_dns_subdomain};

/// Why a value of a flag cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The character of the value that the fault begins at, counted from 1.
    pub at: usize,
    /// What is wrong, a sentence without a full stop.
    pub what: String,
    /// What was probably meant.
    pub meant: Option<String>,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.what)?;
        match &self.meant {
            Some(meant) => write!(f, "; did you mean {meant:?}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Flaw {}

/// A part of a value, with its place in it.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Word<'a> {
    fn whole(text: &'a str) -> Self {
        Self { text, at: 1 }
    }

    /// The parts between separators.
    fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut at = self.at;
        self.text.split(separator).map(move |text| {
            let word = Self { text, at };
            at += text.chars().count() + 1;
            word
        })
    }

    /// What stands before and after the first separator.
    fn cut(self, separator: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(separator)?;
        let at = self.at + before.chars().count() + 1;
        Some((Self { text: before, at: self.at }, Self { text: after, at }))
    }

    fn flaw(self, what: impl Into<String>) -> Flaw {
        Flaw { at: self.at, what: what.into(), meant: None }
    }

    fn flaw_near<'c>(self, what: impl Into<String>, known: impl Iterator<Item = &'c str>) -> Flaw {
        Flaw { meant: nearest(self.text, known).map(str::to_owned), ..self.flaw(what) }
    }
}

/// A host, such as `shop.example.com`.
///
/// # Errors
/// Says what is wrong, and what the text looks like instead.
pub fn host(text: &str) -> Result<Fqdn, Flaw> {
    let word = Word::whole(text);
    if let Some((scheme, rest)) = text.split_once("://") {
        let bare = rest.split(['/', ':', '?', '#']).next().unwrap_or_default();
        let flaw = word.flaw(format!("a host has no scheme such as {scheme}://"));
        return Err(Flaw { meant: Some(bare.to_owned()).filter(|b| !b.is_empty()), ..flaw });
    }
    Fqdn::parse(text).map_err(|error| {
        let bare = text.split(['/', ':', '?', '#']).next().unwrap_or_default();
        let meant = (bare != text && Fqdn::parse(bare).is_ok()).then(|| bare.to_owned());
        Flaw { meant, ..word.flaw(format!("the host {text:?} {error}")) }
    })
}

/// The name of an object.
///
/// # Errors
/// Says what Kubernetes accepts.
pub fn name(text: &str) -> Result<String, Flaw> {
    if is_dns_subdomain(text) {
        return Ok(text.to_owned());
    }
    let meant = text.to_lowercase().replace(['_', ' '], "-");
    let flaw = Word::whole(text)
        .flaw(format!("{text:?} is no name: use lower-case letters, digits, '-' and '.'"));
    Err(Flaw { meant: is_dns_subdomain(&meant).then_some(meant), ..flaw })
}

/// A path prefix.
///
/// # Errors
/// Says which rule of a prefix it breaks.
pub fn prefix(text: &str) -> Result<Arc<str>, Flaw> {
    read_prefix(Word::whole(text))
}

fn read_prefix(word: Word<'_>) -> Result<Arc<str>, Flaw> {
    let text: Arc<str> = word.text.into();
    PathPrefix::parse(&text).map_err(|error| {
        let slashed = format!("/{text}");
        let fits = PathPrefix::parse(&slashed.as_str().into()).is_ok();
        Flaw {
            meant: (fits && !text.is_empty()).then_some(slashed),
            ..word.flaw(format!("the prefix {text:?} {error}"))
        }
    })?;
    Ok(text)
}

/// `NAME` or `NAMESPACE/NAME` of a Secret.
///
/// # Errors
/// Says what is wrong.
pub fn secret(text: &str) -> Result<Arc<str>, Flaw> {
    read_reference(Word::whole(text), "a Secret").map(|_| text.into())
}

/// `NAME` or `NAMESPACE/NAME`: the namespace is empty if there is none.
///
/// # Errors
/// Says what is wrong.
pub fn reference(text: &str) -> Result<ObjectName, Flaw> {
    read_reference(Word::whole(text), "an IngressRoute")
}

fn read_reference(word: Word<'_>, what: &str) -> Result<ObjectName, Flaw> {
    let (namespace, name) = match word.cut('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, word),
    };
    if let Some(namespace) = namespace.filter(|n| !is_dns_label(n.text)) {
        return Err(namespace.flaw(format!("{:?} is no namespace", namespace.text)));
    }
    if !is_dns_subdomain(name.text) {
        return Err(name.flaw(format!("{:?} is no name of {what}", name.text)));
    }
    Ok(ObjectName::new(namespace.map_or("", |n| n.text), name.text))
}

/// `/prefix=service:port[,OPTION…][;service:port[,OPTION…]…]`.
///
/// # Errors
/// The first fault, with its place.
pub fn route(text: &str) -> Result<Route, Flaw> {
    let whole = Word::whole(text);
    let Some((prefix, rest)) = whole.cut('=') else {
        return Err(whole.flaw("a route is /prefix=service:port"));
    };
    let mut route = Route { prefix: read_prefix(prefix)?, ..Route::default() };
    for part in rest.split(';') {
        let mut words = part.split(',');
        let Some(first) = words.next() else { continue };
        let mut service = read_service(first)?;
        for word in words {
            options::read(word, &mut route, &mut service)?;
        }
        let twice = |s: &IngressRouteService| (&s.name, s.port) == (&service.name, service.port);
        if route.services.iter().any(twice) {
            return Err(first.flaw(format!("{} stands twice in the route", first.text)));
        }
        route.services.push(service);
    }
    options::check(&route, rest)?;
    Ok(route)
}

/// `/prefix=[namespace/]name`.
///
/// # Errors
/// The first fault, with its place.
pub fn delegate(text: &str) -> Result<Route, Flaw> {
    let whole = Word::whole(text);
    let Some((prefix, target)) = whole.cut('=') else {
        return Err(whole.flaw("a delegation is /prefix=namespace/name"));
    };
    let prefix = read_prefix(prefix)?;
    let target = read_reference(target, "an IngressRoute")?;
    let namespace = (!target.namespace.is_empty()).then_some(target.namespace);
    let delegate = Some(Delegate { name: target.name, namespace });
    Ok(Route { prefix, delegate, ..Route::default() })
}

/// `service:port[;service:port…]` behind a TCP proxy.
///
/// # Errors
/// The first fault, with its place.
pub fn tcp_proxy(text: &str) -> Result<TcpProxy, Flaw> {
    let mut services = Vec::new();
    for part in Word::whole(text).split(';') {
        let mut words = part.split(',');
        let Some(first) = words.next() else { continue };
        let mut service = read_service(first)?;
        for word in words {
            options::read_tcp(word, &mut service)?;
        }
        services.push(service);
    }
    Ok(TcpProxy { services, delegate: None })
}

/// `service:port`.
///
/// # Errors
/// The first fault, with its place.
pub fn service(text: &str) -> Result<IngressRouteService, Flaw> {
    read_service(Word::whole(text))
}

fn read_service(word: Word<'_>) -> Result<IngressRouteService, Flaw> {
    let Some((name, port)) = word.cut(':') else {
        let what = if word.text.is_empty() {
            "a service is missing: write service:port".to_owned()
        } else {
            format!("{:?} names no port: write {}:80", word.text, word.text)
        };
        return Err(word.flaw(what));
    };
    if !is_dns_label(name.text) {
        let meant = name.text.to_lowercase().replace('_', "-");
        let flaw = name.flaw(format!("{:?} is no name of a Service", name.text));
        return Err(Flaw { meant: is_dns_label(&meant).then_some(meant), ..flaw });
    }
    let number = port.text.parse::<u16>().ok().filter(|port| *port > 0);
    let Some(number) = number else {
        let text = port.text;
        return Err(port.flaw(format!("the port {text:?} is no number from 1 to 65535")));
    };
    Ok(IngressRouteService {
        name: name.text.into(),
        port: number.into(),
        ..IngressRouteService::default()
    })
}

#[cfg(test)]
mod tests;
