//! What a misspelled name was meant to be.

/// The allowed name that is nearest to the given one, if one is near. Case does not count, and `-` is the same as `_`.
///
/// ```
/// use patchcored::domain::spelling::nearest;
/// assert_eq!(nearest("Pill", ["pill", "screw"]), Some("pill"));
/// assert_eq!(nearest("gear", ["pill", "screw"]), None);
/// ```
pub fn nearest<'a>(name: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = allowed.into_iter().map(|allowed| (edit_distance(name, allowed), allowed));
    distances.min().filter(|(distance, allowed)| *distance <= 1 + allowed.len() / 4).map(|(_, allowed)| allowed)
}

/// How many insertions, removals and replacements turn `a` into `b` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let letters = |s: &str| s.to_lowercase().replace('-', "_");
    strsim::levenshtein(&letters(a), &letters(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_what_needs_few_changes_for_its_length() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(nearest("prod1_front", ["prod1-front", "prod1-side"]), Some("prod1-front"));
        assert_eq!(nearest("dics", ["disc"]), Some("disc"));
        assert_eq!(nearest("a", []), None);
    }
}
