//! A watch and its connection to the API server, with the faults of both.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use contour_cluster::driver::{self, Limits};
use contour_cluster::scope::Scope;
use contour_cluster::watch::{End, Next, Output, Refusal, Request, Settings, Wait, Watch};
use fastrand::Rng;

use super::server::{Server, bookmark, error};

/// How often each fault happens; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// The request is refused: 429, 500, 503, a 404 or 403 that the kind cannot explain.
    pub(super) refuse: f64,
    /// The answer breaks off, or is nonsense.
    pub(super) cut: f64,
    /// The answer takes long, or never comes.
    pub(super) slow: f64,
    /// An event is lost.
    pub(super) lose: f64,
    /// An event comes twice.
    pub(super) repeat: f64,
    /// An event overtakes another.
    pub(super) reorder: f64,
    /// A stream ends at once, or falls silent.
    pub(super) mute: f64,
}

/// What a scope's requests are refused with for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blip {
    pub(super) code: u16,
    pub(super) until: Duration,
}

/// What happened on a link, to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) lists: u64,
    pub(super) refusals: u64,
    pub(super) cuts: u64,
    pub(super) expired: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
    pub(super) healed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Served,
    Refused(u16),
    Cut,
    Unanswered,
    /// A stream that ends as soon as it is open.
    Empty,
    /// A stream in which nothing is ever said.
    Mute,
}

enum State {
    Pausing(Duration),
    Answering { request: Request, at: Duration, fate: Fate },
    Streaming(Stream),
}

struct Stream {
    /// The list, if it begins with one.
    initial: VecDeque<Arc<str>>,
    lists: bool,
    /// The version up to which everything has been sent or lost.
    cursor: u64,
    ends: Duration,
    heard: Duration,
    is_mute: bool,
}

/// What surrounds a link while it moves.
pub(super) struct Around<'a> {
    pub(super) server: &'a mut Server,
    pub(super) rng: &'a mut Rng,
    pub(super) faults: Faults,
    pub(super) now: Duration,
    /// Whether to tell the story.
    pub(super) tells: bool,
}

/// See the module.
pub(super) struct Link {
    watch: Watch,
    state: State,
    /// Whether this API server can list by a stream.
    can_stream: bool,
    /// One after the other.
    pub(super) blips: VecDeque<Blip>,
    pub(super) is_complete: bool,
    /// Why the next list may be asked for, if it may.
    cause: Option<&'static str>,
    listed: Duration,
    silent_ends: u32,
    /// When the last request was made, and whether a stream that answers it has said anything.
    asked: Duration,
    is_heard: bool,
    pub(super) counts: Counts,
}

impl Link {
    pub(super) fn new(scope: Scope, settings: Settings, can_stream: bool, now: Duration) -> Self {
        Self {
            watch: Watch::new(scope, settings),
            state: State::Pausing(now),
            can_stream,
            blips: VecDeque::new(),
            is_complete: false,
            cause: Some("the first"),
            listed: Duration::ZERO,
            silent_ends: 0,
            asked: now,
            is_heard: false,
            counts: Counts::default(),
        }
    }

    pub(super) fn scope(&self) -> &Scope {
        self.watch.scope()
    }

    /// When there is something to do, whatever happens elsewhere.
    pub(super) fn due(&self) -> Duration {
        match &self.state {
            State::Pausing(at) | State::Answering { at, .. } => *at,
            State::Streaming(_) => Duration::MAX,
        }
    }

    /// Does what is due.
    pub(super) fn step(&mut self, around: &mut Around<'_>) -> Result<Output, String> {
        // A watch that asks again and again without a pause would not get out of this loop.
        for _ in 0..40 {
            let before = self.counts.requests;
            let next = match std::mem::replace(&mut self.state, State::Pausing(Duration::MAX)) {
                State::Pausing(until) if around.now < until => {
                    self.state = State::Pausing(until);
                    None
                }
                State::Pausing(_) => {
                    self.ask(around)?;
                    None
                }
                State::Answering { request, at, fate } if around.now < at => {
                    self.state = State::Answering { request, at, fate };
                    None
                }
                State::Answering { request, fate, .. } => self.answer(&request, fate, around),
                State::Streaming(stream) => self.stream(stream, around),
            };
            let is_pausing = next.is_some();
            if let Some(wait) = next {
                let pause = driver::pause(wait, around.rng.f64());
                self.state = State::Pausing(around.now + pause);
            }
            if before == self.counts.requests && !is_pausing {
                break;
            }
        }
        let output = self.watch.take_output();
        self.is_complete |= output.completed;
        self.counts.healed += output.healed;
        Ok(output)
    }

