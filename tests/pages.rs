//! Every page in every state that it can be in: well-formed, with its title and heading, fields with labels, links that lead
//! somewhere, and whatever a stranger wrote as text.

use std::collections::BTreeSet;
use std::path::Path;

use order_portal::web::Notice;
use reqwest::Method;
use strum::VariantArray;

use crate::actions::{press, reorder};
use crate::app::{PASSWORD, TestApp};
use crate::hostile::filled;
use crate::html::{HOSTILE, faults};
use crate::http::{self, Answer, Visitor};
use crate::mailbox::{self, CONFIRM, CONFIRM_NEW, NEW_PASSWORD};
use crate::orders::{import, link, numbers};
use crate::shop::{Row, line, order};

const ANN: &str = "ann@example.com";
const WRONG: &str = "not the password at all";
const LONG: usize = 5_000;

/// Each template, words that no other has, and the test below that shows it.
const TEMPLATES: [(&str, &str, &str); 28] = [
    ("_verify_banner.html", "<button class=\"plain\" type=\"submit\">Send it again</button>", "orders"),
    ("accounts/_activity.html", "<p class=\"where\"><time datetime=\"", "account"),
    ("accounts/activity.html", "What happened to your account in the last 90 days", "account"),
    ("accounts/confirmed.html", "There is nothing left to do.", "entrance"),
    ("accounts/link_expired.html", "Links in mail work once and for a limited time", "entrance"),
    ("accounts/delete.html", "Delete my account", "account"),
    ("accounts/forgot.html", "Tell us your e-mail address", "entrance"),
    ("accounts/forgot_sent.html", "a mail with a link is on its way", "entrance"),
    ("accounts/login.html", "id=\"remember-help\"", "entrance"),
    ("accounts/not_me.html", "action=\"/not-me\"", "entrance"),
    ("accounts/recovery_expired.html", "The link in a security mail works once", "entrance"),
    ("accounts/account.html", "<section id=\"time-zone\"", "account"),
    ("accounts/reset.html", "action=\"/password/reset\"", "entrance"),
    ("accounts/signup.html", "The one that you order with.", "entrance"),
    ("accounts/time_zone.html", "as the clocks there show them", "account"),
    ("accounts/verify.html", "action=\"/verify\"", "entrance"),
    ("same_site_reload.html", "http-equiv=\"refresh\"", "errors"),
    ("error.html", "<p class=\"code\">Error ", "errors"),
    ("front.html", "<section class=\"front\">", "entrance"),
    ("layout.html", "<a class=\"skip\" href=\"#main\">", "entrance"),
    ("mail/inbox.html", "Only the development server has this page.", "mail"),
    ("mail/email.html", "<div class=\"email-text\">", "mail"),
    ("mail/message.html", "Or copy this address into the browser", "mail"),
    ("mail/message.txt", "\n--\nOrder portal, ", "mail"),
    ("orders/_chart.html", "<figure class=\"chart\">", "orders"),
    ("orders/detail.html", "<h2 id=\"lines\">", "orders"),
    ("orders/list.html", "<h1 id=\"orders\">", "orders"),
    ("orders/list.html", "<h2>No orders yet</h2>", "orders"),
];

#[test]
fn template_table_has_every_template() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { open.push(entry) } else { files.push(entry) }
        }
    }
    let name = |file: &Path| file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    let there: BTreeSet<String> = files.iter().map(|file| name(file)).collect();
    assert_eq!(there, TEMPLATES.iter().map(|(file, _, _)| (*file).to_owned()).collect());
    for (template, words, _) in TEMPLATES {
        let holds = |file: &&std::path::PathBuf| std::fs::read_to_string(file).unwrap().contains(words);
        let holders: Vec<String> = files.iter().filter(holds).map(|file| name(file)).collect();
        assert_eq!(holders, [template], "{words:?}");
    }
}

/// What one of the tests has looked at.
struct Pages {
    test: &'static str,
    seen: BTreeSet<&'static str>,
    wrong: Vec<String>,
}

