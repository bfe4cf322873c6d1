//! Signed peer records (libp2p RFC 3): the addresses of a peer in its own words.

use libp2p::{
    Multiaddr, PeerId,
    core::{
        PeerRecord, SignedEnvelope, peer_record::FromEnvelopeError, signed_envelope::DecodingError,
    },
};

use crate::{AddressError, NodeIdentity, PeerAddress};

/// Longest encoded record. Eight IPv6 addresses, key and signature need less than 600 bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 1024;

/// A record that the peer it names has signed. Only verification builds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedRecord {
    address: PeerAddress,
    sequence: u64,
    encoded: Vec<u8>,
}

/// Why bytes are not the record of a peer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("record of {got} bytes exceeds the limit of {limit}")]
    TooLarge { got: usize, limit: usize },
    #[error("not a signed envelope")]
    Envelope(#[source] DecodingError),
    #[error("not a record signed by the peer it names")]
    Record(#[source] FromEnvelopeError),
    #[error("the record names an address that is no peer's")]
    Address(#[source] AddressError),
    #[error("the node key cannot sign")]
    Signing(#[source] libp2p::identity::SigningError),
}

impl SignedRecord {
    /// The record of this node. Its sequence is the wall clock in seconds, taken by libp2p.
    pub(crate) fn of_self(node: &NodeIdentity, own: &PeerAddress) -> Result<Self, RecordError> {
        let record = PeerRecord::new_interop(node.keypair(), own.addresses().to_vec())
            .map_err(RecordError::Signing)?;
        Ok(Self {
            address: own.clone(),
            sequence: record.seq(),
            encoded: record.into_signed_envelope().into_protobuf_encoding(),
        })
    }

    /// Checks form and signature.
    pub(crate) fn verify(encoded: &[u8]) -> Result<Self, RecordError> {
        if encoded.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge {
                got: encoded.len(),
                limit: RECORD_BYTES_MAX,
            });
        }
        let envelope =
            SignedEnvelope::from_protobuf_encoding(encoded).map_err(RecordError::Envelope)?;
        let record =
            PeerRecord::from_signed_envelope_interop(envelope).map_err(RecordError::Record)?;
        let address = PeerAddress::new(record.peer_id(), record.addresses().iter().cloned())
            .map_err(RecordError::Address)?;
        // Encoded anew: unknown protobuf fields would let a relay grow the record for free.
        let sequence = record.seq();
        let encoded = record.into_signed_envelope().into_protobuf_encoding();
        Ok(Self {
            address,
            sequence,
            encoded,
        })
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.address.peer()
    }

    pub(crate) fn addresses(&self) -> &[Multiaddr] {
        self.address.addresses()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record of a fresh peer with these addresses.
    pub(crate) fn record_with(addresses: &[&str]) -> SignedRecord {
        let node = NodeIdentity::generate().unwrap();
        record_of(&node, addresses)
    }

    pub(crate) fn record_of(node: &NodeIdentity, addresses: &[&str]) -> SignedRecord {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        let own = PeerAddress::new(node.peer_id(), addresses).unwrap();
        SignedRecord::of_self(node, &own).unwrap()
    }

    #[test]
    fn a_record_is_verified_by_others() {
        let record = record_with(&["/ip4/9.8.7.6/tcp/1", "/ip4/9.8.7.6/udp/1/quic-v1"]);
        assert_eq!(SignedRecord::verify(record.encoded()).unwrap(), record);
    }

    #[test]
    fn a_record_with_any_byte_changed_is_refused_or_says_the_same() {
        let record = record_with(&["/ip4/9.8.7.6/tcp/1"]);
        for at in 0..record.encoded().len() {
            let mut forged = record.encoded().to_vec();
            forged[at] ^= 1;
            if let Ok(read) = SignedRecord::verify(&forged) {
                assert_eq!(read, record, "byte {at}");
            }
        }
    }

    #[test]
    fn a_record_signed_by_another_peer_is_refused() {
        let (victim, forger) = (
            NodeIdentity::generate().unwrap(),
            NodeIdentity::generate().unwrap(),
        );
        let genuine = record_of(&victim, &["/ip4/9.8.7.6/tcp/1"]);
        let envelope = SignedEnvelope::from_protobuf_encoding(genuine.encoded()).unwrap();
        let kind = [0x03, 0x01];
        let domain = String::from("libp2p-peer-record");
        let (payload, _) = envelope
            .payload_and_signing_key(domain.clone(), &kind)
            .unwrap();
        let forged =
            SignedEnvelope::new(forger.keypair(), domain, kind.to_vec(), payload.to_vec()).unwrap();
        let refused = SignedRecord::verify(&forged.into_protobuf_encoding());
        assert!(
            matches!(
                refused,
                Err(RecordError::Record(FromEnvelopeError::MismatchedSignature))
            ),
            "{refused:?}"
        );
    }

    #[test]
    fn a_record_beyond_the_limits_is_refused() {
        let node = NodeIdentity::generate().unwrap();
        let many = (1..=9)
            .map(|port| format!("/ip4/9.8.7.6/tcp/{port}").parse().unwrap())
            .collect();
        let record = PeerRecord::new_interop(node.keypair(), many).unwrap();
        let encoded = record.into_signed_envelope().into_protobuf_encoding();
        assert!(matches!(
            SignedRecord::verify(&encoded),
            Err(RecordError::Address(_))
        ));
        let long = vec![0; RECORD_BYTES_MAX + 1];
        assert!(matches!(
            SignedRecord::verify(&long),
            Err(RecordError::TooLarge { .. })
        ));
    }
}
