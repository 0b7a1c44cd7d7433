//! Log lines as text: `TIME LEVEL target: message name=value name=value`.

use super::line::{LogLine, Quotes, keep};
use std::fmt;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Writes a line with nothing in it that a terminal would obey: names of files and what commands say come from outside, and one line
/// stays one line.
pub struct TextLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let line = LogLine::of_event(event, context.event_scope());
        let meta = event.metadata();
        SystemTime.format_time(&mut writer)?;
        let level = *meta.level();
        if writer.has_ansi_escapes() {
            write!(writer, " \u{1b}[{}m{level:>5}\u{1b}[0m ", color(level))?;
        } else {
            write!(writer, " {level:>5} ")?;
        }
        writeln!(writer, "{}: {}{}", meta.target(), line.message, line.facts_in_words(Quotes::Text))
    }
}

fn color(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// Keeps the facts of spans for the lines within them.
pub struct SpanFacts;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanFacts {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        keep(attributes, id, &context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn names_and_sentences_from_outside_stay_on_their_line() {
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false).event_format(TextLines);
        let log = tracing_subscriber::registry().with(SpanFacts).with(lines);
        tracing::subscriber::with_default(log, || {
            let image = "/drop/\u{1b}[2Ja\nERROR faked\u{202e}\u{9b}.png";
            tracing::warn!(image = %image, stderr = image, score = 1.5, none = Option::<&str>::None, "inspected");
            tracing::error!("said: {image}");
            tracing::info_span!("image", product = "disc", image = %image).in_scope(|| tracing::info!(score = 2.5, "inspected"));
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let shown = "/drop/\\u{1b}[2Ja\\nERROR faked\\u{202e}\\u{9b}.png";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].ends_with(&format!(" inspected image={shown} stderr=\"{shown}\" score=1.5000")), "{text}");
        assert!(lines[1].ends_with(&format!(" said: {shown}")), "{text}");
        assert!(lines[2].ends_with(&format!(" inspected product=\"disc\" image={shown} score=2.5000")), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']));
    }
}
