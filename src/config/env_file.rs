//! The settings file: `.env` in the current directory, or the file that `--env-file` names.

use std::collections::BTreeSet;
use std::path::Path;

/// Variables that libraries read.
const OF_LIBRARIES: [&str; 4] = ["RUST_BACKTRACE", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ"];
/// Prefix of the variables that PostgreSQL clients read, such as `PGSSLROOTCERT`.
const OF_POSTGRES: &str = "PG";

const DEFAULT_FILE: &str = ".env";

/// Adds the file's variables to the environment, which takes precedence, and returns their names. A missing file is an error only if
/// it is named. Parent directories are not searched: the program must not pick up the settings of another project.
pub(super) fn load(named: Option<&Path>) -> Result<Vec<String>, String> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    match read(file) {
        Ok(names) => Ok(names),
        Err(error) if error.not_found() && named.is_none() => Ok(Vec::new()),
        Err(error) if error.not_found() => {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            Err(format!("--env-file: there is no file {}; name one that exists", file.display()))
        }
        Err(dotenvy::Error::LineParse(_, _)) => {
            Err(format!("{}: a line cannot be read; write NAME=value, with quotes around spaces", file.display()))
        }
        Err(_) => Err(format!("{}: the file cannot be read; check its permissions", file.display())),
    }
}

/// Parses all lines before it sets the first variable.
fn read(file: &Path) -> dotenvy::Result<Vec<String>> {
    let names = dotenvy::from_path_iter(file)?.map(|line| line.map(|(name, _)| name)).collect::<Result<_, _>>()?;
    dotenvy::from_path(file)?;
    Ok(names)
}

/// A warning if other users can read the file: it contains the signing secret.
pub(super) fn readable_by_others(named: Option<&Path>) -> Option<String> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    if !is_open_to_others(file)? {
        return None;
    }
    let file = file.display();
    Some(format!("others than its owner can read or write the settings file {file}; run: chmod 600 {file}"))
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> Option<bool> {
    let metadata = file.metadata().ok()?;
    Some(metadata.is_file() && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> Option<bool> {
    None
}

/// A warning for each unknown name, with the most similar known one.
pub(super) fn unknown_variables(names: &[String], known: &BTreeSet<String>) -> Vec<String> {
    let is_known =
        |name: &String| known.contains(name) || OF_LIBRARIES.contains(&name.as_str()) || name.starts_with(OF_POSTGRES);
    let distance = |name: &str, other: &str| strsim::damerau_levenshtein(&name.to_uppercase(), other);
    let unknown = names.iter().filter(|name| !is_known(name));
    let line = |name: &String| {
        let closest = known.iter().min_by_key(|other| distance(name, other))?;
        let name = name.escape_debug();
        Some(format!("the settings file has {name}, which is no setting; the closest one is {closest}"))
    };
    unknown.filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variable_is_named_with_the_closest_setting() {
        let known = BTreeSet::from(["BIND_ADDR", "DATABASE_URL", "MAIL_URL"].map(str::to_owned));
        let lines = |name: &str| unknown_variables(&[name.to_owned()], &known);
        for (name, closest) in [("DATABSE_URL", "DATABASE_URL"), ("mail_url", "MAIL_URL"), ("BINDADDR", "BIND_ADDR")] {
            let line = lines(name).remove(0);
            assert!(line.contains(name) && line.ends_with(closest), "{line}");
        }
        for name in ["MAIL_URL", "SSL_CERT_FILE", "PGPASSWORD"] {
            assert_eq!(lines(name), [""; 0]);
        }
    }
}
