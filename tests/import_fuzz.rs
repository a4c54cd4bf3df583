//! Imports of damaged files: no panic, no partial order, a dry run that predicts the load, and nothing changed by the same file again.
//! `IMPORT_FUZZ_SECONDS` sets how long it runs; `tests/run` gives it a minute.

use std::time::{Duration, Instant};

use order_portal::clock::Clock;
use order_portal::database::{Database, DatabaseUrl};
use order_portal::domain::{UnixSeconds, Zone};
use order_portal::orders::{self, ImportError, ImportMode, ImportOptions, ImportSource, ImportSummary, ShopName};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::app::{ANN, BOB};
use crate::sandbox::Sandbox;
use crate::shop::{COLUMNS, export_of, line, order};

const DEFAULT_SECONDS: u64 = 3;

/// One change of a file.
#[derive(Clone, Debug)]
enum Damage {
    Cell { row: usize, column: usize, value: String },
    RepeatRow { row: usize },
    MoveRow { from: usize, to: usize },
    RemoveColumn { column: usize },
    Byte { at: usize, value: u8 },
    Cut { at: usize },
    Delimiter { value: u8 },
    Append,
}

fn values() -> impl Strategy<Value = String> {
    let odd = [
        "",
        " ",
        "#1",
        "#2",
        "1",
        "#1001/A",
        "'#1",
        "\u{feff}",
        "-1",
        "2.0",
        "0.5",
        ".5",
        "1,020.00",
        "1.020,00",
        "1 020.00",
        "1,000",
        "#NAME?",
        "5.55E+12",
        "=\"#1\"",
        "45352.5",
        "3/25/24",
        "1e9",
        "nan",
        "999999999999",
        "9999999999999",
        "-999999999999",
        "1000000",
        "EUR",
        "jpy",
        "KWD",
        "LTL",
        "XXX",
        "USDC",
        "paid",
        "voided",
        "restocked",
        "delivered",
        "shipped",
        "ann@example.com",
        "till@pos",
        "2024-03-01 10:00:00 +0000",
        "2024-05-01",
        "3/25/2024 10:00",
        "3/1/2024",
        "9999-12-31 23:59:59 -1200",
        "0000-01-01 00:00:00 +1400",
        "a\u{0}b",
        "\"",
        "\n",
        "\r\n#7,",
        "=1+1",
        "Name",
        "Total",
        "Tip",
        "javascript:alert(1)",
        "https://post.example/1",
        "\u{202e}",
        "𝒳",
    ];
    prop_oneof![4 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let index = 0..4096_usize;
    let damage = prop_oneof![
        6 => (index.clone(), index.clone(), values()).prop_map(|(row, column, value)| Damage::Cell { row, column, value }),
        2 => index.clone().prop_map(|row| Damage::RepeatRow { row }),
        2 => (index.clone(), index.clone()).prop_map(|(from, to)| Damage::MoveRow { from, to }),
        1 => index.clone().prop_map(|column| Damage::RemoveColumn { column }),
        1 => (index.clone(), any::<u8>()).prop_map(|(at, value)| Damage::Byte { at, value }),
        1 => index.prop_map(|at| Damage::Cut { at }),
        1 => prop::sample::select(vec![b';', b'\t', b'|']).prop_map(|value| Damage::Delimiter { value }),
        1 => Just(Damage::Append),
    ];
    prop::collection::vec(damage, 0..6)
}

/// Four orders with seven lines, as records.
fn records() -> Vec<Vec<String>> {
    let rows = [
        order("#1", ANN).with("Id", "11"),
        line("#1", ANN, "Pen"),
        line("#1", ANN, "Ink"),
        order("#2", BOB).with("Id", "12"),
        order("#3", ANN),
        line("#3", ANN, "Pen"),
        order("#4", ""),
    ];
    let text = export_of(&[&COLUMNS[..], &["Id", "Notes"]].concat(), &rows);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn damaged(damages: &[Damage]) -> Vec<u8> {
    let (mut records, mut delimiter) = (records(), b',');
    for damage in damages {
        let rows = records.len();
        match damage {
            Damage::Cell { row, column, value } => {
                let cells = &mut records[row % rows];
                let count = cells.len();
                cells[column % count].clone_from(value);
            }
            Damage::RepeatRow { row } => records.push(records[row % rows].clone()),
            Damage::MoveRow { from, to } => {
                let record = records.remove(from % rows);
                records.insert(to % rows, record);
            }
            Damage::RemoveColumn { column } if records.iter().all(|record| record.len() > 1) => {
                records.iter_mut().for_each(|record| drop(record.remove(column % record.len())));
            }
            Damage::Delimiter { value } => delimiter = *value,
            _ => {}
        }
    }
    let mut writer = csv::WriterBuilder::new().flexible(true).delimiter(delimiter).from_writer(Vec::new());
    records.iter().for_each(|record| writer.write_record(record).unwrap());
    let mut bytes = writer.into_inner().unwrap();
    for damage in damages {
        let length = bytes.len().max(1);
        match damage {
            Damage::Byte { at, value } if !bytes.is_empty() => bytes[at % length] = *value,
            Damage::Cut { at } => bytes.truncate(at % length),
            Damage::Append => bytes.extend(bytes.clone()),
            _ => {}
        }
    }
    bytes
}

#[derive(Clone, Debug)]
struct Case {
    /// The damage of each file.
    files: Vec<Vec<Damage>>,
    skip_invalid: bool,
    is_second_shop: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let files = prop_oneof![3 => prop::collection::vec(damages(), 1), 1 => prop::collection::vec(damages(), 2..4)];
    let case = (files, any::<bool>(), prop::bool::weighted(0.2));
    case.prop_map(|(files, skip_invalid, is_second_shop)| Case { files, skip_invalid, is_second_shop })
}

struct Importer {
    sandbox: Sandbox,
    database: Database,
    clock: Clock,
}

impl Importer {
    async fn import(&self, mode: ImportMode, case: &Case) -> Result<ImportSummary, String> {
        let shop = if case.is_second_shop { ShopName::parse("Second").unwrap() } else { ShopName::default() };
        let (columns, zone) = (Vec::new(), Zone::utc());
        let options = ImportOptions { mode, skip_invalid: case.skip_invalid, shop, columns, zone };
        let file = |index: usize| ImportSource::File(self.sandbox.path().join(format!("orders{index}.csv")));
        let sources: Vec<ImportSource> = (0..case.files.len()).map(file).collect();
        match orders::import(&self.database, &self.clock, &sources, &options, &mut |_| {}).await {
            Ok(report) => Ok(report.summary),
            // The two messages differ in what a dry run says.
            Err(ImportError::Invalid { problems, orders, .. }) => {
                Err(format!("{problems} problems in {orders} orders"))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

#[tokio::test]
async fn damaged_files_are_imported_as_a_dry_run_predicts_or_not_at_all() {
    let seconds =
        std::env::var("IMPORT_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SECONDS);
    let sandbox = Sandbox::new().await;
    let database =
        Database::create_or_open(&DatabaseUrl::parse(sandbox.setting("DATABASE_URL")).unwrap()).await.unwrap();
    database.migrate().await.unwrap();
    let importer = Importer { sandbox, database, clock: Clock::set_to(UnixSeconds::new(1_700_000_000)) };
    let mut runner = TestRunner::default();
    let cases = cases();
    let (began, mut loaded) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        let drawn = cases.new_tree(&mut runner).unwrap().current();
        for (index, damages) in drawn.files.iter().enumerate() {
            importer.sandbox.write(&format!("orders{index}.csv"), damaged(damages));
        }
        let case = format!("{drawn:?}");
        let predicted = importer.import(ImportMode::DryRun, &drawn).await;
        let done = importer.import(ImportMode::Load, &drawn).await;
        assert_eq!(predicted, done, "{case}");
        assert_eq!(
            importer
                .sandbox
                .count("orders o WHERE line_count <> (SELECT COUNT(*) FROM order_lines l WHERE l.order_id = o.id)")
                .await,
            0,
            "{case}"
        );
        if let Ok(summary) = done {
            loaded += 1;
            let again = importer.import(ImportMode::Load, &drawn).await.unwrap();
            assert_eq!((again.new, again.changed, again.orders), (0, 0, summary.orders), "the same file again: {case}");
        }
        // Sometimes there are no orders from before.
        if drawn.files[0].len() % 3 == 0 {
            sqlx::query("DELETE FROM orders").execute(importer.database.writer()).await.unwrap();
        }
    }
    assert!(loaded > 0, "no file was loaded");
}
