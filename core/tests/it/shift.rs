//! Shifts: weights, plans, gates, and the machine in a model of the world.

#[path = "shift/gate.rs"]
mod gate;
#[path = "shift/plan.rs"]
mod plan;
#[path = "shift/weights.rs"]
mod weights;
