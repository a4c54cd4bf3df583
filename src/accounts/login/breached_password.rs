//! A login with a breached password goes on. The account page and one mail ask for a new password until there is one.

use crate::accounts::{Accounts, store};
use crate::mail::{self, Message, RequestOrigin};
use crate::web::{Client, Error};

impl Accounts {
    /// After the password of an account was found to be correct.
    pub(super) async fn mark_if_breached(
        &self,
        account: &store::Account,
        password: &str,
        client: &Client,
    ) -> Result<(), Error> {
        if !self.hasher.is_breached(password) {
            return Ok(());
        }
        let now = self.clock.now();
        let message = Message::BreachedPassword(RequestOrigin::new(now, client));
        let marked = self.database.write_together(async |transaction| {
            if store::mark_breached(transaction, account, now).await? {
                mail::enqueue(transaction, &self.clock, &account.email, Some(&account.id), &message).await?;
            }
            Ok::<_, crate::database::Error>(())
        });
        Ok(marked.await?)
    }
}
