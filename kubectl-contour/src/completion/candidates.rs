//! What a word may become, given what there is: no cluster is asked here.

use contour_core::top::View;
use contour_deploy::{Profile, Values, described_values};
use serde_json::Value;

/// What a word may become.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// The whole word.
    pub(super) value: String,
    /// What that is, in a few words.
    pub(super) description: String,
}

impl Candidate {
    pub(super) fn new(value: impl Into<String>, description: impl Into<String>) -> Self {
        Self { value: value.into(), description: description.into() }
    }

    /// The same behind what is typed already.
    pub(super) fn behind(&self, typed: &str) -> Self {
        Self::new(format!("{typed}{}", self.value), self.description.clone())
    }

    /// As kubectl reads it. Others may have written it: what is not printed has no place in it.
    pub(super) fn line(&self) -> String {
        let printed = |text: &str| text.replace(|c: char| c.is_control(), " ");
        let value = printed(&self.value);
        let description = printed(self.description.lines().next().unwrap_or_default());
        if description.is_empty() { value } else { format!("{value}\t{description}") }
    }
}

/// What can stand behind a comma of a route.
const OPTIONS: [(&str, &str); 13] = [
    ("weight=", "share of the traffic"),
    ("strategy=RoundRobin", "one after the other"),
    ("strategy=WeightedLeastRequest", "the endpoint with the fewest requests"),
    ("strategy=Random", "any endpoint"),
    ("strategy=Cookie", "a client stays with its endpoint"),
    ("health-path=/", "ask each endpoint for this path"),
    ("health-host=", "the Host header of those requests"),
    ("ca-secret=", "the CA of the upstream's certificate"),
    ("subject-name=", "the name in the upstream's certificate"),
    ("websocket", "clients may upgrade to WebSocket"),
    ("prefix-rewrite=/", "replace the prefix before the request goes upstream"),
    ("timeout=", "time for the whole answer"),
    ("retries=", "try again so often on 5xx"),
];

/// `/prefix=SERVICE:PORT,OPTION;SERVICE:PORT`, of services `NAME:PORT`.
pub(super) fn route(typed: &str, services: &[Candidate]) -> Vec<Candidate> {
    match prefix(typed) {
        Some((head, tail)) => behind(&head, backends(tail, services)),
        None => Vec::new(),
    }
}

/// `/prefix=` of something that may have only its beginning typed yet, and what follows it.
fn prefix(typed: &str) -> Option<(String, &str)> {
    if let Some((prefix, tail)) = typed.split_once('=') {
        return Some((format!("{prefix}="), tail));
    }
    match typed {
        "" => Some(("/=".to_owned(), "")),
        _ if typed.starts_with('/') => Some((format!("{typed}="), "")),
        _ => None,
    }
}

/// `SERVICE:PORT,OPTION;SERVICE:PORT`.
pub(super) fn backends(typed: &str, services: &[Candidate]) -> Vec<Candidate> {
    let (done, last) = split_behind(typed, ';');
    let (before, option) = split_behind(last, ',');
    if before.is_empty() {
        return behind(done, services.to_vec());
    }
    let options = OPTIONS.map(|(value, description)| Candidate::new(value, description));
    let matching = options.into_iter().filter(|candidate| candidate.value.starts_with(option));
    behind(&format!("{done}{before}"), matching.collect())
}

/// `/prefix=NAME` or `/prefix=NAMESPACE/NAME`, where `list` knows the names of a namespace.
pub(super) fn delegation(
    typed: &str,
    list: impl FnOnce(Option<&str>) -> Vec<Candidate>,
) -> Vec<Candidate> {
    match prefix(typed) {
        Some((head, tail)) => behind(&head, qualified(tail, list)),
        None => Vec::new(),
    }
}

/// `NAME` or `NAMESPACE/NAME`.
pub(super) fn qualified(
    typed: &str,
    list: impl FnOnce(Option<&str>) -> Vec<Candidate>,
) -> Vec<Candidate> {
    match typed.split_once('/') {
        Some((namespace, _)) => behind(&format!("{namespace}/"), list(Some(namespace))),
        None => list(None),
    }
}

/// `NAMESPACE/`, of the namespaces.
pub(super) fn namespaces_to_go_on(namespaces: &[Candidate]) -> Vec<Candidate> {
    let open = |candidate: &Candidate| {
        Candidate::new(format!("{}/", candidate.value), candidate.description.clone())
    };
    namespaces.iter().map(open).collect()
}

/// The names of services `NAME:PORT`, each once, with their ports.
pub(super) fn names(services: &[Candidate]) -> Vec<Candidate> {
    let mut names: Vec<Candidate> = Vec::new();
    for service in services {
        let Some((name, port)) = service.value.rsplit_once(':') else { continue };
        match names.last_mut().filter(|last| last.value == name) {
            Some(last) => last.description = format!("{}, {port}", last.description),
            None => names.push(Candidate::new(name, format!("port {port}"))),
        }
    }
    names
}

/// The profiles of an installation.
pub(super) fn profiles() -> Vec<Candidate> {
    Profile::ALL.iter().map(|profile| Candidate::new(profile.name(), profile.summary())).collect()
}

