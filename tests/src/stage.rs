//! A controller in this process, a real Envoy that it programs, and what to ask of both.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use contour::bootstrap::{Admin, Bootstrap};
use contour::config::Config;
use contour::event::ControllerEvent;
use contour::serve::{Controller, Hooks};
use contour::source::Source;
use contour_core::api::Object;
use contour_core::diagnostic::{Code, Diagnostic};
use contour_core::manifest::{self, Limits};
use contour_core::name::{Kind, ObjectRef};
use contour_core::pipeline::{Bind, Change, Options};
use contour_core::xds::ResourceKey;
use tokio::sync::{broadcast, mpsc};

use crate::backend::Backend;
use crate::client::{Ask, PATIENCE, Reply, Target};
use crate::envoy::{self, Envoy};
use crate::{certificates, objects, worlds};

/// Settings for tests: every listener on a free port of 127.0.0.1, nothing logged.
pub fn options() -> Options {
    let any = Bind { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0 };
    Options {
        http: any.clone(),
        https: any.clone(),
        stats: Some(any),
        http_access_log: "".into(),
        https_access_log: "".into(),
        allow_loopback_endpoints: true,
        ..Options::default()
    }
}

/// The node id of the Envoy of a [`Stage`].
pub const NODE: &str = "envoy-1";

/// A controller and an Envoy, with what the controller told.
pub struct Stage {
    /// The Envoy.
    pub envoy: Envoy,
    /// The controller.
    pub controller: Controller,
    changes: mpsc::Sender<Vec<Change>>,
    nodes: Vec<String>,
}

/// What a change led to.
#[derive(Clone, Debug)]
pub struct Told {
    /// The revision.
    pub revision: u64,
    /// How many resources differ.
    pub resources: usize,
    /// Findings that are new.
    pub diagnostics: Vec<Diagnostic>,
    /// Findings that no longer stand.
    pub mended: Vec<Diagnostic>,
}

impl Told {
    /// Asserts that something of this code is newly said about an object.
    ///
    /// # Panics
    /// If it is not.
    pub fn expect(&self, code: Code, object: &str) -> &Diagnostic {
        let found = self.diagnostics.iter().find(|d| {
            let about = d.object.as_ref().map(|o| o.name.to_string());
            d.code == code && about.as_deref() == Some(object)
        });
        found.unwrap_or_else(|| panic!("{code} is not said of {object}: {:#?}", self.diagnostics))
    }

    /// Asserts that nothing new is wrong.
    ///
    /// # Panics
    /// If something is.
    pub fn fine(&self) {
        assert!(self.diagnostics.is_empty(), "{:#?}", self.diagnostics);
    }
}

impl Stage {
    /// A controller over an empty world, and an Envoy that holds what it has.
    pub async fn new() -> Self {
        Self::with(options(), Hooks::default()).await
    }

    /// The same with other settings.
    pub async fn with(options: Options, hooks: Hooks) -> Self {
        let (changes, source) = mpsc::channel(16);
        let mut config = Config::local(Source::Channel(source));
        config.options = options;
        let controller = Controller::start(config, hooks).await.expect("the controller starts");
        let mut events = controller.events();
        changes.send(Vec::new()).await.expect("the controller listens");
        let envoy = connect(&controller, NODE);
        heard(&mut events, "Envoy holds the first revision", |event| {
            matches!(event, ControllerEvent::Acknowledged { .. }).then_some(())
        })
        .await;
        envoy.ready().await;
        Self { envoy, controller, changes, nodes: vec![NODE.to_owned()] }
    }

    /// Starts a further Envoy and waits until it serves.
    pub async fn join(&mut self, node: &str) -> Envoy {
        let mut events = self.controller.events();
        let envoy = connect(&self.controller, node);
        acknowledged(&mut events, node, 0).await;
        self.nodes.push(node.to_owned());
        envoy.ready().await;
        envoy
    }

    /// Makes changes and waits until every Envoy holds what they led to.
    pub async fn change(&self, changes: Vec<Change>) -> Told {
        let mut events = self.controller.events();
        let told = self.tell(&mut events, changes).await;
        if told.resources > 0 {
            let mut waiting: BTreeSet<_> = self.nodes.iter().map(String::as_str).collect();
            heard(&mut events, "every Envoy holds the change", |event| {
                if let ControllerEvent::Acknowledged { revision, node, .. } = event
                    && *revision >= told.revision
                {
                    waiting.remove(&**node);
                }
                waiting.is_empty().then_some(())
            })
            .await;
        }
        told
    }

