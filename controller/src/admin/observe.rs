//! `/debug/observe`: an object, which Envoys have it, and what traffic they have counted for it.
//!
//! Envoys are asked when somebody asks us, and by nobody else; what they count is kept by them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contour_core::name::{Kind, ObjectRef};
use contour_core::observe::{Envoy, Report, SCHEMA, Subject};
use http::{Method, StatusCode};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::{Admin as Administration, Answer, ended, respond, text};
use crate::ads::Whereabouts;
use crate::bootstrap::Admin;
use crate::engine::observed::Observed;
use crate::envoy::administration::ask;
use crate::kubernetes::notes::hyphenated;

/// How long an Envoy may take to tell its statistics.
const LIMIT: Duration = Duration::from_secs(2);

/// What is said of an Envoy that cannot be asked.
pub(super) const NOWHERE: &str = "nobody knows where it tells its statistics";

/// How old a report may be that somebody else has asked for.
const SHARED: Duration = Duration::from_millis(500);

/// The form of a report, made once for all who ask at a time; `None` if there is no such object,
/// or if the engine has ended.
type Made = Result<Arc<str>, Missing>;

/// Why there is no report.
#[derive(Clone, Copy, Debug)]
enum Missing {
    Object,
    Engine,
}

#[derive(Clone)]
struct Sharing {
    begun: Instant,
    report: Arc<OnceCell<Made>>,
}

/// Asks Envoys about objects.
#[derive(Default)]
pub(crate) struct Observatory {
    /// The port of the listener at which Envoys tell their statistics, if there is one.
    stats_port: Option<u16>,
    /// Reports that may be shared, or have just been.
    recent: Mutex<HashMap<ObjectRef, Sharing>>,
}

impl Observatory {
    pub(crate) fn new(stats_port: Option<u16>) -> Self {
        Self { stats_port, ..Self::default() }
    }

    /// Answers with the report of an object.
    pub(super) async fn answer(&self, admin: &Administration, object: ObjectRef) -> Answer {
        if object.kind != Kind::IngressRoute {
            let message = format!("{object} has no traffic of its own; IngressRoutes have\n");
            return text(StatusCode::NOT_FOUND, message);
        }
        let report = self.sharing(&object);
        match report.get_or_init(|| self.make(admin, &object)).await {
            Ok(json) => respond(StatusCode::OK, "application/json", json.to_string()),
            Err(Missing::Object) => text(StatusCode::NOT_FOUND, format!("there is no {object}\n")),
            Err(Missing::Engine) => ended(),
        }
    }

    /// The place for a report; one in which somebody else may be putting it just now.
    fn sharing(&self, object: &ObjectRef) -> Arc<OnceCell<Made>> {
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|_, sharing| now.duration_since(sharing.begun) < SHARED);
        let new = || Sharing { begun: now, report: Arc::default() };
        Arc::clone(&recent.entry(object.clone()).or_insert_with(new).report)
    }

    async fn make(&self, admin: &Administration, object: &ObjectRef) -> Made {
        let observed = admin.inquiry.observe(object.clone()).await.ok_or(Missing::Engine)?;
        let observed = observed.ok_or(Missing::Object)?;
        let unix_millis = admin.ads.unix_millis();
        let Observed { uid, generation, state, errors, weights, subject, fleet } = observed;
        let envoys = match subject {
            Some(subject) => self.envoys(Arc::new(subject), admin).await,
            None => Vec::new(),
        };
        let report = Report {
            schema: SCHEMA,
            unix_millis,
            controller: env!("CARGO_PKG_VERSION").into(),
            uid: uid.map(|uid| hyphenated(uid).into()),
            generation,
            state: state.map(|state| state.as_str().into()),
            errors,
            weights,
            fleet,
            envoys,
        };
        let json = serde_json::to_string_pretty(&report).unwrap_or_default();
        Ok((json + "\n").into())
    }

    /// What every connected Envoy has counted, all asked at once.
    async fn envoys(&self, subject: Arc<Subject>, admin: &Administration) -> Vec<Envoy> {
        let mut asked = JoinSet::new();
        for (node, whereabouts) in admin.ads.whereabouts() {
            let (subject, place) = (Arc::clone(&subject), self.place(whereabouts));
            asked.spawn(async move {
                let counted = counted(&subject, &node, place.as_ref()).await;
                counted.unwrap_or_else(|trouble| Envoy {
                    node,
                    trouble: Some(trouble.into()),
                    routes: Vec::new(),
                    services: Vec::new(),
                })
            });
        }
        let mut envoys = asked.join_all().await;
        envoys.sort_by(|a, b| a.node.cmp(&b.node));
        envoys
    }

    /// Where an Envoy tells its statistics.
    pub(super) fn place(&self, whereabouts: Whereabouts) -> Option<Admin> {
        let listener = || Some(Admin::Address(whereabouts.address?.ip(), self.stats_port?));
        whereabouts.admin.or_else(listener)
    }
}

async fn counted(
    subject: &Subject,
    node: &Arc<str>,
    place: Option<&Admin>,
) -> Result<Envoy, String> {
    let place = place.ok_or(NOWHERE)?;
    let answer = answer(place, &subject.query()).await?;
    let envoy = subject.read(Arc::clone(node), &answer);
    envoy.map_err(|error| format!("asked at {place}: {error}"))
}

/// What an Envoy answers, or why it does not.
pub(super) async fn answer(place: &Admin, query: &str) -> Result<String, String> {
    let answer = ask(place, (Method::GET, query), LIMIT).await;
    answer.map_err(|error| format!("cannot be asked at {place}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn an_envoy_is_asked_at_its_own_administration_or_at_its_listener_for_statistics() {
        let address: IpAddr = "10.0.0.3".parse().unwrap();
        let elsewhere = Whereabouts { address: Some((address, 40_000).into()), admin: None };
        let socket = Admin::Socket("admin.sock".into());
        let here = Whereabouts {
            address: Some("127.0.0.1:40000".parse().unwrap()),
            admin: Some(socket.clone()),
        };
        let listener = Observatory::new(Some(8002));
        assert_eq!(listener.place(elsewhere.clone()), Some(Admin::Address(address, 8002)));
        assert_eq!(listener.place(here.clone()), Some(socket.clone()));
        let nowhere = Observatory::new(None);
        assert_eq!(nowhere.place(elsewhere), None);
        assert_eq!(nowhere.place(here), Some(socket));
    }

    #[test]
    fn those_who_ask_at_a_time_share_a_report_and_others_do_not() {
        let observatory = Observatory::new(None);
        let [one, two] =
            ["one", "two"].map(|name| ObjectRef::new(Kind::IngressRoute, "demo", name));
        let first = observatory.sharing(&one);
        assert!(Arc::ptr_eq(&first, &observatory.sharing(&one)));
        assert!(!Arc::ptr_eq(&first, &observatory.sharing(&two)));
        std::thread::sleep(SHARED);
        assert!(!Arc::ptr_eq(&first, &observatory.sharing(&one)));
        assert_eq!(observatory.recent.lock().unwrap().len(), 1);
    }
}
