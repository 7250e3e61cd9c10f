//! Money: an exact decimal and an ISO 4217 currency, whose number of decimals is checked against the currency's.
//!
//! In JSON `{"amount": "1234.50", "currency": "EUR"}`: a string, because a JSON number passes through floats.

use std::fmt;

use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// The largest amount: as much as `NUMERIC(19,4)` columns hold before the point.
const AMOUNT_MAX: Decimal = Decimal::from_parts(0xa4c6_7fff, 0x0003_8d7e, 0, false, 0);

/// The number of digits that [`AMOUNT_MAX`] has before the point.
const WHOLE_DIGITS_MAX: usize = 15;

/// The longest piece of a wrong amount that an error repeats, in characters; what is longer is cut.
const ECHO_CHARS_MAX: usize = 32;

/// An amount of one currency, never negative, always written with exactly the currency's decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// The reason why an amount is not money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The amount has more decimals than its currency: three of a euro, one of a yen.
    #[error("{amount} has more decimals than {currency} knows ({decimals})")]
    TooManyDecimals {
        /// The amount as given.
        amount: String,
        /// The code of its currency.
        currency: &'static str,
        /// The number of decimals that the currency has.
        decimals: u32,
    },
    /// The amount is below zero.
    #[error("{0} is negative; an amount of money here never is")]
    Negative(Decimal),
    /// The amount is more than a column holds.
    #[error("{0} is more than the largest amount, {AMOUNT_MAX}")]
    TooLarge(String),
    /// The amount is not a decimal number.
    #[error("`{0}` is not a decimal number such as \"1234.50\"")]
    NotANumber(String),
    /// The currency is not in ISO 4217.
    #[error("`{0}` is not an ISO 4217 currency code such as \"EUR\"")]
    UnknownCurrency(String),
    /// The currency is a unit of account without decimals of its own (gold, test codes).
    #[error("{0} cannot be paid in: it has no minor unit")]
    NotPayable(&'static str),
    /// Two amounts of different currencies cannot be added.
    #[error("{0} and {1} cannot be added")]
    CurrenciesDiffer(&'static str, &'static str),
}

impl Money {
    /// Checks `amount` against `currency`'s number of decimals (ISO 4217) and the limits.
    ///
    /// # Errors
    /// [`MoneyError`] says what is wrong; trailing zeros are never wrong.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let decimals = decimals(currency)?;
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(MoneyError::Negative(amount));
        }
        if amount > AMOUNT_MAX {
            return Err(MoneyError::TooLarge(amount.to_string()));
        }
        let mut exact = amount.normalize();
        if exact.scale() > decimals {
            return Err(MoneyError::TooManyDecimals {
                amount: amount.to_string(),
                currency: currency.code(),
                decimals,
            });
        }
        exact.rescale(decimals);
        Ok(Self { amount: exact, currency })
    }

    /// The amount of nothing in `currency`.
    ///
    /// # Errors
    /// [`MoneyError::NotPayable`] for a currency without a minor unit.
    pub fn zero(currency: Currency) -> Result<Self, MoneyError> {
        Self::new(Decimal::ZERO, currency)
    }

    /// The amount that a database's columns hold.
    ///
    /// # Errors
    /// As [`Money::new`], and [`MoneyError::UnknownCurrency`].
    pub fn from_parts(amount: Decimal, currency: &str) -> Result<Self, MoneyError> {
        Self::new(amount, known(currency)?)
    }

    /// The exact amount, with the currency's decimals.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency of the amount.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The three letters that columns hold.
    #[must_use]
    pub fn currency_code(self) -> &'static str {
        self.currency.code()
    }

    /// The sum of two amounts of the same currency.
    ///
    /// # Errors
    /// [`MoneyError::CurrenciesDiffer`], [`MoneyError::TooLarge`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrenciesDiffer(self.currency.code(), other.currency.code()));
        }
        let too_large = || MoneyError::TooLarge(format!("{self} and {other}"));
        let sum = self.amount.checked_add(other.amount).ok_or_else(too_large)?;
        Self::new(sum, self.currency)
    }

    /// The difference to a smaller amount of the same currency.
    ///
    /// # Errors
    /// [`MoneyError::CurrenciesDiffer`], [`MoneyError::Negative`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrenciesDiffer(self.currency.code(), other.currency.code()));
        }
        Self::new(self.amount - other.amount, self.currency)
    }

    /// So many hundredths of this amount, at most all of it, rounded to the currency's minor unit; halves go up.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] when more than all of it is asked for.
    pub fn percent(self, percent: u32) -> Result<Self, MoneyError> {
        let too_large = || MoneyError::TooLarge(format!("{percent} % of {self}"));
        let share = self.amount.checked_mul(Decimal::new(i64::from(percent), 2)).ok_or_else(too_large)?;
        let rounded = share.round_dp_with_strategy(self.amount.scale(), RoundingStrategy::MidpointAwayFromZero);
        if rounded > self.amount { Err(too_large()) } else { Self::new(rounded, self.currency) }
    }

    /// True for an amount of nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.amount.is_zero()
    }

    /// This amount `times` over.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn times(self, times: u32) -> Result<Self, MoneyError> {
        let too_large = || MoneyError::TooLarge(format!("{times} times {self}"));
        let product = self.amount.checked_mul(Decimal::from(times)).ok_or_else(too_large)?;
        Self::new(product, self.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency.code())
    }
}

