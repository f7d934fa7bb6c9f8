//! The commands of the plugin, as a library for the tests.
