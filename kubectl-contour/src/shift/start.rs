//! Beginning a shift: what it would do, whether it can, and whether it is wanted.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use contour_core::api::IngressRoute;
use contour_core::manifest::nearest;
use contour_core::name::ObjectRef;
use contour_core::observe::meter::Meter;
use contour_core::shift::Note;
use contour_core::shift::machine::{Action, Live, Machine};
use contour_core::shift::state::{Charter, State};
use contour_core::shift::weights::{Lever, Service};
use serde_json::{Value, json};

use super::args::{DriveFlags, Format, PlaceFlags, PlanOnlyArgs, RouteFlags, StartArgs};
use super::lease::Hold;
use super::plan::PlanArgs;
use super::preflight;
use super::session::{self, Aim, Session, release, yaml};
use super::target::{Found, Named, Target};
use super::{group, show};
use crate::failure::{Failure, Kind, write_stderr};
use crate::finding::{Finding, Level};
use crate::output::{ColorChoice, Manner, Palette, confirm, confirm_by};

/// How long traffic is counted to say how much a shift is about.
const COUNT: Duration = Duration::from_secs(1);

/// Everything that is known before a shift begins.
pub(super) struct Prepared {
    pub(super) target: Arc<Target>,
    pub(super) object: ObjectRef,
    found: Found,
    charter: Charter,
    findings: Vec<Finding>,
    /// Requests a second on the routes that are shifted; unset if nothing is counted.
    rate: Option<u64>,
}

/// `shift plan`.
pub async fn plan(args: PlanOnlyArgs, place: &PlaceFlags, manner: Manner) -> Result<(), Failure> {
    args.plan.check()?;
    let target = Arc::new(super::target(place, &args.cluster).await?);
    let names = names(&target, &args.routes, &args.plan).await?;
    for name in &names {
        let prepared = prepare(&target, name, &args.plan, "").await?;
        prepared.print(args.output, manner)?;
        prepared.judge(false)?;
    }
    Ok(())
}

/// `shift start`.
pub async fn run(args: StartArgs, place: &PlaceFlags, manner: Manner) -> Result<(), Failure> {
    let drive = &args.drive;
    args.plan.check()?;
    let target = Arc::new(super::target(place, &args.cluster).await?);
    let names = names(&target, &args.routes, &args.plan).await?;
    let mut all = Vec::new();
    for name in &names {
        all.push(prepare(&target, name, &args.plan, &drive.reason).await?);
    }
    if args.dry_run {
        for prepared in &all {
            prepared.print(drive.output, manner)?;
            prepared.judge(args.force)?;
        }
        // As kubectl diff: a change is 1.
        return Err(Failure::silent(Kind::Error));
    }
    begin(all, drive, args.force, manner).await
}

/// The routes that are meant: those named, or all that have both services.
async fn names(
    target: &Target,
    routes: &RouteFlags,
    plan: &PlanArgs,
) -> Result<Vec<String>, Failure> {
    if !routes.all_routes {
        return Ok(routes.routes.clone());
    }
    let has = |route: &IngressRoute| {
        let service = |name: &str| preflight::service(route, name, "").ok();
        let ends = service(&plan.from).zip(service(&plan.to));
        ends.is_some_and(|(from, to)| preflight::is_between(route, &from, &to))
    };
    let found = target.routes().await?;
    let names: Vec<_> = found
        .iter()
        .filter(|route| has(route))
        .map(|route| route.metadata.name.to_string())
        .collect();
    if names.is_empty() {
        let message = format!("no route has both {} and {}", plan.from, plan.to);
        return Err(Failure::new(Kind::Shift(7), message).with_hint("-n names another namespace"));
    }
    Ok(names)
}

/// Shows what is about to be done, asks, and does it.
pub(super) async fn begin(
    all: Vec<Prepared>,
    drive: &DriveFlags,
    force: bool,
    manner: Manner,
) -> Result<(), Failure> {
    let palette = Palette::new(manner.color.on_stderr());
    for prepared in all.iter().filter(|_| !manner.quiet) {
        write_stderr(&prepared.text(palette));
    }
    for prepared in &all {
        prepared.judge(force)?;
    }
    agree(&all, drive.yes, force).await?;
    let mut begun: Vec<Begun> = Vec::new();
    for prepared in all {
        match prepared.hold(drive.take_over).await {
            Ok(one) => begun.push(one),
            // All of them, or none.
            Err(failure) => {
                for one in begun {
                    release(one.hold.guard, None).await;
                }
                return Err(failure);
            }
        }
    }
    if begun.len() > 1 {
        return group::drive(begun, drive, manner).await;
    }
    let Some(Begun { target, object, hosts, first, hold }) = begun.pop() else { return Ok(()) };
    Session {
        target: &target,
        object: &object,
        hosts,
        begun: first,
        hold,
        flags: drive,
        manner,
        aim: Aim::Arrive,
    }
    .drive()
    .await
}

