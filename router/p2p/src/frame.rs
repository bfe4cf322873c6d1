//! Bytes on a request stream: lengths first, limits before allocation.
//!
//! Request: `u32 BE length ‖ body`. Response: `u8 status ‖ u32 BE number ‖ body`, where the number is the
//! body's length for status 0 and the refusal's number otherwise. One request and response per stream.
//!
//! A body is read in steps and charged to a shared budget as it arrives: a peer that announces much and
//! sends little holds little. A request that is refused is read to its end without being kept, because
//! the asker reads our answer only after it has written everything.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Refusal, config::BODY_BYTES_CEILING};

/// Bytes read at a time.
const STEP: usize = 64 << 10;
/// Smallest unit of the budget, bytes.
const UNIT: usize = 1 << 10;

/// Memory that bodies may hold at once.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new(bytes: u32) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        Self(Arc::new(Semaphore::new(
            units.clamp(1, Semaphore::MAX_PERMITS),
        )))
    }

    /// Takes the bytes, rounded up to units, if they are free.
    pub(crate) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        self.0.clone().try_acquire_many_owned(units).ok()
    }
}

/// A body and the part of the budget it holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) body: Bytes,
    pub(crate) hold: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// A body of our own that no budget counts.
    pub(crate) fn free(body: Bytes) -> Self {
        Self { body, hold: None }
    }
}

/// A request as it was read, or to be written.
#[derive(Debug)]
pub(crate) enum RequestFrame {
    Body(Held),
    /// Read only: beyond our limit.
    TooLarge,
    /// Read only: the budget is used up.
    NoMemory,
}

/// A response as it was read, or to be written.
#[derive(Debug)]
pub(crate) enum ResponseFrame {
    Body(Held),
    Refused(Refusal),
    /// Read only: beyond our limit.
    TooLarge {
        got: u32,
    },
}

const OK: u8 = 0;
const BUSY: u8 = 1;
const RATE_LIMITED: u8 = 2;
const REQUEST_TOO_LARGE: u8 = 3;
const RESPONSE_TOO_LARGE: u8 = 4;
const NO_ANSWER: u8 = 5;

fn refusal_code(refusal: Refusal) -> (u8, u32) {
    match refusal {
        Refusal::Busy => (BUSY, 0),
        Refusal::RateLimited { retry_after_ms } => (RATE_LIMITED, retry_after_ms),
        Refusal::RequestTooLarge { limit } => (REQUEST_TOO_LARGE, limit),
        Refusal::ResponseTooLarge { limit } => (RESPONSE_TOO_LARGE, limit),
        Refusal::NoAnswer => (NO_ANSWER, 0),
    }
}

