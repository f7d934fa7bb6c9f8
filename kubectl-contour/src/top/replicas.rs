//! Follows every replica of the controller, as they come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contour_core::top::Input;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::follow::{Place, follow};
use super::teller::{Deaf, Teller, Topic};
use crate::cluster::{Cluster, PodPort, Trouble};
use crate::fleet::{self, App, Pod};

/// How often Pods are listed.
const EVERY: Duration = Duration::from_secs(10);

/// Follows them until nobody listens.
pub async fn run(cluster: Cluster, namespace: String, teller: Teller) {
    let mut followed: BTreeMap<String, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        let listed = fleet::pods(&cluster, Some(&namespace)).await;
        let told = match listed {
            Ok(pods) => found(&cluster, &pods, &namespace, &mut followed, &teller).await,
            Err(trouble) => unknown(&why(&trouble, &namespace), followed.is_empty(), &teller).await,
        };
        if told == Err(Deaf) {
            return;
        }
        sleep(EVERY).await;
    }
}

/// It cannot be told which there are; `none`: nor is any known from before.
async fn unknown(why: &str, none: bool, teller: &Teller) -> Result<(), Deaf> {
    if none {
        teller.tell(Input::Sources(Vec::new())).await?;
    }
    teller.limit(Topic::Replicas, Some(why.to_owned())).await
}

async fn found(
    cluster: &Cluster,
    pods: &[Pod],
    namespace: &str,
    followed: &mut BTreeMap<String, AbortOnDropHandle<()>>,
    teller: &Teller,
) -> Result<(), Deaf> {
    // One that ends has sent its Envoys elsewhere, or is about to.
    let asked = |pod: &&Pod| pod.app == App::Contour && !pod.node.is_empty() && !pod.terminating;
    let names: Vec<_> = pods.iter().filter(asked).map(|pod| pod.name.clone()).collect();
    let before = followed.len();
    followed.retain(|name, _| names.contains(name));
    let news = followed.len() != before || names.iter().any(|name| !followed.contains_key(name));
    let none = names
        .is_empty()
        .then(|| format!("no controller runs in the namespace {namespace}: no traffic is known"));
    if news || none.is_some() {
        let names = names.iter().map(|name| name.as_str().into()).collect();
        teller.tell(Input::Sources(names)).await?;
    }
    teller.limit(Topic::Replicas, none).await?;
    for name in names {
        followed.entry(name).or_insert_with_key(|name| {
            let at =
                PodPort { namespace: namespace.to_owned(), pod: name.clone(), port: fleet::DEBUG };
            let place = Place::Pod(cluster.clone(), at);
            let task = follow(place, Arc::from(name.as_str()), teller.clone());
            AbortOnDropHandle::new(tokio::spawn(task))
        });
    }
    Ok(())
}

fn why(trouble: &Trouble, namespace: &str) -> String {
    if trouble.is_forbidden() {
        return format!(
            "you may not list pods in {namespace}, and so not ask controllers: it takes the verb list"
        );
    }
    format!("controllers cannot be found: {trouble}")
}
