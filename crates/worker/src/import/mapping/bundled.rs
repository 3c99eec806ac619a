//! The mappings that come with the program.

/// Their names.
pub const NAMES: [&str; 8] =
    ["northwind", "uci-online-retail", "shopify", "woocommerce", "magento", "amazon", "ebay", "etsy"];

/// The text of one of them.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    Some(match name {
        "northwind" => include_str!("../mappings/northwind.toml"),
        "uci-online-retail" => include_str!("../mappings/uci-online-retail.toml"),
        "shopify" => include_str!("../mappings/shopify.toml"),
        "woocommerce" => include_str!("../mappings/woocommerce.toml"),
        "magento" => include_str!("../mappings/magento.toml"),
        "amazon" => include_str!("../mappings/amazon.toml"),
        "ebay" => include_str!("../mappings/ebay.toml"),
        "etsy" => include_str!("../mappings/etsy.toml"),
        _ => return None,
    })
}
