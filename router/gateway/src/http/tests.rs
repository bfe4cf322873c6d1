//! Tests of the boundary.
