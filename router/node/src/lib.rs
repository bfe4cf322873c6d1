//! The d402 binary: configuration, wiring, command line.
