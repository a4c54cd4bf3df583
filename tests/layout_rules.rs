//! Rules of the source layout that the compiler does not check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The layers of modules, from the top. A module depends only on modules of lower layers.
const LAYERS: [&[&str]; 14] = [
    &["main"],
    &["cli"],
    &["server"],
    &["api"],
    &["accounts"],
    &["orders"],
    &["sessions", "rate_limit"],
    &["mail"],
    &["web"],
    &["telemetry"],
    &["config"],
    &["database"],
    &["clock"],
    &["domain", "hex", "metrics", "private_files"],
];

pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The top-level module of a file.
fn top_module(file: &Path) -> String {
    let inside = file.strip_prefix(source()).unwrap();
    inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The code without comments, up to the first test module.
pub fn code_of(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The module of a file, as path segments: `[a, b]` for `a/b.rs` and for `a/b/mod.rs`.
fn module_of(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix(source()).unwrap().with_extension("");
    let segments = inside.iter().map(|segment| segment.to_string_lossy().into_owned());
    segments.filter(|segment| !["mod", "lib", "main"].contains(&segment.as_str())).collect()
}

/// The paths that the text of a module names: `crate::a::b`, `super::c`, groups like `crate::{a, b::{c, d}}` and, in the binary,
/// `order_portal::a`.
fn named_paths(text: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    for root in ["crate::", "order_portal::"] {
        text.split(root).skip(1).for_each(|after| read_path(after, Vec::new(), &mut paths));
    }
    for (at, _) in text.match_indices("super::").filter(|(at, _)| !text[..*at].ends_with("super::")) {
        read_path(&text[at..], module.to_vec(), &mut paths);
    }
    paths
}

/// Reads the rest of a path after `base`, up to its last segments.
fn read_path(text: &str, mut base: Vec<String>, paths: &mut BTreeSet<Vec<String>>) {
    if let Some(group) = text.strip_prefix('{') {
        split_group(group).iter().for_each(|item| read_path(item.trim_start(), base.clone(), paths));
        return;
    }
    let segment: String = text.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    match segment.as_str() {
        "super" => drop(base.pop()),
        "" | "self" => {}
        _ => base.push(segment.clone()),
    }
    match text[segment.len()..].strip_prefix("::") {
        Some(rest) => read_path(rest, base, paths),
        None if base.is_empty() => {}
        None => drop(paths.insert(base)),
    }
}

/// The items of a group, from after its opening brace.
fn split_group(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                item.push(letter);
            }
        }
    }
    items.push(item);
    items
}

/// The dependencies of each top-level module, each with a file that has it.
fn dependencies() -> BTreeMap<String, BTreeMap<String, PathBuf>> {
    let mut dependencies: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    for file in rust_files(&source()) {
        let from = top_module(&file);
        if from == "lib" {
            continue;
        }
        let paths = named_paths(&code_of(&file), &module_of(&file));
        let others = paths.into_iter().map(|path| path[0].clone()).filter(|to| *to != from);
        dependencies.entry(from.clone()).or_default().extend(others.map(|to| (to, file.clone())));
    }
    dependencies
}

fn layer_of(module: &str) -> usize {
    let found = LAYERS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("{module} is in no layer"))
}

#[test]
fn modules_depend_only_on_lower_layers() {
    for (from, others) in dependencies() {
        for (to, file) in others {
            assert!(layer_of(&from) < layer_of(&to), "{from} names {to} in {}", file.display());
        }
    }
}

