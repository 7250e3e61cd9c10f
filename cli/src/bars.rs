//! Numbers over time as a line of signs. Each sign tells by its own shape how many there were: no color is needed.

/// The signs, from none to the most of the row.
const SIGNS: [char; 8] = [' ', '.', ':', '-', '=', '+', '*', '#'];

/// One sign a number.
pub(crate) fn bars(numbers: &[u64]) -> String {
    let most = numbers.iter().copied().max().unwrap_or_default().max(1);
    let highest = SIGNS.len() as u64 - 1;
    let sign = |number: &u64| SIGNS[usize::try_from(number.saturating_mul(highest).div_ceil(most)).unwrap_or_default()];
    numbers.iter().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_with_one_failure_is_seen_beside_one_with_thousands() {
        assert_eq!(bars(&[0, 1, 5_000, 10_000]), " .=#");
        assert_eq!(bars(&[0, 0]), "  ");
    }
}
