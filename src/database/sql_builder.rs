//! Builds SQL whose shape depends on its input: fixed text and bound values. A value is never part of the text.

use sqlx::any::AnyArguments;
use sqlx::{Any, Arguments, AssertSqlSafe, Encode, Type};

use super::{Engine, Error};

/// Rows in one statement: the largest size that fits, then the next. Each size is one statement, which a connection keeps prepared.
const BATCH_SIZES: [usize; 4] = [100, 20, 5, 1];

/// A statement under construction. It alone writes placeholders.
pub struct SqlBuilder {
    engine: Engine,
    text: String,
    arguments: AnyArguments,
}

impl SqlBuilder {
    pub fn new(engine: Engine, text: &str) -> Self {
        Self { engine, text: text.to_owned(), arguments: AnyArguments::default() }
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Appends fixed text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds a value and appends its placeholder.
    pub fn bind<'q, T: Encode<'q, Any> + Type<Any>>(&mut self, value: T) -> Result<&mut Self, Error> {
        self.arguments.add(value).map_err(Error::Encode)?;
        self.text.push_str(&self.engine.placeholder(self.arguments.len()));
        Ok(self)
    }

    /// Binds values and appends their placeholders, separated by commas.
    pub fn bind_list<'q, T: Encode<'q, Any> + Type<Any>>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<&mut Self, Error> {
        for (index, value) in values.into_iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " }).bind(value)?;
        }
        Ok(self)
    }

    /// The statement and its values, for `sqlx::query_with` and its siblings.
    pub fn into_parts(self) -> (AssertSqlSafe<String>, AnyArguments) {
        (AssertSqlSafe(self.text), self.arguments)
    }
}

/// Splits rows into batches of a few sizes, for statements with several rows.
pub fn batches<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut remaining = rows;
    std::iter::from_fn(move || {
        let size = BATCH_SIZES.into_iter().find(|size| *size <= remaining.len())?;
        let (batch, rest) = remaining.split_at(size);
        remaining = rest;
        Some(batch)
    })
}
