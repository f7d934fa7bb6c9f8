//! What the panel makes of what it hears.

use super::keymap::{Act, BINDINGS, refuse};
use super::model::{Effect, Event, Model, Question, Snapshot};
use crate::key::Key;

/// Takes what was heard, and says what to do, in order.
#[must_use]
pub fn update(mut model: Model, event: Event) -> (Model, Vec<Effect>) {
    let effects = match event {
        Event::Key(key) => model.press(key),
        Event::Snapshot(snapshot) => model.see(snapshot),
        Event::Tick(now) => {
            model.now = now;
            Vec::new()
        }
        Event::Told(text, severity) => {
            model.tell(&text, severity);
            Vec::new()
        }
        Event::Stale(why) => {
            model.stale = Some(crate::text::one_line(&why));
            Vec::new()
        }
        // What is drawn next has the new size.
        Event::Resize => Vec::new(),
    };
    (model, effects)
}

impl Model {
    fn see(&mut self, snapshot: Box<Snapshot>) -> Vec<Effect> {
        let before = self.snapshot.take().map(|s| s.state.progress.share);
        let moved = before.is_some_and(|share| share != snapshot.state.progress.share);
        self.now = self.now.max(snapshot.now);
        (self.stale, self.asked) = (None, None);
        if let Some(why) = self.question.and_then(|question| moot(question, &snapshot, moved)) {
            self.question = None;
            self.notice = Some(why);
        }
        let settled = !snapshot.is_active();
        self.snapshot = Some(snapshot);
        if self.leaving && settled {
            self.leaving = false;
            return vec![Effect::Detach];
        }
        Vec::new()
    }

    fn press(&mut self, key: Key) -> Vec<Effect> {
        let act = Act::of(key);
        if let Some(Act::Redraw | Act::Suspend) = act {
            return act.map_or_else(Vec::new, |act| self.act(act));
        }
        self.notice = None;
        if std::mem::take(&mut self.help) && key != Key::Ctrl('c') {
            return Vec::new();
        }
        match self.question {
            Some(Question::Confirm(effect)) => self.confirm(effect, key),
            Some(Question::Leave) => self.answer_leave(key),
            None => act.map_or_else(Vec::new, |act| self.act(act)),
        }
    }

    fn act(&mut self, act: Act) -> Vec<Effect> {
        let effect = match act.effect(self.snapshot.as_deref()) {
            Ok(effect) => effect,
            Err(why) => {
                self.notice = Some(why);
                return Vec::new();
            }
        };
        let asks = BINDINGS.iter().any(|binding| binding.act == act && binding.asks);
        match (act, effect) {
            (Act::Leave, _) => self.leave(),
            (Act::Help, _) | (_, None) => {
                self.help = true;
                Vec::new()
            }
            // A key that is held down would go through the whole plan.
            (_, Some(effect)) if self.asked == Some(effect) => {
                self.notice = Some("asked for already: wait for what comes of it".to_owned());
                Vec::new()
            }
            (_, Some(effect)) if asks => {
                self.question = Some(Question::Confirm(effect));
                Vec::new()
            }
            (_, Some(effect @ (Effect::Redraw | Effect::Suspend))) => vec![effect],
            (_, Some(effect)) => self.ask(effect),
        }
    }

    /// Whoever asks for something has not left.
    fn ask(&mut self, effect: Effect) -> Vec<Effect> {
        (self.question, self.asked, self.leaving) = (None, Some(effect), false);
        vec![effect]
    }

    /// Whoever asks twice leaves at once.
    fn leave(&mut self) -> Vec<Effect> {
        if self.leaving || !self.is_active() {
            return vec![Effect::Detach];
        }
        self.question = Some(Question::Leave);
        Vec::new()
    }

    fn confirm(&mut self, effect: Effect, key: Key) -> Vec<Effect> {
        if matches!(key, Key::Char('y' | 'Y')) {
            return self.ask(effect);
        }
        if key == Key::Ctrl('c') {
            self.question = None;
            return self.leave();
        }
        if matches!(key, Key::Char('n' | 'N' | 'q') | Key::Esc) {
            self.question = None;
            self.notice = Some("nothing was done".to_owned());
        }
        Vec::new()
    }

    fn answer_leave(&mut self, key: Key) -> Vec<Effect> {
        if matches!(key, Key::Char('q') | Key::Ctrl('c')) {
            self.question = None;
            return vec![Effect::Detach];
        }
        if matches!(key, Key::Esc | Key::Char('n')) {
            self.question = None;
            return Vec::new();
        }
        let effect = if key == Key::Char('p') {
            Effect::Pause
        } else if key == Key::Char('b') {
            Effect::Rollback
        } else {
            return Vec::new();
        };
        let Some(snapshot) = self.snapshot.as_deref() else { return Vec::new() };
        match refuse(effect, snapshot) {
            Ok(()) => {
                let effects = self.ask(effect);
                self.leaving = true;
                effects
            }
            // What is asked for is under way: leave when it is done.
            Err(_) if effect == Effect::Rollback => {
                (self.question, self.leaving) = (None, true);
                Vec::new()
            }
            Err(why) => {
                self.notice = Some(why);
                Vec::new()
            }
        }
    }
}

/// Why a question need no longer be answered.
fn moot(question: Question, snapshot: &Snapshot, moved: bool) -> Option<String> {
    match question {
        Question::Leave if snapshot.is_active() => None,
        Question::Leave => Some("nothing moves any more".to_owned()),
        Question::Confirm(Effect::Set(_)) if moved => {
            Some("the share has changed meanwhile: ask again".to_owned())
        }
        Question::Confirm(effect) => refuse(effect, snapshot).err(),
    }
}