impl Pages {
    fn new(test: &'static str) -> Self {
        Self { test, seen: BTreeSet::new(), wrong: Vec::new() }
    }

    /// Checks a page and that it holds what makes this its state.
    fn look(&mut self, state: &str, answer: &Answer, status: u16, holds: &[&str]) {
        let html = answer.text();
        if answer.status != status || answer.header("content-type") != Some("text/html; charset=utf-8") {
            self.wrong.push(format!("{state}: {} {:?}: {html}", answer.status, answer.header("content-type")));
            return;
        }
        self.look_at(state, &html, holds);
    }

    fn look_at(&mut self, state: &str, html: &str, holds: &[&str]) {
        let missing = holds.iter().filter(|words| !html.contains(**words));
        self.wrong.extend(missing.map(|words| format!("{state}: {words:?} is not on the page: {html}")));
        self.wrong.extend(faults(html).into_iter().map(|fault| format!("{state}: {fault}")));
        self.note(html);
    }

    fn note(&mut self, text: &str) {
        self.seen.extend(TEMPLATES.iter().map(|(_, words, _)| *words).filter(|words| text.contains(words)));
    }

    fn done(self) {
        assert!(self.wrong.is_empty(), "{} faults:\n{}", self.wrong.len(), self.wrong.join("\n"));
        let of_test = TEMPLATES.iter().filter(|(_, _, test)| *test == self.test);
        let unseen: Vec<_> = of_test.filter(|(_, words, _)| !self.seen.contains(words)).collect();
        assert!(unseen.is_empty(), "never rendered: {unseen:?}");
    }
}

/// Text as it stands in HTML.
fn escaped(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        '<' | '>' | '&' | '"' | '\'' => format!("&#{};", u32::from(letter)),
        other => other.to_string(),
    });
    letters.collect()
}

async fn run(app: &TestApp, sql: &'static str) {
    sqlx::query(sql).execute(&app.database().await).await.unwrap();
}

