//! The gossip topics of protocol version 1. What travels on them is defined elsewhere.

use std::fmt;

/// A gossip topic. The set is closed: a peer cannot make a node track topics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Capability registrations.
    Registrations,
    /// Capability deprecations.
    Deprecations,
    /// Offers of gateways and workers.
    NodeOffers,
    /// Offers of validators.
    ValidatorOffers,
    /// Tasks that are open for bids.
    TaskAnnouncements,
    /// Settlement receipts.
    Receipts,
    /// Reputation events.
    Reputation,
}

impl Topic {
    /// Every topic, in declaration order.
    pub const ALL: [Topic; 7] = [
        Topic::Registrations,
        Topic::Deprecations,
        Topic::NodeOffers,
        Topic::ValidatorOffers,
        Topic::TaskAnnouncements,
        Topic::Receipts,
        Topic::Reputation,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Registrations => "/d402/1/registrations",
            Topic::Deprecations => "/d402/1/deprecations",
            Topic::NodeOffers => "/d402/1/node-offers",
            Topic::ValidatorOffers => "/d402/1/validator-offers",
            Topic::TaskAnnouncements => "/d402/1/task-announcements",
            Topic::Receipts => "/d402/1/receipts",
            Topic::Reputation => "/d402/1/reputation",
        }
    }

    /// The topic with this name on the wire, if it is one of ours.
    pub fn from_name(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_its_own_name_and_is_found_by_it() {
        for topic in Topic::ALL {
            assert_eq!(Topic::from_name(topic.name()), Some(topic));
        }
        assert_eq!(Topic::from_name("/d402/1/other"), None);
    }
}
