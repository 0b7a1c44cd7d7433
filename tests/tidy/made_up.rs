//! The checks themselves, on small trees that break one rule each.

use super::layers::{Room, strangers, violations};
use super::sizes::{large_rooms, long_files, names_given_twice, wide_structs};
use super::tree::Tree;

/// `low` is below `high` and `beside`, which may not import each other; `top` may import `low` alone.
const ROOMS: &[Room] = &[
    Room { name: "low", row: 0, beside: &[], only: None },
    Room { name: "mid", row: 1, beside: &[], only: None },
    Room { name: "high", row: 2, beside: &[], only: None },
    Room { name: "beside", row: 2, beside: &["high"], only: None },
    Room { name: "top", row: 3, beside: &[], only: Some(&["low"]) },
    Room { name: "lib", row: 4, beside: &[], only: None },
];

const NOTHING_WRONG: [(&str, &str); 8] = [
    ("lib.rs", "pub mod beside; pub mod high; pub mod low; pub mod mid; pub mod top;"),
    ("low/mod.rs", "mod word; mod shape; pub use word::{Word, say}; pub use shape::*;"),
    ("low/word.rs", "pub struct Word; pub fn say() {}"),
    ("low/shape.rs", "use super::Word; pub struct Shape(pub Word);"),
    ("mid/mod.rs", "use crate::low::Shape; pub struct Mid(pub Shape);"),
    ("high/mod.rs", "use crate::mid::Mid; pub struct High(Mid);"),
    ("beside/mod.rs", "use crate::high::High; pub fn beside(_: High) { crate::low::say() }"),
    ("top/mod.rs", "pub fn top() { println!(\"{:?}\", crate::low::say()); }"),
];

/// The tree in which nothing is wrong, with these files in the place of its own or beside them.
fn tree(changes: &[(&str, &str)]) -> Tree {
    let kept = NOTHING_WRONG.iter().filter(|(path, _)| changes.iter().all(|(changed, _)| changed != path));
    Tree::of(kept.chain(changes).copied())
}

fn circles(changes: &[(&str, &str)]) -> Vec<String> {
    tree(changes).circles()
}

/// The first lines of the circles: who is in them.
fn members(changes: &[(&str, &str)]) -> Vec<String> {
    circles(changes).iter().map(|circle| circle.lines().next().unwrap().to_owned()).collect()
}

fn layers(changes: &[(&str, &str)]) -> Vec<String> {
    violations(&tree(changes), ROOMS)
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(circles(&[]), [""; 0]);
    assert_eq!(layers(&[]), [""; 0]);
}

#[test]
fn a_circle_of_two_files_is_found_with_what_makes_it_one() {
    let found = circles(&[("low/word.rs", "use super::shape::Shape; pub struct Word; pub fn say(_: Option<Shape>) {}")]);
    let expected = "circle of 2: low/shape.rs, low/word.rs\
        \n    low/shape.rs imports super::Word (low/word.rs)\n    low/word.rs imports super::shape::Shape (low/shape.rs)";
    assert_eq!(found, [expected]);
}

#[test]
fn a_circle_is_found_through_re_exports_groups_other_names_and_paths_in_code() {
    let two = ["circle of 2: low/shape.rs, low/word.rs"];
    for text in [
        "use super::Shape; pub struct Word;",
        "use crate::low::{self, Shape as Form}; pub struct Word; fn f(_: Form) {}",
        "use crate::low; pub struct Word; fn f(_: low::Shape) {}",
        "use crate::low as ground; pub struct Word; fn f(_: Vec<ground::shape::Shape>) {}",
        "pub struct Word; fn f() { let _ = super::Shape(Word); }",
        "pub struct Word; impl From<crate::low::Shape> for Word {}",
        "pub struct Word; fn f() { assert!(matches!(g(), crate::low::Shape(_))); }",
        "pub struct Word; fn f() { use super::*; g(Shape(Word)); }\nuse super::shape;\nfn h(_: shape::Shape) {}",
        "pub struct Word; #[serde(with = \"super::shape::Shape\")] struct Other;",
        "pub struct Word; mod inner { use super::super::Shape; }",
        "pub struct Word; fn f() { let _: <crate::low::Shape as Clone>::Other; }",
    ] {
        assert_eq!(members(&[("low/word.rs", text)]), two, "{text}");
    }
}

