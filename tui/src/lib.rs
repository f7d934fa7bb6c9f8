//! Terminal views of routes and upstream health, and their state.
