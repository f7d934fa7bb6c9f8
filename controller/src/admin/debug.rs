//! `/debug`: what became of an object, and which Envoy holds it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use contour_core::diagnostic::Diagnostic;
use contour_core::name::{Kind, ObjectRef};
use contour_core::pipeline::State;
use contour_core::xds::{Resource, ResourceKey, ResourceType};
use http::header::HOST;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Admin, Answer, decode, ended, respond, text};
use crate::ads::{Ads, EnvoyView, HeldState, Holder, Protocol, TypeView};
use crate::version::Version;

const HELP: &str = "\
/debug/objects                               all objects and their states
/debug/object/<Kind>/<namespace>/<name>      what became of an object, and which Envoy holds it
/debug/observe[?after=<cursor>][&once]       everything that is observed, once a second, as lines of JSON
/debug/observe/IngressRoute/<namespace>/<name>      its weights, which Envoys have it, its traffic by route and service
/debug/resources?type=<cds|eds|sds|lds|rds|srds>   the resources in force
/debug/envoys                                the Envoys connected, and what they have and reject
/debug/source                                what could not be read since the start, and removals held back
/debug/version                               what this is
";

/// Answers a request to the debug listener.
pub(super) async fn answer(admin: &Arc<Admin>, request: &Request<Incoming>) -> Answer {
    if !addressed_to_us(request) {
        return text(StatusCode::FORBIDDEN, "use an IP address or localhost as host name\n");
    }
    let path = request.uri().path().trim_end_matches('/');
    let parts: Vec<_> = path.split('/').skip(1).collect();
    match *parts.as_slice() {
        [] | ["debug"] => text(StatusCode::OK, HELP),
        ["debug", "objects"] => objects(admin).await,
        ["debug", "object", kind, name] => object(admin, kind, "", name).await,
        ["debug", "object", kind, namespace, name] => object(admin, kind, namespace, name).await,
        ["debug", "observe"] => admin.feed.answer(admin, request.uri().query()),
        ["debug", "observe", kind, namespace, name] => match known(kind) {
            Ok(kind) => {
                admin.observatory.answer(admin, ObjectRef::new(kind, namespace, name)).await
            }
            Err(unknown) => unknown,
        },
        ["debug", "resources"] => resources(admin, request.uri().query()).await,
        ["debug", "envoys"] => envoys(admin).await,
        ["debug", "source"] => source(admin).await,
        ["debug", "version"] => json_answer(&json!(Version::own())),
        _ => text(StatusCode::NOT_FOUND, format!("there is nothing here; try\n{HELP}")),
    }
}

/// A web page can make a browser ask any address by a name of its own (DNS rebinding), but not by
/// an IP address.
fn addressed_to_us(request: &Request<Incoming>) -> bool {
    let header = request.headers().get(HOST).and_then(|h| h.to_str().ok());
    let Some(authority) = header.and_then(|h| h.parse::<http::uri::Authority>().ok()) else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok()
}

async fn objects(admin: &Admin) -> Answer {
    let Some(lines) = admin.inquiry.objects().await else {
        return ended();
    };
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            json!({
                "kind": line.object.kind.as_str(),
                "namespace": &*line.object.name.namespace,
                "name": &*line.object.name.name,
                "state": line.state.map(State::as_str),
                "findings": line.findings,
            })
        })
        .collect();
    json_answer(&json!({ "objects": lines }))
}

/// The kind that is meant, or what to answer if there is none of this name.
#[expect(clippy::result_large_err, reason = "the answer is sent at once")]
fn known(kind: &str) -> Result<Kind, Answer> {
    let known = Kind::ALL.into_iter().find(|k| k.as_str().eq_ignore_ascii_case(kind));
    known.ok_or_else(|| {
        let kinds = Kind::ALL.map(Kind::as_str).join(", ");
        let message = format!("there is no kind {kind:?}; there are {kinds}\n");
        text(StatusCode::NOT_FOUND, message)
    })
}

async fn object(admin: &Admin, kind: &str, namespace: &str, name: &str) -> Answer {
    let kind = match known(kind) {
        Ok(kind) => kind,
        Err(unknown) => return unknown,
    };
    let object = ObjectRef::new(kind, namespace, name);
    let Some(view) = admin.inquiry.object(object.clone()).await else {
        return ended();
    };
    let Some(view) = view else {
        return text(StatusCode::NOT_FOUND, format!("there is no {object}\n"));
    };
    let diagnostics: Vec<_> = view.diagnostics.iter().map(finding).collect();
    let resources: Vec<_> = view.resources.iter().map(|r| resource(r, &admin.ads, true)).collect();
    json_answer(&json!({
        "kind": view.object.kind.as_str(),
        "namespace": &*view.object.name.namespace,
        "name": &*view.object.name.name,
        "place": view.place,
        "state": view.state.map(State::as_str),
        "diagnostics": diagnostics,
        "resources": resources,
    }))
}

async fn resources(admin: &Admin, query: Option<&str>) -> Answer {
    let wanted = query
        .into_iter()
        .flat_map(|q| q.split('&'))
        .find_map(|pair| pair.strip_prefix("type="))
        .filter(|value| !value.is_empty());
    let kind = match wanted {
        None => None,
        Some(short) => {
            let known = ResourceType::ALL.into_iter().find(|k| k.short() == short);
            if known.is_none() {
                let shorts = ResourceType::ALL.map(ResourceType::short).join(", ");
                let message = format!("there is no type {short:?}; there are {shorts}\n");
                return text(StatusCode::BAD_REQUEST, message);
            }
            known
        }
    };
    let Some(list) = admin.inquiry.resources(kind).await else {
        return ended();
    };
    let list: Vec<_> = list.iter().map(|r| resource(r, &admin.ads, false)).collect();
    json_answer(&json!({ "resources": list }))
}

