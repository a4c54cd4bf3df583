//! What the list page reads: totals and one page, which agree.

use super::filter::Filter;
use super::store::totals::find_stored_with_page;
use super::store::{ListedOrder, OrderPage, PageStart, find_list_page};
use super::totals::{Found, OrderTotals, find_totals, group_by_currency};
use crate::database::{Database, Error, Transaction};
use crate::domain::Zone;

/// The orders that match a filter.
pub(super) struct FoundList {
    pub totals: OrderTotals,
    pub has_several_shops: bool,
    pub start: PageStart,
    pub page: OrderPage<ListedOrder>,
}

/// The version of the customer's orders, and `None` when the customer has no orders at all.
type VersionedList = (i64, Option<FoundList>);

/// One statement if the stored totals are those of the filter, else one snapshot.
pub(super) async fn find_list(
    database: &Database,
    user_id: &str,
    filter: &Filter,
    start: PageStart,
    zone: &Zone,
) -> Result<VersionedList, Error> {
    if let Some(range) = filter.month_range(zone) {
        let (stored, page) = find_stored_with_page(database, user_id, filter, range, &start).await?;
        if !stored.has_orders {
            return Ok((stored.version, None));
        }
        if stored.zone == zone.name() && !reaches_first_order(&start, &page) {
            let totals = group_by_currency(&stored.months);
            let found = FoundList { totals, has_several_shops: stored.has_several_shops, start, page };
            return Ok((stored.version, Some(found)));
        }
    }
    database.read(async |snapshot| find_in_snapshot(snapshot, user_id, filter, start.clone(), zone).await).await
}

async fn find_in_snapshot(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    start: PageStart,
    zone: &Zone,
) -> Result<VersionedList, Error> {
    let Found { version, has_several_shops, totals } = find_totals(snapshot, user_id, filter, zone).await?;
    let Some(totals) = totals else { return Ok((version, None)) };
    let (start, page) = match totals.order_count {
        // A search that finds nothing reads all orders of the customer, so not twice.
        0 => (start, OrderPage::empty()),
        _ => find_full_page(snapshot, user_id, filter, start).await?,
    };
    Ok((version, Some(FoundList { totals, has_several_shops, start, page })))
}

/// Reads the page. When paging backwards reaches the first order, reads the first page instead, which may be longer.
async fn find_full_page(
    snapshot: &mut Transaction,
    user_id: &str,
    filter: &Filter,
    start: PageStart,
) -> Result<(PageStart, OrderPage<ListedOrder>), Error> {
    let page = find_list_page(snapshot, user_id, filter, &start).await?;
    if reaches_first_order(&start, &page) {
        let page = find_list_page(snapshot, user_id, filter, &PageStart::First).await?;
        return Ok((PageStart::First, page));
    }
    Ok((start, page))
}

fn reaches_first_order(start: &PageStart, page: &OrderPage<ListedOrder>) -> bool {
    matches!(start, PageStart::Before(_)) && !page.has_more
}
