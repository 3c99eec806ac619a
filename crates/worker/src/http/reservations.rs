//! Who holds units of a product, over HTTP. Changes nothing.

use std::sync::Arc;

use application::ports::ReservationView;
use axum::Json;
use axum::extract::State;
use domain::{OrderId, ProductId};
use http::request::Parts;

use super::Api;
use super::inventory::{SKU, level_of};
use super::parameters::{CURSOR, LIMIT, PageAnswer, Query, SkuInPath};
use super::problem::{Code, Problem};
use super::route::Route;
use super::shape::{Schema, Shape, may, need};

pub(super) fn routes() -> Vec<Route> {
    vec![listing()]
}

fn listing() -> Route {
    Route::get("/inventory/{sku}/reservations", "listReservations", list)
        .about(
            "Lists the open orders that hold units of a product, oldest first. A page may hold fewer than 'limit', or none: go \
             on as long as there is a 'next_cursor'.",
        )
        .with(&[SKU, CURSOR, LIMIT])
        .giving(200, &RESERVATIONS)
        .failing(&[Code::InvalidParameter, Code::SkuNotFound])
        .asking_the_store()
}

async fn list(
    State(api): State<Arc<Api>>,
    SkuInPath(sku): SkuInPath,
    parts: Parts,
) -> Result<Json<PageAnswer<ReservationView>>, Problem> {
    let mut query = Query::of(&parts, &["cursor", "limit"]);
    let (after, limit) = (query.cursor::<OrderId>(), query.limit());
    query.finish()?;
    level_of(&api, &sku).await?;
    let page = api.readers.reservations(ProductId::of(&sku), after, limit).await?;
    Ok(Json(PageAnswer::up_to(page.items, page.next)))
}

const RESERVATION: Shape = Shape::Named(&Schema {
    name: "Reservation",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        may("external_reference", Shape::Text, "Another system's name for it."),
        need("customer_id", Shape::Text, "Whom it is for."),
        need("status", Shape::Text, "The headline status."),
        need("units", Shape::Integer, "Units of the product that are set aside for it."),
        need("since", Shape::Time, "Since when."),
    ]),
});
static RESERVATIONS: Schema = Schema {
    name: "ReservationPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&RESERVATION), "The orders, oldest first."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
