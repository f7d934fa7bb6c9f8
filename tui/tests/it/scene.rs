//! Shifts to look at, and screens as text.

use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::name::{Kind, ObjectRef};
use contour_core::shift::Note;
use contour_core::shift::gate::{Finding, Gate, Health, Quantile, Verdict};
use contour_core::shift::machine::{Counts, Fleet, Live, Observation, Outcome, Split};
use contour_core::shift::percent::Percent;
use contour_core::shift::plan::{Plan, Schedule, Settings};
use contour_core::shift::state::{Charter, Phase, Policy, Share, State};
use contour_core::shift::weights::{Lever, Place, Scale, Service, Weights};
use contour_tui::key::Key;
use contour_tui::shift::{Event, Judged, Model, Severity, Snapshot, update, view};
use contour_tui::theme::{Charset, Palette, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

/// 2026-05-04T14:00:00Z.
const BEGIN: i64 = 1_777_903_200;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(BEGIN + seconds)
}

pub(crate) fn note(text: &str) -> Note {
    Note::new(text)
}

pub(crate) fn percent(whole: u16) -> Percent {
    Percent::whole(whole).unwrap()
}

fn service(name: &str) -> Service {
    Service { name: name.into(), port: 80 }
}

/// Routes with these prefixes: the first two services move, the third does not.
fn levers(prefixes: &[&str], names: [&str; 3], plan: &Plan) -> Vec<Lever> {
    let weights = [Some(90), Some(0), Some(10)];
    let lever = |prefix: &&str| {
        let services = names.map(service).into_iter().zip(weights);
        let weights = Weights::new(Place::Route((*prefix).into()), services).unwrap();
        let (from, to) = (service(names[0]), service(names[1]));
        Lever::new(weights, &from, &to, Scale::Exact, &plan.percents()).unwrap()
    };
    prefixes.iter().map(lever).collect()
}

const NAMES: [&str; 3] = ["shop-blue", "shop-green", "shop-old"];

fn charter(prefixes: &[&str], names: [&str; 3]) -> Charter {
    let settings = Settings {
        bake: Duration::from_mins(5),
        initial_delay: Duration::from_secs(30),
        pause_at: vec![percent(50)],
        ..Settings::of(Schedule::parse_steps("1,5,25,50,100").unwrap())
    };
    let plan = Plan::new(&settings).unwrap();
    Charter {
        id: note("shift-1"),
        uid: note("uid-1"),
        places: levers(prefixes, names, &plan),
        plan,
        policy: Policy {
            gates: vec![
                Gate::SuccessRate(percent(99)),
                Gate::Latency(Quantile::P99, 500),
                Gate::ErrorRateDelta(percent(1)),
            ],
            ..Policy::default()
        },
        operator: note("ann@laptop"),
        reason: note("CHG-123"),
        deadline: None,
        tool: note("test"),
    }
}

fn snapshot_of(charter: Charter) -> Snapshot {
    Snapshot {
        object: ObjectRef::new(Kind::IngressRoute, "shop", "web"),
        location: "context prod, cluster eu-1".to_owned(),
        hosts: vec!["shop.example.com".to_owned(), "www.shop.example.com".to_owned()],
        state: State::new(charter, note("ann@laptop/4711"), at(0)),
        observation: None,
        baked: Duration::ZERO,
        windows: Vec::new(),
        outcome: None,
        now: at(0),
    }
}

/// A shift that has come to this share and phase ten seconds ago, with everything in order.
pub(crate) fn snapshot(share: Share, phase: Phase) -> Snapshot {
    let mut snapshot = snapshot_of(charter(&["/", "/api"], NAMES));
    put(&mut snapshot, share, phase);
    snapshot
}

pub(crate) fn put(snapshot: &mut Snapshot, share: Share, phase: Phase) {
    (snapshot.state.progress.share, snapshot.state.progress.phase) = (share, phase);
    snapshot.state.progress.since = at(600);
    snapshot.now = at(610);
    snapshot.observation = Some(seen(&snapshot.state));
}

fn seen(state: &State) -> Observation {
    let live = Live {
        uid: note("uid-1"),
        version: note("81"),
        generation: 8,
        weights: state.weights(),
        annotation: None,
    };
    Observation {
        live: Some(live),
        fleet: Some(Fleet {
            generation: 8,
            connected: 3,
            acknowledged: 3,
            since: None,
            waiting: Vec::new(),
        }),
        counts: Counts::Running,
        from: Some(Health { healthy: 3, ejected: 0 }),
        to: Some(Health { healthy: 2, ejected: 0 }),
        split: Some(Split { begin: at(601), from: 9234, to: 3111 }),
        active: None,
    }
}

fn finding(verdict: Verdict, words: &str) -> Finding {
    Finding { verdict, words: words.to_owned() }
}