    /// Makes changes and waits until the controller has published what they led to.
    pub async fn tell(
        &self,
        events: &mut broadcast::Receiver<ControllerEvent>,
        changes: Vec<Change>,
    ) -> Told {
        let objects: Vec<ObjectRef> = changes.iter().filter_map(subject).collect();
        self.changes.send(changes).await.expect("the controller listens");
        heard(events, "the controller takes up the change", |event| {
            let ControllerEvent::Applied {
                revision,
                objects: about,
                resources,
                diagnostics,
                mended,
                ..
            } = event
            else {
                return None;
            };
            let about: BTreeSet<_> = about.iter().collect();
            objects.iter().all(|o| about.contains(o)).then(|| Told {
                revision: *revision,
                resources: *resources,
                diagnostics: diagnostics.clone(),
                mended: mended.clone(),
            })
        })
        .await
    }

    /// Applies the objects of a manifest.
    pub async fn apply(&self, text: &str) -> Told {
        self.change(read(text)).await
    }

    /// Applies objects.
    pub async fn put(&self, objects: &[Object]) -> Told {
        self.change(worlds::applications(objects)).await
    }

    /// Deletes an object.
    pub async fn delete(&self, kind: Kind, namespace: &str, name: &str) -> Told {
        let reference = ObjectRef::new(kind, namespace, name);
        self.change(vec![Change::Delete(reference)]).await
    }

    /// Puts backends into a namespace, each behind a Service of its name on port 80.
    pub async fn serve(&self, namespace: &str, backends: &[&Backend]) {
        let mut all = Vec::new();
        for backend in backends {
            all.extend(behind(namespace, &backend.name, &[backend]));
        }
        self.put(&all).await.fine();
    }

    /// Where plain HTTP is served.
    pub async fn http(&self) -> Target {
        Target::plain(self.envoy.listener("ingress_http").await)
    }

    /// Where HTTPS is served, with this SNI.
    pub async fn https(&self, sni: &str) -> Target {
        Target::tls(self.https_address().await, sni)
    }

    /// The address of HTTPS.
    pub async fn https_address(&self) -> SocketAddr {
        self.envoy.listener("ingress_https").await
    }
}

/// A Service of this name on port 80, and the endpoints behind it.
pub fn behind(namespace: &str, service: &str, backends: &[&Backend]) -> Vec<Object> {
    let addresses: Vec<_> = backends.iter().map(|b| b.address).collect();
    let mut all = vec![Object::Service(objects::service(namespace, service, 80))];
    all.extend(objects::slice(namespace, service, &addresses));
    all
}

/// A Service as [`behind`], with an annotation and an application protocol.
pub fn speaking(
    namespace: &str,
    service: &str,
    backend: &Backend,
    annotation: Option<&str>,
    app_protocol: Option<&str>,
) -> Vec<Object> {
    let mut all = behind(namespace, service, &[backend]);
    for object in &mut all {
        if let Object::Service(service) = object {
            if let Some(protocol) = annotation {
                let key = format!("contour.heptio.com/upstream-protocol.{protocol}");
                service.metadata.annotations.insert(key.into(), "80".into());
            }
            for port in &mut service.spec.ports {
                port.app_protocol = app_protocol.map(Arc::from);
            }
        }
    }
    all
}

/// The manifest of an IngressRoute, given as `namespace/name`, with this spec.
///
/// # Panics
/// If the name has no namespace.
pub fn ingress_route(name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    let lines = spec.lines().map(|line| format!("  {line}\n"));
    format!(
        "---\napiVersion: contour.heptio.com/v1beta1\nkind: IngressRoute\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{}",
        lines.collect::<String>()
    )
}

/// The objects of a manifest, as changes.
///
/// # Panics
/// If the manifest cannot be read.
pub fn read(text: &str) -> Vec<Change> {
    let manifest = manifest::read("stage.yaml", text, Limits::default());
    assert!(manifest.complete, "{:#?}", manifest.diagnostics);
    let documents = manifest.documents.into_iter();
    let changes = documents.map(|document| {
        let told: Arc<[Diagnostic]> = document.diagnostics.into();
        let object = document.object;
        let object = object.unwrap_or_else(|| panic!("{}: {told:#?}", document.reference));
        Change::Apply(Box::new(object), told)
    });
    changes.collect()
}

