//! Shifts: weights, plans, gates, and the machine in a model of the world.

#[path = "shift/gate.rs"]
mod gate;
#[path = "shift/plan.rs"]
mod plan;
#[path = "shift/sent.rs"]
mod sent;
#[path = "shift/weights.rs"]
mod weights;
#[path = "shift/machine.rs"]
mod machine;
#[path = "shift/simulation.rs"]
mod simulation;
#[path = "shift/world.rs"]
mod world;
#[path = "shift/generated.rs"]
mod generated;
#[path = "shift/text.rs"]
mod text;
