//! Property tests of paging, against a filter in plain Rust: for any orders, filter and page size, the pages contain each matching order
//! exactly once, in order.

use std::collections::HashMap;

use order_portal::clock::Clock;
use order_portal::database::{Database, DatabaseUrl};
use order_portal::domain::{UnixSeconds, Zone};
use order_portal::orders::{
    self, Cursor, Filter, FilterParams, ImportMode, ImportOptions, ImportSource, PageStart, ShopName, Sort,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::sandbox::Sandbox;
use crate::shop::{Row, export, line, order};

/// 2024-01-30T00:00:00Z, the first day on which orders are placed.
const FIRST_DAY: i64 = 1_706_572_800;
const DAY: i64 = 86_400;

/// More pages than any list has, so that an endless paging loop fails.
const MAX_PAGES: usize = 100;

/// Words and their folded forms.
const WORDS: [(&str, &str); 6] = [
    ("Rössle", "rossle"),
    ("TEA", "tea"),
    ("100%", "100%"),
    ("a_b", "a_b"),
    ("Straße", "strasse"),
    ("teapot", "teapot"),
];
const CURRENCIES: [&str; 3] = ["EUR", "USD", "JPY"];
/// Payment state, fulfilment state, whether the order is cancelled, and the status.
const STATES: [(&str, &str, bool, &str); 8] = [
    ("pending", "unfulfilled", false, "placed"),
    ("paid", "unfulfilled", false, "processing"),
    ("partially_refunded", "unfulfilled", false, "processing"),
    ("paid", "partial", false, "partly_sent"),
    ("paid", "fulfilled", false, "sent"),
    ("paid", "delivered", false, "delivered"),
    ("paid", "fulfilled", true, "cancelled"),
    ("refunded", "fulfilled", false, "refunded"),
];

/// A generated order. Each field has few values, so that ties occur.
#[derive(Clone, Debug)]
struct GeneratedOrder {
    day: i64,
    second: i64,
    total: i64,
    currency: usize,
    state: usize,
    words: Vec<usize>,
}

/// A generated filter.
#[derive(Clone, Debug)]
struct Criteria {
    words: Vec<usize>,
    status: Option<usize>,
    from: Option<i64>,
    to: Option<i64>,
    sort: usize,
    page: u32,
}

fn generate_order() -> impl Strategy<Value = GeneratedOrder> {
    let second = prop_oneof![Just(0), Just(DAY - 1), Just(3600)];
    (0..6_i64, second, 1..5_i64, 0..CURRENCIES.len(), 0..STATES.len(), vec(0..WORDS.len(), 1..4)).prop_map(
        |(day, second, total, currency, state, words)| GeneratedOrder { day, second, total, currency, state, words },
    )
}

fn generate_criteria() -> impl Strategy<Value = Criteria> {
    let words = prop_oneof![3 => Just(Vec::new()), 2 => vec(0..WORDS.len(), 1..3)];
    let status = proptest::option::weighted(0.3, 0..STATES.len());
    let date = || proptest::option::weighted(0.3, 0..6_i64);
    (words, status, date(), date(), 0..Sort::ALL.len(), 1..8_u32).prop_map(|(words, status, one, other, sort, page)| {
        let (from, to) = if one > other && other.is_some() { (other, one) } else { (one, other) };
        Criteria { words, status, from, to, sort, page }
    })
}

/// An imported order, for the filter in plain Rust.
#[derive(Clone, Debug)]
struct ImportedOrder {
    id: String,
    number: String,
    placed_at: i64,
    minor: i64,
    status: &'static str,
    names: Vec<&'static str>,
}

fn matches(order: &ImportedOrder, criteria: &Criteria) -> bool {
    let has = |word: &str| order.names.iter().any(|name| name.contains(word));
    criteria.words.iter().all(|word| has(WORDS[*word].1))
        && criteria.status.is_none_or(|state| order.status == STATES[state].3)
        && criteria.from.is_none_or(|day| order.placed_at >= FIRST_DAY + day * DAY)
        && criteria.to.is_none_or(|day| order.placed_at < FIRST_DAY + (day + 1) * DAY)
}

fn expected(imported: &[ImportedOrder], criteria: &Criteria) -> Vec<String> {
    let mut matching: Vec<&ImportedOrder> = imported.iter().filter(|order| matches(order, criteria)).collect();
    match Sort::ALL[criteria.sort] {
        Sort::Newest | Sort::Oldest => matching.sort_by_key(|order| (order.placed_at, order.id.clone())),
        Sort::Highest | Sort::Lowest => matching.sort_by_key(|order| (order.minor, order.id.clone())),
    }
    if matches!(Sort::ALL[criteria.sort], Sort::Newest | Sort::Highest) {
        matching.reverse();
    }
    matching.into_iter().map(|order| order.number.clone()).collect()
}

fn filter(criteria: &Criteria) -> Filter {
    let date = |day: Option<i64>| day.map(|day| UnixSeconds::new(FIRST_DAY + day * DAY).utc().date().to_string());
    let words: Vec<&str> = criteria.words.iter().map(|word| WORDS[*word].0).collect();
    let params = FilterParams {
        q: Some(words.join(" ")),
        status: criteria.status.map(|state| STATES[state].3.to_owned()),
        period: None,
        from: date(criteria.from),
        to: date(criteria.to),
        sort: Some(Sort::ALL[criteria.sort].as_str().to_owned()),
    };
    params.parse(&Zone::utc(), UnixSeconds::new(FIRST_DAY)).unwrap()
}

fn rows(case: usize, index: usize, email: &str, generated: &GeneratedOrder) -> Vec<Row> {
    let number = format!("C{case}-{index}");
    let (payment, fulfillment, is_cancelled, _) = STATES[generated.state];
    let at = |at: i64| {
        let at = UnixSeconds::new(at).to_string();
        at.replace('T', " ").replace('Z', " +0000")
    };
    let placed_at = FIRST_DAY + generated.day * DAY + generated.second;
    let first = order(&number, email)
        .with("Created at", &at(placed_at))
        .with("Financial Status", payment)
        .with("Fulfillment Status", fulfillment)
        .with("Cancelled at", &if is_cancelled { at(placed_at + 60) } else { String::new() })
        .with("Currency", CURRENCIES[generated.currency])
        .with("Total", &generated.total.to_string())
        .with("Subtotal", "1")
        .with("Shipping", "0")
        .with("Lineitem price", "1")
        .with("Lineitem sku", "")
        .with("Lineitem name", WORDS[generated.words[0]].0);
    let further = generated.words[1..].iter().map(|word| line(&number, email, WORDS[*word].0));
    [first].into_iter().chain(further).collect()
}

struct Fixture {
    sandbox: Sandbox,
    database: Database,
    clock: Clock,
}

impl Fixture {
    async fn new() -> Self {
        let sandbox = Sandbox::new().await;
        let database =
            Database::create_or_open(&DatabaseUrl::parse(sandbox.setting("DATABASE_URL")).unwrap()).await.unwrap();
        database.migrate().await.unwrap();
        Self { sandbox, database, clock: Clock::set_to(UnixSeconds::new(FIRST_DAY + 30 * DAY)) }
    }

    /// Inserts a user with a verified email; returns id and email.
    async fn insert_user(&self, name: &str) -> (String, String) {
        let email = format!("{name}@example.com");
        sqlx::query("INSERT INTO users (id, email, password_hash, created_at, verified_at) VALUES ($1, $2, '', 1, 1)")
            .bind(name)
            .bind(&email)
            .execute(self.database.writer())
            .await
            .unwrap();
        (name.to_owned(), email)
    }

    async fn import(&self, rows: &[Row]) {
        let file = self.sandbox.path().join(self.sandbox.write("orders.csv", export(rows)));
        let options = ImportOptions {
            mode: ImportMode::Load,
            skip_invalid: false,
            shop: ShopName::default(),
            columns: Vec::new(),
            zone: Zone::utc(),
            order_mails: false,
        };
        orders::import(&self.database, &self.clock, &[ImportSource::File(file)], &options, &mut |_| {}).await.unwrap();
    }

    async fn imported(&self, user_id: &str, case: usize, generated: &[GeneratedOrder]) -> Vec<ImportedOrder> {
        let ids: Vec<(String, String)> = sqlx::query_as("SELECT number, id FROM orders WHERE user_id = $1")
            .bind(user_id)
            .fetch_all(self.database.reader())
            .await
            .unwrap();
        let ids: HashMap<String, String> = ids.into_iter().collect();
        let imported = |(index, generated): (usize, &GeneratedOrder)| {
            let number = format!("C{case}-{index}");
            let decimals = if CURRENCIES[generated.currency] == "JPY" { 1 } else { 100 };
            ImportedOrder {
                id: ids[&number].clone(),
                number,
                placed_at: FIRST_DAY + generated.day * DAY + generated.second,
                minor: generated.total * decimals,
                status: STATES[generated.state].3,
                names: generated.words.iter().map(|word| WORDS[*word].1).collect(),
            }
        };
        generated.iter().enumerate().map(imported).collect()
    }

    async fn page(&self, user_id: &str, filter: &Filter, start: &PageStart, size: u32) -> Page {
        let (engine, reader) = (self.database.engine(), self.database.reader());
        let (_, page) = orders::find_page(engine, reader, user_id, filter, start, size).await.unwrap();
        // As text, as in a URL.
        let at = |order| Cursor::parse(&Cursor::at(order, filter.sort()).to_string(), filter.sort()).unwrap();
        Page {
            numbers: page.orders.iter().map(|order| order.number.as_str().to_owned()).collect(),
            first: page.orders.first().map(at),
            last: page.orders.last().map(at),
            has_more: page.has_more,
        }
    }

    async fn forward(&self, user_id: &str, filter: &Filter, size: u32) -> Vec<Page> {
        let (mut pages, mut from) = (Vec::new(), PageStart::First);
        loop {
            let page = self.page(user_id, filter, &from, size).await;
            let next = page.last.clone().filter(|_| page.has_more);
            pages.push(page);
            let Some(next) = next.filter(|_| pages.len() < MAX_PAGES) else { return pages };
            from = PageStart::After(next);
        }
    }

    /// The pages before `start`, in the order of the list.
    async fn back(&self, user_id: &str, filter: &Filter, size: u32, start: &Page) -> Vec<Page> {
        let (mut pages, mut before) = (Vec::new(), start.first.clone());
        while let Some(cursor) = before.filter(|_| pages.len() < MAX_PAGES) {
            let page = self.page(user_id, filter, &PageStart::Before(cursor), size).await;
            before = page.first.clone().filter(|_| page.has_more);
            pages.insert(0, page);
        }
        pages
    }
}

struct Page {
    numbers: Vec<String>,
    first: Option<Cursor>,
    last: Option<Cursor>,
    has_more: bool,
}

fn all_numbers(pages: &[Page]) -> Vec<String> {
    pages.iter().flat_map(|page| page.numbers.clone()).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// No file for failed cases: a failure prints its smallest case.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() })
}

#[test]
fn pages_contain_each_matching_order_once_in_order() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::new());
    let cases = std::cell::Cell::new(0);
    let input = (vec(generate_order(), 0..60), vec(generate_criteria(), 4));
    let done = runner(48).run(&input, |(generated, filters)| {
        let case = cases.replace(cases.get() + 1);
        runtime.block_on(async {
            let (user, email) = fixture.insert_user(&format!("user{case}")).await;
            let rows: Vec<Row> = generated
                .iter()
                .enumerate()
                .flat_map(|(index, generated)| rows(case, index, &email, generated))
                .collect();
            fixture.import(&rows).await;
            let imported = fixture.imported(&user, case, &generated).await;
            for criteria in filters {
                let (filter, expected) = (filter(&criteria), expected(&imported, &criteria));
                let pages = fixture.forward(&user, &filter, criteria.page).await;
                prop_assert_eq!(all_numbers(&pages), expected.clone(), "forward: {:?}", criteria);
                let size = criteria.page as usize;
                let (last, others) = pages.split_last().unwrap();
                prop_assert!(others.iter().all(|page| page.numbers.len() == size), "a short page: {:?}", criteria);
                prop_assert!(last.numbers.len() <= size && (others.is_empty() || !last.numbers.is_empty()));
                let mut back = all_numbers(&fixture.back(&user, &filter, criteria.page, last).await);
                back.extend(last.numbers.clone());
                prop_assert_eq!(back, expected, "back: {:?}", criteria);
            }
            Ok(())
        })
    });
    runtime.block_on(fixture.database.close());
    done.unwrap();
}

