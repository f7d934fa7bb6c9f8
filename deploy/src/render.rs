//! From values to objects.

use serde_json::{Value, json};

use crate::chart::{APP_VERSION, NAME, chart_files};
use crate::template::{TemplateError, Templates};
use crate::values::Values;

/// What a release is called, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name. Only a label has it: names of objects are fixed.
    pub name: String,
    /// The namespace of controllers and Envoys.
    pub namespace: String,
}

impl Default for Release {
    /// `contour` in `projectcontour`.
    fn default() -> Self {
        Self { name: "contour".to_owned(), namespace: "projectcontour".to_owned() }
    }
}

/// When an object is applied. Each needs those before it: Pods their certificates, which a Job makes
/// that needs permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// CustomResourceDefinitions, which take a moment to be served.
    Definitions,
    /// The namespace.
    Namespace,
    /// Permissions, settings, Services, policies.
    Configuration,
    /// The Job that makes certificates; it has to be done before what comes next.
    Certificates,
    /// What runs Pods.
    Workloads,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Definitions,
        Self::Namespace,
        Self::Configuration,
        Self::Certificates,
        Self::Workloads,
    ];

    fn of_kind(kind: &str) -> Self {
        match kind {
            "CustomResourceDefinition" => Self::Definitions,
            "Namespace" => Self::Namespace,
            "Job" => Self::Certificates,
            "Deployment" | "DaemonSet" | "CronJob" | "HorizontalPodAutoscaler" => Self::Workloads,
            _ => Self::Configuration,
        }
    }
}

/// An object to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The template that it comes from, as Helm tells it: `contour/templates/envoy.yaml`.
    pub source: String,
    /// The object.
    pub object: Value,
    /// When it is applied.
    pub stage: Stage,
}

impl Manifest {
    /// Its `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion").unwrap_or_default()
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// Its namespace; `None` if the kind has none.
    pub fn namespace(&self) -> Option<&str> {
        self.text("/metadata/namespace")
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer).and_then(Value::as_str)
    }
}

/// Why there are no objects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A template does not go with the values.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What a template made of the values is not YAML.
    #[error("{template}: what comes of it cannot be read: {why}")]
    NotYaml {
        /// The template's path in the chart.
        template: String,
        /// What is wrong.
        why: String,
    },
    /// An object cannot be written as YAML.
    #[error("{object} cannot be written: {why}")]
    NotWritten {
        /// The object's kind and name.
        object: String,
        /// What is wrong.
        why: String,
    },
}

/// The objects that the chart makes of values, in the order in which they are to be applied.
///
/// # Errors
/// If values do not go together.
pub fn render(values: &Values, release: &Release) -> Result<Vec<Manifest>, RenderError> {
    let data = json!({
        "Values": values.to_value(),
        "Release": {"Name": release.name, "Namespace": release.namespace},
        "Chart": {"Name": NAME, "Version": APP_VERSION, "AppVersion": APP_VERSION},
    });
    let files = chart_files();
    let templates = files.iter().filter(|(path, _)| path.starts_with("templates/"));
    let templates = Templates::read(templates.copied(), files)?;
    let mut manifests = Vec::new();
    for (path, text) in templates.evaluate(&data)? {
        let documents = serde_saphyr::from_multiple::<Value>(&text).map_err(|error| {
            RenderError::NotYaml { template: path.to_owned(), why: error.to_string() }
        })?;
        for object in documents.into_iter().filter(|document| !document.is_null()) {
            let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
            let stage = Stage::of_kind(kind);
            manifests.push(Manifest { source: format!("{NAME}/{path}"), object, stage });
        }
    }
    manifests.sort_by_key(|manifest| manifest.stage);
    Ok(manifests)
}

/// Objects as one file, each under the name of its template, as `helm template` writes them.
///
/// # Errors
/// If one of them cannot be written.
pub fn to_yaml(manifests: &[Manifest]) -> Result<String, RenderError> {
    let mut all = String::new();
    for manifest in manifests {
        let text = serde_saphyr::to_string(&manifest.object).map_err(|error| {
            let object = format!("{} {}", manifest.kind(), manifest.name());
            RenderError::NotWritten { object, why: error.to_string() }
        })?;
        all.push_str("---\n# Source: ");
        all.push_str(&manifest.source);
        all.push('\n');
        all.push_str(&text);
        if !all.ends_with('\n') {
            all.push('\n');
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart;
    use crate::values::Profile;

    #[test]
    fn the_chart_has_the_version_of_the_workspace() {
        let text = chart::file("Chart.yaml").unwrap();
        let chart: Value = serde_saphyr::from_str(text).unwrap();
        assert_eq!(chart["name"], NAME);
        assert_eq!(chart["version"], APP_VERSION);
        assert_eq!(chart["appVersion"], APP_VERSION);
    }

    #[test]
    fn what_is_written_is_what_was_rendered() {
        for profile in Profile::ALL {
            let manifests = render(&Values::profile(profile), &Release::default()).unwrap();
            let text = to_yaml(&manifests).unwrap();
            let read: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            let objects: Vec<_> = manifests.into_iter().map(|m| m.object).collect();
            assert_eq!(read, objects, "{profile}");
        }
    }
}
