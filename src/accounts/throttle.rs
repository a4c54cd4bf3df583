//! How often something may be tried.
//!
//! Counters are rows, so they survive a restart and hold on every node. Each try is counted before it is looked at, in one statement: many at once
//! get no further than one after the other. Past the free tries each one is followed by a wait, twice as long as the one before.
//! A try that comes during a wait changes nothing, so nobody prolongs another's wait, and costs a few reads.
//!
//! A login is counted for the account and the network together, for the network, and for the account overall (ASVS 5.0
//! V6.3.1). Nobody can lock an owner out with them:
//! - A browser, and else a network, from which the account signed up or logged in before has a counter of its own in their place.
//! - A request for a new password is never refused because of the account; within twelve minutes one mail is enough for all.
//! - A new password by mail lifts every limit of the account.
//!
//! A network is an IPv4 address or an IPv6 /64, which one customer has whole. Many have a /48, so IPv6 is also counted by that,
//! with a larger allowance.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::store::throttles as store;
use crate::clock::Clock;
use crate::database::Database;
use crate::hex;
use crate::web::Error;

/// What is counted together and how much of it is free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    name: &'static str,
    /// Tries without a wait.
    pub free: i64,
    /// Seconds to wait after the last free try; doubled after each further one.
    pub first_wait: i64,
    /// The longest wait, in seconds.
    pub longest_wait: i64,
    /// Seconds without a try after which the count starts from nothing.
    pub forgotten_after: i64,
}

const HOUR: i64 = 3600;

/// Wrong passwords for one account from one address.
const LOGIN_HERE: Limit =
    Limit { name: "login-here", free: 10, first_wait: 30, longest_wait: HOUR, forgotten_after: 24 * HOUR };
/// Wrong passwords for one account in a browser that it knows.
const LOGIN_KNOWN_BROWSER: Limit = Limit { name: "login-known-browser", ..LOGIN_HERE };
/// Wrong passwords for one account from a network that it knows.
const LOGIN_KNOWN_NETWORK: Limit = Limit { name: "login-known-network", ..LOGIN_HERE };
/// Wrong passwords from one address, whatever the account.
const LOGIN_ADDRESS: Limit =
    Limit { name: "login-address", free: 100, first_wait: 60, longest_wait: HOUR, forgotten_after: 6 * HOUR };
/// The same from an IPv6 /48.
const LOGIN_ADDRESS_WIDE: Limit = Limit { name: "login-address-wide", free: 500, ..LOGIN_ADDRESS };
/// Wrong passwords for one account, wherever from. Past the free ones a guess an hour is left (NIST SP 800-63B-4 section 3.2.2 asks for
/// a limit of 100 or fewer in a row): to shut the account for good would hand strangers the key to lock its owner out.
const LOGIN_ACCOUNT: Limit =
    Limit { name: "login-account", free: 50, first_wait: 60, longest_wait: HOUR, forgotten_after: 24 * HOUR };
/// The password asked for again, in one account.
pub(super) const CONFIRM: Limit = Limit { name: "confirm", ..LOGIN_HERE };
/// Forms of sign-up from one address: new accounts, addresses found to be taken, passwords that were refused.
const SIGN_UP: Limit =
    Limit { name: "sign-up", free: 200, first_wait: 60, longest_wait: HOUR, forgotten_after: 6 * HOUR };
/// The same from an IPv6 /48.
const SIGN_UP_WIDE: Limit = Limit { name: "sign-up-wide", free: 1000, ..SIGN_UP };
/// Mail to one account's address, asked for from one address.
const MAIL_HERE: Limit =
    Limit { name: "mail-here", free: 5, first_wait: 60, longest_wait: HOUR, forgotten_after: 6 * HOUR };
/// Mail asked for from one address.
const MAIL_ADDRESS: Limit =
    Limit { name: "mail-address", free: 30, first_wait: 60, longest_wait: HOUR, forgotten_after: 6 * HOUR };
/// The same from an IPv6 /48.
const MAIL_ADDRESS_WIDE: Limit = Limit { name: "mail-address-wide", free: 150, ..MAIL_ADDRESS };
/// Mail to one address, wherever from.
const MAIL_ACCOUNT: Limit =
    Limit { name: "mail-account", free: 20, first_wait: 60, longest_wait: HOUR, forgotten_after: 24 * HOUR };
/// Reset mail to one address. Its link is valid for 30 minutes, so there is always a valid one in the inbox of whoever asks again.
const RESET_MAIL: Limit = Limit {
    name: "reset-mail",
    free: 1,
    first_wait: RESET_MAIL_INTERVAL,
    longest_wait: RESET_MAIL_INTERVAL,
    forgotten_after: RESET_MAIL_INTERVAL,
};
const RESET_MAIL_INTERVAL: i64 = 12 * 60;

/// Changes of address asked for by one account, and those to one address. Apart from the mail that an owner asks for, so that nobody uses up
/// another's.
const CHANGE_BY: Limit = Limit { name: "change-by", ..MAIL_HERE };
const CHANGE_TO: Limit = Limit { name: "change-to", ..MAIL_HERE };
/// New passwords in one account: each is told by mail.
pub(super) const PASSWORD_CHANGE: Limit = Limit { name: "password-change", free: 10, ..MAIL_HERE };
/// Confirmations of a sign-up or a change to one address, whichever accounts ask.
pub(super) const CONFIRMATION: Limit =
    Limit { name: "confirmation-mail", free: 5, first_wait: HOUR, longest_wait: HOUR, forgotten_after: HOUR };
/// Equal security notices to one address: one in ten minutes.
const NOTICE: Limit = Limit { name: "notice", free: 1, first_wait: 600, longest_wait: 600, forgotten_after: 600 };

