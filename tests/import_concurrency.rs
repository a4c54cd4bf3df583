//! Imports concurrent with customers and with each other, and interrupted imports.

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::actions::{reorder, submit};
use crate::app::{ANN, PASSWORD, TestApp};
use crate::sandbox::{CommandOutput, Sandbox};
use crate::shop::{self, Row, export, order, unsent};

/// The longest request of a customer during an import, on a busy machine. docs/performance.md has the times of an idle one.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(5);
/// The longest time of an import in a test.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(120);

/// An import process in the background; killed on drop.
struct Import(Option<Child>);

impl Import {
    fn start(sandbox: &Sandbox, file: &str) -> Self {
        Self::start_with(sandbox, &["import", file])
    }

    fn start_with(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut command = sandbox.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    fn is_running(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    fn child(&self) -> &Child {
        self.0.as_ref().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child()), signal).unwrap();
    }

    async fn wait_until_it_handles_signals(&self) {
        let status = format!("/proc/{}/status", self.child().id());
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(&status).unwrap();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
            let bit = 1 << (Signal::TERM.as_raw() - 1);
            if u64::from_str_radix(&caught, 16).unwrap() & bit != 0 {
                return;
            }
            assert!(began.elapsed() < IMPORT_TIMEOUT, "the process does not handle signals");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn end(mut self) -> CommandOutput {
        let began = Instant::now();
        while self.is_running() {
            assert!(began.elapsed() < IMPORT_TIMEOUT, "the import does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let ended: Output = self.0.take().unwrap().wait_with_output().unwrap();
        CommandOutput::from(ended)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Waits until this number of orders is stored.
async fn wait_for_orders(sandbox: &Sandbox, orders: i64) {
    let began = Instant::now();
    let database = sandbox.database().await;
    while sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM orders").fetch_one(&database).await.unwrap() < orders {
        assert!(began.elapsed() < IMPORT_TIMEOUT, "fewer than {orders} orders are stored");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    database.close().await;
}

/// Orders of many customers without an account.
fn orders_without_owner(count: u32) -> Vec<Row> {
    let email = |index: u32| format!("buyer{}@example.com", index % 300);
    (0..count).map(|index| order(&format!("#{}", 100_000 + index), &email(index))).collect()
}

/// The longest measured time.
#[derive(Default)]
struct Slowest(Duration);

impl Slowest {
    async fn time<T>(&mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.0 = self.0.max(began.elapsed());
        done
    }
}

#[tokio::test]
async fn import_succeeds_during_reorders_cancellations_and_sign_ups() {
    let app = TestApp::start().await;
    let mut ann = app.verified_customer(ANN).await;
    let own: Vec<Row> = (0..60).map(|index| unsent(&format!("#{}", 1_000 + index), ANN)).collect();
    app.write("own.csv", export(&own));
    app.run_ok(&["import", "own.csv"]);

    let rows = [orders_without_owner(5_000), shop::orders(1_000, ANN)].concat();
    let file = app.write("orders.csv", export(&rows));
    let mut import = Import::start(&app, &file);
    let (mut rounds, mut slowest) = (0, Slowest::default());
    // The rate limit is 50 requests a day.
    while import.is_running() && rounds < 45 {
        let number = (1_000 + rounds).to_string();
        reorder(&mut ann, &number).await;
        assert_eq!(submit(&mut ann, &number, "cancel").await.status, 303);
        slowest.time(app.customer(&format!("customer{rounds}@example.com"))).await;
        slowest.time(app.new_session(ANN, PASSWORD)).await;
        rounds += 1;
    }
    let output = import.end();
    assert_eq!(
        (output.status, output.stdout.lines().next().unwrap_or_default()),
        (0, "6,000 orders with 6,000 lines: 6,000 new, 0 changed, 0 unchanged"),
        "{output:?}"
    );
    assert!(rounds > 0);
    assert!(slowest.0 < MAX_REQUEST_TIME, "a request took {:?}", slowest.0);
    let requests = app.count("reorder_requests").await;
    assert_eq!(requests, i64::from(rounds), "a request during the import is lost");
    assert_eq!(app.count("orders").await, 6_060);
}

#[tokio::test]
async fn sign_up_does_not_wait_for_the_end_of_an_import() {
    let app = TestApp::start().await;
    let file = app.write("orders.csv", export(&orders_without_owner(10_000)));
    let mut import = Import::start(&app, &file);
    let (mut signed_up, mut concurrent, mut slowest) = (0, 0, Slowest::default());
    while import.is_running() {
        let is_writing = app.count("orders").await > 0;
        slowest.time(app.customer(&format!("customer{signed_up}@example.com"))).await;
        concurrent += u32::from(is_writing && import.is_running());
        signed_up += 1;
    }
    assert_eq!(import.end().status, 0);
    assert!(concurrent >= 3, "only {concurrent} of {signed_up} customers signed up while orders were written");
    assert!(slowest.0 < MAX_REQUEST_TIME, "a request took {:?}", slowest.0);
}

#[tokio::test]
async fn email_verified_during_an_import_gets_all_its_orders() {
    let app = TestApp::start().await;
    let emails: Vec<String> = (0..12).map(|index| format!("customer{index}@example.com")).collect();
    for email in &emails {
        app.customer(email).await;
    }
    let rows: Vec<Row> = (0..6_000).map(|index| order(&format!("#{index}"), &emails[index % 12])).collect();
    let file = app.write("orders.csv", export(&rows));
    let mut import = Import::start(&app, &file);
    wait_for_orders(&app, 1).await;
    let mut verified_meanwhile = 0;
    for email in &emails {
        app.run_ok(&["user", "verify", email]);
        verified_meanwhile += u32::from(import.is_running());
    }
    assert_eq!(import.end().status, 0);
    assert!(verified_meanwhile > 0, "no email was verified during the import");
    assert_eq!(app.count("orders WHERE user_id IS NULL").await, 0, "orders without owner");
}

#[tokio::test]
async fn interrupted_import_stores_whole_orders_and_continues() {
    for signal in [Signal::INT, Signal::TERM] {
        let sandbox = Sandbox::new().await;
        sandbox.run_ok(&["migrate"]);
        let rows: Vec<Row> = (0..6_000)
            .flat_map(|index| {
                let number = format!("#{index}");
                [order(&number, ANN), shop::line(&number, ANN, "Pen"), shop::line(&number, ANN, "Ink")]
            })
            .collect();
        let file = sandbox.write("orders.csv", export(&rows));
        let import = Import::start(&sandbox, &file);
        wait_for_orders(&sandbox, 1).await;
        import.signal(signal);
        let output = import.end();
        let loaded = sandbox.count("orders").await;
        assert!((1..6_000).contains(&loaded), "{loaded}: {output:?}");
        let expected = format!(
            "order-portal: interrupted; {} of 6,000 orders are loaded; run the same command again\n",
            thousands(loaded)
        );
        assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (1, "", expected.as_str()));
        let incomplete = "orders o WHERE 3 <> (SELECT COUNT(*) FROM order_lines l WHERE l.order_id = o.id)";
        assert_eq!(sandbox.count(incomplete).await, 0, "orders with missing lines");
        let rest = thousands(6_000 - loaded);
        assert_eq!(
            sandbox.first_line(&["import", &file]),
            format!("6,000 orders with 18,000 lines: {rest} new, 0 changed, {} unchanged", thousands(loaded))
        );
    }
}

/// `2,155`.
fn thousands(number: i64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[tokio::test]
async fn import_interrupted_during_validation_writes_nothing() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let mut text = export(&[order("#0", ANN)]);
    let row = text.lines().nth(1).unwrap().to_owned();
    (1..60_000).for_each(|index| text.push_str(&format!("{}\n", row.replacen("#0", &format!("#{index}"), 1))));
    let file = sandbox.write("orders.csv", text);
    for arguments in [&["import", &file][..], &["import", "--dry-run", &file]] {
        let import = Import::start_with(&sandbox, arguments);
        import.wait_until_it_handles_signals().await;
        import.signal(Signal::INT);
        let output = import.end();
        let expected = "order-portal: interrupted; nothing was written, run the same command again\n";
        assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (1, "", expected));
    }
    assert_eq!(sandbox.count("orders").await, 0);
    assert_eq!(sandbox.count("import_lease").await, 0);
}

#[tokio::test]
async fn file_change_between_the_passes_stops_the_import() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    // Several blocks, so that the change comes while a part is already stored.
    let text = export(&orders_without_owner(9_000));
    let file = sandbox.write("orders.csv", &text);
    let import = Import::start(&sandbox, &file);
    wait_for_orders(&sandbox, 1).await;
    let changed = text.replacen("buyer8@", "buyer9@", usize::MAX);
    assert_eq!(text.len(), changed.len());
    // Overwrites the same file, as some editors do.
    std::fs::write(sandbox.path().join(&file), &changed).unwrap();
    let output = import.end();
    let loaded = sandbox.count("orders").await;
    let expected = format!(
        "order-portal: orders.csv was changed while it was imported; {} of 9,000 orders are loaded; run the same command again\n",
        thousands(loaded)
    );
    assert_eq!((output.status, output.stdout.as_str(), output.stderr.as_str()), (1, "", expected.as_str()));
    let mixed = "orders WHERE email = 'buyer8@example.com' AND number > '104000'";
    assert!((1..9_000).contains(&loaded), "{loaded}");
    assert!(sandbox.count(mixed).await <= 30);
    let output = sandbox.run(&["import", &file]);
    assert!(output.status == 0 && output.stdout.starts_with("9,000 orders with 9,000 lines: "), "{output:?}");
    assert_eq!(sandbox.count("orders").await, 9_000);
    assert_eq!(sandbox.count("orders WHERE email = 'buyer8@example.com'").await, 0);
}

#[tokio::test]
async fn second_import_fails_and_names_the_running_one() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let file = sandbox.write("orders.csv", export(&orders_without_owner(6_000)));
    let other = sandbox.write("other.csv", export(&[order("#1", ANN)]));
    let import = Import::start(&sandbox, &file);
    wait_for_orders(&sandbox, 1).await;
    let second = sandbox.run(&["import", &other]);
    let dry = sandbox.run(&["import", "--dry-run", &other]);
    let pid = import.child().id();
    assert_eq!(import.end().status, 0);
    assert_eq!((second.status, second.stdout.as_str()), (1, ""), "{second:?}");
    for part in ["another import is running", "host ", &format!("process {pid},"), "since 20"] {
        assert!(second.stderr.contains(part), "{part:?} is not in {}", second.stderr);
    }
    assert_eq!(second.stderr.trim_end().lines().count(), 1, "{second:?}");
    assert_eq!(
        (dry.status, dry.stdout.lines().next().unwrap_or_default()),
        (0, "1 orders with 1 lines: 1 new, 0 changed, 0 unchanged; nothing was written"),
        "{dry:?}"
    );
    assert_eq!(sandbox.first_line(&["import", &other]), "1 orders with 1 lines: 1 new, 0 changed, 0 unchanged");
    assert_eq!(sandbox.count("import_lease").await, 0, "the lease is not released");
}

/// Stores the lease of another process.
async fn store_foreign_lease(sandbox: &Sandbox, expires_in: i64) {
    let database = sandbox.database().await;
    let now = crate::token::now();
    sqlx::query("DELETE FROM import_lease").execute(&database).await.unwrap();
    sqlx::query(
        "INSERT INTO import_lease (name, holder_id, host, process_id, started_at, expires_at)
         VALUES ('orders', 'gone', 'elsewhere', 4242, $1, $2)",
    )
    .bind(now - 100)
    .bind(now + expires_in)
    .execute(&database)
    .await
    .unwrap();
    database.close().await;
}

#[tokio::test]
async fn lease_of_a_dead_process_expires() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let file = sandbox.write("orders.csv", export(&[order("#1", ANN)]));
    store_foreign_lease(&sandbox, 30).await;
    let output = sandbox.run(&["import", &file]);
    assert!(output.status == 1 && output.stderr.contains("host elsewhere, process 4242"), "{output:?}");
    assert_eq!(sandbox.count("orders").await, 0);
    // Expired, and from a clock that was a day ahead.
    for expires_in in [-1, 86_400] {
        store_foreign_lease(&sandbox, expires_in).await;
        let output = sandbox.run(&["import", &file]);
        assert_eq!(output.status, 0, "{output:?}");
    }
}

#[tokio::test]
async fn import_without_its_lease_stops_writing() {
    let sandbox = Sandbox::new().await;
    sandbox.run_ok(&["migrate"]);
    let file = sandbox.write("orders.csv", export(&orders_without_owner(6_000)));
    let import = Import::start(&sandbox, &file);
    wait_for_orders(&sandbox, 1).await;
    store_foreign_lease(&sandbox, 30).await;
    let output = import.end();
    let loaded = sandbox.count("orders").await;
    assert!((1..6_000).contains(&loaded), "{loaded}");
    let expected = format!(
        "order-portal: another import has started meanwhile; {} of 6,000 orders are loaded; run the same command again\n",
        thousands(loaded)
    );
    assert_eq!((output.status, output.stderr.as_str()), (1, expected.as_str()), "{output:?}");
    assert_eq!(sandbox.count("import_lease WHERE holder_id = 'gone'").await, 1);
}
