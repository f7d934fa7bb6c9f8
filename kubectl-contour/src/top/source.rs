//! Who is asked, as the flags say.

use std::sync::Arc;
use std::time::Duration;

use contour_core::api::Timestamp;
use contour_core::shift::state::{ANNOTATION, State};
use contour_core::top::{Input, Shift};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::args::{SourceFlags, TopArgs};
use super::follow::{Place, follow};
use super::kubernetes::Kubernetes;
use super::objects::{self, Driver};
use super::replicas;
use super::teller::{Deaf, Teller, Topic};
use crate::cluster::{Cluster, clock};
use crate::failure::{Failure, Kind};
use crate::shift::controller::locate;
use crate::shift::file::Files;

/// How many things may have been told that nobody has heard yet.
const BACKLOG: usize = 256;
/// How often files are looked at for shifts.
const FILES: Duration = Duration::from_secs(5);

/// Those who are asked; nobody is any more once it is dropped.
#[derive(Debug)]
pub struct Asked {
    /// What they tell.
    pub inputs: mpsc::Receiver<Input>,
    /// Whether somebody is left to tell something where no controller does.
    pub fallback: bool,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// Begins to ask.
///
/// # Errors
/// If nobody is known who could be asked.
pub async fn ask(args: &TopArgs) -> Result<Asked, Failure> {
    let SourceFlags { filename, controller, contour_namespace, .. } = &args.source;
    let (sender, inputs) = mpsc::channel(BACKLOG);
    let teller = Teller::new(sender);
    let begin = |task| AbortOnDropHandle::new(task);
    if filename.is_none() && controller.is_none() {
        let cluster = Cluster::connect(&args.cluster).await?;
        // Whether there is a server at all is to be known before anything is shown.
        let version = cluster.get("/version").await;
        version.map_err(|trouble| trouble.failure("cannot reach the cluster"))?;
        let namespace = args.cluster.namespace.clone();
        let kubernetes = Kubernetes { cluster: cluster.clone(), namespace, teller: teller.clone() };
        let replicas = replicas::run(cluster, contour_namespace.clone(), teller);
        let tasks = vec![
            begin(tokio::spawn(replicas)),
            begin(tokio::spawn(kubernetes.clone().objects())),
            begin(tokio::spawn(kubernetes.clone().events())),
            begin(tokio::spawn(kubernetes.pods())),
        ];
        return Ok(Asked { inputs, fallback: true, _tasks: tasks });
    }
    let mut tasks = Vec::new();
    let files = filename.as_deref().map(Files::open).transpose()?;
    let address = match (controller, filename) {
        (Some(address), _) => *address,
        (None, Some(path)) => {
            locate(path, None).map_err(|failure| Failure { kind: Kind::Cluster, ..failure })?
        }
        (None, None) => {
            return Err(Failure::new(Kind::Usage, "nobody is named who could be asked"));
        }
    };
    let name: Arc<str> = address.to_string().into();
    let told = teller.clone();
    tasks.push(begin(tokio::spawn(async move {
        if told.tell(Input::Sources(vec![Arc::clone(&name)])).await == Ok(()) {
            follow(Place::Address(address), name, told).await;
        }
    })));
    if let Some(files) = files {
        tasks.push(begin(tokio::spawn(shifts_of_files(files, teller))));
    }
    Ok(Asked { inputs, fallback: false, _tasks: tasks })
}

/// Where it is that is shown, in words.
pub fn place(args: &TopArgs, namespace: Option<&str>) -> String {
    let SourceFlags { filename, controller, replay, .. } = &args.source;
    let place = match (replay, filename, controller) {
        (Some(path), _, _) => format!("recording {}", path.display()),
        (None, Some(path), _) => path.display().to_string(),
        (None, None, Some(address)) => address.to_string(),
        (None, None, None) => match &args.cluster.context {
            Some(context) => format!("context {context}"),
            None => "current context".to_owned(),
        },
    };
    namespace.map_or_else(|| place.clone(), |namespace| format!("{place}, namespace {namespace}"))
}

/// Tells the shifts that stand in files, until nobody listens.
async fn shifts_of_files(files: Files, teller: Teller) {
    loop {
        let told = match tokio::task::block_in_place(|| shifts(&files)) {
            Ok(shifts) => {
                let told = teller.tell(Input::Shifts(shifts)).await;
                told.and(teller.limit(Topic::Shifts, None).await)
            }
            Err(failure) => {
                let why = format!("shifts are not shown: {}", failure.message);
                teller.limit(Topic::Shifts, Some(why)).await
            }
        };
        if told == Err(Deaf) {
            return;
        }
        sleep(FILES).await;
    }
}

fn shifts(files: &Files) -> Result<Vec<Shift>, Failure> {
    let now = Timestamp::from_unix(clock::now());
    let shifts = files.routes()?.into_iter().filter_map(|standing| {
        let metadata = &standing.route.metadata;
        let state = State::read(metadata.annotations.get(ANNOTATION)?).ok()?;
        objects::shift(metadata.object_name(), &state, Driver::Unknown, now)
    });
    Ok(shifts.collect())
}
