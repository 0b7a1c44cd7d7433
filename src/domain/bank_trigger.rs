//! Why a bank came into use.

words! {
    /// Why a bank came into use, as in the column `banks.trigger`.
    BankTrigger {
        /// The product had no bank.
        First = "first",
        /// The images of the ok folder changed.
        OkChanged = "ok_changed",
        /// A person asked for it with `patchcored rebuild`.
        Requested = "requested",
        /// The three files of a bank lay in the bank folder.
        Imported = "imported",
        /// The bank folder held a version that the history did not know.
        Found = "found",
        /// A person went back to this version.
        Rollback = "rollback",
        /// A person edited `tau.json`.
        Edited = "edited",
    }
}
