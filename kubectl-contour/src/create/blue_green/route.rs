//! The IngressRoutes that send traffic to both versions.

use contour_core::api::{IngressRouteService, Route};
use contour_core::name::ObjectName;
use serde_json::{Value, json};

use super::{Live, Names, Wish};
use crate::cluster::value::text;
use crate::create::draft::{Document, RouteWish, ingressroute};
use crate::create::live::{name, set, without_server_fields};
use crate::failure::{Failure, Kind};

/// The weight of the first version, which still has all the traffic.
const ALL: i64 = 100;

/// The IngressRoutes to apply: those that route to the Service, with the second one beside it; or
/// a new one.
pub(super) fn routes(wish: &Wish, green: &Names, live: &Live) -> Result<Vec<Document>, Failure> {
    let blue = name(&live.service);
    let edited: Vec<Document> =
        live.routes.iter().filter_map(|route| with_second(route, blue, green)).collect();
    if edited.is_empty() { Ok(vec![new_route(wish, green, live)?]) } else { Ok(edited) }
}

/// An IngressRoute with the second Service beside the first, wherever it stands; `None` if it
/// stands nowhere.
fn with_second(live: &Value, blue: &str, green: &Names) -> Option<Document> {
    let mut value = without_server_fields(live);
    let mut comments = Vec::new();
    let routes = value.pointer_mut("/spec/routes").and_then(Value::as_array_mut)?;
    for (index, route) in routes.iter_mut().enumerate() {
        let Some(services) = route.get_mut("services").and_then(Value::as_array_mut) else {
            continue;
        };
        if !add(services, blue, &green.service) {
            continue;
        }
        let comment = format!(
            "All requests still go where they went; {} gets its first when its weight is raised.",
            green.service
        );
        comments.push((format!(".spec.routes[{index}].services"), comment));
    }
    if comments.is_empty() {
        return None;
    }
    let comment = format!(
        "IngressRoute {} as it is, with {} beside {blue} and every weight said.",
        name(live),
        green.service
    );
    let mut document = Document::new(value, &comment);
    for (field, comment) in comments {
        document.comment(&field, &comment);
    }
    document.base = Some(live.clone());
    Some(document)
}

/// Puts `green` with weight 0 behind `blue`, with what `blue` has besides, and says the weights
/// that went without saying. Whether `blue` is among the services.
fn add(services: &mut Vec<Value>, blue: &str, green: &str) -> bool {
    let at = services.iter().position(|service| service["name"] == json!(blue));
    let Some(at) = at else { return false };
    let total: i64 = services.iter().filter_map(|s| s["weight"].as_i64()).sum();
    for service in services.iter_mut() {
        // No weight at all means equal shares; beside a weight, none means 0.
        let weight = service["weight"].as_i64().unwrap_or_default();
        set(service, "weight", json!(if total == 0 { ALL } else { weight }));
    }
    let port = services.get(at).map(|service| service["port"].clone());
    let there =
        services.iter().any(|s| s["name"] == json!(green) && Some(&s["port"]) == port.as_ref());
    if let Some(mut second) = services.get(at).cloned().filter(|_| !there) {
        set(&mut second, "name", json!(green));
        set(&mut second, "weight", json!(0));
        services.insert(at + 1, second);
    }
    true
}

fn new_route(wish: &Wish, green: &Names, live: &Live) -> Result<Document, Failure> {
    let blue = name(&live.service);
    let Some(host) = &wish.host else {
        let message = format!("no IngressRoute routes to Service {blue}, and no host is given");
        return Err(Failure::new(Kind::Usage, message)
            .with_hint("name the host of a new IngressRoute: --host shop.example.com"));
    };
    let port = first_port(&live.service).ok_or_else(|| {
        Failure::new(Kind::Error, format!("Service {blue} has no TCP port to route to"))
    })?;
    let service = |name: &str, weight| IngressRouteService {
        name: name.into(),
        port,
        weight: Some(weight),
        ..IngressRouteService::default()
    };
    let route = Route {
        prefix: wish.prefix.as_str().into(),
        services: vec![service(blue, ALL), service(&green.service, 0)],
        ..Route::default()
    };
    let mut document = ingressroute(&RouteWish {
        name: ObjectName::new(text(&live.service, "/metadata/namespace"), blue),
        host: Some(host.clone()),
        tls: None,
        routes: vec![route],
        tcp: None,
        class: wish.class.clone(),
    });
    document.comment(
        ".spec.routes[0].services",
        "All requests go to the first version; raise the weight of the second to let some try it.",
    );
    Ok(document)
}

/// The first TCP port of a Service.
fn first_port(service: &Value) -> Option<i64> {
    let ports = service.pointer("/spec/ports")?.as_array()?;
    let tcp = ports.iter().find(|p| ["", "TCP"].contains(&text(p, "/protocol")))?;
    tcp["port"].as_i64()
}