/// The form of money in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    amount: String,
    currency: String,
}

impl From<Money> for Wire {
    fn from(money: Money) -> Self {
        Self { amount: money.amount.to_string(), currency: money.currency.code().to_owned() }
    }
}

impl TryFrom<Wire> for Money {
    type Error = MoneyError;

    fn try_from(wire: Wire) -> Result<Self, MoneyError> {
        let currency = known(&wire.currency)?;
        let decimals = decimals(currency)?;
        let echo = || wire.amount.chars().take(ECHO_CHARS_MAX).collect();
        let (whole, fraction) = digits(&wire.amount).ok_or_else(|| MoneyError::NotANumber(echo()))?;
        if whole.len() > WHOLE_DIGITS_MAX {
            return Err(MoneyError::TooLarge(echo()));
        }
        if u32::try_from(fraction.len()).is_ok_and(|given| given <= decimals) {
            let sign = if wire.amount.starts_with('-') { "-" } else { "" };
            let exact = Decimal::from_str_exact(&format!("{sign}0{whole}.{fraction}0"));
            return Self::new(exact.map_err(|_| MoneyError::NotANumber(echo()))?, currency);
        }
        Err(MoneyError::TooManyDecimals { amount: echo(), currency: currency.code(), decimals })
    }
}

fn known(code: &str) -> Result<Currency, MoneyError> {
    Currency::from_code(code).ok_or_else(|| MoneyError::UnknownCurrency(code.chars().take(ECHO_CHARS_MAX).collect()))
}

fn decimals(currency: Currency) -> Result<u32, MoneyError> {
    currency.exponent().map(u32::from).ok_or(MoneyError::NotPayable(currency.code()))
}