#[tokio::test]
async fn entrance_pages_are_well_formed_in_every_state() {
    let app = TestApp::start().await;
    let mut pages = Pages::new("entrance");
    let mut guest = app.visitor();
    let (long, hostile) = ("w".repeat(LONG), escaped(HOSTILE));
    pages.look("front", &guest.get("/").await, 200, &["Development server"]);

    pages.look("login", &guest.get("/login").await, 200, &["aria-current=\"page\""]);
    let next = http::send(app.request(Method::GET, "/login").query(&[("next", "/orders?q=\"><b>&x")])).await;
    pages.look("login with a way back", &next, 200, &["name=\"next\" value=\"/orders?q=&#34;&#62;&#60;b&#62;&#38;x\""]);
    for (state, email, holds) in [
        ("login, wrong password", "bob@example.com", "value=\"bob@example.com\""),
        ("login, no address", "", "href=\"#email\""),
        ("login, hostile address", HOSTILE, &format!("value=\"{hostile}\"")),
        ("login, long address", &long, &long),
    ] {
        let fields = [("email", email), ("password", WRONG), ("remember", "on"), ("next", "/orders/1?a=b&c")];
        pages.look(state, &guest.post("/login", &fields).await, 401, &[holds, "role=\"alert\"", " checked"]);
    }

    pages.look("sign-up", &guest.get("/signup").await, 200, &[]);
    for (state, email, password, holds) in [
        ("sign-up, address", "ann@", PASSWORD, "please type it once more"),
        ("sign-up, password", ANN, "short", "id=\"password-error\""),
        ("sign-up, both", "", "", "id=\"email-error\""),
        ("sign-up, hostile address", HOSTILE, HOSTILE, &format!("value=\"{hostile}\"")),
        ("sign-up, long address", &long, &long, &long),
    ] {
        pages.look(state, &guest.post("/signup", &[("email", email), ("password", password)]).await, 422, &[holds]);
    }

    pages.look("forgot", &guest.get("/password/forgot").await, 200, &[]);
    for (state, email) in [("forgot, wrong", "ann@"), ("forgot, hostile", HOSTILE), ("forgot, long", &long)] {
        let answer = guest.post("/password/forgot", &[("email", email)]).await;
        pages.look(state, &answer, 422, &["id=\"email-error\"", &escaped(email)]);
    }
    pages.look("forgot, sent", &guest.get("/password/forgot?sent=1").await, 200, &["href=\"/dev/mail\""]);

    let mut ann = app.customer(ANN).await;
    guest.post("/password/forgot", &[("email", ANN)]).await;
    ann.post("/account/email", &[("email", "ann&co@example.com"), ("password", PASSWORD)]).await;
    let reset = mailbox::mail_to(&app, ANN, NEW_PASSWORD).await;
    let verify = mailbox::mail_to(&app, ANN, CONFIRM).await;
    let change = mailbox::mail_to(&app, "ann&co@example.com", CONFIRM_NEW).await;
    for (who, visitor) in [("anonymous", &mut guest), ("customer", &mut ann)] {
        pages.look(&format!("reset, {who}"), &visitor.get(reset.path()).await, 200, &[ANN]);
        let weak = visitor.post("/password/reset", &[("token", reset.token()), ("password", "sh0rt!q")]).await;
        pages.look(&format!("reset, weak, {who}"), &weak, 422, &["id=\"password-error\""]);
        pages.look(&format!("verify, {who}"), &visitor.get(verify.path()).await, 200, &["An account here has"]);
        let changed = visitor.get(change.path()).await;
        pages.look(&format!("verify a change, {who}"), &changed, 200, &["ann&#38;co@example.com"]);
        for path in ["/verify", "/password/reset"] {
            let state = format!("{path}, no link, {who}");
            let way_on = match (path, who) {
                ("/password/reset", _) => "Ask for a new link",
                (_, "customer") => "Go to your orders",
                _ => "Log in for a new link",
            };
            pages.look(&state, &visitor.get(&format!("{path}?token=%3Cx")).await, 404, &[way_on]);
            let pressed = visitor.post(path, &[("token", HOSTILE), ("password", PASSWORD)]).await;
            pages.look(&state, &pressed, 422, &[way_on]);
        }
    }
    let wrong = [("token", change.token()), ("password", WRONG)];
    let wrong = guest.post("/verify", &wrong).await;
    pages.look("verify a change, wrong password", &wrong, 401, &["id=\"password-error\"", "a…@example.com"]);
    for _ in 0..11 {
        guest.post("/login", &[("email", ANN), ("password", WRONG)]).await;
    }
    let limited = guest.post("/verify", &[("token", verify.token()), ("password", PASSWORD)]).await;
    pages.look("verify, rate limited", &limited, 429, &["Try again in", "action=\"/verify\""]);
    ann.post("/verify", &[("token", verify.token())]).await;
    pages.look("verify, again", &ann.get(verify.path()).await, 200, &["is confirmed"]);
    let dead = ann.get("/verify?token=x").await;
    pages.look("no link, address confirmed", &dead, 404, &["Your email address ann@example.com is confirmed"]);
    let limited = guest.post("/login", &[("email", ANN), ("password", WRONG)]).await;
    pages.look("login, rate limited", &limited, 429, &["Try again in", "action=\"/login\""]);
    look_at_recovery_pages(&app, &mut pages, &mut ann).await;
    pages.done();
}

