//! The running line: channels, tasks, order of start and stop. The only place that knows every stage.