    fn ask(&mut self, around: &mut Around<'_>) -> Result<(), String> {
        let request = self.watch.ask(around.now);
        self.asked = around.now;
        self.counts.requests += 1;
        if matches!(request, Request::Stream | Request::List { token: None }) {
            self.counts.lists += 1;
            let is_due = around.now.saturating_sub(self.listed) >= self.watch.settings().compare;
            if self.cause.take().is_none() && !is_due {
                return Err(format!("{} is listed again for no reason", self.scope()));
            }
        }
        let fate = self.fate(&request, around);
        // A refusal that comes late would seem to have lasted until then.
        let is_blip = matches!(fate, Fate::Refused(403 | 404));
        let is_slow = around.rng.f64() < around.faults.slow && !is_blip;
        let latency = if is_slow { 20_000 } else { 50 };
        if around.tells {
            eprintln!("{:?} {}: {request:?}, {fate:?}", around.now, self.scope());
        }
        let mut at = around.now + Duration::from_millis(around.rng.u64(0..latency));
        if fate == Fate::Unanswered {
            at = around.now + Limits::default().answer;
        }
        self.state = State::Answering { request, at, fate };
        Ok(())
    }

    fn fate(&mut self, request: &Request, around: &mut Around<'_>) -> Fate {
        let is_gone = around.server.of(self.scope().kind()).is_gone;
        let Around { rng, faults, now, .. } = around;
        if is_gone {
            return Fate::Refused(404);
        }
        while self.blips.pop_front_if(|blip| blip.until <= *now).is_some() {}
        if let Some(blip) = self.blips.front() {
            return Fate::Refused(blip.code);
        }
        if *request == Request::Stream && !self.can_stream {
            return if rng.bool() { Fate::Refused(422) } else { Fate::Refused(400) };
        }
        let is_stream = !matches!(request, Request::List { .. });
        match () {
            () if rng.f64() < faults.refuse => {
                let codes: &[u16] =
                    if self.scope().is_custom() { &[429, 500, 503] } else { &[429, 500, 503, 404] };
                Fate::Refused(codes[rng.usize(0..codes.len())])
            }
            () if rng.f64() < faults.cut => Fate::Cut,
            () if rng.f64() < faults.slow / 4.0 => Fate::Unanswered,
            () if is_stream && rng.f64() < faults.mute => {
                if rng.bool() {
                    Fate::Empty
                } else {
                    Fate::Mute
                }
            }
            () => Fate::Served,
        }
    }

    fn is_listing(request: &Request) -> bool {
        !matches!(request, Request::Watch { .. })
    }

    fn answer(&mut self, request: &Request, fate: Fate, around: &mut Around<'_>) -> Option<Wait> {
        let next = match fate {
            Fate::Unanswered => {
                self.failed(Self::is_listing(request));
                self.watch.ended(around.now, End::Failed("no answer".to_owned()))
            }
            Fate::Refused(code) => return self.refuse(request, code, around),
            Fate::Served | Fate::Cut | Fate::Empty | Fate::Mute => {
                self.watch.opened();
                match request {
                    Request::List { token } => self.page(token.as_deref(), fate, around),
                    Request::Stream => return self.open(None, fate, around),
                    Request::Watch { from } => {
                        return self.open(Some(from.parse().unwrap()), fate, around);
                    }
                }
            }
        };
        asks(next)
    }

    /// A list that was begun is not to be finished.
    fn failed(&mut self, is_listing: bool) {
        self.counts.cuts += 1;
        if is_listing {
            self.cause = Some("a list failed");
        }
    }

    fn refuse(&mut self, request: &Request, code: u16, around: &mut Around<'_>) -> Option<Wait> {
        self.counts.refusals += 1;
        let explains = code == 403 || (code == 404 && self.scope().is_custom());
        if explains || Self::is_listing(request) {
            self.cause = Some("refused");
        }
        let retry_after = (code == 429 && around.rng.bool()).then(|| Duration::from_secs(1));
        let message = "no".to_owned();
        asks(self.watch.refused(around.now, Refusal { code, message, retry_after }))
    }

    fn page(&mut self, token: Option<&str>, fate: Fate, around: &mut Around<'_>) -> Next {
        let limit = usize::try_from(self.watch.settings().page).unwrap();
        let Some((body, has_more)) = around.server.page(self.watch.scope(), limit, token) else {
            self.counts.expired += 1;
            self.cause = Some("the token has expired");
            let message = "The provided continue parameter is too old".to_owned();
            let refusal = Refusal { code: 410, message, retry_after: None };
            return self.watch.refused(around.now, refusal);
        };
        if fate != Fate::Cut {
            if !has_more {
                self.listed = around.now;
            }
            return self.watch.page(around.now, body.as_bytes());
        }
        self.failed(true);
        let half = body.as_bytes().split_at(body.len() / 2).0;
        if around.rng.bool() {
            self.watch.page(around.now, half)
        } else {
            self.watch.ended(around.now, End::Failed("broken off".to_owned()))
        }
    }

