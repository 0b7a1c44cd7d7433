//! How the daemon finds the files of a drop folder.

words! {
    /// How the daemon finds the files of a drop folder.
    FolderState {
        /// The system reports new files, and scans find those that it leaves out.
        Watched = "watched",
        /// Only scans find new files.
        ScannedOnly = "scanned_only",
        /// The folder does not exist, or is another one than before.
        Lost = "lost",
        /// The folder does not answer.
        Stuck = "stuck",
    }
}