#[test]
fn a_circle_of_many_files_over_several_rooms_is_one_circle() {
    let found = members(&[("low/word.rs", "use crate::high::High; pub struct Word; pub fn say(_: Option<High>) {}")]);
    assert_eq!(found, ["circle of 4: high/mod.rs, low/shape.rs, low/word.rs, mid/mod.rs"]);
}

#[test]
fn a_module_and_its_child_make_a_circle_when_each_needs_the_other() {
    let own_code = "mod word; mod shape; use word::Word; pub use shape::Shape; pub struct Ground(Word);";
    let child = "use super::Ground; pub struct Word; pub fn say(_: Option<Ground>) {}";
    let circle = ["circle of 2: low/mod.rs, low/word.rs"];
    assert_eq!(members(&[("low/mod.rs", own_code), ("low/word.rs", child)]), circle);
    assert_eq!(members(&[("low/mod.rs", own_code)]), [""; 0], "the child needs nothing");

    // What is handed on is no import, unless the module's own code needs it too.
    let hands_on = "mod word; mod shape; pub use word::{Word, say}; pub use shape::Shape; pub struct Ground;";
    assert_eq!(members(&[("low/mod.rs", hands_on), ("low/word.rs", child)]), [""; 0]);
    let needs_it_too = format!("{hands_on} fn f(_: Word) {{}}");
    assert_eq!(members(&[("low/mod.rs", &needs_it_too), ("low/word.rs", child)]), circle);
    // And of a file that is not below it, it is one.
    let of_another = ("mid/mod.rs", "pub use crate::low::Word; pub struct Mid;");
    let back = "use crate::mid::Mid; pub struct Word; pub fn say(_: Option<Mid>) {}";
    assert_eq!(members(&[of_another, ("low/word.rs", back)]), ["circle of 2: low/word.rs, mid/mod.rs"]);
}

#[test]
fn unit_tests_words_for_people_and_visibility_are_no_imports() {
    for text in [
        "pub struct Word;\n#[cfg(test)]\nmod tests { use super::super::Shape; }",
        "pub struct Word;\n#[cfg(test)]\nuse super::Shape;",
        "pub struct Word; impl Word {\n#[cfg(test)]\nfn f(_: super::Shape) {} }",
        "/// See [`super::shape::Shape`].\npub struct Word; // super::shape::Shape",
        "pub(in crate::low) struct Word; pub(super) fn say() { let shape = 1; f(shape); g.shape.h(); }",
        "pub struct Word; fn f() { let _ = \"a sentence: super::shape::Shape\"; }",
    ] {
        assert_eq!(members(&[("low/word.rs", text)]), [""; 0], "{text}");
    }
    let only_tests =
        [("low/word.rs", "pub struct Word;\n#[cfg(test)]\nmod tests;"), ("low/word/tests.rs", "use super::super::Shape; use super::Word;")];
    assert_eq!(members(&only_tests), [""; 0]);
    assert!(tree(&only_tests).files.iter().all(|file| file.path != "low/word/tests.rs"));
}

