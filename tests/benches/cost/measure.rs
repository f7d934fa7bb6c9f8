//! The measurements, in the order of the table.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use contour_tests::backend::Backend;
use contour_tests::client::{Ask, Connection, Target};
use contour_tests::envoy::Envoy;
use contour_tests::feed::Feed;
use contour_tests::stage;

use crate::controller::{Remote, Seen};
use crate::process;
use crate::table::{self, Column, Row, percentiles};
use crate::world::World;

/// Looks over which the cost of watching is averaged: histograms are asked for in every fifth.
const LOOKS: usize = 10;

/// Everything that one column needs.
struct Stage {
    world: World,
    controller: Remote,
    envoy: Envoy,
    listener: std::net::SocketAddr,
    hosts: usize,
    repeats: usize,
}

/// Measures all sizes and prints the table.
pub(crate) async fn run() -> Result<()> {
    let sizes = std::env::var("COST_HOSTS").unwrap_or_else(|_| "100,1000,10000".to_owned());
    let repeats = std::env::var("COST_REPEATS").ok().and_then(|r| r.parse().ok()).unwrap_or(200);
    let mut columns = Vec::new();
    for (label, is_tls, layout) in [("HTTP", false, "on-demand"), ("TLS", true, "on-demand")] {
        for size in sizes.split(',') {
            let hosts: usize = size.trim().parse().context("COST_HOSTS")?;
            eprintln!("{label}, {hosts} hosts");
            columns
                .push(column(format!("{label} {hosts}"), (hosts, repeats), is_tls, layout).await?);
        }
    }
    println!("Times in milliseconds, p50 / p99 of {repeats} changes unless said otherwise.\n");
    table::print(&columns);
    Ok(())
}

async fn column(
    title: String,
    (hosts, repeats): (usize, usize),
    is_tls: bool,
    layout: &str,
) -> Result<Column> {
    let directory = tempfile::tempdir()?;
    let backend = Backend::http("backend").await;
    let world = World::write(directory.path(), hosts, is_tls, backend.address)?;
    let controller = Remote::start(directory.path(), layout).await?;
    let mut rows = vec![Row::new(
        "controller: start to in sync, s",
        format!("{:.2}", controller.ready.as_secs_f64()),
    )];
    let started = Instant::now();
    let envoy = Envoy::start(&stage::bootstrap(controller.xds.port(), "bench"))?;
    let name = if is_tls { "ingress_https" } else { "ingress_http" };
    let listener = envoy.listener(name).await;
    let mut stage = Stage { world, controller, envoy, listener, hosts, repeats };
    for host in [0, hosts / 2, hosts - 1] {
        stage.first_answer(host).await?;
    }
    let serving = started.elapsed();
    stage.controller.next("acknowledged").await?;
    rows.push(Row::new("Envoy: start to serving, s", format!("{:.2}", serving.as_secs_f64())));
    let spent = process::cpu_ms(stage.envoy.pid()) / 1e3;
    rows.push(Row::new("of which CPU time of Envoy, s", format!("{spent:.2}")));
    rows.push(Row::new(
        "Envoy: start to all acknowledged, s",
        format!("{:.2}", started.elapsed().as_secs_f64()),
    ));
    rows.push(Row::new(
        "controller RSS, MB",
        format!("{:.0}", process::rss_mb(stage.controller.pid())),
    ));
    rows.push(Row::new("Envoy RSS, MB", format!("{:.0}", process::rss_mb(stage.envoy.pid()))));
    stage.route_changes(&mut rows).await?;
    stage.seen_by_requests(&mut rows).await?;
    stage.endpoint_changes(&mut rows).await?;
    stage.added_hosts(&mut rows).await?;
    stage
        .watching(
            &mut rows,
            [
                "first line, idle, kB",
                "Envoy CPU per look, idle, ms",
                "controller CPU per look, idle, ms",
                "line per look, idle, kB",
            ],
        )
        .await?;
    stage.use_all().await?;
    stage
        .watching(
            &mut rows,
            [
                "first line, all used, kB",
                "Envoy CPU per look, all used, ms",
                "controller CPU per look, all used, ms",
                "line per look, all used, kB",
            ],
        )
        .await?;
    rows.push(Row::new(
        "controller RSS after all, MB",
        format!("{:.0}", process::rss_mb(stage.controller.pid())),
    ));
    Ok(Column { title, rows })
}

impl Stage {
    fn target(&self, host: usize) -> Target {
        if self.world.is_tls {
            Target::tls(self.listener, &World::fqdn(host))
        } else {
            Target::plain(self.listener)
        }
    }

    /// Spreads changes over all hosts in a fixed order.
    fn host(&self, repeat: usize) -> usize {
        repeat * 7919 % self.hosts
    }

