//! SQLite's query plan of the claim, which every node runs each second: it reads only the index, however long the queue is.

use sqlx::Row;

use super::CLAIM;
use crate::database::{Database, DatabaseUrl};

#[actix_web::test]
async fn claim_reads_the_index_of_due_messages_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("plans.db").display());
    let database = Database::create_or_open(&DatabaseUrl::parse(&url).unwrap()).await.unwrap();
    database.migrate().await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {CLAIM}"));
    let rows =
        sqlx::query(sql).bind(1_i64).bind(1_i64).bind(1_i64).bind(1_i64).bind(1_i64).fetch_all(database.reader());
    let plan: Vec<String> = rows.await.unwrap().iter().map(|row| row.get("detail")).collect();
    let steps: Vec<&str> = plan.iter().map(String::as_str).filter(|step| step.contains("mail_queue")).collect();
    assert_eq!(
        steps,
        [
            "SEARCH mail_queue USING INDEX sqlite_autoindex_mail_queue_1 (id=?)",
            "SEARCH mail_queue USING INDEX mail_queue_due (due_at<?)",
            "SEARCH mail_queue USING INDEX mail_queue_due (due_at>?)",
        ],
        "{plan:?}"
    );
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
}
