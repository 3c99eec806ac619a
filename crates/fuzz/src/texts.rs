//! What an operator writes: settings, mappings, sheets, addresses, keys.

use std::sync::atomic::{AtomicU64, Ordering};

use bus_rabbitmq::RabbitMqSettings;
use worker::config::{Config, DatabaseAddress, Overrides};
use worker::import::{BUNDLED, CatalogueProduct, Mapping, Sheet, Source};
use worker::otlp;
use worker::security::KeyText;

/// A settings file, which must be on disk.
pub(crate) fn configuration(bytes: &[u8]) {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(format!("orderwright-fuzz-{process}-{number}.toml"));
    std::fs::write(&path, bytes).expect("a file of our own");
    judge(&Overrides { file: Some(path.clone()), ..Overrides::default() });
    std::fs::remove_file(path).expect("the file is ours");
}

/// Settings in the environment.
pub(crate) fn environment(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let named = |(name, value): (&str, &str)| (format!("ORDERWRIGHT__{name}"), value.to_owned());
    judge(&Overrides { environment: pairs.map(named).collect(), ..Overrides::default() });
}

/// Either it can be worked with, and shown, or every mistake is a line.
fn judge(overrides: &Overrides) {
    match Config::load(overrides) {
        Ok(loaded) => drop(format!("{:?}", loaded.config)),
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty(), "refused, and nobody says why");
            let whole = |mistake: &&String| mistake.contains('\n') || mistake.trim().is_empty();
            assert_eq!(mistakes.0.iter().find(whole), None);
        }
    }
}

/// A mapping that is one can be used.
pub(crate) fn mapping(bytes: &[u8]) {
    if let Ok(mapping) = Mapping::parse(&String::from_utf8_lossy(bytes)) {
        let rows = b"order,customer,time,sku,quantity,price\n1,2,3,4,5,6\n";
        let _ = Sheet::read(&Source::Bytes(rows), &mapping);
    }
}

/// A sheet, by each of the mappings that are ours. No row is lost: each is in an order, rejected or left out.
pub(crate) fn sheet(bytes: &[u8]) {
    for name in BUNDLED {
        let mapping = Mapping::named(name).expect("ours");
        let Ok(sheet) = Sheet::read(&Source::Bytes(bytes), &mapping) else { continue };
        assert_eq!(sheet.rows_accounted_for(), sheet.rows, "{name}: rows became nothing and nobody says so");
    }
}

/// Products in CSV.
pub(crate) fn catalogue(bytes: &[u8]) {
    let _ = CatalogueProduct::read(bytes);
}

/// A secret that must not be shown.
const SECRET: &str = "HUSHHUSH";

/// One of the short texts; the first byte says which. An input that spells [`SECRET`] itself, where it is none, proves
/// nothing when it is shown.
pub(crate) fn short(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match which % 4 {
        0 | 1 if text.contains(SECRET) => {}
        0 => {
            for address in
                [format!("postgres://user:{SECRET}@{text}"), format!("postgres://user:{text}{SECRET}@host")]
            {
                let address = DatabaseAddress::from(address);
                assert!(!address.to_string().contains(SECRET), "{address}");
                let _ = address.place();
            }
            let _ = DatabaseAddress::from(&*text).place();
        }
        1 => {
            let address = format!("amqp://user:{SECRET}@{text}");
            if let Err(refused) = RabbitMqSettings::at(vec![address]).verify() {
                assert!(!refused.to_string().contains(SECRET), "{refused}");
            }
            let _ = RabbitMqSettings::at(vec![text.into_owned()]).verify();
        }
        2 => {
            if let Some(key) = KeyText::parse(&text) {
                assert_eq!(key.expose(), text, "a key has one form only");
            }
        }
        _ => {
            if let Some((trace, span)) = otlp::parse(&text) {
                assert_eq!(otlp::parse(&otlp::whole(&trace, &span)), Some((trace, span)));
            }
        }
    }
}
