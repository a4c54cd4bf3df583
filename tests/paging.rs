//! Walking a list page by page, checked against a filter that is written here once more in plain Rust: whatever the orders, the filter
//! and the size of a page, each matching order is met exactly once and in order.

use std::collections::HashMap;

use order_portal::clock::{Clock, UnixSeconds};
use order_portal::database::{Database, DatabaseUrl};
use order_portal::orders::{self, Cursor, Filter, FilterParams, ImportMode, ImportSource, PageStart, Sort};
use order_portal::web::Zone;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::place::Place;
use crate::shop::{Row, export, line, order};

/// 2024-01-30T00:00:00Z. Orders are placed within weeks of it.
const FIRST: i64 = 1_706_572_800;
const DAY: i64 = 86_400;

/// More pages than any walk here has: one that goes round in circles ends, and fails.
const TOO_MANY: usize = 100;

/// Words as they are written and as they are found.
const WORDS: [(&str, &str); 6] = [
    ("Rössle", "rossle"),
    ("TEA", "tea"),
    ("100%", "100%"),
    ("a_b", "a_b"),
    ("Straße", "strasse"),
    ("teapot", "teapot"),
];
const CURRENCIES: [&str; 3] = ["EUR", "USD", "JPY"];
/// Shopify's words for payment and fulfilment, whether it was cancelled, and what all that is called here.
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

/// An order, as far as lists care. The few values of each part make for ties.
#[derive(Clone, Debug)]
struct Made {
    day: i64,
    second: i64,
    total: i64,
    currency: usize,
    state: usize,
    words: Vec<usize>,
}

/// What a list is asked for.
#[derive(Clone, Debug)]
struct Wish {
    words: Vec<usize>,
    status: Option<usize>,
    from: Option<i64>,
    to: Option<i64>,
    sort: usize,
    page: u32,
}

fn made() -> impl Strategy<Value = Made> {
    let moment = prop_oneof![Just(0), Just(DAY - 1), Just(3600)];
    (0..6_i64, moment, 1..5_i64, 0..CURRENCIES.len(), 0..STATES.len(), vec(0..WORDS.len(), 1..4))
        .prop_map(|(day, second, total, currency, state, words)| Made { day, second, total, currency, state, words })
}

fn wish() -> impl Strategy<Value = Wish> {
    let words = prop_oneof![3 => Just(Vec::new()), 2 => vec(0..WORDS.len(), 1..3)];
    let status = proptest::option::weighted(0.3, 0..STATES.len());
    let date = || proptest::option::weighted(0.3, 0..6_i64);
    (words, status, date(), date(), 0..Sort::ALL.len(), 1..8_u32).prop_map(|(words, status, one, other, sort, page)| {
        let (from, to) = if one > other && other.is_some() { (other, one) } else { (one, other) };
        Wish { words, status, from, to, sort, page }
    })
}

/// An order that was imported, as the independent filter sees it.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    number: String,
    placed_at: i64,
    minor: i64,
    status: &'static str,
    names: Vec<&'static str>,
}

fn matches(order: &Known, wish: &Wish) -> bool {
    let has = |word: &str| order.names.iter().any(|name| name.contains(word));
    wish.words.iter().all(|word| has(WORDS[*word].1))
        && wish.status.is_none_or(|state| order.status == STATES[state].3)
        && wish.from.is_none_or(|day| order.placed_at >= FIRST + day * DAY)
        && wish.to.is_none_or(|day| order.placed_at < FIRST + (day + 1) * DAY)
}

fn expected(known: &[Known], wish: &Wish) -> Vec<String> {
    let mut left: Vec<&Known> = known.iter().filter(|order| matches(order, wish)).collect();
    match Sort::ALL[wish.sort] {
        Sort::Newest | Sort::Oldest => left.sort_by_key(|order| (order.placed_at, order.id.clone())),
        Sort::Highest | Sort::Lowest => left.sort_by_key(|order| (order.minor, order.id.clone())),
    }
    if matches!(Sort::ALL[wish.sort], Sort::Newest | Sort::Highest) {
        left.reverse();
    }
    left.into_iter().map(|order| order.number.clone()).collect()
}

