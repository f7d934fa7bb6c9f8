//! The command line of `top`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use contour_core::top::{Column, Filter, Selection, View, unknown_column};

use crate::cluster::ClusterFlags;
use crate::duration;
use crate::failure::{Failure, Kind};
use crate::shift::args::Theme;

/// What the exit codes of `top` mean; the same table is in docs/top.md.
pub const CODES: &str = "Examples:
  kubectl contour top                                  what all routes get, live
  kubectl contour top endpoints --faults               endpoints that get no traffic, or less
  kubectl contour top routes --filter '5xx>1 namespace=shop' --sort-by -rps
  kubectl contour top -o json | jq '.warnings'         one look, for programs
  kubectl contour top routes -b -d 5s -o csv           a table each five seconds
  kubectl contour top --record incident.ndjson         and later: top --replay incident.ndjson

Exit codes: 0 shown, 1 failed, 2 wrong usage, 7 something shown is faulty (--exit-code), 9 no controller and no cluster \
can be asked, 130 interrupted (not on the screen)";

/// Flags of `top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// What the rows are of [default: routes]
    #[arg(value_name = "VIEW", value_parser = views())]
    pub view: Option<View>,
    /// The form of what is shown; without it, and where there is a terminal, the live screen
    #[arg(short, long, value_enum)]
    pub output: Option<Format>,
    /// Who is asked.
    #[command(flatten)]
    pub source: SourceFlags,
    /// Which rows.
    #[command(flatten)]
    pub rows: RowFlags,
    /// How often.
    #[command(flatten)]
    pub pace: PaceFlags,
    /// The screen.
    #[command(flatten)]
    pub screen: ScreenFlags,
    /// End with exit code 7 if something that was shown last is faulty
    #[arg(long)]
    pub exit_code: bool,
    /// Write the JSON Schema of -o json and of the lines of a recording, and nothing else
    #[arg(long, exclusive = true)]
    pub schema: bool,
    /// The cluster; its namespace is the one that is shown [default: all].
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

/// Flags about who is asked.
#[derive(Args, Clone, Debug)]
pub struct SourceFlags {
    /// What the controller serves that serves this file or directory, such as a sandbox's
    #[arg(short = 'f', long, value_name = "PATH")]
    pub filename: Option<PathBuf>,
    /// Where a controller answers /debug [default with -f: as the sandbox notes beside the files]
    #[arg(long, value_name = "IP:PORT")]
    pub controller: Option<SocketAddr>,
    /// The namespace of the installation
    #[arg(long, value_name = "NAMESPACE", default_value = crate::fleet::NAMESPACE)]
    pub contour_namespace: String,
    /// Show what was recorded; nobody is asked
    #[arg(long, value_name = "FILE", conflicts_with_all = ["filename", "controller"])]
    pub replay: Option<PathBuf>,
    /// With --replay: how many times faster than it was [default: on the screen 1, else at once]
    #[arg(long, value_name = "FACTOR", requires = "replay", value_parser = factor)]
    pub speed: Option<f64>,
    /// Add all that is told to this file, to be replayed
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Flags about rows and columns.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rows and columns")]
pub struct RowFlags {
    /// Only rows of which all terms hold: a word, !word, col=val, col!=val, col~regex, col>5%
    #[arg(long, value_name = "TERMS")]
    pub filter: Option<String>,
    /// By which column to sort; -COL or COL:desc: the largest first
    #[arg(long, value_name = "COL", allow_hyphen_values = true)]
    pub sort_by: Option<String>,
    /// Which columns, in this order
    #[arg(long, value_name = "COL,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Only what is faulty
    #[arg(long)]
    pub faults: bool,
}

/// Flags about time.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Time")]
pub struct PaceFlags {
    /// Show once and end, as where stdout is no terminal
    #[arg(long, conflicts_with_all = ["batch", "iterations"])]
    pub once: bool,
    /// Write a table again and again instead of the live screen
    #[arg(short, long)]
    pub batch: bool,
    /// End after as many tables; with -b, -n N is taken for it too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub iterations: Option<u64>,
    /// How long from one table to the next; with --once: what rates are taken over at least
    /// [default: 2s, on the screen 1s]
    #[arg(short = 'd', long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Duration>,
    /// How far back rates and percentiles go
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = interval)]
    pub window: Duration,
}