/// A TLS Secret for a host, signed by the authority of the tests.
pub fn certificate(namespace: &str, name: &str, hosts: &[&str]) -> (Object, certificates::Pair) {
    let pair = certificates::authority().leaf(hosts);
    (pair.secret(namespace, name), pair)
}

/// Asks again until the answer is as it should be, and hands it out.
///
/// # Panics
/// If it never is; with the last answer.
pub async fn until(target: &Target, ask: &Ask, wanted: impl Fn(&Reply) -> bool) -> Reply {
    let last = std::sync::Mutex::new(None);
    let begin = std::time::Instant::now();
    loop {
        let reply = target.ask(ask).await;
        match reply {
            Ok(reply) if wanted(&reply) => return reply,
            other => *last.lock().expect("nobody panics here") = Some(other),
        }
        let last = last.lock().expect("nobody panics here");
        assert!(begin.elapsed() < PATIENCE, "{ask:?} of {target:?}: {last:?}");
        drop(last);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Waits until a backend of this name answers.
pub async fn until_backend(target: &Target, ask: &Ask, name: &str) -> Reply {
    until(target, ask, |r| r.backend().as_deref() == Some(name)).await
}

/// Waits until the answer has this status.
pub async fn until_status(target: &Target, ask: &Ask, status: u16) -> Reply {
    until(target, ask, |r| r.status == status).await
}

/// The object that a change is about.
fn subject(change: &Change) -> Option<ObjectRef> {
    match change {
        Change::Apply(object, _) => Some(object.reference()),
        Change::Delete(object) | Change::Undecodable(object, _) => Some(object.clone()),
        Change::Clock(_) => None,
    }
}

/// An Envoy that asks a controller, as its own bootstrap tells it to.
pub fn connect(controller: &Controller, node: &str) -> Envoy {
    Envoy::start(&bootstrap(controller.bound().xds.port(), node)).expect("Envoy starts")
}

/// The controller's bootstrap for an Envoy on this machine.
pub fn bootstrap(port: u16, node: &str) -> serde_json::Value {
    let admin = Admin::Socket(envoy::ADMIN.into());
    Bootstrap::local(admin, port, node).render().config
}

/// Waits for an event.
///
/// # Panics
/// If it does not come within [`PATIENCE`].
pub async fn heard<T>(
    events: &mut broadcast::Receiver<ControllerEvent>,
    what: &str,
    mut wanted: impl FnMut(&ControllerEvent) -> Option<T>,
) -> T {
    let mut seen = Vec::new();
    let search = async {
        loop {
            let event = events.recv().await.expect("the controller runs");
            if let Some(found) = wanted(&event) {
                return found;
            }
            seen.push(event);
        }
    };
    let result = tokio::time::timeout(PATIENCE, search).await;
    result.unwrap_or_else(|_| panic!("in vain: {what}; {seen:#?}"))
}

/// Waits until an Envoy holds all of a revision.
pub async fn acknowledged(
    events: &mut broadcast::Receiver<ControllerEvent>,
    node: &str,
    revision: u64,
) {
    let what = format!("{node} holds revision {revision}");
    heard(events, &what, |event| {
        let ControllerEvent::Acknowledged { node: told, revision: held, .. } = event else {
            return None;
        };
        (**told == *node && *held >= revision).then_some(())
    })
    .await;
}

/// What an Envoy rejected.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The resource.
    pub resource: ResourceKey,
    /// The objects that had a part in it.
    pub objects: Vec<ObjectRef>,
    /// What Envoy says.
    pub message: Arc<str>,
}

/// Waits until an Envoy rejects something that an object had a part in.
pub async fn rejected(
    events: &mut broadcast::Receiver<ControllerEvent>,
    object: &ObjectRef,
) -> Rejection {
    heard(events, "the rejection is told", |event| {
        let ControllerEvent::Rejected { resource, objects, message, .. } = event else {
            return None;
        };
        objects.contains(object).then(|| Rejection {
            resource: resource.clone(),
            objects: objects.clone(),
            message: Arc::clone(message),
        })
    })
    .await
}

/// Waits until an Envoy is refused; why it is.
pub async fn refused(events: &mut broadcast::Receiver<ControllerEvent>, node: &str) -> Arc<str> {
    heard(events, "the refusal is told", |event| {
        let ControllerEvent::Refused { node: told, message } = event else {
            return None;
        };
        (**told == *node).then(|| Arc::clone(message))
    })
    .await
}
