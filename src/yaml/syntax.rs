//! The problem of a text that is not valid YAML, found from the characters where the reader stopped.

use super::positions::Positions;
use super::problems::{ConfigProblem, Position};

/// Why a text is not valid YAML, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A tab at the beginning of a line or of a value.
    #[error("a tab cannot stand here; indent with spaces, never tabs")]
    Tab,
    /// A character that no value may begin with.
    #[error("no value begins with `{0}`; a value that begins with `%`, `@` or a backtick goes in quotes")]
    Reserved(char),
    /// An alias or an anchor that is not valid.
    #[error("`{0}` begins the name of another value here; a value that begins with `*` or `&` goes in quotes, as `match: \"*.jpg\"`")]
    Alias(char),
    /// A backslash in double quotes.
    #[error("the backslash begins an unknown escape here; write patterns with a backslash in single quotes, as `regex: '^a\\d+'`")]
    Escape,
    /// A colon where no key can be.
    #[error(
        "a key cannot stand here; check the indentation and the brackets above this line; a value with a colon in it goes in quotes or braces, as `ready: {{quiet: 500ms}}`"
    )]
    Colon,
    /// More than one document.
    #[error("a second document begins here; remove the `---` line: a configuration is one document")]
    SecondDocument,
    /// Anything else, in the words of the parser.
    #[error("{0}; check the indentation, the quotes and the brackets at this line and the one before")]
    Other(String),
}

/// The problems of a text that serde_yaml refuses.
pub fn problems(text: &str, error: &serde_yaml::Error) -> Vec<ConfigProblem> {
    let positions = Positions::of(text);
    let repeated = positions.repeated_keys();
    if !repeated.is_empty() {
        return repeated;
    }
    let Some(at) = error.location() else {
        return vec![match positions.second_document {
            Some(position) => ConfigProblem::at(position, SyntaxError::SecondDocument.to_string()),
            None => ConfigProblem::of_file(error.to_string()),
        }];
    };
    let position = Position { line: at.line(), column: at.column() };
    let words = || positions.stopped.clone().unwrap_or_else(|| error.to_string());
    let fault = fault_at(text, position).unwrap_or_else(|| SyntaxError::Other(words()));
    vec![ConfigProblem::at(position, fault.to_string())]
}

/// The fault at this position, if the characters there show it.
fn fault_at(text: &str, position: Position) -> Option<SyntaxError> {
    let line = text.lines().nth(position.line - 1)?;
    let mut characters = line.chars().skip(position.column.saturating_sub(2));
    let before = if position.column > 1 { characters.next() } else { None };
    let here = characters.next();
    let indent = line.chars().take_while(|c| c.is_whitespace());
    match (before, here) {
        (_, Some('\t')) => Some(SyntaxError::Tab),
        _ if indent.clone().any(|c| c == '\t') && position.column <= indent.count() + 1 => Some(SyntaxError::Tab),
        (_, Some(mark @ ('%' | '@' | '`'))) => Some(SyntaxError::Reserved(mark)),
        (_, Some(mark @ ('*' | '&'))) | (Some(mark @ ('*' | '&')), _) => Some(SyntaxError::Alias(mark)),
        (_, Some('\\')) | (Some('\\'), _) => Some(SyntaxError::Escape),
        (_, Some(':')) => Some(SyntaxError::Colon),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = serde_yaml::from_str::<serde_yaml::Value>(text).unwrap_err();
        problems(text, &error).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_slip_has_its_position_and_remedy() {
        for (text, position, remedy) in [
            ("a: 1\n\tb: 2\n", "line 2, column 1", "indent with spaces, never tabs"),
            ("a:\n  b: 1\n\tc: 2\n", "line 3, column 1", "indent with spaces, never tabs"),
            ("a:\t@x\n", "line 1, column 4", "goes in quotes"),
            ("a: @x\n", "line 1, column 4", "no value begins with `@`"),
            ("a: `x`\n", "line 1, column 4", "no value begins with ``"),
            ("a: %x\n", "line 1, column 4", "no value begins with `%`"),
            ("a: *.jpg\n", "line 1, column 5", "as `match: \"*.jpg\"`"),
            ("a: *x\n", "line 1, column 4", "as `match: \"*.jpg\"`"),
            ("a: \"^a\\d\"\n", "line 1, column 7", "as `regex: '^a\\d+'`"),
            ("a: b: c\n", "line 1, column 5", "as `ready: {quiet: 500ms}`"),
            ("a: b\n  c: d\n", "line 2, column 4", "check the indentation and the brackets above this line"),
            ("a: 1\n---\nb: 2\n", "line 2, column 1", "remove the `---` line"),
            ("a: [1, 2\nb: 3\n", "line 2, column 2", "brackets above this line"),
            ("a: 1\nb: 2\na: 3\n", "line 3, column 1", "a: stands twice in this section, the first time at line 1, column 1"),
            ("a: 'x\n", "line 2, column 1", "check the indentation, the quotes"),
        ] {
            let found = refused(text);
            assert!(found.starts_with(&format!("{position}: ")) && found.contains(remedy), "{text:?}: {found}");
        }
    }
}