    /// Asks until a host answers 200.
    async fn first_answer(&self, host: usize) -> Result<()> {
        let target = self.target(host);
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            if let Ok(reply) = target.get(&World::fqdn(host), "/").await
                && reply.status == 200
            {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "host {host} never answered");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn received(&self) -> u64 {
        self.envoy.stat("cluster.contour.upstream_cx_rx_bytes_total").await.unwrap_or_default()
    }

    async fn route_changes(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        let bytes = self.received().await;
        let cpu = [process::cpu_ms(self.controller.pid()), process::cpu_ms(self.envoy.pid())];
        let mut times = Vec::new();
        let mut total = Seen::default();
        for repeat in 0..self.repeats {
            let since = SystemTime::now();
            self.world.change_route(self.host(repeat), repeat + 1)?;
            let seen = self.controller.change(since).await?;
            total.resources += seen.resources;
            total.units += seen.units;
            total.micros += seen.micros;
            times.push(seen.acknowledged);
        }
        let each = |value: f64| value / self.repeats as f64;
        rows.push(Row::new("route change to acknowledged", percentiles(&mut times)));
        let spent = process::cpu_ms(self.controller.pid()) - cpu[0];
        rows.push(Row::new("controller CPU per change, ms", format!("{:.3}", each(spent))));
        rows.push(Row::new(
            "of which translation, ms",
            format!("{:.3}", each(total.micros as f64 / 1e3)),
        ));
        let spent = process::cpu_ms(self.envoy.pid()) - cpu[1];
        rows.push(Row::new("Envoy CPU per change, ms", format!("{:.3}", each(spent))));
        rows.push(Row::new("units per change", format!("{:.2}", each(total.units as f64))));
        rows.push(Row::new("resources per change", format!("{:.2}", each(total.resources as f64))));
        let bytes = self.received().await - bytes;
        rows.push(Row::new("bytes per change", format!("{:.0}", each(bytes as f64))));
        Ok(())
    }

    async fn seen_by_requests(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        let mut times = Vec::new();
        for repeat in 0..self.repeats {
            let host = self.host(repeat);
            let generation = self.repeats + repeat + 1;
            let mut connection = self.target(host).connect().await?;
            let since = SystemTime::now();
            self.world.change_route(host, generation)?;
            until_generation(&mut connection, host, generation).await?;
            times.push(since.elapsed()?);
            self.controller.change(since).await?;
        }
        rows.push(Row::new("route change to seen by a request", percentiles(&mut times)));
        Ok(())
    }

    async fn endpoint_changes(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        let mut times = Vec::new();
        for repeat in 0..self.repeats {
            let since = SystemTime::now();
            self.world.change_endpoints(self.host(repeat), 2 + repeat / self.hosts % 2)?;
            times.push(self.controller.change(since).await?.acknowledged);
        }
        rows.push(Row::new("endpoint change to acknowledged", percentiles(&mut times)));
        Ok(())
    }

    /// Sends a request to each host.
    async fn use_all(&self) -> Result<()> {
        let mut connection = self.target(0).connect().await?;
        for host in 0..self.hosts {
            // Whatever the answer: some have endpoints by now that nobody listens at.
            if self.world.is_tls {
                self.target(host).get(&World::fqdn(host), "/").await?;
            } else {
                connection.ask(&Ask::get(&World::fqdn(host), "/")).await?;
            }
        }
        Ok(())
    }

    /// What it costs that somebody watches everything, over some looks.
    async fn watching(&self, rows: &mut Vec<Row>, names: [&'static str; 4]) -> Result<()> {
        let spent = || [self.envoy.pid(), self.controller.pid()].map(process::cpu_ms);
        let mut feed = Feed::follow(self.controller.debug, "").await;
        feed.next().await.context("a line")?;
        let first = feed.bytes;
        let [envoy, controller] = spent();
        let mut bytes = 0;
        for _ in 0..LOOKS {
            feed.next().await.context("a line")?;
            bytes += feed.bytes;
        }
        let [envoy_after, controller_after] = spent();
        let values = [
            format!("{:.0}", first as f64 / 1e3),
            format!("{:.1}", (envoy_after - envoy) / LOOKS as f64),
            format!("{:.1}", (controller_after - controller) / LOOKS as f64),
            format!("{:.1}", bytes as f64 / 1e3 / LOOKS as f64),
        ];
        rows.extend(names.into_iter().zip(values).map(|(name, value)| Row::new(name, value)));
        Ok(())
    }

    async fn added_hosts(&mut self, rows: &mut Vec<Row>) -> Result<()> {
        let repeats = self.repeats.min(50);
        let cpu = process::cpu_ms(self.envoy.pid());
        let (mut acknowledged, mut answered) = (Vec::new(), Vec::new());
        for host in self.hosts..self.hosts + repeats {
            let since = SystemTime::now();
            self.world.add(host)?;
            acknowledged.push(self.controller.change(since).await?.acknowledged);
            self.first_answer(host).await?;
            answered.push(since.elapsed()?);
        }
        rows.push(Row::new("host added to acknowledged (50)", percentiles(&mut acknowledged)));
        rows.push(Row::new("host added to first answer (50)", percentiles(&mut answered)));
        let spent = process::cpu_ms(self.envoy.pid()) - cpu;
        rows.push(Row::new(
            "Envoy CPU per added host, ms",
            format!("{:.2}", spent / repeats as f64),
        ));
        Ok(())
    }
}

/// Asks, without pause, until the answer is of the generation.
async fn until_generation(
    connection: &mut Connection,
    host: usize,
    generation: usize,
) -> Result<()> {
    let ask = Ask::get(&World::fqdn(host), "/");
    let wanted = format!("/generation-{generation}/");
    let deadline = Instant::now() + Duration::from_mins(1);
    while Instant::now() < deadline {
        let reply = connection.ask(&ask).await?;
        if reply.status == 200 && reply.echo().get("path").and_then(|p| p.as_str()) == Some(&wanted)
        {
            return Ok(());
        }
    }
    anyhow::bail!("host {host} never came to generation {generation}")
}