fn filter(wish: &Wish) -> Filter {
    let date = |day: Option<i64>| day.map(|day| UnixSeconds::new(FIRST + day * DAY).utc().date().to_string());
    let words: Vec<&str> = wish.words.iter().map(|word| WORDS[*word].0).collect();
    let params = FilterParams {
        q: Some(words.join(" ")),
        status: wish.status.map(|state| STATES[state].3.to_owned()),
        period: None,
        from: date(wish.from),
        to: date(wish.to),
        sort: Some(Sort::ALL[wish.sort].as_str().to_owned()),
    };
    params.parse(&Zone::utc(), UnixSeconds::new(FIRST)).unwrap()
}

fn rows(case: usize, index: usize, email: &str, made: &Made) -> Vec<Row> {
    let number = format!("C{case}-{index}");
    let (payment, fulfillment, is_cancelled, _) = STATES[made.state];
    let at = |at: i64| {
        let at = UnixSeconds::new(at).to_string();
        at.replace('T', " ").replace('Z', " +0000")
    };
    let placed_at = FIRST + made.day * DAY + made.second;
    let first = order(&number, email)
        .with("Created at", &at(placed_at))
        .with("Financial Status", payment)
        .with("Fulfillment Status", fulfillment)
        .with("Cancelled at", &if is_cancelled { at(placed_at + 60) } else { String::new() })
        .with("Currency", CURRENCIES[made.currency])
        .with("Total", &made.total.to_string())
        .with("Subtotal", "1")
        .with("Shipping", "0")
        .with("Lineitem price", "1")
        .with("Lineitem sku", "")
        .with("Lineitem name", WORDS[made.words[0]].0);
    let further = made.words[1..].iter().map(|word| line(&number, email, WORDS[*word].0));
    [first].into_iter().chain(further).collect()
}

struct World {
    place: Place,
    database: Database,
    clock: Clock,
}

impl World {
    async fn new() -> Self {
        let place = Place::new().await;
        let database =
            Database::create_or_open(&DatabaseUrl::parse(place.setting("DATABASE_URL")).unwrap()).await.unwrap();
        database.migrate().await.unwrap();
        Self { place, database, clock: Clock::set_to(UnixSeconds::new(FIRST + 30 * DAY)) }
    }

    /// A user of that name whose address is verified.
    async fn user(&self, name: &str) -> (String, String) {
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
        let file = self.place.path().join(self.place.write("orders.csv", export(rows)));
        orders::import(&self.database, &self.clock, ImportSource::File(file), ImportMode::Load, &mut |_| {})
            .await
            .unwrap();
    }

    async fn known(&self, user_id: &str, case: usize, made: &[Made]) -> Vec<Known> {
        let ids: Vec<(String, String)> = sqlx::query_as("SELECT number, id FROM orders WHERE user_id = $1")
            .bind(user_id)
            .fetch_all(self.database.reader())
            .await
            .unwrap();
        let ids: HashMap<String, String> = ids.into_iter().collect();
        let known = |(index, made): (usize, &Made)| {
            let number = format!("C{case}-{index}");
            let decimals = if CURRENCIES[made.currency] == "JPY" { 1 } else { 100 };
            Known {
                id: ids[&number].clone(),
                number,
                placed_at: FIRST + made.day * DAY + made.second,
                minor: made.total * decimals,
                status: STATES[made.state].3,
                names: made.words.iter().map(|word| WORDS[*word].1).collect(),
            }
        };
        made.iter().enumerate().map(known).collect()
    }

    /// The numbers on the part that is asked for, the places at its ends, and whether there are more.
    async fn part(&self, user_id: &str, filter: &Filter, from: &PageStart, page: u32) -> Page {
        let read = self.database.read(async |snapshot| orders::find_page(snapshot, user_id, filter, from, page).await);
        let part = read.await.unwrap();
        // A place goes out into an address and comes back from it.
        let at = |order| Cursor::parse(&Cursor::at(order, filter.sort()).to_string(), filter.sort()).unwrap();
        Page {
            numbers: part.orders.iter().map(|order| order.number.as_str().to_owned()).collect(),
            first: part.orders.first().map(at),
            last: part.orders.last().map(at),
            has_more: part.has_more,
        }
    }

