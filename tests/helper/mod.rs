//! Tests of the helper.