/// A shift whose first write is about to be made.
pub(super) struct Begun {
    pub(super) target: Arc<Target>,
    pub(super) object: ObjectRef,
    pub(super) hosts: Vec<String>,
    pub(super) first: (Machine, Vec<Action>),
    pub(super) hold: Hold,
}

/// Asks, unless the flags answer.
async fn agree(all: &[Prepared], yes: bool, force: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let has_errors = |one: &Prepared| one.findings.iter().any(|f| f.level == Level::Error);
    let answer = match all.iter().find(|one| force && has_errors(one)) {
        Some(one) => confirm_by("The preflight has errors.", &one.object.name.name).await,
        None if all.len() > 1 => confirm(&format!("Begin these {} shifts?", all.len())).await,
        None => confirm("Begin this shift?").await,
    };
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(Kind::Cancelled, "not begun")),
        None => Err(Failure::new(Kind::Usage, "nobody can be asked whether to begin")
            .with_hint("add --yes")),
    }
}

/// Whether another shift is not over.
fn running(object: &ObjectRef, live: &Live, target: &Target) -> Result<(), Failure> {
    let Some(text) = &live.annotation else { return Ok(()) };
    let state = State::read(text)
        .map_err(|error| Failure::new(Kind::Shift(7), format!("{object}: {error}")))?;
    if state.is_spent(&live.uid) {
        return Ok(());
    }
    let phase = state.progress.phase.name();
    let (operator, share) = (state.progress.holder.as_str(), show::share(&state));
    let message =
        format!("{object} is being shifted already: {phase} at {share}, last driven by {operator}");
    let command = |verb: &str| target.command(verb, object);
    Err(Failure::new(Kind::Conflict, message).with_hint(format!(
        "{} goes on with it; {} ends it and leaves the weights; {} moves all traffic back",
        command("resume"),
        command("abort"),
        command("rollback")
    )))
}

/// The hosts that a route is for, as far as it says so itself.
pub(super) fn hosts(route: &IngressRoute) -> Vec<String> {
    route.spec.virtualhost.iter().map(|host| host.fqdn.to_string()).collect()
}

/// Reads an object, or says which was probably meant.
pub(super) async fn find(target: &Target, name: &str) -> Result<(ObjectRef, Found), Failure> {
    let object = target.object(name);
    if let Some(found) = target.read(&object).await? {
        return Ok((object, found));
    }
    let routes = target.routes().await.unwrap_or_default();
    let names: Vec<&str> = routes.iter().map(|route| &*route.metadata.name).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => {
            format!(
                "there is no IngressRoute in {}; -n names another namespace",
                object.name.namespace
            )
        }
        None => format!("there are {}", names.join(", ")),
    };
    Err(Failure::new(Kind::Shift(7), format!("there is no {object}")).with_hint(hint))
}

/// Finds out all that is to be known before a shift begins.
pub(super) async fn prepare(
    target: &Arc<Target>,
    name: &str,
    plan: &PlanArgs,
    reason: &str,
) -> Result<Prepared, Failure> {
    let named = Named::parse(name)?;
    let policy = plan.policy()?;
    if policy.deadman.is_some()
        && let Target::Files(_) = &**target
    {
        let message = "--deadman needs a cluster, whose controller acts without this client";
        return Err(Failure::new(Kind::Usage, message).with_hint("leave it out for files"));
    }
    let (object, found) = find(target, &named.name).await?;
    let from = preflight::service(&found.route, &plan.from, "--from")?;
    let to = preflight::service(&found.route, &plan.to, "--to")?;
    let steps = plan.steps.plan_beyond(preflight::share(&found.route, &from, &to))?;
    let scale = plan.steps.normalize;
    let places =
        preflight::levers(&found.route, named.place.as_deref(), (&from, &to), &steps, scale)?;
    let heard = target.hear(&object).await;
    let findings = preflight::look(target, &found, &heard, (&from, &to)).await;
    let now = target.now();
    let deadline = plan.rules.deadline.map(|limit| {
        let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        contour_core::api::Timestamp::from_unix(now.unix().saturating_add(seconds))
    });
    let rate = count(target, &object, &places, (&from, &to), heard).await;
    let operator = match &**target {
        Target::Kubernetes(kubernetes) if !kubernetes.user().is_empty() => {
            Note::new(kubernetes.user())
        }
        Target::Kubernetes(_) | Target::Files(_) => target.holder().clone(),
    };
    let charter = Charter {
        id: Note::new(&format!("{:x}{:06x}", now.unix(), fastrand::u32(..0x0100_0000))),
        uid: found.live.uid.clone(),
        plan: steps,
        policy,
        places,
        operator,
        reason: Note::new(reason),
        deadline,
        tool: Note::new(env!("CARGO_PKG_VERSION")),
    };
    Ok(Prepared { target: Arc::clone(target), object, found, charter, findings, rate })
}