/// The pages of recovery links, of Ann, who is logged in and has confirmed her address.
async fn look_at_recovery_pages(app: &TestApp, pages: &mut Pages, ann: &mut Visitor) {
    let mut guest = app.visitor();
    ann.post("/account/password", &[("current_password", PASSWORD), ("new_password", WRONG)]).await;
    let new_password = mailbox::mail_to(app, ANN, "Your password was changed").await;
    ann.post("/account/email", &[("email", "ann&sons@example.com"), ("password", WRONG)]).await;
    let change = mailbox::mail_to(app, "ann&sons@example.com", CONFIRM_NEW).await;
    for (who, visitor) in [("anonymous", &mut guest), ("customer", &mut *ann)] {
        let page = visitor.get(new_password.path()).await;
        pages.look(&format!("recovery, same address, {who}"), &page, 200, &["Secure the account", ANN]);
        assert!(!page.text().contains("in place of"), "{}", page.text());
    }
    ann.post("/verify", &[("token", change.token())]).await;
    let new_address = mailbox::mail_to(app, ANN, "Your e-mail address was changed").await;
    let page = guest.get(new_address.path()).await;
    pages.look("recovery, another address", &page, 200, &["in place of a…@example.com", ANN]);
    assert!(!page.text().contains("sons"), "{}", page.text());
    assert_eq!(guest.post("/not-me", &[("token", new_address.token())]).await.leads_to(), (303, "/login"));
    pages.look("login after recovery", &guest.get("/login").await, 200, &["The account is secured"]);
    for path in [new_address.path(), "/not-me", "/not-me?token=%3Cx"] {
        pages.look("recovery, no link", &guest.get(path).await, 404, &["Choose a new password by mail"]);
    }
    for token in [new_address.token(), HOSTILE, ""] {
        let pressed = guest.post("/not-me", &[("token", token)]).await;
        pages.look("recovery, no link pressed", &pressed, 422, &["Choose a new password by mail"]);
    }
}

#[tokio::test]
async fn notices_and_pages_of_production_are_well_formed() {
    let production =
        [("APP_ENV", "production"), ("PUBLIC_URL", "https://shop.example"), ("MAIL_URL", "file://data/mail")];
    let app = TestApp::start_with(&production).await;
    let mut pages = Pages::new("production");
    let get = |path: &str, notice: &str| {
        let request = app.request(Method::GET, path).header("host", "shop.example");
        http::send(request.header("cookie", format!("__Host-notice={notice}")))
    };
    for path in ["/", "/login", "/signup", "/password/forgot", "/password/forgot?sent=1"] {
        let answer = get(path, "").await;
        pages.look(path, &answer, 200, &[]);
        assert!(!answer.text().contains("Development server") && !answer.text().contains("/dev/mail"), "{path}");
        assert!(!answer.text().contains("class=\"notice\""), "{path}");
    }
    pages.look("nothing there", &get("/nothing", "").await, 404, &[]);
    let request = app.request(Method::GET, "/login?next=%2Forders").header("host", "shop.example");
    let answer = http::send(request.header("referer", "https://shop.example/login")).await;
    pages.look("cookie not kept", &answer, 200, &["did not keep the cookie"]);
    let codes: Vec<&str> = Notice::VARIANTS.iter().map(|notice| (*notice).into()).collect();
    assert!(codes.len() > 10 && codes.contains(&"logged-out"), "{codes:?}");
    for code in codes {
        pages.look(code, &get("/login", code).await, 200, &["<p class=\"notice\" role=\"status\">"]);
    }
    pages.done();
}

