//! What the controller tells, with what the files tell beside it.

use contour::event::ControllerEvent;
use contour_core::name::ObjectRef;

use super::directory::Directory;
use super::event::{Applied, ChangeKind, ChangedObject, Event};

/// The event to tell for one of the controller's. `before` and `now` are the directory as it was
/// and as it is.
pub fn translate(event: ControllerEvent, before: &Directory, now: &Directory) -> Event {
    match event {
        ControllerEvent::Applied {
            revision,
            objects,
            resources,
            units,
            diagnostics,
            mended,
            micros,
            files: _,
        } => Event::Applied(Applied {
            revision,
            objects: objects.iter().map(|object| changed(object, before, now)).collect(),
            resources,
            units,
            millis: std::time::Duration::from_micros(micros).as_secs_f64() * 1e3,
            diagnostics,
            mended,
            initial: false,
        }),
        ControllerEvent::Acknowledged { revision, node, elapsed } => Event::Acknowledged {
            revision,
            node: node.to_string(),
            millis: (elapsed.as_secs_f64() * 1e6).round() / 1e3,
            initial: false,
        },
        ControllerEvent::Rejected { node, resource, objects, message } => Event::Rejected {
            node: node.to_string(),
            resource: resource.to_string(),
            objects: names(&objects),
            reason: message.to_string(),
        },
        ControllerEvent::Recovered { node, resource, objects } => Event::Recovered {
            node: node.to_string(),
            resource: resource.to_string(),
            objects: names(&objects),
        },
        ControllerEvent::SourceProblem { diagnostics } => Event::Problem { diagnostics },
        ControllerEvent::SourceMended { file } => Event::Mended { file: file.to_string() },
        ControllerEvent::Connected { node } => Event::Connected { node: node.to_string() },
        ControllerEvent::Disconnected { node } => Event::Disconnected { node: node.to_string() },
        ControllerEvent::Refused { node, message } => Event::Trouble {
            message: format!("the controller refuses Envoy {node}: {message}"),
            hint: None,
        },
    }
}

fn names(objects: &[ObjectRef]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

fn changed(object: &ObjectRef, before: &Directory, now: &Directory) -> ChangedObject {
    let difference = now.difference(before, object);
    ChangedObject {
        object: object.to_string(),
        change: match (difference.was_present, difference.present) {
            (false, true) => ChangeKind::Added,
            (true, false) => ChangeKind::Removed,
            (true, true) | (false, false) => ChangeKind::Changed,
        },
        file: difference.file,
        fields: difference.fields,
    }
}
