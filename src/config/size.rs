//! The limits on the size of a configuration. They are checked before the work that grows with it: a few lines with aliases can mean
//! gigabytes, and nested brackets keep the parser busy for minutes.

use crate::yaml::problems::{ConfigProblem, Position};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the file. Ten thousand products with every key have fewer.
const BYTES: u64 = 8 << 20;
/// Keys and values. Those behind an alias count each time the alias is named.
const VALUES: usize = 1_000_000;
/// Nested brackets; a configuration needs five.
const BRACKETS: usize = 64;
/// Entries of `products:`
pub(super) const PRODUCTS: usize = 10_000;

/// Reads the file, or enough of it to know that it is too large.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first limit that the text exceeds.
pub(super) fn check(text: &str) -> Result<(), ConfigProblem> {
    if text.len() as u64 > BYTES {
        return Err(ConfigProblem::of_file(format!("has more than {} MiB; is this the configuration?", BYTES >> 20)));
    }
    if let Some(position) = too_many_brackets(text) {
        let message = format!("the text has more than {BRACKETS} brackets in brackets; check that each is closed");
        return Err(ConfigProblem::at(position, message));
    }
    let count = Cell::new(0);
    // The parser reports every other problem when it reads the text.
    let counted = Values(&count).deserialize(serde_yaml::Deserializer::from_str(text));
    if counted.is_err() && count.get() > VALUES {
        let message = format!("stands for more than {VALUES} values, most of them behind aliases (`*name`); use fewer");
        return Err(ConfigProblem::of_file(message));
    }
    Ok(())
}

/// The position of the first bracket inside too many others. Brackets in quotes, comments and words do not count.
fn too_many_brackets(text: &str) -> Option<Position> {
    let mut depth = 0_usize;
    // Whether a value may begin here.
    let mut at_value = true;
    let mut quote = None;
    let mut before = '\n';
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (Some('"'), '\\') => drop(characters.next()),
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '#') if before.is_whitespace() => while characters.next_if(|(_, c)| *c != '\n').is_some() {},
            (None, '\'' | '"') if at_value => (quote, at_value) = (Some(c), false),
            // An anchor or a tag comes before the value.
            (None, '&' | '!') if at_value => while characters.next_if(|(_, c)| !c.is_whitespace()).is_some() {},
            (None, '[' | '{') if at_value => {
                depth += 1;
                if depth > BRACKETS {
                    return Some(Position::of_byte(text, at));
                }
            }
            (None, ']' | '}') => {
                depth = depth.saturating_sub(1);
                at_value = false;
            }
            (None, '\n' | ',') => at_value = true,
            (None, ':' | '-' | '?') => at_value = at_value || c == ':',
            (None, c) if c.is_whitespace() => {}
            (None, _) => at_value = false,
        }
        before = c;
    }
    None
}

/// Counts every value, and stops when there are too many.
struct Values<'a>(&'a Cell<usize>);

impl Values<'_> {
    fn one<E: Error>(&self) -> Result<(), E> {
        self.0.set(self.0.get() + 1);
        if self.0.get() > VALUES { Err(E::custom("too many values")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.one()
    }
    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.one()
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_element_seed(Values(self.0))?.is_some() {}
        self.one()
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_entry_seed(Values(self.0), Values(self.0))?.is_some() {}
        self.one()
    }
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (_, value) = tagged.variant_seed(Values(self.0))?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_words_quotes_and_comments_do_not_count() {
        let bracketed = "[".repeat(BRACKETS + 1);
        for text in [
            format!("a: '{bracketed}'"),
            format!("a: \"\\\"{bracketed}\""),
            format!("a: x{bracketed}"),
            format!("# {bracketed}"),
            format!("a: b # {bracketed}"),
            "a: [b]\n".repeat(1000),
            "- [x, {y: [z]}]\n".repeat(1000),
        ] {
            assert_eq!(too_many_brackets(&text), None, "{text}");
        }
        let column = 3 + BRACKETS;
        assert_eq!(too_many_brackets(&format!("a:\n  {bracketed}")), Some(Position { line: 2, column }));
        assert_eq!(too_many_brackets(include_str!("../../config.yaml.example")), None);
    }
}
