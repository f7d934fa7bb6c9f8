//! Follows what one controller tells, for as long as it is there, and goes on where it was.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contour_cluster::driver::pause;
use contour_cluster::watch::Wait;
use contour_core::observe::feed::{Cursor, Increment, SCHEMA};
use contour_core::top::Input;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::teller::{Deaf, Teller};
use crate::cluster::{Cluster, ForwardTrouble, PodLines, PodPort};
use crate::request::{self, Lines, RequestError};

/// How long it may take until a controller begins to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a controller may say nothing, at least; it looks each second where that costs little.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it is waited before somebody is asked again who has no answer for us.
const REFUSED: Duration = Duration::from_secs(15);

/// Where a controller answers.
#[derive(Clone)]
pub enum Place {
    /// At an address.
    Address(SocketAddr),
    /// At a Pod's loopback.
    Pod(Cluster, PodPort),
}

/// Why it is not heard.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    why: String,
    /// Whether there is little hope that it is otherwise in a moment.
    lasting: bool,
}

/// Lines from either place.
enum Open {
    Address(Lines),
    Pod(PodLines),
}

/// Follows it until nobody listens.
pub async fn follow(place: Place, name: Arc<str>, teller: Teller) {
    let mut cursor = None;
    let mut failures = 0;
    loop {
        let before = cursor;
        let trouble = match stream(&place, &name, &mut cursor, &teller).await {
            Ok(Deaf) => return,
            Err(trouble) => trouble,
        };
        failures = if cursor == before { failures + 1 } else { 0 };
        let lost = Input::Lost(Arc::clone(&name), trouble.why.into());
        if teller.tell(lost).await == Err(Deaf) {
            return;
        }
        let wait = if trouble.lasting { Wait::Exactly(REFUSED) } else { Wait::Retry(failures) };
        sleep(pause(wait, fastrand::f64())).await;
    }
}

/// Tells what it tells until it breaks off.
async fn stream(
    place: &Place,
    name: &Arc<str>,
    cursor: &mut Option<Cursor>,
    teller: &Teller,
) -> Result<Deaf, Trouble> {
    let path = match cursor {
        Some(cursor) => format!("/debug/observe?after={cursor}"),
        None => "/debug/observe".to_owned(),
    };
    let mut lines = timeout(ANSWER, open(place, &path))
        .await
        .map_err(|_late| passing(format!("no answer within {ANSWER:?}")))??;
    let mut patience = SILENCE;
    loop {
        let line = timeout(patience, lines.next()).await;
        let line =
            line.map_err(|_late| passing(format!("nothing was heard for {patience:?}")))??;
        let Some(line) = line else { return Err(passing("it has ended its answer".to_owned())) };
        let increment = read(&line)?;
        *cursor = Some(increment.at);
        let interval = Duration::from_millis(increment.interval_millis.into());
        patience = SILENCE.max(interval.saturating_mul(3));
        let input = Input::Increment(Arc::clone(name), Box::new(increment));
        if teller.tell(input).await == Err(Deaf) {
            return Ok(Deaf);
        }
    }
}

async fn open(place: &Place, path: &str) -> Result<Open, Trouble> {
    match place {
        Place::Address(address) => {
            let stream = TcpStream::connect(address).await;
            let stream = stream.map_err(|error| passing(error.to_string()))?;
            let lines = request::lines(stream, &address.to_string(), path).await;
            Ok(Open::Address(lines.map_err(Trouble::from)?))
        }
        Place::Pod(cluster, at) => {
            Ok(Open::Pod(cluster.lines_from_pod(at, path).await.map_err(Trouble::from)?))
        }
    }
}

impl Open {
    async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        match self {
            Self::Address(lines) => lines.next().await.map_err(Trouble::from),
            Self::Pod(lines) => lines.next().await.map_err(Trouble::from),
        }
    }
}