/// A window in which all gates pass.
fn good(success: u16) -> Judged {
    Judged {
        success: Percent::hundredths(success),
        findings: vec![
            finding(
                Verdict::Pass,
                &format!("success rate {}.{:02}% >= 99%", success / 100, success % 100),
            ),
            finding(Verdict::Pass, "p99 at most 250ms < 500ms"),
            finding(Verdict::Pass, "error rate 0.12% against 0.10%: difference < 1%"),
        ],
    }
}

/// One in which too little was seen.
fn quiet() -> Judged {
    let few = || finding(Verdict::Inconclusive, "12 requests to `to`, of 100 needed");
    Judged { success: None, findings: vec![few(), few(), few()] }
}

fn bad() -> Judged {
    Judged {
        success: Percent::hundredths(6_917),
        findings: vec![
            finding(Verdict::Fail, "success rate 69.17% < 99%"),
            finding(Verdict::Pass, "p99 at most 250ms < 500ms"),
            finding(Verdict::Fail, "error rate 30.83% against 0.10%: difference >= 1%"),
        ],
    }
}

fn history() -> Vec<Judged> {
    let mut windows = vec![quiet()];
    windows.extend([10_000, 9_990, 9_950, 9_981, 10_000, 9_905, 9_988].map(good));
    windows
}

/// A panel that has heard this.
pub(crate) fn panel(snapshot: Snapshot) -> Model {
    let now = snapshot.now;
    let mut model = Model::new(at(0));
    for (second, text, severity) in [
        (0, "started: 1 ▸ 5 ▸ 25 ▸ 50 ▸ 100", Severity::Note),
        (30, "weights: 0% to 1%", Severity::Note),
        (345, "gates at 1%: pass", Severity::Good),
        (600, "weights: 5% to 25%", Severity::Note),
    ] {
        model = hear(model, Event::Tick(at(second)));
        model = hear(model, Event::Told(text.to_owned(), severity));
    }
    model = hear(model, Event::Snapshot(Box::new(snapshot)));
    hear(model, Event::Tick(now))
}

pub(crate) fn hear(model: Model, event: Event) -> Model {
    let (model, effects) = update(model, event);
    assert_eq!(effects, []);
    model
}

pub(crate) fn press(model: Model, keys: &[Key]) -> Model {
    keys.iter().fold(model, |model, key| hear(model, Event::Key(*key)))
}

fn waiting() -> Model {
    let mut snapshot = snapshot(Share::Baseline, Phase::Waiting);
    snapshot.state.progress.since = at(600);
    if let Some(seen) = &mut snapshot.observation {
        (seen.split, seen.to) = (None, None);
    }
    panel(snapshot)
}

fn lagging() -> Model {
    let mut snapshot = snapshot(Share::At(percent(25)), Phase::Converging);
    if let Some(fleet) = snapshot.observation.as_mut().and_then(|seen| seen.fleet.as_mut()) {
        fleet.acknowledged = 2;
        fleet.waiting = vec![note("envoy-6d8f7c9b5-x2x7p")];
    }
    panel(snapshot)
}

pub(crate) fn baking() -> Model {
    let mut snapshot = snapshot(Share::At(percent(25)), Phase::Baking);
    snapshot.baked = Duration::from_secs(80);
    snapshot.windows = history();
    panel(snapshot)
}

fn rolling_back() -> Model {
    use contour_core::shift::state::Cause;
    let cause = Cause::Gate(note("success rate 69.17% < 99%"));
    let mut snapshot = snapshot(Share::Baseline, Phase::RollingBack(cause));
    snapshot.windows = history();
    snapshot.windows.extend([bad(), bad(), bad()]);
    if let Some(seen) = &mut snapshot.observation {
        seen.to = Some(Health { healthy: 1, ejected: 1 });
    }
    let model = panel(snapshot);
    hear(
        model,
        Event::Told("gates at 25%: fail: success rate 69.17% < 99%".to_owned(), Severity::Failure),
    )
}

fn paused() -> Model {
    let (by, why) = (note("bob@desk"), note("looking at the dashboards"));
    let mut snapshot = snapshot(Share::At(percent(50)), Phase::Paused { by, why, done: true });
    snapshot.outcome = Some(Outcome::Paused(note("paused by bob@desk: looking at the dashboards")));
    snapshot.windows = history();
    panel(snapshot)
}

fn holding() -> Model {
    let why = "the side to go back to has 0 healthy endpoints of 1; success rate 69.17% < 99%";
    let mut snapshot = snapshot(Share::At(percent(25)), Phase::Holding(note(why)));
    snapshot.windows = vec![bad()];
    snapshot.outcome = Some(Outcome::Held(note(why)));
    if let Some(seen) = &mut snapshot.observation {
        seen.from = Some(Health { healthy: 0, ejected: 3 });
    }
    panel(snapshot)
}

fn draining() -> Model {
    let mut snapshot = snapshot(Share::At(Percent::ALL), Phase::Draining);
    if let Some(seen) = &mut snapshot.observation {
        seen.active = Some(12);
        seen.split = Some(Split { begin: at(601), from: 0, to: 4120 });
    }
    snapshot.windows = history();
    panel(snapshot)
}

