//! The numbers that card networks give out: their ranges, their lengths and the check digit.

/// The shortest card number, in digits.
pub(super) const DIGITS_MIN: usize = 12;

/// The longest card number, in digits.
pub(super) const DIGITS_MAX: usize = 19;

/// Numbers that one network gives out: the first six digits, and the lengths.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) lengths: &'static [usize],
}

const fn issued(from: u32, to: u32, lengths: &'static [usize]) -> Issued {
    Issued { from, to, lengths }
}

/// Published ranges of issuer identification numbers. Obsolete ranges that nobody carries (enRoute, Bankcard, Solo) and
/// ranges that are no payment cards are left out: each would refuse honest numbers for nothing.
pub(super) const NETWORKS: [Issued; 22] = [
    // Visa; 13 digits are no longer issued, but still used as examples.
    issued(400_000, 499_999, &[13, 16, 18, 19]),
    // Mastercard.
    issued(510_000, 559_999, &[16]),
    issued(222_100, 272_099, &[16]),
    // American Express.
    issued(340_000, 349_999, &[15]),
    issued(370_000, 379_999, &[15]),
    // Discover.
    issued(601_100, 601_199, &[16, 17, 18, 19]),
    issued(644_000, 659_999, &[16, 17, 18, 19]),
    // Diners Club.
    issued(300_000, 305_999, &[14, 15, 16, 17, 18, 19]),
    issued(309_500, 309_599, &[14, 15, 16, 17, 18, 19]),
    issued(360_000, 369_999, &[14, 15, 16, 17, 18, 19]),
    issued(380_000, 399_999, &[14, 15, 16, 17, 18, 19]),
    // JCB.
    issued(352_800, 358_999, &[16, 17, 18, 19]),
    // UnionPay.
    issued(620_000, 629_999, &[16, 17, 18, 19]),
    issued(810_000, 817_199, &[16, 17, 18, 19]),
    // Maestro.
    issued(500_000, 509_999, &[12, 13, 14, 15, 16, 17, 18, 19]),
    issued(589_300, 589_399, &[12, 13, 14, 15, 16, 17, 18, 19]),
    issued(630_400, 630_499, &[12, 13, 14, 15, 16, 17, 18, 19]),
    issued(670_000, 679_999, &[12, 13, 14, 15, 16, 17, 18, 19]),
    // Mir.
    issued(220_000, 220_499, &[16, 17, 18, 19]),
    // RuPay, Hipercard.
    issued(606_282, 608_500, &[16]),
    // InterPayment, InstaPayment, Elo.
    issued(636_000, 639_999, &[16, 17, 18, 19]),
    // Troy.
    issued(979_200, 979_289, &[16]),
];

/// True when a network gives out numbers like this one.
pub(super) fn is_card_number(digits: &[u8]) -> bool {
    (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && is_issued(digits) && passes_luhn(digits)
}

fn is_issued(digits: &[u8]) -> bool {
    let issuer = digits.iter().take(6).fold(0, |value, digit| value * 10 + u32::from(*digit));
    NETWORKS
        .iter()
        .any(|network| (network.from..=network.to).contains(&issuer) && network.lengths.contains(&digits.len()))
}

/// True when the last digit is the right check of the others (ISO/IEC 7812, Luhn).
pub(super) fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match (place % 2, digit) {
                (0, digit) => digit,
                (_, digit) if digit > 4 => 2 * digit - 9,
                (_, digit) => 2 * digit,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}