/// The digits before and behind the point of a decimal number, without the zeros that say nothing.
///
/// Stricter than [`Decimal`], which also reads underscores, a plus and bare points, and which rounds what it cannot
/// hold: the amount that is charged must be the one that was written.
fn digits(text: &str) -> Option<(&str, &str)> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let both = number(whole) && number(fraction);
    both.then(|| (whole.trim_start_matches('0'), fraction.trim_end_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(amount: &str, currency: &str) -> Result<Money, String> {
        let json = serde_json::json!({ "amount": amount, "currency": currency });
        serde_json::from_value(json).map_err(|e| e.to_string())
    }

    #[test]
    fn money_is_written_with_exactly_its_currencys_decimals() {
        assert_eq!(read("1234.5", "EUR").unwrap().to_string(), "1234.50 EUR");
        assert_eq!(read("1234.500", "EUR").unwrap().to_string(), "1234.50 EUR");
        assert_eq!(read("12", "JPY").unwrap().to_string(), "12 JPY");
        assert_eq!(read("1.234", "KWD").unwrap().to_string(), "1.234 KWD");
    }

    #[test]
    fn wrong_amounts_are_named() {
        assert!(read("1.234", "EUR").unwrap_err().contains("more decimals than EUR knows (2)"));
        assert!(read("1.5", "JPY").unwrap_err().contains("more decimals than JPY"));
        assert!(read("-1", "EUR").unwrap_err().contains("negative"));
        assert!(read("999999999999999", "EUR").is_ok());
        assert!(read("1000000000000000", "EUR").unwrap_err().contains("largest amount, 999999999999999"));
        assert!(read("ten", "EUR").unwrap_err().contains("not a decimal number"));
        assert!(read("1", "EURO").unwrap_err().contains("not an ISO 4217"));
        assert!(serde_json::from_str::<Money>(r#"{"amount": 1.5, "currency": "EUR"}"#).is_err());
    }

    #[test]
    fn an_amount_is_never_rounded() {
        let many = |last: &str| format!("1.{}{last}", "0".repeat(40));
        assert!(read(&many("1"), "EUR").unwrap_err().contains("more decimals than EUR knows (2)"));
        assert!(read(&many("1"), "KWD").unwrap_err().contains("more decimals than KWD knows (3)"));
        assert!(read("0.99999999999999999999999999999", "JPY").unwrap_err().contains("more decimals than JPY"));
        assert!(read("1.00000000000000000000000000005", "EUR").unwrap_err().contains("more decimals than EUR"));
        assert_eq!(read(&many("0"), "EUR").unwrap().to_string(), "1.00 EUR");
        assert_eq!(read(&many("0"), "JPY").unwrap().to_string(), "1 JPY");
        assert_eq!(read(&format!("{}7.1", "0".repeat(40)), "KWD").unwrap().to_string(), "7.100 KWD");
        assert!(read(&"9".repeat(60), "EUR").unwrap_err().contains("is more than the largest amount"));
        assert!(read("99999999999999999999999999999.99", "EUR").unwrap_err().contains("is more than the largest"));
        assert!(read("999999999999999.01", "EUR").unwrap_err().contains("is more than the largest amount"));
    }

    #[test]
    fn only_digits_and_one_point_make_an_amount() {
        for text in ["", "-", ".", "1.", ".5", "+1", "1_000", "1,000", "1e3", "1E-2", " 1", "1 ", "1.2.3", "0x10", "١"]
        {
            assert!(read(text, "EUR").unwrap_err().contains("is not a decimal number"), "{text}");
        }
        for zero in ["0", "-0", "-0.00", "000"] {
            assert_eq!(read(zero, "EUR").unwrap(), Money::zero(Currency::EUR).unwrap(), "{zero}");
            assert_eq!(read(zero, "EUR").unwrap().to_string(), "0.00 EUR", "{zero}");
        }
        assert!(read("-0.01", "EUR").unwrap_err().contains("negative"));
        assert!(read("1", "eur").unwrap_err().contains("not an ISO 4217"));
        assert!(read("1", "XAU").unwrap_err().contains("no minor unit"));
    }

    #[test]
    fn sums_stay_within_one_currency() {
        let euros = read("1.10", "EUR").unwrap();
        assert_eq!(euros.checked_add(read("2.20", "EUR").unwrap()).unwrap().to_string(), "3.30 EUR");
        assert!(euros.checked_add(read("2", "JPY").unwrap()).is_err());
        assert_eq!(euros.times(3).unwrap().to_string(), "3.30 EUR");
        let largest = read("999999999999999", "EUR").unwrap();
        let too_large = |sum: Result<Money, MoneyError>| matches!(sum, Err(MoneyError::TooLarge(_)));
        assert!(too_large(largest.checked_add(euros)) && too_large(largest.times(u32::MAX)));
    }
}
