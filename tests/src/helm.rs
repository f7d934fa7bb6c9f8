//! The chart as Helm renders it: a Go program on Helm's own engine, `tests/helm`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::envoy::workspace;
use crate::kubernetes::left_out;

/// What is to be rendered, as it is told to Helm.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Files of values, as `-f` takes them; relative to the chart.
    pub values: Vec<PathBuf>,
    /// Assignments, as `--set` takes them.
    pub set: Vec<String>,
    /// The same as text, as `--set-string` takes them.
    pub set_string: Vec<String>,
}

/// Whether Helm is there; where it is not, says what is left out.
///
/// # Panics
/// With `CI=true`, where nothing may be left out.
pub fn is_there() -> bool {
    let found = binary().is_file();
    if !found {
        left_out("the comparison of the chart with Helm", "run `make helm` or set CONTOUR_HELM");
    }
    found
}

/// The objects that Helm makes of the chart, each with its template; or Helm's words.
///
/// # Errors
/// If Helm refuses.
///
/// # Panics
/// If it is not there.
pub fn render(
    chart: &Path,
    asked: &Asked,
    (name, namespace): (&str, &str),
) -> Result<Vec<(String, Value)>, String> {
    let values: Vec<_> = asked.values.iter().map(|file| chart.join(file)).collect();
    let request = json!({
        "Chart": chart, "Values": values, "Set": asked.set, "SetString": asked.set_string,
        "Name": name, "Namespace": namespace,
    });
    let output = run(&request);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let objects: Vec<Value> =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let objects = objects.into_iter().map(|made| {
        let source = made.get("source").and_then(Value::as_str).unwrap_or_default().to_owned();
        (source, made.get("object").cloned().unwrap_or_default())
    });
    Ok(objects.collect())
}

fn run(request: &Value) -> Output {
    let mut helm = Command::new(binary());
    helm.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut helm = helm.spawn().expect("Helm is there");
    let mut input = helm.stdin.take().expect("it has an input");
    input.write_all(request.to_string().as_bytes()).expect("Helm reads");
    drop(input);
    helm.wait_with_output().expect("Helm ends")
}

/// `CONTOUR_HELM`, or what `make helm` builds.
fn binary() -> PathBuf {
    let named = std::env::var_os("CONTOUR_HELM").filter(|v| !v.is_empty()).map(PathBuf::from);
    named.unwrap_or_else(|| workspace().join(".tools/helm/render"))
}
