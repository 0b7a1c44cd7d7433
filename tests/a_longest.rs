//! The test that takes longest. Tests start in the order of their names, and at the end it would run alone.

#[test]
fn every_command_of_the_pages_works() {
    crate::docs::commands::every_command_of_the_pages_works();
}
