//! Between gRPC's frames and messages.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::Message;
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::Incoming;

/// Reads requests of type `I` and writes responses of type `O`.
pub(in crate::ads) struct Codec<I, O>(PhantomData<(I, O)>);

impl<I, O> Default for Codec<I, O> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<I: Incoming, O: Message + 'static> tonic::codec::Codec for Codec<I, O> {
    type Encode = O;
    type Decode = I;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Self::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self::default()
    }
}

impl<I: Send + 'static, O: Message + 'static> Encoder for Codec<I, O> {
    type Item = O;
    type Error = Status;

    fn encode(&mut self, message: O, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<I: Incoming, O: Send + 'static> Decoder for Codec<I, O> {
    type Item = I;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<I>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(I::read(bytes)))
    }
}
