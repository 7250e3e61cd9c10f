//! Money: an exact decimal and an ISO 4217 currency, whose number of decimals is checked against the currency's.
//!
//! In JSON `{"amount": "1234.50", "currency": "EUR"}`: a string, because a JSON number passes through floats.

use std::fmt;

use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The largest amount: what `NUMERIC(19,4)` columns hold before the point.
const AMOUNT_MAX: Decimal = Decimal::from_parts(0xa4c6_7fff, 0x0003_8d7e, 0, false, 0);

/// An amount of one currency, never negative, always written with exactly the currency's decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// Why an amount is not money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Three decimals of a euro, one of a yen.
    #[error("{amount} has more decimals than {currency} knows ({decimals})")]
    TooManyDecimals {
        /// The amount as given.
        amount: Decimal,
        /// Its currency's code.
        currency: &'static str,
        /// What the currency allows.
        decimals: u32,
    },
    /// Below zero.
    #[error("{0} is negative; an amount of money here never is")]
    Negative(Decimal),
    /// More than a column holds.
    #[error("{0} is more than the largest amount, {AMOUNT_MAX}")]
    TooLarge(Decimal),
    /// Not a number.
    #[error("`{0}` is not a decimal number such as \"1234.50\"")]
    NotANumber(String),
    /// Not in ISO 4217.
    #[error("`{0}` is not an ISO 4217 currency code such as \"EUR\"")]
    UnknownCurrency(String),
    /// A unit of account without decimals of its own (gold, test codes).
    #[error("{0} cannot be paid in: it has no minor unit")]
    NotPayable(&'static str),
    /// Adding euros to yen.
    #[error("{0} and {1} cannot be added")]
    CurrenciesDiffer(&'static str, &'static str),
}

impl Money {
    /// Checks `amount` against `currency`'s number of decimals (ISO 4217) and the limits.
    ///
    /// # Errors
    /// [`MoneyError`] says what is wrong; trailing zeros are never wrong.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let decimals = u32::from(currency.exponent().ok_or(MoneyError::NotPayable(currency.code()))?);
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(MoneyError::Negative(amount));
        }
        if amount > AMOUNT_MAX {
            return Err(MoneyError::TooLarge(amount));
        }
        let mut exact = amount.normalize();
        if exact.scale() > decimals {
            return Err(MoneyError::TooManyDecimals { amount, currency: currency.code(), decimals });
        }
        exact.rescale(decimals);
        Ok(Self { amount: exact, currency })
    }

    /// Nothing, in `currency`.
    ///
    /// # Errors
    /// [`MoneyError::NotPayable`] for a currency without a minor unit.
    pub fn zero(currency: Currency) -> Result<Self, MoneyError> {
        Self::new(Decimal::ZERO, currency)
    }

    /// From a database's columns or any other two texts.
    ///
    /// # Errors
    /// As [`Money::new`], and [`MoneyError::UnknownCurrency`].
    pub fn from_parts(amount: Decimal, currency: &str) -> Result<Self, MoneyError> {
        let known = Currency::from_code(currency);
        Self::new(amount, known.ok_or_else(|| MoneyError::UnknownCurrency(currency.chars().take(16).collect()))?)
    }

    /// The exact amount, with the currency's decimals.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency.
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
        let sum = self.amount.checked_add(other.amount).ok_or(MoneyError::TooLarge(Decimal::MAX))?;
        Self::new(sum, self.currency)
    }

    /// This amount `times` over.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn times(self, times: u32) -> Result<Self, MoneyError> {
        let product = self.amount.checked_mul(Decimal::from(times)).ok_or(MoneyError::TooLarge(Decimal::MAX))?;
        Self::new(product, self.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency.code())
    }
}

/// How money looks in JSON.
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
        let amount = wire.amount.parse().map_err(|_| MoneyError::NotANumber(wire.amount.chars().take(32).collect()))?;
        Self::from_parts(amount, &wire.currency)
    }
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
    fn sums_stay_within_one_currency() {
        let euros = read("1.10", "EUR").unwrap();
        assert_eq!(euros.checked_add(read("2.20", "EUR").unwrap()).unwrap().to_string(), "3.30 EUR");
        assert!(euros.checked_add(read("2", "JPY").unwrap()).is_err());
        assert_eq!(euros.times(3).unwrap().to_string(), "3.30 EUR");
    }
}