fn read(line: &[u8]) -> Result<Increment, Trouble> {
    #[derive(Deserialize)]
    struct Versioned {
        schema: u32,
    }
    let versioned = serde_json::from_slice::<Versioned>(line);
    if let Ok(Versioned { schema }) = versioned
        && schema != SCHEMA
    {
        let why = format!(
            "it tells schema {schema}, and this program knows {SCHEMA}: use the same version of both"
        );
        return Err(Trouble { why, lasting: true });
    }
    serde_json::from_slice(line)
        .map_err(|error| passing(format!("what it tells cannot be read: {error}")))
}

fn passing(why: String) -> Trouble {
    Trouble { why, lasting: false }
}

fn of_status(status: u16) -> Trouble {
    let why = match status {
        404 => "it is older than this program and has no /debug/observe for all".to_owned(),
        status => format!("it answers {status}"),
    };
    Trouble { why, lasting: status == 404 }
}

impl From<RequestError> for Trouble {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Failed(why) => passing(why),
            RequestError::Status(status) => of_status(status.as_u16()),
        }
    }
}

impl From<ForwardTrouble> for Trouble {
    fn from(trouble: ForwardTrouble) -> Self {
        match &trouble {
            ForwardTrouble::Unexpected { status, .. } => of_status(*status),
            ForwardTrouble::Failed { reason, .. } => passing(reason.clone()),
            ForwardTrouble::Gone { .. } => passing(trouble.to_string()),
            ForwardTrouble::Forbidden { .. } => Self { why: trouble.to_string(), lasting: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use contour_core::observe::feed::{Gone, Rows};
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    fn increment(tick: u64) -> Increment {
        Increment {
            schema: SCHEMA,
            at: Cursor { collection: 7, tick },
            whole: tick == 1,
            unix_millis: tick * 1_000,
            controller: "0.1.0".into(),
            interval_millis: 1_000,
            endpoints_fresh: true,
            changed: Rows::default(),
            gone: Gone::default(),
        }
    }

    /// Answers each request in turn, and says which paths were asked for.
    async fn serve(listener: TcpListener, answers: Vec<String>) -> Vec<String> {
        let mut paths = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            paths.push(line.split(' ').nth(1).unwrap_or_default().to_owned());
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        paths
    }

    fn answer(ticks: &[u64]) -> String {
        let lines =
            ticks.iter().map(|tick| serde_json::to_string(&increment(*tick)).unwrap() + "\n");
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", lines.collect::<String>())
    }

    async fn told(answers: Vec<String>, count: usize) -> (Vec<String>, Vec<Input>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, answers));
        let (sender, mut inputs) = mpsc::channel(8);
        let teller = Teller::new(sender);
        let follower = tokio::spawn(follow(Place::Address(address), "a".into(), teller));
        let mut told = Vec::new();
        while told.len() < count {
            told.push(inputs.recv().await.unwrap());
        }
        follower.abort();
        (server.await.unwrap(), told)
    }

    #[tokio::test]
    async fn what_breaks_off_is_gone_on_with_where_it_was() {
        let (paths, told) = told(vec![answer(&[1, 2]), answer(&[3])], 4).await;
        assert_eq!(paths, ["/debug/observe", "/debug/observe?after=7-2"]);
        let of = |tick| Input::Increment("a".into(), Box::new(increment(tick)));
        let lost = Input::Lost("a".into(), "it has ended its answer".into());
        assert_eq!(told, [of(1), of(2), lost, of(3)]);
    }

    #[tokio::test]
    async fn an_old_controller_is_told_from_one_that_is_not_there() {
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
        let (_, told) = told(vec![missing], 1).await;
        let Input::Lost(_, why) = &told[0] else { panic!("{told:?}") };
        assert!(why.contains("older than this program"), "{why}");
    }

    #[test]
    fn another_schema_is_refused_rather_than_guessed() {
        let line = serde_json::to_vec(&Increment { schema: 9, ..increment(1) }).unwrap();
        let trouble = read(&line).unwrap_err();
        assert!(trouble.lasting && trouble.why.contains("schema 9"), "{trouble:?}");
        let trouble = read(b"{\"schema\":1}").unwrap_err();
        assert!(trouble.why.starts_with("what it tells cannot be read"), "{trouble:?}");
    }
}
