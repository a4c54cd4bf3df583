//! Audits of the pages by other tools: axe-core, the Nu HTML checker, Lighthouse. `tests/run` installs them.

mod axe;
mod lighthouse;
mod nu;
mod saved_pages;

use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::pages::{self, Document};

/// The directory of the tools' packages.
fn tools() -> PathBuf {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/page_audits");
    assert!(PathBuf::from(tools).join("node_modules").is_dir(), "{tools} has no packages: see tests/run");
    tools.into()
}

/// Every page in each of its states, rendered once for all audits.
async fn documents() -> &'static [Document] {
    static DOCUMENTS: OnceCell<Vec<Document>> = OnceCell::const_new();
    DOCUMENTS.get_or_init(pages::documents).await
}
