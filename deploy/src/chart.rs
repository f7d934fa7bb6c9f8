//! The files of the chart, as they are in `deploy/chart`.

/// The chart's name.
pub const NAME: &str = "contour";

/// The version of the controller that the chart installs, and the chart's own.
pub const APP_VERSION: &str = env!("CARGO_PKG_VERSION");

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../chart/", $path)))),*]
    };
}

/// Each file's path in the chart, and its content.
const FILES: &[(&str, &str)] = files![
    ".helmignore",
    "Chart.yaml",
    "files/crds/ingressroutes.yaml",
    "files/crds/tlscertificatedelegations.yaml",
    "profiles/default.yaml",
    "profiles/ha.yaml",
    "profiles/minimal.yaml",
    "profiles/namespaced.yaml",
    "templates/_envoy.tpl",
    "templates/_helpers.tpl",
    "templates/certgen.yaml",
    "templates/contour-config.yaml",
    "templates/contour-deployment.yaml",
    "templates/contour-rbac.yaml",
    "templates/contour-service.yaml",
    "templates/crds.yaml",
    "templates/disruption.yaml",
    "templates/envoy-service.yaml",
    "templates/envoy.yaml",
    "templates/namespace.yaml",
    "templates/network.yaml",
    "values.schema.json",
    "values.yaml",
];

/// The whole chart: each file's path in it, and the content. Written to a directory, it is a chart
/// for Helm.
pub fn chart_files() -> &'static [(&'static str, &'static str)] {
    FILES
}

/// The content of a file, by its path in the chart.
pub(crate) fn file(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(p, _)| *p == path).map(|(_, text)| *text)
}
