//! Which OK images are one piece of evidence.

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which OK images belong together: frames of one part, of one burst, of one lot. Calibration leaves out a whole group at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Grouping {
    /// Near-copies belong together; the build finds them by their embeddings.
    #[default]
    Auto,
    /// Every image stands for itself.
    None,
    /// A regular expression with `(?P<group>…)` on the file name. Images with the same text there belong together; an image whose name
    /// does not match stands for itself.
    Pattern(String),
}

impl Grouping {
    /// What is wrong with it and how to mend it; `None` when all is well.
    pub fn problem(&self) -> Option<String> {
        let Self::Pattern(pattern) = self else { return None };
        let advice = "use `auto`, `none`, or a regular expression as '^(?P<group>part[0-9]+)_'";
        match Regex::new(pattern) {
            Err(error) => Some(format!("`{pattern}` is no regular expression: {}; {advice}", last_line(&error))),
            Ok(regex) if regex.capture_names().flatten().any(|name| name == "group") => None,
            Ok(_) => Some(format!("`{pattern}` has no (?P<group>…); {advice}")),
        }
    }

    /// The group of each file name as a number, from 0 in the order of their first image; `None` with [`Grouping::Auto`], which asks the
    /// pictures.
    ///
    /// ```
    /// use patchcored::domain::Grouping;
    /// let by_part = Grouping::from("^(?P<group>[a-z]+)_".to_owned());
    /// assert_eq!(by_part.of_names(&["a_1.png", "b_1.png", "a_2.png", "x.png"]), Some(vec![0, 1, 0, 2]));
    /// ```
    pub fn of_names<N: AsRef<str>>(&self, names: &[N]) -> Option<Vec<u32>> {
        let pattern = match self {
            Self::Auto => return None,
            Self::None => None,
            Self::Pattern(pattern) => Regex::new(pattern).ok(),
        };
        let mut known: std::collections::HashMap<&str, u32> = std::collections::HashMap::new();
        let mut next = 0;
        let mut new = || {
            next += 1;
            next - 1
        };
        let of = |name: &str| -> Option<std::ops::Range<usize>> { Some(pattern.as_ref()?.captures(name)?.name("group")?.range()) };
        let numbers = names.iter().map(AsRef::as_ref).map(|name| match of(name) {
            Some(range) => *known.entry(&name[range]).or_insert_with(&mut new),
            None => new(),
        });
        Some(numbers.collect())
    }
}

/// A syntax error draws the pattern first and says what is wrong with it last.
fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl From<String> for Grouping {
    fn from(text: String) -> Self {
        match text.as_str() {
            "auto" => Self::Auto,
            "none" => Self::None,
            _ => Self::Pattern(text),
        }
    }
}

impl From<Grouping> for String {
    fn from(grouping: Grouping) -> Self {
        grouping.to_string()
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::None => f.pad("none"),
            Self::Pattern(pattern) => f.pad(pattern),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_its_group() {
        let problem = |text: &str| Grouping::from(text.to_owned()).problem();
        assert_eq!((problem("auto"), problem("none"), problem("^(?P<group>.)")), (None, None, None));
        assert!(problem("part[0-9]+").unwrap().contains("has no (?P<group>…)"));
        let broken = problem("(?P<group>").unwrap();
        assert!(broken.contains("no regular expression: unclosed group"), "{broken}");
    }

    #[test]
    fn without_groups_every_image_stands_for_itself() {
        assert_eq!(Grouping::None.of_names(&["a", "a", "b"]), Some(vec![0, 1, 2]));
        assert_eq!(Grouping::Auto.of_names(&["a"]), None);
    }
}