    /// A stream opens: a list, or what happened after a version.
    fn open(&mut self, from: Option<u64>, fate: Fate, around: &mut Around<'_>) -> Option<Wait> {
        let (lists, now) = (from.is_none(), around.now);
        self.is_heard = false;
        match fate {
            Fate::Cut => {
                self.failed(lists);
                return asks(self.watch.ended(now, End::Failed("broken off".to_owned())));
            }
            Fate::Empty => return self.whole(lists, now),
            Fate::Served | Fate::Mute | Fate::Refused(_) | Fate::Unanswered => {}
        }
        let mut initial: Vec<_> =
            if lists { around.server.initial_lines(self.scope()) } else { Vec::new() };
        if around.rng.f64() < around.faults.reorder {
            around.rng.shuffle(&mut initial);
        }
        let cursor = from.unwrap_or_else(|| around.server.version());
        let life = Limits::default().watch.mul_f64(1.0 + around.rng.f64());
        self.state = State::Streaming(Stream {
            initial: initial.into(),
            lists,
            cursor,
            ends: now + life,
            heard: now,
            is_mute: fate == Fate::Mute,
        });
        // So that it is gone on with at once.
        self.counts.requests += 1;
        None
    }

    /// A stream ends as it should.
    fn whole(&mut self, lists: bool, now: Duration) -> Option<Wait> {
        let is_alive = now.saturating_sub(self.asked) >= Duration::from_secs(1);
        if lists {
            self.failed(true);
        } else if self.is_heard || is_alive {
            self.silent_ends = 0;
        } else {
            self.silent_ends += 1;
            if self.silent_ends == 3 {
                self.silent_ends = 0;
                self.cause = Some("it ended at once three times");
            }
        }
        asks(self.watch.ended(now, End::Whole))
    }

    fn stream(&mut self, mut stream: Stream, around: &mut Around<'_>) -> Option<Wait> {
        let now = around.now;
        let is_calm = around.faults.lose + around.faults.cut + around.faults.mute == 0.0;
        let most = if is_calm { usize::MAX } else { around.rng.usize(0..6) };
        for _ in 0..most {
            if stream.is_mute {
                break;
            }
            if around.rng.f64() < around.faults.cut / 4.0 {
                self.failed(stream.lists);
                return self.cut(around);
            }
            let Some(lines) = self.lines(&mut stream, around) else { break };
            for line in lines {
                stream.heard = now;
                self.is_heard = true;
                if around.tells {
                    let start = line.split_at(line.len().min(160)).0;
                    eprintln!("{now:?} {}: {start}", self.scope());
                }
                let next = self.watch.line(now, line.as_bytes());
                if let Next::Ask(wait) = next {
                    return Some(wait);
                }
            }
        }
        if now.saturating_sub(stream.heard) >= Limits::default().silence {
            self.failed(stream.lists);
            return asks(self.watch.ended(now, End::Silent));
        }
        if now >= stream.ends {
            return self.whole(stream.lists, now);
        }
        self.state = State::Streaming(stream);
        None
    }

    fn cut(&mut self, around: &mut Around<'_>) -> Option<Wait> {
        let now = around.now;
        asks(if around.rng.bool() {
            self.watch.line(now, b"{\"type\":\"ADDED\",\"object\":{\"meta")
        } else {
            self.watch.ended(now, End::Failed("broken off".to_owned()))
        })
    }

    /// What comes next in a stream, if anything.
    fn lines(&mut self, stream: &mut Stream, around: &mut Around<'_>) -> Option<Vec<Arc<str>>> {
        let Around { server, rng, faults, now, .. } = around;
        let kind = self.watch.scope().kind();
        if let Some(line) = stream.initial.pop_front() {
            let again = rng.f64() < faults.repeat;
            return Some(if again { vec![Arc::clone(&line), line] } else { vec![line] });
        }
        if stream.cursor < server.of(kind).oldest {
            self.counts.expired += 1;
            self.cause = Some("the version has expired");
            return Some(vec![error(410, "too old resource version").into()]);
        }
        let mut after = server.after(self.watch.scope(), stream.cursor);
        let Some(first) = after.next() else {
            let is_due = now.saturating_sub(stream.heard) >= Duration::from_mins(1);
            if !stream.lists && !is_due {
                return None;
            }
            let line = bookmark(kind, server.version(), stream.lists).into();
            if stream.lists {
                self.listed = *now;
            }
            stream.lists = false;
            stream.cursor = server.version();
            return Some(vec![line]);
        };
        stream.cursor = first.version;
        if stream.lists {
            // A list that lies would be another fault than those of a stream.
            return Some(vec![Arc::clone(&first.line)]);
        }
        if rng.f64() < faults.lose {
            self.counts.lost += 1;
            return Some(Vec::new());
        }
        if rng.f64() < faults.repeat {
            self.counts.repeated += 1;
            return Some(vec![Arc::clone(&first.line), Arc::clone(&first.line)]);
        }
        if rng.f64() < faults.reorder
            && let Some(second) = after.next()
        {
            self.counts.reordered += 1;
            stream.cursor = second.version;
            return Some(vec![Arc::clone(&second.line), Arc::clone(&first.line)]);
        }
        Some(vec![Arc::clone(&first.line)])
    }
}

fn asks(next: Next) -> Option<Wait> {
    match next {
        Next::Ask(wait) => Some(wait),
        Next::Read => None,
    }
}
