//! How large a configuration may be. Looked at before the work that grows with it: a few lines with aliases can stand for gigabytes, and
//! brackets in brackets keep the parser busy for minutes.

use super::check::ConfigProblem;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the file. Ten thousand products with every key written out have fewer.
const BYTES: u64 = 8 << 20;
/// Keys and values, those behind aliases each time that they are named.
const VALUES: usize = 1_000_000;
/// Brackets in brackets; a configuration needs five.
const BRACKETS: usize = 64;
/// Entries of `products:`
pub(super) const PRODUCTS: usize = 10_000;

/// The file, or as much of it as tells that it is too large.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first bound that the text exceeds.
pub(super) fn check(text: &str) -> Result<(), ConfigProblem> {
    let problem = |key: String, message: String| Err(ConfigProblem { key, message });
    if text.len() as u64 > BYTES {
        return problem("the file".into(), format!("has more than {} MiB; is this the configuration?", BYTES >> 20));
    }
    if let Some(line) = too_many_brackets(text) {
        return problem(format!("line {line}"), format!("has more than {BRACKETS} brackets in brackets; check that each is closed"));
    }
    let count = Cell::new(0);
    // What else is wrong, the parser says when it reads the text.
    let counted = Values(&count).deserialize(serde_yaml::Deserializer::from_str(text));
    if counted.is_err() && count.get() > VALUES {
        return problem(
            "the file".into(),
            format!("stands for more than {VALUES} values, most of them behind aliases (`*name`); use fewer"),
        );
    }
    Ok(())
}

/// The line of the first bracket that stands in too many others. Brackets in quotes, comments and words do not count.
fn too_many_brackets(text: &str) -> Option<usize> {
    let (mut depth, mut line) = (0_usize, 1);
    // Whether a value may begin here.
    let mut at_value = true;
    let mut quote = None;
    let mut before = '\n';
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        line += usize::from(c == '\n');
        match (quote, c) {
            (Some('"'), '\\') => drop(characters.next()),
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '#') if before.is_whitespace() => while characters.next_if(|c| *c != '\n').is_some() {},
            (None, '\'' | '"') if at_value => (quote, at_value) = (Some(c), false),
            // An anchor or a tag stands before the value.
            (None, '&' | '!') if at_value => while characters.next_if(|c| !c.is_whitespace()).is_some() {},
            (None, '[' | '{') if at_value => {
                depth += 1;
                if depth > BRACKETS {
                    return Some(line);
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
    use super::super::Config;
    use super::*;
    use std::time::{Duration, Instant};

    /// The problems, which must come at once.
    fn problems(text: &str) -> String {
        let begin = Instant::now();
        let found = Config::parse(text).unwrap_err().to_string();
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?} for {found}", begin.elapsed());
        found
    }

    #[test]
    fn what_is_too_large_is_refused_before_the_work() {
        assert!(problems(&format!("#{}", "x".repeat(9 << 20))).contains("the file: has more than 8 MiB"));
        let aliases = format!("x: &a {{name: p, drop: [{{path: /d}}], ok: /o, bank: /b}}\nproducts: [{}]\n", vec!["*a"; 100_000].join(","));
        assert!(problems(&aliases).contains("stands for more than 1000000 values"), "{}", problems(&aliases));
        let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, before) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            laughs += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(","));
        }
        assert!(problems(&laughs).contains("the file: "), "{}", problems(&laughs));
        for deep in [
            format!("database: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
            format!("database: {}", "{a: ".repeat(100_000)),
            format!("database: {}", "[ ".repeat(100_000)),
            format!("database: {}", "&a [\n".repeat(100_000)),
            format!("database: {}", "!x [".repeat(100_000)),
        ] {
            assert!(problems(&deep).contains("brackets in brackets"), "{}", problems(&deep));
        }
        assert!(problems(&(0..3000).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>()).contains("recursion"));
        let many: String = (0..=PRODUCTS).map(|_| "- {}\n").collect();
        assert!(problems(&format!("database: /h\nproducts:\n{many}")).contains("products: has 10001 entries"));
    }

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
        assert_eq!(too_many_brackets(&format!("a:\n  {bracketed}")), Some(2));
        assert_eq!(too_many_brackets(include_str!("../../config.yaml.example")), None);
    }
}
