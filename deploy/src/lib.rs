//! What is installed: the Helm chart of `deploy/chart`, and the same objects made without Helm.
//!
//! The chart is the only source. [`render()`] reads its templates itself, for it needs no cluster, no
//! network and no Helm; a test compares every object with what Helm makes of the same values.
//!
//! ```
//! use contour_deploy::{Override, Profile, Release, Values, render, to_yaml};
//!
//! let values = Values::resolve(Profile::Minimal, &[Override::Set("contour.replicas=2")])?;
//! let manifests = render(&values, &Release::default())?;
//! assert!(to_yaml(&manifests)?.contains("# Source: contour/templates/envoy.yaml"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order: `chart` (the files), `values` (what may be set, and what is wrong with it),
//! `template` (the part of Helm's language that the chart uses), `render` (from both to objects),
//! `reference` (the table of values).

mod chart;
mod values;
mod template;
mod render;
mod reference;

pub use chart::{APP_VERSION, NAME, chart_files};
pub use reference::{described_values, reference};
pub use render::{Manifest, Release, RenderError, Stage, render, to_yaml};
pub use template::TemplateError;
pub use values::{Fault, Override, Profile, Values, ValuesError};