#[tokio::test]
async fn account_pages_are_well_formed_in_every_state() {
    let app = TestApp::start().await;
    let mut pages = Pages::new("account");
    let mut ann = app.visitor();
    let sign_up = ann.request(Method::POST, "/signup").header("user-agent", HOSTILE);
    let answer = ann.send(sign_up.form(&[("email", "ann&co'<s>@example.com"), ("password", PASSWORD)])).await;
    assert_eq!(answer.status, 422, "an address like this cannot be had");
    let sign_up = ann.request(Method::POST, "/signup").header("user-agent", HOSTILE);
    let answer = ann.send(sign_up.form(&[("email", "ann&co's@example.com"), ("password", PASSWORD)])).await;
    assert_eq!(answer.leads_to(), (303, "/orders"));
    pages.look("account", &ann.get("/account").await, 200, &["not confirmed yet", "ann&#38;co&#39;s@example.com"]);
    for agent in ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "", &"w".repeat(LONG)] {
        let request = app.request(Method::POST, "/login").header("user-agent", agent);
        http::send(request.form(&[("email", "ann&co's@example.com"), ("password", PASSWORD)])).await;
    }
    let body = serde_json::json!({ "email": "ann&co's@example.com", "password": PASSWORD });
    assert_eq!(app.api_post("/api/login", &body).await.status, 200);
    let several = ann.get("/account").await;
    pages.look(
        "account, several sessions",
        &several,
        200,
        &["End all others", "(an app or script)", "Firefox on Linux"],
    );
    app.done(&["user", "verify", "ann&co's@example.com"]);
    pages.look("account, confirmed", &ann.get("/account").await, 200, &[", confirmed."]);
    pages.look("activity", &ann.get("/account/activity").await, 200, &["The shop"]);

    let long = "w".repeat(LONG);
    for (state, email) in [("none", ""), ("wrong", "ann@"), ("hostile", HOSTILE), ("long", &long)] {
        let answer = ann.post("/account/email", &[("email", email)]).await;
        pages.look(&format!("address, {state}"), &answer, 422, &["id=\"new-email-error\"", &escaped(email)]);
    }
    for (state, current, new, holds) in [
        ("both", "", "short", "id=\"new-password-error\""),
        ("current", WRONG, "eleven brass owls in a row", "id=\"current-password-error\""),
        ("new", PASSWORD, "sh0rt!q", "id=\"new-password-error\""),
        ("long", PASSWORD, &long, "id=\"new-password-error\""),
    ] {
        let answer = ann.post("/account/password", &[("current_password", current), ("new_password", new)]).await;
        pages.look(&format!("password, {state}"), &answer, 422, &[holds, "Nothing was changed yet"]);
    }

    pages.look("delete", &ann.get("/account/delete").await, 200, &[]);
    let wrong = ann.post("/account/delete", &[("password", HOSTILE)]).await;
    pages.look("delete, wrong password", &wrong, 422, &["id=\"password-error\""]);
    pages.look("time zone", &ann.get("/account/time-zone").await, 200, &[" selected>"]);
    for zone in [HOSTILE, "", &long] {
        let answer = ann.post("/account/time-zone", &[("zone", zone)]).await;
        pages.look("time zone, none of the list", &answer, 422, &["id=\"zone-error\""]);
    }

    for (state, password, says) in
        [("no password", "", "Enter your password"), ("wrong password", HOSTILE, "That is not your password")]
    {
        let fields = [("email", "new&'@example.com"), ("password", password)];
        let answer = ann.post("/account/email", &fields).await;
        let holds =
            ["id=\"email-password-error\"", "value=\"new&#38;&#39;@example.com\"", "Nothing was changed yet", says];
        pages.look(&format!("address, {state}"), &answer, 422, &holds);
        let answer = ann.post("/account/export", &[("password", password)]).await;
        let holds = ["id=\"export-password-error\"", "Nothing was downloaded yet", says];
        pages.look(&format!("export, {state}"), &answer, 422, &holds);
    }
    pages.done();
}

/// A customer whose account has orders with everything that a shop can write, and with nothing that it need not.
async fn customer_with_odd_orders(app: &TestApp) -> Visitor {
    let ann = app.verified_customer(ANN).await;
    let bare =
        ["Shipping Name", "Shipping Address1", "Shipping City", "Shipping Zip", "Shipping Country", "Lineitem sku"];
    let bare = bare.into_iter().fold(order("#bare", ANN), |row, column| row.with(column, ""));
    let costs = order("#costs", ANN)
        .with("Discount Amount", "3.00")
        .with("Taxes", "1.00")
        .with("Total", "27.90")
        .with("Financial Status", "partially_refunded")
        .with("Refunded Amount", "5.00")
        .with("Lineitem discount", "1.50");
    let waiting = order("#waiting", ANN).with("Fulfillment Status", "unfulfilled").with("Fulfilled at", "");
    let cancelled = order("#cancelled", ANN).with("Cancelled at", "2024-03-02 10:00:00 +0000").with("Currency", "JPY");
    let yen = ["Total", "Subtotal", "Lineitem price", "Shipping"]
        .into_iter()
        .fold(cancelled, |row, name| row.with(name, "12"));
    let months = (0..48).map(|month| {
        let at = format!("{}-{:02}-15 12:00:00 +0000", 2016 + month / 12, 1 + month % 12);
        order(&format!("#m{month}"), ANN).with("Created at", &at)
    });
    let odd = [
        filled("#hostile", HOSTILE).to_vec(),
        filled("#long", &"W".repeat(LONG)).to_vec(),
        vec![bare, costs, line("#costs", ANN, "Pen"), waiting, yen],
    ];
    let rows: Vec<Row> = odd.concat().into_iter().chain(months).collect();
    import(app, &rows);
    ann
}

