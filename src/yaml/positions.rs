//! The positions of the keys in a YAML text, by saphyr-parser: serde_yaml does not give them. Used only when there is a problem.

use super::problems::{ConfigProblem, Position};
use saphyr_parser::{Event, Marker, Parser};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The keys and values of a text with their positions, as far as the parser got.
pub struct Positions {
    /// Each node comes after the node that contains it. The first is the document.
    nodes: Vec<Node>,
    /// Keys that occur twice in one section.
    repeated: Vec<RepeatedKey>,
    /// The parser's error, in its own words.
    pub stopped: Option<String>,
    /// Where a second document begins.
    pub second_document: Option<Position>,
}

struct Node {
    position: Position,
    content: Content,
}

enum Content {
    Scalar(String),
    List(Vec<usize>),
    /// The nodes of each key and its value.
    Section(Vec<(usize, usize)>),
    /// The node that the alias names.
    Alias(usize),
}

/// A key that occurs in its section for the second time.
struct RepeatedKey {
    path: String,
    first: Position,
    second: Position,
}

/// A list or a section whose end is still to come.
struct Open {
    node: usize,
    path: String,
    /// The node of the key whose value comes next.
    key: Option<usize>,
    seen: HashMap<String, Position>,
}

impl Positions {
    /// Reads the text up to its end or its first error.
    pub fn of(text: &str) -> Self {
        let mut positions = Self { nodes: Vec::new(), repeated: Vec::new(), stopped: None, second_document: None };
        let mut open: Vec<Open> = Vec::new();
        let mut anchors = HashMap::new();
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    positions.stopped = Some(error.info().to_owned());
                    break;
                }
            };
            let (content, anchor) = match event {
                Event::Scalar(text, _, anchor, _) => (Content::Scalar(text.into_owned()), anchor),
                Event::SequenceStart(anchor, _) => (Content::List(Vec::new()), anchor),
                Event::MappingStart(anchor, _) => (Content::Section(Vec::new()), anchor),
                Event::Alias(anchor) => {
                    (anchors.get(&anchor).map_or_else(|| Content::Scalar(String::new()), |node| Content::Alias(*node)), 0)
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        positions.second_document = Some(position(span.start));
                        break;
                    }
                    continue;
                }
                _ => continue,
            };
            let opens = matches!(content, Content::List(_) | Content::Section(_));
            let node = positions.nodes.len();
            positions.nodes.push(Node { position: position(span.start), content });
            if anchor > 0 {
                anchors.insert(anchor, node);
            }
            let path = open.last_mut().map_or_else(String::new, |parent| positions.attach(parent, node));
            if opens {
                open.push(Open { node, path, key: None, seen: HashMap::new() });
            }
        }
        positions
    }

    /// Adds a node to its list or section. Returns its path.
    fn attach(&mut self, parent: &mut Open, node: usize) -> String {
        let key = parent.key;
        match (self.nodes.get_mut(parent.node).map(|parent| &mut parent.content), key) {
            (Some(Content::List(entries)), _) => {
                entries.push(node);
                format!("{}[{}]", parent.path, entries.len() - 1)
            }
            (Some(Content::Section(entries)), Some(key)) => {
                entries.push((key, node));
                parent.key = None;
                self.path_below(&parent.path, key)
            }
            _ => {
                parent.key = Some(node);
                self.note_key(parent, node);
                String::new()
            }
        }
    }

    fn note_key(&mut self, section: &mut Open, node: usize) {
        let (Some(name), Some(second)) = (self.name(node).map(str::to_owned), self.nodes.get(node).map(|node| node.position)) else {
            return;
        };
        match section.seen.entry(name) {
            Entry::Vacant(free) => drop(free.insert(second)),
            Entry::Occupied(earlier) => {
                let first = *earlier.get();
                let path = self.path_below(&section.path, node);
                self.repeated.push(RepeatedKey { path, first, second });
            }
        }
    }

    fn path_below(&self, section: &str, key: usize) -> String {
        let name = self.name(key).unwrap_or_default();
        if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
    }

    /// The text of a key.
    fn name(&self, node: usize) -> Option<&str> {
        match &self.nodes.get(node)?.content {
            Content::Scalar(text) => Some(text),
            Content::Alias(node) => match &self.nodes.get(*node)?.content {
                Content::Scalar(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// A problem for each key that occurs twice.
    pub fn repeated_keys(&self) -> Vec<ConfigProblem> {
        let problem = |repeated: &RepeatedKey| ConfigProblem {
            position: Some(repeated.second),
            key: repeated.path.clone(),
            message: format!("stands twice in this section, the first time at {}; remove or rename one of the two", repeated.first),
        };
        self.repeated.iter().map(problem).collect()
    }

    /// The position of the key with this path, or of the nearest section around it in the text.
    pub fn of_key(&self, path: &str) -> Option<Position> {
        let document = self.nodes.first()?;
        Some(self.below(0, path).map_or(document.position, |(_, position)| position))
    }

    /// The best match below a node for the rest of a path: how much of the path is then left, and the position.
    fn below(&self, node: usize, path: &str) -> Option<(usize, Position)> {
        match &self.nodes.get(node)?.content {
            Content::Scalar(_) => None,
            Content::Alias(named) => match self.nodes.get(*named)?.content {
                Content::Alias(_) => None,
                _ => self.below(*named, path),
            },
            Content::List(entries) => {
                let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
                let entry = *entries.get(number.parse::<usize>().ok()?)?;
                self.deeper(entry, entry, rest)
            }
            Content::Section(entries) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let fits = entries.iter().filter_map(|(key, value)| {
                    let rest = path.strip_prefix(self.name(*key)?)?;
                    if rest.is_empty() || rest.starts_with(['.', '[']) { self.deeper(*key, *value, rest) } else { None }
                });
                fits.min_by_key(|(left, _)| *left)
            }
        }
    }

    /// The best match below `value`, else the position of `here`.
    fn deeper(&self, here: usize, value: usize, rest: &str) -> Option<(usize, Position)> {
        let own = (rest.len(), self.nodes.get(here)?.position);
        Some(if rest.is_empty() { own } else { self.below(value, rest).unwrap_or(own) })
    }
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a line
database: /h   # x
build: &b
  shorter: 64
products:
- name: a
  drop: [{path: /d}, {path: /é, match: 'x'}]
  build: *b
- {name: c, ok: /o}
profiles: {a.b: [c], a: {b: [d, e]}}
";

    #[track_caller]
    fn stands_at(path: &str, line: usize, column: usize) {
        assert_eq!(Positions::of(TEXT).of_key(path), Some(Position { line, column }), "{path}");
    }

    #[test]
    fn keys_and_entries_are_found() {
        stands_at("database", 2, 1);
        stands_at("products[0].name", 6, 3);
        stands_at("products[0].drop[1].path", 7, 23);
        stands_at("products[0].drop[1].match", 7, 33);
        stands_at("products[1]", 9, 3);
        stands_at("products[1].ok", 9, 13);
        stands_at("profiles.a.b", 10, 12);
        stands_at("profiles.a.b[1]", 10, 33);
    }

    #[test]
    fn values_behind_an_alias_are_found_where_they_are_written() {
        stands_at("products[0].build.shorter", 4, 3);
    }

    #[test]
    fn a_missing_key_is_told_by_the_section_around_it() {
        stands_at("engine.threads", 2, 1);
        stands_at("products[1].bank", 9, 3);
        stands_at("products[0].drop[0].regex", 7, 10);
        stands_at("products[0].build.seed", 8, 3);
    }

    #[test]
    fn repeated_keys_are_found_everywhere() {
        let positions = Positions::of("a: 1\nb:\n- {x: 1, \"x\": 2}\na: 2\n");
        let found: Vec<String> = positions.repeated_keys().iter().map(ToString::to_string).collect();
        let rest = "remove or rename one of the two";
        assert_eq!(
            found,
            [
                format!("line 3, column 10: b[0].x: stands twice in this section, the first time at line 3, column 4; {rest}"),
                format!("line 4, column 1: a: stands twice in this section, the first time at line 1, column 1; {rest}"),
            ]
        );
        assert!(Positions::of("a: &x [*x]\n- b").stopped.is_some());
        assert_eq!(Positions::of("a: 1\n---\nb: 1").second_document, Some(Position { line: 2, column: 1 }));
    }
}
