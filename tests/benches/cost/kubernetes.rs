//! The same with objects that come from a real API server, a process of its own.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use contour_tests::client::{Ask, Target};
use contour_tests::envoy::Envoy;
use contour_tests::kubernetes::stage::{behind, path, shop};
use contour_tests::kubernetes::{ADMIN, ApiServer, Objects, Options};
use contour_tests::load::Load;
use contour_tests::stage;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::controller::Remote;
use crate::process;
use crate::table::{self, Column, Row, percentiles};

/// Writes to the API server that are under way at a time.
const AT_ONCE: usize = 32;

/// Secrets, and as many `ConfigMap`s, that have nothing to do with routing.
const UNRELATED: usize = 1000;

/// Measures all sizes and prints the table.
pub(crate) async fn run() -> Result<()> {
    let sizes = std::env::var("COST_HOSTS").unwrap_or_else(|_| "100,1000,10000".to_owned());
    let repeats = std::env::var("COST_REPEATS").ok().and_then(|r| r.parse().ok()).unwrap_or(200);
    let mut columns = Vec::new();
    for size in sizes.split(',') {
        let hosts: usize = size.trim().parse().context("COST_HOSTS")?;
        eprintln!("Kubernetes, {hosts} hosts");
        let server = ApiServer::start(Options::default()).await;
        let server = server.context("there is no kube binary: make tools")?;
        columns.push(column(&server, hosts, repeats).await?);
    }
    println!("Times in milliseconds, p50 / p99 of {repeats} changes unless said otherwise.\n");
    table::print(&columns);
    Ok(())
}

struct Stage<'a> {
    server: &'a ApiServer,
    objects: Objects,
    controller: Remote,
    envoy: Envoy,
    hosts: usize,
    repeats: usize,
    rows: Vec<Row>,
}

fn name(host: usize) -> String {
    format!("host-{host}")
}

