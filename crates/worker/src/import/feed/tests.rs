//! What becomes of an order of which the service takes one part and refuses another. The service is one of the test's own.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;

use super::super::known::{KnownOrder, KnownProduct};
use super::super::{Mapping, ProductBody, Shown, Source, verdict};
use super::*;

/// Takes the first order that it is sent, and no other.
#[derive(Default)]
struct TakesOne {
    taken: Mutex<Vec<Uuid>>,
    cancelled: Mutex<Vec<Uuid>>,
}

#[async_trait]
impl Service for TakesOne {
    async fn catalogue(&self, show: &mut (dyn FnMut(KnownProduct) + Send)) -> Result<()> {
        show(KnownProduct { sku: "TEA".to_owned(), currency: "EUR".to_owned(), discontinued: false });
        Ok(())
    }

    async fn make_products(&self, _import: &str, products: &[ProductBody<'_>]) -> Result<u64> {
        Ok(products.len() as u64)
    }

    async fn find_order(&self, _reference: &str) -> Result<Option<Uuid>> {
        Ok(None)
    }

    async fn order(&self, order_id: Uuid) -> Result<KnownOrder> {
        anyhow::bail!("order {order_id} is never asked about")
    }

    async fn create_order(&self, _key: &str, _body: Bytes) -> Result<OrderAnswer> {
        let mut taken = self.taken.lock().expect("it is not poisoned");
        if taken.is_empty() {
            let id = Uuid::from_u128(1);
            taken.push(id);
            return Ok(OrderAnswer::New(id));
        }
        Ok(OrderAnswer::Refused(Refusal { code: "no".to_owned(), detail: "changed its mind".to_owned() }))
    }

    async fn cancel_order(&self, order_id: Uuid, _actor: &str, _note: &str) -> Result<Cancelled> {
        self.cancelled.lock().expect("it is not poisoned").push(order_id);
        Ok(Cancelled::Accepted)
    }
}

#[tokio::test]
async fn the_parts_that_were_taken_of_an_order_are_cancelled_when_another_is_refused() {
    let mapping = Mapping::parse(
        "name = \"shop\"\ncurrency = \"EUR\"\nprice_unit = \"major\"\ntime_format = \"%Y-%m-%d\"\nrepeated_rows = \"take\"\n\
         [columns]\norder = \"order\"\ncustomer = \"customer\"\nordered_at = \"date\"\nsku = \"sku\"\nquantity = \"qty\"\n\
         price = \"price\"\n",
    );
    let mapping = mapping.expect("a mapping");
    let file = format!(
        "order,customer,date,sku,qty,price\n{}",
        "1,ann,2026-01-05,TEA,1,3.50\n".repeat(LINES_MAX + 1)
    );
    let sheet = Sheet::read(&Source::Bytes(file.as_bytes()), &mapping).expect("it can be read");
    let service = TakesOne::default();
    let feed = Feed {
        sheet: &sheet,
        mapping: &mapping,
        catalogue: &[],
        unknown: Unknown::HoldBack,
        stock: 0,
        performance: Performance::Real,
        client: &service,
        at_once_max: 8,
    };
    let done = feed.run(&Gauge::new(Shown::No, "accepted", 1)).await.expect("the service answers");
    let taken = service.taken.lock().expect("it is not poisoned").clone();
    assert_eq!((taken.len(), &taken), (1, &*service.cancelled.lock().expect("it is not poisoned")));
    assert_eq!(
        (done.tally.orders_refused, done.tally.orders_torn, done.tally.changed_nothing()),
        (1, 1, false)
    );
    let told = &done.rejected[0].detail;
    assert!(told.contains("changed its mind") && told.contains("is being cancelled"), "{told}");
    let last = verdict(&done.tally, Performance::Real);
    assert!(
        !last.contains("Nothing was imported") && last.contains("Of 1 orders a part was taken"),
        "{last}"
    );
}
