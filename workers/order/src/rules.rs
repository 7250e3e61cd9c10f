//! The rules that an order has to keep before anything is held or paid for it, through any door: the
//! client's door judges some of them earlier, the start of an operator none.

use chrono::NaiveDate;
use contract::{
    Money, OrderId, PaymentId, Refusal, UserId,
    limits::{ORDER_ITEMS_MAX, TRAVELLERS_MAX},
    order::{
        CreateOrder, DepositTooLate, Due, OrderItem, PaymentPlan, REFUSED_DEPOSIT_TOO_LATE, REFUSED_INVALID,
        REFUSED_TOTAL_MISMATCH, Traveller, total_of, v2,
    },
};

/// An order that is placed, by either version of the command.
pub(crate) struct NewOrder<'a> {
    pub(crate) order_id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) items: &'a [OrderItem],
    pub(crate) travellers: &'a [Traveller],
    pub(crate) total: Money,
    /// The plan and the day of departure; none by the first version, which knows no plan and records no payment.
    pub(crate) plan: Option<(PaymentPlan, NaiveDate)>,
    pub(crate) first_payment: Option<PaymentId>,
}

impl<'a> From<&'a CreateOrder> for NewOrder<'a> {
    fn from(order: &'a CreateOrder) -> Self {
        let CreateOrder { order_id, user_id, items, travellers, total } = order;
        let (order_id, user_id, total) = (*order_id, *user_id, *total);
        Self { order_id, user_id, items, travellers, total, plan: None, first_payment: None }
    }
}

impl<'a> From<&'a v2::CreateOrder> for NewOrder<'a> {
    fn from(order: &'a v2::CreateOrder) -> Self {
        Self {
            order_id: order.order_id,
            user_id: order.user_id,
            items: &order.items,
            travellers: &order.travellers,
            total: order.total,
            plan: Some((order.payment_plan, order.departs_on)),
            first_payment: order.first_payment,
        }
    }
}

/// Judges an order on the day on which it is placed, and says what is due for it.
///
/// # Errors
/// With the first rule that it breaks.
pub(crate) fn judge(order: &NewOrder<'_>, today: NaiveDate) -> Result<Due, Refusal> {
    within("items", order.items.len(), ORDER_ITEMS_MAX)?;
    within("travellers", order.travellers.len(), TRAVELLERS_MAX)?;
    for (index, item) in order.items.iter().enumerate() {
        if order.items.iter().take(index).any(|earlier| earlier.offer_id == item.offer_id) {
            return Err(refusal(REFUSED_INVALID, format!("the offer {} is in the order twice", item.offer_id.name())));
        }
    }
    for person in order.travellers {
        let born = person.born_on.not_after(today);
        born.map_err(|error| refusal(REFUSED_INVALID, format!("the date of birth {} {error}", person.born_on)))?;
    }
    let sum = total_of(order.items).map_err(|error| refusal(error.code(), error.to_string()))?;
    if order.total != sum {
        let message = format!("the total of {} is not the sum of the items, {sum}", order.total);
        return Err(refusal(REFUSED_TOTAL_MISMATCH, message));
    }
    match order.plan {
        None => Ok(Due { now: sum, balance_on: None }),
        Some((plan, departs_on)) => {
            let late = |late: DepositTooLate| refusal(REFUSED_DEPOSIT_TOO_LATE, late.to_string());
            plan.due(sum, departs_on, today).map_err(late)
        }
    }
}

fn within(what: &str, count: usize, max: usize) -> Result<(), Refusal> {
    if (1..=max).contains(&count) {
        Ok(())
    } else {
        Err(refusal(REFUSED_INVALID, format!("an order has 1 to {max} {what}, not {count}")))
    }
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal { code: code.to_owned(), message }
}