/// How many requests a second the routes have now.
async fn count(
    target: &Target,
    object: &ObjectRef,
    places: &[Lever],
    (from, to): (&Service, &Service),
    before: super::target::Heard,
) -> Option<u64> {
    let first = before.reports.first()?.unix_millis;
    tokio::time::sleep(COUNT).await;
    let after = target.hear(object).await;
    let last = after.reports.first()?.unix_millis;
    let mut meter = Meter::new(places.iter().map(|lever| lever.place().clone()).collect());
    for report in before.reports.iter().chain(&after.reports) {
        meter.take(report);
    }
    let requests = meter.sum(from).requests.saturating_add(meter.sum(to).requests);
    requests.saturating_mul(1000).checked_div(last.saturating_sub(first))
}

impl Prepared {
    fn ends(&self) -> Option<(&Service, &Service)> {
        self.charter.places.first()?.ends()
    }

    /// Whether it may begin.
    fn judge(&self, force: bool) -> Result<(), Failure> {
        let errors = || self.findings.iter().filter(|f| f.level == Level::Error);
        let count = errors().count();
        let Some(first) = errors().next().filter(|_| !force) else { return Ok(()) };
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        let remedy =
            if first.hint.is_empty() { String::new() } else { format!("{}\n", first.hint) };
        let message = format!("the shift cannot begin: {}{more}", first.message);
        Err(Failure::new(Kind::Shift(7), message)
            .with_hint(format!("{remedy}shift plan shows all of it; --force begins all the same")))
    }

    /// Keeps others out, and makes the machine.
    async fn hold(self, take_over: bool) -> Result<Begun, Failure> {
        let Self { target, object, found, charter, .. } = self;
        running(&object, &found.live, &target)?;
        let hold = target.hold(&object, take_over).await?;
        let start = |holder, live: &Live| Machine::start(holder, charter, live, target.now());
        let (hold, first) = session::begin(&target, &object, hold, start).await?;
        let hosts = hosts(&found.route);
        Ok(Begun { target, object, hosts, first, hold })
    }

    fn print(&self, format: Format, manner: Manner) -> Result<(), Failure> {
        let text = match format {
            Format::Text => self.text(Palette::new(manner.color.on_stdout())),
            Format::Json => serde_json::to_string_pretty(&self.json())?,
            Format::Ndjson => self.json().to_string(),
            Format::Yaml => yaml(&self.json())?,
        };
        let mut printer =
            crate::output::Printer::new(crate::output::Format::Text, ColorChoice::Never, false);
        // Whoever closes the output has seen enough.
        let _closed = printer.lines(text.trim_end());
        Ok(())
    }

    fn text(&self, palette: Palette) -> String {
        let mut out = String::new();
        let ends = self.ends().map_or_else(String::new, |(from, to)| format!("{from} -> {to}"));
        let (namespace, name) = (&self.object.name.namespace, &self.object.name.name);
        let hosts = match &self.found.route.spec.virtualhost {
            Some(host) => format!(" ({})", host.fqdn),
            None => String::new(),
        };
        let title = format!("{namespace}/{name}{hosts} at {}: {ends}", self.target.place());
        // Writing to a String cannot fail.
        let _unused = writeln!(out, "{}", palette.strong(&title));
        let traffic = match self.rate {
            Some(rate) => format!("{rate} requests a second now"),
            None => "how much traffic it has is not known".to_owned(),
        };
        let _unused = writeln!(out, "  {traffic}");
        for lever in &self.charter.places {
            let _unused = writeln!(out, "  {}", lever.place());
            let _unused = writeln!(out, "    {:<8} {}", "now", lever.baseline().words());
            for step in self.charter.plan.steps() {
                let pause = if step.pause { ", then waits for you" } else { "" };
                let percent = step.percent.to_string();
                let _unused = writeln!(
                    out,
                    "    {percent:<8} {}, looked at for {}{pause}",
                    lever.at(step.percent).words(),
                    show::time(step.bake)
                );
            }
        }
        for finding in &self.findings {
            let word = match finding.level {
                Level::Fine => palette.good("ok     "),
                Level::Warning => palette.strong("warning"),
                Level::Error => palette.bad("error  "),
            };
            let _unused = writeln!(out, "  {word} {}: {}", finding.check, finding.message);
            if finding.level != Level::Fine && !finding.hint.is_empty() {
                let _unused = writeln!(out, "          {}", palette.faint(&finding.hint));
            }
        }
        out
    }

    fn json(&self) -> Value {
        let state =
            State::new(self.charter.clone(), self.target.holder().clone(), self.target.now());
        let steps = |lever: &Lever| -> Vec<Value> {
            let steps = self.charter.plan.steps().iter();
            steps
                .map(|step| {
                    json!({
                        "percent": step.percent.to_string(),
                        "weights": lever.at(step.percent).words(),
                    })
                })
                .collect()
        };
        let places = self
            .charter
            .places
            .iter()
            .map(|lever| json!({"place": lever.place().to_string(), "steps": steps(lever)}));
        json!({
            "shift": show::json(&self.object, &state, None, None),
            "changes": places.collect::<Vec<_>>(),
            "requestsPerSecond": self.rate,
            "preflight": self.findings.iter().map(preflight::json).collect::<Vec<_>>(),
        })
    }
}