/// A resource; with `whole` also its content and which Envoy holds it.
fn resource(resource: &Resource, ads: &Ads, whole: bool) -> Value {
    let mut value = json!({
        "type": resource.key.kind.short(),
        "name": &*resource.key.name,
        "version": resource.version.to_string(),
        "bytes": resource.body.len(),
    });
    if whole && let Some(object) = value.as_object_mut() {
        let held: Vec<_> = ads.holders(&resource.key).iter().map(holder).collect();
        object.insert("envoys".to_owned(), held.into());
        let content = decode::readable(resource);
        object.insert("content".to_owned(), content.into());
    }
    value
}

fn finding(diagnostic: &Diagnostic) -> Value {
    json!({
        "severity": diagnostic.severity().as_str(),
        "code": diagnostic.code.as_str(),
        "reason": diagnostic.code.reason(),
        "field": diagnostic.field.as_str(),
        "message": diagnostic.message,
        "remedy": diagnostic.remedy(),
        "place": diagnostic.location.as_ref().map(ToString::to_string),
    })
}

async fn envoys(admin: &Admin) -> Answer {
    // Before the Envoys: what is published meanwhile must not make them look late.
    let revision = admin.ads.revision();
    let views = admin.ads.envoys();
    let Some(owners) = admin.inquiry.owners_of_rejected(&views).await else {
        return ended();
    };
    let envoys: Vec<_> = views.iter().map(|view| envoy(view, &owners)).collect();
    json_answer(&json!({ "revision": revision, "envoys": envoys }))
}

async fn source(admin: &Admin) -> Answer {
    let Some(view) = admin.inquiry.source().await else {
        return ended();
    };
    json_answer(&json!({
        "in_sync": view.is_synced,
        "unread": view.unread.iter().map(|part| &**part).collect::<Vec<_>>(),
        "kept_for_seconds": view.kept_for.map(|left| left.as_secs()),
        "removals_held": {
            "objects": view.held,
            "hosts": view.hosts.iter().map(|host| &**host).collect::<Vec<_>>(),
            "envoys": view.returned.iter().map(|(node, hosts)| json!({"node": &**node, "hosts": hosts})).collect::<Vec<_>>(),
            "removed_in_seconds": view.removed_in.map(|left| left.as_secs()),
        },
    }))
}

fn envoy(view: &EnvoyView, owners: &BTreeMap<ResourceKey, Vec<ObjectRef>>) -> Value {
    let types: serde_json::Map<_, _> =
        view.types.iter().map(|(kind, of)| (kind.short().to_owned(), type_view(of))).collect();
    let rejections: Vec<_> = view
        .rejections
        .iter()
        .map(|rejection| {
            let owners = owners.get(&rejection.key).map_or(&[][..], Vec::as_slice);
            json!({
                "type": rejection.key.kind.short(),
                "name": &*rejection.key.name,
                "version": rejection.version.to_string(),
                "message": &*rejection.message,
                "owners": owners.iter().map(|o| owner(o, rejection.key.kind)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "node": &*view.node,
        "cluster": &*view.cluster,
        "version": view.version.map(|v| v.to_string()),
        "address": view.address.map(|a| a.to_string()),
        "connected_unix": unix(view.connected),
        "protocol": match view.protocol {
            Protocol::Delta => "delta",
            Protocol::Sotw => "state of the world",
        },
        "in_sync": view.in_sync,
        "types": types,
        "rejections": rejections,
    })
}

fn type_view(of: &TypeView) -> Value {
    json!({
        "held": of.held,
        "outstanding": of.outstanding,
        "pending": of.pending,
        "rejected": of.rejected,
        "digest": of.digest.map(|d| d.to_string()),
        "acknowledged_unix": of.acknowledged_at().map(unix),
    })
}

fn unix(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn owner(object: &ObjectRef, of: ResourceType) -> Value {
    json!({
        "kind": object.kind.as_str(),
        "namespace": &*object.name.namespace,
        "name": &*object.name.name,
        "field": part(object.kind, of),
    })
}

/// The part of an object that becomes a resource of a type. Envoy names none: this is where to
/// look.
fn part(kind: Kind, of: ResourceType) -> &'static str {
    if kind != Kind::IngressRoute {
        return ".spec";
    }
    match of {
        ResourceType::Route => ".spec.routes",
        ResourceType::ScopedRoute => ".spec.virtualhost.fqdn",
        ResourceType::Secret => ".spec.virtualhost.tls",
        ResourceType::Listener => ".spec.virtualhost",
        // Of routes, or of a TCP proxy.
        ResourceType::Cluster | ResourceType::Endpoint => ".spec",
    }
}

fn holder(holder: &Holder) -> Value {
    let (state, message) = match &holder.state {
        HeldState::Pending => ("pending", None),
        HeldState::Sent => ("sent", None),
        HeldState::Acknowledged => ("acknowledged", None),
        HeldState::Rejected { message } => ("rejected", Some(&**message)),
    };
    json!({
        "node": &*holder.node,
        "state": state,
        "version": holder.version.map(|v| v.to_string()),
        "message": message,
    })
}

fn json_answer(value: &Value) -> Answer {
    respond(StatusCode::OK, "application/json", format!("{value:#}\n"))
}
