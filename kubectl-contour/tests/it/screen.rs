//! The screen of `top`, on a real terminal.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::program::PATIENCE;
use super::terminal::Terminal;
use super::top::recording;

const ENTER: &str = "\u{1b}[?1049h";
const ESCAPE: &str = "\u{1b}";
/// Ctrl-L.
const REDRAW: &str = "\u{c}";
const LEAVE: &str = "\u{1b}[?1049l";

fn open(path: &Path, flags: &str) -> Terminal {
    let program = env!("CARGO_BIN_EXE_kubectl-contour");
    Terminal::open(&format!("{program} top --replay {} {flags}", path.display()))
}

/// The screen was taken, and the user's own is back.
#[track_caller]
fn is_given_back(seen: &str) {
    let (enter, leave) = (seen.find(ENTER), seen.rfind(LEAVE));
    assert!(enter.is_some() && enter < leave, "{seen:?}");
    // The cursor is shown, and the mouse is the terminal's own again.
    let end = seen.rfind("\u{1b}[?25h");
    assert!(end > enter, "{seen:?}");
    if let Some(taken) = seen.rfind("\u{1b}[?1000h") {
        assert!(seen.rfind("\u{1b}[?1000l") > Some(taken), "{seen:?}");
    }
}

#[test]
fn keys_lead_through_the_views_and_the_screen_is_given_back() {
    let (_directory, path) = recording();
    let mut terminal = open(&path, "");
    terminal.shows("MATCH");
    for (keys, shown) in [
        ("3", "10.0.0.1:8080"),
        ("d", "CXFAIL"),
        (ESCAPE, "ADDRESS"),
        ("5", "SECRET"),
        ("?", "Shift-Tab"),
        ("q", "SECRET"),
        ("1", "MATCH"),
        ("/nobody", "explain"),
    ] {
        terminal.press(keys);
        // Only what differs is drawn, unless all is asked for; and no blanks even then.
        std::thread::sleep(std::time::Duration::from_millis(300));
        terminal.press(REDRAW);
        terminal.shows(shown);
    }
    terminal.press(ESCAPE);
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.press("q");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen:?}");
    is_given_back(&seen);
}

#[test]
fn a_signal_gives_the_screen_back_too() {
    let (_directory, path) = recording();
    let mut terminal = open(&path, "");
    terminal.shows("MATCH");
    let pid = terminal.pid();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(130), "{seen:?}");
    is_given_back(&seen);
}

#[test]
fn it_ends_with_its_terminal() {
    let (_directory, path) = recording();
    let mut terminal = open(&path, "");
    terminal.shows("MATCH");
    let process = format!("/proc/{}", terminal.pid());
    assert!(Path::new(&process).exists());
    terminal.hang_up();
    let begun = Instant::now();
    while Path::new(&process).exists() {
        assert!(begun.elapsed() < PATIENCE, "it goes on without a terminal");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn without_colours_there_are_none() {
    let (_directory, path) = recording();
    let mut terminal = open(&path, "--color never --ascii");
    terminal.shows("MATCH");
    terminal.press("q");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen:?}");
    let screen = seen.split(ENTER).nth(1).unwrap();
    assert!(screen.is_ascii(), "{screen:?}");
    for part in screen.split("\u{1b}[").skip(1) {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        let (codes, command) = part.split_at(end);
        let mut colours = codes
            .split(';')
            .filter(|c| matches!(c.len(), 2) && (*c >= "30" && *c < "49") && *c != "39");
        assert!(!command.starts_with('m') || colours.next().is_none(), "{part:?}");
    }
}
