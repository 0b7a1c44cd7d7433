//! A log line: its constant text, and its facts, those of the spans around it first.

use crate::domain::printable::printable;
use std::fmt::{self, Write as _};
use tracing::Event;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

/// A log line: its constant text, with nothing in it that a terminal would obey, and its facts, which are exact.
#[derive(Debug, Clone, Default)]
pub struct LogLine {
    /// The constant text.
    pub message: String,
    /// Everything else.
    pub facts: Vec<Fact>,
}

/// One fact of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// As the code names it.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What the value is.
    pub kind: FactKind,
}

/// What the value of a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactKind {
    /// A piece of text.
    Text,
    /// A number such as a score, of which people read four decimals.
    Fraction,
    /// Any other number, or a path.
    Other,
}

/// How pieces of text are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// In quotes.
    Text,
    /// As they are.
    Nothing,
}

impl LogLine {
    fn add(&mut self, name: &'static str, value: String, kind: FactKind) {
        if name == "message" {
            self.message = printable(&value);
            return;
        }
        // A span around it may have said so.
        if !self.facts.iter().any(|fact| fact.name == name && fact.value == value) {
            self.facts.push(Fact { name, value, kind });
        }
    }

    /// The facts as ` name=value name=value`, for people.
    pub fn facts_in_words(&self, quotes: Quotes) -> String {
        let mut words = String::new();
        for Fact { name, value, kind } in &self.facts {
            let name = name.trim_start_matches("r#");
            let value = match (kind, value.parse::<f64>()) {
                (FactKind::Fraction, Ok(number)) => format!("{number:.4}"),
                _ => printable(value),
            };
            // Writing to a String does not fail.
            let _ = match quotes {
                Quotes::Text if *kind == FactKind::Text => write!(words, " {name}=\"{value}\""),
                Quotes::Text | Quotes::Nothing => write!(words, " {name}={value}"),
            };
        }
        words
    }
}

impl LogLine {
    /// The facts of a span.
    pub fn of_span(attributes: &Attributes<'_>) -> Self {
        let mut line = Self::default();
        attributes.record(&mut line);
        line
    }

    /// An event within these spans, each of which has its facts as an extension.
    pub fn of_event<'a, S: for<'l> LookupSpan<'l>>(event: &Event<'_>, spans: Option<Scope<'a, S>>) -> Self {
        let mut line = Self::default();
        for span in spans.into_iter().flat_map(Scope::from_root) {
            if let Some(facts) = span.extensions().get::<Self>() {
                line.facts.extend(facts.facts.iter().cloned());
            }
        }
        event.record(&mut line);
        line
    }
}

/// Keeps the facts of a span for the lines within it.
pub fn keep<S: Subscriber + for<'a> LookupSpan<'a>>(attributes: &Attributes<'_>, id: &tracing::span::Id, context: &Context<'_, S>) {
    if let Some(span) = context.span(id) {
        span.extensions_mut().insert(LogLine::of_span(attributes));
    }
}

impl Visit for LogLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value.to_owned(), FactKind::Text);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value.to_string(), FactKind::Fraction);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}"), FactKind::Other);
    }
}
