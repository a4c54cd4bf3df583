//! Makes orders of the rows that have one name.

use super::cell::{Cell, CellProblem};
use super::groups::is_same_export;
use super::row::Row;
use crate::domain::{Currency, Money, UnixSeconds, Zone};
use crate::orders::import::columns::Column;
use crate::orders::import::fields::{FIELDS, Value};
use crate::orders::import::imported::{ImportedOrder, LineValues, OrderValues, RowPlace};
use crate::orders::import::merge::merge_imported;
use crate::orders::order::NamedTax;

/// Something about a row, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::orders::import) struct RowNote {
    pub place: RowPlace,
    pub column: Option<Column>,
    pub text: String,
}

/// The orders of one name.
#[derive(Default)]
pub(in crate::orders::import) struct Assembled {
    pub orders: Vec<ImportedOrder>,
    /// Number of orders with an invalid row; they are not among the orders.
    pub invalid_orders: u64,
    pub invalid: Vec<RowNote>,
    /// Invalid email addresses.
    pub emails: Vec<RowNote>,
    /// Values that a spreadsheet program has replaced; the orders are without them.
    pub damaged: Vec<RowNote>,
    /// Rows that the file has twice.
    pub doubled: Vec<RowNote>,
    /// Amounts that were finer than their currency.
    pub rounded: u64,
}

/// The rows of one order in one export.
struct Draft<'r> {
    /// The row with the values of the order.
    first: &'r Row,
    id: String,
    lines: Vec<&'r Row>,
}

/// Rows of one name. An export may have several orders of one name, told apart by their `Id`; several exports may have one order,
/// whose later values then count.
pub(super) fn assemble(rows: &[Row], zone: &Zone) -> Assembled {
    let mut assembled = Assembled::default();
    let mut remaining = rows;
    let mut orders: Vec<Option<ImportedOrder>> = Vec::new();
    while let Some(first) = remaining.first() {
        let length = remaining.iter().take_while(|row| is_same_export(first, row)).count();
        let (export, rest) = remaining.split_at(length);
        remaining = rest;
        for order in assemble_export(export, zone, &mut assembled) {
            if let Err(note) = add(&mut orders, order) {
                assembled.invalid.push(note);
                assembled.invalid_orders += 1;
            }
        }
    }
    assembled.orders = orders.into_iter().flatten().collect();
    // Of one customer's new orders of one number, the first gets it in its address. Exports begin with the newest.
    assembled.orders.sort_by_key(|order| order.values.placed_at);
    assembled
}

/// Adds an order, or the later version of one. Fails when it is another order and no `Id` tells the two apart.
fn add(orders: &mut Vec<Option<ImportedOrder>>, order: ImportedOrder) -> Result<(), RowNote> {
    let is_same = |earlier: &ImportedOrder| {
        let have_ids = !earlier.external_id.is_empty() && !order.external_id.is_empty();
        if have_ids { earlier.external_id == order.external_id } else { !earlier.differs_in_all_from(&order) }
    };
    if let Some(slot) = orders.iter_mut().find(|earlier| earlier.as_ref().is_some_and(is_same)) {
        *slot = slot.take().map(|earlier| merge_imported(earlier, order));
        return Ok(());
    }
    let without_id = orders.iter().flatten().find(|earlier| earlier.external_id == order.external_id);
    if let Some(earlier) = without_id {
        let text = order.conflict_with(earlier.values.placed_at, earlier.values.email.as_deref());
        return Err(RowNote { place: order.place, column: Some(Column::Name), text });
    }
    orders.push(Some(order));
    Ok(())
}

