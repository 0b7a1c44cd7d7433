//! The problems of a configuration, and their positions in the file.

use std::fmt;

/// A position in the text of a file. Both numbers start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position of the character at this byte.
    pub fn of_byte(text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self { line: 1 + before.matches('\n').count(), column: 1 + before[line_start..].chars().count() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The position of the key; for a missing key, that of its section. `None` without a text.
    pub position: Option<Position>,
    /// The path of the key, as `products[0].build.shorter`; empty when the text is not valid YAML.
    pub key: String,
    /// The problem and its remedy.
    pub message: String,
}

impl ConfigProblem {
    /// A problem of a key. Its position is looked up later.
    pub fn of_key(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { position: None, key: key.into(), message: message.into() }
    }

    /// A problem of the text itself.
    pub fn at(position: Position, message: impl Into<String>) -> Self {
        Self { position: Some(position), key: String::new(), message: message.into() }
    }

    /// A problem of the file as a whole.
    pub fn of_file(message: impl Into<String>) -> Self {
        Self::of_key(WHOLE_FILE, message)
    }

    /// True for a problem that has no line of its own.
    pub fn is_of_file(&self) -> bool {
        self.key == WHOLE_FILE
    }
}

const WHOLE_FILE: &str = "the file";

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Every problem of a configuration file; never empty. Displayed with one line per problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_a_line_with_its_position_and_key() {
        let position = Position { line: 7, column: 12 };
        let problems = ConfigProblems(vec![
            ConfigProblem { position: Some(position), ..ConfigProblem::of_key("engine.threads", "is wrong") },
            ConfigProblem::at(Position::START, "is no YAML"),
            ConfigProblem::of_file("is too large"),
        ]);
        let text = "  line 7, column 12: engine.threads: is wrong\n  line 1, column 1: is no YAML\n  the file: is too large";
        assert_eq!(problems.to_string(), text);
    }
}