#[test]
fn orders_inserted_between_pages_cause_no_gap_or_duplicate() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::new());
    let cases = std::cell::Cell::new(0);
    let input = (vec(generate_order(), 1..40), vec(generate_order(), 1..12), generate_criteria());
    let done = runner(24).run(&input, |(generated, inserted, criteria)| {
        let case = cases.replace(cases.get() + 1);
        runtime.block_on(async {
            let (user, email) = fixture.insert_user(&format!("user{case}")).await;
            let both: Vec<GeneratedOrder> = generated.iter().chain(&inserted).cloned().collect();
            let rows_of = |index: usize| rows(case, index, &email, &both[index]);
            fixture.import(&(0..generated.len()).flat_map(rows_of).collect::<Vec<_>>()).await;
            let old = expected(&fixture.imported(&user, case, &generated).await, &criteria);
            let filter = filter(&criteria);
            let (mut seen, mut from, mut next_insert) = (Vec::new(), PageStart::First, generated.len());
            loop {
                let page = fixture.page(&user, &filter, &from, criteria.page).await;
                seen.extend(page.numbers.clone());
                let Some(next) = page.last.filter(|_| page.has_more && seen.len() < MAX_PAGES) else { break };
                from = PageStart::After(next);
                if next_insert < both.len() {
                    fixture.import(&rows_of(next_insert)).await;
                    next_insert += 1;
                }
            }
            let mut once = seen.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), seen.len(), "an order came twice: {:?} in {:?}", criteria, seen);
            let seen_old: Vec<String> = seen.into_iter().filter(|number| old.contains(number)).collect();
            prop_assert_eq!(seen_old, old, "{:?}", criteria);
            Ok(())
        })
    });
    runtime.block_on(fixture.database.close());
    done.unwrap();
}
