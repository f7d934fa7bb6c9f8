//! What the screen lets be done elsewhere: a shift, for which it is left, and a file.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, Write as _};

use clap::Parser as _;
use contour_core::name::ObjectName;
use contour_core::shift::weights::Place;
use contour_core::top::Frame;
use contour_tui::terminal::leave;
use tokio::runtime::Handle;

use super::args::SourceFlags;
use super::show::time;
use crate::cli::{Cli, Command};
use crate::cluster::ClusterFlags;
use crate::failure::{Failure, Kind, report, write_stderr};
use crate::output::Manner;
use crate::shift;
use crate::shift::args::ShiftArgs;

/// What a shift is opened with.
#[derive(Clone, Debug)]
pub struct Away {
    /// Where routes stand.
    pub source: SourceFlags,
    /// The cluster.
    pub cluster: ClusterFlags,
    /// How it is talked.
    pub manner: Manner,
}

impl Away {
    /// Why no shift can be opened, if none can.
    pub fn refusal(&self) -> Option<String> {
        let SourceFlags { filename, controller, replay, .. } = &self.source;
        if replay.is_some() {
            return Some("a recording cannot be changed".to_owned());
        }
        let unknown = controller.is_some() && filename.is_none();
        unknown.then(|| "where the routes stand is not known: -f names the files".to_owned())
    }

    /// Leaves the screen to a shift of a route, until somebody wants to come back. The screen has to be
    /// taken again.
    ///
    /// # Errors
    /// If the terminal cannot be left.
    pub fn open(
        &self,
        runtime: &Handle,
        object: &ObjectName,
        place: Option<&Place>,
    ) -> io::Result<()> {
        leave()?;
        let ended = match self.args(object, place) {
            Ok(args) => runtime.block_on(shift::run(args, self.manner)),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = ended {
            report(&failure, self.manner.color);
        }
        write_stderr("\nEnter goes back to top. ");
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_read| ())
    }

    fn args(&self, object: &ObjectName, place: Option<&Place>) -> Result<ShiftArgs, Failure> {
        let target = match place {
            Some(Place::Route(prefix)) => format!("{}#{prefix}", object.name),
            Some(Place::Tcp) | None => object.name.to_string(),
        };
        let words = ["kubectl-contour", "shift", "--", &target];
        let parsed = Cli::try_parse_from(words).map(|cli| cli.command);
        let Ok(Command::Shift(mut args)) = parsed else {
            return Err(Failure::new(Kind::Usage, format!("{target:?} cannot be shifted")));
        };
        args.cluster =
            ClusterFlags { namespace: Some(object.namespace.to_string()), ..self.cluster.clone() };
        args.place.filename.clone_from(&self.source.filename);
        args.place.controller = self.source.controller;
        args.place.contour_namespace.clone_from(&self.source.contour_namespace);
        Ok(*args)
    }
}

/// Writes a frame to a file of its own, and says how that is called.
///
/// # Errors
/// If it cannot be written.
pub fn export(frame: &Frame) -> Result<String, String> {
    let at = time(frame.unix_millis).replace([':', '.'], "-");
    let name = format!("top-{at}.json");
    let failed = |error: io::Error| format!("{name} cannot be written: {error}");
    let text = serde_json::to_string_pretty(frame).map_err(|error| error.to_string())?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&name).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::output::ColorChoice;

    fn away() -> Away {
        Away {
            source: SourceFlags {
                filename: Some(PathBuf::from("example")),
                controller: None,
                contour_namespace: "edge".to_owned(),
                replay: None,
                speed: None,
                record: None,
            },
            cluster: ClusterFlags { context: Some("eu".to_owned()), ..ClusterFlags::default() },
            manner: Manner { color: ColorChoice::Never, quiet: false },
        }
    }

    #[test]
    fn a_shift_is_opened_where_the_route_stands() {
        let object = ObjectName::new("demo", "shop");
        let args = away().args(&object, Some(&Place::Route("/cart".into()))).unwrap();
        assert_eq!(args.target.as_deref(), Some("shop#/cart"));
        assert_eq!(args.cluster.namespace.as_deref(), Some("demo"));
        assert_eq!(args.cluster.context.as_deref(), Some("eu"));
        assert_eq!(args.place.filename, Some(PathBuf::from("example")));
        assert_eq!(args.place.contour_namespace, "edge");
        assert!(args.verb.is_none());
        // A name that is a verb too is a name.
        let args = away().args(&ObjectName::new("demo", "list"), None).unwrap();
        assert!(args.verb.is_none() && args.target.as_deref() == Some("list"));
    }

    #[test]
    fn what_cannot_be_changed_is_not_shifted() {
        assert_eq!(away().refusal(), None);
        let mut recorded = away();
        recorded.source.replay = Some(PathBuf::from("r"));
        assert!(recorded.refusal().is_some());
        let mut address = away();
        (address.source.filename, address.source.controller) =
            (None, "127.0.0.1:6060".parse().ok());
        assert!(address.refusal().is_some_and(|why| why.contains("-f")));
    }
}
