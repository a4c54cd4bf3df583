//! What an import tells the operator.

use std::time::Duration;

/// Entries of a list that are reported in full; the others are counted.
const MAX_LISTED: usize = 100;
/// Changed orders that a dry run lists.
const MAX_CHANGES: usize = 10_000;

/// The orders of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ImportSummary {
    pub orders: u64,
    pub lines: u64,
    pub new: u64,
    pub changed: u64,
    pub unchanged: u64,
    /// Invalid orders, which were left out.
    pub skipped: u64,
    /// Orders that no account shows yet.
    pub ownerless: u64,
}

impl ImportSummary {
    pub(super) fn add(&mut self, other: Self) {
        self.orders += other.orders;
        self.lines += other.lines;
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
        self.ownerless += other.ownerless;
    }
}

/// A file of an import.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FileReport {
    pub name: String,
    pub sha256: String,
}

/// What an import did, or with a dry run, would do.
#[derive(Clone, Debug)]
pub struct ImportReport {
    pub summary: ImportSummary,
    pub files: Vec<FileReport>,
    pub duration: Duration,
    /// Of a dry run.
    pub changes: ChangeList,
}

/// What an order loses and gains.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OrderChange {
    pub name: String,
    pub differences: Vec<String>,
}

/// The first changed orders.
#[derive(Clone, Debug, Default)]
pub struct ChangeList {
    pub listed: Vec<OrderChange>,
    pub count: u64,
}

impl ChangeList {
    pub(super) fn extend(&mut self, changes: Vec<OrderChange>) {
        self.count += changes.len() as u64;
        let room = MAX_CHANGES.saturating_sub(self.listed.len());
        self.listed.extend(changes.into_iter().take(room));
    }
}

/// Something about a row or a file: `orders.csv, line 3, column "Total": "free" is not an amount`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub file: String,
    /// Counted from 1, as editors do.
    pub line: u64,
    pub column: Option<&'static str>,
    pub text: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)?;
        if let Some(column) = self.column {
            write!(f, ", column \"{column}\"")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// The first findings of a kind, and the number of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FindingList {
    pub listed: Vec<Finding>,
    pub count: u64,
}

impl FindingList {
    pub(super) fn push(&mut self, finding: Finding) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(finding);
        }
    }
}

/// The result of reading the files once.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// Invalid cells and rows, and orders that another one excludes.
    pub invalid: FindingList,
    pub invalid_orders: u64,
    /// Invalid email addresses: these orders have no owner.
    pub emails: FindingList,
    /// Values that a spreadsheet program has replaced: these orders are loaded without them.
    pub damaged: FindingList,
    /// Rows that were read once although a file has them twice.
    pub doubled: FindingList,
    /// Amounts that were rounded because they are finer than their currency.
    pub rounded_amounts: u64,
    /// What was assumed about the files.
    pub assumptions: Vec<String>,
}
