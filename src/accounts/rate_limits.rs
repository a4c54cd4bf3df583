//! The rate limits of accounts.
//!
//! A login is counted for the account and the network together, for the network, and for the account (ASVS 5.0 V6.3.1). An attacker cannot
//! lock the owner out with these limits:
//! - A trusted browser, and otherwise a trusted network (the account signed up or logged in there before), has its own counter instead.
//! - A password reset request is never rejected because of the account: one mail in twelve minutes is enough, because its token is valid
//!   for longer.
//! - A password reset by mail resets all limits of the account.

use std::net::IpAddr;
use std::time::Duration;

use crate::database::{Error, Transaction};
use crate::domain::{Email, UserId};
use crate::rate_limit::{self, Counter, Limit, digest, network, network_counters};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Wrong passwords for one account from one network.
const LOGIN_HERE: Limit = Limit {
    name: "login-here",
    burst: 10,
    first_wait: Duration::from_secs(30),
    max_wait: HOUR,
    resets_after: Duration::from_hours(24),
    per_account: true,
};
/// Wrong passwords for one account from a trusted browser.
const LOGIN_TRUSTED_BROWSER: Limit = Limit { name: "login-known-browser", ..LOGIN_HERE };
/// Wrong passwords for one account from a trusted network.
const LOGIN_TRUSTED_NETWORK: Limit = Limit { name: "login-known-network", ..LOGIN_HERE };
/// Wrong passwords from one network, for any account.
const LOGIN_NETWORK: Limit = Limit {
    name: "login-address",
    burst: 100,
    first_wait: MINUTE,
    max_wait: HOUR,
    resets_after: Duration::from_hours(6),
    per_account: false,
};
/// The same from an IPv6 /48.
const LOGIN_WIDE_NETWORK: Limit = Limit { name: "login-address-wide", burst: 500, ..LOGIN_NETWORK };
/// Wrong passwords for one account, from anywhere. After the burst one guess an hour remains: NIST SP 800-63B-4 section 3.2.2 requires a
/// limit of at most 100 consecutive failures, but a permanent lock would let an attacker lock the owner out.
const LOGIN_ACCOUNT: Limit =
    Limit { name: "login-account", burst: 50, resets_after: Duration::from_hours(24), ..LOGIN_NETWORK };
/// Wrong codes after the password, counted like wrong passwords and apart from them.
const CODE_HERE: Limit = Limit { name: "code-here", ..LOGIN_HERE };
const CODE_TRUSTED_BROWSER: Limit = Limit { name: "code-known-browser", ..LOGIN_HERE };
const CODE_TRUSTED_NETWORK: Limit = Limit { name: "code-known-network", ..LOGIN_HERE };
const CODE_ACCOUNT: Limit = Limit { name: "code-account", per_account: true, ..LOGIN_ACCOUNT };
/// Failed logins with a known passkey, apart from wrong passwords.
const PASSKEY_HERE: Limit = Limit { name: "passkey-here", ..LOGIN_HERE };
const PASSKEY_TRUSTED_BROWSER: Limit = Limit { name: "passkey-known-browser", ..LOGIN_HERE };
const PASSKEY_TRUSTED_NETWORK: Limit = Limit { name: "passkey-known-network", ..LOGIN_HERE };
/// Failed logins with passkeys from one network.
const PASSKEY_NETWORK: Limit = Limit { name: "passkey-address", ..LOGIN_NETWORK };
/// The same from an IPv6 /48.
const PASSKEY_WIDE_NETWORK: Limit = Limit { name: "passkey-address-wide", ..LOGIN_WIDE_NETWORK };
/// Wrong passwords at reauthentication, in one account.
const REAUTHENTICATION: Limit = Limit { name: "confirm", ..LOGIN_HERE };
/// Wrong codes at reauthentication, and at the setup of an app.
const REAUTHENTICATION_CODE: Limit = Limit { name: "confirm-code", ..LOGIN_HERE };
/// Mail about wrong codes.
const WRONG_CODE_NOTICE: Limit = single_in("wrong-code-notice", Duration::from_hours(24));
/// Sign-up forms from one network, including rejected ones: each reveals whether an address has an account.
const SIGN_UP: Limit = Limit { name: "sign-up", burst: 200, ..LOGIN_NETWORK };
/// The same from an IPv6 /48.
const SIGN_UP_WIDE: Limit = Limit { name: "sign-up-wide", burst: 1000, ..SIGN_UP };
/// Requested mail to one address, from one network.
const MAIL_HERE: Limit = Limit { name: "mail-here", burst: 5, ..LOGIN_NETWORK };
/// Requested mail from one network.
const MAIL_NETWORK: Limit = Limit { name: "mail-address", burst: 30, ..LOGIN_NETWORK };
/// The same from an IPv6 /48.
const MAIL_WIDE_NETWORK: Limit = Limit { name: "mail-address-wide", burst: 150, ..MAIL_NETWORK };
/// Requested mail to one address, from anywhere.
const MAIL_ACCOUNT: Limit = Limit { name: "mail-account", burst: 20, ..LOGIN_ACCOUNT };
/// Password reset mail to one address. Its token is valid for 30 minutes, so the inbox always has a valid one.
const RESET_MAIL: Limit = single_in("reset-mail", Duration::from_mins(12));
/// Changes of the address requested by one account, and those to one address. Separate from the owner's mail, so that an attacker cannot
/// use up the owner's limit.
const EMAIL_CHANGE_BY: Limit = Limit { name: "change-by", ..MAIL_HERE };
const EMAIL_CHANGE_TO: Limit = Limit { name: "change-to", ..MAIL_HERE };
/// Password changes in one account: each sends a mail.
const PASSWORD_CHANGE: Limit = Limit { name: "password-change", burst: 10, ..MAIL_HERE };
/// Mail that confirms an address, from all accounts together.
const CONFIRMATION_MAIL: Limit =
    Limit { name: "confirmation-mail", burst: 5, first_wait: HOUR, resets_after: HOUR, ..LOGIN_NETWORK };
