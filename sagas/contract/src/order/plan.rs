//! The payment plan of an order: the part that is due at once, and the day by which the rest is.

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::money::Money;

/// The part of the total that a deposit is.
pub const DEPOSIT_PERCENT: u32 = 30;

/// The days before departure on which the balance is due: until then the agency can still give back what it has booked.
pub const BALANCE_DAYS_BEFORE: u64 = 60;

/// The way in which an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentPlan {
    /// All of it at once.
    #[default]
    Full,
    /// [`DEPOSIT_PERCENT`] of the total at once, the rest [`BALANCE_DAYS_BEFORE`] days before departure.
    Deposit,
}

impl PaymentPlan {
    /// Every plan, in the order in which clients are told of them.
    pub const ALL: [Self; 2] = [Self::Full, Self::Deposit];

    /// The word in JSON and in columns.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Deposit => "deposit",
        }
    }
}

/// The amounts and the day that a plan comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The amount that is due at once.
    pub now: Money,
    /// The day by which the rest is due; none when nothing is left.
    pub balance_on: Option<NaiveDate>,
}

/// The reason why an order cannot be paid by a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the departure is too near for a deposit: the balance would have been due on {due_on}")]
pub struct DepositTooLate {
    /// The day on which the balance would have been due.
    pub due_on: NaiveDate,
}

impl PaymentPlan {
    /// The amounts that are due for an order of this total, which is placed `today` and begins on `departs_on`.
    ///
    /// # Errors
    /// [`DepositTooLate`] when the day of the balance is past.
    pub fn due(self, total: Money, departs_on: NaiveDate, today: NaiveDate) -> Result<Due, DepositTooLate> {
        let all = Due { now: total, balance_on: None };
        match self {
            Self::Full => Ok(all),
            Self::Deposit => {
                let due_on = departs_on.checked_sub_days(Days::new(BALANCE_DAYS_BEFORE)).unwrap_or(NaiveDate::MIN);
                if due_on < today {
                    return Err(DepositTooLate { due_on });
                }
                // Of a total so small that no part of it can be paid alone, all is due at once.
                let deposit = total.percent(DEPOSIT_PERCENT).ok().filter(|deposit| !deposit.is_zero());
                Ok(deposit.map_or(all, |now| Due { now, balance_on: Some(due_on) }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(plan: PaymentPlan, total: (&str, &str), departs_on: &str) -> Result<(String, Option<String>), String> {
        let total = Money::from_parts(total.0.parse().unwrap(), total.1).unwrap();
        let due = plan.due(total, departs_on.parse().unwrap(), "2026-12-01".parse().unwrap());
        due.map(|due| (due.now.to_string(), due.balance_on.map(|day| day.to_string()))).map_err(|late| late.to_string())
    }

    #[test]
    fn a_deposit_is_thirty_percent_to_the_minor_unit_and_the_rest_is_due_sixty_days_before_departure() {
        let deposit = |total, departs_on| due(PaymentPlan::Deposit, total, departs_on).unwrap();
        let on = |day: &str| Some(day.to_owned());
        assert_eq!(deposit(("1000.15", "EUR"), "2027-06-01"), ("300.05 EUR".into(), on("2027-04-02")));
        assert_eq!(deposit(("12345", "JPY"), "2027-06-01"), ("3704 JPY".into(), on("2027-04-02")));
        assert_eq!(deposit(("0.005", "KWD"), "2027-06-01"), ("0.002 KWD".into(), on("2027-04-02")));
        assert_eq!(deposit(("0.01", "EUR"), "2027-06-01"), ("0.01 EUR".into(), None));
        assert_eq!(due(PaymentPlan::Full, ("10", "EUR"), "2026-12-02").unwrap(), ("10.00 EUR".into(), None));
    }

    #[test]
    fn a_deposit_is_possible_until_the_day_of_the_balance() {
        let deposit = |departs_on| due(PaymentPlan::Deposit, ("10", "EUR"), departs_on);
        assert_eq!(deposit("2027-01-30").unwrap(), ("3.00 EUR".into(), Some("2026-12-01".into())));
        assert_eq!(
            deposit("2027-01-29").unwrap_err(),
            "the departure is too near for a deposit: the balance would have been due on 2026-11-30"
        );
    }
}