/// Flags about the screen.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Screen")]
pub struct ScreenFlags {
    /// The colours of the screen
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    pub theme: Theme,
    /// A screen without characters beyond ASCII, as where the locale is not UTF-8
    #[arg(long)]
    pub ascii: bool,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
}

/// The form of what is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table.
    #[default]
    Table,
    /// A table with all columns.
    Wide,
    /// A JSON document for each look; docs/schema/top.schema.json describes it.
    Json,
    /// The same on a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// What names the rows, and nothing else.
    Name,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Live, on the terminal.
    Screen,
    /// Once.
    Once,
    /// Again and again, so many times if that is said.
    Batch(Option<u64>),
}

fn views() -> impl clap::builder::TypedValueParser<Value = View> {
    PossibleValuesParser::new(View::ALL.map(View::name))
        .try_map(|name| View::parse(&name).ok_or_else(|| format!("{name:?} is no view")))
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (0.01..=10_000.0).contains(&factor) => Ok(factor),
        Ok(_) | Err(_) => Err(format!("{text:?} is no factor from 0.01 to 10000")),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let least = Duration::from_millis(100);
    let most = Duration::from_hours(24);
    match duration::parse(text)? {
        time if time < least => Err("it is less than 100ms".to_owned()),
        time if time > most => Err("it is more than a day".to_owned()),
        time => Ok(time),
    }
}

impl TopArgs {
    /// How it is shown, given whether stdin and stdout are a terminal that can be drawn on.
    pub fn mode(&self, terminal: bool) -> Mode {
        let PaceFlags { once, batch, iterations, .. } = self.pace;
        match (batch || iterations.is_some(), once || self.output.is_some() || !terminal) {
            (true, _) => Mode::Batch(iterations),
            (false, true) => Mode::Once,
            (false, false) => Mode::Screen,
        }
    }

    /// What the rows are of.
    pub fn view(&self) -> View {
        self.view.unwrap_or_default()
    }

    /// The same with what is meant by `top -b -n 5`, as other programs have it: five tables. A
    /// namespace of such a name takes --iterations beside it.
    #[must_use]
    pub fn settled(mut self) -> Self {
        let number = self.cluster.namespace.as_deref().and_then(|name| name.parse::<u64>().ok());
        if self.pace.batch
            && self.pace.iterations.is_none()
            && let Some(number) = number.filter(|number| *number > 0)
        {
            (self.pace.iterations, self.cluster.namespace) = (Some(number), None);
        }
        self
    }
}

impl RowFlags {
    /// The rows that are asked for of a view, in a namespace or in all.
    ///
    /// # Errors
    /// If the filter makes no sense, or there is no such column.
    pub fn selection(&self, view: View, namespace: Option<&str>) -> Result<Selection, Failure> {
        let typed = self.filter.as_deref().unwrap_or_default();
        let wrong = |error: contour_core::top::FilterError| {
            let before = typed.get(..error.at).unwrap_or(typed).chars().count();
            let message = format!("--filter: {error}");
            Failure::new(Kind::Usage, message).with_hint(format!("{typed}\n{:before$}^", ""))
        };
        let filter = Filter::parse(typed, view).map_err(wrong)?;
        let filter = match namespace {
            Some(namespace) if view.column("namespace").is_some() => {
                Filter::parse(&format!("namespace=\"{namespace}\" {typed}"), view).map_err(wrong)?
            }
            Some(_) | None => filter,
        };
        let sort = self.sort_by.as_deref().map(|text| order(text, view)).transpose()?;
        Ok(Selection { filter, faults_only: self.faults, scope: None, sort })
    }

    /// The columns that are shown.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn columns(&self, view: View, format: Format) -> Result<Vec<&'static Column>, Failure> {
        if !self.columns.is_empty() {
            return self.columns.iter().map(|name| column(name.trim(), view)).collect();
        }
        let all = matches!(format, Format::Wide | Format::Csv);
        Ok(view.columns().iter().filter(|column| all || !column.wide).collect())
    }
}

/// Reads `rps`, `-rps`, `rps:asc` and `rps:desc`; whether the largest comes first.
fn order(text: &str, view: View) -> Result<(&'static Column, bool), Failure> {
    let (name, reversed) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => match text.split_once(':') {
            Some((name, "desc")) => (name, true),
            Some((name, "asc")) => (name, false),
            Some(_) | None => (text, false),
        },
    };
    Ok((column(name, view)?, reversed))
}

