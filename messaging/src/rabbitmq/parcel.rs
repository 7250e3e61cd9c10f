//! Several messages for one queue as one message of the broker.
//!
//! A message costs the broker and both its clients a fixed sum, whatever its size: frames, a confirm, an acknowledgment,
//! wake-ups. So those messages of one publish that go to the same queue, to a receiver that is known to unpack parcels,
//! travel together:
//!
//! ```text
//!  type: sojourn.parcel    body: member*
//!  member:                 u32 length of its body, text id, text kind, u16 headers, (text name, text value)*, body
//!  text:                   u16 length, UTF-8           numbers are big-endian
//! ```
//!
//! Nothing but the adapter knows: a parcel is unpacked where it arrives, and its members are acknowledged, returned and
//! buried each for itself. A parcel that comes back, or is buried by the broker, is taken apart: its members follow one
//! by one, so that one of them cannot take the others down with it.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    message::{Delivery, DeliveryTag, Message, Outgoing},
    rabbitmq::tags,
};

/// The most messages in one parcel. A parcel counts once toward the prefetch, and goes to one consumer as a whole: with
/// more the consumers of a queue would share its load badly; past some dozens the fixed sum is divided away anyway.
pub(super) const PARCEL_MESSAGES_MAX: usize = 32;

/// The most bytes of bodies in one parcel. Larger ones would only move the cost from messages to bytes.
pub(super) const PARCEL_BYTES_MAX: usize = 64 * 1024;

/// The kind of a parcel.
const KIND_PARCEL: &str = "sojourn.parcel";

/// A message as it is sent: one of the batch, or a parcel of several.
#[derive(Debug)]
pub(super) struct Sent {
    /// The places in the batch.
    pub(super) indexes: Vec<usize>,
    /// The parcel; `None` for a message that travels alone.
    pub(super) parcel: Option<Outgoing>,
}

impl Sent {
    /// The message as it goes over the wire.
    pub(super) fn outgoing<'a>(&'a self, batch: &'a [Outgoing]) -> &'a Outgoing {
        self.parcel.as_ref().unwrap_or(&batch[self.indexes[0]])
    }
}

/// Puts the chosen messages of a batch together as far as they may travel together, in the order of their first members.
pub(super) fn put_together(batch: &[Outgoing], chosen: impl Iterator<Item = usize>) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    // By exchange and key, the one that may still take more, and the bytes that it has.
    let mut open = BTreeMap::new();
    for index in chosen {
        let Outgoing { exchange, routing_key, message, receiver_unpacks } = &batch[index];
        if *receiver_unpacks {
            let (place, bytes) = open.entry((*exchange, routing_key.as_str())).or_insert((sent.len(), 0));
            let fits = *bytes + message.body.len() <= PARCEL_BYTES_MAX;
            if let Some(parcel) = sent.get_mut(*place).filter(|sent| fits && sent.indexes.len() < PARCEL_MESSAGES_MAX) {
                parcel.indexes.push(index);
                *bytes += message.body.len();
                continue;
            }
            (*place, *bytes) = (sent.len(), message.body.len());
        }
        sent.push(Sent { indexes: vec![index], parcel: None });
    }
    for sent in sent.iter_mut().filter(|sent| sent.indexes.len() > 1) {
        let first = &batch[sent.indexes[0]];
        let message = pack(sent.indexes.iter().map(|&index| &batch[index].message));
        sent.parcel = Some(Outgoing { message, ..first.clone() });
    }
    sent
}

/// The messages in a parcel; `None` when this is no parcel, or not a readable one.
pub(super) fn unpack(message: &Message) -> Option<Vec<Message>> {
    if message.kind != KIND_PARCEL {
        return None;
    }
    let mut body = message.body.clone();
    let mut members = Vec::new();
    while body.has_remaining() {
        members.push(read_member(&mut body)?);
    }
    (1..=PARCEL_MESSAGES_MAX).contains(&members.len()).then_some(members)
}

/// A delivery as it is handed out: itself, or the members of its parcel. What was noted on the parcel, such as how it
/// died, holds for each of them.
pub(super) fn opened(delivery: Delivery) -> Vec<Delivery> {
    let Some(members) = unpack(&delivery.message) else { return vec![delivery] };
    let numbered = members.into_iter().zip(1..);
    numbered
        .map(|(mut message, member)| {
            message.headers.extend(delivery.message.headers.clone());
            let number = tags::number(tags::wire_tag(delivery.tag.number), member);
            let tag = DeliveryTag { number, ..delivery.tag };
            let (queue, routing_key) = (delivery.queue.clone(), delivery.routing_key.clone());
            Delivery { message, tag, queue, routing_key, ..delivery }
        })
        .collect()
}