/// The dependencies between the entries (files and subdirectories) of each directory. `mod.rs` is no entry: it declares the others, and
/// a name that it re-exports counts as its own.
fn dependencies_by_directory() -> BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> {
    let mut directories: BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for file in rust_files(&source()) {
        let module = module_of(&file);
        for path in named_paths(&code_of(&file), &module) {
            let shared = module.iter().zip(&path).take_while(|(one, other)| one == other).count();
            let (Some(from), Some(to)) = (module.get(shared), path.get(shared)) else { continue };
            let directory: PathBuf = module[..shared].iter().collect();
            let entry = source().join(&directory).join(to);
            let is_entry = entry.is_dir() || entry.with_extension("rs").is_file();
            if is_entry {
                directories.entry(directory).or_default().entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    directories
}

#[test]
fn no_directory_has_an_import_cycle() {
    for (directory, dependencies) in dependencies_by_directory() {
        for start in dependencies.keys() {
            let mut reached = BTreeSet::new();
            let mut open = vec![start];
            while let Some(entry) = open.pop() {
                for to in dependencies.get(entry).into_iter().flatten() {
                    let directory = directory.display();
                    assert_ne!(to, start, "src/{directory}: {start} depends on {entry}, which depends on {start}");
                    if reached.insert(to) {
                        open.push(to);
                    }
                }
            }
        }
    }
}

#[test]
fn named_paths_include_groups_and_relative_paths() {
    let text = "use crate::web::{Error, page};\nuse crate::{clock::Clock, database::{self, Database}};\nlet x = crate::mail::send();\n\
                use super::store::{self, Row};\nuse super::super::money;";
    let module = ["orders", "list", "page"].map(str::to_owned);
    let paths = named_paths(text, &module).into_iter().map(|path| path.join("::")).collect::<Vec<_>>();
    let expected = [
        "clock::Clock",
        "database",
        "database::Database",
        "mail::send",
        "orders::list::store",
        "orders::list::store::Row",
        "orders::money",
        "web::Error",
        "web::page",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn only_clock_reads_the_system_clock() {
    const CALLS: [&str; 5] =
        ["now_utc()", "now_local()", "SystemTime::now()", "UNIX_EPOCH.elapsed", "Timestamp::now()"];
    let calls = |file: &PathBuf| CALLS.iter().any(|call| code_of(file).contains(call));
    let (clock, others): (Vec<_>, Vec<_>) =
        rust_files(&source()).into_iter().partition(|file| top_module(file) == "clock");
    assert!(clock.iter().any(calls), "the clock is read in none of these ways: {CALLS:?}");
    let caller = others.iter().find(|file| calls(file));
    assert!(caller.is_none(), "{} reads the system clock", caller.unwrap().display());
}

#[test]
fn only_stores_contain_sql() {
    const SQL: [&str; 5] = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "sqlx::query"];
    let has = |word: &'static str| move |file: &&PathBuf| code_of(file).contains(word);
    let may_have_sql = |file: &PathBuf| {
        top_module(file) == "database" || file.ends_with("store.rs") || file.iter().any(|part| part == "store")
    };
    let (stores, others): (Vec<_>, Vec<_>) = rust_files(&source()).into_iter().partition(may_have_sql);
    for word in SQL {
        assert!(stores.iter().any(|file| has(word)(&file)), "no store has {word}: the rule has no effect");
        let found = others.iter().find(has(word));
        assert!(found.is_none(), "{} has SQL: {word}", found.unwrap().display());
    }
}

/// The programs of a minimal Debian (packages util-linux, mount, coreutils, dash), the binary under test, and what `tests/run` installs.
/// `kill` and `ps` are in the package procps, which may be missing.
const PROGRAMS: [&str; 14] = [
    "env!(\"CARGO_BIN_EXE_order-portal\")",
    "\"runuser\"",
    "\"/bin/sh\"",
    "\"mount\"",
    "\"umount\"",
    "\"chown\"",
    "\"chromedriver\"",
    "\"geckodriver\"",
    "\"WebKitWebDriver\"",
    "\"Xvfb\"",
    "\"java\"",
    "\"/usr/sbin/nginx\"",
    "\"node\"",
    // The programs of PostgreSQL by full path, and pgbouncer.
    "program)",
];

/// What `benches/compare` builds the peers with. It starts them, with `node` among them, as `program`.
const BENCH_PROGRAMS: [&str; 2] = ["\"cargo\"", "\"npm\""];

#[test]
fn tests_run_only_installed_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (tests, benches) = (rust_files(&root.join("tests")), rust_files(&root.join("benches")));
    let tests = tests.iter().map(|file| (file, &[][..]));
    for (file, more_programs) in tests.chain(benches.iter().map(|file| (file, &BENCH_PROGRAMS[..]))) {
        let text = std::fs::read_to_string(file).unwrap();
        for run in text.split(concat!("Command", "::new(")).skip(1) {
            let is_known = PROGRAMS.iter().chain(more_programs).any(|program| run.starts_with(program));
            assert!(is_known, "{} runs {}", file.display(), run.lines().next().unwrap());
        }
    }
}

#[test]
fn asvs_page_names_existing_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/asvs.md")).unwrap();
    let (mut file, mut named) = (String::new(), 0);
    for quoted in page.split('`').skip(1).step_by(2) {
        let (path, test) = quoted.split_once("::").unwrap_or((quoted, ""));
        if path.ends_with(".rs") {
            file = path.to_owned();
            assert!(root.join(path).is_file(), "docs/asvs.md names {path}");
        }
        // `Keys::verify` and the like are code, not a test.
        if test.is_empty() || !(path.is_empty() || path.ends_with(".rs")) {
            continue;
        }
        let test = test.rsplit("::").next().unwrap();
        let text = std::fs::read_to_string(root.join(&file)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "docs/asvs.md names {test} in {file}");
        named += 1;
    }
    assert!(named > 50, "only {named} tests are named");
}