#[tokio::test]
async fn order_pages_are_well_formed_in_every_state() {
    let app = TestApp::start().await;
    let mut pages = Pages::new("orders");
    let mut bob = app.customer("bob@example.com").await;
    let unverified = bob.get("/orders").await;
    pages.look(
        "no orders, unconfirmed",
        &unverified,
        200,
        &["No orders yet", "appear once you confirm", "class=\"notice\""],
    );
    app.done(&["user", "verify", "bob@example.com"]);
    pages.look("no orders, confirmed", &bob.get("/orders").await, 200, &["An order is missing?"]);

    let mut ann = customer_with_odd_orders(&app).await;
    let first = ann.get("/orders").await;
    pages.look(
        "list",
        &first,
        200,
        &["rel=\"next\"", "<figure class=\"chart\">", "Earlier months", "after cancellations"],
    );
    let second = ann.get(&link(&first.text(), "next").unwrap()).await;
    pages.look("list, second page", &second, 200, &["rel=\"next\"", "rel=\"prev\""]);
    let last = ann.get(&link(&second.text(), "next").unwrap()).await;
    pages.look("list, last page", &last, 200, &["rel=\"prev\""]);
    for status in ["", "placed", "processing", "partly_sent", "sent", "delivered", "cancelled", "refunded"] {
        let answer = ann.get(&format!("/orders?status={status}&sort=lowest&period=range&from=2010-01-01")).await;
        pages.look(&format!("list, status {status}"), &answer, 200, &["id=\"results\"", "value=\"2010-01-01\""]);
    }
    pages.look("list, none matches", &ann.get("/orders?q=walrus").await, 200, &["No order matches"]);
    let query = percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC);
    let searched = ann.get(&format!("/orders?q={query}")).await;
    pages.look("list, hostile search", &searched, 200, &[&format!("value=\"{}\"", escaped(HOSTILE))]);
    let long = "w".repeat(LONG);
    for (state, query, errors) in [
        ("search", format!("q={long}"), &["id=\"q-error\""][..]),
        ("from", format!("from={query}"), &["id=\"from-error\""][..]),
        ("to", "to=31.12.2024".to_owned(), &["id=\"to-error\""][..]),
        ("all", format!("q={long}&from=x&to={query}"), &["id=\"q-error\"", "id=\"from-error\"", "id=\"to-error\""][..]),
    ] {
        let answer = ann.get(&format!("/orders?{query}")).await;
        pages.look(&format!("list, wrong {state}"), &answer, 422, &[errors, &["We have not searched yet"]].concat());
    }

    let hostile = escaped(HOSTILE);
    for (number, holds) in [
        ("hostile", hostile.as_str()),
        ("long", &"W".repeat(LONG)),
        ("bare", "The shop gave no address"),
        ("costs", "Refunded"),
        ("waiting", "Ask to cancel"),
        ("cancelled", "status-cancelled"),
        ("m0", "rel=\"prev\""),
        ("m47", "rel=\"next\""),
    ] {
        pages.look(&format!("order {number}"), &ann.get(&format!("/orders/{number}")).await, 200, &[holds]);
    }
    let refused = ann.post("/orders/costs/cancel", &[("key", "a-key-of-my-own")]).await;
    pages.look("order, not cancelled", &refused, 422, &["role=\"alert\""]);
    press(&mut ann, "waiting", "cancel").await;
    let asked = ann.get("/orders/waiting").await;
    pages.look("order, cancellation asked", &asked, 200, &["You asked to cancel this order on", "class=\"notice\""]);
    pages.look("list, cancellation asked", &ann.get("/orders").await, 200, &["cancellation asked for"]);
    let copy = reorder(&mut ann, "hostile").await;
    let placed = ann.get(&format!("/orders/{copy}")).await;
    pages.look("order, the same again", &placed, 200, &["The same as <a", "class=\"notice\"", &hostile]);

    run(&app, "DELETE FROM orders WHERE placed_at < 1500000000").await;
    let past_the_end = ann.get(&link(&second.text(), "next").unwrap()).await;
    pages.look("list, past the end", &past_the_end, 200, &["This page is past the end of the list"]);
    pages.done();
}