fn route(host: usize, generation: usize) -> Value {
    let name = name(host);
    let mut route = shop("demo", &name, &format!("{name}.example.com"), &[(&name, 1)]);
    if let Some(Value::Object(first)) = route.pointer_mut("/spec/routes/0") {
        let rewrite = json!(format!("/generation-{generation}/"));
        first.insert("prefixRewrite".to_owned(), rewrite);
    }
    route
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

/// Applies objects, many at a time.
async fn put(objects: &Objects, all: impl Iterator<Item = Value>) -> Result<()> {
    let writes = all.map(|object| async move { objects.apply_value(&object).await.map(drop) });
    stream::iter(writes).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(())
}

async fn column(server: &ApiServer, hosts: usize, repeats: usize) -> Result<Column> {
    let objects = server.admin();
    objects.install_crds().await;
    for namespace in ["demo", "projectcontour", "unrelated"] {
        objects.namespace(namespace).await;
    }
    let address = ([203, 0, 113, 7], 80).into();
    let all = (0..hosts).flat_map(|host| {
        // The first host has traffic, which Envoy answers by itself: nobody is at this address.
        let addresses: &[_] = if host == 0 { &[] } else { &[address] };
        let mut all = behind("demo", &name(host), addresses);
        all.push(route(host, 0));
        all
    });
    put(&objects, all).await?;
    let controller = Remote::start(&server.kubeconfig(ADMIN), "on-demand").await?;
    let started = Instant::now();
    let envoy = Envoy::start(&stage::bootstrap(controller.xds.port(), "bench"))?;
    let rows = vec![
        Row::new(
            "controller: start to in sync, s",
            format!("{:.2}", controller.ready.as_secs_f64()),
        ),
        Row::new("controller RSS in sync, MB", format!("{:.0}", process::rss_mb(controller.pid()))),
    ];
    let mut stage = Stage { server, objects, controller, envoy, hosts, repeats, rows };
    stage.controller.next("acknowledged").await?;
    stage.row("Envoy: start to all acknowledged, s", started.elapsed().as_secs_f64());
    stage.first_statuses().await?;
    stage.changes().await?;
    stage.unrelated().await?;
    stage.mass_change().await?;
    let rss = process::rss_mb(stage.controller.pid());
    stage.row("controller RSS after all, MB", rss);
    Ok(Column { title: hosts.to_string(), rows: stage.rows })
}

impl Stage<'_> {
    fn row(&mut self, name: &'static str, value: f64) {
        self.rows.push(Row::new(name, format!("{value:.2}")));
    }

    async fn metric(&self, name: &str) -> Result<f64> {
        let reply = Target::plain(self.controller.metrics).get("localhost", "/metrics").await?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.unwrap_or("0").trim().parse()?)
    }

    async fn written(&self) -> Result<f64> {
        self.metric("contour_status_writes_total{outcome=\"written\"}").await
    }

    /// Waits until so many statuses have been written and none waits.
    async fn until_written(&self, count: f64) -> Result<()> {
        let deadline = Instant::now() + Duration::from_mins(10);
        while self.written().await? < count || self.metric("contour_status_waiting").await? > 0.0 {
            ensure!(Instant::now() < deadline, "the statuses are never written");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn first_statuses(&mut self) -> Result<()> {
        let started = Instant::now();
        self.until_written(self.hosts as f64).await?;
        self.row("first status of all hosts written, s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// One after the other: from the request to the API server to Envoy's acknowledgement, and to
    /// the status that says so.
    async fn changes(&mut self) -> Result<()> {
        let cpu = process::cpu_ms(self.controller.pid());
        let (mut answered, mut acknowledged, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for repeat in 0..self.repeats {
            let host = repeat * 7919 % self.hosts;
            let fields = json!({"spec": route(host, repeat + 1).get("spec")});
            let since = SystemTime::now();
            let written = self.objects.merge(&path("demo", &name(host)), &fields).await?;
            answered.push(since.elapsed()?);
            let seen = self.controller.change(since).await?;
            acknowledged.push(seen.acknowledged);
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let object = self.objects.get(&path("demo", &name(host))).await?;
                if number(&object, "/status/observedGeneration")
                    == number(&written, "/metadata/generation")
                {
                    break;
                }
                ensure!(Instant::now() < deadline, "the status never follows");
            }
            said.push(since.elapsed()?);
        }
        let spent = process::cpu_ms(self.controller.pid()) - cpu;
        self.rows.push(Row::new("change answered by the API server", percentiles(&mut answered)));
        self.rows.push(Row::new("change to acknowledged by Envoy", percentiles(&mut acknowledged)));
        self.rows.push(Row::new("change to status programmed", percentiles(&mut said)));
        self.row("controller CPU per change, status included, ms", spent / self.repeats as f64);
        Ok(())
    }

    /// Secrets and `ConfigMap`s of others.
    async fn unrelated(&mut self) -> Result<()> {
        let before =
            (self.metric("contour_units_total").await?, process::rss_mb(self.controller.pid()));
        let cpu = process::cpu_ms(self.controller.pid());
        let revision = self.metric("contour_revision").await?;
        let big = "x".repeat(10_000);
        let all = (0..UNRELATED).flat_map(|at| {
            let metadata = json!({"namespace": "unrelated", "name": format!("other-{at}")});
            [
                json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
                    "metadata": metadata, "stringData": {"release": big}}),
                json!({"apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": metadata, "data": {"text": big}}),
            ]
        });
        put(&self.objects, all).await?;
        self.row(
            "1,000 unrelated Secrets and ConfigMaps: CPU, ms",
            process::cpu_ms(self.controller.pid()) - cpu,
        );
        self.row("… units computed", self.metric("contour_units_total").await? - before.0);
        self.row("… revisions", self.metric("contour_revision").await? - revision);
        self.row("… RSS, MB", process::rss_mb(self.controller.pid()) - before.1);
        Ok(())
    }

    /// Every host changes, while one of them has traffic.
    async fn mass_change(&mut self) -> Result<()> {
        let target = Target::plain(self.envoy.listener("ingress_http").await);
        let ask = Ask::get("host-0.example.com", "/");
        let alone = latency(&target, &ask, Duration::from_secs(2)).await?;
        self.rows.push(Row::new("request without a change", alone));
        let written = self.written().await?;
        let started = Instant::now();
        let load = Load::start(&target, &ask, 1);
        let generation = self.repeats + 1;
        put(&self.objects, (0..self.hosts).map(|host| route(host, generation))).await?;
        self.row("all hosts changed at the API server, s", started.elapsed().as_secs_f64());
        let while_writing = latency(&target, &ask, Duration::from_secs(2)).await?;
        self.rows.push(Row::new("request while statuses are written", while_writing));
        self.until_written(written + self.hosts as f64).await?;
        self.row("all statuses written, s since the first change", started.elapsed().as_secs_f64());
        let tally = load.stop().await;
        self.rows.push(Row::new(
            "broken requests meanwhile",
            format!("{} of {}", tally.broken, tally.requests),
        ));
        let audit = self.server.audit();
        self.rows.push(Row::new(
            "lists of IngressRoutes by the controller and the bench",
            audit.lists("ingressroutes").to_string(),
        ));
        Ok(())
    }
}

/// What requests take, asked one after the other for a while.
async fn latency(target: &Target, ask: &Ask, long: Duration) -> Result<String> {
    let mut connection = target.connect().await?;
    let (mut times, started) = (Vec::new(), Instant::now());
    while started.elapsed() < long {
        let since = Instant::now();
        connection.ask(ask).await?;
        times.push(since.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(percentiles(&mut times))
}
