//! Importing files: every row is accounted for, and doing it twice changes nothing.

use serde_json::Value;

use crate::program::{Folder, Ran};
use crate::running::{Running, until};

const HEADINGS: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

const ROWS: &str = "\
536365,85123a,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536366,22633,WARMER,1,2010-12-01 08:28:00,1.85,,United Kingdom
536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
536367,POST,POSTAGE,1,2010-12-01 08:30:00,18.0,17850.0,United Kingdom
536368,22633,WARMER,-4,2010-12-01 08:31:00,1.85,17850.0,United Kingdom
536369,22633,,1,2010-12-01 08:32:00,0.0,17850.0,United Kingdom
C536370,85123A,HEART,-1,2010-12-01 08:33:00,2.55,17850.0,United Kingdom
C536371,22633,WARMER,-1,2010-12-01 08:34:00,1.85,,United Kingdom
C536372,D,Discount,-1,2010-12-01 08:35:00,27.5,17850.0,United Kingdom
";

/// Rows, by what became of them.
fn rows(summary: &Value) -> [u64; 5] {
    let sum =
        |counts: &Value| counts.as_object().into_iter().flatten().filter_map(|(_, it)| it.as_u64()).sum();
    let count = |name: &str| summary[name].as_u64().unwrap_or(0);
    [
        count("rows_imported"),
        count("rows_replayed"),
        sum(&summary["rows_rejected"]),
        sum(&summary["rows_left_out"]),
        sum(&summary["rows_cancelling"]),
    ]
}

/// The answer of an import that left something behind, and says so by its exit code.
fn json_of_a_part(ran: &Ran) -> Value {
    serde_json::from_str(&ran.failure()).expect("the answer is JSON")
}

#[test]
fn every_row_is_accounted_for_and_a_second_import_changes_nothing() {
    let folder = Folder::new("import");
    folder.file("retail.csv", format!("{HEADINGS}{ROWS}"));
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let import =
        ["import", "retail.csv", "--mapping", "uci-online-retail", "--database", "o.db", "--stock", "100"];
    let import = [&import[..], &["--json"]].concat();
    let first = json_of_a_part(&folder.run(&import));
    assert_eq!((first["rows"].as_u64(), rows(&first)), (Some(9), [3, 0, 1, 2, 3]), "{first:#}");
    assert_eq!((&first["processed"]["delivered"], &first["products_new"]), (&2.into(), &3.into()));

    let report = std::fs::read_to_string(folder.path().join("import-uci-online-retail-report.csv"));
    let report = report.expect("a report lies next to the database");
    for told in [
        "5,536367,left_out,not_a_product",
        "6,536368,rejected,quantity_not_positive",
        "7,536369,left_out,free",
        "8,C536370,cancellation,partial",
        "9,C536371,cancellation,unknown_customer",
        "10,C536372,cancellation,not_a_product",
    ] {
        assert!(report.contains(told), "{told} is missing in\n{report}");
    }

    let second = json_of_a_part(&folder.run(&import));
    assert_eq!((rows(&second), &second["changed_nothing"]), ([0, 3, 1, 2, 3], &true.into()), "{second:#}");
}

#[test]
fn an_import_ends_with_the_orders_that_a_rule_puts_on_hold() {
    let folder = Folder::new("import-on-hold");
    folder.file("retail.csv", format!("{HEADINGS}{ROWS}"));
    folder.file("held.toml", "[holds]\nnew_customer = \"shipping\"\n");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let import =
        ["import", "retail.csv", "--mapping", "uci-online-retail", "--database", "o.db", "--stock", "100"];
    let import = [&import[..], &["--config", "held.toml", "--json"]].concat();
    let processed = json_of_a_part(&folder.run(&import))["processed"].clone();
    assert_eq!((&processed["on_hold"], &processed["on_the_way"]), (&2.into(), &0.into()), "{processed:#}");
    assert!(processed["after_ms"].as_u64().is_some_and(|after| after < 50_000), "it did not wait for them");
}