/// `PATH=VALUE,PATH=VALUE` of the values of an installation.
pub(super) fn value(typed: &str) -> Vec<Candidate> {
    let (done, last) = split_behind(typed, ',');
    let Some((path, _)) = last.split_once('=') else {
        let all = described_values().into_iter();
        let open = all.map(|(path, meaning)| Candidate::new(format!("{path}="), meaning));
        return behind(done, open.collect());
    };
    let defaults = Values::default().to_value();
    let choices: Vec<_> = match defaults.pointer(&format!("/{}", path.replace('.', "/"))) {
        Some(Value::Bool(default)) => [true, false]
            .map(|value| (value.to_string(), if value == *default { "the default" } else { "" }))
            .into(),
        Some(Value::Number(number)) => vec![(number.to_string(), "the default")],
        Some(Value::String(text)) if !text.is_empty() => vec![(text.clone(), "the default")],
        _ => Vec::new(),
    };
    let whole = |(value, description)| Candidate::new(format!("{path}={value}"), description);
    behind(done, choices.into_iter().map(whole).collect())
}

/// The text up to the last of a character, with it, and what follows.
fn split_behind(text: &str, character: char) -> (&str, &str) {
    let at = text.rfind(character).map_or(0, |at| at + character.len_utf8());
    text.split_at_checked(at).unwrap_or(("", text))
}

fn behind(typed: &str, candidates: Vec<Candidate>) -> Vec<Candidate> {
    if typed.is_empty() {
        return candidates;
    }
    candidates.iter().map(|candidate| candidate.behind(typed)).collect()
}

/// Columns of a view: the last of several behind commas, with a sign before it if there is one.
pub(super) fn columns(typed: &str, view: View) -> Vec<Candidate> {
    let begun = typed.rfind([',', '-']).map_or(0, |at| at + 1);
    let before = typed.get(..begun).unwrap_or_default();
    let columns = view.columns().iter();
    columns.map(|column| Candidate::new(format!("{before}{}", column.name), column.help)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services() -> Vec<Candidate> {
        [("blue:80", "http"), ("blue:443", "https"), ("green:80", "")]
            .map(|(value, description)| Candidate::new(value, description))
            .into()
    }

    fn values(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|candidate| candidate.value.as_str()).collect()
    }

    #[test]
    fn columns_are_completed_behind_commas_and_signs() {
        for (typed, expected) in
            [("", "namespace"), ("service,", "service,namespace"), ("-", "-namespace")]
        {
            let offered = columns(typed, View::Upstreams);
            assert_eq!(values(&offered).first(), Some(&expected), "{typed}");
            assert_eq!(offered.len(), View::Upstreams.columns().len());
        }
    }

    #[test]
    fn routes_are_completed_piece_by_piece() {
        for (typed, expected) in [
            ("", &["/=blue:80", "/=blue:443", "/=green:80"][..]),
            ("/api", &["/api=blue:80", "/api=blue:443", "/api=green:80"]),
            ("/=gr", &["/=blue:80", "/=blue:443", "/=green:80"]),
            ("/=blue:80,w", &["/=blue:80,weight=", "/=blue:80,websocket"]),
            (
                "/=blue:80,retries=1,str",
                &[
                    "/=blue:80,retries=1,strategy=RoundRobin",
                    "/=blue:80,retries=1,strategy=WeightedLeastRequest",
                    "/=blue:80,retries=1,strategy=Random",
                    "/=blue:80,retries=1,strategy=Cookie",
                ],
            ),
            (
                "/=blue:80,weight=9;",
                &[
                    "/=blue:80,weight=9;blue:80",
                    "/=blue:80,weight=9;blue:443",
                    "/=blue:80,weight=9;green:80",
                ],
            ),
            ("api", &[]),
        ] {
            assert_eq!(values(&route(typed, &services())), expected, "{typed:?}");
        }
        let tcp = backends("blue:443;g", &services());
        assert_eq!(values(&tcp), ["blue:443;blue:80", "blue:443;blue:443", "blue:443;green:80"]);
    }

    #[test]
    fn names_may_be_of_other_namespaces() {
        let list = |namespace: Option<&str>| {
            let name = format!("of-{}", namespace.unwrap_or("mine"));
            vec![Candidate::new(name, "")]
        };
        assert_eq!(values(&qualified("o", list)), ["of-mine"]);
        assert_eq!(values(&qualified("shop/o", list)), ["shop/of-shop"]);
        assert_eq!(values(&delegation("/a", list)), ["/a=of-mine"]);
        assert_eq!(values(&delegation("/a=team/", list)), ["/a=team/of-team"]);
        assert_eq!(values(&delegation("a", list)), Vec::<&str>::new());
        let names = names(&services());
        assert_eq!(
            names,
            [Candidate::new("blue", "port 80, 443"), Candidate::new("green", "port 80")]
        );
    }

    #[test]
    fn values_of_an_installation_are_known() {
        let all = value("");
        let replicas = all.iter().find(|c| c.value == "contour.replicas=").unwrap();
        assert!(!replicas.description.is_empty());
        assert_eq!(values(&value("contour.replicas=")), ["contour.replicas=2"]);
        let second = value("contour.replicas=3,con");
        assert!(values(&second).contains(&"contour.replicas=3,contour.replicas="), "{second:?}");
        let flag = value("namespace.create=");
        assert_eq!(values(&flag), ["namespace.create=true", "namespace.create=false"]);
        assert_eq!(value("nothing.of.this="), []);
    }

    #[test]
    fn what_others_wrote_cannot_break_the_line() {
        let hostile = Candidate::new("a\tb\nc", "first\x1b[2J\tline\nsecond");
        assert_eq!(hostile.line(), "a b c\tfirst [2J line");
        assert_eq!(Candidate::new("a", "").line(), "a");
    }
}
