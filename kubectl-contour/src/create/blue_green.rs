//! A second version beside the first: its Deployment, its Service, and the route to both.

mod route;

use contour_core::name::Fqdn;
use serde_json::{Map, Value, json};

use super::draft::Document;
use super::live::{name, selects, set, without_server_fields};
use crate::cluster::value::text;
use crate::failure::{Failure, Kind};
use route::routes;

/// Labels by which Pods are usually told apart, the best first.
const USUAL: [&str; 4] = ["app.kubernetes.io/name", "app", "k8s-app", "name"];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What the second version is called: `green`.
    pub version: String,
    /// The container, where there are several, and its new image.
    pub image: Option<(Option<String>, String)>,
    /// The host and the prefix of a new IngressRoute, where none routes to the Service yet.
    pub host: Option<Fqdn>,
    /// The prefix of a new IngressRoute.
    pub prefix: String,
    /// The ingress class of a new IngressRoute.
    pub class: Option<String>,
}

/// What is there: the Service, and all of its namespace.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The first Service.
    pub service: Value,
    /// The Deployments.
    pub deployments: Vec<Value>,
    /// The Services.
    pub services: Vec<Value>,
    /// The IngressRoutes to edit; those that do not route to the Service are left alone.
    pub routes: Vec<Value>,
}

/// What to write, and what its reader should know beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The documents, in the order in which they are applied.
    pub documents: Vec<Document>,
    /// Remarks.
    pub remarks: Vec<String>,
}

/// Plans a second version of the Service.
///
/// # Errors
/// If the Service has no Deployment of its own, or a new IngressRoute lacks a host.
pub fn plan(wish: &Wish, live: &Live) -> Result<Plan, Failure> {
    let deployment = deployment_of(live)?;
    let green = Names::of(wish, live, deployment)?;
    let mut documents =
        vec![second_deployment(wish, &green, deployment)?, second_service(&green, &live.service)];
    documents.extend(routes(wish, &green, live)?);
    let labels = documents.first().and_then(|d| d.value.pointer("/spec/template/metadata/labels"));
    let mut remarks = Vec::new();
    for service in &live.services {
        let own = [name(&live.service), green.service.as_str()];
        if !own.contains(&name(service)) && selects(service.pointer("/spec/selector"), labels) {
            remarks.push(format!(
                "Service {} selects the Pods of {} too: requests to it reach both versions",
                name(service),
                green.deployment
            ));
        }
    }
    Ok(Plan { documents, remarks })
}

/// What the second version's objects are called, and which labels tell its Pods apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Names {
    /// What the version is called.
    version: String,
    /// Its Deployment.
    deployment: String,
    /// Its Service.
    service: String,
    /// Labels that differ from those of the first version: key, new value.
    labels: Vec<(String, String)>,
}