/// One counter: a limit, and a hash of what it is for.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    pub limit: Limit,
    pub key: String,
    /// A hash of the account's address, where a new password by mail lifts this limit; see [`notices`] for theirs.
    pub account: Option<String>,
}

impl Counter {
    pub(super) fn new(limit: Limit, of: &[&str]) -> Self {
        Self { limit, key: format!("{}:{}", limit.name, digest(of)), account: None }
    }

    fn of_account(limit: Limit, email: &str, rest: &[&str]) -> Self {
        Self { account: Some(account(email)), ..Self::new(limit, &[&[email], rest].concat()) }
    }

    /// Whether a right password shows that all tries it counted were the owner's own.
    pub(super) fn is_for_one(&self) -> bool {
        [LOGIN_HERE.name, LOGIN_KNOWN_BROWSER.name, LOGIN_KNOWN_NETWORK.name, CONFIRM.name].contains(&self.limit.name)
    }
}

fn digest(of: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in of {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

/// What stands for an account in the rows of its counters.
pub(super) fn account(email: &str) -> String {
    digest(&["account", email])
}

/// The counters of a login by someone whom the account does not know.
pub(super) fn of_stranger(email: &str, address: IpAddr) -> Vec<Counter> {
    let mut counters = of_network(LOGIN_ADDRESS, LOGIN_ADDRESS_WIDE, address);
    counters.push(of_login(email));
    counters.push(Counter::of_account(LOGIN_HERE, email, &[&network(address)]));
    counters
}

/// The counter of all logins to an account by those whom it does not know.
pub(super) fn of_login(email: &str) -> Counter {
    Counter::of_account(LOGIN_ACCOUNT, email, &[])
}

/// The counter of a login in a browser that the account knows.
pub(super) fn of_known_browser(email: &str, browser: &str) -> Vec<Counter> {
    vec![Counter::of_account(LOGIN_KNOWN_BROWSER, email, &[browser])]
}

/// The counter of a login from a network that the account knows.
pub(super) fn of_known_network(email: &str, network: &str) -> Vec<Counter> {
    vec![Counter::of_account(LOGIN_KNOWN_NETWORK, email, &[network])]
}

/// The counters of a sign-up.
pub(super) fn of_sign_up(address: IpAddr) -> Vec<Counter> {
    of_network(SIGN_UP, SIGN_UP_WIDE, address)
}

/// The counters of mail that someone asks for.
pub(super) fn of_mail(email: &str, address: IpAddr) -> Vec<Counter> {
    let mut counters = of_mail_from(address);
    counters.push(Counter::new(MAIL_ACCOUNT, &[email]));
    counters.push(Counter::new(MAIL_HERE, &[email, &network(address)]));
    counters
}

/// The counters of mail that is asked for from an address, whoever gets it.
pub(super) fn of_mail_from(address: IpAddr) -> Vec<Counter> {
    of_network(MAIL_ADDRESS, MAIL_ADDRESS_WIDE, address)
}

/// The counter of reset mail to one address.
pub(super) fn of_reset_mail(email: &str) -> Counter {
    Counter::of_account(RESET_MAIL, email, &[])
}

/// The counter of equal security notices to one address. Its account is that of notices alone: a new password does not have them leave
/// again.
pub(super) fn of_notice(email: &str, of: &[&str]) -> Counter {
    Counter { account: Some(notices(email)), ..Counter::new(NOTICE, &[&[email], of].concat()) }
}

/// What stands for all notices to an address in the rows of their counters.
pub(super) fn notices(email: &str) -> String {
    digest(&["notices", email])
}

/// The counters of a change of address that is asked for.
pub(super) fn of_address_change(user_id: &str, to: &str, address: IpAddr) -> Vec<Counter> {
    let mut counters = of_mail_from(address);
    counters.push(Counter::new(CHANGE_BY, &[user_id]));
    counters.push(Counter::new(CHANGE_TO, &[to]));
    counters
}

/// The counter of a network, and of the /48 that it is part of.
fn of_network(limit: Limit, wide: Limit, address: IpAddr) -> Vec<Counter> {
    let mut counters = vec![Counter::new(limit, &[&network(address)])];
    if address.is_ipv6() {
        counters.push(Counter::new(wide, &[&widest_network(address)]));
    }
    counters
}

/// The address itself, or the /48 that it is part of.
pub(super) fn widest_network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

/// What an address counts as: itself, or its /64.
pub(super) fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Counts one try on each counter, or none when one of them says to wait.
///
/// # Errors
/// [`Error::Throttled`] with the seconds to wait, or the database's.
pub(super) async fn count(database: &Database, clock: &Clock, counters: &[Counter]) -> Result<(), Error> {
    let now = clock.now();
    let waits_until = store::blocked_until(database, counters, now).await?;
    if waits_until > now.get() || !store::count(database.writer(), counters, now).await? {
        return Err(refused(database, clock, counters).await?);
    }
    Ok(())
}

/// What a try gets that was not counted.
pub(super) async fn refused(database: &Database, clock: &Clock, counters: &[Counter]) -> Result<Error, Error> {
    let now = clock.now();
    let waits_until = store::blocked_until(database, counters, now).await?;
    let retry_after = waits_until.max(now.get() + 1) - now.get();
    let limits: Vec<&str> = counters.iter().map(|counter| counter.limit.name).collect();
    tracing::info!(limits = limits.join(" "), seconds = retry_after, "rate limited");
    Ok(Error::Throttled { retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_customer_counts_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn a_key_says_nothing_of_whose_it_is_and_parts_do_not_run_together() {
        let key = |of: &[&str]| Counter::new(CONFIRM, of).key;
        assert!(!key(&["ann@example.com"]).contains("ann"));
        assert_ne!(key(&["a", "bc"]), key(&["ab", "c"]));
    }
}