/// Equal security notices to one address.
const NOTICE: Limit = single_in("notice", Duration::from_mins(10));

/// The limits that reject a request, for metrics. The others only merge equal mails.
pub(super) const REJECTING: [Limit; 27] = [
    LOGIN_HERE,
    LOGIN_TRUSTED_BROWSER,
    LOGIN_TRUSTED_NETWORK,
    LOGIN_NETWORK,
    LOGIN_WIDE_NETWORK,
    LOGIN_ACCOUNT,
    CODE_HERE,
    CODE_TRUSTED_BROWSER,
    CODE_TRUSTED_NETWORK,
    CODE_ACCOUNT,
    PASSKEY_HERE,
    PASSKEY_TRUSTED_BROWSER,
    PASSKEY_TRUSTED_NETWORK,
    PASSKEY_NETWORK,
    PASSKEY_WIDE_NETWORK,
    REAUTHENTICATION,
    REAUTHENTICATION_CODE,
    SIGN_UP,
    SIGN_UP_WIDE,
    MAIL_HERE,
    MAIL_NETWORK,
    MAIL_WIDE_NETWORK,
    MAIL_ACCOUNT,
    EMAIL_CHANGE_BY,
    EMAIL_CHANGE_TO,
    PASSWORD_CHANGE,
    CONFIRMATION_MAIL,
];

/// One attempt in each interval.
const fn single_in(name: &'static str, interval: Duration) -> Limit {
    Limit { name, burst: 1, first_wait: interval, max_wait: interval, resets_after: interval, per_account: false }
}

fn account_counter(limit: Limit, email: &Email, rest: &[&str]) -> Counter {
    Counter::new(limit, &[&[email.as_str()], rest].concat()).in_group(account_group(email))
}

/// The group of all counters that a password reset by mail resets.
fn account_group(email: &Email) -> String {
    digest(&["account", email.as_str()])
}

/// The group of all security notices to an address. Separate from the account's: a password reset must not send them again.
fn notice_group(email: &str) -> String {
    digest(&["notices", email])
}

/// A login from an untrusted browser and network.
pub(super) fn untrusted_login(email: &Email, address: IpAddr) -> Vec<Counter> {
    let mut counters = login_network(address);
    counters.push(account_login(email));
    counters.push(account_counter(LOGIN_HERE, email, &[&network(address)]));
    counters
}

/// A login with a malformed address, which is counted like an unknown one.
pub(super) fn malformed_login(typed: &str, address: IpAddr) -> Vec<Counter> {
    let mut counters = login_network(address);
    counters.push(Counter::new(LOGIN_ACCOUNT, &[typed]));
    counters.push(Counter::new(LOGIN_HERE, &[typed, &network(address)]));
    counters
}

fn login_network(address: IpAddr) -> Vec<Counter> {
    network_counters(LOGIN_NETWORK, LOGIN_WIDE_NETWORK, address)
}

/// All untrusted logins to one account.
fn account_login(email: &Email) -> Counter {
    account_counter(LOGIN_ACCOUNT, email, &[])
}

pub(super) fn trusted_browser_login(email: &Email, browser: &str) -> Vec<Counter> {
    vec![account_counter(LOGIN_TRUSTED_BROWSER, email, &[browser])]
}

pub(super) fn trusted_network_login(email: &Email, network: &str) -> Vec<Counter> {
    vec![account_counter(LOGIN_TRUSTED_NETWORK, email, &[network])]
}