fn column(name: &str, view: View) -> Result<&'static Column, Failure> {
    view.column(name).ok_or_else(|| Failure::new(Kind::Usage, unknown_column(name, view)))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(line: &str) -> TopArgs {
        let words = ["kubectl-contour", "top"].into_iter().chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
        let Command::Top(args) = cli.command else { panic!("{line}") };
        *args
    }

    #[test]
    fn the_screen_is_for_a_terminal_of_which_nothing_else_is_asked() {
        for (line, terminal, mode) in [
            ("", true, Mode::Screen),
            ("endpoints --faults --filter x", true, Mode::Screen),
            ("", false, Mode::Once),
            ("--once", true, Mode::Once),
            ("-o json", true, Mode::Once),
            ("-b", true, Mode::Batch(None)),
            ("-b", false, Mode::Batch(None)),
            ("-b --iterations 3", true, Mode::Batch(Some(3))),
            ("--iterations 3 -o csv", false, Mode::Batch(Some(3))),
        ] {
            assert_eq!(args(line).mode(terminal), mode, "{line} {terminal}");
        }
    }

    #[test]
    fn an_order_is_given_in_many_ways() {
        let of = |text: &str| {
            let flags = RowFlags { sort_by: Some(text.to_owned()), ..RowFlags::default() };
            let selection = flags.selection(View::Routes, None).map_err(|f| f.message)?;
            Ok(selection.sort.map(|(column, reversed)| (column.name, reversed)))
        };
        for (text, column, reversed) in [
            ("rps", "rps", false),
            ("-rps", "rps", true),
            ("RPS:desc", "rps", true),
            ("p99:asc", "p99", false),
        ] {
            assert_eq!(of(text), Ok::<_, String>(Some((column, reversed))), "{text}");
        }
        let error = of("-rsp").unwrap_err();
        assert!(error.contains("no column \"rsp\"; did you mean rps?"), "{error}");
        assert_eq!(args("--sort-by -rps").rows.sort_by.as_deref(), Some("-rps"));
    }

    #[test]
    fn a_filter_is_said_to_be_wrong_where_it_is() {
        let flags =
            |filter: &str| RowFlags { filter: Some(filter.to_owned()), ..RowFlags::default() };
        let failure = flags("rps>1 nmae=x").selection(View::Routes, Some("demo")).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(failure.message.contains("did you mean name?"), "{failure:?}");
        assert_eq!(failure.hint.as_deref(), Some("rps>1 nmae=x\n      ^"));
        let selection = flags("rps>1").selection(View::Routes, Some("demo")).unwrap();
        assert_eq!(selection.filter.to_string(), "namespace=\"demo\" rps>1");
        let selection = flags("").selection(View::Envoys, Some("demo")).unwrap();
        assert!(selection.filter.is_empty(), "Envoys are of no namespace of routes");
    }

    #[test]
    fn columns_are_those_that_are_named_or_fit_the_form() {
        let names = |line: &str, format| {
            let columns = args(line).rows.columns(View::Routes, format);
            columns.map(|all| all.iter().map(|c| c.name).collect::<Vec<_>>())
        };
        assert_eq!(names("--columns rps,Name", Format::Table).unwrap(), ["rps", "name"]);
        let (table, wide) = (names("", Format::Table).unwrap(), names("", Format::Wide).unwrap());
        assert!(table.len() < wide.len(), "{table:?}");
        assert_eq!(names("", Format::Csv).unwrap(), wide);
        assert_eq!(names("--columns x", Format::Csv).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn a_number_behind_a_batch_is_how_many_tables() {
        let of = |line: &str| {
            let args = args(line).settled();
            (args.pace.iterations, args.cluster.namespace)
        };
        assert_eq!(of("-b -n 5"), (Some(5), None));
        assert_eq!(of("-b -n shop"), (None, Some("shop".to_owned())));
        assert_eq!(of("-n 5"), (None, Some("5".to_owned())), "a namespace may be called so");
        assert_eq!(of("-b -n 5 --iterations 2"), (Some(2), Some("5".to_owned())));
    }

    #[test]
    fn times_and_factors_have_bounds() {
        for bad in ["-d 1ms", "-d 48h", "--window 0s", "--replay x --speed 0", "--speed 2"] {
            let words = ["kubectl-contour", "top"].into_iter().chain(bad.split_whitespace());
            assert!(Cli::try_parse_from(words).is_err(), "{bad}");
        }
        assert_eq!(args("--replay x --speed 60").source.speed, Some(60.0));
    }
}