fn assemble_export(rows: &[Row], zone: &Zone, assembled: &mut Assembled) -> Vec<ImportedOrder> {
    let invalid_rows = rows.iter().filter_map(|row| Some(note(row, None, row.problem.as_ref()?)));
    let mut problems: Vec<RowNote> = invalid_rows.collect();
    if let Err(problem) = rows[0].cell(Column::Name).name() {
        problems.push(cell_note(&rows[0], &problem));
    }
    if !problems.is_empty() {
        assembled.invalid.append(&mut problems);
        assembled.invalid_orders += 1;
        return Vec::new();
    }
    let mut orders = Vec::new();
    match drafts(rows, assembled) {
        Ok(drafts) => {
            for draft in drafts {
                match parse(&draft, zone, assembled) {
                    Ok(order) => orders.push(order),
                    Err(mut problems) => {
                        assembled.invalid.append(&mut problems);
                        assembled.invalid_orders += 1;
                    }
                }
            }
        }
        Err(problem) => {
            assembled.invalid.push(problem);
            assembled.invalid_orders += 1;
        }
    }
    orders
}

/// Assigns each row to its order.
fn drafts<'r>(rows: &'r [Row], assembled: &mut Assembled) -> Result<Vec<Draft<'r>>, RowNote> {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    // Rows before the one with the values of the order: a sorted file has them.
    let mut early: Vec<&Row> = Vec::new();
    for row in rows {
        let id = row.cell(Column::Id).id().map_err(|problem| cell_note(row, &problem))?;
        // Further rows mostly have no id: they belong to the order before them.
        let known = drafts.iter().rposition(|draft| id.is_empty() || draft.id.is_empty() || draft.id == id);
        if !row.has_order_values() {
            match known {
                Some(index) => drafts[index].lines.push(row),
                None => early.push(row),
            }
            continue;
        }
        match known {
            None => {
                let mut lines = std::mem::take(&mut early);
                lines.push(row);
                drafts.push(Draft { first: row, id, lines });
            }
            Some(index) => {
                let draft = &mut drafts[index];
                if let Some(same) = draft.lines.iter().find(|line| line.is_same_as(row)) {
                    let text = format!("the row is the same as line {}; it was read once", same.place.line);
                    assembled.doubled.push(note(row, None, &text));
                } else if has_same_order_values(draft.first, row) {
                    draft.lines.push(row);
                } else {
                    let name = row.text(Column::Name);
                    let text = format!(
                        "order {name} is in the file twice (line {}); remove one of them, or if they are two orders, export with the column Id",
                        draft.first.place.line
                    );
                    return Err(note(row, Some(Column::Name), &text));
                }
            }
        }
    }
    match early.first() {
        Some(row) => {
            let name = row.text(Column::Name);
            let text = format!("order {name} has no row with its Total; export the orders again");
            Err(note(row, Some(Column::Total), &text))
        }
        None => Ok(drafts),
    }
}

/// Whether a row repeats the values of the order that it has.
fn has_same_order_values(first: &Row, row: &Row) -> bool {
    FIELDS.iter().all(|field| {
        let text = row.text(field.column);
        text.is_empty() || text == first.text(field.column)
    })
}

/// Parses an order, or lists all its invalid cells.
fn parse(draft: &Draft<'_>, zone: &Zone, assembled: &mut Assembled) -> Result<ImportedOrder, Vec<RowNote>> {
    let mut parser = Parser { row: draft.first, zone, problems: Vec::new(), damaged: Vec::new(), rounded: 0 };
    let name = parser.take(draft.first.cell(Column::Name).name());
    let no_currency = Currency::parse("XXX");
    let currency = parser.take(draft.first.cell(Column::Currency).currency()).or(no_currency);
    let (Some(name), Some(currency)) = (name, currency) else { return Err(parser.problems) };
    let mut order = ImportedOrder {
        columns: draft.first.header.columns(),
        place: draft.first.place,
        external_id: draft.id.clone(),
        name,
        values: OrderValues::new(currency),
        lines: Vec::with_capacity(draft.lines.len()),
    };
    let invalid_email = parser.order_values(&mut order);
    for row in draft.lines.iter().filter(|row| row.has_line()) {
        parser.row = row;
        order.lines.push(parser.line(currency));
    }
    if parser.damaged.iter().any(|note| note.column == Some(Column::LineSku)) {
        // Those that are known stay.
        order.columns.remove(Column::LineSku);
    }
    if let Err(column) = check_sums(&order) {
        parser.row = draft.first;
        parser.problems.push(note(draft.first, Some(column), "the amounts of the order are larger than can be stored"));
    }
    if let Some(problem) = invalid_email {
        // Unlike an empty address, it does not say that the shop has none.
        order.columns.remove(Column::Email);
        assembled.emails.push(cell_note(draft.first, &problem));
    }
    if !parser.problems.is_empty() {
        return Err(parser.problems);
    }
    assembled.rounded += parser.rounded;
    assembled.damaged.append(&mut parser.damaged);
    Ok(order)
}

