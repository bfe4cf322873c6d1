//! Journeys on real nodes and adversarial suites.