fn refusal_of(code: u8, number: u32) -> io::Result<Refusal> {
    match (code, number) {
        (BUSY, 0) => Ok(Refusal::Busy),
        (RATE_LIMITED, retry_after_ms) => Ok(Refusal::RateLimited { retry_after_ms }),
        (REQUEST_TOO_LARGE, limit) => Ok(Refusal::RequestTooLarge { limit }),
        (RESPONSE_TOO_LARGE, limit) => Ok(Refusal::ResponseTooLarge { limit }),
        (NO_ANSWER, 0) => Ok(Refusal::NoAnswer),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Reads and writes the frames of one protocol.
#[derive(Debug, Clone)]
pub(crate) struct FrameCodec {
    pub(crate) request_bytes_max: u32,
    pub(crate) response_bytes_max: u32,
    pub(crate) budget: Budget,
}

impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = RequestFrame;
    type Response = ResponseFrame;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<RequestFrame>
    where
        T: AsyncRead + Unpin + Send,
    {
        let len = read_u32(io).await?;
        if len > self.request_bytes_max {
            discard(io, len).await?;
            return Ok(RequestFrame::TooLarge);
        }
        match read_body(io, len, Some(&self.budget)).await? {
            Some(held) => Ok(RequestFrame::Body(held)),
            None => Ok(RequestFrame::NoMemory),
        }
    }

    async fn read_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<ResponseFrame>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut code = [0_u8; 1];
        io.read_exact(&mut code).await?;
        let [code] = code;
        let number = read_u32(io).await?;
        if code != OK {
            return refusal_of(code, number).map(ResponseFrame::Refused);
        }
        if number > self.response_bytes_max {
            return Ok(ResponseFrame::TooLarge { got: number });
        }
        match read_body(io, number, None).await? {
            Some(held) => Ok(ResponseFrame::Body(held)),
            None => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: RequestFrame,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            RequestFrame::Body(held) => {
                io.write_all(&length_of(&held.body)?.to_be_bytes()).await?;
                io.write_all(&held.body).await?;
                io.flush().await
            }
            RequestFrame::TooLarge | RequestFrame::NoMemory => {
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: ResponseFrame,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let (code, number, body) = match response {
            ResponseFrame::Body(held) => (OK, length_of(&held.body)?, held.body),
            ResponseFrame::Refused(refusal) => {
                let (code, number) = refusal_code(refusal);
                (code, number, Bytes::new())
            }
            ResponseFrame::TooLarge { .. } => return Err(io::ErrorKind::InvalidInput.into()),
        };
        io.write_all(&[code]).await?;
        io.write_all(&number.to_be_bytes()).await?;
        io.write_all(&body).await?;
        io.flush().await
    }
}

fn length_of(body: &Bytes) -> io::Result<u32> {
    u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

async fn read_u32<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<u32> {
    let mut bytes = [0_u8; 4];
    io.read_exact(&mut bytes).await?;
    Ok(u32::from_be_bytes(bytes))
}

/// Reads a body whose length was checked. None: the budget was used up, and the rest was discarded.
async fn read_body<T: AsyncRead + Unpin>(
    io: &mut T,
    len: u32,
    budget: Option<&Budget>,
) -> io::Result<Option<Held>> {
    let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut body = Vec::with_capacity(len.min(STEP));
    let mut hold: Option<OwnedSemaphorePermit> = None;
    while body.len() < len {
        let start = body.len();
        let step = len.saturating_sub(start).min(STEP);
        if let Some(budget) = budget {
            let Some(more) = budget.take(step) else {
                let rest = u32::try_from(len.saturating_sub(start)).unwrap_or(u32::MAX);
                drop((body, hold));
                discard(io, rest).await?;
                return Ok(None);
            };
            match &mut hold {
                Some(hold) => hold.merge(more),
                None => hold = Some(more),
            }
        }
        body.resize(start.saturating_add(step), 0);
        if let Some(tail) = body.get_mut(start..) {
            io.read_exact(tail).await?;
        }
    }
    Ok(Some(Held {
        body: Bytes::from(body),
        hold,
    }))
}

/// Reads and forgets `len` bytes; an announcement beyond any honest configuration ends the stream.
async fn discard<T: AsyncRead + Unpin>(io: &mut T, len: u32) -> io::Result<()> {
    if len > BODY_BYTES_CEILING {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut sink = futures::io::sink();
    let read = futures::io::copy(io.take(u64::from(len)), &mut sink).await?;
    if read < u64::from(len) {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, io::Cursor};
    use libp2p::request_response::Codec;
    use proptest::prelude::*;

    use super::*;

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/test");

    fn codec(request: u32, response: u32, budget: u32) -> FrameCodec {
        FrameCodec {
            request_bytes_max: request,
            response_bytes_max: response,
            budget: Budget::new(budget),
        }
    }

    fn read_request(codec: &mut FrameCodec, wire: &[u8]) -> io::Result<RequestFrame> {
        block_on(codec.read_request(&PROTOCOL, &mut Cursor::new(wire)))
    }

    fn read_response(codec: &mut FrameCodec, wire: &[u8]) -> io::Result<ResponseFrame> {
        block_on(codec.read_response(&PROTOCOL, &mut Cursor::new(wire)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_body_is_read_as_it_was_written(body in proptest::collection::vec(any::<u8>(), 0..200_000)) {
            let mut codec = codec(1 << 20, 1 << 20, 1 << 20);
            let mut wire = Vec::new();
            let held = Held::free(Bytes::from(body.clone()));
            block_on(codec.write_request(&PROTOCOL, &mut wire, RequestFrame::Body(held))).unwrap();
            let read = read_request(&mut codec, &wire).unwrap();
            prop_assert!(matches!(&read, RequestFrame::Body(held) if held.body == body));
            let mut wire = Vec::new();
            let held = Held::free(Bytes::from(body.clone()));
            block_on(codec.write_response(&PROTOCOL, &mut wire, ResponseFrame::Body(held))).unwrap();
            let read = read_response(&mut codec, &wire).unwrap();
            prop_assert!(matches!(&read, ResponseFrame::Body(held) if held.body == body));
        }

        #[test]
        fn any_bytes_are_read_without_harm(wire in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut codec = codec(16, 16, 1 << 10);
            if let Ok(RequestFrame::Body(held)) = read_request(&mut codec, &wire) {
                prop_assert!(held.body.len() <= 16);
            }
            if let Ok(ResponseFrame::Body(held)) = read_response(&mut codec, &wire) {
                prop_assert!(held.body.len() <= 16);
            }
        }
    }

    #[test]
    fn every_refusal_is_read_as_it_was_written() {
        let refusals = [
            Refusal::Busy,
            Refusal::RateLimited { retry_after_ms: 7 },
            Refusal::RequestTooLarge { limit: 8 },
            Refusal::ResponseTooLarge { limit: 9 },
            Refusal::NoAnswer,
        ];
        for refusal in refusals {
            let mut codec = codec(1, 1, 1);
            let mut wire = Vec::new();
            let frame = ResponseFrame::Refused(refusal);
            block_on(codec.write_response(&PROTOCOL, &mut wire, frame)).unwrap();
            let read = read_response(&mut codec, &wire).unwrap();
            assert!(
                matches!(read, ResponseFrame::Refused(read) if read == refusal),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn a_request_beyond_the_limit_is_read_to_its_end_and_not_kept() {
        let mut codec = codec(4, 4, 1 << 20);
        let free = codec.budget.0.available_permits();
        let mut wire = 5_u32.to_be_bytes().to_vec();
        wire.extend_from_slice(b"12345rest");
        let mut stream = Cursor::new(wire.as_slice());
        let read = block_on(codec.read_request(&PROTOCOL, &mut stream)).unwrap();
        assert!(matches!(read, RequestFrame::TooLarge));
        assert_eq!(stream.position(), 9);
        assert_eq!(codec.budget.0.available_permits(), free);
    }

    #[test]
    fn an_absurd_announcement_ends_the_stream_unread() {
        let mut codec = codec(4, 4, 1 << 20);
        let refused = read_request(&mut codec, &u32::MAX.to_be_bytes()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_response_beyond_the_limit_is_not_read() {
        let mut codec = codec(4, 4, 1 << 20);
        let wire = [&[OK][..], &u32::MAX.to_be_bytes()].concat();
        let read = read_response(&mut codec, &wire).unwrap();
        assert!(matches!(read, ResponseFrame::TooLarge { got: u32::MAX }));
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        let mut codec = codec(64, 64, 1 << 20);
        let wire = [&9_u32.to_be_bytes()[..], b"short"].concat();
        let refused = read_request(&mut codec, &wire).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn bodies_share_one_budget_and_give_it_back() {
        let mut codec = codec(1 << 20, 1, 100 << 10);
        let body = vec![1; 80 << 10];
        let wire = [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat();
        let first = read_request(&mut codec, &wire).unwrap();
        assert!(matches!(first, RequestFrame::Body(_)));
        assert!(matches!(
            read_request(&mut codec, &wire).unwrap(),
            RequestFrame::NoMemory
        ));
        drop(first);
        assert!(matches!(
            read_request(&mut codec, &wire).unwrap(),
            RequestFrame::Body(_)
        ));
    }
}
