//! SQL that depends on a filter: fixed pieces and bound values, never a value in the text.

use sqlx::any::AnyArguments;
use sqlx::{Any, Arguments, AssertSqlSafe, Encode, Type};

use crate::database::{Engine, Error};
use crate::orders::filter::Filter;
use crate::orders::order::Order;
use crate::orders::search;

/// A statement that is being put together.
pub(super) struct Sql {
    engine: Engine,
    text: String,
    arguments: AnyArguments,
}

impl Sql {
    /// One for that engine.
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, text: String::new(), arguments: AnyArguments::default() }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds a value and writes its place.
    pub(super) fn bind<'q, T: Encode<'q, Any> + Type<Any>>(&mut self, value: T) -> Result<&mut Self, Error> {
        self.arguments.add(value).map_err(Error::Encode)?;
        self.text.push_str(&self.engine.placeholder(self.arguments.len()));
        Ok(self)
    }

    pub(super) fn into_parts(self) -> (AssertSqlSafe<String>, AnyArguments) {
        (AssertSqlSafe(self.text), self.arguments)
    }

    /// The orders' ids, between commas.
    pub(super) fn push_ids(&mut self, orders: &[Order]) -> Result<&mut Self, Error> {
        for (index, order) in orders.iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " }).bind(order.id.clone())?;
        }
        Ok(self)
    }

    /// `user_id = …`, and what narrows the user's orders down.
    pub(super) fn push_filter(&mut self, user_id: &str, filter: &Filter) -> Result<&mut Self, Error> {
        self.push("user_id = ").bind(user_id.to_owned())?;
        if let Some(status) = filter.status {
            self.push(" AND status = ").bind(status.as_str().to_owned())?;
        }
        if let Some(from) = filter.from {
            self.push(" AND placed_at >= ").bind(from.get())?;
        }
        if let Some(until) = filter.until {
            self.push(" AND placed_at < ").bind(until.get())?;
        }
        for pattern in &filter.patterns {
            self.push_search(pattern)?;
        }
        Ok(self)
    }

    /// The head stands in the index; the row itself is read only where there is more than the head.
    fn push_search(&mut self, pattern: &str) -> Result<(), Error> {
        self.push(" AND (search_head LIKE ").bind(pattern.to_owned())?;
        self.push(&format!(" ESCAPE '\\' OR (LENGTH(search_head) = {} AND search_text LIKE ", search::HEAD));
        self.bind(pattern.to_owned())?.push(" ESCAPE '\\'))");
        Ok(())
    }
}
