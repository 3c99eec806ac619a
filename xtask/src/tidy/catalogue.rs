//! The sample catalogue holds together: what an order line names exists. It says nothing about how the catalogue is imported.

use std::collections::HashSet;

use crate::tree::{Finding, TextFile, Tree};

const FOLDER: &str = "catalogue/northwind";

/// Every order line names a product and a customer of the catalogue.
pub(super) fn lines_name_known_things(tree: &Tree) -> Vec<Finding> {
    let file = |name: &str| tree.file(&format!("{FOLDER}/{name}.csv"));
    let (Some(products), Some(customers), Some(orders)) =
        (file("products"), file("customers"), file("orders"))
    else {
        let message = "lacks products.csv, customers.csv or orders.csv; restore it".into();
        return vec![Finding { path: FOLDER.into(), line: 1, message }];
    };
    let skus = first_column(products);
    let customer_ids = first_column(customers);
    let lines = orders.lines().skip(1);
    lines
        .filter_map(|(number, line)| Some(orders.finding(number, unknown(line, &skus, &customer_ids)?)))
        .collect()
}

fn first_column(file: &TextFile) -> HashSet<&str> {
    file.lines().skip(1).filter_map(|(_, line)| line.split(',').next()).collect()
}

fn unknown(line: &str, skus: &HashSet<&str>, customer_ids: &HashSet<&str>) -> Option<String> {
    let columns: Vec<_> = line.split(',').collect();
    let [_, customer_id, _, sku, _, _] = columns.as_slice() else {
        return Some(format!("has {} columns; an order line has 6", columns.len()));
    };
    if !skus.contains(sku) {
        return Some(format!("names the product {sku}; add it to products.csv"));
    }
    let message = || format!("names the customer {customer_id}; add it to customers.csv");
    (!customer_ids.contains(customer_id)).then(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn wrong_lines(orders: &str) -> Vec<usize> {
        let tree = tree_of(&[
            ("catalogue/northwind/products.csv", "sku,name\nNW-001,Chai\n"),
            ("catalogue/northwind/customers.csv", "customer_id,name\nALFKI,Alfreds\n"),
            ("catalogue/northwind/orders.csv", orders),
        ]);
        lines_name_known_things(&tree).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_unknown_product_or_customer_or_a_torn_line_is_found() {
        let head = "order_ref,customer_id,ordered_at,sku,quantity,unit_price_minor";
        let good = "NW-1,ALFKI,1996-07-04T00:00:00Z,NW-001,1,100";
        assert!(wrong_lines(&format!("{head}\n{good}\n")).is_empty());
        let product = good.replace("NW-001", "NW-999");
        let customer = good.replace("ALFKI", "NOONE");
        assert_eq!(wrong_lines(&format!("{head}\n{good}\n{product}\n{customer}\nNW-1,ALFKI\n")), [3, 4, 5]);
    }

    #[test]
    fn a_missing_file_is_found() {
        assert_eq!(lines_name_known_things(&Tree::default()).len(), 1);
    }
}
