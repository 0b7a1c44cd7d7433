//! Why images fail, in few words that a counter can have as a label.

use crate::history::SAME_FILE;

/// Every answer of [`failure_code`].
pub const FAILURES: [&str; 11] = [
    "incomplete",
    "unreadable",
    "unrouted",
    "not_an_image",
    "too_large",
    "unexpected_input",
    "not_a_file",
    "name_too_long",
    "duplicate",
    "internal",
    "other",
];

/// The word for the reason of a failed row. The one place that tells reasons apart by their text.
pub fn failure_code(reason: &str) -> &'static str {
    const BEGINNINGS: [(&str, &str); 8] = [
        ("incomplete: ", "incomplete"),
        ("cannot be read: ", "unreadable"),
        ("unrouted", "unrouted"),
        ("is not a JPEG, PNG, BMP or TIFF", "not_an_image"),
        ("is a symbolic link", "not_a_file"),
        ("is not a regular file", "not_a_file"),
        ("the name of an output would have", "name_too_long"),
        (SAME_FILE, "duplicate"),
    ];
    const PARTS: [(&str, &str); 3] =
        [("panicked on this image", "internal"), ("intake.max_megapixels", "too_large"), ("input.", "unexpected_input")];
    let beginning = BEGINNINGS.iter().find(|(text, _)| reason.starts_with(text));
    let found = beginning.or_else(|| PARTS.iter().find(|(text, _)| reason.contains(text)));
    found.map_or("other", |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart() {
        for (reason, code) in [
            ("incomplete: ends after 12 bytes, within its header; given up after 10s", "incomplete"),
            ("unrouted", "unrouted"),
            ("is 9000x9000 = 81.0 megapixels, above the 64.0 allowed; raise intake.max_megapixels if that is right", "too_large"),
            ("has width 640, but the product's input.width is 2448; correct the camera or the configuration", "unexpected_input"),
            ("a library panicked on this image; see the log", "internal"),
            ("is a run-length encoded BMP; save it uncompressed", "other"),
        ] {
            assert_eq!(failure_code(reason), code, "{reason}");
            assert!(FAILURES.contains(&code));
        }
    }
}
