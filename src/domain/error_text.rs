//! An error in words.

/// The error and its causes, from the outermost, each said once: many errors already name their cause.
pub fn error_text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.extend([": ", &cause]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read /a: {source}")]
    struct Unreadable {
        source: io::Error,
    }

    #[test]
    fn a_cause_is_said_once() {
        let read = Unreadable { source: io::Error::other("the disk is gone") };
        let error = anyhow::Error::from(read).context("the bank");
        assert_eq!(error_text(&error), "the bank: cannot read /a: the disk is gone");
        let plain = anyhow::Error::from(io::Error::other("no permission")).context("the list");
        assert_eq!(error_text(&plain), "the list: no permission");
    }
}
