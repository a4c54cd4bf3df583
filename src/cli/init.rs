//! `order-portal init`: a settings file with a new secret.

use std::io::{ErrorKind, Write};
use std::path::Path;

use super::{Failure, failed, print};
use crate::config;
use crate::private_files::make_private_file;

const TEMPLATE: &str = include_str!("../../.env.example");
/// The line of the template that the secret replaces.
const PLACEHOLDER: &str = "#TOKEN_SECRET=replace-this-with-the-output-of-order-portal-secret";
const DEFAULT_FILE: &str = ".env";

/// Writes `.env`, or the file that `--env-file` names, with mode 0600. An existing file is not changed.
pub(super) fn run(named: Option<&Path>) -> Result<(), Failure> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    let shown = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let shown = shown.display();
    let secret = config::new_secret().map_err(failed)?;
    let settings = TEMPLATE.replace(PLACEHOLDER, &format!("TOKEN_SECRET={secret}"));
    let mut created = make_private_file(file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::Failed(format!("{shown} exists and is not changed; edit it, or name another file with --env-file"))
        }
        _ => Failure::Failed(format!("cannot create {shown}: {error}")),
    })?;
    let written = created.write_all(settings.as_bytes()).and_then(|()| created.sync_all());
    written.map_err(|error| {
        // A part of the file would look like one that is complete.
        std::fs::remove_file(file).ok();
        Failure::Failed(format!("cannot write {shown}: {error}"))
    })?;
    print(format!("wrote {shown} with a new TOKEN_SECRET; only its owner can read it"));
    print(
        "next: order-portal serve; for production first set APP_ENV, PUBLIC_URL, MAIL_URL and MAIL_FROM in it, then run order-portal check",
    );
    Ok(())
}
