//! The numbers of deliveries: the broker's tag, and for the member of a parcel its place in there.

use std::ops::Range;

/// The bits of a number that hold the place in a parcel: far more than a parcel has members, and so few that tags have
/// room for centuries.
const MEMBER_BITS: u32 = 8;

/// The number of a whole delivery (member 0), or of a member of a parcel.
pub(super) const fn number(wire_tag: u64, member: u64) -> u64 {
    (wire_tag << MEMBER_BITS) | member
}

/// The broker's own number of a delivery.
pub(super) const fn wire_tag(number: u64) -> u64 {
    number >> MEMBER_BITS
}

pub(super) const fn is_member(of_number: u64) -> bool {
    number(wire_tag(of_number), 0) != of_number
}

/// A delivery's numbers, whole or in members.
pub(super) const fn numbers_of(wire_tag: u64) -> Range<u64> {
    number(wire_tag, 0)..number(wire_tag + 1, 0)
}