/// A parcel of these messages. Its id is that of the first: it stands for them when the broker returns it.
fn pack<'a>(messages: impl Iterator<Item = &'a Message>) -> Message {
    let (mut body, mut first_id) = (BytesMut::new(), None);
    for message in messages {
        first_id.get_or_insert(&message.message_id);
        write_member(&mut body, message);
    }
    Message::new(first_id.cloned().unwrap_or_default(), KIND_PARCEL, body.freeze())
}

fn write_member(body: &mut BytesMut, message: &Message) {
    body.put_u32(length(message.body.len()));
    for text in [&message.message_id, &message.kind] {
        write_text(body, text);
    }
    body.put_u16(length(message.headers.len()));
    for (name, value) in &message.headers {
        write_text(body, name);
        write_text(body, value);
    }
    body.put_slice(&message.body);
}

fn write_text(body: &mut BytesMut, text: &str) {
    body.put_u16(length(text.len()));
    body.put_slice(text.as_bytes());
}

/// A length within the limits of the port, all of which fit.
fn length<T: TryFrom<usize> + Default>(length: usize) -> T {
    debug_assert!(T::try_from(length).is_ok(), "{length} is over the limits that were checked");
    T::try_from(length).unwrap_or_default()
}

fn read_member(body: &mut Bytes) -> Option<Message> {
    let bytes = usize::try_from(body.try_get_u32().ok()?).ok()?;
    let (message_id, kind) = (read_text(body)?, read_text(body)?);
    let mut headers = BTreeMap::new();
    for _ in 0..body.try_get_u16().ok()? {
        headers.insert(read_text(body)?, read_text(body)?);
    }
    (body.remaining() >= bytes).then(|| Message { message_id, kind, headers, body: body.split_to(bytes) })
}

fn read_text(body: &mut Bytes) -> Option<String> {
    let bytes = usize::from(body.try_get_u16().ok()?);
    (body.remaining() >= bytes).then(|| body.split_to(bytes)).and_then(|text| String::from_utf8(text.into()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> Message {
        Message::new(number.to_string(), "flights.hold", format!("{{\"number\":{number}}}"))
            .with_header("traceparent", "00-abc-def-01")
    }

    fn together(batch: &[Outgoing]) -> Vec<Vec<usize>> {
        put_together(batch, 0..batch.len()).into_iter().map(|sent| sent.indexes).collect()
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let messages = [message(1), Message::new("", "", ""), message(2).with_header("é", "ü")];
        let parcel = pack(messages.iter());
        assert_eq!((parcel.message_id.as_str(), parcel.kind.as_str()), ("1", KIND_PARCEL));
        assert_eq!(unpack(&parcel).unwrap(), messages);
    }

    #[test]
    fn a_parcel_that_is_cut_off_or_of_another_kind_is_none() {
        let parcel = pack([message(1), message(2)].iter());
        for bytes in 1..parcel.body.len() {
            let cut = Message { body: parcel.body.slice(..bytes), ..parcel.clone() };
            assert!(unpack(&cut).is_none_or(|members| members == [message(1)]), "{bytes} bytes");
        }
        assert_eq!(unpack(&Message { kind: "flights.hold".to_owned(), ..parcel }), None);
    }

    #[test]
    fn only_messages_for_one_queue_whose_receiver_unpacks_travel_together() {
        let flights = |number| Outgoing::command("flights", message(number)).to_unpacker(true);
        let payment = |number| Outgoing::command("payment", message(number)).to_unpacker(true);
        let batch = [flights(0), payment(1), flights(2), Outgoing::command("flights", message(3)), payment(4)];
        assert_eq!(together(&batch), [vec![0, 2], vec![1, 4], vec![3]]);
    }

    #[test]
    fn a_parcel_is_bounded_in_messages_and_in_bytes() {
        let many: Vec<Outgoing> =
            (0..70).map(|number| Outgoing::command("flights", message(number)).to_unpacker(true)).collect();
        assert_eq!(together(&many).iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 6]);
        let half = || Message::new("m", "k", vec![b' '; PARCEL_BYTES_MAX / 2]);
        let large: Vec<Outgoing> = (0..3).map(|_| Outgoing::command("flights", half()).to_unpacker(true)).collect();
        assert_eq!(together(&large), [vec![0, 1], vec![2]]);
    }
}
