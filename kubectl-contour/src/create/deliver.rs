//! What becomes of what was written: printed, saved, applied.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::apply::{self, Applied};
use super::args::{DeliverArgs, DryRun, Form};
use super::draft::{self, Document};
use super::yaml::{self, Comments};
use crate::cluster::Cluster;
use crate::cluster::value::text as text_of;
use crate::failure::{Failure, Kind, write_stderr};

/// What is to be delivered.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The text as it was written or edited.
    pub text: String,
    /// The documents: of those that are there already, only what differs is changed.
    pub documents: Vec<Document>,
}

impl Parcel {
    /// Documents that nobody has edited.
    pub fn of(documents: Vec<Document>) -> Self {
        Self { text: draft::text(&documents), documents }
    }

    /// A text that somebody has edited, of which these documents were the original.
    ///
    /// # Errors
    /// If it cannot be read, which a check has told in detail before.
    pub fn edited(text: String, originals: &[Document]) -> Result<Self, Failure> {
        let values: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| {
            Failure::new(Kind::Error, format!("the edited text cannot be read: {error}"))
        })?;
        let documents = values.into_iter().filter(|value| !value.is_null()).map(|value| {
            let namespace = |value: &Value| text_of(value, "/metadata/namespace").to_owned();
            let is_same = |original: &&Document| {
                apply::full_name(&original.value) == apply::full_name(&value)
                    && namespace(&original.value) == namespace(&value)
            };
            let base = originals.iter().find(is_same).and_then(|found| found.base.clone());
            Document { value, base, ..Document::default() }
        });
        Ok(Self { documents: documents.collect(), text })
    }

    fn values(&self) -> Vec<Value> {
        self.documents.iter().map(|document| document.value.clone()).collect()
    }
}

/// Saves, applies and prints, as the flags have it.
///
/// # Errors
/// If a file cannot be written, or the server refuses.
pub async fn deliver(
    parcel: &Parcel,
    flags: &DeliverArgs,
    cluster: Option<&Cluster>,
) -> Result<(), Failure> {
    if let Some(path) = &flags.save {
        save(path, &parcel.text)?;
    }
    let wants_server = flags.dry_run == DryRun::Server || flags.apply;
    if !wants_server || flags.dry_run == DryRun::Client {
        // A file was asked for: that is where it is.
        if flags.save.is_some() && flags.output.is_none() {
            return Ok(());
        }
        let text = match flags.output {
            None if flags.apply => lines(parcel.values().iter(), |_| "not applied (dry run)"),
            None | Some(Form::Yaml) => parcel.text.clone(),
            Some(form) => of_values(&parcel.values(), form)?,
        };
        return print(&text);
    }
    let Some(cluster) = cluster else {
        return Err(Failure::new(Kind::Cluster, "there is no cluster to apply it to"));
    };
    let how = apply::How { dry_run: flags.dry_run == DryRun::Server, force: flags.force_conflicts };
    let mut done = Vec::new();
    for document in &parcel.documents {
        match apply::apply(cluster, document, how).await {
            Ok(applied) => {
                for warning in &applied.warnings {
                    write_stderr(&format!("Warning: {warning}\n"));
                }
                done.push(applied);
            }
            Err(failure) => {
                print(&results(&done, flags, how)?)?;
                return Err(failure);
            }
        }
    }
    print(&results(&done, flags, how)?)
}

fn results(done: &[Applied], flags: &DeliverArgs, how: apply::How) -> Result<String, Failure> {
    let values: Vec<Value> = done.iter().map(|applied| applied.object.clone()).collect();
    match flags.output {
        None => {
            let suffix = if how.dry_run { " (server dry run)" } else { "" };
            let mut out = String::new();
            for applied in done {
                // Writing to a String cannot fail.
                let _infallible = writeln!(
                    out,
                    "{} {}{suffix}",
                    apply::full_name(&applied.object),
                    applied.change.as_str()
                );
            }
            Ok(out)
        }
        Some(_) if values.is_empty() => Ok(String::new()),
        Some(form) => of_values(&values, form),
    }
}

fn lines<'v>(values: impl Iterator<Item = &'v Value>, what: impl Fn(&Value) -> &'v str) -> String {
    values.fold(String::new(), |out, value| {
        format!("{out}{} {}\n", apply::full_name(value), what(value))
    })
}

/// Objects in a form; several as one List in JSON, as kubectl does.
fn of_values(values: &[Value], form: Form) -> Result<String, Failure> {
    Ok(match form {
        Form::Name => {
            values.iter().fold(String::new(), |out, v| format!("{out}{}\n", apply::full_name(v)))
        }
        Form::Yaml => values
            .iter()
            .map(|value| yaml::write(value, &Comments::new()))
            .collect::<Vec<_>>()
            .join("---\n"),
        Form::Json => {
            let value = match values {
                [one] => one.clone(),
                several => json!({ "apiVersion": "v1", "kind": "List", "items": several }),
            };
            format!("{}\n", serde_json::to_string_pretty(&value)?)
        }
    })
}

/// Writes a new file; what is there already is not written over.
fn save(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Error, format!("cannot write {}: {error}", path.display()))
    };
    match std::fs::read_to_string(path) {
        Ok(there) if there == text => {
            write_stderr(&format!("{} unchanged\n", path.display()));
            return Ok(());
        }
        Ok(_) => {
            return Err(Failure::new(Kind::Error, format!("{} is there already", path.display()))
                .with_hint("name another file, or remove it"));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let directory =
        path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    write_stderr(&format!("{} written\n", path.display()));
    Ok(())
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Kind::Error, format!("cannot write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}
