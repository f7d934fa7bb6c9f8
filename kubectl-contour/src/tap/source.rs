//! The access logs of Envoys: of a sandbox a file, in a cluster what its Pods write.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use contour_cluster::driver::pause;
use contour_cluster::watch::Wait;
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::args::TapArgs;
use super::file::Tail;
use crate::cluster::Cluster;
use crate::failure::{Failure, Kind};
use crate::fleet::{self, App};
use crate::sandbox::note;

/// How many lines may wait to be read.
const BACKLOG: usize = 4_096;
/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often Pods are listed.
const PODS: Duration = Duration::from_secs(10);

/// What is told of logs.
#[derive(Debug)]
pub enum News {
    /// A line of an Envoy.
    Line {
        /// Which.
        envoy: String,
        /// The line.
        line: String,
    },
    /// Something cannot be read, and why.
    Trouble(String),
    /// Nothing can be read at all.
    Failed(Failure),
    /// There is no more to come.
    End,
}

/// Logs that are followed; not any more once it is dropped.
#[derive(Debug)]
pub struct Logs {
    /// What is told of them.
    pub news: mpsc::Receiver<News>,
    _task: AbortOnDropHandle<()>,
}

/// Begins to follow what the flags name, from now on.
///
/// # Errors
/// If there is nothing to follow.
pub async fn follow(args: &TapArgs) -> Result<Logs, Failure> {
    let (sender, news) = mpsc::channel(BACKLOG);
    let task = if let Some(path) = &args.filename {
        let tail = open(path)?;
        tokio::spawn(file(tail, sender))
    } else {
        let cluster = Cluster::connect(&args.cluster).await?;
        let namespace = fleet::namespace(&args.cluster);
        tokio::spawn(pods(cluster, namespace, sender))
    };
    Ok(Logs { news, _task: AbortOnDropHandle::new(task) })
}

fn open(path: &Path) -> Result<Tail, Failure> {
    let hint = format!("start one with: kubectl contour sandbox {}", path.display());
    let log = note::access_log(path).ok_or_else(|| {
        let message = format!("no sandbox is known that serves {}", path.display());
        Failure::new(Kind::Cluster, message).with_hint(hint.clone())
    })?;
    Tail::from_end(&log).map_err(|error| {
        let message = format!("the access log of the sandbox cannot be read: {error}");
        Failure::new(Kind::Cluster, message).with_hint(hint)
    })
}

async fn file(mut tail: Tail, news: mpsc::Sender<News>) {
    loop {
        let told = match block_in_place(|| tail.read()) {
            Ok(Some(lines)) if lines.is_empty() => {
                sleep(LOOK).await;
                if news.is_closed() {
                    return;
                }
                continue;
            }
            Ok(Some(lines)) => lines
                .into_iter()
                .map(|line| News::Line { envoy: "sandbox".to_owned(), line })
                .collect(),
            Ok(None) => vec![News::End],
            Err(error) => {
                let message = format!("the access log cannot be read any more: {error}");
                vec![News::Failed(Failure::new(Kind::Error, message))]
            }
        };
        for one in told {
            let last = matches!(one, News::End | News::Failed(_));
            if news.send(one).await.is_err() || last {
                return;
            }
        }
    }
}

async fn pods(cluster: Cluster, namespace: String, news: mpsc::Sender<News>) {
    let mut followed: BTreeMap<String, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        match fleet::pods(&cluster, Some(&namespace)).await {
            Ok(pods) => {
                let envoys = pods.iter().filter(|p| p.app == App::Envoy && !p.node.is_empty());
                let names: Vec<_> = envoys.map(|pod| pod.name.clone()).collect();
                if names.is_empty() && followed.is_empty() {
                    let why = format!("there is no Envoy in namespace {namespace} yet");
                    drop(news.send(News::Trouble(why)).await);
                }
                followed.retain(|name, _| names.contains(name));
                for name in names {
                    followed.entry(name).or_insert_with_key(|name| {
                        let log =
                            pod(cluster.clone(), namespace.clone(), name.clone(), news.clone());
                        AbortOnDropHandle::new(tokio::spawn(log))
                    });
                }
            }
            Err(trouble) if followed.is_empty() => {
                let failure = trouble.failure("cannot list the Pods of Envoys");
                drop(news.send(News::Failed(failure)).await);
                return;
            }
            Err(trouble) => {
                let why = format!("Pods of Envoys cannot be listed: {trouble}");
                drop(news.send(News::Trouble(why)).await);
            }
        }
        sleep(PODS).await;
        if news.is_closed() {
            return;
        }
    }
}

/// Follows the log of one Pod, until nobody reads it.
async fn pod(cluster: Cluster, namespace: String, pod: String, news: mpsc::Sender<News>) {
    let mut failures = 0;
    loop {
        let log = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log");
        let path = format!("{log}?container=envoy&follow=true&tailLines=0");
        let why = match cluster.lines(&path).await {
            Ok(mut lines) => loop {
                match lines.next().await {
                    Ok(Some(line)) => {
                        failures = 0;
                        let line = String::from_utf8_lossy(&line).into_owned();
                        if news.send(News::Line { envoy: pod.clone(), line }).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break "it has ended".to_owned(),
                    Err(error) => break error.to_string(),
                }
            },
            Err(trouble) if trouble.is_forbidden() => {
                drop(news.send(News::Failed(forbidden(&namespace))).await);
                return;
            }
            Err(trouble) => trouble.to_string(),
        };
        failures += 1;
        let why = format!("the log of {pod} is not heard: {why}");
        if news.send(News::Trouble(why)).await.is_err() {
            return;
        }
        sleep(pause(Wait::Retry(failures), fastrand::f64())).await;
    }
}

fn forbidden(namespace: &str) -> Failure {
    let message = format!(
        "you may not read the logs of pods in {namespace}: it takes the verb get on pods/log"
    );
    Failure::new(Kind::Cluster, message).with_hint("docs/tap.md has a Role that allows it")
}