#[test]
fn a_mapping_of_ones_own_and_a_packed_file_are_read() {
    let folder = Folder::new("import-own");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    folder.file(
        "mine.toml",
        r#"
name = "mine"
delimiter = ";"
currency = "JPY"
price_unit = "major"
time_format = "rfc3339"
[columns]
order = "no"
customer = "who"
ordered_at = "when"
sku = "what"
quantity = "many"
price = "each"
"#,
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(
        &mut packed,
        b"no;who;when;what;many;each\n1;ann;2026-01-31T12:00:00Z;tea;2;500\n",
    )
    .expect("memory takes it");
    folder.file("mine.csv.gz", packed.finish().expect("memory takes it"));
    let import = ["import", "mine.csv.gz", "--mapping", "mine.toml", "--database", "o.db", "--json"];
    let summary = folder.run(&import).json();
    assert_eq!(rows(&summary), [1, 0, 0, 0, 0], "{summary:#}");
    let shown = folder.run(&["orders", "show", "import-mine-1", "--database", "o.db", "--json"]).json();
    assert_eq!(shown["order"]["total"], serde_json::json!({"minor": 1_000, "currency": "JPY"}));
}

#[test]
fn an_import_that_cannot_work_says_why_in_one_line() {
    let folder = Folder::new("import-mistakes");
    folder.file("retail.csv", HEADINGS);
    let refusal = |arguments: &[&str]| folder.run(&[&["import"], arguments].concat()).refusal();
    assert!(refusal(&["none.csv", "--mapping", "northwind"]).contains("cannot read none.csv"));
    assert!(refusal(&["retail.csv", "--mapping", "other"]).contains("no mapping 'other'"));
    assert!(refusal(&["retail.csv", "--mapping", "northwind"]).contains("no column 'order_ref'"));
    let uci = ["retail.csv", "--mapping", "uci-online-retail", "--server"];
    assert!(refusal(&[&uci[..], &["ftp://x"]].concat()).contains("http://HOST:PORT"));
}

const SHOPIFY: &str = include_str!("../exports/shopify.csv");

#[test]
fn an_order_that_its_shop_has_paid_back_since_is_told_of_when_it_has_left_the_house() {
    let folder = Folder::new("import-paid-back");
    folder.file("june.csv", SHOPIFY);
    folder.file("july.csv", SHOPIFY.replacen("paid", "refunded", 1));
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let import = |file| {
        let options = ["--mapping", "shopify", "--database", "o.db", "--stock", "100", "--json"];
        folder.run(&[&["import", file][..], &options].concat())
    };
    let first = import("june.csv").json();
    assert_eq!((&first["orders_new"], &first["processed"]["delivered"]), (&3.into(), &3.into()), "{first:#}");
    let second = import("july.csv").json();
    assert_eq!(second["rows_cancelling"], serde_json::json!({"too_late": 2}), "{second:#}");
    assert_eq!((&second["orders_replayed"], &second["orders_new"]), (&2.into(), &0.into()), "{second:#}");
    let report = std::fs::read_to_string(folder.path().join("import-shopify-report.csv")).expect("a report");
    assert!(report.contains("2,#1001,cancellation,too_late"), "{report}");
}

#[test]
fn a_row_without_a_number_keeps_its_order_back_and_says_so() {
    let folder = Folder::new("import-foundling");
    let broken = SHOPIFY.replacen("#1003,,,", ",,,", 1);
    folder.file("june.csv", &*broken);
    folder.file("mended.csv", SHOPIFY);
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let import = ["--mapping", "shopify", "--database", "o.db", "--stock", "100", "--json"];
    let summary = json_of_a_part(&folder.run(&[&["import", "june.csv"][..], &import].concat()));
    assert_eq!((&summary["orders_new"], &summary["orders_held_back"]), (&2.into(), &1.into()), "{summary:#}");
    let report = std::fs::read_to_string(folder.path().join("import-shopify-report.csv")).expect("a report");
    assert!(report.contains("6,#1003,rejected,sum_differs"), "{report}");
    assert!(report.contains("7,,rejected,no_order,\"names no order; order '#1003' waits"), "{report}");
    let mended = folder.run(&[&["import", "mended.csv"][..], &import].concat()).json();
    assert_eq!((&mended["orders_new"], &mended["orders_replayed"]), (&1.into(), &2.into()), "{mended:#}");
}

#[test]
fn a_mapping_is_shown_as_json_where_that_is_asked_for() {
    let folder = Folder::new("import-mapping");
    let print = ["import", "--mapping", "shopify", "--print-mapping"];
    let text = folder.run(&print).answer();
    let json = folder.run(&[&print[..], &["--json"]].concat()).json();
    assert_eq!(
        (&json["name"], json["toml"].as_str().map(str::trim_end)),
        (&"shopify".into(), Some(text.trim_end()))
    );
}

#[test]
fn a_path_that_begins_with_file_is_refused_and_makes_no_folder() {
    let folder = Folder::new("import-file-prefix");
    for database in ["file:o.db", "sqlite:file:o.db"] {
        let refusal = folder.run(&["migrate", "--database", database]).refusal();
        assert!(refusal.contains("begins with 'file:'") && refusal.contains("sqlite:PATH"), "{refusal}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn the_same_file_under_another_key_is_here_already_as_the_dry_run_says() {
    let folder = Folder::new("import-keys");
    folder.file("june.csv", SHOPIFY);
    let service = Running::on(&folder, &["--payment-url", "http://127.0.0.1:1"]);
    let url = service.url();
    let import = |more: &[&str]| {
        let options =
            ["import", "june.csv", "--mapping", "shopify", "--stock", "100", "--json", "--server", &url];
        folder.run(&[&options[..], more].concat())
    };
    assert_eq!(import(&[]).json()["orders_new"], 3);
    let make = |name: &str, scopes: &str| {
        let keys = ["keys", "create", "--name", name, "--scopes", scopes, "--database", "o.db", "--json"];
        folder.run(&keys).json()["key"].as_str().expect("it is shown").to_owned()
    };
    let key = make("first", "orders:read,orders:write,orders:import,personal:read,stock:read,stock:write");
    let shop = make("shop", "orders:read,orders:write,stock:read,stock:write");
    let blind = make("blind", "orders:write,orders:import,stock:read,stock:write");
    // A running service knows new keys after a moment; until then it refuses them.
    until("the keys to be known", || {
        import(&["--api-key", &blind, "--dry-run"]).told().1.contains("orders:read")
    });
    for dry in [&["--dry-run"][..], &[]] {
        let summary = import(&[&["--api-key", &key], dry].concat()).json();
        assert_eq!(
            (&summary["orders_new"], &summary["orders_replayed"]),
            (&0.into(), &3.into()),
            "{summary:#}"
        );
    }
    let unseeing = make("unseeing", "orders:read,orders:write,orders:import,stock:read,stock:write");
    until("the key to be known", || {
        import(&["--api-key", &unseeing, "--dry-run"]).told().1.contains("personal:read")
    });
    let refused = import(&["--api-key", &shop]).told().1;
    assert!(refused.contains("lacks the scope orders:import"), "{refused}");
}