/// A code after the password, from an untrusted browser and network.
pub(super) fn untrusted_code(email: &Email, address: IpAddr) -> Vec<Counter> {
    vec![account_counter(CODE_ACCOUNT, email, &[]), account_counter(CODE_HERE, email, &[&network(address)])]
}

pub(super) fn trusted_browser_code(email: &Email, browser: &str) -> Vec<Counter> {
    vec![account_counter(CODE_TRUSTED_BROWSER, email, &[browser])]
}

pub(super) fn trusted_network_code(email: &Email, network: &str) -> Vec<Counter> {
    vec![account_counter(CODE_TRUSTED_NETWORK, email, &[network])]
}

/// A login with a passkey that no account has.
pub(super) fn unknown_passkey(address: IpAddr) -> Vec<Counter> {
    network_counters(PASSKEY_NETWORK, PASSKEY_WIDE_NETWORK, address)
}

/// A login with a known passkey, from an untrusted browser and network.
pub(super) fn untrusted_passkey(email: &Email, address: IpAddr) -> Vec<Counter> {
    let mut counters = unknown_passkey(address);
    counters.push(account_counter(PASSKEY_HERE, email, &[&network(address)]));
    counters
}

pub(super) fn trusted_browser_passkey(email: &Email, browser: &str) -> Vec<Counter> {
    vec![account_counter(PASSKEY_TRUSTED_BROWSER, email, &[browser])]
}

pub(super) fn trusted_network_passkey(email: &Email, network: &str) -> Vec<Counter> {
    vec![account_counter(PASSKEY_TRUSTED_NETWORK, email, &[network])]
}

/// Mail about wrong codes to one address.
pub(super) fn wrong_code_notice(email: &Email) -> Counter {
    Counter::new(WRONG_CODE_NOTICE, &[email.as_str()]).in_group(notice_group(email.as_str()))
}

pub(super) fn sign_up(address: IpAddr) -> Vec<Counter> {
    network_counters(SIGN_UP, SIGN_UP_WIDE, address)
}

/// Mail that somebody requests to `email`.
pub(super) fn mail_to(email: &Email, address: IpAddr) -> Vec<Counter> {
    let mut counters = mail_from(address);
    counters.push(Counter::new(MAIL_ACCOUNT, &[email.as_str()]));
    counters.push(Counter::new(MAIL_HERE, &[email.as_str(), &network(address)]));
    counters
}

/// Mail that is requested from a network, to any address.
pub(super) fn mail_from(address: IpAddr) -> Vec<Counter> {
    network_counters(MAIL_NETWORK, MAIL_WIDE_NETWORK, address)
}

pub(super) fn reset_mail(email: &Email) -> Counter {
    account_counter(RESET_MAIL, email, &[])
}

/// Security notices to one address that are equal in `parts`.
pub(super) fn security_notice(email: &Email, parts: &[&str]) -> Counter {
    Counter::new(NOTICE, &[&[email.as_str()], parts].concat()).in_group(notice_group(email.as_str()))
}

/// Mail that confirms an address. This counter outlives the accounts that requested the mail.
pub(super) fn confirmation_mail(to: &Email) -> Counter {
    Counter::new(CONFIRMATION_MAIL, &[to.as_str()])
}

/// A change of the address, with its confirmation mail.
pub(super) fn email_change(user_id: &UserId, to: &Email, address: IpAddr) -> Vec<Counter> {
    let mut counters = mail_from(address);
    counters.push(Counter::new(EMAIL_CHANGE_BY, &[user_id.as_str()]));
    counters.push(Counter::new(EMAIL_CHANGE_TO, &[to.as_str()]));
    counters.push(confirmation_mail(to));
    counters
}

pub(super) fn reauthentication(user_id: &UserId) -> Counter {
    Counter::new(REAUTHENTICATION, &[user_id.as_str()])
}

pub(super) fn reauthentication_code(user_id: &UserId) -> Counter {
    Counter::new(REAUTHENTICATION_CODE, &[user_id.as_str()])
}

pub(super) fn password_change(user_id: &UserId) -> Counter {
    Counter::new(PASSWORD_CHANGE, &[user_id.as_str()])
}

/// Resets all limits of the account with that address.
pub(super) async fn reset_account(transaction: &mut Transaction, user_id: &UserId, email: &Email) -> Result<(), Error> {
    // A login locks this row before the other rows of the account, so taking it first avoids a deadlock.
    rate_limit::reset(transaction, &account_login(email)).await?;
    rate_limit::reset_group(transaction, &account_group(email)).await?;
    rate_limit::reset(transaction, &reauthentication_code(user_id)).await?;
    rate_limit::reset(transaction, &reauthentication(user_id)).await
}

/// Lets the next security notices to that address be sent, whatever was sent before.
pub(super) async fn reset_notices(transaction: &mut Transaction, email: &str) -> Result<(), Error> {
    rate_limit::reset_group(transaction, &notice_group(email)).await
}
