//! The rules that an order has to keep before anything is held or paid for it, through any door: the
//! client's door judges some of them earlier, the start of an operator none.

use chrono::NaiveDate;
use contract::{
    Refusal,
    limits::{ORDER_ITEMS_MAX, TRAVELLERS_MAX},
    order::{CreateOrder, REFUSED_INVALID, REFUSED_TOTAL_MISMATCH, total_of},
};

/// Judges an order on the day on which it is placed.
///
/// # Errors
/// With the first rule that it breaks.
pub(crate) fn judge(order: &CreateOrder, today: NaiveDate) -> Result<(), Refusal> {
    within("items", order.items.len(), ORDER_ITEMS_MAX)?;
    within("travellers", order.travellers.len(), TRAVELLERS_MAX)?;
    for (index, item) in order.items.iter().enumerate() {
        if order.items.iter().take(index).any(|earlier| earlier.offer_id == item.offer_id) {
            return Err(refusal(REFUSED_INVALID, format!("the offer {} is in the order twice", item.offer_id.name())));
        }
    }
    for person in &order.travellers {
        let born = person.born_on.not_after(today);
        born.map_err(|error| refusal(REFUSED_INVALID, format!("the date of birth {} {error}", person.born_on)))?;
    }
    let sum = total_of(&order.items).map_err(|error| refusal(error.code(), error.to_string()))?;
    if order.total == sum {
        Ok(())
    } else {
        let message = format!("the total of {} is not the sum of the items, {sum}", order.total);
        Err(refusal(REFUSED_TOTAL_MISMATCH, message))
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
