//! Amounts as Stripe counts them: whole numbers of the smallest unit, with exceptions of its own.

use contract::Money;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};

/// The largest amount of one charge: Stripe takes eight digits.
const MINOR_MAX: i64 = 99_999_999;

/// Currencies whose smallest unit Stripe counts otherwise than ISO 4217 does.
const DECIMALS: [(&str, u32); 3] = [("MGA", 0), ("ISK", 2), ("UGX", 2)];

fn decimals(money: Money) -> u32 {
    let own = DECIMALS.iter().find(|(code, _)| *code == money.currency_code());
    own.map_or_else(|| money.currency().exponent().unwrap_or(2).into(), |(_, decimals)| *decimals)
}

/// The amount in the smallest unit; none that Stripe would not take.
pub(super) fn minor(money: Money) -> Option<i64> {
    let decimals = decimals(money);
    let scaled = money.amount().checked_mul(Decimal::from(10_u64.pow(decimals)))?.normalize();
    let minor = if scaled.scale() == 0 { scaled.to_i64()? } else { return None };
    // Of three decimals the last one is always zero.
    let shaped = decimals != 3 || minor % 10 == 0;
    (shaped && (1..=MINOR_MAX).contains(&minor)).then_some(minor)
}

/// The money of an amount in the smallest unit, in Stripe's spelling of the currency.
pub(super) fn money(minor: i64, currency: &str) -> Option<Money> {
    let currency = currency.to_ascii_uppercase();
    let one = Money::from_parts(Decimal::ONE, &currency).ok()?;
    Money::from_parts(Decimal::new(minor, decimals(one)), &currency).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(amount: &str, currency: &str) -> Money {
        Money::from_parts(amount.parse().unwrap(), currency).unwrap()
    }

    #[test]
    fn amounts_are_counted_in_the_smallest_unit_of_their_currency() {
        for (amount, currency, expected) in [
            ("12.34", "EUR", 1234),
            ("12", "EUR", 1200),
            ("480000", "JPY", 480_000),
            ("5.120", "KWD", 5120),
            ("999999.99", "USD", 99_999_999),
            ("100", "ISK", 10_000),
        ] {
            assert_eq!(minor(of(amount, currency)), Some(expected), "{amount} {currency}");
            assert_eq!(money(expected, &currency.to_lowercase()), Some(of(amount, currency)), "{amount} {currency}");
        }
    }

    #[test]
    fn an_amount_that_stripe_would_not_take_is_none() {
        assert_eq!(minor(of("1000000.00", "USD")), None);
        assert_eq!(minor(of("5.124", "KWD")), None);
        assert_eq!(money(100, "zzz"), None);
    }
}