fn completed() -> Model {
    let mut snapshot = snapshot(Share::At(Percent::ALL), Phase::Completed { drained: true });
    snapshot.outcome = Some(Outcome::Done { drained: true });
    snapshot.windows = history();
    panel(snapshot)
}

fn drifted() -> Model {
    let mut snapshot = snapshot(Share::At(percent(25)), Phase::Baking);
    let why = "route /api: shop-blue:80 1 instead of shop-blue:80 675";
    snapshot.outcome = Some(Outcome::Drifted(note(why)));
    let written = [("shop-blue", 1), ("shop-green", 1), ("shop-old", 1)];
    let services = written.map(|(name, weight)| (service(name), Some(weight)));
    if let Some(live) = snapshot.observation.as_mut().and_then(|seen| seen.live.as_mut()) {
        live.weights[1] = Weights::new(Place::Route("/api".into()), services).unwrap();
    }
    panel(snapshot)
}

fn stale() -> Model {
    let model = hear(baking(), Event::Stale("connection refused".to_owned()));
    hear(model, Event::Tick(at(644)))
}

/// Names as long as Kubernetes allows, wide characters, many places, and a plan of many steps.
fn long() -> Model {
    let long = "a-very-long-name-of-a-service-that-goes-on-until-the-last-letter";
    let prefixes: Vec<String> = (0..40).map(|n| format!("/日本語/{n}/{long}")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let names = [long, "b-very-long-name-of-a-service-that-goes-on-until-the-last-letter", "c"];
    let mut charter = charter(&prefixes, names);
    let schedule = Schedule::Every { step: percent(2), max: Percent::ALL };
    charter.plan = Plan::new(&Settings::of(schedule)).unwrap();
    let mut snapshot = snapshot_of(charter);
    put(&mut snapshot, Share::At(percent(30)), Phase::Baking);
    snapshot.location = format!("context {long}, cluster {long}");
    snapshot.hosts = vec!["日本語.example.com".to_owned(); 30];
    snapshot.windows = (0..500).map(|n| good(9_900 + n % 101)).collect();
    let model = panel(snapshot);
    let words = "日本語 ".repeat(80);
    hear(model, Event::Told(format!("\x1b[2J{words}"), Severity::Warning))
}

/// Every scene with its name.
pub(crate) fn scenes() -> Vec<(&'static str, Model)> {
    vec![
        ("nothing", Model::new(at(0))),
        ("waiting", waiting()),
        ("lagging", lagging()),
        ("baking", baking()),
        ("rolling_back", rolling_back()),
        ("paused", paused()),
        ("holding", holding()),
        ("draining", draining()),
        ("completed", completed()),
        ("drifted", drifted()),
        ("confirm", press(baking(), &[Key::Char('b')])),
        ("leave", press(baking(), &[Key::Esc])),
        ("refused", press(baking(), &[Key::Char('r')])),
        ("help", press(baking(), &[Key::Char('?')])),
        ("stale", stale()),
        ("long", long()),
    ]
}

pub(crate) const COLOR: Theme = Theme { palette: Palette::Color, charset: Charset::Unicode };
pub(crate) const SAFE: Theme = Theme { palette: Palette::Safe, charset: Charset::Unicode };
pub(crate) const MONO: Theme = Theme { palette: Palette::Mono, charset: Charset::Unicode };
pub(crate) const ASCII: Theme = Theme { palette: Palette::Mono, charset: Charset::Ascii };

pub(crate) fn draw(model: &Model, theme: Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(model, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The rows of a screen; a wide character is one of two columns.
pub(crate) fn rows(buffer: &Buffer) -> Vec<String> {
    let columns = usize::from(buffer.area.width);
    let row = |cells: &[Cell]| {
        let mut text = String::new();
        let mut covered = 0;
        for cell in cells {
            if covered == 0 {
                text.push_str(cell.symbol());
                covered = contour_tui::text::width(cell.symbol());
            }
            covered = covered.saturating_sub(1);
        }
        text.trim_end().to_owned()
    };
    buffer.content.chunks(columns.max(1)).map(row).collect()
}

/// The rows as runs of one style each: `‹words›{colour modifiers}` where it is not plain.
pub(crate) fn styled(buffer: &Buffer) -> String {
    let columns = usize::from(buffer.area.width).max(1);
    let run = |cells: &[Cell]| {
        let words: String = cells.iter().map(Cell::symbol).collect();
        let (color, modifier) = (cells[0].fg, cells[0].modifier);
        if color == Color::Reset && modifier.is_empty() {
            words
        } else {
            format!("‹{words}›{{{color} {modifier:?}}}")
        }
    };
    let row = |cells: &[Cell]| {
        let runs: String = cells.chunk_by(|a, b| a.style() == b.style()).map(run).collect();
        runs.trim_end().to_owned()
    };
    buffer.content.chunks(columns).map(row).collect::<Vec<_>>().join("\n")
}
