//! The options of a route and of its services: `,NAME[=VALUE]` after a service.

use contour_core::api::{
    HealthCheck, IngressRouteService, RetryPolicy, Route, TimeoutPolicy, UpstreamValidation,
};
use contour_core::lower::go_duration;
use contour_core::name::Fqdn;

use super::{Flaw, Word, read_prefix, read_reference};

/// The options of a route.
const ROUTE: [&str; 6] =
    ["websocket", "permit-insecure", "prefix-rewrite", "timeout", "retries", "try-timeout"];

/// The options of a single service.
const SERVICE: [&str; 6] =
    ["weight", "strategy", "health-path", "health-host", "ca-secret", "subject-name"];

/// The strategies that a route of HTTP may name.
const STRATEGIES: [&str; 4] = ["RoundRobin", "WeightedLeastRequest", "Random", "Cookie"];

/// The largest weight.
const WEIGHT_MAX: i64 = 1_000_000;

/// Sets one option of a route or of the service that it stands behind.
pub(super) fn read(
    word: Word<'_>,
    route: &mut Route,
    service: &mut IngressRouteService,
) -> Result<(), Flaw> {
    let (name, value) = parts(word);
    match name.text {
        "websocket" => route.enable_websockets = flag(name, value)?,
        "permit-insecure" => route.permit_insecure = flag(name, value)?,
        "prefix-rewrite" => route.prefix_rewrite = Some(read_prefix(needed(name, value)?)?),
        "timeout" => {
            let request = Some(duration(needed(name, value)?, true)?.into());
            route.timeout_policy = Some(TimeoutPolicy { request });
        }
        "retries" => {
            let count = number(needed(name, value)?, 100)?;
            route.retry_policy.get_or_insert_with(RetryPolicy::default).count = count;
        }
        "try-timeout" => {
            let time = duration(needed(name, value)?, false)?;
            let retries =
                route.retry_policy.get_or_insert(RetryPolicy { count: 1, per_try_timeout: None });
            retries.per_try_timeout = Some(time.into());
        }
        _ => {
            if !of_service(name, value, service)? {
                let known = ROUTE.into_iter().chain(SERVICE);
                return Err(name.flaw_near(unknown(name), known));
            }
        }
    }
    Ok(())
}

/// Sets one option of a service behind a TCP proxy.
pub(super) fn read_tcp(word: Word<'_>, service: &mut IngressRouteService) -> Result<(), Flaw> {
    let (name, value) = parts(word);
    if name.text == "weight" && of_service(name, value, service)? {
        return Ok(());
    }
    Err(name.flaw_near(unknown(name), ["weight"].into_iter()))
}

/// What can only be judged once the route is whole. `rest` is what stands behind its prefix.
pub(super) fn check(route: &Route, rest: Word<'_>) -> Result<(), Flaw> {
    for service in &route.services {
        if let Some(check) = service.health_check.as_ref().filter(|check| check.path.is_empty()) {
            let host = check.host.as_deref().unwrap_or_default();
            return Err(rest.flaw(format!("health-host={host} needs health-path")));
        }
        if let Some(validation) = &service.validation
            && (validation.ca_secret.is_empty() || validation.subject_name.is_empty())
        {
            return Err(rest.flaw("ca-secret and subject-name need each other"));
        }
    }
    Ok(())
}

/// Whether it is an option of a service, which is then set.
fn of_service(
    name: Word<'_>,
    value: Option<Word<'_>>,
    service: &mut IngressRouteService,
) -> Result<bool, Flaw> {
    match name.text {
        "weight" => service.weight = Some(number(needed(name, value)?, WEIGHT_MAX)?),
        "strategy" => {
            let value = needed(name, value)?;
            let known = STRATEGIES.iter().find(|s| s.eq_ignore_ascii_case(value.text));
            let Some(known) = known else {
                let what = format!("{:?} is no strategy", value.text);
                return Err(value.flaw_near(what, STRATEGIES.into_iter()));
            };
            service.strategy = Some((*known).into());
        }
        "health-path" => {
            let path = read_prefix(needed(name, value)?)?;
            service.health_check.get_or_insert_with(HealthCheck::default).path = path;
        }
        "health-host" => {
            let host = Some(fqdn(needed(name, value)?)?.into());
            service.health_check.get_or_insert_with(HealthCheck::default).host = host;
        }
        "ca-secret" => {
            let value = needed(name, value)?;
            read_reference(value, "a Secret")?;
            let validation = service.validation.get_or_insert_with(UpstreamValidation::default);
            validation.ca_secret = value.text.into();
        }
        "subject-name" => {
            let subject = fqdn(needed(name, value)?)?;
            let validation = service.validation.get_or_insert_with(UpstreamValidation::default);
            validation.subject_name = subject.into();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn parts(word: Word<'_>) -> (Word<'_>, Option<Word<'_>>) {
    match word.cut('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    }
}

fn unknown(name: Word<'_>) -> String {
    if name.text.is_empty() {
        "an option is missing behind the comma".to_owned()
    } else {
        format!("{:?} is no option here", name.text)
    }
}

fn needed<'a>(name: Word<'a>, value: Option<Word<'a>>) -> Result<Word<'a>, Flaw> {
    value.filter(|value| !value.text.is_empty()).ok_or_else(|| {
        let what = name.text;
        name.flaw(format!("{what} needs a value: {what}=…"))
    })
}

/// An option without value, which may be said to be `true` or `false`.
fn flag(name: Word<'_>, value: Option<Word<'_>>) -> Result<bool, Flaw> {
    match value {
        None | Some(Word { text: "true", .. }) => Ok(true),
        Some(Word { text: "false", .. }) => Ok(false),
        Some(other) => Err(other.flaw(format!("{} takes no value", name.text))),
    }
}

fn number(value: Word<'_>, most: i64) -> Result<i64, Flaw> {
    let number = value.text.parse::<i64>().ok().filter(|n| (0..=most).contains(n));
    number.ok_or_else(|| value.flaw(format!("{:?} is no number from 0 to {most}", value.text)))
}

fn duration(value: Word<'_>, infinite: bool) -> Result<&str, Flaw> {
    if go_duration(value.text).is_some() || (infinite && value.text == "infinity") {
        return Ok(value.text);
    }
    let seconds = value.text.parse::<u32>().ok().map(|n| format!("{n}s"));
    let what = format!("{:?} is no time such as 30s, 1m30s or 500ms", value.text);
    Err(Flaw { meant: seconds, ..value.flaw(what) })
}

fn fqdn(value: Word<'_>) -> Result<&str, Flaw> {
    match Fqdn::parse(value.text) {
        Ok(_) => Ok(value.text),
        Err(error) => Err(value.flaw(format!("{:?} {error}", value.text))),
    }
}
