//! Messages of `/d402/peers/1`: "here am I, whom do you know?"
//!
//! Request: `u8 records wanted ‖ u16 BE length ‖ own record` (length 0: none). Response: repeated
//! `u16 BE length ‖ record`. Records are verified one by one: a forged one costs itself, not the others.

use bytes::{BufMut, Bytes, BytesMut};

use super::record::{RECORD_BYTES_MAX, SignedRecord};

/// Most records in one response.
pub(crate) const RECORDS_MAX: usize = 32;
/// Longest request, bytes.
pub(crate) const REQUEST_BYTES_MAX: u32 = 2048;
/// Longest response, bytes.
pub(crate) const RESPONSE_BYTES_MAX: u32 = 40 << 10;

const _: () = assert!(3 + RECORD_BYTES_MAX <= REQUEST_BYTES_MAX as usize);
const _: () = assert!(RECORDS_MAX * (2 + RECORD_BYTES_MAX) <= RESPONSE_BYTES_MAX as usize);

/// Bytes that are not a message of the exchange.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of the peer exchange")]
pub(crate) struct Malformed;

/// A peer introduces itself and asks for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExchangeRequest {
    pub(crate) wanted: u8,
    /// Encoded record of the asker, unverified.
    pub(crate) own: Option<Bytes>,
}

impl ExchangeRequest {
    pub(crate) fn encode(wanted: u8, own: Option<&SignedRecord>) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(wanted);
        put_record(&mut out, own.map_or(&[], SignedRecord::encoded));
        out.freeze()
    }

    pub(crate) fn decode(mut wire: Bytes) -> Result<Self, Malformed> {
        let wanted = *wire.first().ok_or(Malformed)?;
        bytes::Buf::advance(&mut wire, 1);
        let own = take_record(&mut wire)?;
        if !wire.is_empty() {
            return Err(Malformed);
        }
        Ok(Self {
            wanted,
            own: (!own.is_empty()).then_some(own),
        })
    }
}

/// Records of peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExchangeResponse {
    /// Encoded records, unverified, at most [`RECORDS_MAX`].
    pub(crate) records: Vec<Bytes>,
}

impl ExchangeResponse {
    pub(crate) fn encode<'a>(records: impl IntoIterator<Item = &'a SignedRecord>) -> Bytes {
        let mut out = BytesMut::new();
        for record in records.into_iter().take(RECORDS_MAX) {
            put_record(&mut out, record.encoded());
        }
        out.freeze()
    }

    pub(crate) fn decode(mut wire: Bytes) -> Result<Self, Malformed> {
        let mut records = Vec::new();
        while !wire.is_empty() {
            if records.len() >= RECORDS_MAX {
                return Err(Malformed);
            }
            records.push(take_record(&mut wire)?);
        }
        Ok(Self { records })
    }
}

fn put_record(out: &mut BytesMut, encoded: &[u8]) {
    // Verified and own records are at most RECORD_BYTES_MAX long, which fits.
    let len = u16::try_from(encoded.len()).unwrap_or(0);
    out.put_u16(len);
    if len > 0 {
        out.put_slice(encoded);
    }
}

fn take_record(wire: &mut Bytes) -> Result<Bytes, Malformed> {
    let (len, _) = wire.split_first_chunk::<2>().ok_or(Malformed)?;
    let len = usize::from(u16::from_be_bytes(*len));
    bytes::Buf::advance(wire, 2);
    if len > wire.len() {
        return Err(Malformed);
    }
    Ok(wire.split_to(len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::record::tests::record_with, *};

    #[test]
    fn messages_are_read_as_they_were_written() {
        let records = [
            record_with(&["/ip4/9.8.7.6/tcp/1"]),
            record_with(&["/ip6/2600::1/tcp/2"]),
        ];
        let request = ExchangeRequest::decode(ExchangeRequest::encode(9, records.first())).unwrap();
        assert_eq!(request.wanted, 9);
        assert_eq!(request.own.as_deref(), Some(records[0].encoded()));
        assert_eq!(
            ExchangeRequest::decode(ExchangeRequest::encode(9, None))
                .unwrap()
                .own,
            None
        );
        let response = ExchangeResponse::decode(ExchangeResponse::encode(&records)).unwrap();
        let expected: Vec<&[u8]> = records.iter().map(SignedRecord::encoded).collect();
        assert_eq!(response.records, expected);
    }

    #[test]
    fn more_records_than_allowed_are_refused() {
        let wire = |records: usize| Bytes::from([0_u8, 1, 7].repeat(records));
        assert_eq!(
            ExchangeResponse::decode(wire(RECORDS_MAX))
                .unwrap()
                .records
                .len(),
            RECORDS_MAX
        );
        assert_eq!(
            ExchangeResponse::decode(wire(RECORDS_MAX + 1)),
            Err(Malformed)
        );
    }

    #[test]
    fn trailing_bytes_after_a_request_are_refused() {
        assert_eq!(
            ExchangeRequest::decode(Bytes::from_static(&[1, 0, 0, 0])),
            Err(Malformed)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(wire in proptest::collection::vec(any::<u8>(), 0..200)) {
            let wire = Bytes::from(wire);
            if let Ok(request) = ExchangeRequest::decode(wire.clone()) {
                prop_assert!(request.own.is_none_or(|own| own.len() <= wire.len()));
            }
            if let Ok(response) = ExchangeResponse::decode(wire) {
                prop_assert!(response.records.len() <= RECORDS_MAX);
            }
        }
    }
}
