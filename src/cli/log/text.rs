//! How the fields of a log line are written as text.

use super::super::printable::printable;
use std::fmt::{self, Debug};
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// `message name=value name=value`, as tracing-subscriber writes them, but with nothing in them that a terminal would obey: names of
/// files and what commands say come from outside, and one line stays one line.
pub fn fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| write(writer, field.name(), value)).delimited(" ")
}

fn write(writer: &mut Writer<'_>, name: &str, value: &dyn Debug) -> fmt::Result {
    let value = printable(&format!("{value:?}"));
    if name == "message" { write!(writer, "{value}") } else { write!(writer, "{}={value}", name.trim_start_matches("r#")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

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
        let log =
            tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time().fmt_fields(fields()).finish();
        tracing::subscriber::with_default(log, || {
            let image = "/drop/\u{1b}[2Ja\nERROR faked\u{202e}\u{9b}.png";
            tracing::warn!(image = %image, stderr = image, score = 1.5, none = Option::<&str>::None, "inspected");
            tracing::error!("said: {image}");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let shown = "/drop/\\u{1b}[2Ja\\nERROR faked\\u{202e}\\u{9b}.png";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].ends_with(&format!(" inspected image={shown} stderr=\"{shown}\" score=1.5")), "{text}");
        assert!(lines[1].ends_with(&format!(" said: {shown}")), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']));
    }
}