#[tokio::test]
async fn pages_of_sample_orders_are_well_formed() {
    let app = TestApp::start_with(&[("DEMO_ORDERS", "true")]).await;
    let mut pages = Pages::new("samples");
    let mut ann = app.customer(ANN).await;
    let first = ann.get("/orders").await;
    pages.look("list, unconfirmed", &first, 200, &["Send it again", "href=\"/dev/mail\"", "class=\"notice\""]);
    let second = ann.get(&link(&first.text(), "next").unwrap()).await;
    let mut states = BTreeSet::new();
    for number in [numbers(&first.text()), numbers(&second.text())].concat() {
        let answer = ann.get(&format!("/orders/{number}")).await;
        pages.look(&format!("order {number}"), &answer, 200, &["Send it again"]);
        states.extend(
            answer.text().split("\"status status-").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned),
        );
    }
    let all = ["cancelled", "delivered", "partly_sent", "placed", "processing", "refunded", "sent"];
    assert_eq!(states, all.map(str::to_owned).into());
    pages.done();
}

#[tokio::test]
async fn error_pages_are_well_formed_for_strangers_and_customers() {
    let app = TestApp::start().await;
    let mut pages = Pages::new("errors");
    let token = app.customer(ANN).await.token();
    for (who, cookie, way_out) in
        [("anonymous", String::new(), "Go to the front page"), ("customer", token, "Go to your orders")]
    {
        let request =
            |method: Method, path: &str| app.request(method, path).header("cookie", format!("__Host-session={cookie}"));
        for (status, asked) in [
            (400, request(Method::POST, "/password/forgot").form(&[("nothing", "x")])),
            (403, request(Method::POST, "/password/forgot").header("sec-fetch-site", "cross-site")),
            (404, request(Method::GET, "/verify/nothing/%3Cx%3E\"")),
            (405, request(Method::DELETE, "/password/forgot")),
            (413, request(Method::POST, "/password/forgot").form(&[("email", "w".repeat(2_000_000))])),
            (415, request(Method::POST, "/password/forgot").body("x")),
        ] {
            let holds = ["If you ask for help, give this reference", &format!("Error {status}")];
            let answer = http::send(asked).await;
            pages.look(&format!("{status}, {who}"), &answer, status, &holds);
            // What is refused before the session is looked up knows of none.
            let knows_who = matches!(status, 400 | 404 | 405 | 413 | 415) && who == "customer";
            let shown = if knows_who { way_out } else { "Go to the front page" };
            assert!(answer.text().contains(shown), "{status}, {who}: {}", answer.text());
        }
    }
    let elsewhere = http::send(app.request(Method::GET, "/").header("host", "evil.example")).await;
    pages.look("421", &elsewhere, 421, &["Error 421"]);
    for number in 0..30 {
        app.visitor().post("/password/forgot", &[("email", &format!("customer{number}@example.com"))]).await;
    }
    let limited = app.visitor().post("/password/forgot", &[("email", ANN)]).await;
    pages.look("429", &limited, 429, &["try again in"]);
    let arrival = app.request(Method::GET, "/orders?q=%22%3E%3Cb%3E&x=';url=//evil.example");
    let arrival = arrival.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate");
    pages.look(
        "from another site",
        &http::send(arrival).await,
        200,
        &["content=\"0; url=/orders?q=%22%3E%3Cb%3E&#38;x"],
    );
    let mut ann = app.visitor();
    ann.post("/login", &[("email", ANN), ("password", PASSWORD)]).await;
    run(&app, "ALTER TABLE orders RENAME TO orders_away").await;
    pages.look("500", &ann.get("/orders").await, 500, &["Error 500", "Go to your orders"]);
    run(&app, "ALTER TABLE orders_away RENAME TO orders").await;
    pages.look("after the 500", &ann.get("/orders").await, 200, &["No orders yet"]);
    pages.done();
}

