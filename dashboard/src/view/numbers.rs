//! Numbers for people.

/// Digits with their thousands apart.
pub(crate) fn grouped(digits: &str) -> String {
    let digits: Vec<char> = digits.chars().collect();
    let groups: Vec<String> = digits.rchunks(3).rev().map(|group| group.iter().collect()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(["7", "4801", "1000000"].map(grouped), ["7", "4,801", "1,000,000"]);
    }
}