impl Names {
    fn of(wish: &Wish, live: &Live, deployment: &Value) -> Result<Self, Failure> {
        let selector = |value: &Value, pointer: &str| {
            value.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let by_service = selector(&live.service, "/spec/selector");
        let by_deployment = selector(deployment, "/spec/selector/matchLabels");
        if by_deployment.is_empty() {
            let message = format!(
                "Deployment {} selects its Pods by expressions alone, which leave no label to \
                 tell a second version by",
                name(deployment)
            );
            return Err(Failure::new(Kind::Error, message)
                .with_hint("write the second Deployment by hand, with labels of its own"));
        }
        let shared: Map<String, Value> = by_service
            .iter()
            .filter(|(key, _)| by_deployment.contains_key(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let sources =
            if shared.is_empty() { vec![&by_service, &by_deployment] } else { vec![&shared] };
        let labels = sources.into_iter().filter_map(|labels| {
            let usual = USUAL.into_iter().find(|key| labels.contains_key(*key));
            let key = usual.or_else(|| labels.keys().next().map(String::as_str))?;
            let value = labels.get(key).and_then(Value::as_str).unwrap_or_default();
            Some((key.to_owned(), with_version(value, &wish.version)))
        });
        Ok(Self {
            version: wish.version.clone(),
            deployment: with_version(name(deployment), &wish.version),
            service: with_version(name(&live.service), &wish.version),
            labels: labels.collect(),
        })
    }

    fn relabel(&self, labels: Option<&mut Value>, only_known: bool) {
        let Some(labels) = labels.and_then(Value::as_object_mut) else { return };
        for (key, value) in &self.labels {
            if !only_known || labels.contains_key(key) {
                labels.insert(key.clone(), json!(value));
            }
        }
    }
}

/// `web` and `web-blue` become `web-green`, within the 63 characters of a label.
fn with_version(name: &str, version: &str) -> String {
    let base = name.strip_suffix("-blue").unwrap_or(name);
    let room = 62_usize.saturating_sub(version.len());
    let base: String = base.chars().take(room).collect();
    format!("{}-{version}", base.trim_end_matches(['-', '.', '_']))
}

/// The Deployment whose Pods the Service selects.
fn deployment_of(live: &Live) -> Result<&Value, Failure> {
    let service = name(&live.service);
    let found: Vec<&Value> = live
        .deployments
        .iter()
        .filter(|deployment| {
            let labels = deployment.pointer("/spec/template/metadata/labels");
            selects(live.service.pointer("/spec/selector"), labels)
        })
        .collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let message = format!("no Deployment has Pods that Service {service} selects");
            let names: Vec<_> = live.deployments.iter().map(name).collect();
            let hint = if names.is_empty() {
                "the namespace has no Deployment".to_owned()
            } else {
                format!("the namespace has {}", names.join(", "))
            };
            Err(Failure::new(Kind::Error, message).with_hint(hint))
        }
        several => {
            let names: Vec<_> = several.iter().map(|d| name(d)).collect();
            let message =
                format!("Service {service} selects the Pods of {}", names.join(" and of "));
            Err(Failure::new(Kind::Error, message)
                .with_hint("narrow its selector to one of them first"))
        }
    }
}

fn second_deployment(wish: &Wish, green: &Names, blue: &Value) -> Result<Document, Failure> {
    let mut value = without_server_fields(blue);
    if let Some(metadata) = value.pointer_mut("/metadata") {
        set(metadata, "name", json!(green.deployment));
    }
    green.relabel(value.pointer_mut("/metadata/labels"), true);
    green.relabel(value.pointer_mut("/spec/selector/matchLabels"), true);
    green.relabel(value.pointer_mut("/spec/template/metadata/labels"), false);
    // What a restart left behind is no wish for the new one.
    if let Some(metadata) =
        value.pointer_mut("/spec/template/metadata").and_then(Value::as_object_mut)
    {
        metadata.shift_remove("creationTimestamp");
    }
    let comment = format!(
        "The {} version: Deployment {} as it is, with labels of its own and {}.",
        green.version,
        name(blue),
        wish.image
            .as_ref()
            .map_or_else(|| "the same image".to_owned(), |(_, image)| format!("image {image}"))
    );
    let mut document = Document::new(value, &comment);
    match &wish.image {
        Some((container, image)) => {
            let index = set_image(&mut document.value, container.as_deref(), image)?;
            let field = format!(".spec.template.spec.containers[{index}].image");
            let was = blue.pointer(&format!("/spec/template/spec/containers/{index}/image"));
            let was = was.and_then(Value::as_str).unwrap_or("unset");
            document.comment(&field, &format!("The first version has {was}."));
        }
        None => document.comment(
            ".spec.template.spec.containers",
            "The image is that of the first version: set the new one here, or by --image.",
        ),
    }
    Ok(document)
}

/// Sets the image of a container and says which one it is.
fn set_image(value: &mut Value, container: Option<&str>, image: &str) -> Result<usize, Failure> {
    let deployment = name(value).to_owned();
    let containers = value.pointer_mut("/spec/template/spec/containers");
    let containers = containers.and_then(Value::as_array_mut);
    let Some(containers) = containers else {
        return Err(Failure::new(Kind::Error, format!("Deployment {deployment} has no container")));
    };
    let names: Vec<String> = containers.iter().map(|c| text(c, "/name").to_owned()).collect();
    let index = match container {
        None if containers.len() == 1 => Some(0),
        None => None,
        Some(wanted) => names.iter().position(|name| name == wanted),
    };
    let found = index.and_then(|index| Some((index, containers.get_mut(index)?)));
    let Some((index, found)) = found else {
        let message = match container {
            Some(wanted) => format!("--image: there is no container {wanted:?}"),
            None => "--image: there are several containers".to_owned(),
        };
        let first = names.first().map_or("NAME", String::as_str);
        let hint = format!("there is {}: --image {first}={image}", names.join(", "));
        return Err(Failure::new(Kind::Usage, message).with_hint(hint));
    };
    set(found, "image", json!(image));
    Ok(index)
}

fn second_service(green: &Names, blue: &Value) -> Document {
    let mut value = without_server_fields(blue);
    if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.insert("name".to_owned(), json!(green.service));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| {
                key.starts_with("contour.heptio.com/") || key.starts_with("projectcontour.io/")
            });
            if annotations.is_empty() {
                metadata.shift_remove("annotations");
            }
        }
    }
    green.relabel(value.pointer_mut("/metadata/labels"), true);
    if let Some(spec) = value.pointer_mut("/spec").and_then(Value::as_object_mut) {
        // What is allotted to one Service alone, or makes it reachable from outside.
        for field in [
            "clusterIP",
            "clusterIPs",
            "externalIPs",
            "externalName",
            "externalTrafficPolicy",
            "healthCheckNodePort",
            "internalTrafficPolicy",
            "loadBalancerClass",
            "loadBalancerIP",
            "loadBalancerSourceRanges",
            "allocateLoadBalancerNodePorts",
            "type",
            "ipFamilies",
            "ipFamilyPolicy",
        ] {
            spec.shift_remove(field);
        }
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
            port.shift_remove("nodePort");
        }
    }
    green.relabel(value.pointer_mut("/spec/selector"), true);
    let comment = format!(
        "The Service of the {} version: Service {} with a selector for the new Pods alone.",
        green.version,
        name(blue)
    );
    Document::new(value, &comment)
}

#[cfg(test)]
mod tests;