/// Collects the problems of an order.
struct Parser<'r> {
    row: &'r Row,
    zone: &'r Zone,
    problems: Vec<RowNote>,
    damaged: Vec<RowNote>,
    rounded: u64,
}

impl<'r> Parser<'r> {
    fn take<T>(&mut self, parsed: Result<T, CellProblem>) -> Option<T> {
        parsed.map_err(|problem| self.problems.push(cell_note(self.row, &problem))).ok()
    }

    fn cell(&self, column: Column) -> Cell<'r> {
        self.row.cell(column)
    }

    /// Notes a value that a spreadsheet program has replaced.
    fn is_damaged(&mut self, cell: &Cell<'_>) -> bool {
        let damage = cell.damage();
        self.damaged.extend(damage.iter().map(|problem| cell_note(self.row, problem)));
        damage.is_some()
    }

    /// Parses the cells of all fields; returns the problem of the email address, which does not make the order invalid.
    fn order_values(&mut self, order: &mut ImportedOrder) -> Option<CellProblem> {
        let mut invalid_email = None;
        let header = self.row.header.clone();
        let values = &mut order.values;
        if header.has(Column::Id) && self.is_damaged(&self.cell(Column::Id)) {
            order.columns.remove(Column::Id);
        }
        for field in FIELDS.iter().filter(|field| header.has(field.column)) {
            let cell = self.cell(field.column);
            let is_text = matches!(field.value, Value::Text(_) | Value::Code(_) | Value::Url(_));
            if is_text && self.is_damaged(&cell) {
                // What is known stays.
                order.columns.remove(field.column);
                continue;
            }
            match &field.value {
                Value::Email(lens) => match cell.email() {
                    Ok(email) => *(lens.get_mut)(values) = email.map(|email| email.as_str().to_owned()),
                    Err(problem) => invalid_email = Some(problem),
                },
                Value::Time(lens) => set((lens.get_mut)(values), self.take(cell.time(self.zone)).map(UnixSeconds::get)),
                Value::OptionalTime(lens) if !cell.is_empty() => {
                    *(lens.get_mut)(values) = self.take(cell.time(self.zone)).map(UnixSeconds::get);
                }
                Value::Payment(lens) => set((lens.get_mut)(values), self.take(cell.payment_status())),
                Value::Fulfillment(lens) => set((lens.get_mut)(values), self.take(cell.fulfillment_status())),
                Value::Money(lens) => {
                    // The column of a total must have a value; the others may be empty.
                    let may_be_empty = !matches!(field.column, Column::Subtotal | Column::Total);
                    if !(cell.is_empty() && may_be_empty) {
                        let minor = self.money(&cell, values.currency);
                        set((lens.get_mut)(values), minor);
                    }
                }
                Value::OptionalMoney(lens) if !cell.is_empty() => {
                    *(lens.get_mut)(values) = self.money(&cell, values.currency);
                }
                Value::Text(lens) if matches!(field.column, Column::Note) => {
                    *(lens.get_mut)(values) = cell.raw.replace('\0', "");
                }
                Value::Text(lens) => set((lens.get_mut)(values), self.take(cell.text())),
                Value::Code(lens) => set((lens.get_mut)(values), self.take(cell.code())),
                Value::Url(lens) => set((lens.get_mut)(values), self.take(cell.url())),
                Value::Taxes(lens) => *(lens.get_mut)(values) = self.taxes(values.currency),
                Value::Currency(_) | Value::OptionalTime(_) | Value::OptionalMoney(_) => {}
            }
        }
        self.last_names(values);
        // A refund is an amount that went back, whichever sign a program gives it.
        values.refunded = values.refunded.abs();
        invalid_email
    }

    /// WooCommerce has first and last names in columns of their own.
    fn last_names(&mut self, values: &mut OrderValues) {
        let names = [
            (Column::ShippingLastName, &mut values.address.name),
            (Column::BillingLastName, &mut values.details.billing_address.name),
        ];
        for (column, name) in names {
            if let Some(last) = self.take(self.cell(column).text()) {
                *name = format!("{name} {last}").trim().to_owned();
            }
        }
    }

    fn taxes(&mut self, currency: Currency) -> Vec<NamedTax> {
        let mut taxes = Vec::new();
        for (name, value) in Column::TAXES {
            let (name, value) = (self.cell(name), self.cell(value));
            if !value.is_empty()
                && let (Some(name), Some(amount)) = (self.take(name.text()), self.money(&value, currency))
            {
                taxes.push(NamedTax { name, amount });
            }
        }
        taxes
    }

    fn line(&mut self, currency: Currency) -> LineValues {
        let (price, discount) = (self.cell(Column::LinePrice), self.cell(Column::LineDiscount));
        let fulfillment_status = self.cell(Column::LineFulfillmentStatus).text();
        LineValues {
            sku: self.line_text(Column::LineSku),
            name: self.line_text(Column::LineName),
            quantity: self.take(self.cell(Column::LineQuantity).quantity()).unwrap_or_default(),
            unit_price: self.money(&price, currency).unwrap_or_default(),
            discount: if discount.is_empty() { 0 } else { self.money(&discount, currency).unwrap_or_default() },
            fulfillment_status: self.take(fulfillment_status).unwrap_or_default(),
        }
    }

    fn line_text(&mut self, column: Column) -> String {
        let cell = self.cell(column);
        if self.is_damaged(&cell) { String::new() } else { self.take(cell.text()).unwrap_or_default() }
    }

    fn money(&mut self, cell: &Cell<'_>, currency: Currency) -> Option<i64> {
        let amount = self.take(cell.money(currency))?;
        self.rounded += u64::from(amount.is_rounded);
        Some(amount.minor)
    }
}

fn set<T>(value: &mut T, parsed: Option<T>) {
    if let Some(parsed) = parsed {
        *value = parsed;
    }
}

/// Sums that pages compute must fit 64 bits.
fn check_sums(order: &ImportedOrder) -> Result<(), Column> {
    let money = |minor| Money::new(minor, order.values.currency);
    let amounts = order.lines.iter().map(|line| {
        money(line.unit_price).checked_mul(line.quantity).and_then(|amount| amount.checked_sub(money(line.discount)))
    });
    let amounts: Option<Vec<Money>> = amounts.collect();
    let sum = amounts.and_then(|amounts| Money::checked_sum(order.values.currency, amounts));
    let fits = sum.is_some_and(|sum| sum.minor().checked_abs().is_some_and(|sum| sum < i64::MAX / 4));
    if fits { Ok(()) } else { Err(Column::LineQuantity) }
}

fn note(row: &Row, column: Option<Column>, text: &str) -> RowNote {
    RowNote { place: row.place, column, text: text.to_owned() }
}

fn cell_note(row: &Row, problem: &CellProblem) -> RowNote {
    note(row, Some(problem.column), &problem.problem)
}
