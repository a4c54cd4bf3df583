//! Every file of a collection of real oddities, with what an operator expects of it (`import_exports.tsv`). The files themselves are not
//! in the repository.

use std::path::PathBuf;

use crate::sandbox::Sandbox;

/// File, exit status, orders, lines, a part of the output, further arguments separated by `|`.
const EXPECTED: &str = include_str!("import_exports.tsv");

fn directory() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/exports");
    std::env::var_os("EXPORTS_SAMPLE_DATA").map_or_else(beside, PathBuf::from)
}

struct Expectation<'a> {
    file: &'a str,
    status: i32,
    orders: usize,
    lines: usize,
    part: &'a str,
    arguments: Vec<&'a str>,
}

fn expectations() -> Vec<Expectation<'static>> {
    let rows = EXPECTED.lines().skip(1).map(|row| row.split('\t').collect::<Vec<_>>());
    rows.map(|row| {
        let [file, status, orders, lines, part, arguments] = row[..] else { panic!("{row:?}") };
        Expectation {
            file,
            status: status.parse().unwrap(),
            orders: orders.parse().unwrap(),
            lines: lines.parse().unwrap(),
            part,
            arguments: arguments.split('|').filter(|argument| !argument.is_empty()).collect(),
        }
    })
    .collect()
}

#[tokio::test]
#[ignore = "needs the collection of exports; tests/run includes it when it is there"]
async fn sample_exports_are_imported_as_expected() {
    let expectations = expectations();
    let in_directory = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let unlisted: Vec<_> = in_directory
        .map(|name| name.into_string().unwrap())
        .filter(|name| name.ends_with(".csv") && !expectations.iter().any(|expected| expected.file == name))
        .collect();
    assert!(unlisted.is_empty(), "no expectation: {unlisted:?}");
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let mut unmet = Vec::new();
    for Expectation { file, status, orders, lines, part, arguments } in expectations {
        let path = directory().join(file);
        let path = path.to_str().unwrap();
        let dry = sandbox.run(&[&["import", "--dry-run", path], &arguments[..]].concat());
        let ran = sandbox.run(&[&["import", path], &arguments[..]].concat());
        let first = ran.stdout.lines().next().unwrap_or_default();
        let counts = format!("{orders} orders with {lines} lines: {orders} new, 0 changed, 0 unchanged");
        let is_met = ran.status == status
            && (if status == 0 { first == counts } else { ran.stdout.is_empty() })
            && format!("{}{}", ran.stdout, ran.stderr).contains(part);
        let is_predicted =
            dry.status == status && (status != 0 || dry.stdout.starts_with(&format!("{first}; nothing")));
        let database = sandbox.database().await;
        let stored: (i64, i64) =
            sqlx::query_as("SELECT (SELECT COUNT(*) FROM orders), (SELECT COUNT(*) FROM order_lines)")
                .fetch_one(&database)
                .await
                .unwrap();
        let is_stored = stored == (i64::try_from(orders).unwrap(), i64::try_from(lines).unwrap());
        sqlx::query("DELETE FROM orders").execute(&database).await.unwrap();
        database.close().await;
        if !(is_met && is_predicted && is_stored) {
            unmet.push(format!("{file}: {ran:?}; dry run: {dry:?}; stored: {stored:?}"));
        }
    }
    assert!(unmet.is_empty(), "{} expectations are not met:\n{}", unmet.len(), unmet.join("\n"));
}
