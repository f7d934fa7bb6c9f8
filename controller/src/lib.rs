//! The controller as a library: sources, engine, xDS server.
