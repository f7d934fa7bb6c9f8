//! Starts the source, and with Kubernetes as the source what writes to it.

use std::sync::Arc;
use std::time::Duration;

use contour_cluster::access;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{BATCHES, StartError, Tasks};
use crate::config::{Kubernetes, XdsSecurity};
use crate::engine::programs::StatusParts;
use crate::engine::query::Inquiry;
use crate::kubernetes::Leading;
use crate::kubernetes::board::Board;
use crate::kubernetes::deadman::{self, Deadman};
use crate::kubernetes::election::Elections;
use crate::kubernetes::lease::Candidate;
use crate::kubernetes::notes::{Note, Notes};
use crate::kubernetes::pace::Pace;
use crate::kubernetes::peers::{Addresses, Asker, Peers};
use crate::kubernetes::writer::Writer;
use crate::metrics::Metrics;
use crate::source::directory::Directory;
use crate::source::{Batch, Source, kubernetes};

/// Questions to other replicas, and their answers, that may wait.
const QUESTIONS: usize = 1024;

/// Notes that may wait; more are dropped, since the status says it too.
const NOTES: usize = 1000;

/// What a source, and what writes to it, is started with.
pub(super) struct Started<'a> {
    pub(super) metrics: &'a Arc<Metrics>,
    /// How replicas know each other.
    pub(super) security: &'a XdsSecurity,
    /// Where to ask what is in force.
    pub(super) inquiry: Inquiry,
}

impl Started<'_> {
    /// Starts the source; its batches come out at the other end.
    pub(super) async fn start(
        &self,
        source: Source,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) -> Result<(mpsc::Receiver<Batch>, Option<StatusParts>), StartError> {
        let (sender, batches) = mpsc::channel(BATCHES);
        let mut status = None;
        let ended = stop.clone();
        match source {
            Source::Directory(path) => {
                let directory = Directory::start(&path, sender)?;
                // That the thread ends shows in the engine, which has nobody left to hear from.
                tasks.spawn(async move {
                    ended.cancelled().await;
                    drop(directory);
                    ("the directory watcher", Ok(()))
                });
            }
            Source::Kubernetes(settings) => {
                let client = access::connect(&settings.access).await?;
                let parts = self.writing(&client, &settings, tasks, stop);
                let output = kubernetes::Output {
                    batches: sender,
                    metrics: Arc::clone(self.metrics),
                    peers: Arc::clone(&parts.peers),
                };
                status = Some(parts);
                tasks.spawn(async move {
                    kubernetes::run(client, *settings, output, ended).await;
                    ("the watch of the API server", Ok(()))
                });
            }
            Source::Channel(changes) => {
                tasks.spawn(async move {
                    channel(changes, sender, ended).await;
                    ("the channel of changes", Ok(()))
                });
            }
        }
        Ok((batches, status))
    }

    /// Starts what writes to the API server: the election, status and Events.
    fn writing(
        &self,
        client: &kube::Client,
        settings: &Kubernetes,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) -> StatusParts {
        let identity = identity();
        let leading = leading(client, settings, identity.clone(), tasks, stop);
        let board = Arc::new(Board::default());
        let pace = Arc::new(Pace::new(settings.qps, settings.burst));
        let writer = Writer {
            client: client.clone(),
            board: Arc::clone(&board),
            pace: Arc::clone(&pace),
            leading: leading.clone(),
            metrics: Arc::clone(self.metrics),
        };
        let poster = Notes {
            client: client.clone(),
            identity: identity.clone(),
            pace: Arc::clone(&pace),
            leading: leading.clone(),
            metrics: Arc::clone(self.metrics),
        };
        let (notes, to_post) = mpsc::channel::<Note>(NOTES);
        let (questions, to_ask) = mpsc::channel(QUESTIONS);
        let (answering, answers) = mpsc::channel(QUESTIONS);
        let peers = Arc::new(Addresses::default());
        let asker = Asker::new(Arc::clone(&peers), self.security.clone());
        let asker = Peers { asker, answers: answering };
        let watcher = Deadman::new(deadman::Parts {
            client: client.clone(),
            pace,
            identity,
            leading: leading.clone(),
            metrics: Arc::clone(self.metrics),
            notes: notes.clone(),
            inquiry: self.inquiry.clone(),
            asker: Asker::new(Arc::clone(&peers), self.security.clone()),
            namespaces: settings.watch_namespaces.clone(),
            period: settings.deadman,
        });
        let stop_watcher = stop.clone();
        tasks.spawn(async move {
            watcher.run(stop_watcher).await;
            ("what watches over shifts", Ok(()))
        });
        let [stop_writer, stop_poster, stop_asker] = [stop.clone(), stop.clone(), stop.clone()];
        tasks.spawn(async move {
            writer.run(stop_writer).await;
            ("the writer of status", Ok(()))
        });
        tasks.spawn(async move {
            poster.run(to_post, stop_poster).await;
            ("the writer of Events", Ok(()))
        });
        tasks.spawn(async move {
            asker.run(to_ask, stop_asker).await;
            ("what asks other replicas", Ok(()))
        });
        let (metrics, answers) = (Arc::clone(self.metrics), Some(answers));
        StatusParts { board, notes, leading, metrics, peers, questions, answers }
    }
}

/// Takes part in the election, if there is one; says until when this replica leads.
fn leading(
    client: &kube::Client,
    settings: &Kubernetes,
    identity: String,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Leading {
    let (sender, leading) = watch::channel(None);
    let stop = stop.clone();
    if let Some(election) = settings.election.clone() {
        let candidate = Candidate::new(identity, election);
        let elections = Elections::new(client.clone(), candidate, sender);
        tasks.spawn(async move {
            elections.run(stop).await;
            ("the election of a leader", Ok(()))
        });
    } else {
        // Nobody else writes, for as long as anybody will run this. The engine hears of it as of
        // any other leadership, so the sender has to live.
        let until = Instant::now() + Duration::from_hours(24 * 365 * 30);
        tasks.spawn(async move {
            sender.send_replace(Some(until));
            stop.cancelled().await;
            ("the only replica", Ok(()))
        });
    }
    leading
}

async fn channel(
    mut changes: mpsc::Receiver<Vec<contour_core::pipeline::Change>>,
    sender: mpsc::Sender<Batch>,
    stop: CancellationToken,
) {
    let mut synced = true;
    while let Some(Some(changes)) = stop.run_until_cancelled(changes.recv()).await {
        let batch = Batch { changes, synced: std::mem::take(&mut synced), ..Batch::default() };
        if sender.send(batch).await.is_err() {
            break;
        }
    }
    // The last state stays in force after the channel was closed.
    stop.cancelled().await;
}

/// Who we are among replicas: another one after each start, since what was written by an earlier
/// process of the same pod was not written by this one.
fn identity() -> String {
    let mut names =
        ["POD_NAME", "HOSTNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let name = names.find(|name| !name.is_empty()).unwrap_or_else(|| "contour".to_owned());
    format!("{name}-{:08x}", fastrand::u32(..))
}