#[tokio::test]
async fn mail_and_its_pages_are_well_formed_in_every_state() {
    let app = TestApp::start().await;
    let mut pages = Pages::new("mail");
    let mut ann = app.visitor();
    pages.look("inbox, empty", &ann.get("/dev/mail").await, 200, &["No mail has been sent yet"]);
    let email = "tom&jerry's@example.com";
    let sign_up = ann.request(Method::POST, "/signup").header("user-agent", HOSTILE);
    ann.send(sign_up.form(&[("email", email), ("password", PASSWORD)])).await;
    mailbox::mail_to(&app, email, CONFIRM).await;
    app.done(&["user", "verify", email]);
    app.visitor().post("/password/forgot", &[("email", email)]).await;
    ann.post("/account/email", &[("email", "new&'@example.com"), ("password", PASSWORD)]).await;
    let mut rows = filled("#1", HOSTILE).map(|row| row.with("Email", email).with("Fulfillment Status", "unfulfilled"));
    rows[0] = rows[0].clone().with("Fulfilled at", "");
    import(&app, &rows);
    reorder(&mut ann, "1").await;
    press(&mut ann, "1", "cancel").await;
    let change = mailbox::mail_to(&app, "new&'@example.com", CONFIRM_NEW).await;
    ann.post("/verify", &[("token", change.token())]).await;
    ann.post("/account/password", &[("current_password", PASSWORD), ("new_password", WRONG)]).await;
    mailbox::mail_to(&app, "new&'@example.com", "Your password was changed").await;
    ann.post("/account/delete", &[("password", WRONG)]).await;
    mailbox::all_gone(&app).await;

    let inbox = app.get("/dev/mail").await;
    pages.look("inbox", &inbox, 200, &["tom&#38;jerry&#39;s@example.com"]);
    let html = inbox.text();
    let paths: Vec<&str> = html.split("href=\"").filter_map(|rest| rest.split('"').next()).collect();
    let paths: Vec<&str> = paths.into_iter().filter(|path| path.starts_with("/dev/mail/")).collect();
    let letters = mailbox::mails(&app);
    assert_eq!(paths.len(), letters.len());
    for path in paths {
        pages.look(path, &app.get(path).await, 200, &["As HTML"]);
        pages.look(path, &app.get(&format!("{path}/html")).await, 200, &["<h1 style="]);
    }
    for letter in &letters {
        pages.note(&letter.text.replace("\r\n", "\n"));
        assert!(!letter.text.contains("&#") && !letter.text.trim().is_empty(), "{}", letter.text);
    }
    let subjects: BTreeSet<&str> = letters.iter().map(|letter| letter.subject.as_str()).collect();
    let kinds = [
        "Choose a new password",
        "Confirm your e-mail address",
        "Confirm your new e-mail address",
        "You asked to cancel an order",
        "Your account was deleted",
        "Your e-mail address is about to change",
        "Your e-mail address was changed",
        "Your order is placed",
        "Your password was changed",
    ];
    assert_eq!(subjects, kinds.into());

    let by_server = TestApp::start_with(&[("MAIL_URL", "smtp://127.0.0.1:9")]).await;
    pages.look("inbox of a mail server", &by_server.get("/dev/mail").await, 200, &["Mail goes to the server"]);
    pages.done();
}
