//! A real API server: what it takes and refuses, what a controller makes of it, and what may happen
//! to it.

#[path = "kubernetes/api_server.rs"]
mod api_server;
#[path = "kubernetes/certgen.rs"]
mod certgen;
#[path = "kubernetes/chart.rs"]
mod chart;
#[path = "kubernetes/completion.rs"]
mod completion;
#[path = "kubernetes/controller.rs"]
mod controller;
#[path = "kubernetes/create.rs"]
mod create;
#[path = "kubernetes/deadman.rs"]
mod deadman;
#[path = "kubernetes/definitions.rs"]
mod definitions;
#[path = "kubernetes/inspection.rs"]
mod inspection;
#[path = "kubernetes/install.rs"]
mod install;
#[path = "kubernetes/kinds.rs"]
mod kinds;
#[path = "kubernetes/leaders.rs"]
mod leaders;
#[path = "kubernetes/outage.rs"]
mod outage;
#[path = "kubernetes/permission.rs"]
mod permission;
#[path = "kubernetes/program.rs"]
mod program;
#[path = "kubernetes/refusals.rs"]
mod refusals;
#[path = "kubernetes/shift.rs"]
mod shift;
#[path = "kubernetes/told.rs"]
mod told;
#[path = "kubernetes/top.rs"]
mod top;
#[path = "kubernetes/writes.rs"]
mod writes;