    async fn forward(&self, user_id: &str, filter: &Filter, size: u32) -> Vec<Page> {
        let (mut pages, mut from) = (Vec::new(), PageStart::First);
        loop {
            let page = self.part(user_id, filter, &from, size).await;
            let next = page.last.clone().filter(|_| page.has_more);
            pages.push(page);
            let Some(next) = next.filter(|_| pages.len() < TOO_MANY) else { return pages };
            from = PageStart::After(next);
        }
    }

    /// The pages before that one, the nearest last.
    async fn back(&self, user_id: &str, filter: &Filter, size: u32, start: &Page) -> Vec<Page> {
        let (mut pages, mut before) = (Vec::new(), start.first.clone());
        while let Some(cursor) = before.filter(|_| pages.len() < TOO_MANY) {
            let page = self.part(user_id, filter, &PageStart::Before(cursor), size).await;
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

fn all(pages: &[Page]) -> Vec<String> {
    pages.iter().flat_map(|page| page.numbers.clone()).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A few dozen cases, and no file that remembers failed ones: a failure prints its smallest case.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() })
}

#[test]
fn walking_forward_and_back_meets_each_matching_order_once_and_in_order() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let cases = std::cell::Cell::new(0);
    let set_and_wishes = (vec(made(), 0..60), vec(wish(), 4));
    let done = runner(48).run(&set_and_wishes, |(made, wishes)| {
        let case = cases.replace(cases.get() + 1);
        runtime.block_on(async {
            let (user, email) = world.user(&format!("user{case}")).await;
            let rows: Vec<Row> =
                made.iter().enumerate().flat_map(|(index, made)| rows(case, index, &email, made)).collect();
            world.import(&rows).await;
            let known = world.known(&user, case, &made).await;
            for wish in wishes {
                let (filter, expected) = (filter(&wish), expected(&known, &wish));
                let pages = world.forward(&user, &filter, wish.page).await;
                prop_assert_eq!(all(&pages), expected.clone(), "forward: {:?}", wish);
                let size = wish.page as usize;
                let (last, others) = pages.split_last().unwrap();
                prop_assert!(others.iter().all(|page| page.numbers.len() == size), "a short page: {:?}", wish);
                prop_assert!(last.numbers.len() <= size && (others.is_empty() || !last.numbers.is_empty()));
                let mut back = all(&world.back(&user, &filter, wish.page, last).await);
                back.extend(last.numbers.clone());
                prop_assert_eq!(back, expected, "back: {:?}", wish);
            }
            Ok(())
        })
    });
    runtime.block_on(world.database.close());
    done.unwrap();
}

#[test]
fn orders_that_arrive_during_a_walk_make_none_of_the_others_vanish_or_come_twice() {
    let runtime = runtime();
    let world = runtime.block_on(World::new());
    let cases = std::cell::Cell::new(0);
    let walk = (vec(made(), 1..40), vec(made(), 1..12), wish());
    let done = runner(24).run(&walk, |(made, arriving, wish)| {
        let case = cases.replace(cases.get() + 1);
        runtime.block_on(async {
            let (user, email) = world.user(&format!("user{case}")).await;
            let both: Vec<Made> = made.iter().chain(&arriving).cloned().collect();
            let rows_of = |index: usize| rows(case, index, &email, &both[index]);
            world.import(&(0..made.len()).flat_map(rows_of).collect::<Vec<_>>()).await;
            let old = expected(&world.known(&user, case, &made).await, &wish);
            let filter = filter(&wish);
            let (mut seen, mut from, mut next_to_arrive) = (Vec::new(), PageStart::First, made.len());
            loop {
                let page = world.part(&user, &filter, &from, wish.page).await;
                seen.extend(page.numbers.clone());
                let Some(next) = page.last.filter(|_| page.has_more && seen.len() < TOO_MANY) else { break };
                from = PageStart::After(next);
                if next_to_arrive < both.len() {
                    world.import(&rows_of(next_to_arrive)).await;
                    next_to_arrive += 1;
                }
            }
            let mut once = seen.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), seen.len(), "an order came twice: {:?} in {:?}", wish, seen);
            let met: Vec<String> = seen.into_iter().filter(|number| old.contains(number)).collect();
            prop_assert_eq!(met, old, "{:?}", wish);
            Ok(())
        })
    });
    runtime.block_on(world.database.close());
    done.unwrap();
}
