//! Judges claims and co-signs settlements; the only holder of validator keys.