#[test]
fn what_a_room_must_not_import_is_found() {
    for (path, text, expected) in [
        ("low/word.rs", "use crate::mid::Mid;", "low/word.rs imports crate::mid::Mid (mid/mod.rs)"),
        (
            "high/mod.rs",
            "pub struct High; fn f() { crate::beside::beside(High) }",
            "high/mod.rs imports crate::beside::beside (beside/mod.rs)",
        ),
        ("top/mod.rs", "pub use crate::mid::Mid;", "top/mod.rs imports crate::mid::Mid (mid/mod.rs)"),
        // A module alone is enough, and a macro hides nothing.
        ("low/shape.rs", "use crate::{mid}; pub struct Shape;", "low/shape.rs imports crate::mid (mid/mod.rs)"),
        ("low/shape.rs", "pub struct Shape; fn f() { println!(\"{}\", 1 + crate::high::HIGH); }", "low/shape.rs imports crate::high::HIGH"),
        (
            "low/shape.rs",
            "pub struct Shape; fn f() { super::super::mid::made_by_a_macro(); }",
            "low/shape.rs imports super::super::mid::made_by_a_macro (mid/mod.rs)",
        ),
        ("odd/mod.rs", "", "odd/mod.rs: the room `odd` has no row in the table"),
    ] {
        let found = layers(&[(path, text)]);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
    let without_top: Vec<_> = NOTHING_WRONG.iter().filter(|(path, _)| *path != "top/mod.rs").copied().collect();
    assert_eq!(violations(&Tree::of(without_top), ROOMS), ["the room `top` of the table is not there"]);
}

#[test]
fn a_library_outside_its_room_is_found() {
    let libraries: &[(&str, &[&str])] = &[("sqlx", &["low"]), ("notify", &["mid"])];
    let named = |text: &str| strangers(&tree(&[("high/mod.rs", text), ("low/word.rs", "use sqlx::Row; pub struct Word;")]), libraries);
    for text in ["use sqlx;", "use sqlx::{Row, Column};", "fn f() { sqlx::query(\"\") }", "fn f() { debug!(\"{}\", sqlx::query(\"\")) }"] {
        assert!(named(text).iter().all(|found| found.starts_with("high/mod.rs names sqlx")), "{text}");
        assert!(!named(text).is_empty(), "{text}");
    }
    for text in
        ["fn f() { let notify = 1; notify.g(); }", "mod notify { pub fn f() {} } fn f() { notify::f() }", "// sqlx::query", "fn sqlx() {}"]
    {
        assert_eq!(named(text), [""; 0], "{text}");
    }
}

#[test]
fn sizes_are_measured_without_the_unit_tests() {
    let of = |lines: usize| format!("{}#[cfg(test)]\nmod tests {{\n}}\n", "\n".repeat(lines));
    let tree = Tree::of([("a/mod.rs", of(10)), ("a/b.rs", of(11)), ("c/mod.rs", of(12)), ("d.rs", of(5))]);
    assert_eq!(long_files(&tree, 11), ["c/mod.rs has 12 lines, 11 are allowed"]);
    assert_eq!(large_rooms(&tree, 20, &[("d", 4), ("c", 12)]), ["a/ has 21 lines, 20 are allowed", "d/ has 5 lines, 4 are allowed"]);
}

#[test]
fn wide_structs_that_tasks_share_and_names_given_twice_are_found() {
    let fields = "a: u8, b: u8, c: u8";
    let tree = Tree::of([
        ("a/mod.rs", format!("mod b; struct LineContext {{ {fields} }} pub struct Alone {{ {fields} }} fn f(_: Arc<b::Shared>) {{}}")),
        ("a/b.rs", format!("pub struct Shared {{ {fields} }} struct Private; pub enum Other {{}} pub(super) struct Near;")),
        ("c.rs", format!("struct WideContext {{ {fields} }} struct Private; pub(crate) trait Other {{}} struct Near;")),
    ]);
    let wide = wide_structs(&tree, &["a"], 2);
    assert_eq!(wide, ["a/b.rs: `Shared` has 3 fields, 2 are allowed", "a/mod.rs: `LineContext` has 3 fields, 2 are allowed"]);
    assert_eq!(wide_structs(&tree, &["a"], 3), [""; 0]);
    assert_eq!(names_given_twice(&tree), ["`Other` is defined in a/b.rs and c.rs"]);
}

#[test]
fn a_file_that_no_other_names_is_found() {
    let tree = Tree::of([("lib.rs", "mod a;"), ("a/mod.rs", "mod b;"), ("a/b.rs", ""), ("a/c.rs", ""), ("main.rs", "")]);
    assert_eq!(tree.strays(), ["a/c.rs"]);
}
