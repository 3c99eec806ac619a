//! The log of what persons did, as operators read it.

use application::ports::{AuditFilter, AuditView, Page};
use bus::Fault;
use tokio_postgres::Row;

use super::super::column::{Broken, rows_max, time};
use super::filter::Filter;
use crate::paging::page;
use bus_postgres::Lent;
use bus_postgres::{query, views};

/// A page of the log, latest first.
pub(super) async fn list(client: &Lent, filter: &AuditFilter, max: usize) -> Result<Page<AuditView>, Fault> {
    let mut wanted = Filter::default();
    wanted.and("position <", filter.before.unwrap_or(i64::MAX));
    if let Some(actor) = &filter.actor {
        wanted.and("actor =", actor.clone());
    }
    if let Some(subject) = &filter.subject {
        wanted.and("subject =", subject.clone());
    }
    let limit = wanted.bind(rows_max(max.saturating_add(1)));
    let (conditions, values) = wanted.finish();
    let sql = format!(
        "select position, at, actor, action, subject, note from audit_log where {conditions}
         order by position desc limit ${limit}"
    );
    let rows = query(client, "audit.list", &sql, &values).await?;
    Ok(page(views(&rows, "audit.list", audited)?, max))
}

fn audited(row: &Row) -> Result<AuditView, Broken> {
    Ok(AuditView {
        position: row.try_get(0)?,
        at: time(row, 1)?,
        actor: row.try_get(2)?,
        action: row.try_get(3)?,
        subject: row.try_get(4)?,
        note: row.try_get(5)?,
    })
}
