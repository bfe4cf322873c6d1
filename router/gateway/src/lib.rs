//! The HTTP boundary of a gateway.
