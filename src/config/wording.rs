//! What serde and the YAML parser say, in words for the person at the line.

/// What is wrong with a text that is no YAML, and what to do.
pub(super) fn explain_syntax(error: &str) -> String {
    let has = |part: &str| error.contains(part);
    let remedy = if let Some((_, key)) = error.split_once("duplicate entry with key ") {
        // The parser knows only where the section begins.
        return format!("the key {key} stands twice in the section that begins here; remove or rename one of the two");
    } else if has("mapping values are not allowed") {
        "check the indentation above this line; a value with a colon in it goes in quotes or braces, as `ready: {quiet: 500ms}`"
    } else if has("cannot start any token") {
        "indent with spaces, never tabs; a value that begins with `%`, `@` or a backtick goes in quotes"
    } else if has("alias") || has("anchor") || has("alphabetic or numeric") {
        "a value that begins with `*` or `&` goes in quotes, as `match: \"*.jpg\"`"
    } else if has("escape") {
        "write patterns with a backslash in single quotes, as `regex: '^a\\d+'`"
    } else if has("more than one document") {
        "remove the `---` line: a configuration is one document"
    } else {
        "check the indentation, the quotes and the brackets at this line and the one before"
    };
    format!("{error}; {remedy}")
}

/// What is wrong with a tag: other programs read files or the environment for it.
pub(super) fn explain_tag(tag: &str) -> String {
    format!(
        "the tag `{tag}` is not known here, where nothing is included or taken from the environment; write the value itself, or have another program put the file together"
    )
}

/// The message for one key: what serde said about it, what is allowed there, and an example when there is one.
pub(super) fn explain(error: &str, key: &str, example: Option<&str>) -> String {
    if error.starts_with("unknown field") {
        return unknown_key(key, &allowed_keys(error));
    }
    let Some((found, expected)) = error
        .strip_prefix("invalid type: ")
        .or_else(|| error.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return error.to_owned();
    };
    let expected = expected_words(expected);
    let mut message = format!("expected {expected}, found {}", found_words(found));
    match example {
        _ if expected == "text" && !found.starts_with("map") && !found.starts_with("sequence") => message.push_str("; put it in quotes"),
        Some(example) if !expected.contains(" as ") => message.push_str(&format!("; write for example `{example}`")),
        _ => {}
    }
    message
}

/// The keys that an "unknown field" message of serde lists.
pub(super) fn allowed_keys(error: &str) -> Vec<String> {
    let list = error.rsplit_once(", expected ").map_or("", |(_, list)| list);
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn unknown_key(key: &str, allowed: &[String]) -> String {
    let near = allowed.iter().map(|a| (edit_distance(key, a), a)).min().filter(|(distance, a)| *distance <= 1 + a.len() / 4);
    let list = allowed.join(", ");
    match near {
        Some((_, near)) => format!("unknown key; did you mean `{near}`? Keys allowed here: {list}"),
        None => format!("unknown key; keys allowed here: {list}"),
    }
}

fn expected_words(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number of 0 or more",
        "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "text",
        "path string" => "a path as /srv/camera/line1",
        "a sequence" => "a list (in brackets, or one line per entry that begins with `- `)",
        "a map" => "a section of keys",
        "field identifier" => "a key that is a word",
        other => other,
    }
}

fn found_words(found: &str) -> String {
    match found.split_once(' ') {
        _ if found == "unit value" => "nothing (the value is missing)".to_owned(),
        _ if found == "map" => "a section of keys".to_owned(),
        _ if found == "sequence" => "a list".to_owned(),
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer" | "boolean", value)) => value.to_owned(),
        Some(("floating", value)) => value.trim_start_matches("point ").to_owned(),
        _ => found.to_owned(),
    }
}

/// Insertions, removals and replacements that make `b` of `a` (Levenshtein), letters in either case and `-` like `_`.
fn edit_distance(a: &str, b: &str) -> usize {
    let letters = |s: &str| s.to_lowercase().replace('-', "_").chars().collect::<Vec<char>>();
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_errors_come_with_a_remedy() {
        let double = explain_syntax("products[0]: duplicate entry with key \"ok\"");
        assert_eq!(double, "the key \"ok\" stands twice in the section that begins here; remove or rename one of the two");
        assert!(explain_syntax("found unknown escape character").ends_with(r"as `regex: '^a\d+'`"));
        assert!(explain_syntax("anything else").starts_with("anything else; check the indentation"));
    }

    #[test]
    fn near_keys_are_suggested() {
        let unknown = |key| explain("unknown field `x`, expected one of `shorter`, `stride`, `min_images`", key, None);
        assert_eq!(unknown("shoter"), "unknown key; did you mean `shorter`? Keys allowed here: shorter, stride, min_images");
        assert!(unknown("Min-Images").contains("did you mean `min_images`"));
        assert_eq!(unknown("colour"), "unknown key; keys allowed here: shorter, stride, min_images");
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn types_are_explained_with_an_example() {
        let explained = |error| explain(error, "shorter", Some("shorter: 512"));
        assert_eq!(
            explained("invalid type: string \"big\", expected u32"),
            "expected a whole number from 0 to 4294967295, found the text \"big\"; write for example `shorter: 512`"
        );
        assert_eq!(explained("invalid type: integer `7`, expected a string"), "expected text, found `7`; put it in quotes");
        assert_eq!(explained("`x` is not one of: a, b"), "`x` is not one of: a, b");
    }
}
