//! A page of the documentation, taken apart.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A fenced block.
pub struct Block {
    /// What stands behind the fence, as `sh`.
    pub language: String,
    pub text: String,
    /// Where the block's text begins in the page, counted from 1.
    pub line: usize,
}

/// README.md or another page.
pub struct Page {
    /// From the root of the repository, as `docs/tuning.md`.
    pub name: String,
    pub text: String,
    pub blocks: Vec<Block>,
    /// Targets of links and pictures, with their line.
    pub links: Vec<(String, usize)>,
    /// What stands in backticks, with its line.
    pub code: Vec<(String, usize)>,
    /// The anchors of its headings, as the web page makes them.
    pub anchors: Vec<String>,
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Pages that stand beside README.md.
const AT_THE_ROOT: [&str; 2] = ["CONTRIBUTING.md", "SECURITY.md"];

/// Every page, README.md first.
pub fn pages() -> Vec<Page> {
    let entries = |folder: &str| std::fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<PathBuf> = entries("docs").chain(entries(DECISIONS)).collect();
    names.retain(|name| name.extension().is_some_and(|extension| extension == "md"));
    names.extend(AT_THE_ROOT.map(|name| repository().join(name)));
    names.sort();
    names.insert(0, repository().join("README.md"));
    names.iter().map(|name| Page::read(name)).collect()
}

/// The pages that tell why the program is built as it is.
pub const DECISIONS: &str = "docs/decisions";

pub fn page(name: &str) -> Page {
    Page::read(&repository().join(name))
}

impl Page {
    fn read(path: &Path) -> Self {
        let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
        Self::take_apart(name, std::fs::read_to_string(path).unwrap())
    }

    pub fn take_apart(name: String, text: String) -> Self {
        let (mut blocks, mut links, mut code, mut anchors): (Vec<Block>, _, _, Vec<String>) = (vec![], vec![], vec![], vec![]);
        let (mut in_block, mut heading): (bool, Option<String>) = (false, None);
        let line = |range: &Range<usize>| text[..range.start].matches('\n').count() + 1;
        for (event, range) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = if let CodeBlockKind::Fenced(word) = kind { word.to_string() } else { "indented".to_owned() };
                    blocks.push(Block { language, text: String::new(), line: line(&range) + 1 });
                    in_block = true;
                }
                Event::End(TagEnd::CodeBlock) => in_block = false,
                Event::Text(words) if in_block => blocks.last_mut().unwrap().text.push_str(&words),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => links.push((dest_url.to_string(), line(&range))),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let times = anchors.iter().filter(|known| **known == anchor).count();
                    anchors.push(if times == 0 { anchor } else { format!("{anchor}-{times}") });
                }
                Event::Text(words) => heading.iter_mut().for_each(|heading| heading.push_str(&words)),
                Event::Code(words) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&words));
                    code.push((words.to_string(), line(&range)));
                }
                _ => {}
            }
        }
        Self { name, blocks, links, code, anchors, text }
    }

    /// The blocks of this language.
    pub fn blocks_of<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.language == language)
    }
}

/// Lower case, spaces as dashes, no punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

#[test]
fn a_page_is_taken_apart() {
    let text = "# One, two `three`\n\n# One two three\n\nSee [it](x.md#y) and `code`.\n\n1. Do:\n   ```sh\n   ls\n   ls -l\n   ```\n\n```text\nseen\n```\n";
    let page = Page::take_apart("p.md".into(), text.into());
    assert_eq!(page.anchors, ["one-two-three", "one-two-three-1"]);
    assert_eq!(page.links, [("x.md#y".to_owned(), 5)]);
    assert_eq!(page.code, [("three".to_owned(), 1), ("code".to_owned(), 5)]);
    let blocks: Vec<_> = page.blocks.iter().map(|block| (block.language.as_str(), block.text.as_str(), block.line)).collect();
    assert_eq!(blocks, [("sh", "ls\nls -l\n", 9), ("text", "seen\n", 14)]);
}
